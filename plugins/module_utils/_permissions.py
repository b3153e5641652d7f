# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Who may do what with a file or a directory: accounts, modes and POSIX access control lists.

Knows nothing of tokens and nothing of Ansible.
"""

import errno
import grp
import os
import pwd
import stat
import struct
from typing import FrozenSet, List, NamedTuple, Optional, Union

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError

ACL_ACCESS = "system.posix_acl_access"
ACL_DEFAULT = "system.posix_acl_default"


class SecureFileError(EdgeError):
    """Something about a path that has to be mended before a secret may be there."""


class Attributes(NamedTuple):
    """Who may do what with a file."""

    uid: int
    gid: int
    mode: int


class AclEntry(NamedTuple):
    """A named entry of a POSIX ACL, with what its mask leaves of it; acl(5)."""

    kind: str  # user or group
    id: int
    permissions: int  # 4 read, 2 write, 1 execute

    @property
    def named(self) -> str:
        """What it is for, in words."""
        return f"{self.kind} {(user_name if self.kind == 'user' else group_name)(self.id)}"


def parse_mode(text: Union[str, int], allowed: int, name: str = "mode") -> int:
    """Return the permission bits of an octal text such as ``0600``.

    :param allowed: the bits that it may have
    :raises SecureFileError: it is no octal number, or has other bits
    """
    try:
        return _checks.mode(text, allowed, name)
    except _checks.OptionError as exc:
        raise SecureFileError(str(exc)) from None


def user_id(name: str) -> int:
    """Return the number of an account given by name or number.

    :raises SecureFileError: there is no account of that name
    """
    number = _checks.number(name)
    if number is not None:
        return number
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):  # a name that no account can have
        raise SecureFileError(f"there is no account {_quoted(name)} on this node: create it first, or name another owner") from None


def group_id(name: str) -> int:
    """Return the number of a group given by name or number.

    :raises SecureFileError: there is no group of that name
    """
    number = _checks.number(name)
    if number is not None:
        return number
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        raise SecureFileError(f"there is no group {_quoted(name)} on this node: create it first, or name another group") from None


def _quoted(name: str) -> str:
    shown = _checks.short(name).strip("'")
    return f"'{shown}'"


def user_name(uid: int) -> str:
    """Return an account's name, its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Return a group's name, its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def acl_entries(path: Union[str, int]) -> List[AclEntry]:
    """Return the entries of a POSIX ACL that grant something to a named user or group; none where there is no ACL.

    The layout is that of the attribute ``system.posix_acl_access`` in ``linux/posix_acl_xattr.h``.
    """
    try:
        raw = os.getxattr(path, "system.posix_acl_access")
    except OSError:  # no ACL, or a file system without any
        return []
    entries = list(struct.iter_unpack("<HHI", raw[4:]))
    mask = next((perm for tag, perm, _id in entries if tag == 0x10), 7)
    kinds = {0x02: "user", 0x08: "group"}
    return [AclEntry(kinds[tag], number, perm & mask) for tag, perm, number in entries if tag in kinds and perm & mask]


def drop_acl(descriptor: int, *attributes: str) -> None:
    """Drop the access control lists that a directory's default one gave to something new.

    :param descriptor: of what was opened for reading or writing
    """
    for attribute in attributes:
        try:
            os.removexattr(descriptor, attribute)
        except OSError as exc:
            if exc.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise


def other_writer(attributes: Attributes, acl: List[AclEntry], users: FrozenSet[int], groups: FrozenSet[int]) -> Optional[str]:
    """Return who may write a directory besides the users and groups given; None where nobody else may."""
    if attributes.mode & stat.S_IWOTH:
        return "every account"
    if attributes.uid not in users:
        return f"its owner {user_name(attributes.uid)}"
    if attributes.mode & stat.S_IWGRP and attributes.gid not in groups:
        return f"its group {group_name(attributes.gid)}"
    for entry in acl:
        if entry.permissions & 2 and entry.id not in (users if entry.kind == "user" else groups):
            return f"the {entry.named} of its access control list"
    return None
