# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

OUTCOMES = {
    "written": "received a token",
    "repaired": "kept the token, permissions corrected",
    "removed": "token removed",
    "kept": "kept the token",
    "absent": "no token to remove",
    "not_needed": "registered already",
    "delegated": "left to another host (the manager of its swarm)",
}
"""What the roles report as action, in the order in which one stands for a host with several deliveries."""

FAILED = "failed"
NO_ANSWER = "no result (unreachable, or not their turn yet)"
NAMES_SHOWN = 10


def provision_summary(
    hosts: list[str], hostvars: Mapping[str, Mapping[str, Any]], failures: str = "expanso_edge_failure", check: bool = False
) -> list[str]:
    """Return lines for a person: how many nodes had which outcome, and why those failed that did."""
    outcomes = {host: _outcome(hostvars[host], failures) for host in hosts}
    labels = sorted({str(hostvars[host]["expanso_edge_token_label"]) for host in hosts if hostvars[host].get("expanso_edge_token_label")})
    lines = [f"{len(hosts)} node{'' if len(hosts) == 1 else 's'}" + (f", token label {', '.join(labels)}" if labels else "")]
    if check:
        lines[0] += "; check mode: this is what would become of them"
    for outcome in [*OUTCOMES.values(), FAILED, NO_ANSWER]:
        names = [host for host in hosts if outcomes[host] == outcome]
        if names:
            lines.append(f"  {outcome}: {len(names)} ({_shortened(names)})")
        if outcome == FAILED:
            lines += [f"    {host}: {_gist(hostvars[host][failures])}" for host in names]
    return lines


def _shortened(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _gist(text: Any) -> str:
    """Return one line of a message: the first, or what a program said where Ansible quotes its output behind that.

    ansible-core < 2.19 puts an excerpt of the playbook behind what a failed template says.
    """
    first, _newline, rest = str(text).strip().partition("\n")
    said = [line.strip() for line in rest.splitlines() if line.strip()]
    return f"{first} {said[-1]}" if ">>> Standard Error" in said else first


def _outcome(variables: Mapping[str, Any], failures: str) -> str:
    if variables.get(failures) is not None:
        return FAILED
    deliveries = variables.get("expanso_edge_delivery", "token_file")
    results = [variables.get(f"{name}_result") or {} for name in ([deliveries] if isinstance(deliveries, str) else deliveries)]
    actions = {result.get("action") for result in results}
    return next((text for action, text in OUTCOMES.items() if action in actions), NO_ANSWER)


class FilterModule:
    """What became of the hosts of a job."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"provision_summary": provision_summary}
