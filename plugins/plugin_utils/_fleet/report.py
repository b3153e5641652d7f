# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""From nodes and data to the report. Pure: the clock is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import compare, tokens, waivers
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.findings import fleet_findings, untold
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import SEVERITIES, Finding, Json, Node, iso
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.reconcile import reconcile
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.registry import Registry


class Limits(NamedTuple):
    """What tokens and nodes are judged by."""

    max_age_days: int | None = None
    stuck_hours: float = 24
    expires_within_days: int = 14


class Given(NamedTuple):
    """What a person gave besides the inventory."""

    registry: Registry | None = None
    waivers: list[waivers.Waiver] | None = None
    enrolled: list[str] | None = None  # names of the list from Expanso Cloud
    earlier: compare.Earlier | None = None
    trail: Json | None = None  # path, number of lines and last hash of the trail, if it could be verified
    others: tuple[Finding, ...] = ()  # findings about these data
    slices: list[Json] | None = None  # the reports that this one is made of
    slice: bool = False  # whether the nodes are a part of the fleet, so that waivers for others are not unused
    trail_runs: Mapping[str, set[str]] = {}  # names of the nodes that each run changed, according to the trail


def build(nodes: list[Node], given: Given, limits: Limits, run: Json, inventory: Iterable[str], now: datetime) -> Json:
    """Return the report.

    :param run: the run's identity, as the report shows it
    :param inventory: all hosts of the inventory, not only those that were asked
    """
    inventory = list(inventory)
    uses = tokens.uses(nodes, given.registry or {})
    found = [finding for node in nodes for finding in node.findings]
    found += fleet_findings(nodes, uses, given.registry, now, limits.expires_within_days)
    found += given.others
    if given.trail is not None:
        found += untold(nodes, given.trail["path"], given.trail_runs)
    if given.enrolled is not None:
        found += reconcile(nodes, inventory, given.enrolled)
    answered = {node.name for node in nodes if node.status == "answered"}
    if not given.slice:
        found += waivers.unused(found, given.waivers or [], [name for name in {*inventory, *(node.name for node in nodes)} if name not in answered])
    known = None if given.earlier is None else {each["id"] for each in given.earlier.findings}
    findings = sorted((_shown(mark, each, given.waivers or [], known, now) for mark, each in compare.identified(found)), key=_order)
    scope = compare.Scope(nodes, given.registry is not None, given.enrolled is not None, given.trail is not None)
    return {
        "schema_version": compare.SCHEMA_VERSION,
        "generated_at": iso(now),
        "run": run,
        "limits": limits._asdict(),
        "scope": {
            "asked": len(nodes),
            "answered": len(answered),
            "unreachable": [node.name for node in nodes if node.status == "unreachable"],
            "failed": [{"node": node.name, "message": node.message} for node in nodes if node.status == "failed"],
        },
        "totals": _totals(nodes, findings),
        "tokens": tokens.shown(uses),
        "nodes": [_node(node) for node in nodes],
        "findings": findings,
        "trail": given.trail,
        "compared_with": given.earlier.shown if given.earlier else None,
        **({} if given.slices is None else {"slices": given.slices}),
        "mended": compare.mended(given.earlier, (each["id"] for each in findings), scope) if given.earlier else [],
    }


def _order(finding: Json) -> tuple[int, str, str, str, str, str]:
    place, fingerprint = finding["place"] or "", finding["fingerprint"] or ""
    return SEVERITIES.index(finding["severity"]), finding["code"], finding["node"] or "", place, fingerprint, finding["message"]


def _shown(mark: str, finding: Finding, waived: list[waivers.Waiver], known: set[str] | None, now: datetime) -> Json:
    status, waiver = waivers.status(finding, waived, now.date())
    message = finding.message
    if waiver is not None and status == "expired_waiver":
        message += f"{waivers.EXPIRED}{waiver.expires.isoformat()}: renew it or correct the cause; owner {waiver.owner})"
    return {
        "id": mark,
        **finding._asdict(),
        "message": message,
        "status": status,
        "waiver": waiver.shown if waiver else None,
        "change": None if known is None else "still" if mark in known else "new",
    }


def _totals(nodes: list[Node], findings: list[Json]) -> Json:
    counted = [each["severity"] for each in findings if each["status"] != "waived"]
    return {
        **{severity: counted.count(severity) for severity in SEVERITIES},
        "waived": len(findings) - len(counted),
        "nodes": len(nodes),
        "registered": sum(node.registered is True for node in nodes),
        "unregistered": sum(node.registered is False for node in nodes),
        "unknown": sum(node.registered is None for node in nodes),
    }


def _node(node: Node) -> Json:
    return {
        "name": node.name,
        "status": node.status,
        "deliveries": node.deliveries,
        "groups": node.groups,
        "registered": node.registered,
        "registered_at": node.registered_at,
        "enrolled_with": node.enrolled_with,
        "tokens": list(node.tokens),
        "units": list(node.units),
        "clock_offset_seconds": node.clock_offset,
    }


def exceeds(report: Json, fail_on: str) -> bool:
    """Return whether a report fails the run, by its findings or because no node answered.

    :param fail_on: ``error``, ``warning`` or ``never``
    """
    totals = report["totals"]
    return bool((fail_on != "never" and (totals["error"] or silent(report))) or (fail_on == "warning" and totals["warning"]))


def silent(report: Json) -> bool:
    """Return whether no node answered, so that the report is about none."""
    return bool(report["scope"]["asked"] and not report["scope"]["answered"])
