# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another process that exchanges files and directories all the time. EXPANSO_EDGE_ROUNDS says for how many rounds, 300 by default."""

import contextlib
import os
import random
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _directory
from ansible_collections.expanso.edge.plugins.module_utils._audit.exposure import backups, search, searchable_encodings, siblings, units
from ansible_collections.expanso.edge.plugins.module_utils._audit.visiting import Visit
from ansible_collections.expanso.edge.plugins.module_utils._directory import Directory
from ansible_collections.expanso.edge.plugins.module_utils._new_directories import make_directories
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import (
    SecureFileError,
    home,
    leftovers,
    read,
    read_in,
    remove,
    remove_in,
    unsafe_directory,
    write,
)
from audited_files import put, usual_policy
from file_owners import APP, OWN, as_root, unlabelled

ROUNDS = int(os.environ.get("EXPANSO_EDGE_ROUNDS", "300"))
TOKEN = "exp_bk_9f8e7d6c5b4a39281706f5e4d3c2b1a0"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no disk: what is raced for is what other processes see."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(_directory, "_POLL_SECONDS", 0.001)


@contextlib.contextmanager
def racing(attack: Callable[[int], None]) -> Iterator[None]:
    """Let another process do something all the time. What the system refuses it, it tries again."""
    child = os.fork()
    if not child:
        try:
            count = 0
            while True:
                with contextlib.suppress(OSError):
                    attack(count)
                count += 1
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status), "the other process did not do what it was to do"


def rounds(enough: Callable[[], bool], least: int = ROUNDS) -> Iterator[int]:
    """Count rounds: so many at least, and until all was seen that there is to see."""
    deadline = time.monotonic() + 300
    count = 0
    while count < least or not enough():
        assert time.monotonic() < deadline, "the other process never got in between"
        yield count
        count += 1


class Outcomes(dict[str, int]):
    """How often it went well, and how often it was refused."""

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count one. Nothing but a fault for people may come of it."""
        kind = "done"
        try:
            yield
        except SecureFileError:
            kind = "refused"
        except OSError as exc:
            assert exc.filename is None or "/proc/self/fd" not in str(exc.filename)
            kind = "fault"
        self[kind] = self.get(kind, 0) + 1


@pytest.fixture
def precious(safe_path: Path) -> Path:
    """A directory that nobody is to get at, with a file of the same name as the token's."""
    put(safe_path / "precious/token", "precious", 0o644)
    return safe_path / "precious"


@as_root
def test_a_directory_that_is_exchanged_for_a_link(safe_path: Path, precious: Path) -> None:
    own = safe_path / "app"
    (own / "d").mkdir(parents=True)
    os.chown(own, APP, APP)

    def exchange(count: int) -> None:
        """Put a link, another directory or nothing in the place of the directory."""
        with contextlib.suppress(OSError):
            os.rename(own / "d", own / "away")
        if count % 3 == 0:
            os.symlink(precious, own / "d")
        elif count % 3 == 1:
            os.mkdir(own / "d")
        if os.path.islink(own / "away"):
            os.unlink(own / "away")
        else:
            shutil.rmtree(own / "away")

    outcomes = Outcomes()
    path = str(own / "d/token")
    with racing(exchange):
        for _round in rounds(lambda: len(outcomes) == 3):
            for work in (
                lambda: write(path, b"token", OWN, unlabelled),
                lambda: read(path),
                lambda: leftovers(path),
                lambda: unsafe_directory(path, 0, 0),
                lambda: make_directories(str(own / "d/new"), 0o700, unlabelled),
                lambda: remove(path),
            ):
                with outcomes.counted():
                    work()
    assert sorted(os.listdir(precious)) == ["token"] and (precious / "token").read_text() == "precious"


def test_a_file_that_is_exchanged_for_something_else(safe_path: Path, precious: Path) -> None:
    place = safe_path / "d"
    place.mkdir()
    target, kinds = precious / "token", place / "kinds"
    kinds.mkdir()

    def exchange(count: int) -> None:
        """Put something else in the place of the token: its name never waits for a reader."""
        new = kinds / "new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        kind = count % 5
        if kind == 0:
            new.write_bytes(b"x" * 100_000)
        elif kind == 1:
            os.mkfifo(new, 0o666)
        elif kind == 2:
            new.symlink_to(target)
        elif kind == 3:
            os.link(target, new)
        else:
            os.mknod(new, stat.S_IFSOCK | 0o666)
        os.rename(new, place / "token")

    outcomes = Outcomes()
    path = str(place / "token")
    seen: set[Optional[bytes]] = set()
    with racing(exchange):
        for number in rounds(lambda: len(outcomes) > 1 and seen >= {b"x", b"p"}):
            with outcomes.counted():
                found = read(path)
                seen.add(found.data[:1] if found else None)
            with outcomes.counted():
                write(path, b"written", OWN, unlabelled)
            with outcomes.counted():
                search(siblings([str(place / "other")], usual_policy()), {TOKEN: searchable_encodings(TOKEN)})
            if number % 10 == 0:
                with outcomes.counted():
                    remove(path)
    assert target.read_text() == "precious" and stat.S_IMODE(target.stat().st_mode) == 0o644
    assert seen <= {b"x", b"p", b"w", b"", None}


def test_two_runs_with_different_tokens(safe_path: Path) -> None:
    """At any time there is one of the two, whole, with its own mode, and neither takes what the other wrote for a fault."""
    path = str(safe_path / "token")
    wanted = {letter * 2000: OWN._replace(mode=mode) for letter, mode in ((b"a", 0o600), (b"b", 0o640))}
    first, second = wanted.items()
    write(path, *first, unlabelled)
    with racing(lambda _count: write(path, *second, unlabelled)):
        seen: set[bytes] = set()
        for number in rounds(lambda: seen == set(wanted)):
            if number % 2:
                write(path, *first, unlabelled)
            found = read(path)
            assert found is not None and wanted[found.data] == found.attributes
            seen.add(found.data)


def test_a_run_that_writes_and_one_that_removes(safe_path: Path) -> None:
    """What was not looked at is not removed: it may be the new token."""
    path = str(safe_path / "token")
    outcomes: set[str] = set()
    with racing(lambda count: write(path, b"new" if count % 2 else b"old", OWN, unlabelled)):
        for _round in rounds(lambda: len(outcomes) == 2):
            directory, name = home(path)
            with directory:
                found = read_in(directory, name)
                if found is None or found.data != b"old":
                    continue
                with directory.lock():  # what is there now is what the removal decides on
                    directory.locked = True
                    there = read_in(directory, name)
                    try:
                        remove_in(directory, name, found)
                        assert there is None or there.data == b"old"
                        outcomes.add("removed")
                    except SecureFileError as exc:
                        assert str(exc) == f"{path} was replaced while this ran, so it is not removed: run this again"
                        outcomes.add("kept")
    assert [each for each in os.listdir(safe_path) if each != "token"] == [] or leftovers(path, 0)


def test_an_audit_of_files_that_come_and_go(safe_path: Path) -> None:
    tmp, chance = safe_path / "tmp", random.Random(1)
    tmp.mkdir()

    def stir(_count: int) -> None:
        name = tmp / str(chance.randrange(20))
        kind = chance.randrange(5)
        if kind == 0:
            put(name / "d/token", TOKEN)
        elif kind == 1:
            put(name, TOKEN)
        elif kind == 2:
            os.rename(name, tmp / str(chance.randrange(20)))
        elif name.is_dir() and not name.is_symlink():
            for each in (name / "d/token", name / "d"):
                with contextlib.suppress(OSError):
                    (os.rmdir if each.is_dir() else os.unlink)(each)
            os.rmdir(name)
        else:
            name.unlink()

    found: list[str] = []
    with racing(stir):
        for _round in rounds(lambda: bool(found), ROUNDS // 5):
            for places in (
                Visit(usual_policy(), [], time.monotonic() + 600, str(safe_path)).places(["temporary"]),
                units([str(tmp)], []),
                siblings([str(tmp / "1")], usual_policy()),
            ):
                hits = search(places, {TOKEN: searchable_encodings(TOKEN)}, deadline=time.monotonic() + 600)
                found.extend(place.name for place in hits.found[TOKEN])
            backups(str(tmp / "1"), usual_policy())
            with contextlib.suppress(OSError), Directory.hold(str(tmp / "3" / "d")) as held:
                held.names()
