# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.module_utils._secrets import mask
from ansible_collections.expanso.edge.plugins.plugin_utils._job import DELIVERY_VARIABLE, LABEL_VARIABLE, NOT_TEMPLATED, some_of

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
NO_ANSWER = "no result (unreachable, not their turn yet, or left out by tags)"

WAITING = {
    "token_file": lambda variables: not variables.get("token_file_register"),
    "systemd_service": lambda variables: variables.get("systemd_service_state") == "stopped",
}
"""Deliveries that may leave it to others to start the agent, and whether they do."""

Variables = Mapping[str, Any]


def provision_summary(
    hosts: list[str],
    hostvars: Mapping[str, Variables],
    failures: str = "expanso_edge_failure",
    check: bool = False,
    job: Mapping[str, Variables] | None = None,
) -> list[str]:
    """Return lines for a person: how many nodes had which outcome, why those failed that did, and what to do next."""
    known: dict[str, Variables] = {host: ChainMap(dict((job or {}).get(host, {})), hostvars[host]) for host in hosts}  # type: ignore[arg-type]
    outcomes = {host: _outcome(variables, failures) for host, variables in known.items()}
    labels = sorted({label for label in map(_label, known.values()) if label})
    lines = [f"{len(hosts)} node{'' if len(hosts) == 1 else 's'}" + (f", token label {', '.join(labels)}" if labels else "")]
    if check:
        lines[0] += "; check mode: this is what would become of them"
    for outcome in [*OUTCOMES.values(), FAILED, NO_ANSWER]:
        names = [host for host in hosts if outcomes[host] == outcome]
        if names:
            lines.append(f"  {outcome}: {len(names)} ({some_of(names)})")
        if outcome == FAILED:
            lines += _reasons({host: _gist(known[host][failures]) for host in names})
    waiting = [host for host in hosts if outcomes[host] != FAILED and _waits(known[host])]
    if waiting and not check:
        lines.append(
            f"next: {len(waiting)} node{' holds' if len(waiting) == 1 else 's hold'} a token and {'is' if len(waiting) == 1 else 'are'} not registered "
            f"({some_of(waiting)}): start the agent there, or let the role register the node with token_file_register"
        )
    return lines


def _reasons(gists: Mapping[str, str]) -> list[str]:
    """Return a line for each reason, with the hosts that it holds for."""
    hosts: dict[str, list[str]] = {}
    for host, gist in gists.items():
        hosts.setdefault(gist, []).append(host)
    return [f"    {some_of(names)}: {gist}" for gist, names in hosts.items()]


def _label(variables: Variables) -> str:
    try:
        label = str(variables.get(LABEL_VARIABLE) or "")
    except Exception:  # it is made of what is not defined: no reason to keep the summary back
        return ""
    return "" if label == NOT_TEMPLATED or "{{" in label else mask(label)


def _gist(text: Any) -> str:
    """Return one line of a message: the first, or what a program said where Ansible quotes its output behind that.

    ansible-core < 2.19 puts an excerpt of the playbook behind what a failed template says.
    """
    first, _newline, rest = str(text).strip().partition("\n")
    said = [line.strip() for line in rest.splitlines() if line.strip()]
    return f"{first} {said[-1]}" if ">>> Standard Error" in said else first


def _results(variables: Variables) -> dict[str, Variables]:
    """Return what the roles of a host's deliveries reported, by role."""
    named = variables.get(DELIVERY_VARIABLE, "token_file")
    return {name: variables.get(f"{name}_result") or {} for name in ([named] if isinstance(named, str) else named)}


def _outcome(variables: Variables, failures: str) -> str:
    if variables.get(failures) is not None:
        return FAILED
    actions = {result.get("action") for result in _results(variables).values()}
    return next((text for action, text in OUTCOMES.items() if action in actions), NO_ANSWER)


def _waits(variables: Variables) -> bool:
    """Whether a node holds a token and nothing in this run registers it."""
    return any(
        result.get("action") in ("written", "repaired", "kept") and not result.get("registered") and WAITING[name](variables)
        for name, result in _results(variables).items()
        if name in WAITING
    )


class FilterModule:
    """What became of the hosts of a job."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"provision_summary": provision_summary}
