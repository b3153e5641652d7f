# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options, the data on the controller, and the files of a report."""

from __future__ import annotations

import errno
import json
import os
import stat
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils import _audit_job
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import settings
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.writing import File, check, write
from ansible_collections.expanso.edge.plugins.plugin_utils._trail import append

SECRET = "exp_bk_9f8e7d6c5b4a"


def test_defaults() -> None:
    asked = settings.parse({})
    assert (asked.formats, asked.fail_on, asked.only_check) == (["json", "html"], "error", False)
    assert asked.limits._asdict() == {"max_age_days": None, "stuck_hours": 24, "expires_within_days": 14}
    assert asked.path("json") == os.path.join(os.getcwd(), "expanso-edge-audit", "audit.json")


def test_options_as_texts_of_templates() -> None:
    given = {"formats": "csv, prometheus", "max_age": "90", "stuck_hours": "1.5", "expires_within": "7", "fail_on": "never", "only_check": "true"}
    asked = settings.parse({**given, "directory": "/srv/audit", "prometheus_file": "/srv/prom/edge.prom"})
    assert asked.formats == ["json", "csv", "prometheus"]  # the next run needs the JSON
    assert asked.limits == settings.Limits(90, 1.5, 7)
    assert (asked.path("csv"), asked.path("prometheus")) == ("/srv/audit/audit.csv", "/srv/prom/edge.prom")
    assert (asked.fail_on, asked.only_check) == ("never", True)


def test_an_empty_answer_of_a_survey_is_not_set() -> None:
    assert settings.parse(dict.fromkeys(set(settings.OPTIONS) - {"hosts"}, "")) == settings.parse({})


def test_a_report_about_some_tokens_has_names_of_its_own() -> None:
    """The regular report, what it is compared with, and what a collector reads stay as they are."""
    asked = settings.parse({"fingerprints": ["0123456789AB"], "directory": "/srv", "prometheus_file": "/srv/prom/edge.prom"})
    paths = [asked.path(name) for name in ("json", "junit", "prometheus")]
    assert paths == ["/srv/audit-0123456789ab.json", "/srv/audit-0123456789ab.junit.xml", "/srv/audit-0123456789ab.prom.txt"]
    several = {settings.parse({"fingerprints": order, "directory": "/srv"}).path("html") for order in (["0" * 12, "1" * 12], ["1" * 12, "0" * 12] * 2)}
    assert several == {"/srv/audit-2-tokens-bc494151.html"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"slices_of": "../up"}, "slices_of must be a name of letters"),
        ({"slices": "two"}, "slices must be a whole number"),
        ({"fingerprints": [SECRET]}, "fingerprints has an entry that is not a fingerprint"),
        ({"fail_on": SECRET}, "fail_on has an unknown value: known are error, warning, never"),
        ({"formats": ["json", SECRET]}, "formats has an unknown value: known are json, html"),
        ({"formats": {"json": True}}, "formats must be a list"),
        ({"max_age": SECRET}, "max_age must be a whole number from 0 to 36500"),
        ({"max_age": 1.5}, "max_age must be a whole number"),
        ({"stuck_hours": -1}, "stuck_hours must be a number from 0"),
        ({"stuck_hours": "nan"}, "stuck_hours must be a number from 0"),
        ({"expires_within": True}, "expires_within must be a whole number"),
        ({"directory": ["a"]}, "directory must be a path"),
        ({"directory": f"/srv/{SECRET}/audit"}, "directory contains a token: revoke it"),
        ({"slices_of": SECRET}, "slices_of contains a token: revoke it"),
        ({SECRET: 1}, "audit_report has no such option; it has directory"),
    ],
)
def test_options_that_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError) as raised:
        settings.parse(given)
    assert says in str(raised.value) and SECRET not in str(raised.value)


class Plain:
    """A templar for variables without templates."""

    def copy_with_new_env(self, **_options: Any) -> Plain:
        return self

    def template(self, value: Any) -> Any:
        return value


def given(tmp_path: Path, variables: dict[str, Any] | None = None, **args: Any) -> Any:
    asked = settings.parse({"directory": str(tmp_path / "audit"), **{name: args[name] for name in args if name not in ("registry", "waivers")}})
    return _audit_job.given(asked, args, variables or {}, Plain(), None)


def test_data_of_variables_and_of_files(tmp_path: Path) -> None:
    nothing = given(tmp_path)
    assert (nothing.registry, nothing.waivers, nothing.enrolled, nothing.earlier, nothing.others) == (None, [], None, None, ())
    (tmp_path / "tokens.yml").write_text("\ufeff- fingerprint: '5d41402abc4b'\n  expires: 2026-12-31\n", encoding="utf-8")
    (tmp_path / "nodes.csv").write_text("name\nedge01\n")
    (tmp_path / "waivers.json").write_text("[]")
    files = {"waivers": str(tmp_path / "waivers.json"), "nodes": str(tmp_path / "nodes.csv")}
    found = given(tmp_path, {"expanso_edge_audit_registry": str(tmp_path / "tokens.yml")}, **files)
    assert (found.registry["5d41402abc4b"].expires, found.enrolled) == (date(2026, 12, 31), ["edge01"])
    listed = given(tmp_path, {"expanso_edge_audit_registry": [{"fingerprint": "5d41402abc4b", "expires": date(2027, 1, 1)}]})
    assert listed.registry["5d41402abc4b"].expires == date(2027, 1, 1)
    assert given(tmp_path, {"expanso_edge_audit_registry": []}).registry == {}  # an empty register knows no token


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("registry", None, "cannot be read on the controller: No such file or directory"),
        ("registry", f"- a: [{SECRET}", "is neither YAML nor JSON (line 1)"),
        ("registry", SECRET, "registry: it must be a list of entries"),
        ("waivers", f"- finding: {SECRET}", "waivers, entry 1: finding seems to contain a token"),
        ("nodes", "state\nup\n", "has no column with the names of nodes"),
        ("previous", "{}", "is not a report of the playbook"),
    ],
)
def test_data_that_are_refused(name: str, content: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError) as raised:
        given(tmp_path, **{name: str(path)})
    assert says in str(raised.value) and SECRET not in str(raised.value)


def test_a_damaged_report_in_the_directory_does_not_stop_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text("{")
    found = given(tmp_path)
    assert found.earlier is None and [each.code for each in found.others] == ["previous_unreadable"]


def test_the_trail_is_verified_from_one_report_to_the_next(tmp_path: Path) -> None:
    trail = tmp_path / "trail.jsonl"
    for name in ("a", "b", "c"):
        append(str(trail), {"node": name})
    found = given(tmp_path, trail_file=str(trail))
    assert (found.trail["lines"], found.others) == (3, ())
    report = {"schema_version": 1, "generated_at": "2026-11-30T12:00:00Z", "findings": [], "nodes": [], "trail": found.trail}
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text(json.dumps(report))
    lines = trail.read_text().splitlines(keepends=True)
    for what, text, places in (
        ("cut off", "".join(lines[:2]), [str(trail)]),
        ("edited", "".join(lines).replace('"b"', '"x"'), [f"{trail}:2"]),
        ("as it was", "".join(lines), []),
    ):
        trail.write_text(text)
        again = given(tmp_path, trail_file=str(trail))
        broken = again.others
        assert again.trail["hash"] == found.trail["hash"], "the next audit must find it, too"
        assert ([each.place for each in broken], {each.code for each in broken}) == (places, {"trail_broken"} if places else set()), what
    trail.unlink()
    gone = given(tmp_path, trail_file=str(trail))
    assert gone.trail is None and "cannot read the audit trail" in gone.others[0].message
    assert given(tmp_path, trail_file=str(trail), only_check=True).others == ()


def test_a_place_where_no_report_can_be_written(tmp_path: Path) -> None:
    check(str(tmp_path / "new" / "deep" / "audit.json"))
    (tmp_path / "file").write_text("")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    for name in ("file", "gone"):
        with pytest.raises(DataError, match=f"{tmp_path}/{name} is not a directory"):
            check(str(tmp_path / name / "audit.json"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "gone"]


def test_a_directory_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(tmp_path))  # root may write everywhere but on a read-only file system
    with pytest.raises(DataError, match=f"may not write to the directory {tmp_path}"):
        check(str(tmp_path / "new" / "audit.json"))


def test_files_are_private_and_whole(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("of others")
    folder = tmp_path / "new" / "audit"
    files = [File(str(folder / "a"), b"1", 0o600), File(str(folder / "b"), b"2", 0o644)]
    write(files)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, folder / "a", folder / "b")] == [0o700, 0o700, 0o600, 0o644]
    (folder / "a").unlink()
    (folder / "a").symlink_to(target)
    write(files)
    assert not (folder / "a").is_symlink() and target.read_text() == "of others"
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


def test_a_directory_that_another_slice_makes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = os.mkdir

    def made_by_another(path: str, mode: int) -> None:
        make(path, mode)
        make(path, mode)

    monkeypatch.setattr(os, "mkdir", made_by_another)
    write([File(str(tmp_path / "slices" / "7" / "audit.json"), b"1", 0o600)])
    assert (tmp_path / "slices" / "7" / "audit.json").read_bytes() == b"1"


def test_nothing_is_written_if_one_file_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text("old")
    synced: list[int] = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"the report .*/b cannot be written: No space left on device"):
        write([File(str(path), b"new", 0o600) for path in paths])
    assert [path.read_text() for path in paths] == ["old", "old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_directory_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To write its files one need not read it, so it is only not known when they are on the disk."""
    real = os.open

    def refuse(path: str, flags: int, *more: int) -> int:
        if flags & os.O_DIRECTORY:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    write([File(str(tmp_path / name), b"new", 0o600) for name in ("a", "b")])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"new", "b": b"new"}


def test_a_disk_that_cannot_be_written_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("fsync", "unlink"):
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(DataError, match=f"the report {tmp_path}/a cannot be written: Read-only file system"):
        write([File(str(tmp_path / "a"), b"new", 0o600)])


def test_a_directory_in_the_place_of_a_report(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="cannot be written: Is a directory"):
        write([File(str(tmp_path / "a"), b"new", 0o600)])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
