# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.


"""Which nodes of a report belong to which group of an inventory. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Json, moment

BY_CODE = {
    "expanso_edge_left_over": ("left_over",),
    "expanso_edge_stale_token": ("too_old", "expired", "expires_soon"),
}
BY_SEVERITY = {"expanso_edge_findings_error": "error", "expanso_edge_findings_warning": "warning"}
GROUPS = (
    "expanso_edge_registered", "expanso_edge_unregistered", "expanso_edge_unreachable", "expanso_edge_failed", *BY_CODE, *BY_SEVERITY,
)  # fmt: skip


def members(report: Json, what: str, max_age: int | None, now: datetime) -> dict[str, list[str]]:
    """Return the names of nodes by group.

    :param what: what the report is, for messages
    :param max_age: in days
    :raises DataError: the report is damaged, or too old
    """
    try:
        _check_age(report, what, max_age, now)
        return _members(report)
    except (KeyError, TypeError, AttributeError):
        raise DataError(f"{what} is damaged: run the playbook expanso.edge.audit again") from None


def _check_age(report: Json, what: str, max_age: int | None, now: datetime) -> None:
    generated_at = moment(report["generated_at"])
    if generated_at is None:
        raise TypeError
    if max_age is not None and now - generated_at > timedelta(days=max_age):
        raise DataError(f"{what} is of {report['generated_at']}, more than {max_age} days ago: run the playbook expanso.edge.audit again")


_NAME = re.compile(r"(?!-)[^{}]+")
"""The name of a host. Who can write the report must not get a template evaluated, nor an option into the command line of ssh."""


def _members(report: Json) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {group: {} for group in GROUPS}
    known: set[str] = set()
    for node in report["nodes"]:
        name = node["name"]
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not name.isprintable():
            raise TypeError
        known.add(name)
        if node["registered"] is not None:
            found["expanso_edge_registered" if node["registered"] else "expanso_edge_unregistered"][name] = None
        if node["status"] in ("unreachable", "failed"):
            found[f"expanso_edge_{node['status']}"][name] = None
    holders = {token["fingerprint"]: token["held_by"] for token in report["tokens"]}
    for finding in report["findings"]:
        if finding["status"] == "waived":
            continue
        code, severity = finding["code"], finding["severity"]
        # a finding about a token concerns the nodes that hold it
        names = [finding["node"]] if finding["node"] is not None else holders.get(finding["fingerprint"], [])
        groups = [group for group, codes in BY_CODE.items() if code in codes] + [group for group, each in BY_SEVERITY.items() if each == severity]
        for group in groups:
            found[group].update(dict.fromkeys(name for name in names if name in known))  # Expanso Cloud may know others
    return {group: list(names) for group, names in found.items()}
