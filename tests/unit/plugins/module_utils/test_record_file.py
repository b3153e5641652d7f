# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The enrolment record in a data directory: whoever that belongs to, and whatever lies there already."""

import errno
import fcntl
import os
import stat
import time
from pathlib import Path
from typing import Any, List, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _record_file
from ansible_collections.expanso.edge.plugins.module_utils._account import AccountError
from ansible_collections.expanso.edge.plugins.module_utils._record import Entry, parse, render
from ansible_collections.expanso.edge.plugins.module_utils._record_file import Kept, data_dir_owner, keep
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import Attributes

ENTRY = Entry("0123456789ab", "jwt", "site 7", "file", "2024-11-30T10:00:00Z", "20261130T095959Z-1a2b3c4d", None, "1.1.0")
OTHER = ENTRY._replace(fingerprint="ba9876543210")
AGENT = 65533
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="other accounts need root")


class Module:
    """As much of an Ansible module as this needs."""

    def __init__(self, data_dir: Path, check_mode: bool = False, record: bool = True) -> None:
        self.check_mode = check_mode
        self.params = {"data_dir": str(data_dir), "record": record}
        self.warnings: List[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def selinux_default_context(self, _path: str) -> None:
        """A node without SELinux."""

    def set_context_if_different(self, _path: str, _context: None, _changed: bool) -> None:
        """A node without SELinux."""


def kept(module: Module, entry: Optional[Entry] = ENTRY, uid: int = os.geteuid(), gid: int = os.getegid(), **more: Any) -> Kept:
    return keep(module, entry, lambda: (uid, gid), **more)  # type: ignore[arg-type]


def attributes(path: Path) -> "tuple[int, int, int]":
    status = path.lstat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


@pytest.fixture
def data(safe_path: Path) -> Path:
    made = safe_path / "data"
    made.mkdir(0o750)
    return made


def test_entries_are_added_once(data: Path) -> None:
    record = data / "enrolment.json"
    assert kept(Module(data)) == Kept(True, None, ENTRY)
    assert kept(Module(data), ENTRY._replace(written_at="2027-01-01T00:00:00Z")) == Kept(False, ENTRY, ENTRY)
    assert kept(Module(data), OTHER) == Kept(True, ENTRY, OTHER)
    assert kept(Module(data), None) == Kept(False, OTHER, OTHER)
    assert record.read_text() == render([ENTRY, OTHER])
    assert attributes(record) == (os.geteuid(), os.getegid(), 0o600)
    assert [each.name for each in data.iterdir()] == ["enrolment.json"]


def test_what_killed_runs_left_is_removed(data: Path) -> None:
    old, young, foreign = (data / name for name in (".enrolment.json.abc.expanso-edge.tmp", ".enrolment.json.abd.expanso-edge.tmp", ".enrolment.json.swp"))
    for each in (old, young, foreign):
        each.touch()
    os.utime(old, (0, 0))
    assert kept(Module(data)).changed
    assert not old.exists() and not young.exists() and foreign.exists()  # nobody holds the lock, so nobody is at work


def test_without_a_record_nothing_is_touched(safe_path: Path) -> None:
    assert kept(Module(safe_path / "data", record=False)) == Kept()
    assert kept(Module(safe_path / "data"), None) == Kept()
    assert not (safe_path / "data").exists()


def test_check_mode_predicts(safe_path: Path, data: Path) -> None:
    for place in (data, safe_path / "missing"):
        module = Module(place, check_mode=True)
        assert kept(module) == Kept(True, None, ENTRY) and not module.warnings
    assert list(data.iterdir()) == [] and not (safe_path / "missing").exists()


@needs_root
def test_a_missing_directory_is_made_for_the_agent(safe_path: Path) -> None:
    data = safe_path / "var" / "data"
    assert kept(Module(data), uid=AGENT, gid=AGENT).changed
    assert attributes(data) == (AGENT, AGENT, 0o700)
    assert attributes(data.parent) == (0, 0, 0o755)
    assert attributes(data / "enrolment.json") == (AGENT, AGENT, 0o600)


def test_a_missing_directory_of_an_unknown_account(safe_path: Path) -> None:
    def unknown() -> Any:
        raise AccountError("there is no account 'agent' on this node")

    module = Module(safe_path / "data")
    assert keep(module, ENTRY, unknown) == Kept()  # type: ignore[arg-type]
    assert "there is no account 'agent'" in module.warnings[0] and not (safe_path / "data").exists()


@needs_root
@pytest.mark.parametrize("mode", [0o700, 0o770, 0o777])
def test_the_agents_own_directory_is_used(data: Path, mode: int) -> None:
    os.chown(data, AGENT, AGENT)
    data.chmod(mode)
    module = Module(data)
    assert kept(module).changed and not module.warnings
    assert attributes(data / "enrolment.json") == (AGENT, AGENT, 0o600) and attributes(data) == (AGENT, AGENT, mode)


@pytest.mark.parametrize("text", ["", "{", '{"version": 2}', "\0", "\xff", "x" * 70000])
def test_a_damaged_record_is_kept_aside(data: Path, text: str) -> None:
    record, aside = data / "enrolment.json", data / "enrolment.json.damaged"
    record.write_bytes(text.encode("latin-1"))
    for check_mode in (True, False):
        module = Module(data, check_mode)
        assert kept(module) == Kept(True, None, ENTRY)
        assert "is damaged: it is" in module.warnings[0] and aside.exists() is not check_mode
        assert ("it would be kept" if check_mode else "it was kept") in module.warnings[0]
    assert aside.read_bytes() == text.encode("latin-1") and parse(record.read_text()) == [ENTRY]


def test_a_damaged_record_that_is_only_read_stays(data: Path) -> None:
    (data / "enrolment.json").write_text("{")
    module = Module(data)
    assert kept(module, None) == Kept() and "is damaged: it is not JSON" in module.warnings[0]
    assert [each.name for each in data.iterdir()] == ["enrolment.json"]


def test_neither_of_two_damaged_records_is_lost(data: Path) -> None:
    (data / "enrolment.json").write_text("{")
    (data / "enrolment.json.damaged").write_text("[")
    module = Module(data)
    assert kept(module) == Kept() and "remove one of them" in module.warnings[0]
    assert ((data / "enrolment.json").read_text(), (data / "enrolment.json.damaged").read_text()) == ("{", "[")


def test_no_link_is_followed(safe_path: Path, data: Path) -> None:
    precious = safe_path / "precious"
    precious.write_text("precious")
    (data / "enrolment.json").symlink_to(precious)
    module = Module(data)
    assert kept(module) == Kept() and "is a symbolic link, which is not followed" in module.warnings[0]
    assert precious.read_text() == "precious" and (data / "enrolment.json").is_symlink()


def test_a_file_with_another_name_is_not_changed(safe_path: Path, data: Path) -> None:
    precious = safe_path / "precious"
    precious.write_text(render([OTHER]))
    precious.chmod(0o644)
    os.link(precious, data / "enrolment.json")
    assert kept(Module(data)).changed
    assert precious.read_text() == render([OTHER]) and stat.S_IMODE(precious.stat().st_mode) == 0o644
    assert parse((data / "enrolment.json").read_text()) == [OTHER, ENTRY]


@needs_root
def test_an_account_that_owns_a_directory_above_decides_nothing(safe_path: Path) -> None:
    """It may put a link there, and another directory of its own, but nothing where it could not write itself."""
    home, precious = safe_path / "home", safe_path / "precious"
    home.mkdir()
    precious.mkdir()
    os.chown(home, AGENT, AGENT)
    (home / "data").symlink_to(precious)
    module = Module(home / "data")
    assert kept(module) == Kept() and "replace the symbolic link" in module.warnings[0]
    assert list(precious.iterdir()) == []


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_is_left(data: Path, kind: str) -> None:
    (data / "enrolment.json").mkdir() if kind == "directory" else os.mkfifo(data / "enrolment.json")
    module = Module(data)
    assert kept(module) == Kept() and "the token was delivered nevertheless" in module.warnings[0]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_record_that_cannot_be_written_is_a_warning(safe_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(_directory: Any, *_arguments: Any) -> None:
        raise OSError(number, os.strerror(number), "some path")

    monkeypatch.setattr(_record_file, "write_in", refuse)
    module = Module(safe_path / "data")
    assert kept(module) == Kept()
    assert f"some path: {os.strerror(number)}" in module.warnings[0]
    assert not (safe_path / "data").exists()


def test_check_mode_predicts_that_a_directory_is_not_writable(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_record_file.os, "access", lambda _path, _mode: False)
    module = Module(data, check_mode=True)
    assert kept(module) == Kept() and "read-only file system" in module.warnings[0]


@pytest.mark.parametrize("data_dir", ["relative", "/", "/" + "x" * 300, "/dev/null/data", "/proc/nothing/data"])
def test_impossible_directories(data_dir: str) -> None:
    module = Module(Path(data_dir))
    assert kept(module) == Kept() and len(module.warnings) == 1


def test_a_lock_of_the_caller_is_not_waited_for(data: Path) -> None:
    descriptor = os.open(data, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        began = time.monotonic()
        assert kept(Module(data), locked=True).changed
        assert time.monotonic() - began < 5
        other = os.open(data, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
    finally:
        os.close(descriptor)


@needs_root
@pytest.mark.parametrize(
    ("user", "group", "expected"),
    [(None, None, (11, 22)), (None, "33", (11, 33)), ("44", "55", (44, 55)), ("nobody", None, (65534, 65534)), ("no-such-account", None, None)],
)
def test_who_gets_a_missing_directory(user: Optional[str], group: Optional[str], expected: Any) -> None:
    params = {"data_dir_owner": user, "data_dir_group": group}
    if expected is None:
        with pytest.raises(AccountError):
            data_dir_owner(params, Attributes(11, 22, 0o600))
    else:
        assert data_dir_owner(params, Attributes(11, 22, 0o600)) == expected
