# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What the audits of a swarm and of a Kubernetes cluster have in common: times, entries, findings of places, and the result."""

import calendar
import re
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import SEVERITIES, Finding
from ansible_collections.expanso.edge.plugins.module_utils._audit.sightings import Search
from ansible_collections.expanso.edge.plugins.module_utils._checks import fingerprint
from ansible_collections.expanso.edge.plugins.module_utils._record import Entry, RecordError, parse_entry
from ansible_collections.expanso.edge.plugins.module_utils._secrets import mask, visible

ARGUMENT_SPEC: Dict[str, Any] = {
    "max_age": {"type": "int"},
    "stuck_hours": {"type": "int", "default": 24},
    "fingerprints": {"type": "list", "elements": "str", "default": []},
}
"""The options that the documentation fragment ``_audit`` describes."""

NEW_TOKEN = "take a new token from the workspace's Keys page and revoke this one"
RETIRE = "remove it with the playbook expanso.edge.retire"

_DAY, _HOUR = 86400, 3600
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))")


class Limits(NamedTuple):
    """What ages are judged by."""

    now: float  # seconds since the epoch
    max_age: Optional[int]  # days
    stuck_hours: int


class Audit(NamedTuple):
    """What was found out, before it is put into a result."""

    tokens: List[Dict[str, Any]]
    node: Dict[str, Any]
    secrets: Iterable[str]  # to be masked in all texts


def checked_fingerprints(found: Sequence[str]) -> List[str]:
    """Return the fingerprints of an option, in the form in which others are compared with them.

    :raises OptionError: one is something else
    """
    return [fingerprint(each, f"fingerprints, entry {position}") for position, each in enumerate(found, 1)]


def seconds(text: Any) -> Optional[float]:
    """Return a time of an API, such as 2026-11-30T10:00:00.123456789Z, in seconds since the epoch; None where it is not one."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        whole = calendar.timegm(time.strptime(found.group(1), "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None
    offset = int(found.group(4) or 0) * 3600 + int(found.group(5) or 0) * 60
    return whole + float(found.group(2) or 0) - (-offset if found.group(3) == "-" else offset)


def iso(now: float) -> str:
    """Return a time in UTC, with its fraction of seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"


def age_days(written: Optional[float], now: float) -> Optional[int]:
    """Return how many whole days ago something was written."""
    return None if written is None else max(0, int((now - written) // _DAY))


def entry(place: str, exists: bool, **fields: Any) -> Dict[str, Any]:
    """Return the entry of a place, with all keys that audits of files have as well."""
    names = ("owner", "group", "mode", "size", "age_days", "format", "token_kind", "fingerprint", "expires_at", "label", "registered", "marker")
    found: Dict[str, Any] = dict.fromkeys(names)
    found.update({"path": None, "place": place, "exists": exists, "state": "present" if exists else "absent"})
    found.update(fields)
    return found


def enrolments(texts: Iterable[Tuple[str, Optional[str]]]) -> Tuple[List[Entry], List[Finding]]:
    """Return the entries of an enrolment record that lies in labels or annotations, oldest first, and what is wrong with it.

    :param texts: pairs of a place and the text there, None where there is none
    """
    entries: List[Entry] = []
    findings = []
    for place, text in texts:
        try:
            found = None if text is None else parse_entry(text)
        except RecordError as exc:
            remedy = "remove the label or annotation; the playbook expanso.edge.provision writes it again"
            findings.append(Finding("record_damaged", "warning", f"the enrolment record of {place} is damaged: {exc}", remedy, place))
            continue
        if found is not None and found not in entries:
            entries.append(found)
    return sorted(entries, key=lambda each: each.written_at), findings


def label_of(entries: Iterable[Entry], mark: Optional[str]) -> Optional[str]:
    """Return the label under which a token of a fingerprint was recorded."""
    return next((each.label for each in entries if each.fingerprint == mark), None)


def of_age(place: str, written: Optional[float], limits: Limits, registered: Optional[bool], who: str, mark: Optional[str]) -> Iterable[Finding]:
    """Yield what is wrong with the age of a token.

    :param who: what has to register, in words
    :param mark: the token's fingerprint
    """
    if written is None:
        return
    days, hours = age_days(written, limits.now) or 0, max(0, int((limits.now - written) // _HOUR))
    if limits.max_age is not None and days > limits.max_age:
        message = f"the token in {place} was written {days} days ago, more than {limits.max_age}"
        yield Finding("too_old", "warning", message, f"rotate it: {NEW_TOKEN}", place, mark)
    if registered is False and hours >= limits.stuck_hours:
        message = f"the token in {place} was written {hours} hours ago, and {who} is still not registered"
        remedy = "look at the agent's log; is the token still valid, and can the control plane be reached?"
        yield Finding("not_registered_in_time", "warning", message, remedy, place, mark)


def missing(place: str, registered: Optional[bool], who: str) -> Finding:
    """Return the finding that there is no token.

    :param who: what has to register, in words
    """
    if registered is False:
        remedy = "provision one with the playbook expanso.edge.provision"
        return Finding("token_not_found", "error", f"{place} does not exist, and {who} is not registered", remedy, place)
    why = f"none is needed: {who} is registered" if registered else "it is unknown whether one is needed"
    return Finding("token_not_found", "info", f"{place} does not exist; {why}", "nothing to do", place)


EXPOSED = {
    "token_in_environment": ("in the environment", "hand it over as a file from the secret, and remove the variable"),
    "token_in_arguments": ("in the command line", "hand it over as a file from the secret, and remove the argument"),
    "token_in_labels": ("in a label", "remove the label"),
    "token_in_annotation": ("in an annotation", "remove the annotation"),
    "token_in_config": ("in the content", "remove it from there, and hand it over as a secret"),
}
"""Codes of tokens where everybody who may look at an object reads them, with where in the object that is, and what to do."""


def exposed(code: str, place: str, mark: str) -> Finding:
    """Return the finding that a token can be read in an object that is not a secret.

    :param mark: the token's fingerprint
    """
    where, remedy = EXPOSED[code]
    return Finding(code, "error", f"a token (fingerprint {mark}) is {where} of {place}", f"{remedy}; {NEW_TOKEN}", place, mark)


def not_everything(search: Search, where: str) -> Iterable[Finding]:
    """Yield the finding that there was too much text to search."""
    if search.incomplete:
        yield incomplete(where, "it holds more text than is searched", "look there by hand")


def incomplete(what: str, why: str, remedy: str) -> Finding:
    """Return the finding that something could not be looked at."""
    return Finding("exposure_incomplete", "info", f"{what} could not be searched for tokens: {why}", remedy, what)


def result(audit: Audit, what: str) -> Dict[str, Any]:
    """Return the result of a module: findings sorted, counted, and masked."""
    secrets = tuple(sorted(audit.secrets))

    def shown(found: Any) -> Any:
        if isinstance(found, str):  # a name may hold a token, or break a terminal
            return mask(visible(found), *secrets)
        if isinstance(found, dict):
            return {key: shown(each) for key, each in found.items()}
        if isinstance(found, list):
            return [shown(each) for each in found]
        return found

    findings: List[Finding] = []
    for subject in [*audit.tokens, audit.node]:
        subject["findings"] = sorted(dict.fromkeys(subject["findings"]), key=lambda each: SEVERITIES.index(each.severity))
        findings += subject["findings"]
        subject["findings"] = [dict(each._asdict()) for each in subject["findings"]]
    count = {severity: sum(each.severity == severity for each in findings) for severity in SEVERITIES}
    return {
        "changed": False,
        "tokens": shown(audit.tokens),
        "node": shown(audit.node),
        "error_count": count["error"],
        "warning_count": count["warning"],
        "msg": shown(f"{what} audited: tokens {sum(each['exists'] for each in audit.tokens)}, errors {count['error']}, warnings {count['warning']}"),
    }
