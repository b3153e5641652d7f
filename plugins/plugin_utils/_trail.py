# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The audit trail: a file on the controller with one line of JSON for each change, which holds the hash of the line before it.

What the chain shows: a line that was edited, removed, inserted or moved. What it cannot show by itself: that lines were cut off at the end, and that
somebody who may write the file made all lines from some point on anew. Both show where a hash of an earlier look is kept elsewhere, as in the report of
an audit: :func:`look` gives and takes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import shown_path
from ansible_collections.expanso.edge.plugins.plugin_utils._files import refuse_what_is_no_file

BEGINNING = "0" * 64
"""Stands for the hash of the line before the first one."""

PATIENCE = 60.0
"""Seconds that other runs may hold the file."""

LONGEST = 1 << 20
"""Bytes of a line at most, to find the last one without reading the whole file."""

MOST_BYTES = 1 << 30
"""Bytes of a trail that is looked at: some millions of changes."""

_POLL_SECONDS = 0.01

_OPENING = b'{"'
"""How a line begins, and so a trail that is not empty."""


class TrailError(Exception):
    """A trail that cannot be written or read: where, why, and what to do."""


class Problem(NamedTuple):
    """What is wrong with a line, or with the whole file."""

    line: int | None  # counted from 1
    what: str


class Verified(NamedTuple):
    """What a look at a whole trail showed."""

    lines: int
    hash: str  # of the last line, to be kept elsewhere
    problems: list[Problem]
    runs: Mapping[str, set[str]]  # names of the nodes that each run changed


def append(path: str, entry: Mapping[str, Any]) -> None:
    """Append a line durably. Other runs that append at the same time wait for each other.

    A line that a killed run left unfinished stays as it is, and becomes a line of its own.

    :raises TrailError: that is not possible; then nothing was appended
    """
    with _Opened(path) as descriptor:
        size = os.fstat(descriptor).st_size
        last = _last_line(descriptor, size)
        torn = bool(last) and not last.endswith(b"\n")
        line = _render({**entry, "previous": _hash_of(last.rstrip(b"\n")) if last else BEGINNING})
        data = (b"\n" if torn else b"") + line + b"\n"
        try:
            _write(descriptor, data)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)  # a full disk: half a line would be worse than none
            raise


def check(path: str) -> None:
    """Check that lines can be appended, and make the file if it is missing.

    :raises TrailError: they cannot, or what is there never was a trail: an inventory, for example, is not for us to append to
    """
    with _Opened(path, lock=False) as descriptor:
        if os.pread(descriptor, len(_OPENING), 0) not in (b"", _OPENING):
            raise TrailError(f"{shown_path(path)} on the controller is not an audit trail, so nothing is appended: set expanso_edge_trail_file to a new file")


def look(path: str, known: str | None = None) -> Verified:
    """Look at a whole trail.

    :param known: hash of the last line at an earlier look; it has to be the one of a line still
    :raises TrailError: the file cannot be read
    """
    try:
        refuse_what_is_no_file(path, MOST_BYTES)
        with open(path, "rb") as handle:
            fcntl.flock(handle.fileno(), fcntl.LOCK_SH)
            lines = handle.read().split(b"\n")
    except OSError as exc:
        raise TrailError(f"cannot read the audit trail {shown_path(path)}: {exc.strerror}") from None
    end = lines.pop()
    problems = []
    written_at: dict[str, int] = {}  # number of the line that has a hash
    before = {BEGINNING}
    for number, line in enumerate(lines, 1):
        problems += [Problem(number, what) for what in _problems(line, before, written_at, number)]
        before = _names_of(line)
        for each in before:
            written_at.setdefault(each, number)
    if end:
        problems.append(Problem(len(lines) + 1, "it is not complete: a run was killed or the disk was full when it was written, or its end was cut off"))
    if known is not None and known not in written_at and known != BEGINNING:
        problems.append(Problem(None, "the line that was its last one at an earlier look is missing: the end was cut off, or lines were written anew"))
    return Verified(len(lines), _hash_of(lines[-1]) if lines else BEGINNING, problems, _runs(lines))


def _runs(lines: list[bytes]) -> dict[str, set[str]]:
    """Return the names of the nodes that each run changed."""
    found: dict[str, set[str]] = {}
    for entry in map(_load, lines):
        if entry is not None and isinstance(entry.get("run_id"), str) and isinstance(entry.get("node"), str):
            found.setdefault(entry["run_id"], set()).add(entry["node"])
    return found


def _problems(line: bytes, before: set[str], written_at: Mapping[str, int], number: int) -> Iterator[str]:
    """Yield what is wrong with a line.

    :param before: the hashes by which a line that was appended after the one before may name it
    :param written_at: numbers of all lines above, by their hashes
    """
    entry = _load(line)
    if entry is None:
        yield "it is not a whole line of a trail: a run was killed while it was written, or it was edited"
        return
    if not _sound(line, entry):
        yield "it was edited: its hash does not fit"
    previous = str(entry["previous"])
    if previous in before:
        return
    if previous in written_at:
        yield f"it was written after line {written_at[previous]}, not after line {number - 1}: lines were inserted, repeated or moved"
    elif number == 1:
        yield "it is not the first line that was written: lines above it were removed or moved"
    else:
        yield "it was not written after the line above it: lines between them were removed or moved, or one of the two was edited"


def _names_of(line: bytes) -> set[str]:
    """Return the hashes by which the next line may name this one: its own, and that of its bytes where it is not a sound line."""
    entry = _load(line)
    names = {_hash_of(line)}
    if entry is not None and isinstance(entry.get("hash"), str):
        names.add(entry["hash"])
    return names


def _hash_of(line: bytes) -> str:
    """Return the hash of a line, by which the next one names it."""
    entry = _load(line)
    return str(entry["hash"]) if entry is not None and _sound(line, entry) else hashlib.sha256(line).hexdigest()


def _sound(line: bytes, entry: Mapping[str, Any]) -> bool:
    """Whether a line is exactly as it was written."""
    return line == _render({name: value for name, value in entry.items() if name != "hash"})


def _render(entry: Mapping[str, Any]) -> bytes:
    """Return a line with its hash, without the line feed."""
    digest = hashlib.sha256(_json(entry)).hexdigest()
    return _json({**entry, "hash": digest})


def _json(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode("ascii")


def _load(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and "hash" in entry and isinstance(entry.get("previous"), str) else None


def _last_line(descriptor: int, size: int) -> bytes:
    """Return the last line of a file, with its line feed if it has one."""
    start = max(size - LONGEST, 0)
    data = b""
    while len(data) < size - start:
        more = os.pread(descriptor, size - start - len(data), start + len(data))
        if not more:
            break
        data += more
    return data[data.rfind(b"\n", 0, -1) + 1 :]


def _write(descriptor: int, data: bytes) -> None:
    """Write all bytes by one call, so that a reader sees a line or none.

    :raises OSError: the system wrote a part alone
    """
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _Opened:
    """A trail that is open for appending, and locked."""

    def __init__(self, path: str, lock: bool = True) -> None:
        self._path = path
        self._lock = lock
        self._descriptor = -1

    def __enter__(self) -> int:
        deadline = time.monotonic() + PATIENCE
        try:
            while True:
                self._open()
                if not self._lock or self._locked(deadline):
                    return self._descriptor
                self._close()  # it was rotated away in the meantime
        except OSError as exc:
            self._close()
            raise self._fault(exc) from None
        except TrailError:
            self._close()
            raise

    def __exit__(self, _kind: Any, exc: Any, _trace: Any) -> None:
        self._close()
        if isinstance(exc, OSError):
            raise self._fault(exc) from None

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self._path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            self._descriptor = os.open(self._path, flags)
        else:
            os.fchmod(self._descriptor, 0o600)
            directory = os.open(os.path.dirname(self._path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")

    def _locked(self, deadline: float) -> bool:
        """Lock the file; return whether it is still the one at its path."""
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    what = f"the audit trail {shown_path(self._path)}"
                    raise TrailError(f"{what} has been locked by another process for {PATIENCE:.0f} seconds: end that process") from None
            time.sleep(_POLL_SECONDS)
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path, follow_symlinks=False))
        except FileNotFoundError:
            return False

    def _close(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # what was appended is on the disk already
                os.close(self._descriptor)
            self._descriptor = -1

    def _fault(self, exc: OSError) -> TrailError:
        reasons = {
            errno.ELOOP: "it is a symbolic link, which is not followed: name the file itself",
            errno.ENOENT: "its directory is missing: create it",
            errno.EISDIR: "it is a directory: name a file in it",
        }
        return TrailError(f"cannot append to the audit trail {shown_path(self._path)} on the controller: {reasons.get(exc.errno or 0, exc.strerror)}")
