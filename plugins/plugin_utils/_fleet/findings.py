# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What no node can know by itself: findings that need all nodes, the registry or the controller's clock. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import datetime, timedelta

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Finding, Node, iso, moment, nodes_counted
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.registry import Registry
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.tokens import Use

NOTHING_KNOWN = {"unknown": "nothing is known of this node: ", "audit_failed": "the audit failed on this node: "}
"""How the finding about a node that did not answer begins, by its code."""

CLOCK_TOLERANCE = 120
"""Seconds by which a node's clock may be off."""

_DAY = 86400
_OWN_TOKEN = "give each node its own token with expanso.edge.provision"
_EMERGENCY = "if nobody knows it, remove it with expanso.edge.retire and expanso_edge_fingerprint, and revoke it on the workspace's Keys page"
_ROTATE = "rotate it with expanso.edge.rotate, then revoke it on the workspace's Keys page"


def fleet_findings(nodes: list[Node], tokens: dict[str, Use], registry: Registry | None, now: datetime, expires_within: int) -> list[Finding]:
    """Return the findings about the whole fleet.

    :param registry: None if there is none, so that no token is unknown to it
    :param expires_within: days before its expiry when a token becomes a finding
    """
    found = [finding for node in nodes for finding in of_node(node)]
    for use in tokens.values():
        found += single_use(use)
        found += expiry(use, now, expires_within)
        if registry is not None:
            found += of_registry(use)
    return found


def of_node(node: Node) -> Iterable[Finding]:
    """Yield what is wrong with a node as such: it did not answer, or its clock is off."""
    if node.status == "unreachable":
        message = NOTHING_KNOWN["unknown"] + node.message
        yield Finding("unknown", "warning", node.name, None, None, message, "make it reachable, and run the audit again")
    elif node.status == "failed":
        message = NOTHING_KNOWN["audit_failed"] + node.message
        yield Finding("audit_failed", "error", node.name, None, None, message, "correct that, and run the audit again")
    offset = node.clock_offset
    if offset is not None and abs(offset) > CLOCK_TOLERANCE:
        message = f"the node's clock is {_duration(abs(offset))} {'fast' if offset > 0 else 'slow'}; it decides on the node whether a token has expired"
        yield Finding("clock_off", "warning", node.name, None, None, message, "let the node get the time from the network (chrony, systemd-timesyncd)")


def untold(nodes: Iterable[Node], trail: str, runs: Mapping[str, Container[str]]) -> Iterable[Finding]:
    """Yield the changes of nodes that the audit trail does not tell, although it tells others of the same run.

    :param trail: its path
    :param runs: names of the nodes that each run changed, according to the trail
    """
    for node in nodes:
        for entry in node.record:
            if entry.run_id is not None and node.name not in runs.get(entry.run_id, [node.name]):
                message = f"its record says that run {entry.run_id} gave this node the token {entry.fingerprint}, but no line of the audit trail {trail} does"
                remedy = "if that run was not killed, nor its connection lost, find out who removed the line; waive this finding when you know"
                yield Finding("trail_incomplete", "warning", node.name, trail, entry.fingerprint, message, remedy)


def _duration(seconds: float) -> str:
    for unit, name in ((_DAY, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds)} seconds"


def single_use(use: Use) -> Iterable[Finding]:
    """Yield what is wrong with a single-use token that several nodes have, had, or registered with."""
    if use.kind != "jwt":
        return
    name = f"the single-use token (JWT) {use.label + ' ' if use.label else ''}with fingerprint {use.fingerprint}"
    held, enrolled = [node.name for node in use.held], [node.name for node in use.enrolled]
    concerned = list(dict.fromkeys(held + enrolled + [node.name for node in use.given]))
    if len(enrolled) > 1:
        message = f"{name} was used by {nodes_counted(enrolled)}, although it registers only one"
        remedy = f"check in Expanso Cloud that each of these nodes is yours, and revoke the token; {_OWN_TOKEN}"
        yield Finding("shared_single_use", "error", None, None, use.fingerprint, message, remedy)
    elif len(held) > 1:
        message = f"{name} is on {nodes_counted(held)}, although it registers only one"
        yield Finding("shared_single_use", "error", None, None, use.fingerprint, message, f"{_OWN_TOKEN}, and remove this one")
    elif len(concerned) > 1 and not enrolled:
        message = f"{name} was given to {nodes_counted(concerned)}, although it registers only one"
        yield Finding("shared_single_use", "warning", None, None, use.fingerprint, message, _OWN_TOKEN)
    if not enrolled:
        return
    for node in (each for each in use.held + [given for given in use.given if given.name not in held] if each.name not in enrolled):
        place = next((token["place"] for token in node.tokens if token["fingerprint"] == use.fingerprint), None)
        has = "is on this node" if place else "was given to this node, which no longer has it"
        message = f"{name} {has}, but {use.enrolled[0].name} registered with it{_when(use.enrolled[0])}"
        remedy = "find out how it got here; " + ("remove it, and give this node its own token with expanso.edge.provision" if place else _OWN_TOKEN)
        yield Finding("spent_elsewhere", "error" if place else "warning", node.name, place, use.fingerprint, message, remedy)


def _when(node: Node) -> str:
    return f" on {node.registered_at[:10]}" if node.registered_at else ""


def expiry(use: Use, now: datetime, within: int) -> Iterable[Finding]:
    """Yield what is wrong with a token that has expired, or will soon. Only nodes that hold it matter, a JWT only to those that are not registered."""
    needed = [node.name for node in use.held if not node.registered]
    own = moment(use.expires_at)
    if own is not None and own <= now:
        yield from _missed(use)
    end = use.expiry
    if end is None or not use.held or (use.kind == "jwt" and not needed):
        return
    if own is not None and own <= now:
        return  # the nodes say so themselves
    holders = nodes_counted([node.name for node in use.held])
    if end <= now:
        severity = "error" if needed else "warning"
        message = f"{use.name} expired on {_last_day(end)} according to the registry, and is on {holders}"
        yield Finding("expired", severity, None, None, use.fingerprint, message, _ROTATE)
    elif end <= now + timedelta(days=within):
        days = max(0, int((end - now).total_seconds() // _DAY))
        message = f"{use.name} expires in {days} day{'' if days == 1 else 's'}, on {_last_day(end)}, and is on {holders}"
        # single-use tokens live for hours or days, so one that was placed today is as it should be
        fresh = use.kind == "jwt" and use.oldest_age_days == 0
        remedy = "register the nodes before, or rotate it with expanso.edge.rotate" if needed else "rotate it with expanso.edge.rotate before that day"
        yield Finding("expires_soon", "info" if fresh else "warning", None, None, use.fingerprint, message, remedy)


def _last_day(end: datetime) -> str:
    return iso(end - timedelta(seconds=1))[:10]


def _missed(use: Use) -> Iterable[Finding]:
    """Yield the expiry of a JWT on nodes that did not notice it, because their clock is slow."""
    for node in use.held:
        if node.registered or any(each.code == "expired" and each.fingerprint == use.fingerprint for each in node.findings):
            continue
        place = [token["place"] for token in node.tokens if token["fingerprint"] == use.fingerprint][0]
        message = f"{place} holds a token that expired on {(use.expires_at or '')[:10]}, which the node did not notice: its clock may be slow"
        yield Finding("expired", "error", node.name, place, use.fingerprint, message, "correct the node's clock; " + _OWN_TOKEN)


def of_registry(use: Use) -> Iterable[Finding]:
    """Yield where a token is used in another way than the registry says."""
    entry = use.registered
    if entry is None:
        if use.held:
            message = f"the registry does not know {use.name}, which is on {nodes_counted([node.name for node in use.held])}"
            yield Finding("unknown_token", "warning", None, None, use.fingerprint, message, f"add it to the registry; {_EMERGENCY}")
        for node in use.enrolled:
            message = f"the node registered with a token that the registry does not know ({use.fingerprint})"
            yield Finding("enrolled_with_unknown_token", "info", node.name, None, use.fingerprint, message, "add the token to the registry")
        return
    if entry.groups is not None:
        for node in use.used:
            if not set(entry.groups) & set(node.groups):
                place = next((token["place"] for token in node.tokens if token["fingerprint"] == use.fingerprint), None)
                what = "is on this node" if place else "enrolled this node"
                message = f"{use.name} {what}, which is in none of the token's groups ({', '.join(entry.groups)})"
                remedy = "give the node a token of its own group, or correct the registry; who has this token on a node can enrol others with it"
                yield Finding("outside_groups", "error", node.name, place, use.fingerprint, message, remedy)
    if entry.most_nodes is not None and len(use.used) > entry.most_nodes:
        message = f"{use.name} is on, or enrolled, {nodes_counted([node.name for node in use.used])}, more than {entry.most_nodes}"
        remedy = f"give fewer nodes this token, or correct most_nodes in the registry; if you do not know why: {_ROTATE}"
        yield Finding("too_many_nodes", "warning", None, None, use.fingerprint, message, remedy)
