# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Files that hold a secret: how to read them, and how to write them so that nobody else can.

Knows nothing of tokens and nothing of Ansible. Errors are :class:`SecureFileError` with a message for people, or :class:`OSError`.
What ends in ``_in`` works in a directory that is held; the same without it holds the path's own one for the time being.
"""

import contextlib
import errno
import os
import random
import re
import stat
import time
from typing import Callable, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._directory import Directory, Label, temporary_name
from ansible_collections.expanso.edge.plugins.module_utils._permissions import (
    ACL_ACCESS,
    AclEntry,
    Attributes,
    SecureFileError,
    acl_entries,
    drop_acl,
    give,
)
from ansible_collections.expanso.edge.plugins.module_utils._walk import UntrustedLink, close, first_open, naming, shown, steps_to

__all__ = [
    "MAX_SIZE",
    "AclEntry",
    "Attributes",
    "SecretFile",
    "SecureFileError",
    "acl_entries",
    "directories_above",
    "leftovers",
    "leftovers_in",
    "not_short_text",
    "read",
    "read_in",
    "remove",
    "unsafe_directory",
    "write",
    "write_in",
]

MAX_SIZE = 65536
"""Bytes read of a file at most: a token with its variables is far smaller."""

_STALE_SECONDS = 600
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
_RANDOM = random.SystemRandom()

Done = Callable[[], None]


def nothing() -> None:
    """Do nothing."""


class SecretFile(NamedTuple):
    """A regular file as it was found."""

    data: bytes
    attributes: Attributes
    links: int
    has_acl: bool
    modified: float  # seconds since the epoch
    inode: int = 0


def home(path: str, lenient: bool = False) -> Tuple[Directory, str]:
    """Hold the directory of a path, as far as it is there; return it with the name of the file in it.

    :param lenient: treat what is not a directory as one that is missing, because there is nothing below it
    """
    path = os.path.abspath(path)
    return Directory.hold(os.path.dirname(path), lenient), os.path.basename(path)


def read(path: str) -> Optional[SecretFile]:
    """Return the regular file at a path, None where there is nothing.

    :raises SecureFileError: it is a symbolic link, or anything else that is not a regular file
    """
    directory, name = home(path)
    with directory:
        return read_in(directory, name)


def read_in(directory: Directory, name: str) -> Optional[SecretFile]:
    """Return the regular file of a name, None where there is nothing.

    :raises SecureFileError: it is a symbolic link, or anything else that is not a regular file
    """
    if directory.missing:
        return None
    path = shown(os.path.join(directory.path, name))
    try:
        descriptor = directory.open(name, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as exc:
        if exc.errno == errno.ENOENT:
            return None
        if exc.errno == errno.ELOOP:
            raise SecureFileError(f"{path} is a symbolic link, which is not followed: remove it, or name the file itself") from None
        if exc.errno == errno.ENXIO:
            raise SecureFileError(f"{path} is not a regular file: remove it, or name another path") from None
        raise
    try:
        with naming(path):
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
                raise SecureFileError(f"{path} is {kind}: remove it, or name another path")
            return SecretFile(
                data=_read_all(descriptor, MAX_SIZE + 1),
                attributes=Attributes(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)),
                links=status.st_nlink,
                has_acl=bool(acl_entries(descriptor)),
                modified=status.st_mtime,
                inode=status.st_ino,
            )
    finally:
        close(descriptor)


def not_short_text(data: bytes) -> Optional[str]:
    """Return why what :func:`read` returned is not a short text, as a secret is in every format; None where it is.

    A file that is not a short text belongs to another program, and must be neither replaced nor removed.
    """
    if len(data) > MAX_SIZE:
        return f"it is larger than {MAX_SIZE} bytes"
    try:
        return "it is not text" if "\0" in data.decode("utf-8") else None
    except UnicodeDecodeError:
        return "it is not text"


def unsafe_directory(path: str, uid: int, gid: int, future_mode: Optional[int] = None) -> Optional[Tuple[str, str]]:
    """Return the first directory above a path that others may write, and who; None where there is none.

    Trusted are root, the account that asks, and the file's own user and group; above a symbolic link only root and the account that asks.

    :param path: absolute; what is missing of it does not matter
    :param uid: the user that the file belongs to, or will belong to
    :param gid: its group
    :param future_mode: permissions that the file's own directory is about to get
    :raises OSError: it is unknown, because one of them cannot be opened
    """
    own = os.path.dirname(path)
    steps, end = steps_to(own)
    found = first_open(steps, uid, gid, future_mode if steps and os.path.realpath(own) == steps[-1].path else None)
    if found is None and isinstance(end, OSError):
        raise end
    return (end.directory, end.who) if found is None and isinstance(end, UntrustedLink) else found


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


def write(path: str, data: bytes, attributes: Attributes, label: Callable[[str], None], done: Done = nothing) -> None:
    """Replace a file atomically: at no time is there a part of it, or all of it with wider permissions.

    :param label: called with the temporary file's path before it takes the place of the old one, for its security context
    :param done: called as soon as the file is replaced; it may fail to become durable afterwards
    :raises SecureFileError: what is there afterwards is not what was written
    """
    directory, name = home(path)
    with directory:
        if directory.missing:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), shown(os.path.dirname(path)))
        write_in(directory, name, data, attributes, lambda place, _path: label(place), done)


def write_in(directory: Directory, name: str, data: bytes, attributes: Attributes, label: Label, done: Done = nothing) -> None:
    """Replace a file of a directory that is held; see :func:`write`."""
    path = os.path.join(directory.path, name)
    with naming(path), directory.lock():
        _tighten(directory, name, attributes)
        temporary, descriptor = _new_file(directory, name)
        try:
            try:
                _write_all(descriptor, data)
                drop_acl(descriptor, ACL_ACCESS)
                give(descriptor, attributes.uid, attributes.gid)
                os.fchmod(descriptor, attributes.mode)
                label(directory.reach(temporary), path)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _verify(directory, temporary, path, data, attributes)
            directory.rename(temporary, name)
        except BaseException:
            _unlink_quietly(directory, temporary)
            raise
        done()
        _sync_directory(directory)
        _verify(directory, name, path, data, attributes)


def _verify(directory: Directory, name: str, path: str, data: bytes, attributes: Attributes) -> None:
    """Make sure that a file is what was written: before it replaces a good one, and once it has, because other programs may manage it, too.

    :raises SecureFileError: it is not
    """
    found = read_in(directory, name)
    if found is None or found.data != data or found.attributes != attributes or found.has_acl:
        raise SecureFileError(f"{shown(path)} does not hold what was just written: does another program write it, or can the file system not store it?")


def remove(path: str, done: Done = nothing) -> None:
    """Remove a file, durably. It may have been removed by another program in the meantime."""
    directory, name = home(path)
    with directory:
        remove_in(directory, name, done=done)


def remove_in(directory: Directory, name: str, found: Optional[SecretFile] = None, done: Done = nothing) -> None:
    """Remove a file of a directory that is held; see :func:`remove`.

    :param found: the file that was looked at, None for any
    :param done: called as soon as it is removed; that may fail to become durable afterwards
    :raises SecureFileError: another one has taken its place
    """
    if not directory.missing:
        with directory.lock():
            status = directory.stat(name) if found else None
            if found and status and (status.st_ino, status.st_mtime) != (found.inode, found.modified):
                path = shown(os.path.join(directory.path, name))
                raise SecureFileError(f"{path} was replaced while this ran, so it is not removed: run this again")
            if directory.unlink(name):
                done()
                _sync_directory(directory)


def leftovers(path: str, older_than: float = _STALE_SECONDS) -> List[str]:
    """Return the temporary files that a killed :func:`write` of this path left behind, as far as they can be found.

    :param older_than: in seconds; the file of a younger one that may be at work still is left out
    :raises OSError: a directory above it cannot be opened, or its own one be read
    """
    try:
        directory, name = home(path)
        with directory:
            return [os.path.join(os.path.dirname(path), each) for each in leftovers_in(directory, name, older_than)]
    except (NotADirectoryError, SecureFileError):
        return []


def leftovers_in(directory: Directory, name: str, older_than: float = _STALE_SECONDS) -> List[str]:
    """Return the names of the temporary files that a killed :func:`write_in` of this file left behind.

    :param older_than: in seconds; the file of a younger one that may be at work still is left out
    """
    if directory.missing or not directory.readable:
        return []
    # exactly ours: the name of another file may begin with this one's
    ours = re.compile("[a-z0-9_]+".join(map(re.escape, temporary_name(name, "\0").split("\0"))))
    if not any(map(ours.fullmatch, directory.names())):
        return []
    with directory.lock(0) as locked:
        # a writer holds the lock until its file has its name, so those that are here now are of writers that are gone
        found = [(each, directory.stat(each)) for each in directory.names() if ours.fullmatch(each)]
        return [each for each, status in found if status is not None and _is_left(status, float("-inf") if locked else older_than)]


def _is_left(status: os.stat_result, older_than: float) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and time.time() - status.st_mtime > older_than


def _tighten(directory: Directory, name: str, attributes: Attributes) -> None:
    """Take from the file that is there what it permits too much. To replace it may fail, on a full disk say.

    Only where it has no other name: it may also be another program's file. A failure here shows when the file is replaced.
    """
    try:
        descriptor = directory.open(name, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        status = os.fstat(descriptor)
        right = status.st_uid == attributes.uid and status.st_gid == attributes.gid
        mode = stat.S_IMODE(status.st_mode)
        narrow = mode & attributes.mode & (0o777 if right else 0o700)
        named = directory.stat(name)  # that only this name is left of it does not hold for what the name stood for a moment ago
        alone = named is not None and os.path.samestat(named, status) and named.st_nlink == 1
        if stat.S_ISREG(status.st_mode) and alone and narrow != mode:
            os.fchmod(descriptor, narrow)
    except OSError:
        pass
    finally:
        close(descriptor)


def _new_file(directory: Directory, name: str) -> Tuple[str, int]:
    """Make a file with a new name, mode 0600; return the name and its descriptor."""
    while True:
        temporary = temporary_name(name, "".join(_RANDOM.choice(_LETTERS) for _each in range(8)))
        try:
            return temporary, directory.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            continue


def _read_all(descriptor: int, size: int) -> bytes:
    """Read so many bytes, or as many as there are."""
    data = b""
    while len(data) < size:
        more = os.read(descriptor, size - len(data))
        if not more:
            break
        data += more
    return data


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes, which a single call may not."""
    rest = memoryview(data)
    while rest:
        written = os.write(descriptor, rest)
        if not written:  # no file system of Linux does so, and it would never end
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rest = rest[written:]


def _unlink_quietly(directory: Directory, name: str) -> None:
    """Remove what is not to stay after a fault, which matters more than that it stays all the same, but then without its secret."""
    try:
        directory.unlink(name)
    except OSError:  # in a directory that is only to be appended to, say
        with contextlib.suppress(OSError):
            os.close(directory.open(name, os.O_WRONLY | os.O_TRUNC))


def _sync_directory(directory: Directory) -> None:
    directory.sync()
