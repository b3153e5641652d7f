# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""From what hosts answered to nodes. Nothing that a node says is trusted to have the right type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import FINGERPRINT, SEVERITIES, Enrolment, Finding, Json, Node, from_seconds, moment

LONGEST = 2000
"""Characters of a text of a node that are kept."""

NO_ANSWER = "there is no answer: the node was not reached, or its tasks were skipped"
NO_MANAGER = "there is no answer: no manager of its swarm answered"
_OF_NODES = ("file", "systemd")
"""Deliveries that are done on the node that answers for them. The record of a swarm or a cluster may be told by another host."""

_COPIES = ("copy", "copy_readable")
KINDS = ("bootstrap_key", "jwt", "opaque")

CODE = re.compile(r"[a-z][a-z0-9_]{0,59}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Host(NamedTuple):
    """A host of the play after its tasks."""

    name: str
    groups: Sequence[str] = ()
    deliveries: Sequence[str] = ()
    results: Mapping[str, Any] = {}  # of the deliveries that ran, by role
    failure: str | None = None
    reached: bool = True


def nodes(hosts: Iterable[Host]) -> list[Node]:
    """Return what is known of each host."""
    hosts = list(hosts)
    managers = [node for node in (_node(host) for host in hosts if "swarm_secret" in host.results) if node.status == "answered"]
    return [_worker(host, managers) if _is_worker(host) else _node(host) for host in hosts]


def _is_worker(host: Host) -> bool:
    """Return whether a host belongs to a swarm that another host answers for."""
    return set(host.deliveries) == {"swarm_secret"} and not host.results and host.failure is None


def _worker(host: Host, managers: list[Node]) -> Node:
    if not managers:
        return Node(host.name, "unreachable", NO_MANAGER, list(host.deliveries), sorted(host.groups))
    registered = managers[0].registered if len(managers) == 1 else None
    return Node(host.name, "answered", "", list(host.deliveries), sorted(host.groups), registered)


def _node(host: Host) -> Node:
    answers = {role: result for role, result in host.results.items() if isinstance(result, Mapping) and isinstance(result.get("tokens"), list)}
    failed = [result["msg"] for result in host.results.values() if isinstance(result, Mapping) and result.get("failed") and result.get("msg")]
    failure = text(host.failure or (failed[0] if failed else None))
    missing = [role for role in host.deliveries if role not in answers and role != "swarm_secret"]
    status = "answered"
    if failure:
        status = "failed" if host.reached else "unreachable"
    elif missing or not answers:
        status, failure = "unreachable", NO_ANSWER
    facts = [part if isinstance(part := result.get("node"), Mapping) else {} for result in answers.values()]
    return Node(
        name=host.name,
        status=status,
        message=failure or "",
        deliveries=list(host.deliveries),
        groups=sorted(host.groups),
        registered=_registered(facts),
        registered_at=max((at for each in facts if (at := _time(each.get("registered_at")))), default=None),
        record=_record(facts),
        tokens=tuple(_tokens(answers.values())),
        units=tuple(_units(facts)),
        findings=tuple(_findings(host.name, answers.values())),
        clock_offset=_clock_offset(answers.values()),
    )


def text(value: Any) -> str | None:
    """Return a text of a node with control characters spelled out, None instead of an empty one."""
    if value is None or isinstance(value, (dict, list)):
        return None
    return printable(str(value)[:LONGEST]) or None


def printable(text: str) -> str:
    """Return a text with control characters spelled out."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def mark(value: Any) -> str | None:
    """Return a fingerprint, None instead of anything else."""
    return str(value) if isinstance(value, str) and FINGERPRINT.fullmatch(value) else None


def _time(value: Any) -> str | None:
    return str(value).replace("+00:00", "Z") if moment(value) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _dictionaries(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _registered(facts: list[Mapping[str, Any]]) -> bool | None:
    """Return whether a node is registered everywhere. One agent that is not registered is what has to be seen."""
    said = {each.get("registered") for each in facts if isinstance(each.get("registered"), (bool, type(None)))}
    if False in said:
        return False
    return True if said == {True} else None


def _record(facts: list[Mapping[str, Any]]) -> tuple[Enrolment, ...]:
    entries: dict[Enrolment, None] = {}  # the roles of a host may share a data directory
    for entry in (each for part in facts for each in _dictionaries(part.get("record"))):
        fingerprint = mark(entry.get("fingerprint"))
        if fingerprint:
            run = text(entry.get("run_id")) if entry.get("delivery") in _OF_NODES else None
            entries[Enrolment(fingerprint, _kind(entry.get("kind")), text(entry.get("label")), _time(entry.get("written_at")), run)] = None
    return tuple(sorted(entries, key=lambda entry: entry.written_at or ""))


def _kind(value: Any) -> str | None:
    return value if value in KINDS else None


def _place(token: Mapping[str, Any]) -> str | None:
    return text(token.get("place") or token.get("path"))


def _tokens(results: Iterable[Mapping[str, Any]]) -> Iterable[Json]:
    seen = set()
    for token in (each for result in results for each in _dictionaries(result["tokens"])):
        place, fingerprint = _place(token), mark(token.get("fingerprint"))
        if (place, fingerprint) in seen or place is None or not (token.get("exists") or fingerprint):
            continue
        seen.add((place, fingerprint))
        yield {
            "place": place,
            "fingerprint": fingerprint,
            "kind": _kind(token.get("token_kind")),
            "label": text(token.get("label")),
            "age_days": _number(token.get("age_days")),
            "expires_at": _time(token.get("expires_at")),
            **{name: text(token.get(name)) for name in ("owner", "group", "mode", "state")},
        }


def _units(facts: list[Mapping[str, Any]]) -> Iterable[Json]:
    seen = set()
    for unit in (each for part in facts for each in _dictionaries(part.get("units"))):
        name = text(unit.get("name"))
        if name is None or name in seen:
            continue
        seen.add(name)
        enabled = unit.get("enabled")
        states = {state: text(unit.get(state)) for state in ("load_state", "active_state", "sub_state")}
        yield {"name": name, **states, "enabled": enabled if isinstance(enabled, bool) else text(enabled)}


def _findings(node: str, results: Iterable[Mapping[str, Any]]) -> Iterable[Finding]:
    found: dict[Finding, None] = {}  # the roles of a host may look at the same places
    results = list(results)
    places = [{_place(token) for token in _dictionaries(result["tokens"])} for result in results]
    for result, own in zip(results, places):
        facts = result.get("node")
        told = [_finding(node, entry, None, None) for entry in _dictionaries(facts.get("findings") if isinstance(facts, Mapping) else None)]
        for token in _dictionaries(result["tokens"]):
            told += [_finding(node, entry, _place(token), mark(token.get("fingerprint"))) for entry in _dictionaries(token.get("findings"))]
        # what is a copy to the role of one delivery may be the file of another, which judges it itself
        others = set().union(*places) - own
        found.update((each, None) for each in told if not (each.code in _COPIES and each.place in others))
    return found


def _finding(node: str, entry: Mapping[str, Any], place: str | None, fingerprint: str | None) -> Finding:
    code, severity = entry.get("code"), entry.get("severity")
    return Finding(
        code=code if isinstance(code, str) and CODE.fullmatch(code) else "unknown_finding",
        severity=severity if severity in SEVERITIES else "error",
        node=node,
        place=text(entry.get("place")) or place,
        fingerprint=mark(entry.get("fingerprint")) or fingerprint,
        message=text(entry.get("message")) or "the node gave no message",
        remedy=text(entry.get("remedy")) or "",
    )


def _clock_offset(results: Iterable[Mapping[str, Any]]) -> float | None:
    """Return by how many seconds a node's clock is certainly off: outside of the time between the question and the answer."""
    offsets = []
    for result in results:
        window, facts = result.get("window"), result.get("node")
        said = moment(facts.get("time")) if isinstance(facts, Mapping) else None
        if said is None or not isinstance(window, Mapping):
            continue
        offset = _outside(said, window)
        if offset is not None:
            offsets.append(offset)
    return min(offsets, key=abs) if offsets else None


def _outside(said: datetime, window: Mapping[str, Any]) -> float | None:
    try:
        asked, answered = from_seconds(float(window["asked"])), from_seconds(float(window["answered"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if said < asked:
        return round((said - asked).total_seconds(), 3)
    return round((said - answered).total_seconds(), 3) if said > answered else 0.0
