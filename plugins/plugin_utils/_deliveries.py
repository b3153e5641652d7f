# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Which deliveries of a token there are, and what their roles report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import FINGERPRINT

DELIVERY_VARIABLE = "expanso_edge_delivery"
DEFAULT = "token_file"


class Delivery(NamedTuple):
    """A role that delivers tokens. It may leave the registration of the node to others, depending on one of its variables."""

    variable: str = ""  # empty: the role never does
    leaves_registration: Callable[[Any], bool] = lambda value: False


DELIVERIES = {
    "token_file": Delivery("token_file_register", lambda value: not value),
    "systemd_service": Delivery("systemd_service_state", lambda value: value == "stopped"),
    "swarm_secret": Delivery(),
    "k8s_secret": Delivery(),
}
"""The roles of this collection that deliver a token, by name."""

OUTCOMES = {
    "written": "received a token",
    "repaired": "held the token already, permissions corrected",
    "removed": "token removed",
    "kept": "held the token already",
    "absent": "no token to remove",
    "not_needed": "already registered",
    "delegated": "done on another host (the manager of its swarm)",
}
"""What a role reports as ``action`` of its result. A host with several deliveries is counted under the first of its actions here."""

HOLDING = ("written", "repaired", "kept")
"""Actions that leave a token on the node."""


def named(variables: Mapping[str, Any]) -> list[Any]:
    """Return what a host names as its deliveries. Nothing is checked: a name may be unknown, or not even a text."""
    value = variables.get(DELIVERY_VARIABLE, DEFAULT)
    return value if isinstance(value, list) else [value]


def results(variables: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what the roles of a host's deliveries registered as their results, by role; empty where a role did not run."""
    found = {name: variables.get(f"{name}_result") for name in named(variables) if isinstance(name, str)}
    return {name: _sound(result) for name, result in found.items()}


def _sound(result: Any) -> Mapping[str, Any]:
    """Return a result as far as it can be used: a node may answer anything. People copy a fingerprint from the summary into a command."""
    if not isinstance(result, Mapping) or not isinstance(result.get("action", ""), str):
        return {}
    marks = {name: result[name] for name in ("fingerprint", "previous_fingerprint") if name in result}
    return {**result, **{name: value if isinstance(value, str) and FINGERPRINT.fullmatch(value) else None for name, value in marks.items()}}


def waits_for_registration(variables: Mapping[str, Any]) -> bool:
    """Return whether a node holds a token, is not registered, and is not registered by this run either."""
    return any(
        result.get("action") in HOLDING and not result.get("registered") and delivery.leaves_registration(variables.get(delivery.variable))
        for name, result in results(variables).items()
        for delivery in [DELIVERIES.get(name, Delivery())]
    )
