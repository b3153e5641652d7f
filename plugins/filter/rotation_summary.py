# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import results, waits_for_registration
from ansible_collections.expanso.edge.plugins.plugin_utils._job import some_of
from ansible_collections.expanso.edge.plugins.plugin_utils._outcomes import (
    ANEW,
    AS_PLANNED,
    DELEGATED,
    FAILED,
    FAILURE,
    FIRST,
    NEW_ALREADY,
    NO_RESULT,
    NOT_PLANNED,
    OTHER,
    REGISTERED,
    ROTATED,
    SINCE,
    replaced,
    rotated,
)
from ansible_collections.expanso.edge.plugins.plugin_utils._rotation import held_in, is_registered
from ansible_collections.expanso.edge.plugins.plugin_utils._summary import first_line, label, reasons, together

TEXTS = {
    ANEW: "registered anew",
    ROTATED: "received the new token",
    FIRST: "received its first token",
    NEW_ALREADY: "keeps its token: the same one was given, or none",
    REGISTERED: "registered, left as it is",
    OTHER: "needs no token",
    DELEGATED: "done on another host (the manager of its swarm)",
    AS_PLANNED: "nothing to do according to the plan",
    NOT_PLANNED: "not in the plan, left untouched",
    SINCE: "changed since the plan, left untouched",
    FAILED: "failed",
    NO_RESULT: "not reached (in a later batch, unreachable, or skipped by tags)",
}

UNKNOWN = "a token that is not known before its source is asked"

Variables = Mapping[str, Any]
Planned = Mapping[str, Mapping[str, Mapping[str, Any]]]


def rotation_summary(
    hosts: list[str],
    hostvars: Mapping[str, Variables],
    check: bool = False,
    job: Mapping[str, Variables] | None = None,
    planned: Planned | None = None,
    plan_file: str | None = None,
) -> list[str]:
    """Return lines for people: what became of the nodes' tokens, why nodes failed and what they hold, and what to do next.

    :param check: whether this was a run in check mode
    :param job: variables of the hosts as the play sees them; they take precedence over ``hostvars``
    :param planned: the plan that was carried out, by node and delivery
    :param plan_file: the file of the plan
    """
    known = together(hosts, hostvars, job)
    outcomes = {host: rotated(known[host], None if planned is None else planned.get(host, {})) for host in hosts}
    labels = sorted(set(filter(None, map(label, known.values()))))
    lines = [f"{_nodes(hosts)}" + (f", token label {', '.join(labels)}" if labels else "")]
    if check:
        lines[0] += "; check mode: this is what would be done"
    for outcome, text in TEXTS.items():
        names = [host for host in hosts if outcomes[host] == outcome]
        if names:
            lines.append(f"  {text}: {len(names)} ({some_of(names)})")
        if outcome in (SINCE, FAILED):
            lines += reasons({host: first_line(known[host][FAILURE]) for host in names})
            lines += _held({host: known[host] for host in names})
    done = {host: known[host] for host in hosts if outcomes[host] in (ANEW, ROTATED, FIRST)}
    lines += _tokens(done)
    lines += _cost({host: known[host] for host in hosts if outcomes[host] == ANEW}, check)
    return lines + _next_steps(known, outcomes, check, plan_file if check else None, planned is not None)


def _held(by_host: Mapping[str, Variables]) -> list[str]:
    """Return lines that say what nodes hold that failed, as far as they were looked at afterwards."""
    lines = []
    for host, variables in by_host.items():
        for name in results(variables):
            audit = variables.get(f"{name}_audit") or {}
            if audit.get("tokens") is None:
                continue
            held = held_in(audit, variables.get(f"{name}_result") or {}).get("fingerprint")
            shown = f"token {first_line(held)}" if held else "no token that can be read"
            lines.append(f"    {host} holds {shown} now, and is {'' if is_registered(audit) else 'not '}registered")
    return lines


def _tokens(done: Mapping[str, Variables]) -> list[str]:
    """Return a line for each pair of an old and a new token."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for host, variables in done.items():
        for result in results(variables).values():
            if result.get("action") == "written" and replaced(result) or result.get("reregister"):
                pair = (str(result.get("previous_fingerprint") or "none"), str(result.get("fingerprint") or UNKNOWN))
                pairs.setdefault(pair, []).append(host)
    return [f"  token {old} -> {new}: {len(names)} ({some_of(names)})" for (old, new), names in sorted(pairs.items())]


def _cost(anew: Mapping[str, Variables], check: bool) -> list[str]:
    """Return what re-registration cost."""
    if not anew:
        return []
    used = {result.get("fingerprint") for variables in anew.values() for result in results(variables).values() if result.get("reregister")}
    would = "would register" if check else "registered"
    return [f"  re-registration {would} {_nodes(anew)} anew, with {len(used)} token{'' if len(used) == 1 else 's'}, used one time for each node"]


def _next_steps(known: Mapping[str, Variables], outcomes: Mapping[str, str], check: bool, plan_file: str | None, planned: bool) -> list[str]:
    def those(*wanted: str) -> list[str]:
        return [host for host in known if outcomes[host] in wanted]

    lines = []
    if those(FAILED):
        lines.append(
            f"next: correct what failed on {_nodes(those(FAILED))}, then run the same command again: nodes that are done stay as they are, "
            "and a node that failed holds either its old or its new token, never a part of one"
        )
    if those(SINCE):
        lines.append(f"next: find out what changed on {_nodes(those(SINCE))} since the plan was made, then make a new plan with --check")
    if check and plan_file and those(ANEW, ROTATED, FIRST):
        lines.append(f"next: to do this and nothing else, run the same command without --check and with -e expanso_edge_plan_file={plan_file}")
    if not check:
        waiting = [host for host in those(ROTATED, FIRST, NEW_ALREADY) if waits_for_registration(known[host])]
        if waiting:
            lines.append(f"next: {_nodes(waiting)} with a token and no registration ({some_of(waiting)}): start the agent there")
        lines += _reminder([known[host] for host in those(ANEW, ROTATED)])
    if not check and those(NO_RESULT) and those(FAILED, SINCE):
        lines.append(f"next: {_nodes(those(NO_RESULT))} not reached yet; the run stops if more nodes failed than expanso_edge_max_fail_percentage allows")
    return lines


def _reminder(done: Iterable[Variables]) -> list[str]:
    found = [result for each in done for result in results(each).values()]
    old = sorted({str(result["previous_fingerprint"]) for result in found if result.get("previous_fingerprint") and replaced(result)})
    if not old:
        return []
    return [
        f"next: revoke the old token in Expanso Cloud ({some_of(old)}), as soon as no node holds it any more: "
        f"ansible-playbook expanso.edge.audit -e expanso_edge_fingerprint={old[0]} shows where it still is"
    ]


def _nodes(hosts: Iterable[str]) -> str:
    count = len(list(hosts))
    return f"{count} node{'' if count == 1 else 's'}"


class FilterModule:
    """The result of a rotation, for people."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"rotation_summary": rotation_summary}
