# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import errno
import os
import stat
import struct
import tempfile
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._directory import Directory
from ansible_collections.expanso.edge.plugins.module_utils._new_directories import make_directories
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import (
    leftovers_in,
    read,
    read_in,
    remove,
    remove_in,
    unsafe_directory,
    write,
    write_in,
)
from ansible_collections.expanso.edge.plugins.module_utils._walk import LeadsNowhere, UntrustedLink, shown, steps_to
from file_owners import APP, OWN, as_root, unlabelled

NOBODY = 0xFFFFFFFF


@pytest.fixture
def precious(safe_path: Path) -> Path:
    """A directory that nobody is to get at, with a file of the same name as the token's."""
    (safe_path / "precious").mkdir()
    (safe_path / "precious" / "token").write_text("precious")
    return safe_path / "precious"


def exchange(directory: Path, target: Path) -> None:
    """Put a link in the place of a directory."""
    directory.rename(directory.with_name("away"))
    directory.symlink_to(target)


@pytest.mark.parametrize(("number", "made"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_directory_that_is_not_durable(safe_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, made: bool) -> None:
    """Some file systems know no such thing for directories, 9p for example. Where it fails, nothing is left."""

    def refuse(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with Directory.hold(str(safe_path)) as held:
        if made:
            assert held.make("new", 0o700, lambda _place, _path: None)
        else:
            with pytest.raises(OSError, match=f"{os.strerror(number)}: '{safe_path}'"):
                held.make("new", 0o700, lambda _place, _path: None)
    assert os.listdir(safe_path) == (["new"] if made else [])


class TestHold:
    def test_what_is_there(self, safe_path: Path) -> None:
        with Directory.hold(str(safe_path)) as held:
            assert (held.path, held.missing, held.steps[0].path, held.steps[-1].path) == (str(safe_path), (), "/", str(safe_path))
            assert held.status().st_ino == safe_path.stat().st_ino

    def test_the_nearest_that_is_there(self, safe_path: Path) -> None:
        with Directory.hold(str(safe_path / "a" / "b" / "c")) as held:
            assert (held.path, held.missing) == (str(safe_path), ("a", "b", "c"))

    def test_a_descriptor_is_not_left_open(self, safe_path: Path) -> None:
        (safe_path / "file").write_text("x")
        (safe_path / "loop").symlink_to("loop")
        before = os.listdir("/proc/self/fd")
        with Directory.hold(str(safe_path / "a")):
            pass
        for name in ("file", "loop"):
            with pytest.raises(OSError, match=name):
                Directory.hold(str(safe_path / name / "below"))
        steps_to(str(safe_path))
        make_directories(str(safe_path / "x" / "y"), 0o700, unlabelled)
        assert len(os.listdir("/proc/self/fd")) == len(before)

    @pytest.mark.parametrize("target", ["real/inside", "{place}/real/inside", "real/../real/./inside//", "other", "/proc/self/root{place}/real/inside"])
    def test_through_a_link(self, safe_path: Path, target: str) -> None:
        (safe_path / "real" / "inside").mkdir(parents=True)
        (safe_path / "other").symlink_to("real/inside")
        (safe_path / "link").symlink_to(target.replace("{place}", str(safe_path)))
        with Directory.hold(str(safe_path / "link" / "new")) as held:
            assert (held.path, held.missing) == (str(safe_path / "link"), ("new",))
            assert held.status().st_ino == (safe_path / "real" / "inside").stat().st_ino
            assert held.steps[-1].path == str(safe_path / "real" / "inside")

    def test_a_link_that_leads_nowhere(self, safe_path: Path) -> None:
        (safe_path / "real").symlink_to("disk/expanso")
        (safe_path / "link").symlink_to("real")
        for path in ("link", "link/below"):
            with pytest.raises(LeadsNowhere, match=f"{safe_path}/link is a symbolic link that leads nowhere, because {safe_path}/disk does not exist"):
                Directory.hold(str(safe_path / path))

    def test_what_is_no_directory(self, safe_path: Path) -> None:
        (safe_path / "file").write_text("x")
        with pytest.raises(NotADirectoryError, match=f"{safe_path}/file"):
            Directory.hold(str(safe_path / "file" / "below"))
        with Directory.hold(str(safe_path / "file" / "below"), lenient=True) as held:
            assert held.missing == ("file", "below")

    @as_root
    @pytest.mark.parametrize("between", [False, True])
    def test_a_link_that_another_account_may_exchange(self, safe_path: Path, precious: Path, between: bool) -> None:
        theirs = safe_path / "app"
        (theirs / "mine").mkdir(parents=True)
        os.chown(theirs, APP, -1)
        link = theirs / "mine" / "link" if between else theirs / "link"
        link.symlink_to(precious)
        says = f"its owner {APP} can write to the directory {theirs}, and so replace the symbolic link {link}"
        uses: "list[Callable[[str], object]]" = [
            lambda path: read(path + "/token"),
            lambda path: remove(path + "/token"),
            lambda path: make_directories(path, 0o755, unlabelled),
            lambda path: write(path + "/token", b"ours", OWN, unlabelled),
        ]
        for use in uses:
            with pytest.raises(UntrustedLink, match=says):
                use(str(link))
        assert (precious / "token").read_text() == "precious" and os.listdir(precious) == ["token"]
        assert unsafe_directory(str(link / "token"), APP, 0) == (str(theirs), f"its owner {APP}")

    def test_a_link_in_a_directory_open_to_all(self, safe_path: Path, precious: Path) -> None:
        (safe_path / "open").mkdir()
        (safe_path / "open").chmod(0o1777)
        (safe_path / "open" / "link").symlink_to(precious)
        with pytest.raises(UntrustedLink, match="every account can write to the directory"):
            Directory.hold(str(safe_path / "open" / "link"))

    @as_root
    def test_a_directory_that_may_be_searched_but_not_read(self) -> None:
        with tempfile.TemporaryDirectory(prefix=".expanso-edge-test-", dir="/var/lib") as place:
            os.chmod(place, 0o711)
            os.seteuid(APP)
            try:
                with Directory.hold(place) as held:
                    assert not held.readable and read_in(held, "token") is None and leftovers_in(held, "token") == []
            finally:
                os.seteuid(0)


class TestExchanged:
    """A directory is exchanged for a link after it was judged, and before it is used."""

    def test_write(self, safe_path: Path, precious: Path) -> None:
        place = safe_path / "place"
        place.mkdir()
        with Directory.hold(str(place)) as held:
            exchange(place, precious)
            write_in(held, "token", b"ours", OWN, unlabelled)
            held.chmod(0o750)
        assert (precious / "token").read_text() == "precious" and os.listdir(precious) == ["token"]
        assert (safe_path / "away" / "token").read_text() == "ours"
        assert [stat.S_IMODE(each.stat().st_mode) for each in (precious, safe_path / "away")] == [0o755, 0o750]

    def test_in_the_middle_of_a_write(self, safe_path: Path, precious: Path) -> None:
        place = safe_path / "place"
        place.mkdir()
        with Directory.hold(str(place)) as held:
            write_in(held, "token", b"ours", OWN, lambda _place, _path: exchange(place, precious))
        assert (precious / "token").read_text() == "precious" and os.listdir(precious) == ["token"]
        assert os.listdir(safe_path / "away") == ["token"]

    def test_a_directory_above(self, safe_path: Path, precious: Path) -> None:
        place = safe_path / "above" / "place"
        place.mkdir(parents=True)
        (safe_path / "place").mkdir()
        with Directory.hold(str(place)) as held:
            exchange(safe_path / "above", safe_path)
            write_in(held, "token", b"ours", OWN, unlabelled)
        assert os.listdir(safe_path / "place") == []

    def test_remove(self, safe_path: Path, precious: Path) -> None:
        place = safe_path / "place"
        place.mkdir()
        (place / "token").write_text("ours")
        with Directory.hold(str(place)) as held:
            exchange(place, precious)
            remove_in(held, "token")
        assert (precious / "token").exists() and os.listdir(safe_path / "away") == []

    def test_make(self, safe_path: Path, precious: Path) -> None:
        place = safe_path / "place"
        place.mkdir()
        with Directory.hold(str(place / "new")) as held:
            exchange(place, precious)
            assert held.make("new", 0o700, unlabelled, (os.geteuid(), os.getegid()))
        assert not (precious / "new").exists() and (safe_path / "away" / "new").is_dir()


class TestMake:
    def test_is_complete_before_it_has_its_name(self, safe_path: Path) -> None:
        seen = []

        def look(place: str, path: str) -> None:
            seen.append((os.path.isdir(place), path, os.path.exists(path)))

        with Directory.hold(str(safe_path)) as held:
            assert held.make("new", 0o750, look)
            assert not held.make("new", 0o700, look)
        assert seen == [(True, str(safe_path / "new"), False)]
        assert stat.S_IMODE((safe_path / "new").stat().st_mode) == 0o750

    @as_root
    def test_for_an_owner(self, safe_path: Path) -> None:
        make_directories(str(safe_path / "a" / "b"), 0o700, unlabelled, (APP, APP + 1))
        assert [(each.stat().st_uid, each.stat().st_gid) for each in (safe_path / "a", safe_path / "a" / "b")] == [(0, 0), (APP, APP + 1)]

    def test_a_default_list_is_not_inherited(self, safe_path: Path) -> None:
        entries = ((1, 7, NOBODY), (2, 7, APP), (4, 5, NOBODY), (16, 7, NOBODY), (32, 5, NOBODY))
        raw = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
        os.setxattr(safe_path, "system.posix_acl_default", raw)
        make_directories(str(safe_path / "a" / "b"), 0o755, unlabelled)
        for each in (safe_path / "a", safe_path / "a" / "b"):
            assert [name for name in os.listxattr(each) if "acl" in name] == []
            assert stat.S_IMODE(each.stat().st_mode) == 0o755
        assert unsafe_directory(str(safe_path / "a" / "b" / "file"), 0, 0) is None

    @pytest.mark.parametrize("step", ["fchmod", "rename"])
    def test_what_a_killed_run_left_is_used_up(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
        child = os.fork()
        if not child:
            monkeypatch.setattr(os, step, lambda *_arguments, **_keywords: os._exit(9))
            make_directories(str(safe_path / "new"), 0o755, unlabelled)
            os._exit(0)
        assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 9
        assert os.listdir(safe_path) == [".new.expanso-edge.tmp"]
        make_directories(str(safe_path / "new"), 0o755, unlabelled)
        assert os.listdir(safe_path) == ["new"]

    def test_beside_something_that_has_the_temporary_name(self, safe_path: Path) -> None:
        (safe_path / ".new.expanso-edge.tmp").write_text("not ours")
        make_directories(str(safe_path / "new"), 0o755, unlabelled)
        assert sorted(os.listdir(safe_path)) == [".new.expanso-edge.tmp", "new"]

    def test_in_the_place_of_a_file(self, safe_path: Path) -> None:
        (safe_path / "file").write_text("x")
        with Directory.hold(str(safe_path)) as held, pytest.raises(FileExistsError, match=f"{safe_path}/file"):
            held.make("file", 0o755, unlabelled)


def test_nobody_waits_for_ever_for_a_lock(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.expanso.edge.plugins.module_utils._directory._LOCK_SECONDS", 0.2)
    with Directory.hold(str(safe_path)) as one, Directory.hold(str(safe_path)) as other, one.lock(), other.lock():
        pass


def test_shown() -> None:
    assert shown("/a b/ü") == "/a b/ü"
    assert shown("/a\udcff\n\x1b") == "/a\ufffd??"
