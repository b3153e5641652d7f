# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Look at a node: what is asked of its files, and how they are."""

import os
import pwd
import stat
import time
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._account import AccountError, group_id, group_name, user_id, user_name
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Facts, Finding, Policy
from ansible_collections.expanso.edge.plugins.module_utils._permissions import Attributes, Reader, acl_entries, permits
from ansible_collections.expanso.edge.plugins.module_utils._registration import find_marker
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import SecureFileError, directories_above, leftovers, read, unsafe_directory
from ansible_collections.expanso.edge.plugins.module_utils._token_file import FILE_MODE_BITS
from ansible_collections.expanso.edge.plugins.module_utils._walk import UntrustedLink


def policy_from_params(params: Dict[str, Any]) -> Tuple[Policy, List[Finding]]:
    """Return what the files are judged by, and what is already wrong with that."""
    findings = []

    def number(find: Callable[[str], int], name: Optional[str]) -> Optional[int]:
        try:
            return None if name is None else find(name)
        except AccountError as exc:
            findings.append(Finding("account_missing", "error", str(exc), "create it before the agent is started, or name the one that it runs as"))
            return None

    uid, gid = number(user_id, params["owner"]), number(group_id, params["group"])
    mode = _checks.mode(params["mode"], FILE_MODE_BITS)
    marker, registered = None, None
    try:
        marker = find_marker(params)
        registered = marker is not None
    except OSError as exc:
        message = f"cannot determine whether this node is registered: {exc.filename}: {exc.strerror}"
        remedy = "run this as root (become: true)" if os.geteuid() else "correct that, and run this again"
        findings.append(Finding("registration_unknown", "info", message, remedy))

    reader = None
    if uid:
        reader = Reader(f"the account {user_name(uid)}", uid, groups_of(uid, gid))
    elif gid is not None and mode & 0o040:
        reader = Reader(f"the group {group_name(gid)}", None, frozenset((gid,)))
    policy = Policy(
        account=user_name(os.geteuid()),
        owners=frozenset((0, os.geteuid()) if uid is None else (uid,)),
        groups=frozenset((0, os.getegid()) if gid is None else (gid,)),
        group_matters=gid is not None,
        mode=mode,
        reader=reader,
        max_age=params["max_age"],
        registered=registered,
        marker=marker,
        now=time.time(),
    )
    return policy, findings


def groups_of(uid: int, gid: Optional[int]) -> FrozenSet[int]:
    """Return the groups of an account, with the one that was asked for."""
    also = () if gid is None else (gid,)
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return frozenset(also)
    return frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)).union(also)


def inspect_path(path: str, policy: Policy) -> Facts:
    """Return what can be found out about an absolute path. Never raises :class:`OSError`: what fails is one of the facts."""
    try:
        # root may write everywhere: what matters is the other of the owners, if there is one
        unsafe = unsafe_directory(path, max(policy.owners), max(policy.groups))
        return _inspect(Facts(path, "unknown", unsafe=unsafe, leftovers=tuple(leftovers(path))), policy.reader)
    except OSError as exc:
        return Facts(path, "unknown", problem=exc.strerror)


def _inspect(facts: Facts, reader: Optional[Reader]) -> Facts:
    path = facts.path
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return facts._replace(state="absent")
    attributes = Attributes(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISLNK, "link"), (stat.S_ISDIR, "directory"))
    state = next((name for test, name in kinds if test(status.st_mode)), "other")
    facts = facts._replace(state=state, attributes=attributes, links=status.st_nlink, size=status.st_size, modified=status.st_mtime)
    if state != "file":
        return facts
    facts = facts._replace(acl=tuple(acl_entries(path)))
    facts = facts._replace(barrier=_barrier(facts, reader))
    try:
        found = read(path)
    except OSError as exc:
        return facts._replace(problem=exc.strerror)
    except UntrustedLink as exc:
        return facts._replace(state="unknown", problem=str(exc))
    except SecureFileError:
        found = None
    if found is None:
        return facts._replace(state="unknown", problem="it changes while it is looked at")
    return facts._replace(data=found.data)


def _barrier(facts: Facts, reader: Optional[Reader]) -> Optional[str]:
    if reader is None or facts.attributes is None:
        return None
    for directory in directories_above(facts.path):
        status = os.stat(directory)
        if not permits(Attributes(status.st_uid, status.st_gid, status.st_mode), acl_entries(directory), reader, 1):
            return directory
    return None if permits(facts.attributes, facts.acl, reader, 4) else facts.path
