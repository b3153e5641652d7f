# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import errno
import os
import stat
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _secure_file
from ansible_collections.expanso.edge.plugins.module_utils._directory import Directory, temporary_name
from ansible_collections.expanso.edge.plugins.module_utils._new_directories import NewDirectories, make_directories
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import (
    AclEntry,
    Attributes,
    SecureFileError,
    acl_entries,
    home,
    leftovers,
    read,
    remove,
    unsafe_directory,
    write,
)
from file_owners import OWN, unlabelled


def acl(*entries: tuple[int, int, int]) -> bytes:
    """The attribute system.posix_acl_access: version 2, then tag, permissions, id; linux/posix_acl_xattr.h."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER, NOBODY = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0xFFFFFFFF


class TestRead:
    def test_nothing(self, safe_path: Path) -> None:
        assert read(str(safe_path / "nothing")) is None

    def test_a_file(self, safe_path: Path) -> None:
        path = safe_path / "file"
        path.write_bytes(b"data")
        path.chmod(0o640)
        found = read(str(path))
        assert found is not None
        assert (found.data, found.attributes.mode, found.links, found.has_acl) == (b"data", 0o640, 1, False)

    @pytest.mark.parametrize("kind", ["link", "dangling link", "directory", "fifo", "socket"])
    def test_what_is_no_file_is_refused(self, safe_path: Path, kind: str) -> None:
        path = safe_path / "it"
        if kind == "link":
            (safe_path / "target").write_text("x")
            path.symlink_to("target")
        elif kind == "dangling link":
            path.symlink_to("nowhere")
        elif kind == "directory":
            path.mkdir()
        elif kind == "fifo":
            os.mkfifo(path)  # must not block, as a careless open() would
        else:
            os.mknod(path, stat.S_IFSOCK | 0o600)
        with pytest.raises(SecureFileError, match=f"{path} is "):
            read(str(path))

    def test_a_huge_file_is_not_read_whole(self, safe_path: Path) -> None:
        path = safe_path / "file"
        path.write_bytes(b"x" * (_secure_file.MAX_SIZE + 100))
        found = read(str(path))
        assert found is not None and len(found.data) == _secure_file.MAX_SIZE + 1


class TestAcl:
    def test_named_entries_as_the_mask_leaves_them(self, safe_path: Path) -> None:
        path = safe_path / "file"
        path.write_text("x")
        assert acl_entries(str(path)) == []
        entries = ((USER_OBJ, 6, NOBODY), (USER, 6, 4711), (GROUP_OBJ, 0, NOBODY), (GROUP, 2, 4712), (MASK, 4, NOBODY), (OTHER, 0, NOBODY))
        os.setxattr(path, "system.posix_acl_access", acl(*entries))
        assert acl_entries(str(path)) == [AclEntry("user", 4711, 4)]

    def test_a_default_list_of_the_directory_does_not_reach_the_file(self, safe_path: Path) -> None:
        entries = ((USER_OBJ, 7, NOBODY), (USER, 7, 4711), (GROUP_OBJ, 0, NOBODY), (MASK, 7, NOBODY), (OTHER, 0, NOBODY))
        os.setxattr(safe_path, "system.posix_acl_default", acl(*entries))
        path = str(safe_path / "file")
        write(path, b"data", OWN._replace(mode=0o640), unlabelled)
        assert acl_entries(path) == []
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


class TestUnsafeDirectory:
    def test_a_closed_chain(self, safe_path: Path) -> None:
        assert unsafe_directory(str(safe_path / "missing" / "file"), 0, 0) is None

    @pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703, 0o1702])
    def test_writable_for_everybody(self, safe_path: Path, mode: int) -> None:
        directory = safe_path / "open"
        (directory / "below").mkdir(parents=True)
        directory.chmod(mode)
        assert unsafe_directory(str(directory / "below" / "file"), 0, 0) == (str(directory), "every account")

    def test_tmp(self) -> None:
        assert unsafe_directory("/tmp/some/file", 0, 0) == ("/tmp", "every account")

    def test_a_group(self, safe_path: Path) -> None:
        os.chown(safe_path, -1, 4711)
        safe_path.chmod(0o770)
        assert unsafe_directory(str(safe_path / "file"), 0, 0) == (str(safe_path), "its group 4711")
        assert unsafe_directory(str(safe_path / "file"), 0, 4711) is None
        safe_path.chmod(0o750)
        assert unsafe_directory(str(safe_path / "file"), 0, 0) is None

    def test_an_owner(self, safe_path: Path) -> None:
        os.chown(safe_path, 4711, -1)
        assert unsafe_directory(str(safe_path / "file"), 0, 0) == (str(safe_path), "its owner 4711")
        assert unsafe_directory(str(safe_path / "file"), 4711, 0) is None

    def test_an_access_control_list(self, safe_path: Path) -> None:
        entries = ((USER_OBJ, 7, NOBODY), (USER, 7, 4711), (GROUP_OBJ, 5, NOBODY), (MASK, 7, NOBODY), (OTHER, 0, NOBODY))
        os.setxattr(safe_path, "system.posix_acl_access", acl(*entries))
        assert unsafe_directory(str(safe_path / "file"), 0, 0) == (str(safe_path), "the user 4711 of its access control list")
        assert unsafe_directory(str(safe_path / "file"), 4711, 0) is None

    def test_behind_a_symbolic_link(self, safe_path: Path) -> None:
        (safe_path / "open").mkdir()
        (safe_path / "open").chmod(0o777)
        (safe_path / "open" / "inside").mkdir()
        (safe_path / "link").symlink_to(safe_path / "open" / "inside")
        assert unsafe_directory(str(safe_path / "link" / "file"), 0, 0) == (str(safe_path / "open"), "every account")

    def test_permissions_that_the_directory_is_about_to_get(self, safe_path: Path) -> None:
        safe_path.chmod(0o777)
        assert unsafe_directory(str(safe_path / "file"), 0, 0, future_mode=0o755) is None
        safe_path.chmod(0o755)
        assert unsafe_directory(str(safe_path / "file"), 0, 0, future_mode=0o777) == (str(safe_path), "every account")


class TestWrite:
    def test_attributes_come_before_the_name(self, safe_path: Path) -> None:
        path = safe_path / "file"
        seen = []

        def look(temporary: str) -> None:
            status = os.stat(temporary)
            seen.append((status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), os.path.realpath(os.path.dirname(temporary)), path.exists()))

        write(str(path), b"data", Attributes(4711, 4712, 0o440), look)
        assert seen == [(4711, 4712, 0o440, str(safe_path), False)]
        assert path.read_bytes() == b"data"
        assert os.listdir(safe_path) == ["file"]

    def test_the_umask_does_not_matter(self, safe_path: Path) -> None:
        before = os.umask(0o777)
        try:
            write(str(safe_path / "file"), b"", OWN._replace(mode=0o640), unlabelled)
        finally:
            os.umask(before)
        assert stat.S_IMODE(os.stat(safe_path / "file").st_mode) == 0o640

    @pytest.mark.parametrize("step", ["fchown", "fchmod", "fsync", "rename"])
    def test_a_failure_leaves_all_as_it_was(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
        path = safe_path / "file"
        path.write_bytes(b"old")

        def fail(*_arguments: object, **_keywords: object) -> None:
            raise OSError(28, "No space left on device", "a name that tells nobody anything")

        monkeypatch.setattr(_secure_file.os, step, fail)
        with pytest.raises(OSError, match=f"No space left on device: '{path}'$"):
            write(str(path), b"new", OWN, unlabelled)
        assert os.listdir(safe_path) == ["file"] and path.read_bytes() == b"old"

    def test_what_cannot_be_removed_after_a_failure_is_emptied(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_arguments: object, **_keywords: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        for step in ("rename", "unlink"):  # as in a directory that is only to be appended to
            monkeypatch.setattr(_secure_file.os, step, refuse)
        with pytest.raises(PermissionError):
            write(str(safe_path / "file"), b"new", OWN, unlabelled)
        assert [path.read_bytes() for path in safe_path.iterdir()] == [b""]

    def test_a_file_system_that_writes_nothing(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
        with pytest.raises(OSError, match="Input/output error"):
            write(str(safe_path / "file"), b"new", OWN, unlabelled)
        assert not os.listdir(safe_path)

    def test_an_owner_that_a_container_does_not_know(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_arguments: object) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(os, "fchown", refuse)
        with pytest.raises(OSError, match=r"Invalid argument \(account \d+ or group \d+ is not mapped into this container's user namespace\)"):
            write(str(safe_path / "file"), b"new", OWN, unlabelled)

    def test_it_is_told_as_soon_as_it_is_done(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_directory: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(_secure_file, "_sync_directory", refuse)
        done: list[str] = []
        with pytest.raises(OSError, match="Input/output error"):
            write(str(safe_path / "file"), b"new", OWN, unlabelled, lambda: done.append("written"))
        with pytest.raises(OSError, match="Input/output error"):
            remove(str(safe_path / "file"), lambda: done.append("removed"))
        assert done == ["written", "removed"]

    def test_another_hard_link_keeps_the_old(self, safe_path: Path) -> None:
        path, other = safe_path / "file", safe_path / "other"
        path.write_bytes(b"old")
        os.link(path, other)
        write(str(path), b"new", OWN, unlabelled)
        assert (path.read_bytes(), other.read_bytes(), path.stat().st_nlink) == (b"new", b"old", 1)

    def test_another_program_at_work_is_noticed(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_secure_file, "_sync_directory", lambda directory: (safe_path / "file").write_bytes(b"theirs"))
        with pytest.raises(SecureFileError, match="does not hold what was just written"):
            write(str(safe_path / "file"), b"ours", OWN, unlabelled)

    def test_a_file_that_is_not_what_was_written_replaces_nothing(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (safe_path / "file").write_bytes(b"old")
        monkeypatch.setattr(os, "write", lambda descriptor, data: len(data))
        with pytest.raises(SecureFileError, match=f"{safe_path}/file does not hold what was just written"):
            write(str(safe_path / "file"), b"new", OWN, unlabelled)
        assert [(path.name, path.read_bytes()) for path in safe_path.iterdir()] == [("file", b"old")]

    def test_a_long_name(self, safe_path: Path) -> None:
        path = safe_path / ("n" * 255)
        write(str(path), b"data", OWN, unlabelled)
        assert path.read_bytes() == b"data"


def test_leftovers_of_a_killed_write(safe_path: Path) -> None:
    path = safe_path / "bootstrap.token"
    left, young, other = (safe_path / f".{name}.expanso-edge.tmp" for name in ("bootstrap.token.abc", "bootstrap.token.new", "other.abc"))
    for each in (path, left, young, other):
        each.write_text("x")
    for each in (path, left, other):
        os.utime(each, (0, 0))
    assert sorted(leftovers(str(path))) == [str(left), str(young)]
    assert leftovers(str(safe_path / "missing" / "file")) == []


def test_a_writer_at_work_keeps_its_file(safe_path: Path) -> None:
    path = safe_path / "bootstrap.token"
    left, young = (safe_path / f".bootstrap.token.{name}.expanso-edge.tmp" for name in ("abc", "new"))
    for each in (left, young):
        each.write_text("x")
    os.utime(left, (0, 0))
    with home(str(path))[0] as directory, directory.lock():
        assert leftovers(str(path)) == [str(left)]
    assert sorted(leftovers(str(path))) == [str(left), str(young)]


def test_directories_are_made_and_unmade(safe_path: Path) -> None:
    made = make_directories(str(safe_path / "a" / "b" / "c"), 0o700, unlabelled)
    assert made == [str(safe_path / "a"), str(safe_path / "a" / "b"), str(safe_path / "a" / "b" / "c")]
    assert [stat.S_IMODE(os.stat(each).st_mode) for each in made] == [0o755, 0o755, 0o700]
    assert make_directories(made[-1], 0o755, unlabelled) == [] and stat.S_IMODE(os.stat(made[-1]).st_mode) == 0o700
    with Directory.hold(str(safe_path / "a" / "d" / "e")) as nearest, NewDirectories(nearest) as new:
        new.make(0o700, lambda _place, _path: None)
        (safe_path / "a" / "d" / "file").write_text("x")
        new.undo()
    assert os.listdir(safe_path / "a" / "d") == ["file"]


@pytest.mark.parametrize("when", ["before it is looked for again", "as it gets its name"])
def test_a_directory_that_another_run_makes_in_the_meantime(safe_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    theirs = safe_path / "a"

    def another_run(*_arguments: object, **_keywords: object) -> None:
        monkeypatch.undo()
        theirs.mkdir()
        theirs.chmod(0o711)
        if when == "as it gets its name":
            (theirs / "file").write_text("x")
            os.rename(*_arguments, **_keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fchmod" if when == "before it is looked for again" else "rename", another_run)
    assert make_directories(str(theirs), 0o700, unlabelled) == []
    assert stat.S_IMODE(os.stat(theirs).st_mode) == 0o711
    assert os.listdir(safe_path) == ["a"]


def test_remove_what_is_there(safe_path: Path) -> None:
    (safe_path / "file").write_text("x")
    remove(str(safe_path / "file"))
    assert os.listdir(safe_path) == []
    remove(str(safe_path / "file"))  # another process was quicker


def test_what_a_file_permits_too_much_goes_first(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file cannot be replaced on a full disk, but then nobody else can read it any more."""
    path, other = safe_path / "file", safe_path / "other"
    for each in (path, other):
        each.write_bytes(b"old")
        each.chmod(0o666)
    os.link(other, safe_path / "second name")

    def full(*_arguments: object, **_keywords: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    for each in (path, other):
        with pytest.raises(OSError, match=f"No space left on device: '{each}'"):
            write(str(each), b"new", OWN._replace(mode=0o640), unlabelled)
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o640, b"old")
    assert stat.S_IMODE(other.stat().st_mode) == 0o666, "it has another name, by which another program may use it"


def test_short_writes_and_reads_are_completed(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write, real_read = os.write, os.read
    monkeypatch.setattr(os, "write", lambda descriptor, data: real_write(descriptor, data[:3]))
    monkeypatch.setattr(os, "read", lambda descriptor, size: real_read(descriptor, min(size, 2)))
    write(str(safe_path / "file"), b"0123456789", OWN, unlabelled)
    found = read(str(safe_path / "file"))
    assert found is not None and found.data == b"0123456789"


def test_two_writers_at_once(safe_path: Path) -> None:
    """Neither takes what the other wrote for another program's work."""
    path = str(safe_path / "file")

    def work(number: int) -> None:
        for _round in range(60):
            write(path, str(number).encode() * 100, OWN, unlabelled)
            leftovers(path, 0)
            remove(path)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, number) for number in range(4)]:
            done.result()
    assert os.listdir(safe_path) == []


class TestLeftovers:
    def put(self, path: Path) -> str:
        path.write_text("x")
        os.utime(path, (0, 0))
        return path.name

    def test_of_another_file_they_are_not(self, safe_path: Path) -> None:
        ours, theirs = self.put(safe_path / ".token.abcdefgh.expanso-edge.tmp"), self.put(safe_path / ".token.old.abcdefgh.expanso-edge.tmp")
        assert leftovers(str(safe_path / "token")) == [str(safe_path / ours)]
        assert leftovers(str(safe_path / "token.old")) == [str(safe_path / theirs)]
        assert leftovers(str(safe_path / "t.ken")) == [] == leftovers(str(safe_path / "toke"))

    def test_of_long_names(self, safe_path: Path) -> None:
        """Two names that are the same for long, and as long as they can be: 252 bytes, and 255."""
        for name, other in (("ö" * 120 + "a" * 12, "ö" * 120 + "b" * 12), ("n" * 254 + "a", "n" * 254 + "b"), ("\U0001f511" * 63, "\U0001f511" * 62)):
            left = self.put(safe_path / temporary_name(name, "abcdefgh"))
            assert leftovers(str(safe_path / name)) == [str(safe_path / left)]
            assert leftovers(str(safe_path / other)) == []
            write(str(safe_path / name), b"data", OWN, unlabelled)

    def test_are_files_of_one_name(self, safe_path: Path) -> None:
        (safe_path / ".token.aaaaaaaa.expanso-edge.tmp").mkdir()
        (safe_path / ".token.bbbbbbbb.expanso-edge.tmp").symlink_to("nowhere")
        linked = safe_path / self.put(safe_path / ".token.cccccccc.expanso-edge.tmp")
        os.link(linked, safe_path / "another program's")
        assert leftovers(str(safe_path / "token"), -1) == []
