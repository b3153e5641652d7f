# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
"""All that an audit asks of a node, put together: the files, where else their tokens are, and the node itself."""

import itertools
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._account import group_name, user_name
from ansible_collections.expanso.edge.plugins.module_utils._audit import exposure
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import (
    SEVERITIES,
    Content,
    Facts,
    Finding,
    Policy,
    age_days,
    findings_for,
    parse_content,
)
from ansible_collections.expanso.edge.plugins.module_utils._audit.inspection import inspect_path
from ansible_collections.expanso.edge.plugins.module_utils._audit.journal import journal
from ansible_collections.expanso.edge.plugins.module_utils._audit.node import label_of, overdue
from ansible_collections.expanso.edge.plugins.module_utils._audit.places import JOURNAL
from ansible_collections.expanso.edge.plugins.module_utils._audit.reading import Place
from ansible_collections.expanso.edge.plugins.module_utils._audit.reports import report, report_backups, report_stranger, report_unread
from ansible_collections.expanso.edge.plugins.module_utils._audit.visiting import Visit
from ansible_collections.expanso.edge.plugins.module_utils._record import Entry
from ansible_collections.expanso.edge.plugins.module_utils._secrets import PIECE, mask, visible
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint

Decrypt = Callable[[bytes], Optional[str]]


class Subject(NamedTuple):
    """A path, or the token that was given, with all that is known of it."""

    path: Optional[str]
    facts: Optional[Facts]
    content: Optional[Content]
    findings: List[Finding]

    @property
    def secrets(self) -> Tuple[str, ...]:
        return tuple(each for each in self.content.secrets if len(each) >= PIECE) if self.content else ()

    @property
    def fingerprint(self) -> Optional[str]:
        return self.content.token.fingerprint if self.content and self.content.token else None


def subjects(params: Dict[str, Any], policy: Policy, common: List[Finding], decrypt: Decrypt) -> List[Subject]:
    """Look at every path, and add the token that was given where none of them holds it.

    :param common: what is wrong with the node, and so with each of them
    :param decrypt: returns what is in an encrypted credential, None where that cannot be found out
    """
    facts = [inspect_path(path, policy) for path in params["paths"]]
    contents = [_content(each, each.path in params["encrypted_paths"], policy.now, decrypt) for each in facts]
    elsewhere = any(each.state != "absent" for each in facts)
    found = []
    for count, (each, content) in enumerate(zip(facts, contents)):
        # one place is enough: where all are missing, the first one says so
        findings = common + findings_for(each, content, policy, elsewhere or count > 0)
        if content and content.format == "encrypted" and not content.token and not content.fault:
            message = f"the credential {each.path} cannot be decrypted here, so it is unknown which token is in it"
            remedy = "run this as root (become: true) on the node that encrypted it; where that fails, write it again with expanso.edge.bootstrap_token"
            findings.append(Finding("not_decrypted", "warning", message, remedy))
        found.append(Subject(each.path, each, content, findings))
    if params["token"]:
        given = parse_content("", params["token"].encode("utf-8", "surrogateescape"), policy.now)
        held = [secret for content in contents if content for secret in content.secrets]
        if not given.secrets and given.fault:
            message = f"the token that was given is not looked for: {given.fault.message}"
            found.append(Subject(None, None, given, [Finding(given.fault.code, "info", message, "give a token to look for")]))
        elif not set(given.secrets).issubset(held):
            found.append(Subject(None, None, given, []))
    return found


def _content(facts: Facts, encrypted: bool, now: float, decrypt: Decrypt) -> Optional[Content]:
    if facts.data is None:
        return None
    if not encrypted:
        return parse_content(facts.path, facts.data, now)
    text = decrypt(facts.data)
    if text is None:
        return Content("encrypted", None, None, False, ())
    return parse_content("", text.encode("utf-8", "surrogateescape"), now)._replace(format="encrypted")


def add_life(params: Dict[str, Any], policy: Policy, record: Optional[List[Entry]], found: List[Subject]) -> List[Finding]:
    """Add to each subject whether it has been there for too long, and whether its token is asked for. Return what concerns no subject."""
    hours, asked = params["stuck_hours"], params["fingerprints"]
    for subject in found:
        if subject.path and subject.facts and subject.facts.state == "file":
            subject.findings.extend(overdue(policy, hours, record, subject.path, subject.fingerprint, subject.facts.modified))
        for each in sorted({fingerprint(secret) for secret in subject.secrets}.intersection(asked)):
            if subject.path:
                message = f"{subject.path} holds the token {each}, which is asked for"
                remedy = "remove it with expanso.edge.retire, and revoke it on the workspace's Keys page"
                subject.findings.append(Finding("sought_token", "error", message, remedy, subject.path, each))
    there = [subject for subject in found if subject.facts and subject.facts.state != "absent"]
    if there or not record:
        return []
    # the token is gone, and the node has not come
    return overdue(policy, hours, record, "this node", record[-1].fingerprint, None)


def places(params: Dict[str, Any], policy: Policy, tokens: Dict[str, exposure.Forms], deadline: float, journalctl: Optional[str]) -> Iterator[Place]:
    """Return all places where tokens must not be, those that are quick to read first."""
    yield from exposure.pipeline_files(params["pipeline_secret_files"])
    chosen = params["places"] if params["exposure"] else []
    if "processes" in chosen:
        yield from exposure.processes(tuple(form for wanted in tokens.values() for form in wanted), params["agent_binary"])
    if "units" in chosen:
        yield from exposure.units(params["systemd_unit_directories"], params["paths"])
    if "neighbours" in chosen:
        yield from exposure.siblings(params["paths"], policy)
    yield from Visit(policy, params["paths"], deadline).places(chosen)
    if JOURNAL in chosen:
        yield from journal(journalctl, deadline)


def look_elsewhere(
    params: Dict[str, Any], policy: Policy, found: List[Subject], journalctl: Optional[str]
) -> Tuple[List[str], List[Finding]]:
    """Add to each subject where else its token is. Return all tokens that were found, and what concerns no subject."""
    tokens = {secret: exposure.searchable_encodings(secret) for subject in found for secret in subject.secrets}
    asked = frozenset(params["fingerprints"])
    deadline = time.monotonic() + exposure.MOST_SECONDS
    hits = exposure.search(places(params, policy, tokens, deadline, journalctl), tokens, asked, deadline)
    held = {place.name: shape.fingerprint for shape, places_of in hits.strangers.items() for place in places_of}
    as_backups: Set[str] = set()
    for subject in found:
        elsewhere = [(place, fingerprint(secret)) for secret in subject.secrets for place in hits.found[secret]]
        for each, group in itertools.groupby(elsewhere, key=lambda pair: pair[1]):
            subject.findings.extend(report([place for place, _each in group], each))
        if subject.secrets:
            subject.findings.extend(report_unread(hits.unread))
        elif subject.content and subject.content.secrets:
            message = f"the token is not looked for elsewhere: it has less than {PIECE} characters, and would be found by chance"
            subject.findings.append(Finding("exposure_incomplete", "info", message, "make sure that it is a bootstrap token, and a whole one"))
        if params["exposure"] and "neighbours" in params["places"] and subject.path:
            known = {place.name for place, _each in elsewhere}
            copies = [each for each in exposure.backups(subject.path, policy) if each.name not in known]
            as_backups.update(each.name for each in copies)
            subject.findings.extend(report_backups(copies, subject.path, held))
    findings = [] if any(subject.secrets for subject in found) else report_unread(hits.unread)
    for shape, places_of in sorted(hits.strangers.items(), key=lambda pair: pair[0].fingerprint):
        rest = [place for place in places_of if place.name not in as_backups]
        findings += report_stranger(rest, shape.fingerprint, shape.kind, shape.fingerprint in asked)
    return list(tokens) + [shape.value for shape in hits.strangers], findings


def describe(subject: Subject, policy: Policy, record: Optional[List[Entry]], secrets: Iterable[str]) -> Dict[str, Any]:
    """Return the entry of a subject."""
    facts, content = subject.facts or Facts("", "unknown"), subject.content
    attributes, token = facts.attributes, content.token if content else None
    own = [each._replace(place=each.place or subject.path, fingerprint=each.fingerprint or subject.fingerprint) for each in subject.findings]
    return {
        "path": subject.path,
        "place": subject.path,
        "exists": None if facts.state == "unknown" else facts.state != "absent",
        "state": subject.facts and facts.state,
        "owner": attributes and user_name(attributes.uid),
        "group": attributes and group_name(attributes.gid),
        "mode": attributes and f"{attributes.mode:04o}",
        "size": facts.size,
        "age_days": age_days(facts, policy.now),
        "format": content.format if content and subject.path else None,
        "token_kind": token and token.kind,
        "fingerprint": token and token.fingerprint,
        "expires_at": token and token.expires_at,
        "label": label_of(record, subject.fingerprint),
        "registered": policy.registered,
        "marker": policy.marker,
        "findings": shown(own, secrets),
    }


def shown(findings: List[Finding], secrets: Iterable[str]) -> List[Dict[str, Any]]:
    """Return findings as results hold them, errors first. A file may be named after its token, or so that it breaks a terminal."""
    hidden = tuple(secrets)
    entries: List[Dict[str, Any]] = []
    for finding in sorted(findings, key=lambda each: SEVERITIES.index(each.severity)):
        entry = dict(finding._asdict())
        entry.update({name: entry[name] and mask(visible(entry[name]), *hidden) for name in ("message", "remedy", "place")})
        entries.append(entry)
    return entries
