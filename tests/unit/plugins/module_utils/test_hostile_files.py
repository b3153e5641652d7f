# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories that somebody made to stop an audit, to fill its memory, or to hide a token from it.

Bounds are counts of bytes, names and processes, and limits of the system: never seconds, which a busy machine makes longer.
"""

import binascii
import bz2
import gzip
import io
import lzma
import os
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._audit import exposure, reading, visiting
from ansible_collections.expanso.edge.plugins.module_utils._audit.exposure import backups, processes, search, searchable_encodings, siblings, units
from ansible_collections.expanso.edge.plugins.module_utils._audit.reading import MAX_FILE, Place, chunks, pieces, read_file, unpacked
from ansible_collections.expanso.edge.plugins.module_utils._audit.reports import report_unread
from ansible_collections.expanso.edge.plugins.module_utils._audit.shapes import tokens_in
from ansible_collections.expanso.edge.plugins.module_utils._audit.visiting import Visit
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import MAX_SIZE, leftovers, read
from audited_files import put, usual_policy

# Of this process alone, because others may run these tests at the same time.
TOKEN, STRANGER = (f"exp_bk_{os.urandom(16).hex()}" for dummy in range(2))
FORMS = searchable_encodings(TOKEN)
MINE = usual_policy()
MEBIBYTE = 1 << 20


def within(mebibytes: int, work: Callable[[], bool]) -> None:
    """Do something in a process that gets no more memory than so much above what it has, and fails if it does not return true."""
    child = os.fork()
    if not child:
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * os.sysconf("SC_PAGE_SIZE") + mebibytes * MEBIBYTE
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def sparse(path: Path, size: int, *at: int) -> Path:
    """Make a file of holes, with the token in places."""
    with path.open("wb") as handle:
        for each in at:
            handle.seek(each)
            handle.write(TOKEN.encode())
        handle.truncate(size)
    return path


class Counted(io.FileIO):
    """A file that counts what is read of it."""

    total = 0

    def read(self, size: Optional[int] = -1) -> bytes:
        """Read, and count."""
        data = super().read(size)
        assert data is not None
        self.total += len(data)
        return data


class TestSize:
    def test_a_tebibyte_of_holes(self, safe_path: Path) -> None:
        path = sparse(safe_path / "token", 1 << 40, 1 << 39)
        with Counted(path) as handle:
            assert any(TOKEN.encode() in each for each in pieces(handle)) and handle.total <= 2 * MAX_FILE
        found = read(str(path))
        assert found is not None and len(found.data) == MAX_SIZE + 1

    def test_many_islands_in_a_sea_of_holes(self, safe_path: Path) -> None:
        path = sparse(safe_path / "token", 1 << 40, *range(0, 1 << 37, 1 << 31))
        with Counted(path) as handle:
            with pytest.raises(OSError, match="too long to be looked into"):
                list(pieces(handle))
            assert handle.total <= MAX_FILE + 1

    def test_a_file_that_grows_while_it_is_read(self, safe_path: Path) -> None:
        path = put(safe_path / "log", b"x" * MEBIBYTE)
        total = 0
        with pytest.raises(OSError, match="too long to be looked into"):
            for each in chunks(str(path), MEBIBYTE):
                total += len(each)
                with path.open("ab") as handle:
                    handle.write(b"x" * 3 * MEBIBYTE)
        assert total <= 3 * MAX_FILE

    def test_a_file_that_shrinks_or_goes_while_it_is_read(self, safe_path: Path) -> None:
        path = put(safe_path / "log", b"x" * 3 * MEBIBYTE)
        for each in read_file("log", str(path)):
            assert each.data is not None
            path.write_bytes(b"")
        path.unlink()
        assert list(read_file("log", str(path))) == []

    def test_the_environments_of_many_processes_are_not_in_memory_together(self, safe_path: Path) -> None:
        for number in range(1, 41):
            put(safe_path / f"proc/{number}/stat", f"{number} (sh) S 0 1")
            put(safe_path / f"proc/{number}/cmdline", b"sh\0" + b"x" * MEBIBYTE)
            put(safe_path / f"proc/{number}/environ", b"A=" + b"x" * MEBIBYTE)
        tracemalloc.start()
        try:
            assert sum(1 for each in processes(FORMS, [], str(safe_path / "proc"), own=1)) == 78
            assert tracemalloc.get_traced_memory()[1] < 24 * MEBIBYTE
        finally:
            tracemalloc.stop()


class TestPacked:
    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_a_bomb(self, safe_path: Path, pack: Callable[[bytes], bytes]) -> None:
        path = put(safe_path / "log", pack(b"\0" * 64 * MEBIBYTE))
        with path.open("rb", buffering=0) as handle, pytest.raises(OSError, match="too long to be looked into"):
            assert sum(map(len, pieces(unpacked(handle)))) <= 2 * MAX_FILE

    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_one_after_the_other(self, safe_path: Path, pack: Callable[[bytes], bytes]) -> None:
        path = put(safe_path / "log", pack(b"x" * 100_000) + pack(TOKEN.encode()[:10]) + pack(TOKEN.encode()[10:]))
        with path.open("rb", buffering=0) as handle:
            assert b"".join(pieces(unpacked(handle))) == b"x" * 100_000 + TOKEN.encode()

    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_one_that_is_cut_off_or_damaged(self, safe_path: Path, pack: Callable[[bytes], bytes]) -> None:
        whole = pack(os.urandom(10_000))
        for broken in (whole[:-3], whole[:3000] + b"\0" * 1000 + whole[4000:]):
            path = put(safe_path / "log", broken)
            with path.open("rb", buffering=0) as handle, pytest.raises(OSError, match=r"damaged|Invalid data stream"):
                list(pieces(unpacked(handle)))

    @pytest.mark.parametrize(
        ("beginning", "again"),
        [
            (b"\x1f\x8b\x08\x08\0\0\0\0\0\x03", b"a"),  # a name without an end
            (b"", gzip.compress(b"")),
            (b"", bz2.compress(b"")),
            (b"", lzma.compress(b"")),
        ],
        ids=["name", "gzip", "bzip2", "xz"],
    )
    def test_headers_without_an_end(self, safe_path: Path, beginning: bytes, again: bytes) -> None:
        path = put(safe_path / "log", beginning + again * (2 * MAX_FILE // len(again)))
        with Counted(path) as handle:
            try:
                assert list(pieces(unpacked(handle))) == [b""]
            except OSError as exc:
                assert str(exc) == "damaged"
            assert handle.total <= MAX_FILE

    def test_a_dictionary_that_does_not_fit_into_the_memory(self, safe_path: Path) -> None:
        data = bytearray(lzma.compress(TOKEN.encode()))
        size = (data[12] + 1) * 4
        assert data[14:16] == b"\x21\x01"  # the filter LZMA2, whose size of the dictionary follows: see the specification of .xz
        data[16] = 40  # 4 GiB
        data[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(data[12 : 12 + size - 4]))
        path = put(safe_path / "token.xz", bytes(data))

        def refused() -> bool:
            with path.open("rb", buffering=0) as handle:
                try:
                    list(pieces(unpacked(handle)))
                except OSError as exc:
                    return str(exc) == "cannot be unpacked"
            return False

        within(512, refused)


class TestDirectories:
    def test_many_names(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those that are named like the token's file are looked into, wherever they are among the others."""
        monkeypatch.setattr(exposure, "MOST_NAMES", 50)
        monkeypatch.setattr(exposure, "_MOST_FILES", 20)
        token = put(safe_path / "token", TOKEN)
        for number in range(200):
            put(safe_path / f"{number}", "x")
        put(safe_path / "token.bak", TOKEN)
        hits = search(siblings([str(token)], MINE), {TOKEN: FORMS})
        assert [place.name for place in hits.found[TOKEN]] == [str(safe_path / "token.bak")]
        assert [place.name for place in hits.unread] == [f"182 files in {safe_path}, which has more than 20"]
        assert [place.name for place in backups(str(token), MINE)] == [str(safe_path / "token.bak")]

    def test_hundreds_of_thousands_of_names_are_not_in_memory_together(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        token = put(safe_path / "token", TOKEN)
        monkeypatch.setattr(exposure, "names_in", lambda _directory: (f"{number:0200}" for number in range(400_000)))

        def bounded() -> bool:
            return [place.kind for place in siblings([str(token)], MINE)] == ["rest"] and backups(str(token), MINE) == []

        within(64, bounded)

    def test_more_names_than_are_listed(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(visiting, "MOST_NAMES", 50)
        for number in range(60):
            put(safe_path / f"tmp/{number}", "x")
        places = list(Visit(MINE, [], time.monotonic() + 60, str(safe_path)).places(["temporary"]))
        assert {place.name for place in places if place.data is None} == {f"names in {safe_path}/tmp beyond the first 50"}

    def test_thousands_of_directories_in_one_another(self, safe_path: Path) -> None:
        """A path to the last of them is longer than the system takes, and a function that calls itself for each does not get there."""
        put(safe_path / "tmp/a.service", TOKEN)
        script = "import os\nfor dummy in range(2500):\n    os.mkdir('d')\n    os.chdir('d')\nopen('token.service', 'w').close()"
        subprocess.run([sys.executable, "-c", script], cwd=safe_path / "tmp", check=True)
        try:
            hits = search(units([str(safe_path / "tmp")], []), {TOKEN: FORMS})
            assert [place.name for place in hits.found[TOKEN]] == [str(safe_path / "tmp/a.service")]
            (finding,) = report_unread(hits.unread)
            assert finding.message.count("/d") < 20 and "directories below" in finding.message
            assert len(list(Visit(MINE, [], time.monotonic() + 60, str(safe_path)).places(["temporary"]))) == 1
        finally:  # the library's own function does not get there either
            subprocess.run(["rm", "-rf", safe_path / "tmp"], check=True)

    def test_links_that_lead_around(self, safe_path: Path) -> None:
        for top in ("units", "tmp"):
            (safe_path / top / "a").mkdir(parents=True)
            (safe_path / top / "a/b").symlink_to("..")
            (safe_path / top / "token").symlink_to("token")
            (safe_path / top / "x.service").symlink_to("y.service")
            (safe_path / top / "y.service").symlink_to("x.service")
        assert list(units([str(safe_path / "units")], [])) == [Place("unit", f"{safe_path}/units/{name}", None) for name in ("token", "x.service", "y.service")]
        assert list(Visit(MINE, [], time.monotonic() + 60, str(safe_path)).places(["temporary"])) == []
        assert leftovers(str(safe_path / "tmp/token")) == []

    @pytest.mark.parametrize("name", [b"line\nbreak", b"not utf-8 \xff\xfe", b"\x1b[2J", "\u202e\u2028".encode(), b"-rf", b" "])
    def test_names(self, safe_path: Path, name: bytes) -> None:
        token = put(safe_path / "token", TOKEN)
        with open(os.fsencode(safe_path) + b"/" + name, "wb") as handle:
            handle.write(TOKEN.encode())
        hits = search(siblings([str(token)], MINE), {TOKEN: FORMS})
        assert [os.fsencode(place.name) for place in hits.found[TOKEN]] == [os.fsencode(safe_path) + b"/" + name]


class TestWhatIsNoFile:
    def test_a_device_is_not_opened(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """To open one may rewind a tape or start a watchdog."""
        monkeypatch.setattr(reading.os, "open", lambda *_args, **_more: pytest.fail("it was opened"))
        assert list(read_file("unit", "/dev/zero")) == [Place("unit", "/dev/zero", None)]

    def test_a_pipe_in_the_place_of_a_file(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = put(safe_path / "unit", "x")
        real = os.stat

        def exchanged(*args: object, **more: object) -> os.stat_result:
            found = real(*args, **more)  # type: ignore[arg-type]
            path.unlink()
            os.mkfifo(path)
            return found

        with monkeypatch.context() as patched:
            patched.setattr(reading.os, "stat", exchanged)
            places = list(read_file("unit", str(path)))
        assert places == [Place("unit", str(path), None)]

    def test_processes_that_end_while_they_are_read(self) -> None:
        """Real ones: as many as can be started meanwhile."""
        children: list[subprocess.Popen[bytes]] = []

        def looked() -> Iterator[Place]:
            for _round in range(10):
                children.extend(subprocess.Popen(["/bin/true"], env={"EXPANSO_EDGE_BOOTSTRAP_TOKEN": "x"}) for _each in range(3))
                yield from processes(FORMS, [])

        try:
            hits = search(looked(), {TOKEN: FORMS}, deadline=time.monotonic() + 600)
        finally:
            for child in children:
                child.wait()
        assert hits.found == {TOKEN: []}
        assert os.geteuid() != 0 or hits.unread == []


class TestWide:
    """UTF-16, as editors and shells of Windows write it."""

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
    @pytest.mark.parametrize("text", ["{}", "\ufeff$env:EXPANSO_EDGE_BOOTSTRAP_TOKEN = '{}'\r\n", "x{}\r\n"])
    def test_a_token_in_it(self, encoding: str, text: str) -> None:
        data = text.format(TOKEN).encode(encoding)
        assert search([Place("copy", "/a", data)], {TOKEN: FORMS}).found == {TOKEN: [Place("copy", "/a", b"")]}
        assert {shape.value for shape in tokens_in(data)} == {TOKEN}

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_a_jwt_where_one_belongs(self, encoding: str) -> None:
        jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJub2RlIn0." + binascii.hexlify(os.urandom(32)).decode()
        assert {shape.kind for shape in tokens_in(f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={jwt}\r\n".encode(encoding))} == {"jwt"}
        assert tokens_in(f"kubectl --token {jwt}\r\n".encode(encoding)) == set()

    def test_what_is_only_cut(self) -> None:
        assert tokens_in(TOKEN.encode("utf-16-le")[:40], cut=True) == set()
