# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The way from the root to a directory: each part of it is opened, judged as it was opened, and held until the end.

Knows nothing of tokens and nothing of Ansible.
"""

import contextlib
import errno
import os
import stat
from typing import FrozenSet, Iterator, List, NamedTuple, Optional, Tuple, Union

from ansible_collections.expanso.edge.plugins.module_utils._permissions import AclEntry, Attributes, SecureFileError, acl_entries, other_writer

SEARCH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40  # as many as the kernel follows


class LeadsNowhere(SecureFileError):
    """A symbolic link in the place of a directory, whose target is not there."""

    def __init__(self, link: str, target: str) -> None:
        super().__init__(
            f"{shown(link)} is a symbolic link that leads nowhere, because {shown(target)} does not exist: mount or create that first, or remove the link"
        )
        self.link = link


class UntrustedLink(SecureFileError):
    """A symbolic link that others may exchange, so it is not followed."""

    def __init__(self, link: str, directory: str, who: str) -> None:
        super().__init__(
            f"{who} can write to the directory {shown(directory)}, and so replace the symbolic link {shown(link)}, which is not followed: "
            "put a directory in its place, or name the path that it leads to"
        )
        self.directory = directory
        self.who = who


class Step(NamedTuple):
    """A directory on the way to another, as it was when it was opened."""

    path: str
    attributes: Attributes
    acl: List[AclEntry]

    def other_writer(self, users: FrozenSet[int], groups: FrozenSet[int], future_mode: Optional[int] = None) -> Optional[str]:
        """Return who may write it besides the users and groups given; None where nobody else may."""
        attributes = self.attributes if future_mode is None else self.attributes._replace(mode=future_mode)
        return other_writer(attributes, self.acl, users, groups)


def shown(path: str) -> str:
    """Return a path as a message can hold it: its characters may be any, or none."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "?" for each in text)


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Let every fault of the system name the path, not a descriptor or a temporary name."""
    try:
        yield
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, shown(path)) from None


def close(descriptor: int) -> None:
    """Close what was only looked at or read: a fault of that takes nothing back."""
    with contextlib.suppress(OSError):
        os.close(descriptor)


def steps_to(path: str) -> Tuple[List[Step], Union[UntrustedLink, OSError, None]]:
    """Return what can be opened on the way to a directory, and why it ends early: at a link that is not to be followed, or at a fault of the system."""
    walk = Walk(os.path.abspath(path))
    end: Union[UntrustedLink, OSError, None] = None
    try:
        walk.descend()
    except (LeadsNowhere, NotADirectoryError):
        pass  # there is nothing further
    except (UntrustedLink, OSError) as exc:
        end = exc
    finally:
        walk.close()
    return walk.steps, end


def first_open(steps: List[Step], uid: int, gid: int, future_mode: Optional[int] = None) -> Optional[Tuple[str, str]]:
    """Return the first of the directories that others may write, and who; None where there is none.

    Who may write a directory may replace what is in it, so every directory up to the root counts, sticky ones too.
    """
    users, groups = frozenset((0, os.geteuid(), uid)), frozenset((0, os.getegid(), gid))
    for step in steps:
        who = step.other_writer(users, groups, future_mode if step is steps[-1] else None)
        if who:
            return step.path, who
    return None


class Walk:
    """The way from the root to a directory, each directory held open until the end."""

    def __init__(self, path: str) -> None:
        self.steps: List[Step] = []
        self._held: List[Tuple[str, int]] = []
        # names to come, the next one last, each with the link that it was read from
        self._pending: List[Tuple[str, Optional[str]]] = [(name, None) for name in reversed(_names(path))]
        self._links = 0

    @property
    def descriptor(self) -> int:
        return self._held[-1][1]

    def close(self) -> None:
        while self._held:
            close(self._held.pop()[1])

    def descend(self, lenient: bool = False) -> List[str]:
        """Go as far as there are directories; return the names that are missing then.

        :param lenient: treat what is not a directory as one that is missing
        """
        self._enter("/", os.open("/", SEARCH | os.O_DIRECTORY))
        while self._pending:
            name, link = self._pending.pop()
            if name == "..":
                self._leave(len(self._held) - 1)
                continue
            path = os.path.join(self._held[-1][0], name)
            try:
                found = _open(self.descriptor, name, path)
            except NotADirectoryError:
                if not lenient:
                    raise
                found = None
            if found is None:
                if link is not None:
                    raise LeadsNowhere(link, path)
                return [name] + [each for each, _link in reversed(self._pending)]
            with naming(path):
                is_link = stat.S_ISLNK(os.fstat(found).st_mode)
            if is_link:
                self._follow(path, found, link)
            else:
                self._enter(path, found)
        return []

    def _enter(self, path: str, descriptor: int) -> None:
        self._held.append((path, descriptor))
        step = step_of(path, descriptor)
        if step in self.steps:
            self.steps.remove(step)  # the last one is where the way has come to
        self.steps.append(step)

    def _leave(self, depth: int) -> None:
        while len(self._held) > max(depth, 1):
            close(self._held.pop()[1])

    def _follow(self, path: str, descriptor: int, link: Optional[str]) -> None:
        try:
            with naming(path):
                target = os.readlink("", dir_fd=descriptor)
        finally:
            close(descriptor)
        users, groups = frozenset((0, os.geteuid())), frozenset((0, os.getegid()))
        for step in self.steps:
            who = step.other_writer(users, groups)
            if who:
                raise UntrustedLink(path, step.path, who)
        self._links += 1
        if self._links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), shown(link or path))
        if target.startswith("/"):
            self._leave(1)
        self._pending += [(name, link or path) for name in reversed(_names(target))]


def _names(path: str) -> List[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _open(descriptor: int, name: str, path: str) -> Optional[int]:
    """Open a directory or a link to search or read it; None where there is nothing.

    :raises NotADirectoryError: it is something else
    """
    with naming(path):
        try:
            # asked for as a directory first, because that is what mounts one that is mounted on demand
            return os.open(name, SEARCH | os.O_DIRECTORY, dir_fd=descriptor)
        except OSError as exc:
            if exc.errno == errno.ENOENT:
                return None
            if exc.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
        try:
            found = os.open(name, SEARCH, dir_fd=descriptor)
        except FileNotFoundError:
            return None
        mode = os.fstat(found).st_mode
        if stat.S_ISLNK(mode) or stat.S_ISDIR(mode):
            return found
        close(found)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def step_of(path: str, descriptor: int) -> Step:
    with naming(path):
        status = os.fstat(descriptor)
    # a descriptor that is only for searching has no attributes of its own; without /proc, its path has
    place = by_descriptor(descriptor)
    acl = acl_entries(place if os.path.isdir(place) else path)
    return Step(path, Attributes(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)), acl)


def by_descriptor(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"
