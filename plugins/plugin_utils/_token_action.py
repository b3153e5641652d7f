# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The controller's part of the modules that take a token. Its source is asked at most one time, and on demand only if a token is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.display import Display
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import HOLDING
from ansible_collections.expanso.edge.plugins.plugin_utils._recorded_action import Json, Module, RecordedAction, Variable
from ansible_collections.expanso.edge.plugins.plugin_utils._rotation import ENTRY, FLAG, expected, is_true, mismatch
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import Found, SourceError, decrypter, resolve

ON_DEMAND_VARIABLE = "expanso_edge_token_on_demand"
NOT_ASKED = f"its source is asked on demand (variable {ON_DEMAND_VARIABLE})"

STAND_IN = "exp_bk_stand-in.of.check.mode"
"""Given to a module in check mode instead of a token on demand: a prediction must not use a token that its source gives only one time."""
UNKNOWN = "unknown-in-check-mode"  # it may become part of a name

display = Display()


class TokenAction(RecordedAction):
    """Runs the module of the same name, with token and source if the task gives no token.

    The token is never judged here, but by the module on the node, because only the node knows whether it needs a token.
    """

    _asked: ClassVar[tuple[Any, Found] | None] = None
    """The last task that a token was found for. A retried task gets a new action, which must not ask the source again."""

    def _answer(self, module: Module, variable: Variable, variables: Mapping[str, Any]) -> Json:
        """Run the module one time, or two times if its first answer is that it needs a token.

        With a plan of a rotation, the module also gets what its place has to hold, and is not run where it is not what was planned.

        :raises SourceError: the variable that asks for on demand is not a boolean
        """
        if self._task.args.get("token") is not None or self._task.args.get("state") not in (None, "present"):
            return module()
        planned, args = variable(ENTRY), self._task.args

        def asked() -> Json:
            token = self._find(variable, variables)
            return mismatch(planned, args, token["token"]) or module(**token, **expected(planned))

        # a task in the background has no answer yet
        if not _on_demand(variable) or self._task.async_val:
            return asked()
        answer = mismatch(planned, args, None) or module(token_source=NOT_ASKED)
        if not _needs_token(answer, rotating=is_true(variable(FLAG))):
            return answer
        second = _predicted(module(token=STAND_IN, token_source=NOT_ASKED)) if self._task.check_mode else asked()
        return dict(second, changed=bool(answer.get("changed") or second.get("changed")))

    def _find(self, variable: Variable, variables: Mapping[str, Any]) -> dict[str, str]:
        """Return token and source as options. A source that cannot be used gives no token, and the reason instead of its name."""
        last = TokenAction._asked
        if last is not None and last[0] is self._task:
            found = last[1]
        else:
            try:
                found = resolve(variable, decrypt=decrypter(self._loader))
                TokenAction._asked = (self._task, found)
            except SourceError as exc:
                found = Found(None, str(exc))
        if found.warning:
            display.warning(found.warning)
        display.vv(f"bootstrap token for {variables.get('inventory_hostname', 'localhost')}: {found.source}")
        return {"token": found.token or "", "token_source": found.described}


def _needs_token(answer: Json, rotating: bool) -> bool:
    """Return whether a module that was run without a token needs one.

    :param rotating: whether a usable token is to be replaced, except on a registered node. The modules of swarms and clusters do not return V(reregister)
    """
    if answer.get("failed"):
        return answer.get("fault") == "missing"
    return rotating and answer.get("action") in HOLDING and (not answer.get("registered") or bool(answer.get("reregister", True)))


def _on_demand(variable: Variable) -> bool:
    value = variable(ON_DEMAND_VARIABLE)
    try:
        return value not in (None, "") and bool(boolean(value))
    except TypeError:
        pass
    raise SourceError(f"variable {ON_DEMAND_VARIABLE} is not a boolean: set it to true or false")


def _predicted(answer: Json) -> Json:
    """Return a module's result for the stand-in, without the values that depend on the token itself."""
    mark = fingerprint(STAND_IN)

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cleaned(each) for key, each in value.items()}
        if isinstance(value, list):
            return [cleaned(each) for each in value]
        return value.replace(mark, UNKNOWN) if isinstance(value, str) else value

    predicted: Json = cleaned(answer)
    for key in ("token_kind", "fingerprint", "expires_at"):
        if key in predicted:
            predicted[key] = None
    if isinstance(predicted.get("record"), dict):
        predicted["record"].update(fingerprint=None, kind=None)
    if "msg" in predicted:
        predicted["msg"] = f"{predicted['msg']}; check mode did not ask the token's source"
    return predicted
