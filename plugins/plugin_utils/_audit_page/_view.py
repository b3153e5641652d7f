# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What the page shows of a report: findings in groups, nodes with what was found on them, and the plots. Each part is gone through once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ._chart import Age, Chart, chart
from ._text import plural

SEVERITIES = ("error", "warning", "info")
NAMES = {"error": ("error", "errors"), "warning": ("warning", "warnings"), "info": ("note", "notes"), "waived": ("waived", "waived")}
TITLES = {"error": "Errors", "warning": "Warnings", "info": "Notes", "waived": "Waived"}
FEW = 10
"""A group of more findings is collapsed."""

Report = Mapping[str, Any]
Finding = Mapping[str, Any]


class Group(NamedTuple):
    """Findings with one code and severity."""

    code: str
    severity: str
    findings: list[Finding]
    remedy: str | None  # what helps all of them, None if it differs
    is_open: bool


class Section(NamedTuple):
    key: str
    title: str
    total: int
    new: int
    groups: list[Group]


class Node(NamedTuple):
    number: int
    facts: Mapping[str, Any]
    counts: Mapping[str, int]  # findings by severity, and those waived
    oldest: int | None


def kind_of(finding: Finding) -> str:
    """The section that a finding belongs to."""
    return "waived" if finding["status"] == "waived" else str(finding["severity"])


def grouped(findings: Iterable[Finding]) -> list[Group]:
    """Groups in the order in which their first findings come."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        found.setdefault((finding["severity"], finding["code"]), []).append(finding)
    groups = []
    for (severity, code), members in found.items():
        remedies = {finding["remedy"] for finding in members}
        groups.append(Group(code, severity, members, remedies.pop() if len(remedies) == 1 else None, len(members) <= FEW))
    return groups


def sections(findings: Iterable[Finding]) -> list[Section]:
    """All four, also those without a finding."""
    found: dict[str, list[Finding]] = {key: [] for key in TITLES}
    for finding in findings:
        found[kind_of(finding)].append(finding)
    return [
        Section(key, TITLES[key], len(members), sum(finding["change"] == "new" for finding in members), grouped(members))
        for key, members in found.items()
    ]


def nodes(report: Report) -> list[Node]:
    counts: dict[str, Counter[str]] = {}
    for finding in report["findings"]:
        counts.setdefault(finding["node"], Counter())[kind_of(finding)] += 1
    return [
        Node(
            index,
            node,
            counts.get(node["name"], Counter()),
            max((token["age_days"] for token in node["tokens"] if token["age_days"] is not None), default=None),
        )
        for index, node in enumerate(report["nodes"])
    ]


def listed(parts: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def verdict(report: Report) -> list[str]:
    """The report in a sentence or two."""
    totals, scope = report["totals"], report["scope"]
    found = [plural(totals[severity], *NAMES[severity]) for severity in SEVERITIES if totals[severity]]
    total = sum(totals[severity] for severity in SEVERITIES)
    if found:
        sentences = [f"{listed(found)} {'is' if total == 1 else 'are'} open."]
    else:
        sentences = [f"Nothing is open on the {plural(scope['answered'], 'node')} that answered."]
    if totals["waived"]:
        sentences.append(f"{plural(totals['waived'], 'finding')} {'is' if totals['waived'] == 1 else 'are'} waived.")
    silent = len(scope["unreachable"]) + len(scope["failed"])
    if silent:
        sentences.append(f"{plural(silent, 'node')} of {scope['asked']:,} could not be audited: what they hold is unknown, not clean.")
    return sentences


def copies(report: Report) -> tuple[list[Age], int]:
    """Every copy of a token whose age is known, and the number of the others."""
    ages, unknown = [], 0
    for node in report["nodes"]:
        for token in node["tokens"]:
            if token["age_days"] is None:
                unknown += 1
            else:
                ages.append(Age(token["age_days"], f"{node['name']}: {token['place'] or 'token'}, {plural(token['age_days'], 'day')}"))
    return ages, unknown


def charts(ages: list[Age], limit: int | None) -> list[Chart]:
    """The plot for a wide and for a narrow page, none without ages."""
    plots = [chart(ages, limit, width) for width in (960, 340)]
    return [plot for plot in plots if plot]


def view(report: Report) -> dict[str, Any]:
    """The variables of the template."""
    findings = [finding for finding in report["findings"] if kind_of(finding) != "waived"]
    limit = report["limits"]["max_age_days"]
    ages, unknown_ages = copies(report)
    return {
        "report": report,
        "verdict": verdict(report),
        "sections": sections(report["findings"]),
        "changes": Counter(finding["change"] for finding in findings),
        "mended": grouped(report["mended"]),
        "nodes": nodes(report),
        "index": {node["name"]: index for index, node in enumerate(report["nodes"])},
        "silent": [{"node": name, "message": ""} for name in report["scope"]["unreachable"]] + list(report["scope"]["failed"]),
        "charts": charts(ages, limit),
        "known_ages": len(ages),
        "unknown_ages": unknown_ages,
        "over_limit": sum(age.days > limit for age in ages) if limit is not None else 0,
        "titles": TITLES,
        "names": NAMES,
        "answers": {"answered": "Answered", "unreachable": "Did not answer", "failed": "Failed"},
        "kinds": {"bootstrap_key": "bootstrap key", "jwt": "JWT", "opaque": "opaque"},
    }
