# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Directories that are held open, so that what was checked is what is used.

A path is a question that is answered anew each time it is asked: whoever may write a directory above can exchange what it leads to in between.
So each directory is opened from the root, one by one and without following links, and judged as it was opened. Everything
afterwards is done relative to that descriptor.
"""

import contextlib
import errno
import fcntl
import os
import stat
import time
from typing import Callable, Iterator, List, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._permissions import ACL_ACCESS, ACL_DEFAULT, drop_acl, give
from ansible_collections.expanso.edge.plugins.module_utils._walk import SEARCH, Step, Walk, by_descriptor, close, first_open, naming, step_of

NEW_DIRECTORY_MODE = 0o755
"""For directories made on the way: the token's own mode protects it, and the agent's configuration lies beside it."""

TEMPORARY_SUFFIX = ".expanso-edge.tmp"
"""What the names of files and directories end with that are not complete yet."""

Label = Callable[[str, str], None]
"""Called with where something new can be reached and with its final path, to give it the security context that belongs there."""

_LOCK_SECONDS = 10.0
_POLL_SECONDS = 0.05


class Directory:
    """A directory that is held open. What is done in it is done in this one, whatever becomes of its path.

    Faults of the system name the whole path. To be used in a ``with`` statement, or closed.
    """

    def __init__(self, path: str, descriptor: int, steps: List[Step], missing: Tuple[str, ...] = ()) -> None:
        self.path = path
        self.descriptor = descriptor
        self.steps = steps
        """What was opened on the way, the root first and this one last."""
        self.missing = missing
        """Names of the directories below it that were asked for and are not there, the outermost first."""
        self.locked = False
        """Whether the caller has locked it already, by another descriptor."""
        with naming(path):
            self.readable = not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_PATH

    def __enter__(self) -> "Directory":
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def close(self) -> None:
        if self.descriptor >= 0:
            close(self.descriptor)
            self.descriptor = -1

    @classmethod
    def hold(cls, path: str, lenient: bool = False) -> "Directory":
        """Open a directory, or the nearest above it that is there.

        A symbolic link on the way is resolved, and what it leads to is opened in the same way, if only root and the own account can have put it there.

        :param lenient: treat what is not a directory as one that is missing, because there is nothing below it
        :raises UntrustedLink: another account may exchange a link
        :raises LeadsNowhere: the target of a link is not there
        :raises OSError: something on the way is not a directory, or cannot be opened
        """
        path = os.path.abspath(path)
        walk = Walk(path)
        try:
            missing = walk.descend(lenient)
            for _name in missing:
                path = os.path.dirname(path)
            with naming(path):
                descriptor = _readable(walk.descriptor)
        finally:
            walk.close()
        return cls(path, descriptor, walk.steps, tuple(missing))

    def below(self, name: str) -> "Directory":
        """Open a directory in this one that is not a link."""
        path = os.path.join(self.path, name)
        with naming(path):
            descriptor = os.open(name, SEARCH | os.O_DIRECTORY, dir_fd=self.descriptor)
            try:
                return Directory(path, _readable(descriptor), self.steps + [step_of(path, descriptor)])
            finally:
                close(descriptor)

    def other_writer(self, uid: int, gid: int, future_mode: Optional[int] = None) -> Optional[Tuple[str, str]]:
        """Return the first directory on the way that others may write, and who; None where there is none.

        :param uid: the user that is trusted besides root and the own account
        :param gid: the group likewise
        :param future_mode: permissions that this directory is about to get
        """
        return first_open(self.steps, uid, gid, None if self.missing else future_mode)

    def status(self) -> os.stat_result:
        with naming(self.path):
            return os.fstat(self.descriptor)

    def stat(self, name: str) -> Optional[os.stat_result]:
        """Return what a name is, a link not followed; None where there is nothing."""
        with naming(os.path.join(self.path, name)):
            try:
                return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
            except FileNotFoundError:
                return None

    def names(self) -> List[str]:
        with naming(self.path):
            if not self.readable:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return sorted(os.listdir(self.descriptor))

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open a file in this directory, never through a link."""
        with naming(os.path.join(self.path, name)):
            return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=self.descriptor)

    def rename(self, old: str, new: str) -> None:
        with naming(os.path.join(self.path, new)):
            os.rename(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def unlink(self, name: str) -> bool:
        """Remove a file; return whether it was there."""
        with naming(os.path.join(self.path, name)):
            try:
                os.unlink(name, dir_fd=self.descriptor)
            except FileNotFoundError:
                return False
        return True

    def rmdir(self, name: str) -> bool:
        """Remove a directory if it is empty; return whether it is gone now."""
        try:
            os.rmdir(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def is_read_only(self) -> bool:
        """Whether nothing can be changed in it, not even by root, because its file system is mounted so."""
        with naming(self.path):
            return bool(os.fstatvfs(self.descriptor).f_flag & os.ST_RDONLY)

    def chmod(self, mode: int) -> None:
        with naming(self.path):
            if self.readable:
                os.fchmod(self.descriptor, mode)
            else:
                os.chmod(by_descriptor(self.descriptor), mode)

    def reach(self, name: str) -> str:
        """Return a path by which a program finds something in this very directory, for what knows no descriptors."""
        place = by_descriptor(self.descriptor)
        return os.path.join(place if os.path.isdir(place) else self.path, name)

    def sync(self) -> None:
        """Make changes in it durable, where its file system knows how: some, such as 9p and vboxsf, do not for directories."""
        if self.readable:
            with naming(self.path):
                try:
                    os.fsync(self.descriptor)
                except OSError as exc:
                    if exc.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
                        raise

    @contextlib.contextmanager
    def lock(self, seconds: Optional[float] = None) -> Iterator[bool]:
        """Keep other runs of ours from changing something in this directory at the same time; tell whether that is certain.

        As well as can be: every account may lock what it may read, and not all file systems know locks, so nobody waits for ever.

        :param seconds: how long to wait for another run, 10 by default
        """
        taken = self.readable and not self.locked and _lock(self.descriptor, _LOCK_SECONDS if seconds is None else seconds)
        try:
            yield taken or self.locked
        finally:
            if taken:
                with contextlib.suppress(OSError):  # when the directory is closed, the lock goes at the latest
                    fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def make(self, name: str, mode: int, label: Label, owner: Optional[Tuple[int, int]] = None) -> bool:
        """Make a directory, complete before it has its name; return whether it was made, and not by another run in the meantime.

        It has no access control list, not even one that this directory gives to what is new in it.
        """
        path = os.path.join(self.path, name)
        with naming(path), self.lock():
            if self._is_directory(name):
                return False
            temporary = self._new_directory(name)
            try:
                descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.descriptor)
                try:
                    drop_acl(descriptor, ACL_ACCESS, ACL_DEFAULT)
                    label(self.reach(temporary), path)
                    if owner is not None:
                        give(descriptor, *owner)
                    os.fchmod(descriptor, mode)
                finally:
                    close(descriptor)
                # a rename would take the place of an empty directory
                if self._is_directory(name):
                    self.rmdir(temporary)
                    return False
                self.rename(temporary, name)
            except BaseException as exc:
                self.rmdir(temporary)
                if isinstance(exc, OSError) and exc.errno in (errno.ENOTEMPTY, errno.EEXIST) and self._is_directory(name):
                    return False  # another run was quicker
                raise
        try:
            self.sync()
        except OSError:
            self.rmdir(name)
            raise
        return True

    def _is_directory(self, name: str) -> bool:
        found = self.stat(name)
        if found is not None and not stat.S_ISDIR(found.st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        return found is not None

    def _new_directory(self, name: str) -> str:
        """Make an empty directory under another name. It is the same each time, so what a killed run left is used up by the next."""
        temporary = temporary_name(name)
        self.rmdir(temporary)
        try:
            os.mkdir(temporary, 0o700, dir_fd=self.descriptor)
        except FileExistsError:  # another run at work, or something that is not ours
            temporary = temporary_name(name, f"{int.from_bytes(os.urandom(4), 'big'):08x}")
            os.mkdir(temporary, 0o700, dir_fd=self.descriptor)
        return temporary


def temporary_name(name: str, part: str = "") -> str:
    """Return what something is called until it is complete: no longer than a name can be, and never the one of another name.

    :param part: makes the difference between several for the same name; letters, digits and underscores
    """
    if len(os.fsencode(name)) > 200:
        name = _digest(name)
    return f".{name}{'.' + part if part else ''}{TEMPORARY_SUFFIX}"


def _digest(name: str) -> str:
    """Return a short text that stands for a long name. FNV-1a: algorithms of the library may be forbidden on a node."""
    digest = 0x6C62272E07BB014262B821756295C58D
    for byte in os.fsencode(name):
        digest = (digest ^ byte) * 0x0000000001000000000000000000013B % (1 << 128)
    return f"{digest:032x}"


def _readable(descriptor: int) -> int:
    """Open a directory once more, to read it where that is permitted."""
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=descriptor)
    except PermissionError:
        return os.dup(descriptor)


def _lock(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        except OSError:  # a file system without locks
            return False
        time.sleep(_POLL_SECONDS)
