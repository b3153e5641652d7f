# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of this name, the first task of a role that contacts a host."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.expanso.edge.plugins.plugin_utils._reach import explained, failure
from ansible_collections.expanso.edge.plugins.plugin_utils._typed import named_as_typed


class ActionModule(ActionBase):
    """Reports a host that cannot be reached as a failed task, see :mod:`plugins.plugin_utils._reach`."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            result.update(explained(self._execute_module(task_vars=task_vars)))
        except AnsibleError as exc:
            result.update(failure(exc, task_vars or {}))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return named_as_typed(result, self._task, task_vars or {})
