# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Where else on a node a token is: command lines, environments, units, copies.

Places are read one after the other by generators, and :func:`search` looks for all tokens in each: for those that are known, in whatever encoding,
and for whatever has the shape of one. Further places on disk are those of ``places``.
Processes and files may vanish at any moment: they are then left out.
"""

import contextlib
import itertools
import os
import re
import stat
import time
from typing import Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Policy
from ansible_collections.expanso.edge.plugins.module_utils._audit.reading import CHUNK, GONE, MAX_FILE, MOST_NAMES, Place, chunks, names_in, read_file
from ansible_collections.expanso.edge.plugins.module_utils._audit.shapes import Shape, tokens_in
from ansible_collections.expanso.edge.plugins.module_utils._permissions import Attributes, acl_entries, others_may_read
from ansible_collections.expanso.edge.plugins.module_utils._secrets import PIECE, encodings
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import leftovers

MOST_SECONDS = 60.0
"""How long a search takes at most."""

_MOST_FILES = 5000  # beside a token, and in a directory of units
_MOST_STRANGERS = 100
_DEEPEST = 10  # directories of units in one another

Forms = Tuple[bytes, ...]


def searchable_encodings(token: str) -> Forms:
    """Return what to look for: the token as it is, as programs encode it, and as a unit file has to write it."""
    found = set(encodings(token))
    found.update([form.replace("%", "%%") for form in found])
    # UTF-16 of either byte order, without the byte that may follow elsewhere
    wide = token.encode("utf-16-le", "surrogatepass")[:-1]
    return (*(form.encode("utf-8", "surrogateescape") for form in sorted(found)), wide)


def holds(data: Optional[bytes], wanted: Forms) -> bool:
    """Tell whether one of the forms is in some bytes."""
    return data is not None and any(form in data for form in wanted)


class Hits(NamedTuple):
    """Where tokens are."""

    found: Dict[str, List[Place]]  # by token
    unread: List[Place]
    strangers: Dict[Shape, List[Place]]  # of tokens that nobody told us


def search(
    places: Iterable[Place], tokens: Dict[str, Forms], fingerprints: FrozenSet[str] = frozenset(), deadline: Optional[float] = None
) -> Hits:
    """Return the places where each token is, where there are others, and the places that could not be read.

    :param tokens: tokens that are known, with their forms
    :param fingerprints: of tokens that are asked for
    :param deadline: in seconds of the monotonic clock
    """
    found: Dict[str, Dict[Tuple[str, str], Place]] = {key: {} for key in tokens}
    strangers: Dict[Shape, Dict[Tuple[str, str], Place]] = {}
    unread: List[Place] = []
    too_many = False
    deadline = time.monotonic() + MOST_SECONDS if deadline is None else deadline
    for place in places:
        if time.monotonic() > deadline:
            break
        if place.data is None:
            unread.append(place)
            continue
        bare = place._replace(data=b"")
        # a file is reported once, as what it was found as first
        name = ("" if place.name.startswith("/") else place.kind, place.name)
        for key, wanted in tokens.items():
            if holds(place.data, wanted):
                found[key].setdefault(name, bare)
        for shape in tokens_in(place.data, fingerprints, cut=len(place.data) >= CHUNK):
            if shape.value.startswith(tuple(tokens)):
                continue
            if shape in strangers or len(strangers) < _MOST_STRANGERS:
                strangers.setdefault(shape, {}).setdefault(name, bare)
            else:
                too_many = True
    if too_many:
        unread.append(Place("rest", f"places that hold other tokens than the first {_MOST_STRANGERS} that were found", None))
    if time.monotonic() > deadline:  # those who go through directories end without a word
        unread.append(Place("rest", f"what comes after {int(MOST_SECONDS)} seconds of searching", None))
    there = {key: _there(places_of.values()) for key, places_of in found.items()}
    strangers_there = {shape: _there(places_of.values()) for shape, places_of in strangers.items()}
    return Hits(there, unread, {shape: places_of for shape, places_of in strangers_there.items() if places_of})


def _there(places: Iterable[Place]) -> List[Place]:
    """Return the places without files that only passed: those of a run of Ansible that was at work, say."""
    return [place for place in places if place.kind not in ("ansible", "temporary") or os.path.lexists(place.name)]


class _Process(NamedTuple):
    pid: int
    parent: int
    name: bytes
    directory: str

    def read(self, what: str) -> Optional[bytes]:
        """Return its arguments or environment, when they are needed: those of all processes may be too much for the memory.

        :raises OSError: it has ended
        """
        return _attempt(os.path.join(self.directory, what)) if self.name else None

    @property
    def program(self) -> str:
        try:
            return os.readlink(os.path.join(self.directory, "exe"))
        except OSError:  # a thread of the kernel, or another account's process
            return ""


def processes(wanted: Forms, agents: Iterable[str], proc: str = "/proc", own: Optional[int] = None) -> Iterator[Place]:
    """Return command lines and environments, without those of this process and of what runs it.

    The agent may have the token in its environment, never on its command line, which every account can read.

    :param wanted: forms of all tokens
    :param agents: programs of the agent
    :param own: number of this process
    """
    programs = frozenset(path for agent in agents for path in (agent, os.path.realpath(agent)))
    scripts = frozenset(path for path in programs if _is_script(path))
    found = {each.pid: each for each in _listed_processes(proc)}
    if 1 not in found:  # mounted with hidepid=: other accounts' processes do not even show
        yield Place("arguments", "other accounts' processes", None)
    kin = _own_process_family(found, os.getpid() if own is None else own, wanted)
    for each in found.values():
        if each.pid in kin:
            continue
        name = f"{each.pid} ({_public(each.name or b'?', wanted)})"
        try:
            program, arguments, environment = each.program, each.read("cmdline"), each.read("environ")
        except GONE:
            continue
        yield Place("arguments", name, arguments)
        if not _is_agent(program, arguments, programs, scripts):
            yield Place("environment", name, environment)


def _listed_processes(proc: str) -> Iterator[_Process]:
    try:
        entries = [entry for entry in os.listdir(proc) if entry.isdigit()]
    except OSError:
        return
    for entry in entries:
        directory = os.path.join(proc, entry)
        try:
            # pid (name) state parent ...: the name may hold blanks and parentheses
            before, after = _read(os.path.join(directory, "stat")).rsplit(b")", 1)
            yield _Process(int(entry), int(after.split()[1]), before.split(b"(", 1)[1] or b"?", directory)
        except GONE:
            continue
        except OSError:
            yield _Process(int(entry), 0, b"", directory)


def _own_process_family(found: Dict[int, _Process], own: int, wanted: Forms) -> Set[int]:
    """Return this process, those above it, and all below the topmost of them that has the token itself.

    That one is who started the run and gave it the token, such as ansible-playbook on this very node.
    """
    line: List[int] = []
    while own in found and own not in line:
        line.append(own)
        own = found[own].parent
    givers = [pid for pid in line if pid != 1 and _has_token(found[pid], wanted)]
    family: Set[int] = set()
    young = set(givers[-1:])
    while young:
        family |= young
        young = {pid for pid, process in found.items() if process.parent in young} - family
    return family.union(line)


def _has_token(process: _Process, wanted: Forms) -> bool:
    try:
        read = [process.read(what) for what in ("environ", "cmdline")]
    except GONE:
        return False
    return any(data is not None and (holds(data, wanted) or bool(tokens_in(data))) for data in read)


def _is_agent(program: str, arguments: Optional[bytes], programs: FrozenSet[str], scripts: FrozenSet[str]) -> bool:
    """Tell whether a process is the agent: by its program, or by the script that an interpreter was given."""
    replaced = " (deleted)"  # an update put a new program in its place
    program = program[: -len(replaced)] if program.endswith(replaced) else program
    words = [os.fsdecode(word) for word in (arguments or b"").split(b"\0", 3)]
    return program in programs or not scripts.isdisjoint(words[1:3])


def _is_script(path: str) -> bool:
    try:
        return next(chunks(path), b"")[:2] == b"#!"
    except OSError:
        return False


def _public(name: bytes, wanted: Forms) -> str:
    """Return a program's name as it may be shown. A process names itself as it likes, after a token too."""
    if any(name[start : start + PIECE] in form for start in range(len(name) - PIECE + 1) for form in wanted):
        return "********"
    return "".join(char if char.isprintable() else "?" for char in name.decode("utf-8", "replace"))


def units(directories: Iterable[str], audited: Iterable[str]) -> Iterator[Place]:
    """Return all files below the directories of systemd units, each once, without the audited ones."""
    skip = frozenset(os.path.realpath(path) for path in audited)
    seen: Set[Tuple[int, int]] = set()
    for top in directories:
        left = _MOST_FILES
        waiting = [(top, 0)]
        while waiting:
            directory, depth = waiting.pop()
            try:
                names = sorted(itertools.islice(names_in(directory), left + 1))
            except GONE:
                continue
            except OSError:
                yield Place("unit", directory, None)
                continue
            left -= len(names)
            if left < 0 or depth > _DEEPEST:
                what = f"files in {top} beyond the first {_MOST_FILES}" if left < 0 else f"files more than {_DEEPEST} directories below {top}"
                yield Place("rest", what, None)
                break
            below = []
            for path in (os.path.join(directory, name) for name in names):
                try:
                    status = os.stat(path)
                except GONE:
                    continue
                except OSError:
                    yield Place("unit", path, None)
                    continue
                if stat.S_ISDIR(status.st_mode) and not os.path.islink(path):
                    below.append((path, depth + 1))
                if (status.st_dev, status.st_ino) in seen or not stat.S_ISREG(status.st_mode) or os.path.realpath(path) in skip:
                    continue
                seen.add((status.st_dev, status.st_ino))
                yield from read_file("unit", path)
            waiting += reversed(below)


def siblings(audited: List[str], policy: Policy) -> Iterator[Place]:
    """Return the regular files beside the audited ones."""
    # a write that is at work has its temporary file, and one that was killed is reported as such
    skip = set(audited)
    for path in audited:
        with contextlib.suppress(OSError):  # then it is reported as a copy, too
            skip.update(leftovers(path, float("-inf")))
    for directory in sorted({os.path.dirname(path) for path in audited}):
        # those that are named like the token's file first
        beginnings = tuple(os.path.basename(path) for path in audited if os.path.dirname(path) == directory)
        alike: List[str] = []
        others: List[str] = []
        more = 0
        try:
            for name in names_in(directory):
                if name.lstrip(".#").startswith(beginnings) and len(alike) < MOST_NAMES:
                    alike.append(name)
                elif len(others) < MOST_NAMES:
                    others.append(name)
                else:
                    more += 1
        except GONE:
            continue
        except OSError:
            yield Place("copy", directory, None)
            continue
        found = _files(directory, alike) + _files(directory, others)
        if len(found) + more > _MOST_FILES:
            yield Place("rest", f"{len(found) + more - _MOST_FILES} files in {directory}, which has more than {_MOST_FILES}", None)
        for path in found[:_MOST_FILES]:
            if path not in skip:
                yield from read_file("exposed_copy" if _exposed(path, policy) else "copy", path)


def pipeline_files(paths: Iterable[str]) -> Iterator[Place]:
    """Return the files of pipeline secrets. One that is missing could not be read: its name may be wrong."""
    for path in paths:
        places = read_file("pipeline", path)
        yield next(places, Place("pipeline", path, None))
        yield from places


def backups(path: str, policy: Policy) -> List[Place]:
    """Return what editors, package managers and careful people leave beside a file. It may hold a former token."""
    name = re.escape(os.path.basename(path))
    pattern = re.compile(
        rf"{name}(?:[.,:@~0-9A-Za-z_-]*~|[.-](?:bak|backup|orig|old|save|sav|copy|prev|rej|tmp|swp|rpm\w+|dpkg-\w+|ucf-\w+)[.0-9_-]*)"
        rf"|\.{name}\.sw[a-p]|#{name}#"
    )
    try:
        alike = list(itertools.islice((each for each in names_in(os.path.dirname(path)) if pattern.fullmatch(each)), _MOST_FILES))
    except OSError:
        return []
    found = _files(os.path.dirname(path), alike)
    return [Place("exposed_copy" if _exposed(each, policy) else "copy", each, b"") for each in found]


def _files(directory: str, names: Iterable[str]) -> List[str]:
    """Return those of some names in a directory that are regular files, and not empty."""
    found = []
    for name in sorted(names):
        path = os.path.join(directory, name)
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_size:
            found.append(path)
    return found


def _exposed(path: str, policy: Policy) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return others_may_read(Attributes(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)), acl_entries(path), policy.owners, policy.groups)


def _attempt(path: str) -> Optional[bytes]:
    """Return what is in a file, None where that cannot be read.

    :raises OSError: it is gone
    """
    try:
        return _read(path)
    except GONE:
        raise
    except OSError:
        return None


def _read(path: str) -> bytes:
    return next(chunks(path, MAX_FILE), b"")
