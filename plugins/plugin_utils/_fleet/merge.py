# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""From the reports of slices back to nodes, so that one report can be made of them. Pure.

AWX runs a large job as slices, each of which knows only its own hosts. What only all nodes together tell is found anew.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import compare
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.findings import NOTHING_KNOWN
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import SEVERITIES, Enrolment, Finding, Json, Node, moment
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.scope import CODE, KINDS, LONGEST, NO_MANAGER, mark, printable
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.waivers import EXPIRED
from ansible_collections.expanso.edge.plugins.plugin_utils._job import some_of

NO_SLICE = "no slice reported on this node"

STATUSES = ("answered", "unreachable", "failed")

_MOST_DAYS = 1_000_000
_MOST_SECONDS = 1e12  # more than from the year 1 to the year 9999

_TEXTS = ("owner", "group", "mode", "state")
_STATES = ("load_state", "active_state", "sub_state")
_AGAIN = "run the audit again in all its slices"


class Part(NamedTuple):
    """The report of a slice."""

    job: str  # the name of its directory
    generated_at: str
    sha256: str
    nodes: list[Node]
    registry: bool  # whether there was a registry
    trail: bool  # whether an audit trail was looked at

    @property
    def shown(self) -> Json:
        """The slice as the report of all slices names it."""
        return {"job": self.job, "generated_at": self.generated_at, "sha256": self.sha256, "nodes": len(self.nodes)}


def read(content: bytes, job: str, where: str) -> Part:
    """Return the report of a slice.

    :param job: the job that made it
    :param where: the file, for messages
    :raises DataError: it is not a report, of another version, or damaged
    """
    report = compare.load(content, where)
    try:
        generated_at, findings = report["generated_at"], [_finding(each) for each in report["findings"]]
        by_node: dict[str | None, list[Finding]] = {}
        for each in findings:
            by_node.setdefault(each.node, []).append(each)
        _require(moment(generated_at) is not None)
        codes = {each.code for each in findings}
        records = _records(report["tokens"])
        nodes = [_node(each, by_node.get(each["name"], []), records) for each in report["nodes"]]
        registry = any(each["registry"] is not None for each in report["tokens"]) or bool(codes & set(compare.REGISTRY))
        trail = report.get("trail") is not None or bool(codes & set(compare.TRAIL))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise DataError(f"{where} is damaged") from None
    return Part(job, generated_at, hashlib.sha256(content).hexdigest(), nodes, registry, trail)


def _require(sound: bool) -> None:
    if not sound:
        raise ValueError


def _text(value: Any, empty: bool = False) -> str:
    _require(isinstance(value, str) and (empty or bool(value)) and len(value) <= 2 * LONGEST)  # a finding adds a few words to what a node said
    return printable(value)


def _some_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _some_mark(value: Any) -> str | None:
    _require(value is None or mark(value) is not None)
    return mark(value)


def _some_time(value: Any) -> str | None:
    _require(value is None or moment(value) is not None)
    return _some_text(value)


def _some_kind(value: Any) -> str | None:
    _require(value is None or value in KINDS)
    return _some_text(value)


def _texts(value: Any) -> list[str]:
    _require(isinstance(value, list))
    return [_text(each) for each in value]


def _finding(data: Mapping[str, Any]) -> Finding:
    _require(isinstance(data["code"], str) and CODE.fullmatch(data["code"]) is not None and data["severity"] in SEVERITIES)
    message = _text(data["message"])
    if data["status"] == "expired_waiver":  # which is judged anew
        message = message.partition(EXPIRED)[0]
    return Finding(
        data["code"], data["severity"], _some_text(data["node"]), _some_text(data["place"]), _some_mark(data["fingerprint"]), message,
        _text(data["remedy"], empty=True),
    )  # fmt: skip


def _records(tokens: Iterable[Mapping[str, Any]]) -> dict[str, list[Enrolment]]:
    """Return which tokens each node was given, as far as a report tells: when it was given each of them for the last time."""
    found: dict[str, list[Enrolment]] = {}
    for token in tokens:
        fingerprint = _some_mark(_text(token["fingerprint"]))
        for each in token["enrolled"]:
            entry = Enrolment(fingerprint or "", _some_kind(token["kind"]), _some_text(token["label"]), _some_time(each["written_at"]))
            found.setdefault(_text(each["node"]), []).append(entry)
    return found


def _node(data: Mapping[str, Any], own: list[Finding], records: Mapping[str, list[Enrolment]]) -> Node:
    name, offset = _text(data["name"]), data["clock_offset_seconds"]
    _require(data["status"] in STATUSES and (data["registered"] is None or isinstance(data["registered"], bool)))
    _require(offset is None or isinstance(offset, (int, float)) and not isinstance(offset, bool) and abs(offset) <= _MOST_SECONDS)  # also not NaN
    return Node(
        name=name,
        status=data["status"],
        message=_reason(own),
        deliveries=_texts(data["deliveries"]),
        groups=_texts(data["groups"]),
        registered=data["registered"],
        registered_at=_some_time(data["registered_at"]),
        record=tuple(sorted(records.get(name, []), key=lambda entry: entry.written_at or "")),
        tokens=tuple(_token(each) for each in data["tokens"]),
        units=tuple(_unit(each) for each in data["units"]),
        findings=tuple(each for each in own if each.code not in compare.OF_ALL),
        clock_offset=offset,
        enrolment=_some_mark(data["enrolled_with"]),
    )


def _reason(findings: Iterable[Finding]) -> str:
    """Return why a node did not answer, as its finding says it."""
    for each in findings:
        for code, words in NOTHING_KNOWN.items():
            if each.code == code and each.message.startswith(words):
                return each.message[len(words) :]
    return ""


def _token(data: Mapping[str, Any]) -> Json:
    age = data["age_days"]
    _require(age is None or isinstance(age, int) and not isinstance(age, bool) and 0 <= age <= _MOST_DAYS)
    return {
        "place": _text(data["place"]),
        "fingerprint": _some_mark(data["fingerprint"]),
        "kind": _some_kind(data["kind"]),
        "label": _some_text(data["label"]),
        "age_days": age,
        "expires_at": _some_time(data["expires_at"]),
        **{name: _some_text(data[name]) for name in _TEXTS},
    }


def _unit(data: Mapping[str, Any]) -> Json:
    enabled = data["enabled"]
    states = {state: _some_text(data[state]) for state in _STATES}
    return {"name": _text(data["name"]), **states, "enabled": enabled if isinstance(enabled, bool) else _some_text(enabled)}


def together(parts: Sequence[Part], names: Sequence[str], broken: Mapping[str, str], expected: int | None) -> tuple[list[Node], list[Finding]]:
    """Return the nodes of all slices, and what is wrong with the reports of these.

    :param names: the hosts of the inventory, for the order
    :param broken: why a report cannot be used, by its file
    :param expected: how many slices there were, None if that is not known
    """
    found: dict[str, tuple[tuple[bool, str], Node]] = {}
    for part in parts:
        for node in part.nodes:
            better = (node.status == "answered", part.generated_at)
            if node.name not in found or better > found[node.name][0]:
                found[node.name] = (better, node)
    order = {name: number for number, name in enumerate(names)}
    nodes = sorted((node for _better, node in found.values()), key=lambda node: order.get(node.name, len(order)))
    return _with_managers(nodes), list(_faults(parts, broken, expected))


def _with_managers(nodes: list[Node]) -> list[Node]:
    """Return the nodes, with those of a swarm whose manager answered in another slice."""
    said = {node.registered for node in nodes if node.status == "answered" and "swarm_secret" in node.deliveries}
    if not said:
        return nodes
    registered = said.pop() if len(said) == 1 else None
    return [node._replace(status="answered", message="", registered=registered) if node.message == NO_MANAGER else node for node in nodes]


def _faults(parts: Sequence[Part], broken: Mapping[str, str], expected: int | None) -> Iterable[Finding]:
    jobs = [part.job for part in parts]
    there = f"those of the jobs {some_of(jobs)} are there" if jobs else "none is there"
    for path, reason in broken.items():
        yield Finding("slice_unusable", "error", None, path, None, f"the report of a slice cannot be used: {reason}", _AGAIN)
    if expected is not None and len(parts) + len(broken) < expected:
        message = f"{expected - len(parts) - len(broken)} of {expected} slices have no report; {there}"
        yield Finding("slice_missing", "error", None, None, None, message, f"look at the slice's job; {_AGAIN}")
    if expected is not None and len(parts) + len(broken) > expected:
        message = f"there are {len(parts) + len(broken)} reports of {expected} slices; {there}"
        yield Finding("slice_unexpected", "warning", None, None, None, message, "remove those of other jobs, or correct expanso_edge_slices")
    counts = Counter(node.name for part in parts for node in part.nodes)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        message = f"several slices reported on the same nodes, of which the last answer counts: {len(twice)} ({some_of(twice)})"
        yield Finding("slice_overlap", "info", None, None, None, message, "nothing to do if a slice was run again")
