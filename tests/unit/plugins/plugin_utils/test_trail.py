# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit trail: many processes at once, runs that are killed, and hands that edit."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils import _trail
from ansible_collections.expanso.edge.plugins.plugin_utils._trail import BEGINNING, TrailError, append, check, look
from hypothesis import given
from hypothesis import strategies as st

Lines = list[bytes]


def written(path: Path, count: int = 6) -> Lines:
    for number in range(count):
        append(str(path), {"node": f"node{number}", "label": "süd ☃"})
    return path.read_bytes().splitlines(keepends=True)


def problems(path: Path, known: str | None = None) -> list[tuple[int, str]]:
    return [(each.line, each.what.split(":")[0]) for each in look(str(path), known).problems]


def test_lines_are_chained(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    entries = [json.loads(each) for each in written(path)]
    assert [each["node"] for each in entries] == [f"node{number}" for number in range(6)]
    assert [each["previous"] for each in entries] == [BEGINNING] + [each["hash"] for each in entries[:-1]]
    assert look(str(path))[:3] == (6, entries[-1]["hash"], [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_mode_that_the_owner_chose_stays(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    path.touch(0o640)
    path.chmod(0o640)  # a program that ships logs reads it
    written(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


EDITED = "it was edited"
MOVED = "it was written after line {}, not after line {}"
GAP = "it was not written after the line above it"
NOT_WHOLE = "it is not a whole line of a trail"
UNFINISHED = "it is not complete"
BEGINNING_GONE = "it is not the first line that was written"


def edited(line: bytes) -> bytes:
    return line.replace(b'"node":"node', b'"node":"edge')


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (lambda each: each, []),
        (lambda each: each[:2] + [edited(each[2])] + each[3:], [(3, EDITED)]),
        (lambda each: each[:5] + [edited(each[5])], [(6, EDITED)]),
        (lambda each: each[:2] + [each[2].replace(b",", b", ")] + each[3:], [(3, EDITED)]),
        (lambda each: each[:2] + [b"\n"] + each[3:], [(3, NOT_WHOLE), (4, GAP)]),
        (lambda each: each[:2] + each[3:], [(3, GAP)]),
        (lambda each: each[2:], [(1, BEGINNING_GONE)]),
        (lambda each: each[:3] + [each[1]] + each[3:], [(4, MOVED.format(1, 3)), (5, MOVED.format(3, 4))]),
        (lambda each: [each[0], each[2], each[1]] + each[3:], [(2, GAP), (3, MOVED.format(1, 2)), (4, MOVED.format(2, 3))]),
        (lambda each: each[:5] + [each[5][:40]], [(6, UNFINISHED)]),
        (lambda each: each[:3] + [each[3][:40] + b"\n"] + each[4:], [(4, NOT_WHOLE), (5, GAP)]),
        # what a chain cannot show by itself
        (lambda each: each[:4], []),
        (lambda each: [], []),
    ],
)
def test_a_trail_that_was_changed(tmp_path: Path, tamper: Callable[[Lines], Lines], expected: list[tuple[int, str]]) -> None:
    path = tmp_path / "trail"
    path.write_bytes(b"".join(tamper(written(path))))
    assert problems(path) == expected


def test_a_line_that_was_inserted(tmp_path: Path) -> None:
    """By hands that know how hashes are made."""
    path = tmp_path / "trail"
    lines = written(path)
    path.write_bytes(b"".join(lines[:3]))
    append(str(path), {"node": "forged"})
    path.write_bytes(path.read_bytes() + b"".join(lines[3:]))
    assert problems(path) == [(5, MOVED.format(3, 4))]


def test_the_hash_of_an_earlier_look_shows_more(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    lines = written(path)
    known = look(str(path)).hash
    assert problems(path, known) == problems(path, BEGINNING) == []
    append(str(path), {"node": "later"})
    assert problems(path, known) == []
    path.write_bytes(b"".join(lines[:4]))
    assert [line for line, _what in problems(path, known)] == [None]
    path.write_bytes(b"")
    assert [line for line, _what in problems(path, known)] == [None]
    written(path)  # made anew from the beginning
    append(str(path), {"node": "another"})
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    assert [line for line, _what in problems(path, known)] == [None]


@given(st.binary(max_size=300))
def test_whatever_lies_there_a_line_can_be_appended(data: bytes) -> None:
    path = Path("/dev/shm" if os.path.isdir("/dev/shm") else "/tmp") / f"expanso-edge-trail-{os.getpid()}"
    try:
        path.write_bytes(data)
        append(str(path), {"node": "node"})
        found = path.read_bytes()
        assert found.startswith(data) and json.loads(found.splitlines()[-1])["node"] == "node"
        count = found.count(b"\n")
        assert [each.line for each in look(str(path)).problems if each.line == count] == []
    finally:
        path.unlink()


def test_an_unfinished_line_is_kept_and_named(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    lines = written(path)
    path.write_bytes(b"".join(lines[:5]) + lines[5][:50])
    append(str(path), {"node": "next"})
    found = path.read_bytes().splitlines(keepends=True)
    assert found[:6] == lines[:5] + [lines[5][:50] + b"\n"] and json.loads(found[6])["node"] == "next"
    assert problems(path) == [(6, NOT_WHOLE)]
    path.write_bytes(b"".join(found[:5] + found[6:]))  # nor can it be removed unseen
    assert problems(path) == [(6, GAP)]


def append_many(path: str, process: int, count: int) -> None:
    for number in range(count):
        append(path, {"process": process, "number": number, "more": "x" * 5000})


def test_which_runs_changed_which_nodes(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    for node, run in (("a", "r1"), ("b", "r1"), ("a", "r2"), (None, "r2"), ("c", None)):
        append(str(path), {"node": node, "run_id": run})
    with path.open("a") as stream:
        stream.write('{"node": "d", "run_id": "r1"\n')  # torn
    assert look(str(path)).runs == {"r1": {"a", "b"}, "r2": {"a"}}


def test_many_processes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    processes = [multiprocessing.get_context("fork").Process(target=append_many, args=(str(path), each, 25)) for each in range(12)]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    for process in range(12):
        assert [each["number"] for each in entries if each["process"] == process] == list(range(25))
    found = look(str(path))
    assert (found.lines, found.problems) == (300, [])


def is_whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def test_processes_that_are_killed(tmp_path: Path) -> None:
    """The kernel may end a write between two pages. Such a line is reported as what it is, and nothing else is wrong with the trail."""
    path = tmp_path / "trail"
    for attempt in range(10):
        process = multiprocessing.get_context("fork").Process(target=append_many, args=(str(path), attempt, 100000))
        process.start()
        deadline = time.monotonic() + 10
        begun = path.stat().st_size if path.exists() else 0
        while time.monotonic() < deadline and not (path.exists() and path.stat().st_size > begun):
            time.sleep(0.001)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    append(str(path), {"process": 10})
    found = look(str(path))
    torn = [number for number, line in enumerate(path.read_bytes().splitlines(), 1) if not is_whole(line)]
    assert [each.line for each in found.problems] == torn and found.lines > 10
    assert {each.what.split(":")[0] for each in found.problems} <= {"it is not a whole line of a trail"} and len(torn) <= 10


def test_a_full_disk_leaves_no_half_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trail"
    lines = written(path)
    monkeypatch.setattr(_trail.os, "write", lambda descriptor, data: len(data[: os.pwrite(descriptor, data[:20], 1 << 20)]))
    with pytest.raises(TrailError, match="No space left"):
        append(str(path), {"node": "lost"})
    assert path.read_bytes() == b"".join(lines)


def test_a_file_that_cannot_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was appended is on the disk already."""
    path, close = tmp_path / "trail", os.close
    written(path, 1)

    def refuse(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(_trail.os, "close", refuse)
    append(str(path), {"node": "node1"})
    monkeypatch.undo()
    assert len(path.read_bytes().splitlines()) == 2 and problems(path) == []


def test_a_trail_that_is_rotated_while_a_run_waits(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    lines = written(path)
    context = multiprocessing.get_context("fork")
    held = context.Event()

    def late() -> None:
        held.wait()
        append(str(path), {"node": "late"})

    process = context.Process(target=late)
    process.start()  # before the file is locked here, because a child would hold the same lock
    with _trail._Opened(str(path)):
        held.set()
        time.sleep(0.3)
        path.rename(tmp_path / "trail.1")
    process.join()
    assert (tmp_path / "trail.1").read_bytes() == b"".join(lines)
    assert json.loads(path.read_text())["previous"] == BEGINNING


def test_a_trail_that_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trail"
    monkeypatch.setattr(_trail, "PATIENCE", 0.1)
    with _trail._Opened(str(path)), pytest.raises(TrailError, match="has been locked by another process"):
        append(str(path), {"node": "node"})


def directory(path: Path) -> None:
    path.mkdir()


def link(path: Path) -> None:
    path.with_name("elsewhere").touch()
    path.symlink_to(path.with_name("elsewhere"))


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [(directory, "it is a directory: name a file in it"), (link, "is a symbolic link, which is not followed"), (pipe, "not a regular file")],
)
def test_what_cannot_be_a_trail(tmp_path: Path, make: Callable[[Path], None], reason: str) -> None:
    path = tmp_path / "trail"
    make(path)
    for attempt in (lambda: check(str(path)), lambda: append(str(path), {})):
        with pytest.raises(TrailError, match=reason):
            attempt()


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(TrailError, match="its directory is missing: create it"):
        check(str(tmp_path / "missing" / "trail"))
    with pytest.raises(TrailError, match="No such file"):
        look(str(tmp_path / "trail"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_place_that_is_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_arguments: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_trail.os, "open", refuse)
    with pytest.raises(TrailError, match=os.strerror(number)):
        check(str(tmp_path / "trail"))


@pytest.mark.parametrize("text", ["all:\n  hosts:\n", "{\n", "{", "\n"])
def test_a_file_that_is_something_else_is_not_touched(tmp_path: Path, text: str) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TrailError, match="inventory.yml on the controller is not an audit trail, so nothing is appended: set expanso_edge_trail_file"):
        check(str(path))
    assert path.read_text(encoding="utf-8") == text


def test_a_trail_may_be_appended_to_again(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    append(str(path), {"node": "edge01"})
    check(str(path))
    path.write_bytes(path.read_bytes()[:-5])  # a run was killed
    check(str(path))


def test_a_check_makes_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    check(str(path))
    assert look(str(path)) == (0, BEGINNING, [], {})
