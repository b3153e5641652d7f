# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._account import find_account
from ansible_collections.expanso.edge.plugins.module_utils._process import Program, descendants, may_access

SECRET = "EDGE_TEST_SECRET"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = set(descendants(os.getpid()))
    yield
    assert {pid: dead for pid, dead in descendants(os.getpid()).items() if pid not in before} == {}


def start(script: str) -> Program:
    return Program(["/bin/sh", "-c", script], {SECRET: "secret"}, find_account())


def finish(script: str, seconds: float = 10, patience: float = 5) -> tuple[bool, object, bytes, float]:
    """Whether it ended in time, with what code, what it said, and how long all that took."""
    before = time.monotonic()
    program = start(script)
    in_time = program.wait(before + seconds, lambda: program.code is not None)
    code = program.code
    assert program.end(patience) == 0
    return in_time, code, program.output, time.monotonic() - before


def test_what_it_says_and_how_it_ends() -> None:
    assert finish("echo one; echo two >&2; exit 3")[:3] == (True, 3, b"one\ntwo\n")
    assert finish("kill -KILL $$")[:3] == (True, -9, b"")
    assert finish(f"echo ${SECRET}; pwd; cat")[:3] == (True, 0, b"secret\n/\n")


def test_one_that_does_not_end() -> None:
    in_time, code, output, took = finish("echo begun; sleep 60", seconds=0.5)
    assert (in_time, code, output) == (False, None, b"begun\n") and took < 3


@pytest.mark.parametrize(
    "script",
    [
        "trap '' TERM; sleep 60",
        "(trap '' TERM; sleep 60) & sleep 60",
        "setsid sh -c 'trap \"\" TERM; sleep 60' & sleep 60",
        "(setsid sh -c 'trap \"\" TERM; (sleep 61 &) ; sleep 60' &) ; sleep 60",
        "(setsid sh -c 'while :; do sleep 0.01 & done' &) ; sleep 60",
    ],
)
def test_nothing_of_it_is_left(script: str) -> None:
    in_time, _code, _output, took = finish(script, seconds=0.5, patience=0.5)
    assert not in_time and took < 8


def test_a_helper_that_keeps_the_output_open() -> None:
    in_time, code, output, took = finish("(setsid sleep 60 &); echo done")
    assert (in_time, code, output) == (True, 0, b"done\n") and took < 5


def test_a_helper_of_which_nobody_is_the_parent() -> None:
    """It is found because this process becomes its parent."""
    assert finish("(setsid sh -c 'exec >/dev/null 2>&1; exec sleep 60' &); sleep 0.2")[:2] == (True, 0)


def test_the_end_of_megabytes_is_kept() -> None:
    in_time, code, output, took = finish("yes 0123456789abcdef0123456789abcdef | head -c 16000000; echo; echo end", seconds=20)
    assert (in_time, code) == (True, 0) and output.endswith(b"\nend\n") and len(output) == 65536 and took < 10


def test_one_that_never_stops_talking() -> None:
    in_time, _code, _output, took = finish("trap '' TERM; yes", seconds=0.5, patience=0.5)
    assert not in_time and took < 5


def test_a_file_stays_open_in_it(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as handle:
        program = Program([sys.executable, "-c", f"import os; os.write({handle.fileno()}, b'written')"], {}, find_account(), [handle.fileno()])
        program.wait(time.monotonic() + 10, lambda: program.code is not None)
        assert (program.code, program.end(1)) == (0, 0)
    assert (tmp_path / "file").read_text() == "written"


@pytest.mark.parametrize(("content", "error"), [("echo a shell read this", OSError), ("#!/nowhere\n", FileNotFoundError)])
def test_no_shell_reads_what_the_kernel_refuses(tmp_path: Path, content: str, error: type[OSError]) -> None:
    path = tmp_path / "program"
    path.write_text(content)
    path.chmod(0o755)
    with pytest.raises(error):
        Program([str(path)], {}, find_account())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another account")
@pytest.mark.parametrize(("user", "group", "groups"), [("4711", "4712", "4712"), ("nobody", None, "65534")])
def test_another_account(user: str, group: str, groups: str) -> None:
    account = find_account(user, group)
    program = Program(["/bin/sh", "-c", "id -u; id -g; id -G"], {}, account)
    program.wait(time.monotonic() + 10, lambda: program.code is not None)
    program.end(1)
    assert program.output.decode().split() == [str(account.uid), str(account.gid), groups]


def test_an_account_that_cannot_be_taken_on() -> None:
    account = find_account("4711")._replace(gid=-5)
    with pytest.raises(subprocess.SubprocessError):
        Program(["/bin/true"], {}, account)


def test_what_the_own_account_may(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o600)
    own = find_account()
    assert may_access(own, str(tmp_path / "file"), os.R_OK)
    assert not may_access(own, str(tmp_path / "file"), os.X_OK)
    assert not may_access(own, str(tmp_path / "none"), os.R_OK)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another account")
def test_what_another_account_may() -> None:
    with tempfile.TemporaryDirectory(dir="/var/lib") as directory:
        os.chmod(directory, 0o755)
        path = Path(directory, "file")
        path.touch()
        for mode, may in ((0o600, False), (0o604, True), (0o640, False)):
            path.chmod(mode)
            assert may_access(find_account("4711"), str(path), os.R_OK) is may
        os.chown(path, 0, 4712)
        assert may_access(find_account("4711", "4712"), str(path), os.R_OK)
