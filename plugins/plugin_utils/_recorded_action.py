# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The controller's part of all modules that change a token: they learn which run they belong to, and what they changed is appended to the audit trail."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.expanso.edge.plugins.module_utils._record import LONGEST
from ansible_collections.expanso.edge.plugins.module_utils._secrets import mask
from ansible_collections.expanso.edge.plugins.plugin_utils._changes import Change, changes
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import plain
from ansible_collections.expanso.edge.plugins.plugin_utils._job import LABEL_VARIABLE
from ansible_collections.expanso.edge.plugins.plugin_utils._reach import explained, failure
from ansible_collections.expanso.edge.plugins.plugin_utils._rendering import reader
from ansible_collections.expanso.edge.plugins.plugin_utils._run import RUN_ID, job_id, user
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import SourceError
from ansible_collections.expanso.edge.plugins.plugin_utils._trail import TrailError, append, check
from ansible_collections.expanso.edge.plugins.plugin_utils._typed import named_as_typed

TRAIL_VARIABLE = "expanso_edge_trail_file"

Json = dict[str, Any]
Variable = Callable[[str], Any]
Module = Callable[..., Json]


class RecordedAction(ActionBase):
    """Runs the module of the same name. The audit trail is opened before the node is touched, so that no change is missing in it."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: Any = None, task_vars: Json | None = None) -> Json:
        result: Json = super().run(tmp, task_vars)
        variables = {} if task_vars is None else task_vars
        variable = reader(self._templar, variables)
        options = self._options(variable, variables)  # with the token, when one was found
        in_background = bool(self._task.async_val) and not getattr(self._connection, "has_native_async", False)

        def module(**token: str) -> Json:
            options.update(token)
            answer: Json = self._execute_module(module_args=_discreet(options), task_vars=task_vars, wrap_async=in_background)
            return explained(answer, str(options.get("token") or ""))

        try:
            trail = None if self._task.check_mode else _trail_file(variable)
            if trail is not None:
                check(trail)
            result.update(self._answer(module, variable, variables))
            if trail is not None:
                self._note(trail, options, result, variables)
        except (SourceError, TrailError) as exc:
            result.update(failed=True, msg=_after_a_change(result, str(exc)))
        except AnsibleError as exc:
            result.update(failure(exc, variables))
        finally:
            if not in_background:
                self._remove_tmp_path(self._connection._shell.tmpdir)
        return named_as_typed(result, self._task, variables)

    def _answer(self, module: Module, variable: Variable, variables: Mapping[str, Any]) -> Json:
        """Run the module and return its result.

        :param variable: returns a variable's value
        :raises SourceError: a variable cannot be used
        """
        return module()

    def _options(self, variable: Variable, variables: Mapping[str, Any]) -> Json:
        """Return the module's options: the task's own, and which run this is where the task does not say."""
        found = {"token_label": _label(variable), "run_id": RUN_ID, "job_id": job_id(variables)}
        own = self._task.args
        return {**own, **{name: value for name, value in found.items() if own.get(name) is None and value is not None}}

    def _note(self, trail: str, options: Json, result: Json, variables: Mapping[str, Any]) -> None:
        """Append what was changed to the audit trail.

        :raises TrailError: that is not possible
        """
        if result.get("ansible_job_id") and self._task.async_val:
            found = [Change("started in the background, so the result is unknown", str(self._task.action), None, None)]
        else:
            found = _changes(str(self._task.action), options, result)
        token, options = str(options.get("token") or ""), _discreet(options)
        run = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "node": variables.get("inventory_hostname"),
            "module": self._task.action,
            "user": user(variables),
            "label": options.get("token_label"),
            "run_id": options.get("run_id"),
            "job_id": options.get("job_id"),
        }
        for change in found:
            # a name or a label may be the token by mistake
            append(trail, {name: None if value is None else mask(str(value), token) for name, value in {**run, **change._asdict()}.items()})


def _changes(module: str, options: Json, result: Json) -> list[Change]:
    """Return what a module changed. A node may answer anything, and that it did is worth a line."""
    try:
        return changes(module.rpartition(".")[2], options, result)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return [Change("unknown, because the answer is not one of the module", module, None, None)]


def _trail_file(variable: Variable) -> str | None:
    """Return the path of the audit trail, None where none is asked for.

    :raises SourceError: the variable is not a text
    """
    value = variable(TRAIL_VARIABLE)
    if value in (None, ""):
        return None
    # a name alone may be the token by mistake, and would become the name of a file
    if not isinstance(value, str) or "\0" in value or not (plain(value) or value.startswith(("/", "./", "../", "~"))):
        raise SourceError(f"variable {TRAIL_VARIABLE} is not the path of a file on the controller: give it an absolute one")
    return os.path.abspath(os.path.expanduser(value))


def _label(variable: Variable) -> str | None:
    """Return the token's label as one line of text, None where there is none. A token is not refused because its label cannot be used."""
    try:
        value = variable(LABEL_VARIABLE)
    except SourceError:
        return None
    if value is None or isinstance(value, (dict, list)):
        return None
    text = mask(str(value)[: 10 * LONGEST])[:LONGEST]
    return "".join(each if each.isprintable() else "?" for each in text).strip() or None


def _discreet(options: Json) -> Json:
    """Return options without the label where it may be the token by mistake, and no token is known that would be masked in it."""
    label = options.get("token_label")
    if options.get("token") or not isinstance(label, str) or plain(label):
        return dict(options)
    return {**options, "token_label": None}


def _after_a_change(result: Json, fault: str) -> str:
    """Return a fault, with what was done nevertheless."""
    return f"{result['msg']}; but {fault}" if result.get("changed") and result.get("msg") else fault
