# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Compare findings with those of an earlier report. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Finding, Json, Node, moment

SCHEMA_VERSION = 1

_KEYS = ("id", "code", "severity", "node", "place", "fingerprint", "message", "remedy", "status", "waiver", "change")
REGISTRY = ("unknown_token", "outside_groups", "too_many_nodes", "enrolled_with_unknown_token")
_RECORDS = ("shared_single_use", "spent_elsewhere", "trail_incomplete", *REGISTRY)
"""What enrolment records tell, too."""

_NO_RECORD = ("record_damaged", "record_not_readable")
_CLOUD = ("unknown_to_inventory", "unknown_to_cloud")
TRAIL = ("trail_broken",)
_NEED_TRAIL = (*TRAIL, "trail_incomplete")
_ABOUT_DATA = ("waiver_unused", "previous_unreadable", "slice_missing", "slice_unusable", "slice_unexpected", "slice_overlap")

OF_ALL = ("unknown", "audit_failed", "clock_off", "expires_soon", *_RECORDS, *_CLOUD, *TRAIL, *_ABOUT_DATA)
"""What the controller finds, and not a node. Only C(expired) is found by both."""


class Earlier(NamedTuple):
    """What is needed of an earlier report."""

    generated_at: str
    sha256: str
    findings: list[Json]
    answered: frozenset[str]
    trail: Json | None = None

    @property
    def shown(self) -> Json:
        """The earlier report as the new one names it."""
        return {"generated_at": self.generated_at, "sha256": self.sha256}


class Scope(NamedTuple):
    """What this audit can tell about."""

    nodes: list[Node]
    registry: bool
    cloud: bool
    trail: bool


def read(content: bytes, what: str) -> Earlier:
    """Return an earlier report.

    :param what: what it is, for messages
    :raises DataError: it is not a report, or of another version
    """
    report = load(content, what)
    try:
        findings = [{key: each[key] for key in _KEYS} for each in report["findings"]]
        answered = frozenset(str(node["name"]) for node in report["nodes"] if node["status"] == "answered")
        generated_at, trail = report["generated_at"], report.get("trail")
        sound = moment(generated_at) is not None and all(isinstance(each["id"], str) and isinstance(each["code"], str) for each in findings)
        sound = sound and (trail is None or all(isinstance(trail[key], str) for key in ("path", "hash")))
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise DataError(f"{what} is damaged: remove it, or name another report")
    return Earlier(generated_at, hashlib.sha256(content).hexdigest(), findings, answered, trail)


def load(content: bytes, what: str) -> Json:
    """Return a report of a version that is known.

    :raises DataError: it is none
    """
    try:
        report = json.loads(content)
    except (ValueError, RecursionError):
        raise DataError(f"{what} is not JSON: name the JSON report of the playbook expanso.edge.audit") from None
    if not isinstance(report, dict) or "schema_version" not in report:
        raise DataError(f"{what} is not a report of the playbook expanso.edge.audit")
    if report["schema_version"] != SCHEMA_VERSION or isinstance(report["schema_version"], bool):
        raise DataError(f"{what} has another schema_version than {SCHEMA_VERSION}: it was written by another release of this collection")
    return report


def identified(findings: Iterable[Finding]) -> list[tuple[str, Finding]]:
    """Return findings with their identifiers, which are the same in every report. Findings that differ only in words are told apart by their order."""
    seen: dict[tuple[Any, ...], int] = {}
    result = []
    for finding in sorted(findings, key=lambda each: each.message):
        key = (finding.code, finding.node, finding.place, finding.fingerprint)
        count = seen[key] = seen.get(key, 0) + 1
        parts = list(key) + ([count] if count > 1 else [])
        result.append((hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16], finding))
    return result


def mended(earlier: Earlier, now: Iterable[str], scope: Scope) -> list[Json]:
    """Return the findings of an earlier report that are certainly gone.

    :param now: identifiers of the findings of this audit
    """
    known = set(now)
    answered = {node.name for node in scope.nodes if node.status == "answered"}
    recorded = answered - {node.name for node in scope.nodes if any(each.code in _NO_RECORD for each in node.findings)}
    return [
        each
        for each in earlier.findings
        if each["id"] not in known and _judged(each, earlier, recorded if each["code"] in _RECORDS else answered, scope)
    ]


def _judged(finding: Mapping[str, Any], earlier: Earlier, answered: set[str], scope: Scope) -> bool:
    """Return whether this audit would have found a finding again.

    :param answered: names of the nodes that told what the finding is about
    """
    code = finding["code"]
    if (code in REGISTRY and not scope.registry) or (code in _CLOUD and not scope.cloud) or (code in _NEED_TRAIL and not scope.trail):
        return False
    if code in (*TRAIL, *_ABOUT_DATA) or code == "unknown_to_inventory":
        return True
    if finding["node"] is not None and code != "spent_elsewhere":
        return finding["node"] in answered
    # one of the whole fleet may be about any node that was known
    return earlier.answered <= answered
