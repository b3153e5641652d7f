# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people name as a file, and is none or has no end, is neither waited for nor read into the memory."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.expanso.edge.plugins.plugin_utils import _audit_job, _files, _trail
from ansible_collections.expanso.edge.plugins.plugin_utils._files import beginning, content
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import settings, writing
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.formats import FORMATS
from ansible_collections.expanso.edge.plugins.plugin_utils._rotation import KIND, render
from ansible_collections.expanso.edge.plugins.plugin_utils._trail import TrailError


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def around(path: Path) -> None:
    path.symlink_to(path)


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


KINDS: list[tuple[Callable[[Path], None], str]] = [
    (pipe, "it is not a regular file"),
    (listening, "it is not a regular file"),
    (device, "it is not a regular file"),
    (Path.mkdir, "it is not a regular file"),
    (around, "Too many levels of symbolic links"),
    (huge, "it is larger than 64 MiB"),
]
every_kind = pytest.mark.parametrize(("make", "says"), KINDS, ids=lambda each: getattr(each, "__name__", ""))


@every_kind
def test_what_is_refused(make: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    make(tmp_path / "x")
    with pytest.raises(OSError, match=says):
        content(str(tmp_path / "x"))


def test_a_file_that_tells_no_size() -> None:
    assert content("/proc/self/stat").startswith(b"%d (" % os.getpid())
    with pytest.raises(OSError, match="it is larger than 0 MiB"):
        content("/proc/self/stat", 3)


def test_a_file_that_is_exchanged_for_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    os.mkfifo(path)
    monkeypatch.setattr(_files, "refuse_what_is_no_file", lambda *_args: None)
    with pytest.raises(OSError, match="it is not a regular file"):
        beginning(str(path), 1)


@pytest.mark.parametrize("make", [pipe, listening, device, Path.mkdir])
def test_what_no_file_takes_the_place_of(make: Callable[[Path], None], tmp_path: Path) -> None:
    """Without /dev/null, which people name for a report that they do not want, a machine does not work."""
    path = tmp_path / "x"
    make(path)
    before = path.lstat()
    for write in (
        lambda: writing.check(str(path)),
        lambda: writing.write([writing.File(str(path), b"", 0o600)]),
    ):
        with pytest.raises((DataError, OSError), match="it is not a regular file|Is a directory"):
            write()
    assert path.lstat() == before and os.listdir(tmp_path) == ["x"]
    path.rename(tmp_path / "away")
    path.symlink_to("nowhere")  # a link is replaced
    writing.write([writing.File(str(path), b"", 0o600)])
    assert path.read_text() == "" and not path.is_symlink()


@every_kind
@pytest.mark.parametrize("name", ["registry", "waivers", "nodes", "previous"])
def test_data_of_an_audit(make: Callable[[Path], None], says: str, name: str, tmp_path: Path) -> None:
    make(tmp_path / "x")
    given: dict[str, Any] = {name: str(tmp_path / "x")}
    asked = settings.parse({"directory": str(tmp_path), **given})
    with pytest.raises(DataError, match=f"{name}: .* cannot be read on the controller: {says}"):
        _audit_job.given(asked, given, {}, Templar(DataLoader()), DataLoader())


@every_kind
def test_a_trail(make: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    make(tmp_path / "x")
    with pytest.raises(TrailError, match=f"cannot read the audit trail .*: {says.replace('64', '1024')}"):
        _trail.look(str(tmp_path / "x"))


def test_a_file_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    """People mistype the path of a plan, or of the file for Prometheus, and lose their inventory."""
    path, sign = tmp_path / "x", FORMATS["prometheus"].sign
    path.write_text("[expanso_edge]\nedge-01\n")
    for write in (
        lambda: writing.check(str(path), sign),
        lambda: writing.write([writing.File(str(path), b"new", 0o644, sign)]),
    ):
        with pytest.raises((DataError, OSError), match="there is a file that something else wrote: remove it, or name another path"):
            write()
    assert path.read_text() == "[expanso_edge]\nedge-01\n" and os.listdir(tmp_path) == ["x"]


def test_the_file_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    plan, metrics, run = tmp_path / "plan", tmp_path / "audit.prom", {"run_id": "1", "job_id": None, "user": "root"}
    for text in ("", "# HELP expanso_edge_audit_nodes Nodes that were asked.\n"):
        metrics.write_text(text)
        writing.check(str(metrics), FORMATS["prometheus"].sign)
    for _each in range(2):
        writing.check(str(plan), KIND.encode())
        nodes = {f"node-{number}": "x" * 99 for number in range(999)}
        writing.write([writing.File(str(plan), render([], nodes, run, False, "1.1.0", 0).encode(), 0o600, KIND.encode())])


def test_a_registry_that_multiplies_itself(tmp_path: Path) -> None:
    """Each line merges the dictionary of the line before ten times into a new one."""
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12))]
    path = tmp_path / "registry.yml"
    path.write_text("\n".join(lines))
    before = time.process_time()
    with pytest.raises(DataError, match=r"registry: .*registry.yml is neither YAML nor JSON \(line 5\): correct the file"):
        _audit_job._listed(str(path), "registry", content)
    assert time.process_time() - before < 5
    path.write_text("- &a {fingerprint: 5d41402abc4b, owner: x}\n- {<<: *a, fingerprint: 5d41402abc4c}\n")
    assert [each["owner"] for each in _audit_job._listed(str(path), "registry", content)] == ["x", "x"]


def test_what_killed_runs_left_is_removed_by_a_later_one(tmp_path: Path) -> None:
    def aged(path: Path) -> Path:
        long_ago = time.time() - _files.LEFT_SECONDS - 60
        os.utime(path, (long_ago, long_ago), follow_symlinks=False)
        return path

    others = [tmp_path / name for name in ("old", ".expanso-edge-2027.tmp", ".expanso-edge-20270101.tmp.bak")]
    for other in others:
        other.write_text("of somebody")
        aged(other)
    link = tmp_path / ".expanso-edge-abcd_123.tmp"
    link.symlink_to("old")
    aged(link)
    left = aged(Path(_files.temporary(str(tmp_path))[1]))
    at_work = Path(_files.temporary(str(tmp_path))[1])
    writing.write([writing.File(str(tmp_path / "audit.json"), b"{}", 0o644)])
    assert not left.exists()
    assert at_work.stat().st_mode & 0o777 == 0o600
    assert link.is_symlink() and all(map(Path.exists, others))


def test_the_clock_of_the_file_system_tells_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a file server may be days behind, so that files that were just made seem to be old: the first of two reports was removed."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3 * _files.LEFT_SECONDS)
    writing.write([writing.File(str(tmp_path / name), b"{}", 0o600) for name in ("audit.json", "audit.html")])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["audit.html", "audit.json"]
