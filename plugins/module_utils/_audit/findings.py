# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What is wrong with a token at rest: facts of a file and a policy go in, findings come out.

Pure, but for the names of accounts. No message holds a character of a token.
"""

import errno
import os
import re
import stat
from typing import Callable, FrozenSet, Iterable, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._account import group_name, user_name
from ansible_collections.expanso.edge.plugins.module_utils._permissions import AclEntry, Attributes, Reader, grants_besides
from ansible_collections.expanso.edge.plugins.module_utils._token import Token, TokenFault, judge
from ansible_collections.expanso.edge.plugins.module_utils._token_file import decode, read

SEVERITIES = ("error", "warning", "info")

_DAY = 86400
_BEFORE_ALL = float("-inf")  # a time when no token was expired
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+=(?=.)")
_GET_TOKEN = "take a token from the workspace's Keys page and put it there with expanso.edge.bootstrap_token"
_WRITE_AGAIN = "write it again with expanso.edge.bootstrap_token, which adds nothing to the token"
_REPAIR = "correct it with expanso.edge.bootstrap_token; others may have read the token, so take a new one and revoke this one"
_REMEDIES = dict(
    dict.fromkeys(("whitespace", "line_break", "control_character", "bom", "not_ascii", "quoted", "assignment"), _WRITE_AGAIN),
    api_key="remove and revoke it, it gives far more than a node needs; " + _GET_TOKEN,
    variable_missing="write the file with expanso.edge.bootstrap_token and format 'env'",
)


class Finding(NamedTuple):
    """Something that a person should know: a stable code for programs, the rest in words."""

    code: str
    severity: str
    message: str
    remedy: str
    place: Optional[str] = None  # where, so that it is the same finding next month
    fingerprint: Optional[str] = None  # of the token that it is about


class Facts(NamedTuple):
    """A path as it was found."""

    path: str
    state: str  # file, absent, link, directory, other or unknown
    problem: Optional[str] = None  # why it could not be looked at, or read
    attributes: Optional[Attributes] = None
    acl: Tuple[AclEntry, ...] = ()
    links: int = 1
    size: Optional[int] = None
    modified: Optional[float] = None
    data: Optional[bytes] = None
    unsafe: Optional[Tuple[str, str]] = None  # a directory above it, and who may write that
    barrier: Optional[str] = None  # what the reader cannot get past: a directory, or the file
    leftovers: Tuple[str, ...] = ()


class Policy(NamedTuple):
    """What the files are judged by, and who looks at them."""

    account: str  # who looks
    owners: FrozenSet[int]
    groups: FrozenSet[int]
    group_matters: bool  # even where the mode gives a group nothing
    mode: int
    reader: Optional[Reader]
    max_age: Optional[int]  # days
    registered: Optional[bool]  # None: unknown
    marker: Optional[str]
    now: float


class Content(NamedTuple):
    """What a file holds. ``repr()`` shows no secret."""

    format: str  # raw or env
    token: Optional[Token]
    fault: Optional[TokenFault]
    trailing_newline: bool
    secrets: Tuple[str, ...]  # what must not appear anywhere else

    def __repr__(self) -> str:
        return f"Content(format={self.format}, token={self.token!r})"


def parse_content(path: str, data: bytes, now: float) -> Content:
    """Return what the bytes of a file mean: an environment file where they assign the variable or the name says so, else the token alone."""
    content = read(data, "env" if path.endswith(".env") else None)
    token, fault = None, None
    try:
        token = content.token(now=now)
    except TokenFault as exc:
        fault = exc
        if exc.code == "expired":
            token = content.token(now=_BEFORE_ALL)
    return Content(
        format=content.format,
        token=token,
        fault=fault,
        trailing_newline=content.format == "raw" and data.endswith(b"\n"),
        secrets=secrets_in(decode(data) if content.text is None else content.text),
    )


def secrets_in(text: str) -> Tuple[str, ...]:
    """Return the words of a text that are secrets: tokens and API keys, and a single word of whatever shape.

    A file may hold more or less than a token, with white space around it. What is in there is as secret as a clean one.
    """
    words = [word.strip("\"'`") for word in re.split(r"[\s\0\ufeff]+", text) if word]
    found = []
    for word in words:
        # an opaque token may have the shape of an assignment; what is only the value of one is as secret
        for each in (word, _ASSIGNMENT.sub("", word).strip("\"'`")):
            if _is_secret(each, alone=len(words) == 1):
                found.append(each)
                break
    return tuple(found)


def _is_secret(word: str, alone: bool) -> bool:
    try:
        kind = judge(word).kind
    except TokenFault as exc:
        kind = exc.code
    return kind in ("bootstrap_key", "jwt", "expired", "api_key") or (kind == "opaque" and alone)


def findings_for(facts: Facts, content: Optional[Content], policy: Policy, elsewhere: bool) -> List[Finding]:
    """Return what is wrong with a file, and what is in it.

    :param content: what it holds, None where it could not be read
    :param elsewhere: another of the paths exists, or says that none does, so that this one need not
    """
    found = list(_of_place(facts))
    if facts.state == "absent":
        found.append(_missing(facts.path, policy, elsewhere))
    elif facts.state == "unknown" or (facts.state == "file" and content is None):
        found.append(_unreadable(facts, policy.account))
    if facts.state == "file" and facts.attributes is not None:
        found += _of_permissions(facts, facts.attributes, policy)
    if content is not None:
        found += _of_content(facts.path, content, policy)
        found += _of_life(facts, policy)
    return found


def _of_place(facts: Facts) -> Iterable[Finding]:
    path = facts.path
    if facts.unsafe:
        message = f"{facts.unsafe[1]} can write to the directory {facts.unsafe[0]}, and so replace what is in it"
        yield Finding("directory_writable", "error", message, "correct its permissions (chmod go-w, owner root), or keep the token below /etc/expanso")
    for leftover in facts.leftovers:
        message = f"{leftover} was left by an interrupted write and may hold a token"
        yield Finding("temporary_file", "warning", message, "run expanso.edge.bootstrap_token again, which removes it, or remove it by hand")
    if facts.state == "link":
        message = f"{path} is a symbolic link: whoever may change its target decides which token the agent gets"
        yield Finding("symbolic_link", "error", message, "remove the link and put the file itself there with expanso.edge.bootstrap_token")
    elif facts.state in ("directory", "other"):
        message = f"{path} is {'a directory' if facts.state == 'directory' else 'neither a file nor a directory'}"
        yield Finding("not_regular_file", "error", message, "remove it, or name another path")


def _missing(path: str, policy: Policy, elsewhere: bool) -> Finding:
    if policy.registered:
        return Finding("token_not_found", "info", f"{path} does not exist; none is needed: {policy.marker} exists", "nothing to do")
    if elsewhere:
        return Finding("token_not_found", "info", f"{path} does not exist; one of the paths is enough", "nothing to do")
    state = "this node is not registered" if policy.registered is False else "cannot determine whether this node is registered"
    return Finding(
        "token_not_found",
        "warning" if policy.registered is None else "error",
        f"bootstrap token file not found: {path} does not exist, and {state}",
        "put it there with expanso.edge.bootstrap_token, and make sure that the agent uses this very path and data directory",
    )


def _unreadable(facts: Facts, account: str) -> Finding:
    if facts.problem != os.strerror(errno.EACCES) or account == user_name(0):
        message = f"{facts.path} cannot be read: {facts.problem}"
        return Finding("not_readable", "warning", message, "correct that, and run this again")
    return Finding(
        "not_readable",
        "warning",
        f"permission denied reading bootstrap token: the account {account} cannot read {facts.path}",
        f"for a whole audit run this as root (become: true); if {account} is the account of the agent, make it the file's owner "
        "with expanso.edge.bootstrap_token; chown root:root would lock it out",
    )


def _of_permissions(facts: Facts, attributes: Attributes, policy: Policy) -> Iterable[Finding]:
    path = facts.path
    described = f"{user_name(attributes.uid)}:{group_name(attributes.gid)} {attributes.mode:04o}"
    if facts.barrier:
        name = policy.reader.name if policy.reader else "nobody"
        what = f"read {path}, which is {described}"
        remedy = "make the account of the agent its owner with expanso.edge.bootstrap_token; chown root:root would lock that account out"
        if facts.barrier != path:
            what = f"pass the directory {facts.barrier} to read {path}"
            remedy = "let the account of the agent pass it (chmod o+x), or keep the token below /etc/expanso"
        message = f"permission denied reading bootstrap token: {name} cannot {what}"
        yield Finding("permission_denied", "error", message, remedy + "; or hand it over with LoadCredential= of systemd")
    if attributes.mode & ~policy.mode:
        message = f"{path} has mode {attributes.mode:04o}, wider than {policy.mode:04o}"
        yield Finding("mode_too_wide", "error", message, _REPAIR)
    if attributes.uid not in policy.owners:
        message = f"{path} belongs to {user_name(attributes.uid)}, not to {_names(policy.owners, user_name)}"
        yield Finding("wrong_owner", "error", message, "correct it with expanso.edge.bootstrap_token; the owner may have read the token")
    if attributes.gid not in policy.groups and (policy.group_matters or attributes.mode & stat.S_IRWXG):
        message = f"{path} has the group {group_name(attributes.gid)}, not {_names(policy.groups, group_name)}"
        yield Finding("wrong_group", "error", message, "correct it with expanso.edge.bootstrap_token")
    for grant in grants_besides(facts.acl, policy.owners, policy.groups):
        yield Finding("acl_grants_access", "error", f"the access control list of {path} gives access to {grant}", _REPAIR)
    if facts.links > 1:
        message = f"{path} has {facts.links} names (hard links): the others keep the token when this one is removed"
        yield Finding("hard_link", "error", message, "find them with 'find -samefile', and remove them")


def _names(ids: FrozenSet[int], name: Callable[[int], str]) -> str:
    return " or ".join(name(each) for each in sorted(ids))


def _of_content(path: str, content: Content, policy: Policy) -> Iterable[Finding]:
    fault = content.fault
    if fault is not None:
        irrelevant = fault.code == "expired" and policy.registered
        message = f"invalid bootstrap token: {path}: {fault.message}"
        yield Finding(fault.code, "info" if irrelevant else "error", message, _REMEDIES.get(fault.code, _GET_TOKEN))
    elif content.token is not None and content.token.kind == "opaque":
        message = f"the content of {path} is neither a bootstrap key (exp_bk_...) nor a JWT"
        yield Finding("unknown_shape", "info", message, "make sure that it is a bootstrap token, and a whole one")
    if content.trailing_newline:
        message = f"{path} ends with a line feed, which becomes part of the secret where the file is used as it is"
        yield Finding("trailing_newline", "warning", message, _WRITE_AGAIN)


def _of_life(facts: Facts, policy: Policy) -> Iterable[Finding]:
    if policy.registered:
        message = f"{facts.path} is still there, but the node is registered ({policy.marker} exists) and no longer needs it"
        yield Finding("left_over", "warning", message, "remove it with expanso.edge.bootstrap_token and state 'absent'")
    days = age_days(facts, policy.now)
    if policy.max_age is not None and days is not None and days > policy.max_age:
        message = f"{facts.path} was written {days} days ago, more than {policy.max_age}"
        yield Finding("too_old", "warning", message, f"rotate it: {_GET_TOKEN}, and revoke this one")


def age_days(facts: Facts, now: float) -> Optional[int]:
    """Return how many whole days ago a file was written."""
    return None if facts.modified is None else max(0, int((now - facts.modified) // _DAY))
