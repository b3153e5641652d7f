# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the token for the module of this name if its task does not give one, and registers the node with it if that is asked for."""

from __future__ import annotations

from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._following_registration import combined, options, refusal
from ansible_collections.expanso.edge.plugins.plugin_utils._token_action import Json, TokenAction
from ansible_collections.expanso.edge.plugins.plugin_utils._typed import named_as_typed

REGISTRATION = "expanso.edge.edge_registration"


class ActionModule(TokenAction):
    """See :mod:`plugins.plugin_utils._token_action` and :mod:`plugins.plugin_utils._following_registration`."""

    def run(self, tmp: Any = None, task_vars: Json | None = None) -> Json:
        fault = refusal(self._task.args, bool(self._task.async_val))
        if fault:
            return {"failed": True, "msg": fault}
        delivered = super().run(tmp, task_vars)
        wanted = options(self._task.args, delivered)
        if wanted is None:
            return delivered
        task = self._task.copy()
        task.action, task.args = REGISTRATION, wanted
        loader = self._shared_loader_obj.action_loader
        parts = {"connection": self._connection, "play_context": self._play_context, "loader": self._loader, "templar": self._templar}
        action = loader.get(REGISTRATION, task=task, shared_loader_obj=self._shared_loader_obj, **parts)
        # the options of a registration are written here, as suboptions
        return named_as_typed(combined(delivered, action.run(task_vars=task_vars)), self._task, task_vars or {})
