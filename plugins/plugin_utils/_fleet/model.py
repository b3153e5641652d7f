# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What the parts of a fleet's audit hand to each other, and times."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Any, NamedTuple

Json = dict[str, Any]

SEVERITIES = ("error", "warning", "info")

FINGERPRINT = re.compile(r"[0-9a-f]{12}")

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d{1,9})?(Z|\+00:00)")


class Finding(NamedTuple):
    """Something that a person should know, on a node or, without a node, in the fleet."""

    code: str
    severity: str
    node: str | None
    place: str | None
    fingerprint: str | None
    message: str
    remedy: str


class Enrolment(NamedTuple):
    """An entry of a node's record: a token that the node was given."""

    fingerprint: str
    kind: str | None
    label: str | None
    written_at: str | None
    run_id: str | None = None  # the run that brought it to this very node


class Node(NamedTuple):
    """A host of the inventory, and what it answered."""

    name: str
    status: str  # answered, unreachable or failed
    message: str  # why it did not answer
    deliveries: list[str]
    groups: list[str]
    registered: bool | None = None
    registered_at: str | None = None
    record: tuple[Enrolment, ...] = ()
    tokens: tuple[Json, ...] = ()  # as the report shows them
    units: tuple[Json, ...] = ()
    findings: tuple[Finding, ...] = ()
    clock_offset: float | None = None
    enrolment: str | None = None  # what an earlier report says of enrolled_with, because it does not hold the whole record

    @property
    def holds(self) -> set[str]:
        """The fingerprints of the tokens that are in their place."""
        return {token["fingerprint"] for token in self.tokens if token["fingerprint"]}

    @property
    def given(self) -> set[str]:
        """The fingerprints of the tokens that the record names."""
        return {entry.fingerprint for entry in self.record}

    @property
    def enrolled_with(self) -> str | None:
        """The fingerprint of the token that the node registered with: the last one that it was given before. None if that is not certain."""
        if self.enrolment or not self.registered:
            return self.enrolment
        registered_at = moment(self.registered_at)
        if registered_at is None:
            return self.record[0].fingerprint if len(self.given) == 1 else None
        # the record tells whole seconds
        end = later(registered_at, 1)
        before = [entry for entry in self.record if (written := moment(entry.written_at)) is not None and written <= end]
        return before[-1].fingerprint if before else None


def moment(text: Any) -> datetime | None:
    """Return the moment that a text in ISO 8601 and UTC names, None if it names none."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        whole = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return later(whole, float(found[2] or 0))


def later(when: datetime, seconds: float) -> datetime:
    """Return a moment some seconds later. After the year 9999, which people write for "never", there is none."""
    return when + min(timedelta(seconds=seconds), datetime.max.replace(tzinfo=timezone.utc) - when)


def iso(when: datetime) -> str:
    """Return a moment as a text in whole seconds."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_seconds(seconds: float) -> datetime:
    """Return the moment of seconds since the epoch."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def end_of(day: date) -> datetime:
    """Return when a day is over."""
    return later(datetime(day.year, day.month, day.day, tzinfo=timezone.utc), 86400)


def named(label: str | None, fingerprint: str) -> str:
    """Return how messages name a token."""
    return f"the token {label} ({fingerprint})" if label else f"the token with fingerprint {fingerprint}"


def nodes_counted(names: list[str], most: int = 10) -> str:
    """Return how many nodes these are, with the names of the first."""
    shown = ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    return f"{len(names)} node{'' if len(names) == 1 else 's'} ({shown})"


def moment_now() -> datetime:
    """Return what the controller's clock says."""
    return datetime.now(timezone.utc)
