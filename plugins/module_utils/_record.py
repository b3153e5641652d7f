# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The enrolment record: which tokens a place was given, when, and by which run. It survives the tokens, and holds nothing secret.

Pure: texts and entries go in and out.
"""

import calendar
import json
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._version import VERSION

RECORD_NAME = "enrolment.json"
"""File in the agent's data directory with all entries."""

RECORD_LABEL = "io.expanso.edge.enrolment"
"""Label of a swarm's secrets and services with the last entry."""

RECORD_ANNOTATION = "expanso.edge/enrolment"
"""Annotation of a Secret and a PersistentVolumeClaim with the last entry."""

LAYOUT = 1
MOST_ENTRIES = 20
LONGEST = 200
"""Characters that a text of an entry may have. A longer one is cut."""

UNKNOWN_RUN = "unknown"
"""Stands for the run where a module is used without its action."""

KINDS = ("bootstrap_key", "jwt", "opaque")
DELIVERIES = ("file", "systemd", "swarm", "kubernetes")

ARGUMENT_SPEC: Dict[str, Any] = {
    "token_label": {"type": "str", "no_log": False},
    "run_id": {"type": "str"},
    "job_id": {"type": "str"},
}
"""The options that the documentation fragment ``_record`` describes."""

_FINGERPRINT = re.compile("[0-9a-f]{12}")
_LAST_SECOND = 253402300799  # of the year 9999
_FAST_SECONDS = 600


class RecordError(EdgeError):
    """A record that cannot be read: what is wrong with it."""


class Entry(NamedTuple):
    """One token that a place was given."""

    fingerprint: str
    kind: Optional[str]  # None where the token could not be read back, as from a swarm
    label: Optional[str]
    delivery: str
    written_at: str  # ISO 8601, UTC
    run_id: str
    job_id: Optional[str]
    collection_version: str


FIELDS = Entry._fields


def as_result(entry: Optional[Entry]) -> Optional[Dict[str, Any]]:
    """Return an entry as results hold it."""
    return None if entry is None else dict(zip(FIELDS, entry))


def utc(seconds: float) -> str:
    """Return a time in ISO 8601 and UTC. One outside of the years 1970 to 9999 is moved to their end.

    :param seconds: since the epoch
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(max(seconds, 0), _LAST_SECOND)))


def seconds_of(text: str) -> float:
    """Return the seconds since the epoch of what :func:`utc` returned.

    :raises ValueError: it is not such a time
    """
    return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))


def is_time(value: Any) -> bool:
    """Whether a value is such a text as :func:`utc` returns."""
    try:
        return isinstance(value, str) and utc(seconds_of(value)) == value
    except ValueError:
        return False


def is_to_come(seconds: float, now: float) -> bool:
    """Whether a time has not come yet, so that it was noted when the node's clock was wrong. The clock of a file server may be a little fast."""
    return seconds > now + _FAST_SECONDS


def new_entry(params: Dict[str, Any], fingerprint: str, kind: Optional[str], delivery: str, written_at: str) -> Entry:
    """Return the entry for a token.

    :param params: a module's options, those of :data:`ARGUMENT_SPEC`, masked
    """
    return Entry(
        fingerprint=fingerprint,
        kind=kind,
        label=_short(params["token_label"]),
        delivery=delivery,
        written_at=written_at,
        run_id=_short(params["run_id"]) or UNKNOWN_RUN,
        job_id=_short(params["job_id"]),
        collection_version=VERSION,
    )


def _short(text: Optional[str]) -> Optional[str]:
    """Return a text that every reader of the record can print and store; None instead of an empty one."""
    plain = (text or "")[:LONGEST].encode("utf-8", "replace").decode("utf-8")
    return "".join(each if each.isprintable() else "?" for each in plain) or None


def with_entry(entries: List[Entry], entry: Entry, now: float) -> List[Entry]:
    """Return the entries with a new one at the end. Without a change where the last one is of the same token.

    One of a time to come is replaced: whatever is done with the token from now on would seem to be from before it.

    :param now: seconds since the epoch
    """
    if entries and entries[-1].fingerprint == entry.fingerprint:
        if entries[-1].written_at <= utc(now + _FAST_SECONDS):
            return entries
        entries = entries[:-1]
    return (entries + [entry])[-MOST_ENTRIES:]


def render(entries: List[Entry]) -> str:
    """Return the text of a record file."""
    return json.dumps({"version": LAYOUT, "enrolments": [as_result(each) for each in entries]}, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def parse(text: str) -> List[Entry]:
    """Return the entries of a record file, oldest first.

    :raises RecordError: it is damaged, or of another version
    """
    found = _load(text)
    version = found.get("version")
    if version != LAYOUT or isinstance(version, bool):
        raise RecordError(f"it is not of version {LAYOUT}: was it written by another release of this collection?")
    enrolments = found.get("enrolments")
    if not isinstance(enrolments, list):
        raise RecordError("it has no list of enrolments")
    return [_entry(each, f"enrolment {count}") for count, each in enumerate(enrolments, 1)][-MOST_ENTRIES:]


def render_entry(entry: Entry) -> str:
    """Return the text of a label or an annotation."""
    return json.dumps(as_result(entry), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def parse_entry(text: str) -> Entry:
    """Return the entry of a label or an annotation.

    :raises RecordError: it is damaged
    """
    return _entry(_load(text), "the enrolment")


def _load(text: str) -> Dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise RecordError("it is not JSON") from None
    if not isinstance(found, dict):
        raise RecordError("it is not a JSON object")
    return found


def _entry(found: Any, what: str) -> Entry:
    if not isinstance(found, dict):
        raise RecordError(f"{what} is not a JSON object")
    values: Dict[str, Any] = {name: found.get(name) for name in FIELDS}
    entry = Entry(**values)
    for name, sound in (
        ("fingerprint", isinstance(entry.fingerprint, str) and _FINGERPRINT.fullmatch(entry.fingerprint) is not None),
        ("kind", entry.kind is None or entry.kind in KINDS),
        ("label", entry.label is None or _is_text(entry.label)),
        ("delivery", entry.delivery in DELIVERIES),
        ("written_at", is_time(entry.written_at)),
        ("run_id", _is_text(entry.run_id)),
        ("job_id", entry.job_id is None or _is_text(entry.job_id)),
        ("collection_version", _is_text(entry.collection_version)),
    ):
        if not sound:
            raise RecordError(f"{what} has no valid {name}")
    return entry


def _is_text(value: Any) -> bool:
    """Whether a value is such a text as :func:`new_entry` makes."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable()
