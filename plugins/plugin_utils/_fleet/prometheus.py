# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The report as a file for the textfile collector of Prometheus' node_exporter. Pure.

It has no names of nodes and no messages: labels with many values are expensive there, and the file is readable by others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import SEVERITIES, Json, moment

PREFIX = "expanso_edge_audit_"
_DAY = 86400

Sample = tuple[dict[str, str], float]


def render(report: Json, fail_on: str = "error") -> bytes:
    """Return gauges with their HELP and TYPE."""
    totals, scope = report["totals"], report["scope"]
    findings = Counter((each["severity"], each["code"], each["status"]) for each in report["findings"])
    lines: list[str] = []

    def gauge(name: str, text: str, samples: Iterable[Sample]) -> None:
        shown = [f"{PREFIX}{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
        if shown:
            lines.extend([f"# HELP {PREFIX}{name} {text}", f"# TYPE {PREFIX}{name} gauge", *shown])

    gauge(
        "findings",
        "Findings by severity, code and status (open, waived, expired_waiver).",
        [(dict(zip(("severity", "code", "status"), key)), number) for key, number in sorted(findings.items())],
    )
    gauge("unwaived_findings", "Findings by severity, without those that are waived.", [({"severity": each}, totals[each]) for each in SEVERITIES])
    gauge("nodes", "Nodes that were asked.", [({}, scope["asked"])])
    gauge("answered_nodes", "Nodes that answered.", [({}, scope["answered"])])
    gauge("unreachable_nodes", "Nodes that nothing is known of, because they were not reached.", [({}, len(scope["unreachable"]))])
    gauge("failed_nodes", "Nodes on which the audit failed.", [({}, len(scope["failed"]))])
    gauge("registered_nodes", "Nodes that are registered.", [({}, totals["registered"])])
    gauge("unregistered_nodes", "Nodes that are not registered.", [({}, totals["unregistered"])])
    ran = moment(report["generated_at"])
    gauge("last_run_timestamp_seconds", "When the audit ended.", [({}, ran.timestamp())] if ran else [])
    tokens = [(_token(token), token) for token in report["tokens"]]
    gauge("token_nodes", "Nodes that hold a token.", [(labels, len(token["held_by"])) for labels, token in tokens])
    ages = [(labels, token["oldest_age_days"] * _DAY) for labels, token in tokens if token["oldest_age_days"] is not None]
    gauge("token_age_seconds", "How long ago a token was written, on the node that holds it longest, in whole days.", ages)
    expiries = [(labels, end.timestamp()) for labels, token in tokens if (end := moment(token["expires_at"])) is not None]
    gauge("token_expiry_timestamp_seconds", "When a token expires or expired.", expiries)
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _token(token: Json) -> dict[str, str]:
    return {"fingerprint": token["fingerprint"], "label": token["label"] or ""}


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def escaped(value: str) -> str:
    """Return the value of a label as it is written between quotation marks."""
    printable = value.encode("utf-8", "backslashreplace").decode("utf-8")  # before the backslashes are escaped
    return printable.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
