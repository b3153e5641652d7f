# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The report in a few lines for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import SEVERITIES, Json
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.report import silent
from ansible_collections.expanso.edge.plugins.plugin_utils._job import some_of

_PLURALS = {"error": "errors", "warning": "warnings", "info": "for information"}
_MOST_TOKENS = 10
_NEXT = (
    (("left_over",), "remove tokens that are no longer needed: expanso.edge.retire"),
    (("too_old", "expires_soon"), "replace tokens before they are too old: expanso.edge.rotate"),
    (("unknown",), "make all nodes reachable: nothing is known of those that did not answer"),
    (("not_registered_in_time",), "start the agent on nodes that hold a token and are not registered, or remove the token"),
)


def lines(report: Json, paths: Mapping[str, str], check: bool, set_name: str | None = None) -> list[str]:
    """Return the summary.

    :param paths: the files by format
    :param check: whether this was a run in check mode, which writes none
    :param set_name: of the slices that this one belongs to, None where it is none
    """
    scope, totals = report["scope"], report["totals"]
    failed = [each["node"] for each in scope["failed"]]
    result = [f"{_nodes(scope['asked'])} asked, {scope['answered']} answered" + ("; check mode: no report is written" if check else "")]
    for what, names in (("unreachable, so nothing is known of them", scope["unreachable"]), ("failed", failed)):
        if names:
            result.append(f"  {what}: {len(names)} ({some_of(names)})")
    result.append(f"  registered: {totals['registered']}, not registered: {totals['unregistered']}, unknown: {totals['unknown']}")
    for severity in SEVERITIES:
        found = [each for each in report["findings"] if each["severity"] == severity and each["status"] != "waived"]
        result.append(f"{_PLURALS[severity]}: {len(found)}")
        result += _by_code(found)
    waived = [each for each in report["findings"] if each["status"] == "waived"]
    if waived:
        result.append(f"waived: {len(waived)}")
        result += _by_code(waived)
    result += _tokens(report)
    result += _comparison(report)
    codes = {each["code"] for each in report["findings"] if each["status"] != "waived"}
    result += [f"next: {advice}" for wanted, advice in _NEXT if codes & set(wanted)]
    if set_name is not None:
        result.append(f"next: this is one slice; when all have ended, make one report of them: expanso.edge.merge_audits -e expanso_edge_slices_of={set_name}")
    if paths and not check:
        result.append(f"report: {', '.join(paths.values())}")
    return result


def verdict(report: Json, fail_on: str) -> str:
    """Return in one sentence why a run fails."""
    if silent(report):
        return f"no node answered, so nothing is known of any; the report says why (expanso_edge_audit_fail_on: {fail_on})"
    totals = report["totals"]
    found = [_counted(totals["error"], "error")] + ([_counted(totals["warning"], "warning")] if fail_on == "warning" else [])
    return f"the audit found {' and '.join(found)}; the report says where, and what to do (expanso_edge_audit_fail_on: {fail_on})"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _nodes(number: int) -> str:
    return _counted(number, "node")


def _by_code(findings: Iterable[Json]) -> list[str]:
    nodes: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding["code"]] = counts.get(finding["code"], 0) + 1
        names = nodes.setdefault(finding["code"], [])
        name = finding["node"] or (f"token {finding['fingerprint']}" if finding["fingerprint"] else finding["place"] or "fleet")
        if name not in names:
            names.append(name)
    return [f"  {code}: {count} ({some_of(nodes[code])})" for code, count in counts.items()]


def _tokens(report: Json) -> list[str]:
    tokens = report["tokens"]
    if not tokens:
        return ["tokens: none"]
    result = [f"tokens: {len(tokens)}"]
    enrolled = Counter(node["enrolled_with"] for node in report["nodes"])
    for token in tokens[:_MOST_TOKENS]:
        name = f"{token['label']} ({token['fingerprint']})" if token["label"] else token["fingerprint"]
        result.append(f"  {name}: on {_nodes(len(token['held_by']))}, enrolled {_nodes(enrolled[token['fingerprint']])}")
    if len(tokens) > _MOST_TOKENS:
        result.append(f"  and {len(tokens) - _MOST_TOKENS} more, which are in the report")
    return result


def _comparison(report: Json) -> list[str]:
    earlier = report["compared_with"]
    if earlier is None:
        return []
    changes = [each["change"] for each in report["findings"]]
    counted = f"{changes.count('new')} new, {changes.count('still')} still there, {len(report['mended'])} resolved"
    return [f"compared with the report of {earlier['generated_at']}: {counted}"]
