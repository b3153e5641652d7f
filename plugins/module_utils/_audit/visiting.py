# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
"""Go to the places of ``places`` and read what is there, as far as that is harmless.

Accounts may put anything into their homes and into ``/tmp`` while this goes on. So no symbolic link of theirs is followed to another place, nothing
but regular files is opened, network file systems are not touched, and each file is read once, whatever its names.
"""

import contextlib
import errno
import fnmatch
import itertools
import os
import re
import stat
import time
from typing import Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Policy
from ansible_collections.expanso.edge.plugins.module_utils._audit.packed import packed_inside
from ansible_collections.expanso.edge.plugins.module_utils._audit.places import HOME, NESTED, PACKED, SPOTS, TELLING, Spot, homes
from ansible_collections.expanso.edge.plugins.module_utils._audit.reading import GONE, MAX_FILE, MOST_NAMES, Place, names_in, open_regular, pieces, unpacked
from ansible_collections.expanso.edge.plugins.module_utils._permissions import Attributes, acl_entries, others_may_read

MOST_FILES = 5000
"""Files of a directory that are looked into."""

_MOST_DIRECTORIES = 5000  # below one directory
_MOST_LINKS = 40  # as many as the kernel follows
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# To touch these may wait for another machine, or mount something. Some also keep root out.
_REMOTE = re.compile(r"nfs\d?|autofs|cifs|smb\w*|afs|ceph|glusterfs|lustre|gpfs|davfs|coda|ncpfs|9p|fuse(?:\..*)?")
_ESCAPED = re.compile(r"\\([0-7]{3})")

_WORK = re.compile(rb"ansible-tmp-[0-9.]+-[0-9]+-[0-9]+")
_OF_PROCESS = re.compile(r"ansible-tmp-[0-9.]+-([0-9]+)-[0-9]+|ansible-local-([0-9]+).{8}")  # tempfile.mkdtemp() adds eight characters


class Remote(OSError):
    """A file system that is not to be touched."""


def remote_mounts(mountinfo: str = "/proc/self/mountinfo") -> Dict[str, str]:
    """Return where network file systems, and those that are mounted on demand, are on this node, and of which type; proc(5)."""
    found: Dict[str, str] = {}
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as handle:
            for line in handle:
                before, _dash, after = line.partition(" - ")
                place = _ESCAPED.sub(lambda each: chr(int(each.group(1), 8)), before.split(" ")[4])
                found[place] = after.split(" ")[0]
    except (OSError, IndexError):
        pass
    return {place: kind for place, kind in found.items() if place != "/" and _REMOTE.fullmatch(kind)}


def at_work(proc: str = "/proc") -> FrozenSet[str]:
    """Return the names of the temporary directories that runs of Ansible use right now, this one among them."""
    found: Set[str] = set()
    try:
        numbers = [each for each in os.listdir(proc) if each.isdigit()]
    except OSError:
        return frozenset()
    for number in numbers:
        try:
            with open(os.path.join(proc, number, "cmdline"), "rb") as handle:
                found.update(os.fsdecode(name) for name in _WORK.findall(handle.read(65536)))
        except OSError:
            continue
    return frozenset(found)


class _Directory(NamedTuple):
    descriptor: int
    path: str
    top: str  # the directory that the search of the place began with
    exposed: bool  # other accounts can get there
    trusted: bool  # only root puts anything there, so links may be followed


class Visit:
    """One search. Yields :class:`Place`."""

    def __init__(
        self, policy: Policy, skip: Iterable[str], deadline: float, root: str = "/", proc: str = "/proc", remote: Optional[Dict[str, str]] = None
    ) -> None:
        """Prepare it.

        :param skip: files that may hold a token
        :param deadline: in seconds of the monotonic clock
        :param root: directory that stands for the root of the node
        """
        self._policy = policy
        self._skip = frozenset(os.path.realpath(path) for path in skip)
        self._deadline = deadline
        self._root = os.path.realpath(root)
        self._proc = proc
        self._work = at_work(proc)
        self._remote = remote_mounts() if remote is None else remote
        self._seen: Set[Tuple[int, int]] = set()
        self._directories = 0

    def places(self, chosen: Iterable[str]) -> Iterator[Place]:
        """Yield what is in the places that were chosen."""
        wanted = frozenset(chosen)
        for spot in SPOTS:
            if spot.place in wanted:
                for fixed, below in self._tops(spot):
                    yield from self._top(spot, fixed, below)

    def _over(self) -> bool:
        return time.monotonic() > self._deadline

    def _tops(self, spot: Spot) -> List[Tuple[str, List[str]]]:
        """Return the directories to search: the part whose links count, and names below it."""
        fixed, _slash, last = spot.directory.rpartition("/")
        if spot.directory.startswith(HOME):
            return [(self._below(home), spot.directory.split("/")[1:]) for home in self._homes()]
        if "*" not in last:
            return [(self._below(spot.directory), [])]
        try:
            names = sorted(itertools.islice(names_in(self._below(fixed)), MOST_NAMES))
        except OSError:
            return []
        return [(self._below(fixed), [name]) for name in names if fnmatch.fnmatchcase(name, last)]

    def _below(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    def _homes(self) -> List[str]:
        accounts: List[str] = []
        others: List[str] = []
        # without it, the directories themselves are there all the same
        with contextlib.suppress(OSError), open(self._below("/etc/passwd"), encoding="utf-8", errors="surrogateescape") as handle:
            accounts = handle.readlines(MAX_FILE)
        with contextlib.suppress(OSError):
            others = sorted(itertools.islice(names_in(self._resolved(self._below("/home"))), MOST_NAMES))
        return homes(accounts, others)

    def _top(self, spot: Spot, fixed: str, below: List[str]) -> Iterator[Place]:
        """Yield what is below one directory of a place."""
        if self._over():
            return
        directory = None
        try:
            directory = self._hold(self._resolved(fixed), below)
            self._directories = 0
            yield from self._directory(spot, directory, spot.depth)
        except Remote as exc:
            yield Place("remote", str(exc), None)
        except GONE:
            ways = (os.path.join(fixed, *below[: count + 1]) for count in range(len(below)))
            link = next((way for way in ways if os.path.islink(way)), None)
            if link and spot.directory.startswith(HOME):  # where it is not followed
                yield Place(spot.kind, link, None)
        except OSError as exc:
            if exc.errno != errno.ELOOP:
                yield Place(spot.kind, os.path.join(fixed, *below), None)
        finally:
            if directory is not None:
                os.close(directory.descriptor)

    def _refuse_remote(self, path: str) -> None:
        if path in self._remote:
            raise Remote(f"{path} ({self._remote[path]})")

    def _resolved(self, path: str) -> str:
        """Return a path without symbolic links, and without having touched a network file system on the way."""
        parts, at, links = path.split("/")[::-1], "/", 0
        while parts:
            name = parts.pop()
            if name in ("", "."):
                continue
            at = os.path.dirname(at) if name == ".." else os.path.join(at, name)
            self._refuse_remote(at)
            try:
                target = os.readlink(at)
            except OSError as exc:
                if exc.errno == errno.EINVAL:
                    continue
                raise
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            at = "/" if target.startswith("/") else os.path.dirname(at)
            parts += target.split("/")[::-1]
        return at

    def _hold(self, real: str, below: List[str]) -> _Directory:
        exposed, at = True, real
        while exposed and at not in ("/", self._root):
            exposed, at = self._passable(os.stat(at), at), os.path.dirname(at)
        held = self._opened(None, real, real, real, exposed)
        for name in below:
            try:
                lower = self._opened(held.descriptor, name, os.path.join(held.path, name), real, held.exposed)
            finally:
                os.close(held.descriptor)
            held = lower
        return held

    def _opened(self, above: Optional[int], name: str, path: str, top: str, exposed: bool) -> _Directory:
        self._refuse_remote(path)
        try:
            descriptor = os.open(name, _DIRECTORY | os.O_NOATIME, dir_fd=above)
        except PermissionError:  # only its owner and root may ask for that
            descriptor = os.open(name, _DIRECTORY, dir_fd=above)
        status = os.fstat(descriptor)
        trusted = status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return _Directory(descriptor, path, top, exposed and self._passable(status, path), trusted)

    def _passable(self, status: os.stat_result, path: str) -> bool:
        """Whether other accounts than those that matter, and the owner, can pass a directory."""
        if status.st_mode & stat.S_IXOTH or acl_entries(path):
            return True
        return bool(status.st_mode & stat.S_IXGRP) and status.st_gid not in self._policy.groups and status.st_gid != status.st_uid

    def _directory(self, spot: Spot, directory: _Directory, depth: int) -> Iterator[Place]:
        """Yield what is in the files of a directory, and below it."""
        names, directories, more = self._listed(spot, directory, depth)
        if more:
            yield Place("rest", f"names in {directory.path} beyond the first {MOST_NAMES}", None)
        if len(names) > MOST_FILES:
            names.sort(key=lambda name: not _matches(name, TELLING))
            yield Place("rest", f"{len(names) - MOST_FILES} files in {directory.path}, which has more than {MOST_FILES}", None)
        for name in names[:MOST_FILES]:
            if self._over():
                return
            yield from self._file(spot, directory, name)
        for name in directories:
            self._directories += 1
            if self._directories > _MOST_DIRECTORIES:
                yield Place("rest", f"directories below {directory.top} beyond the first {_MOST_DIRECTORIES}", None)
                return
            if self._over():
                return
            yield from self._lower(spot, directory, name, depth - 1)

    def _lower(self, spot: Spot, above: _Directory, name: str, depth: int) -> Iterator[Place]:
        path = os.path.join(above.path, name)
        try:
            directory = self._opened(above.descriptor, name, path, above.top, above.exposed)
        except Remote as exc:
            yield Place("remote", str(exc), None)
        except OSError as exc:
            if not isinstance(exc, GONE) and exc.errno != errno.ELOOP:
                yield Place(spot.kind, path, None)
        else:
            try:
                yield from self._directory(spot, directory, depth)
            finally:
                os.close(directory.descriptor)

    def _listed(self, spot: Spot, directory: _Directory, depth: int) -> Tuple[List[str], List[str], bool]:
        """Return the names of files to look into, links among them, and of directories to go down to, and whether there are more than could be listed."""
        if not depth and not any("*" in each for each in spot.names):
            return list(spot.names), [], False  # whatever else there is
        files, directories = [], []
        listed = list(itertools.islice(names_in(directory.descriptor), MOST_NAMES + 1))
        for name in sorted(listed[:MOST_NAMES]):
            if _matches(name, spot.without) or self._is_at_work(name):
                continue
            if os.path.join(directory.path, name) in self._remote:  # which is told there
                directories += [name] if depth else []
                continue
            try:
                mode = os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False).st_mode
            except OSError:
                continue
            if stat.S_ISDIR(mode) and depth:
                directories.append(name)
            elif (stat.S_ISREG(mode) or stat.S_ISLNK(mode)) and _matches(name, spot.names):
                files.append(name)
        return files, directories, len(listed) > MOST_NAMES

    def _is_at_work(self, name: str) -> bool:
        """Whether a name is that of a temporary directory of a run that is not over, by what it runs here, or by its own process on this node."""
        found = _OF_PROCESS.fullmatch(name)
        if name in self._work or not found:
            return name in self._work
        with contextlib.suppress(OSError), open(os.path.join(self._proc, found.group(1) or found.group(2), "cmdline"), "rb") as handle:
            return b"ansible" in handle.read(65536)
        return False

    def _file(self, spot: Spot, directory: _Directory, name: str, linked: bool = False) -> Iterator[Place]:
        """Yield what is in a file, in pieces."""
        path = os.path.join(directory.path, name)
        try:
            handle, status = open_regular(directory.descriptor, name, follow=directory.trusted)
        except GONE:
            return
        except OSError as exc:
            if exc.errno == errno.ELOOP:
                if spot.directory.startswith(HOME) and not linked:
                    yield from self._linked(spot, directory, name)
            elif exc.errno != errno.EINVAL:
                yield Place(spot.kind, path, None)
            return
        with handle:
            number = (status.st_dev, status.st_ino)
            audited = (os.path.realpath(path) if directory.trusted else path) in self._skip
            if number in self._seen or audited or (spot.largest and status.st_size > spot.largest):
                return
            self._seen.add(number)
            exposed = directory.exposed and self._others_may_read(handle.fileno(), status)
            kind = "exposed_copy" if exposed and spot.kind == "copy" else spot.kind
            try:
                for piece in pieces(unpacked(handle) if spot.kind in PACKED else handle):
                    yield Place(kind, path, piece, exposed)
                    if spot.kind in NESTED:
                        yield from (Place(kind, path, inner, exposed) for inner in packed_inside(piece))
            except OSError:
                yield Place(spot.kind, path, None)

    def _linked(self, spot: Spot, directory: _Directory, name: str) -> Iterator[Place]:
        """Yield what is in the file that a link in a home leads to, where that is in the same home: people keep these files in a directory of theirs."""
        path = os.path.join(directory.path, name)
        try:
            target = os.path.normpath(os.path.join(directory.path, os.readlink(name, dir_fd=directory.descriptor)))
        except OSError:
            return
        if target == os.devnull:
            return
        if not target.startswith(directory.top + "/"):
            yield Place(spot.kind, path, None)
            return
        *above, last = target[len(directory.top) + 1 :].split("/")
        try:
            held = self._hold(directory.top, above)
        except OSError as exc:
            if not isinstance(exc, GONE):
                yield Place(spot.kind, path, None)
            return
        try:
            yield from self._file(spot, held, last, linked=True)
        finally:
            os.close(held.descriptor)

    def _others_may_read(self, descriptor: int, status: os.stat_result) -> bool:
        """Whether anybody can read a file besides the accounts that matter, and the one that it belongs to."""
        attributes = Attributes(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
        own_group = frozenset((status.st_gid,) if status.st_gid == status.st_uid else ())  # a group that an account has for itself
        return others_may_read(attributes, acl_entries(descriptor), self._policy.owners | {status.st_uid}, self._policy.groups | own_group)


def _matches(name: str, patterns: Tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
