# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The report as Compliance Findings of the Open Cybersecurity Schema Framework, one JSON object a line, for a SIEM. Pure."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Json, moment

VERSION = "1.8.0"
STANDARD = "Expanso Edge bootstrap tokens"

_CLASS, _CATEGORY = 2003, 2
_SEVERITY = {"error": (4, "High"), "warning": (3, "Medium"), "info": (1, "Informational")}
_ACTIVITY = {"new": (1, "Create"), None: (1, "Create"), "still": (2, "Update"), "mended": (3, "Close")}
_UNCERTAIN = (
    "audit_failed", "exposure_incomplete", "not_readable", "pipeline_unknown", "previous_unreadable", "registration_unknown", "unknown",
)  # fmt: skip


def render(report: Json, fail_on: str = "error") -> bytes:
    """Return an event for each finding, and one that closes each mended finding of the earlier report."""
    events = [_event(report, finding, finding["change"]) for finding in report["findings"]]
    events += [_event(report, finding, "mended") for finding in report["mended"]]
    return "".join(json.dumps(event, sort_keys=True) + "\n" for event in events).encode("ascii")


def _event(report: Json, finding: Json, change: str | None) -> Json:
    when = moment(report["generated_at"])
    milliseconds = int(when.timestamp() * 1000) if when else 0
    severity_id, severity = _SEVERITY[finding["severity"]]
    activity_id, activity = _ACTIVITY[change]
    event: Json = {
        "activity_id": activity_id,
        "activity_name": activity,
        "category_name": "Findings",
        "category_uid": _CATEGORY,
        "class_name": "Compliance Finding",
        "class_uid": _CLASS,
        "type_name": f"Compliance Finding: {activity}",
        "type_uid": _CLASS * 100 + activity_id,
        "severity": severity,
        "severity_id": severity_id,
        "time": milliseconds,
        "message": finding["message"],
        **_status(finding, change),
        "compliance": _compliance(finding, change),
        "finding_info": {"uid": finding["id"], "title": finding["code"].replace("_", " "), "desc": finding["message"], "types": [finding["code"]]},
        "metadata": {
            "version": VERSION,
            "product": {"name": "expanso.edge.audit", "vendor_name": "Expanso Edge collection", "version": report["run"]["collection_version"]},
            "correlation_uid": report["run"]["run_id"],
            "uid": f"{report['run']['run_id']}-{finding['id']}",
        },
        "unmapped": {key: finding[key] for key in ("code", "place", "fingerprint", "waiver") if finding[key] is not None},
    }
    if finding["remedy"]:
        event["remediation"] = {"desc": finding["remedy"]}
    if finding["node"] is not None:
        event["resources"] = [{"type": "Edge node", "name": finding["node"], "uid": finding["node"]}]
    return event


def _status(finding: Json, change: str | None) -> dict[str, Any]:
    """Return where a finding is in its life. A waived one is suppressed."""
    if change == "mended":
        return {"status": "Resolved", "status_id": 4}
    if finding["status"] == "waived":
        return {"status": "Suppressed", "status_id": 3}
    return {"status": "In Progress", "status_id": 2} if change == "still" else {"status": "New", "status_id": 1}


def _compliance(finding: Json, change: str | None) -> Json:
    result = (3, "Fail")
    if finding["code"] in _UNCERTAIN:
        result = (2, "Warning")  # no result, because something is not known
    if change == "mended" or (finding["severity"] == "info" and finding["code"] not in _UNCERTAIN):
        result = (1, "Pass")
    status_id, status = result
    check = {"uid": finding["code"], "name": finding["code"].replace("_", " "), "status": status, "status_id": status_id}
    return {"control": finding["code"], "standards": [STANDARD], "checks": [check], "status": status, "status_id": status_id}
