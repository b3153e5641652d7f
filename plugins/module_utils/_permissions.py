# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Who may do what with a file or a directory: accounts, modes and POSIX access control lists.

Knows nothing of tokens and nothing of Ansible.
"""

import errno
import os
import stat
import struct
from typing import FrozenSet, Iterable, List, NamedTuple, Optional, Union

from ansible_collections.expanso.edge.plugins.module_utils._account import group_name, user_name
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError

ACL_ACCESS = "system.posix_acl_access"
ACL_DEFAULT = "system.posix_acl_default"


class SecureFileError(EdgeError):
    """A file or a directory that has to be mended before a secret may be there."""


class Attributes(NamedTuple):
    """Who may do what with a file."""

    uid: int
    gid: int
    mode: int


class Reader(NamedTuple):
    """Who reads a file. ``uid`` is None for whoever is in one of the groups."""

    name: str
    uid: Optional[int]
    gids: FrozenSet[int]


class AclEntry(NamedTuple):
    """A named entry of a POSIX ACL, with what its mask leaves of it; acl(5)."""

    kind: str  # user or group
    id: int
    permissions: int  # 4 read, 2 write, 1 execute

    @property
    def named(self) -> str:
        """What it is for, in words."""
        return f"{self.kind} {(user_name if self.kind == 'user' else group_name)(self.id)}"


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


def give(descriptor: int, uid: int, gid: int) -> None:
    """Give a file or a directory to an account and a group.

    :raises OSError: that is not possible, and why
    """
    try:
        os.fchown(descriptor, uid, gid)
    except OSError as exc:
        why = exc.strerror or type(exc).__name__
        if exc.errno == errno.EINVAL:
            why += f" (account {uid} or group {gid} is not mapped into this container's user namespace)"
        raise OSError(exc.errno, why) from None


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


def permits(attributes: Attributes, acl: Iterable[AclEntry], reader: Reader, bit: int) -> bool:
    """Whether permissions let a reader do something, in the order of acl(5).

    :param bit: 4 read, 2 write, 1 execute
    """
    if reader.uid == 0:
        return True
    if reader.uid == attributes.uid:
        return bool(attributes.mode >> 6 & bit)
    for entry in acl:
        if entry.kind == "user" and entry.id == reader.uid:
            return bool(entry.permissions & bit)
    groups = [attributes.mode >> 3] if attributes.gid in reader.gids else []
    groups += [entry.permissions for entry in acl if entry.kind == "group" and entry.id in reader.gids]
    return any(permissions & bit for permissions in groups or [attributes.mode])


def others_may_read(attributes: Attributes, acl: Iterable[AclEntry], owners: FrozenSet[int], groups: FrozenSet[int]) -> bool:
    """Whether anybody can read a file who is neither one of the owners nor in one of the groups."""
    return bool(
        attributes.uid not in owners
        or attributes.mode & stat.S_IROTH
        or (attributes.mode & stat.S_IRGRP and attributes.gid not in groups)
        or grants_besides(acl, owners, groups)
    )


def grants_besides(acl: Iterable[AclEntry], users: FrozenSet[int], groups: FrozenSet[int]) -> List[str]:
    """Return whom an access control list lets in besides root and the users and groups given, in words."""
    trusted = {"user": users | {0}, "group": groups | {0}}
    return [entry.named for entry in acl if entry.id not in trusted[entry.kind]]
