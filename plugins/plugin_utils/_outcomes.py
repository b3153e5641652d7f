# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What became of each host of a playbook, as a code. Pure: the variables of a host go in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import DELIVERIES, OUTCOMES, results
from ansible_collections.expanso.edge.plugins.plugin_utils._rotation import DOING, SINCE_THE_PLAN

FAILURE = "expanso_edge_failure"
"""Set by the playbooks on a host that failed: why."""

FAULT = "expanso_edge_fault"

FAILED, NO_RESULT = "failed", "no_result"
ANEW, ROTATED, FIRST, NEW_ALREADY, REGISTERED = "reregistered", "rotated", "first_token", "already_held", "registered"
OTHER, DELEGATED, AS_PLANNED, NOT_PLANNED, SINCE = "not_needed", "delegated", "as_planned", "not_planned", "changed_since_plan"

_RETIRED = ("removed", "kept", "delegated")
"""What counts of a host with several deliveries, the first before the others."""

Variables = Mapping[str, Any]


def provisioned(variables: Variables, failures: str = FAILURE) -> str:
    """Return a key of :data:`OUTCOMES`, :data:`FAILED` or :data:`NO_RESULT`.

    :param failures: name of the variable that holds why a host failed
    """
    if variables.get(failures) is not None:
        return FAILED
    actions = {result.get("action") for result in results(variables).values()}
    return next((action for action in OUTCOMES if action in actions), NO_RESULT)


def replaced(result: Mapping[str, Any]) -> bool:
    """Return whether what was written is another token than the one before, and not the same in another form, such as without a line feed."""
    before = result.get("previous_fingerprint")
    return before is None or before != result.get("fingerprint")


def rotated(variables: Variables, planned: Mapping[str, Mapping[str, Any]] | None) -> str:
    """Return what became of a host in a rotation.

    :param planned: what the plan says of the host, by delivery; None without a plan
    """
    if variables.get(FAILURE) is not None:
        return SINCE if variables.get(FAULT) in SINCE_THE_PLAN else FAILED
    if planned is not None:
        if not planned:
            return NOT_PLANNED
        if not any(entry["action"] in DOING for entry in planned.values()):
            return AS_PLANNED
    found = [result for result in results(variables).values() if result.get("action")]
    if any(result.get("reregister") for result in found):
        return ANEW
    written = [result for result in found if result["action"] == "written"]
    new = [result for result in written if replaced(result)]
    if new:
        return ROTATED if any(result.get("previous_fingerprint") for result in new) else FIRST
    if written:
        return NEW_ALREADY
    if any(result.get("registered") for result in found):
        return REGISTERED
    if any(result["action"] in ("kept", "repaired") for result in found):
        return NEW_ALREADY
    if any(result["action"] == "delegated" for result in found):
        return DELEGATED
    return OTHER if found else NO_RESULT


def retirements(variables: Variables) -> list[Mapping[str, Any]]:
    """Return what the roles registered when they retired a token, also of deliveries that the inventory does not name."""
    return [variables[f"{name}_retired"] for name in DELIVERIES if isinstance(variables.get(f"{name}_retired"), Mapping)]


def retired(variables: Variables) -> str:
    """Return what became of a host in a retirement: ``absent`` where there was nothing to remove."""
    if variables.get(FAILURE) is not None:
        return FAILED
    actions = [result.get("action") for result in retirements(variables)]
    if not any(actions):
        return NO_RESULT
    return next((action for action in _RETIRED if action in actions), "absent")
