# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Files that hold a secret: who could reach them, and how to write them so that nobody else does.

Knows nothing of tokens and nothing of Ansible. Errors are :class:`SecureFileError` with a message for people, or :class:`OSError`.
"""

import errno
import grp
import os
import pwd
import stat
import struct
import tempfile
import time
from typing import Callable, FrozenSet, List, NamedTuple, Optional, Tuple, Union

from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError

MAX_SIZE = 65536
"""Bytes read of a file at most: a token with its variables is far smaller."""

NEW_DIRECTORY_MODE = 0o755
"""For directories made on the way: the token's own mode protects it, and the agent's configuration lies beside it."""

_TEMPORARY_SUFFIX = ".expanso-edge.tmp"
_STALE_SECONDS = 600


class SecureFileError(EdgeError):
    """Something about a path that has to be mended before a secret may be there."""


class Attributes(NamedTuple):
    """Who may do what with a file."""

    uid: int
    gid: int
    mode: int


class SecretFile(NamedTuple):
    """A regular file as it was found."""

    data: bytes
    attributes: Attributes
    links: int
    has_acl: bool
    modified: float  # seconds since the epoch


class AclEntry(NamedTuple):
    """A named entry of a POSIX ACL, with what its mask leaves of it; acl(5)."""

    kind: str  # user or group
    id: int
    permissions: int  # 4 read, 2 write, 1 execute


def parse_mode(text: Union[str, int], allowed: int, name: str = "mode") -> int:
    """Return the permission bits of an octal text such as ``0600``.

    :param allowed: the bits that it may have
    :raises SecureFileError: it is no octal number, or has other bits
    """
    try:
        mode = text if isinstance(text, int) else int(text, 8)
    except (TypeError, ValueError):
        mode = -1
    if mode < 0 or mode & ~allowed:
        raise SecureFileError(
            "{0} {1} is not possible here: write it as a quoted octal string, with no bits but those of '{2:04o}'".format(
                name, "{0} without quotation marks".format(text) if isinstance(text, int) else text, allowed
            )
        )
    return mode


def _is_id(name: str) -> bool:
    """Whether a text is the number of an account or group; the largest that 32 bits hold means "none" to the kernel."""
    return name.isdecimal() and int(name) < 0xFFFFFFFF


def user_id(name: str) -> int:
    """Return the number of an account given by name or number.

    :raises SecureFileError: there is no account of that name
    """
    if _is_id(name):
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise SecureFileError("there is no account {0!r} on this node: create it first, or name another owner".format(name)) from None


def group_id(name: str) -> int:
    """Return the number of a group given by name or number.

    :raises SecureFileError: there is no group of that name
    """
    if _is_id(name):
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SecureFileError("there is no group {0!r} on this node: create it first, or name another group".format(name)) from None


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


def read(path: str) -> Optional[SecretFile]:
    """Return the regular file at a path, None where there is nothing.

    :raises SecureFileError: a symbolic link, or anything else that is no regular file
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        if exc.errno == errno.ENOENT:
            return None
        if exc.errno == errno.ELOOP:
            raise SecureFileError("{0} is a symbolic link, which is not followed: remove it, or name the file itself".format(path)) from None
        if exc.errno == errno.ENXIO:
            raise SecureFileError("{0} is not a regular file: remove it, or name another path".format(path)) from None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise SecureFileError("{0} is {1}: remove it, or name another path".format(path, kind))
        return SecretFile(
            data=os.read(descriptor, MAX_SIZE + 1),
            attributes=Attributes(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)),
            links=status.st_nlink,
            has_acl=bool(acl_entries(descriptor)),
            modified=status.st_mtime,
        )
    finally:
        os.close(descriptor)


def unsafe_directory(path: str, uid: int, gid: int, future_mode: Optional[int] = None) -> Optional[Tuple[str, str]]:
    """Return the first directory above a path that others may write, and who; None where there is none.

    Who may write a directory may replace what is in it, so every directory up to the root counts, sticky ones too.
    Trusted are root, the account that asks, and the file's own user and group.

    :param path: absolute; what is missing of it does not matter
    :param uid: the user that the file belongs to, or will belong to
    :param gid: its group
    :param future_mode: permissions that the file's own directory is about to get
    """
    own = os.path.realpath(os.path.dirname(path))
    users = frozenset((0, os.geteuid(), uid))
    groups = frozenset((0, os.getegid(), gid))
    for directory in directories_above(path):
        status = os.stat(directory)
        mode = future_mode if future_mode is not None and os.path.realpath(directory) == own else status.st_mode
        who = _other_writer(directory, status, mode, users, groups)
        if who:
            return directory, who
    return None


def directories_above(path: str) -> List[str]:
    """Return the directories above an absolute path as far as they exist, the root first: as it is written, then with symbolic links resolved."""
    own = os.path.dirname(path)
    found = _with_parents(own) + _with_parents(os.path.realpath(own))
    return [each for position, each in enumerate(found) if each not in found[:position] and os.path.isdir(each)]


def _with_parents(directory: str) -> List[str]:
    """Return a directory and all above it, the root first."""
    found = [directory]
    while os.path.dirname(found[0]) != found[0]:
        found.insert(0, os.path.dirname(found[0]))
    return found


def _other_writer(directory: str, status: os.stat_result, mode: int, users: FrozenSet[int], groups: FrozenSet[int]) -> Optional[str]:
    if mode & stat.S_IWOTH:
        return "every account"
    if status.st_uid not in users:
        return "its owner {0}".format(user_name(status.st_uid))
    if mode & stat.S_IWGRP and status.st_gid not in groups:
        return "its group {0}".format(group_name(status.st_gid))
    for entry in acl_entries(directory):
        if entry.permissions & 2 and entry.id not in (users if entry.kind == "user" else groups):
            return "the {0} {1} of its access control list".format(entry.kind, (user_name if entry.kind == "user" else group_name)(entry.id))
    return None


def make_directories(directory: str, mode: int, label: Callable[[str], None]) -> List[str]:
    """Make a directory and those above it that are missing; return what was made, the outermost first.

    :param mode: of the innermost; the others get :data:`NEW_DIRECTORY_MODE`
    :param label: called with each new directory, for its security context
    """
    missing = [each for each in _with_parents(directory) if not os.path.isdir(each)]
    made = []  # type: List[str]
    try:
        for each in missing:
            try:
                os.mkdir(each, 0o700)
            except FileExistsError:
                if os.path.isdir(each):  # made by another run in the meantime
                    continue
                raise
            made.append(each)
            label(each)
            os.chmod(each, mode if each == directory else NEW_DIRECTORY_MODE)
    except OSError:
        remove_directories(made)
        raise
    return made


def remove_directories(made: List[str]) -> None:
    """Remove directories that :func:`make_directories` made, as far as they are empty."""
    for each in reversed(made):
        try:
            os.rmdir(each)
        except OSError:
            return


def write(path: str, data: bytes, attributes: Attributes, label: Callable[[str], None]) -> None:
    """Replace a file atomically: at no time is there a part of it, or all of it with wider permissions.

    :param label: called with the temporary file's path before it takes the place of the old one, for its security context
    :raises SecureFileError: what is there afterwards is not what was written
    """
    directory, name = os.path.split(path)
    # mkstemp: mode 0600, O_EXCL and O_NOFOLLOW, in the same directory so that the rename is atomic
    descriptor, temporary = tempfile.mkstemp(prefix=".{0}.".format(name[:100]), suffix=_TEMPORARY_SUFFIX, dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            _drop_acl(descriptor)
            os.fchown(descriptor, attributes.uid, attributes.gid)
            os.fchmod(descriptor, attributes.mode)
            os.fsync(descriptor)
        label(temporary)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync_directory(directory)

    found = read(path)
    if found is None or found.data != data or found.attributes != attributes or found.has_acl:
        raise SecureFileError("{0} does not hold what was just written: is something else managing it, or the file system unable to?".format(path))


def remove(path: str) -> None:
    """Remove a file, durably."""
    os.unlink(path)
    _sync_directory(os.path.dirname(path))


def leftovers(path: str, older_than: float = _STALE_SECONDS) -> List[str]:
    """Return the temporary files that a killed :func:`write` of this path left behind.

    :param older_than: in seconds; a younger one may be at work still
    """
    directory, name = os.path.split(path)
    prefix = ".{0}.".format(name[:100])
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    found = [os.path.join(directory, each) for each in names if each.startswith(prefix) and each.endswith(_TEMPORARY_SUFFIX)]
    return sorted(each for each in found if _age(each) > older_than)


def _age(path: str) -> float:
    try:
        return time.time() - os.lstat(path).st_mtime
    except FileNotFoundError:  # the write that it belonged to is done
        return float("-inf")


def _drop_acl(descriptor: int) -> None:
    """Drop the access control list that a directory's default one gave a new file."""
    try:
        os.removexattr(descriptor, "system.posix_acl_access")
    except OSError as exc:
        if exc.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
