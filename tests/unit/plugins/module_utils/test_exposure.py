# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional, Union
from urllib.parse import quote

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._audit import exposure, reading
from ansible_collections.expanso.edge.plugins.module_utils._audit.exposure import (
    backups,
    holds,
    pipeline_files,
    processes,
    search,
    searchable_encodings,
    siblings,
    units,
)
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Finding
from ansible_collections.expanso.edge.plugins.module_utils._audit.reading import Place
from ansible_collections.expanso.edge.plugins.module_utils._audit.reports import report, report_backups, report_unread
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import Attributes, write
from audited_files import put, usual_policy
from hypothesis import given
from hypothesis import strategies as st

# Of this process alone, because others may run these tests at the same time.
TOKEN, OTHER = (f"exp_bk_{os.urandom(16).hex()}" for dummy in range(2))
FORMS = searchable_encodings(TOKEN)
MINE = usual_policy(owners=frozenset((os.geteuid(),)), groups=frozenset((os.getegid(),)))

tokens = st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=12, max_size=80)


class TestForms:
    @given(tokens, st.binary(max_size=20), st.binary(max_size=20))
    def test_a_token_is_found_in_what_programs_make_of_it(self, token: str, before: bytes, after: bytes) -> None:
        whole = before + token.encode() + after
        for data in (whole, base64.b64encode(whole), base64.urlsafe_b64encode(whole), whole.hex().encode(), quote(whole, safe="").encode()):
            assert holds(data, searchable_encodings(token))

    @given(tokens, tokens)
    def test_another_token_is_not(self, token: str, other: str) -> None:
        if token not in other:
            assert not holds(other.encode(), (token.encode(),))
        assert not holds(b"", searchable_encodings(token)) and not holds(None, searchable_encodings(token))

    def test_a_unit_doubles_percent_signs(self) -> None:
        assert holds(b"Environment=T=opaque%%token%%1\n", searchable_encodings("opaque%token%1"))


def test_search_tells_apart_and_keeps_no_data() -> None:
    places = [Place("unit", "a", TOKEN.encode()), Place("unit", "b", OTHER.encode()), Place("unit", "c", None), Place("unit", "d", b"")]
    found, unread, _strangers = search(places, {TOKEN: FORMS, OTHER: searchable_encodings(OTHER)})
    assert found == {TOKEN: [Place("unit", "a", b"")], OTHER: [Place("unit", "b", b"")]}
    assert unread == [Place("unit", "c", None)]


def test_search_finds_tokens_that_nobody_told_us() -> None:
    places = [Place("unit", "/a", f"{TOKEN} {OTHER}".encode()), Place("copy", "/a", OTHER.encode()), Place("temporary", "/gone", OTHER.encode())]
    hits = search(places, {TOKEN: FORMS})
    assert hits.found == {TOKEN: [Place("unit", "/a", b"")]}
    assert {shape.value: places for shape, places in hits.strangers.items()} == {OTHER: [Place("unit", "/a", b"")]}


def test_many_tokens_that_nobody_told_us() -> None:
    hits = search([Place("unit", "/a", f"exp_bk_{number:016}".encode()) for number in range(200)], {})
    assert len(hits.strangers) == 100 and {place.kind for place in hits.unread} == {"rest"}


def test_no_representation_shows_the_bytes() -> None:
    assert TOKEN not in repr(Place("unit", "a", TOKEN.encode()))


# Real processes, as the kernel shows them.

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program that waits for its standard input to end."""
    started = []

    def run(*arguments: Union[str, Path], **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [str(each) for each in arguments], env={"PATH": os.environ["PATH"], **environment}, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.communicate(timeout=30)


def found_in(agents: Optional[list[Path]] = None, **arguments: object) -> dict[str, list[str]]:
    """Where on this machine the token is, by kind of place."""
    found, _unread, _strangers = search(processes(FORMS, [str(agent) for agent in agents or []], **arguments), {TOKEN: FORMS})
    kinds: dict[str, list[str]] = {}
    for place in found[TOKEN]:
        kinds.setdefault(place.kind, []).append(place.name)
    return kinds


@pytest.fixture
def agent(safe_path: Path) -> Path:
    """A program of its own that waits, given `-c "read x"`."""
    program = safe_path / "expanso-edge"
    shutil.copy(os.path.realpath("/bin/sh"), program)
    return program


class TestProcesses:
    def test_nothing_at_first(self) -> None:
        assert found_in() == {}

    @pytest.mark.parametrize("argument", [TOKEN, f"--token={TOKEN}", base64.b64encode(f"user:{TOKEN}".encode()).decode()], ids=["plain", "option", "base64"])
    def test_on_a_command_line(self, start: Start, argument: str) -> None:
        process = start("/bin/sh", "-c", "read x", argument)
        assert found_in() == {"arguments": [f"{process.pid} (sh)"]}

    def test_in_an_environment(self, start: Start) -> None:
        process = start("/bin/cat", WHATEVER=TOKEN)
        assert found_in() == {"environment": [f"{process.pid} (cat)"]}

    def test_the_agent_may_have_it_in_its_environment_only(self, start: Start, agent: Path) -> None:
        process = start(agent, "-c", "read x", EXPANSO_EDGE_BOOTSTRAP_TOKEN=TOKEN)
        assert found_in([agent]) == {}
        assert found_in([agent.with_name("another")]) == {"environment": [f"{process.pid} (expanso-edge)"]}
        other = start(agent, "-c", "read x", TOKEN)
        assert found_in([agent]) == {"arguments": [f"{other.pid} (expanso-edge)"]}

    def test_an_agent_by_another_name_of_it(self, start: Start, agent: Path) -> None:
        link = agent.with_name("link")
        link.symlink_to(agent)
        start(link, "-c", "read x", EXPANSO_EDGE_BOOTSTRAP_TOKEN=TOKEN)
        assert found_in([link]) == {}

    def test_an_agent_that_was_replaced_by_an_update(self, start: Start, agent: Path) -> None:
        start(agent, "-c", "read x", EXPANSO_EDGE_BOOTSTRAP_TOKEN=TOKEN)
        agent.unlink()
        assert found_in([agent]) == {}

    def test_an_agent_that_is_a_script(self, start: Start, agent: Path) -> None:
        agent.write_text("#!/bin/sh -e\nread x\n")
        start(agent, EXPANSO_EDGE_BOOTSTRAP_TOKEN=TOKEN)
        assert found_in([agent]) == {}
        bystander = start("/bin/sh", "-c", "read x", "x", agent, EXPANSO_EDGE_BOOTSTRAP_TOKEN=TOKEN)
        assert found_in([agent]) == {"environment": [f"{bystander.pid} (sh)"]}

    def test_what_the_agent_starts_is_not_the_agent(self, start: Start, agent: Path) -> None:
        process = start(agent, "-c", "cat; :", EXPANSO_EDGE_BOOTSTRAP_TOKEN=TOKEN)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text().strip():
            assert process.poll() is None
        child = children.read_text().strip()
        while Path(f"/proc/{child}/comm").read_text() != "cat\n":  # between fork and exec it is still the agent
            assert process.poll() is None
        assert found_in([agent]) == {"environment": [f"{child} (cat)"]}

    def test_own_process_and_those_above_are_not_looked_at(self, start: Start) -> None:
        above = start("/bin/sh", "-c", "read x", TOKEN)
        assert found_in(own=above.pid) == {}

    def test_a_name_does_not_tell_the_token(self, start: Start, agent: Path) -> None:
        program = agent.with_name(TOKEN)
        agent.rename(program)
        process = start(program, "-c", "read x")
        assert found_in() == {"arguments": [f"{process.pid} (********)"]}


# A made-up /proc, for what a test cannot bring about on a real one.


def make_process(proc: Path, pid: int, parent: int = 1, name: str = "program", arguments: Optional[str] = "", environment: Optional[str] = "") -> None:
    directory = proc / str(pid)
    directory.mkdir(parents=True)
    (directory / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0")
    for file, content in (("cmdline", arguments), ("environ", environment)):
        if content is None:
            (directory / file).mkdir()  # reading it fails, for root too
        else:
            (directory / file).write_text(content)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    make_process(tmp_path, 1, 0, "init")
    (tmp_path / "self").mkdir()
    (tmp_path / "meminfo").touch()
    return tmp_path


class TestMadeUpProcesses:
    def test_the_run_that_has_the_token_itself_is_not_looked_at(self, proc: Path) -> None:
        """ansible-playbook on this very node: it, its workers, and all that they run, but not what runs beside it."""
        token = f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={TOKEN}"
        make_process(proc, 10, 1, "shell")
        make_process(proc, 11, 10, "make", environment=token)
        make_process(proc, 12, 11, "ansible-playbook", environment=token)
        make_process(proc, 13, 12, "worker", environment=token)
        make_process(proc, 14, 13, "module", environment=token)
        make_process(proc, 15, 12, "other worker", environment=token)
        make_process(proc, 16, 15, "module of another host", arguments=TOKEN)
        make_process(proc, 17, 10, "beside", environment=token)
        make_process(proc, 18, 1, "elsewhere", arguments=TOKEN)
        assert found_in(proc=str(proc), own=14) == {"environment": ["17 (beside)"], "arguments": ["18 (elsewhere)"]}

    def test_the_run_that_has_a_token_that_nobody_told_us_is_not_looked_at(self, proc: Path) -> None:
        make_process(proc, 12, 1, "ansible-playbook", environment=f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={OTHER}")
        make_process(proc, 13, 12, "module")
        make_process(proc, 18, 1, "elsewhere", arguments=f"--token={OTHER}")
        hits = search(processes((), [], str(proc), own=13), {})
        assert {shape.value: places for shape, places in hits.strangers.items()} == {OTHER: [Place("arguments", "18 (elsewhere)", b"")]}

    def test_init_hides_nobody(self, proc: Path) -> None:
        shutil.rmtree(proc / "1")
        make_process(proc, 1, 0, "init", environment=TOKEN)
        make_process(proc, 10, 1, "own")
        make_process(proc, 11, 1, "program", arguments=TOKEN)
        assert found_in(proc=str(proc), own=10) == {"arguments": ["11 (program)"]}

    def test_names_are_as_programs_like_them(self, proc: Path) -> None:
        make_process(proc, 10, 1, "a) S 7 (b\n\x1b[31m", arguments=TOKEN)
        assert found_in(proc=str(proc), own=1) == {"arguments": ["10 (a) S 7 (b??[31m)"]}

    def test_a_process_that_vanishes(self, proc: Path) -> None:
        (proc / "10").mkdir()  # gone before its first file
        make_process(proc, 11, arguments=TOKEN)
        (proc / "11" / "environ").unlink()  # gone before its last one
        make_process(proc, 12, arguments=TOKEN)
        assert found_in(proc=str(proc), own=1) == {"arguments": ["12 (program)"]}

    def test_a_process_that_cannot_be_read(self, proc: Path) -> None:
        make_process(proc, 10, arguments=TOKEN, environment=None)
        make_process(proc, 11, arguments=None, environment=None)
        make_process(proc, 12)
        (proc / "12" / "stat").unlink()
        (proc / "12" / "stat").mkdir()
        found, unread, _strangers = search(processes(FORMS, [], str(proc), own=1), {TOKEN: FORMS})
        assert found == {TOKEN: [Place("arguments", "10 (program)", b"")]}
        assert {place.name for place in unread} == {"10 (program)", "11 (program)", "12 (?)"}

    def test_processes_that_do_not_show(self, proc: Path) -> None:
        shutil.rmtree(proc / "1")
        make_process(proc, 10)
        assert [place.name for place in search(processes(FORMS, [], str(proc), own=10), {})[1]] == ["other accounts' processes"]
        assert len(search(processes(FORMS, [], str(proc / "nothing"), own=10), {})[1]) == 1


def names(places: Iterator[Place]) -> list[str]:
    """The files in which the token is."""
    return [place.name for place in search(places, {TOKEN: FORMS})[0][TOKEN]]


class TestUnits:
    def test_units_and_drop_ins(self, tmp_path: Path) -> None:
        (tmp_path / "a.service").write_text(f"[Service]\nExecStart=/x --token {TOKEN}\n")
        (tmp_path / "b.service").write_text("[Service]\nExecStart=/x\n")
        (tmp_path / "b.service.d").mkdir()
        drop_in = tmp_path / "b.service.d" / "token.conf"
        drop_in.write_text(f"[Service]\nEnvironment=T={base64.b64encode(TOKEN.encode()).decode()}\n")
        assert names(units([str(tmp_path), str(tmp_path / "missing")], [])) == [str(tmp_path / "a.service"), str(drop_in)]

    def test_each_file_once(self, tmp_path: Path) -> None:
        for directory in ("etc", "lib"):
            (tmp_path / directory).mkdir()
        unit = tmp_path / "lib" / "a.service"
        unit.write_text(TOKEN)
        (tmp_path / "etc" / "alias.service").symlink_to(unit)
        (tmp_path / "usr-lib").symlink_to("lib")
        assert names(units([str(tmp_path / each) for each in ("etc", "lib", "usr-lib")], [])) == [str(tmp_path / "etc" / "alias.service")]

    def test_what_is_no_unit(self, tmp_path: Path) -> None:
        (tmp_path / "masked.service").symlink_to("/dev/null")
        (tmp_path / "dangling.service").symlink_to("nowhere")
        os.mkfifo(tmp_path / "fifo.service")  # must not block
        assert search(units([str(tmp_path)], []), {TOKEN: FORMS}) == ({TOKEN: []}, [], {})

    def test_the_audited_file_may_be_there(self, tmp_path: Path) -> None:
        path = tmp_path / "bootstrap.env"
        path.write_text(TOKEN)
        (tmp_path / "link").symlink_to(path)
        assert names(units([str(tmp_path)], [str(path)])) == []

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "huge.service").write_bytes(b"x" * (reading.MAX_FILE + 1))
        (tmp_path / "loop.service").symlink_to("loop.service")
        (tmp_path / "large.service").write_bytes(b"x" * (reading.MAX_FILE - len(TOKEN)) + TOKEN.encode())
        found, unread, _strangers = search(units([str(tmp_path)], []), {TOKEN: FORMS})
        assert [place.name for place in found[TOKEN]] == [str(tmp_path / "large.service")]
        assert sorted(place.name for place in unread) == [str(tmp_path / "huge.service"), str(tmp_path / "loop.service")]


def grant(path: Path, uid: int) -> None:
    """Let an account read a file by its access control list; linux/posix_acl_xattr.h."""
    nobody = 0xFFFFFFFF
    entries = ((0x01, 6, nobody), (0x02, 4, uid), (0x04, 0, nobody), (0x10, 4, nobody), (0x20, 0, nobody))
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries))


class TestCopies:
    @pytest.fixture
    def path(self, safe_path: Path) -> Path:
        path = safe_path / "bootstrap.token"
        put(path, TOKEN)
        return path

    def found(self, *paths: Path) -> list[tuple[str, str]]:
        places = siblings([str(path) for path in paths], MINE)
        return [(place.kind, Path(place.name).name) for place in search(places, {TOKEN: FORMS})[0][TOKEN]]

    def test_the_file_itself_is_none(self, path: Path) -> None:
        put(path.with_name("unrelated"), OTHER, 0o644)
        assert self.found(path) == []

    @pytest.mark.parametrize("content", [TOKEN, f"token: {TOKEN}\n", base64.b64encode(f"x{TOKEN}".encode()).decode()], ids=["plain", "line", "base64"])
    @pytest.mark.parametrize(("mode", "kind"), [(0o600, "copy"), (0o644, "exposed_copy"), (0o604, "exposed_copy"), (0o640, "copy")])
    def test_any_file_with_the_token(self, path: Path, content: str, mode: int, kind: str) -> None:
        put(path.with_name("notes.txt"), content, mode)
        assert self.found(path) == [(kind, "notes.txt")]

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
    def test_a_copy_that_belongs_to_another_account(self, path: Path) -> None:
        for name, owner in (("a", (4711, -1)), ("b", (-1, 4711))):
            put(path.with_name(name), TOKEN, 0o640)
            os.chown(path.with_name(name), *owner)
        assert self.found(path) == [("exposed_copy", "a"), ("exposed_copy", "b")]

    def test_a_copy_with_an_access_control_list(self, path: Path) -> None:
        put(path.with_name("copy"), TOKEN)
        grant(path.with_name("copy"), 4711)
        assert self.found(path) == [("exposed_copy", "copy")]

    def test_another_name_of_the_same_file(self, path: Path) -> None:
        os.link(path, path.with_name("hard"))
        path.with_name("soft").symlink_to(path)
        assert self.found(path) == [("copy", "hard")]

    def test_other_audited_files_are_none(self, path: Path) -> None:
        other = path.with_name("bootstrap.env")
        put(other, TOKEN)
        assert self.found(path, other) == []
        assert self.found(path) == [("copy", "bootstrap.env")]

    def test_a_write_at_work_is_none(self, path: Path) -> None:
        held = []

        def label(temporary: str) -> None:
            assert Path(temporary).read_text() == TOKEN
            held.extend(self.found(path))

        write(str(path), TOKEN.encode(), Attributes(os.geteuid(), os.getegid(), 0o600), label)
        assert held == []

    def test_special_files_are_not_opened(self, path: Path) -> None:
        os.mkfifo(path.with_name("fifo"))
        os.mknod(path.with_name("socket"), stat.S_IFSOCK | 0o644)
        (path.parent / "directory").mkdir()
        assert self.found(path) == []

    def test_a_directory_that_is_missing_or_closed(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        gone = str(path.parent / "gone" / "token")
        assert list(siblings([gone], MINE)) == [] and backups(gone, MINE) == []

        def closed(_directory: str) -> list[str]:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(exposure, "names_in", closed)
        assert list(siblings([str(path)], MINE)) == [Place("copy", str(path.parent), None)] and backups(str(path), MINE) == []

    @pytest.mark.parametrize(
        "name",
        [
            "bootstrap.token~",
            "bootstrap.token.12345.2027-01-31@12:00:00~",  # what Ansible's backup option leaves
            "bootstrap.token.~1~",
            "bootstrap.token.bak",
            "bootstrap.token.bak.1",
            "bootstrap.token-backup",
            "bootstrap.token.orig",
            "bootstrap.token.old",
            "bootstrap.token.old2",
            "bootstrap.token.save",
            "bootstrap.token.save.1",
            "bootstrap.token.rpmsave",
            "bootstrap.token.rpmnew",
            "bootstrap.token.dpkg-old",
            "bootstrap.token.ucf-dist",
            "bootstrap.token.swp",
            ".bootstrap.token.swp",
            ".bootstrap.token.swo",
            "#bootstrap.token#",
        ],
    )
    def test_backups_by_their_name(self, path: Path, name: str) -> None:
        path.unlink()  # the token is gone, what was left of it is not
        put(path.with_name(name), OTHER)
        assert backups(str(path), MINE) == [Place("copy", str(path.with_name(name)), b"")]
        path.with_name(name).chmod(0o644)
        assert backups(str(path), MINE) == [Place("exposed_copy", str(path.with_name(name)), b"")]

    @pytest.mark.parametrize("name", ["bootstrap.token", "bootstrap.token2", "bootstrap.env", "xbootstrap.token.bak", "bootstrapXtoken~", ".swp"])
    def test_what_is_no_backup(self, path: Path, name: str) -> None:
        put(path.with_name(name), TOKEN)
        assert backups(str(path), MINE) == []

    def test_an_empty_backup_holds_nothing(self, path: Path) -> None:
        put(path.with_name("bootstrap.token.bak"), "")
        assert backups(str(path), MINE) == []


class TestBounds:
    @pytest.mark.parametrize("position", [0, reading.CHUNK - 5, reading.CHUNK, 5 * 1024 * 1024, reading.MAX_FILE - len(TOKEN)])
    def test_a_copy_in_a_long_file(self, safe_path: Path, position: int) -> None:
        with (safe_path / "log").open("wb") as handle:
            handle.truncate(reading.MAX_FILE)
            handle.seek(position)
            handle.write(TOKEN.encode())
        found, unread, _strangers = search(siblings([str(safe_path / "token")], MINE), {TOKEN: FORMS})
        assert set(found[TOKEN]) == {Place("exposed_copy", str(safe_path / "log"), b"")} and unread == []

    def test_a_file_that_is_too_long_is_named(self, safe_path: Path) -> None:
        with (safe_path / "log").open("wb") as handle:
            handle.write(b"x" * (reading.MAX_FILE + 1))
        _found, unread, _strangers = search(siblings([str(safe_path / "token")], MINE), {TOKEN: FORMS})
        (finding,) = report_unread(unread)
        assert finding.message == f"could not look everywhere for the token (processes: 0, files: 1), not to the end of {safe_path / 'log'}"
        assert ("root" in finding.remedy) == (os.geteuid() != 0)

    def test_many_files(self, safe_path: Path) -> None:
        for number in range(exposure._MOST_FILES + 100):
            (safe_path / f"{number}").write_text("x")
        for name in ("token.bak", "zzz"):
            (safe_path / name).write_text(TOKEN)
        found, unread, _strangers = search(siblings([str(safe_path / "token")], MINE), {TOKEN: FORMS})
        assert [Path(place.name).name for place in found[TOKEN]] == ["token.bak"], "those that are named like it are looked at first"
        (finding,) = report_unread(unread)
        assert finding.message == f"the token was not looked for in 102 files in {safe_path}, which has more than 5000"
        units_unread = search(units([str(safe_path)], []), {TOKEN: FORMS})[1]
        assert [place.name for place in units_unread] == [f"files in {safe_path} beyond the first 5000"]

    def test_a_search_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exposure, "MOST_SECONDS", -1)
        found, unread, _strangers = search([Place("copy", "a", TOKEN.encode())], {TOKEN: FORMS})
        assert found == {TOKEN: []} and [place.kind for place in unread] == ["rest"]

    @pytest.mark.parametrize("kind", ["unit", "pipeline", "exposed_copy", "copy"])
    def test_many_findings(self, kind: str) -> None:
        findings = report([Place(kind, f"{number:05}", b"") for number in range(50_000)])
        assert len(findings) == 21 and "49980 more files, which are not named here," in findings[-1].message
        assert len(report([Place(kind, f"{number}", b"") for number in range(21)])) == 21

    def test_many_backups(self) -> None:
        findings = report_backups([Place("copy", "a", b"")] * 100 + [Place("exposed_copy", "b", b"")], "t")
        assert len(findings) == 21 and findings[0].code == "copy_readable" and findings[-1].message.startswith("81 more files look like backups of t")
        assert findings[-1].severity == "warning"
        assert report_backups([Place("exposed_copy", "b", b"")] * 100, "t")[-1].severity == "error"

    def test_an_agent_that_is_a_pipe_does_not_stop_us(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert list(processes(FORMS, [str(tmp_path / "pipe"), "/proc/kmsg"], str(tmp_path / "proc"))) == [Place("arguments", "other accounts' processes", None)]


def test_pipeline_secrets(tmp_path: Path) -> None:
    (tmp_path / "secrets.yml").write_text(f"db: x\ntoken: {TOKEN}\n")
    (tmp_path / "clean.env").write_text(f"A={OTHER}\n")
    os.mkfifo(tmp_path / "fifo")  # must not block
    names = ("secrets.yml", "clean.env", "missing", "fifo", ".")
    found, unread, _strangers = search(pipeline_files(str(tmp_path / each) for each in names), {TOKEN: FORMS})
    assert found[TOKEN] == [Place("pipeline", str(tmp_path / "secrets.yml"), b"")]
    assert [place.name for place in unread] == [str(tmp_path / "missing"), str(tmp_path / "fifo"), str(tmp_path)]


class TestReport:
    def test_nothing(self) -> None:
        assert report([]) == report_unread([]) == report_backups([], "x") == []

    @pytest.mark.parametrize(
        ("kind", "code", "severity"),
        [
            ("arguments", "token_in_arguments", "error"),
            ("environment", "token_in_environment", "warning"),
            ("unit", "token_in_unit", "error"),
            ("pipeline", "pipeline_secret", "error"),
            ("exposed_copy", "copy_readable", "error"),
            ("copy", "copy", "warning"),
        ],
    )
    def test_each_kind(self, kind: str, code: str, severity: str) -> None:
        (finding,) = report([Place(kind, "NAME", b"")])
        assert (finding.code, finding.severity) == (code, severity)
        assert "NAME" in finding.message and finding.remedy

    def test_processes_are_told_together(self) -> None:
        (finding,) = report([Place("arguments", f"{pid} (sh)", b"") for pid in range(12)])
        assert "processes 0 (sh), 1 (sh)" in finding.message and "9 (sh) and 2 more," in finding.message
        (finding,) = report([Place("arguments", "7 (sh)", b"")])
        assert "process 7 (sh)," in finding.message

    def test_files_are_told_one_by_one(self) -> None:
        assert len(report([Place("unit", "a", b""), Place("unit", "b", b"")])) == 2

    def test_backups(self) -> None:
        readable, hidden = report_backups([Place("exposed_copy", "a", b""), Place("copy", "b", b"")], "t")
        assert readable == Finding(
            "copy_readable", "error", "a looks like a backup of t, maybe with a former token, and others can read it", "check it, and remove it", "a"
        )
        assert (hidden.code, hidden.severity) == ("copy", "warning")

    def test_what_could_not_be_read(self) -> None:
        unread = [
            ("arguments", "1"),
            ("environment", "1"),
            ("environment", "2"),
            ("unit", "u"),
            ("copy", "c"),
            ("exposed_copy", "e"),
            ("pipeline", "p"),
        ]
        incomplete, pipeline = report_unread([Place(kind, name, None) for kind, name in unread])
        assert incomplete.message == "could not look everywhere for the token (processes: 2, files: 3), not to the end of c, e, u"
        assert (incomplete.code, pipeline.code) == ("exposure_incomplete", "pipeline_unknown")
        assert {incomplete.severity, pipeline.severity} == {"info"}
