# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._job import some_of
from ansible_collections.expanso.edge.plugins.plugin_utils._outcomes import retirements
from ansible_collections.expanso.edge.plugins.plugin_utils._reach import UNREACHABLE
from ansible_collections.expanso.edge.plugins.plugin_utils._summary import first_line, reasons

Variables = Mapping[str, Any]

CHECK_MODE = "; check mode: this is what would be done"
AUDIT = "ansible-playbook expanso.edge.audit"


def retire_summary(
    hosts: list[str],
    hostvars: Mapping[str, Variables],
    fingerprint: Any = "",
    failures: str = "expanso_edge_failure",
    check: bool = False,
) -> list[str]:
    """Return lines for people: from which nodes a token was removed, which still hold one, and what to do next.

    :param fingerprint: of the one token that was to be removed, empty where all that are not needed were
    :param failures: name of the variable that holds why a host failed
    :param check: whether this was a run in check mode
    """
    actions = {host: [result.get("action") for result in retirements(hostvars[host])] for host in hosts}
    problems = {host: first_line(hostvars[host][failures]) for host in hosts if hostvars[host].get(failures) is not None}
    away = [host for host in problems if problems[host].startswith(UNREACHABLE)]
    failed = [host for host in problems if host not in away]
    silent = [host for host in hosts if host not in problems and not any(actions[host])]

    def having(action: str, among: Iterable[str]) -> list[str]:
        return [host for host in among if action in actions[host]]

    removed = having("removed", hosts)
    kept = [host for host in having("kept", hosts) if host not in failed and host not in away]
    delegated = having("delegated", hosts)
    nothing = [host for host in hosts if host not in {*removed, *kept, *problems, *delegated, *silent}]
    title = f", token {fingerprint}" if fingerprint else ""
    lines = [nodes(len(hosts)) + title + (CHECK_MODE if check else "")]
    lines += line("token removed", removed)
    lines += line("nothing to remove", nothing)
    lines += line("holds another token, which stays" if fingerprint else "still held, because not registered", kept)
    lines += line("done on another host (the manager of its swarm)", delegated)
    lines += line("failed", failed) + reasons({host: problems[host] for host in failed})
    lines += line("not reached, so unknown", away) + reasons({host: problems[host] for host in away})
    lines += line("no result (in a later batch, or skipped by tags)", silent)
    unknown = [host for host in hosts if host in {*problems, *silent}]
    return lines + (_after_emergency(str(fingerprint), unknown, check) if fingerprint else _after(removed, kept, check))


def nodes(count: int) -> str:
    """Return a number of nodes in words."""
    return f"{count} node{'' if count == 1 else 's'}"


def line(outcome: str, names: Sequence[str]) -> list[str]:
    """Return the line of an outcome with its nodes, none where there are none."""
    return [f"  {outcome}: {len(names)} ({some_of(names)})"] if names else []


def _after_emergency(fingerprint: str, unknown: list[str], check: bool) -> list[str]:
    """Return whether the token is gone, and what is left to do."""
    if unknown:
        lines = [f"the token may still be held by {nodes(len(unknown))} ({some_of(unknown)}): correct what failed, and run this again"]
    else:
        lines = [f"the token {'would be' if check else 'is'} gone from its usual place on all nodes that were asked"]
    lines.append(f"next: copies in other places, such as shell histories, are not removed: find them with {AUDIT} -e expanso_edge_fingerprint={fingerprint}")
    return [*lines, "next: revoke the token in Expanso Cloud, on the workspace's Keys page: until then anyone who has it can register a node"]


def _after(removed: list[str], kept: list[str], check: bool) -> list[str]:
    lines = []
    if kept:
        hold = "holds" if len(kept) == 1 else "hold"
        lines.append(f"next: {nodes(len(kept))} still {hold} a token ({some_of(kept)}): let them register, or remove it with -e expanso_edge_retire_all=true")
    if removed and not check:
        lines.append("next: a removed token stays valid until it is revoked in Expanso Cloud, on the workspace's Keys page")
    return lines


class FilterModule:
    """The result of a retirement, for people."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"retire_summary": retire_summary}
