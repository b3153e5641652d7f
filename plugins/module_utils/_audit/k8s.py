# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What is wrong with the bootstrap tokens of a Kubernetes namespace: the Secrets of a name, and what is known of the agent that registers with them.

Pure: what the API returned goes in, findings come out.
"""

import base64
import binascii
import re
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._audit import cluster
from ansible_collections.expanso.edge.plugins.module_utils._audit.cluster import Audit, Limits, exposed
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Finding
from ansible_collections.expanso.edge.plugins.module_utils._audit.sightings import Search
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import FIELD_MANAGER, FINGERPRINT, being_removed, of_another_manager, of_wrong_type
from ansible_collections.expanso.edge.plugins.module_utils._k8s_secret import FAMILY
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_ANNOTATION, Entry, as_result
from ansible_collections.expanso.edge.plugins.module_utils._token import Token, TokenFault, fingerprint, judge

_BEFORE_ALL = float("-inf")  # a time when no token was expired
_GRANT = "grant the right, see examples/kubernetes-audit-rbac.yml"
_WRITE_AGAIN = "write it again with the playbook expanso.edge.provision, which adds nothing to the token"


class Subject(NamedTuple):
    """What is audited, by the names of the objects."""

    namespace: str
    name: str
    key: str
    immutable: bool  # whether each token has a Secret of its own
    claim: Optional[str]
    deployment: Optional[str]

    def place(self, kind: str, name: str) -> str:
        """Return how results call an object."""
        return f"{kind} {self.namespace}/{name}"


class Found(NamedTuple):
    """What the API returned."""

    secrets: List[Dict[str, Any]]
    claim: Optional[Dict[str, Any]]
    deployment: Optional[Dict[str, Any]]
    configmaps: List[Dict[str, Any]]
    pods: List[Dict[str, Any]]
    unseen: Dict[str, str]  # kinds that could not be looked at, and why
    replicasets: List[Dict[str, Any]]


class Held(NamedTuple):
    """What a Secret holds under its key. ``repr()`` shows no secret."""

    text: str  # without a line feed at its end
    line_feed: bool
    token: Optional[Token]
    fault: Optional[TokenFault]

    @property
    def mark(self) -> Optional[str]:
        return fingerprint(self.text) if self.text else None

    def __repr__(self) -> str:
        return f"Held(token={self.token!r})"


def value_of(secret: Dict[str, Any], key: str) -> Optional[str]:
    """Return a value of a Secret as text, None where there is none."""
    encoded = (secret.get("data") or {}).get(key)
    try:
        return None if encoded is None else base64.b64decode(encoded).decode("utf-8", "surrogateescape")
    except (binascii.Error, TypeError, ValueError):  # the API server refuses such data
        return None


def held(secret: Dict[str, Any], key: str, now: float) -> Optional[Held]:
    """Return what a Secret holds under a key, None where it does not have it."""
    value = value_of(secret, key)
    if value is None:
        return None
    text = value[:-1] if value.endswith("\n") else value
    try:
        return Held(text, text != value, judge(text, now=now), None)
    except TokenFault as exc:
        expired = judge(text, now=_BEFORE_ALL) if exc.code == "expired" else None
        return Held(text, text != value, expired, exc)


def family(secrets: Iterable[Dict[str, Any]], name: str) -> List[Dict[str, Any]]:
    """Return the Secrets that hold tokens under a name, oldest first: the one of that name, and those with a fingerprint at the end."""
    shape = re.compile(re.escape(name) + "(?:-[0-9a-f]{12})?")
    found = [each for each in secrets if shape.fullmatch(each["metadata"]["name"]) or (each["metadata"].get("labels") or {}).get(FAMILY) == name]
    return sorted(found, key=lambda each: (str(each["metadata"].get("creationTimestamp")), each["metadata"]["name"]))


def annotations(found: Optional[Dict[str, Any]]) -> Dict[str, str]:
    """Return the annotations of an object, which may not exist."""
    return (found or {}).get("metadata", {}).get("annotations") or {}


def is_registered(subject: Subject, found: Found) -> Optional[bool]:
    """Whether the agent's volume is marked as one that holds an identity, None where that is unknown."""
    if subject.claim is None or "PersistentVolumeClaim" in found.unseen:
        return None
    return FINGERPRINT in annotations(found.claim) and not being_removed(found.claim)


def audit(subject: Subject, found: Found, search: Search, elsewhere: Iterable[Finding], limits: Limits) -> Audit:
    """Return what is wrong with the Secrets of a name.

    :param search: that knows their tokens
    :param elsewhere: what is wrong with other objects
    """
    registered = is_registered(subject, found)
    secrets = family(found.secrets, subject.name)
    texts = [(subject.place("Secret", each["metadata"]["name"]), annotations(each).get(RECORD_ANNOTATION)) for each in secrets]
    texts.append((subject.place("PersistentVolumeClaim", subject.claim or ""), annotations(found.claim).get(RECORD_ANNOTATION)))
    record, damaged = cluster.enrolments(texts)
    current = _current(subject, secrets, annotations(found.claim).get(FINGERPRINT) if registered else None)
    tokens = [_entry(subject, each, each is current, registered, search, record, limits) for each in secrets]
    if current is None:
        place = subject.place("Secret", subject.name)
        tokens.append(cluster.entry(place, False, registered=registered, findings=[cluster.missing(place, registered, "the agent")]))
    node = {
        "registered": registered,
        "marker": None,
        "registered_at": _registered_at(found.claim) if registered else None,
        "record": [as_result(each) for each in record] or None,
        "time": cluster.iso(limits.now),
        "units": _units(subject, found),
        "findings": [*damaged, *_of_deployment(subject, found), *_of_unseen(subject, found), *elsewhere],
    }
    return Audit(tokens, node, search.secrets)


def _current(subject: Subject, secrets: List[Dict[str, Any]], last: Optional[str]) -> Optional[Dict[str, Any]]:
    """Return the Secret that the agent uses; others of its name are left over.

    :param last: fingerprint of the token that a registered agent was given last
    """
    names = [f"{subject.name}-{last}"] if subject.immutable else [subject.name]
    named = [each for each in secrets if each["metadata"]["name"] in names]
    return named[0] if named else secrets[-1] if secrets and subject.immutable else None


def _registered_at(claim: Optional[Dict[str, Any]]) -> Optional[str]:
    """Return when the role marked the volume, which it does under a field manager of its own."""
    entries = (claim or {}).get("metadata", {}).get("managedFields") or []
    return next((each.get("time") for each in entries if each.get("manager") == f"{FIELD_MANAGER}-identity"), None)


# Secrets


def _entry(
    subject: Subject, secret: Dict[str, Any], current: bool, registered: Optional[bool], search: Search, record: List[Entry], limits: Limits
) -> Dict[str, Any]:
    """Return the entry of a Secret."""
    place = subject.place("Secret", secret["metadata"]["name"])
    content = held(secret, subject.key, limits.now)
    mark = content.mark if content else None
    written = cluster.seconds(_written(secret))
    findings = list(_of_secret(subject, secret, place, mark))
    findings += [exposed("token_in_annotation", place, each) for text in annotations(secret).values() for each in search.look(text)]
    if content is None:
        if current and registered is False:
            message = f"{place} has no key {subject.key}, and the agent is not registered"
            findings.append(Finding("key_missing", "error", message, "provision a token with the playbook expanso.edge.provision", place))
    else:
        findings += _of_content(place, content, mark, registered)
        findings += _of_life(place, mark, current, registered)
        if current:
            findings += cluster.of_age(place, written, limits, registered, "the agent", mark)
    token = content.token if content else None
    return cluster.entry(
        place,
        True,
        size=len(content.text) + content.line_feed if content else None,
        age_days=cluster.age_days(written, limits.now),
        format="raw" if content else None,
        token_kind=token and token.kind,
        fingerprint=mark,
        expires_at=token and token.expires_at,
        label=cluster.label_of(record, mark),
        registered=registered,
        findings=findings,
    )


def _written(secret: Dict[str, Any]) -> Any:
    """Return when the data of a Secret was written last."""
    times = [each.get("time") for each in secret["metadata"].get("managedFields") or [] if "f:data" in (each.get("fieldsV1") or {})]
    return max(filter(None, times), default=secret["metadata"].get("creationTimestamp"))


def _of_secret(subject: Subject, secret: Dict[str, Any], place: str, mark: Optional[str]) -> Iterator[Finding]:
    wrong = of_wrong_type(secret, place)
    if wrong:
        yield Finding("wrong_type", "error", wrong, "use another name for the token (k8s_secret_name)", place, mark)
    removal = being_removed(secret)
    if removal:
        yield Finding("being_removed", "warning", f"{place} is {removal}: the token in it can still be read", "remove what holds it", place, mark)
    by_key = f"f:{subject.key}"
    entries = secret["metadata"].get("managedFields") or []
    owners = {str(each.get("manager")) for each in entries if by_key in ((each.get("fieldsV1") or {}).get("f:data") or {})}
    others = sorted(owners - {FIELD_MANAGER})
    remedy = "find out what manages it; k8s_secret_force: true takes it over"
    if of_another_manager(secret, place):
        yield Finding("foreign_secret", "warning", f"{place} was not created by this collection", remedy, place, mark)
    elif others:
        yield Finding("foreign_secret", "warning", f"the token in {place} was also written by {', '.join(others)}", remedy, place, mark)
    elif mark is not None and annotations(secret).get(FINGERPRINT, mark) != mark:
        yield Finding("foreign_secret", "warning", f"{place} holds another token than its annotation says, so another program wrote it", remedy, place, mark)


def _of_content(place: str, content: Held, mark: Optional[str], registered: Optional[bool]) -> Iterator[Finding]:
    fault = content.fault
    if fault is not None:
        severity = "info" if fault.code == "expired" and registered else "error"
        remedy = f"write a good one with the playbook expanso.edge.provision; {cluster.NEW_TOKEN}"
        yield Finding(fault.code, severity, f"invalid bootstrap token: {place}: {fault.message}", remedy, place, mark)
    elif content.token is not None and content.token.kind == "opaque":
        message = f"the token in {place} is neither a bootstrap key (exp_bk_...) nor a JWT"
        yield Finding("unknown_shape", "info", message, "make sure that it is a bootstrap token, and a whole one", place, mark)
    if content.line_feed:
        message = f"the token in {place} ends with a line feed, which becomes part of it where it is used as it is"
        yield Finding("trailing_newline", "warning", message, _WRITE_AGAIN, place, mark)


def _of_life(place: str, mark: Optional[str], current: bool, registered: Optional[bool]) -> Iterator[Finding]:
    if registered:
        message = f"{place} still holds a token, but the agent is registered and no longer needs it"
        yield Finding("left_over", "warning", message, cluster.RETIRE, place, mark)
    elif not current:
        message = f"{place} holds a token, but the agent uses another Secret"
        yield Finding("left_over", "warning", message, "remove it with the playbook expanso.edge.provision, or by hand", place, mark)


# The agent


def _status(subject: Subject, found: Found) -> Optional[Tuple[int, int]]:
    """Return how many pods the Deployment should have, and how many are available; None where it does not exist."""
    if found.deployment is None:
        return None
    wanted = (found.deployment.get("spec") or {}).get("replicas")
    return 1 if wanted is None else int(wanted), int((found.deployment.get("status") or {}).get("availableReplicas") or 0)


def _units(subject: Subject, found: Found) -> List[Dict[str, Any]]:
    """Return the Deployment as one unit, in the words of systemd."""
    if subject.deployment is None or "Deployment" in found.unseen:
        return []
    status = _status(subject, found)
    unit: Dict[str, Any] = {"name": subject.deployment, "load_state": "loaded", "active_state": "active", "enabled": None}
    if status is None:
        return [dict(unit, load_state="not-found", active_state="inactive", sub_state="dead")]
    wanted, available = status
    state = "inactive" if not wanted else "active" if available >= wanted else "activating"
    return [dict(unit, active_state=state, sub_state=f"{available} of {wanted} available")]


def _of_deployment(subject: Subject, found: Found) -> Iterator[Finding]:
    if subject.deployment is None or "Deployment" in found.unseen:
        return
    place = subject.place("Deployment", subject.deployment)
    status = _status(subject, found)
    if status is None:
        remedy = "apply the playbook expanso.edge.provision, or correct k8s_secret_deployment_name"
        yield Finding("deployment_not_found", "warning", f"{place} does not exist, so no agent runs", remedy, place)
    elif status[1] < status[0]:
        conditions = ((found.deployment or {}).get("status") or {}).get("conditions") or []
        # all conditions of a Deployment are good ones but one
        bad = [each for each in conditions if (each.get("status") == "True") == (each.get("type") == "ReplicaFailure")]
        wrong = [str(each["message"]) for each in bad if each.get("message")]
        message = f"{place} has {status[1]} of {status[0]} pods available: {'; '.join(wrong) or 'its conditions do not say why'}"
        yield Finding("deployment_unavailable", "warning", message, "kubectl describe of its pods says more", place)


def _of_unseen(subject: Subject, found: Found) -> Iterator[Finding]:
    for kind, why in sorted(found.unseen.items()):
        if kind == "PersistentVolumeClaim":
            message = f"cannot determine whether the agent is registered: {why}"
            yield Finding("registration_unknown", "info", message, _GRANT, subject.place(kind, subject.claim or ""))
        else:
            yield cluster.incomplete(f"{kind}s of namespace {subject.namespace}", why, _GRANT)
