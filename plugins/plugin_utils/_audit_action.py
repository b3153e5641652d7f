# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The controller's part of the modules that an audit asks nodes with."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.expanso.edge.plugins.plugin_utils._reach import UNREACHABLE, VARIABLE, explained, failure
from ansible_collections.expanso.edge.plugins.plugin_utils._typed import named_as_typed


class AuditAction(ActionBase):
    """Runs the module of the same name.

    For the playbook it reports a host that cannot be reached as a failed task, see :mod:`plugins.plugin_utils._reach`, and adds ``window``: when the
    controller asked and had the answer, in seconds since the epoch. The node's own time must be between them, however slow the node is.
    """

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        in_background = bool(self._task.async_val) and not getattr(self._connection, "has_native_async", False)
        asked = time.time()
        try:
            result.update(explained(self._execute_module(task_vars=task_vars, wrap_async=in_background)))
        except AnsibleError as exc:
            result.update(failure(exc, variables))
            result["reached"] = not result["msg"].startswith(UNREACHABLE)
        finally:
            if not in_background:
                self._remove_tmp_path(self._connection._shell.tmpdir)
        if variables.get(VARIABLE) and not result.get("failed"):
            result["window"] = {"asked": asked, "answered": time.time()}
        return named_as_typed(result, self._task, variables)
