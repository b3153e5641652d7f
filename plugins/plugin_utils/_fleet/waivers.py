# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Findings that somebody answers for until a day. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import data
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.codes import KNOWN
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Finding, Json
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.scope import CODE


def _codes(value: Any) -> list[str]:
    codes = data.texts(value)
    for code in codes:
        if not CODE.fullmatch(code):
            raise data.DataError("must be the code of a finding, or a list of codes, such as left_over")
        if code not in KNOWN:
            raise data.DataError(f"has an {data.unknown(code, 'code', KNOWN)}")
    return codes


EXPIRED = " (its waiver expired on "
"""Begins what is added to the message of a finding whose waiver is no longer in effect."""

FIELDS = {"finding": _codes, "node": data.text, "owner": data.text, "reason": data.text, "expires": data.day}


class Waiver(NamedTuple):
    """An entry: findings with one of the codes, on nodes whose name matches the pattern."""

    finding: list[str]
    node: str
    owner: str
    reason: str
    expires: date  # its last day, in UTC

    @property
    def shown(self) -> Json:
        """The waiver as the report shows it."""
        return {"owner": self.owner, "reason": self.reason, "expires": self.expires.isoformat()}

    def matches(self, finding: Finding) -> bool:
        """Return whether the waiver is for a finding. One of the whole fleet has no node, so only the pattern ``*`` matches."""
        return finding.code in self.finding and self.covers(finding.node or "")

    def covers(self, name: str) -> bool:
        """Return whether the waiver is for a node."""
        return fnmatch.fnmatchcase(name, self.node)


def parse(value: Any) -> list[Waiver]:
    """Return the waivers.

    :raises DataError: an entry is not as it must be
    """
    return [Waiver(**fields) for fields in data.entries(value, "waivers", FIELDS, tuple(FIELDS))]


def status(finding: Finding, waivers: Iterable[Waiver], today: date) -> tuple[str, Waiver | None]:
    """Return ``open``, ``waived`` or ``expired_waiver``, and the waiver that lasts longest."""
    waiver = max((each for each in waivers if each.matches(finding)), key=lambda each: each.expires, default=None)
    if waiver is None:
        return "open", None
    return ("waived" if waiver.expires >= today else "expired_waiver"), waiver


def unused(findings: Iterable[Finding], waivers: list[Waiver], silent: Iterable[str]) -> list[Finding]:
    """Return a finding for each waiver that matches nothing.

    :param silent: nodes that nothing is known of. A waiver for one of them may be needed
    """
    found, silent = list(findings), list(silent)
    result = []
    for number, waiver in enumerate(waivers, 1):
        if any(waiver.matches(each) for each in found) or any(waiver.covers(name) for name in silent):
            continue
        message = f"the waiver of {', '.join(waiver.finding)} on {waiver.node} (owner {waiver.owner}) matches no finding"
        place = f"waivers, entry {number}"
        result.append(Finding("waiver_unused", "info", None, place, None, message, "remove it, or correct its finding and its node"))
    return result
