# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import re
import time
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._audit import subjects as room
from ansible_collections.expanso.edge.plugins.module_utils._audit.exposure import Hits
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Finding
from ansible_collections.expanso.edge.plugins.module_utils._audit.node import (
    Unit,
    clock,
    findings_of_units,
    label_of,
    overdue,
    parse_units,
    read_record,
    registered_at,
    unit_names,
)
from ansible_collections.expanso.edge.plugins.module_utils._audit.reading import Place
from ansible_collections.expanso.edge.plugins.module_utils._audit.shapes import Shape
from ansible_collections.expanso.edge.plugins.module_utils._audit.subjects import Subject, add_life, describe, look_elsewhere, shown, subjects
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_NAME, Entry, render
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from audited_files import put, usual_policy

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
KEY, OTHER = "exp_bk_9f8e7d6c5b4a39281706", "exp_bk_00112233445566778899"
PRINT = fingerprint(KEY)
POLICY = usual_policy(now=NOW)


def entry(written_at: str, token: str = KEY, label: Optional[str] = None) -> Entry:
    return Entry(fingerprint(token), "bootstrap_key", label, "file", written_at, "run", None, "1.1.0")


def codes(findings: list[Finding]) -> list[str]:
    return [f"{finding.severity} {finding.code}" for finding in findings]


class TestRecord:
    def test_entries(self, safe_path: Path) -> None:
        entries = [entry("2027-01-01T00:00:00Z", label="a"), entry("2027-01-02T00:00:00Z", OTHER), entry("2027-01-03T00:00:00Z", label="b")]
        (safe_path / RECORD_NAME).write_text(render(entries))
        assert read_record(str(safe_path)) == (entries, [])
        assert [label_of(entries, fingerprint(each)) for each in (KEY, OTHER, "x")] == ["b", None, None]
        assert label_of(None, PRINT) is None

    def test_none(self, safe_path: Path) -> None:
        (safe_path / "file").touch()
        assert read_record(str(safe_path)) == read_record(str(safe_path / "none")) == read_record(str(safe_path / "file")) == (None, [])

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "enrolments": [{}]}', "\0\udcff" * 100_000])
    def test_damaged(self, safe_path: Path, text: str) -> None:
        (safe_path / RECORD_NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
        record, (finding,) = read_record(str(safe_path))
        assert record is None and (finding.code, finding.severity) == ("record_damaged", "warning")
        assert str(safe_path / RECORD_NAME) in finding.message

    def test_not_readable(self, safe_path: Path) -> None:
        (safe_path / RECORD_NAME).symlink_to("/etc/passwd")
        record, (finding,) = read_record(str(safe_path))
        assert record is None and finding.code == "record_not_readable" and "symbolic link" in finding.message
        (safe_path / RECORD_NAME).unlink()
        os.mkfifo(safe_path / RECORD_NAME)
        assert codes(read_record(str(safe_path))[1]) == ["warning record_not_readable"]


@pytest.mark.parametrize(
    ("hours", "registered", "written", "modified", "late"),
    [
        (24, False, "2027-01-14T07:59:59Z", NOW, True),
        (24, False, "2027-01-14T08:00:00Z", 0, False),
        (24, False, None, NOW - 24 * 3600 - 1, True),
        (24, False, None, NOW - 24 * 3600, False),
        (24, False, None, None, False),
        (24, True, "2027-01-01T00:00:00Z", 0, False),
        (24, None, "2027-01-01T00:00:00Z", 0, False),
        (None, False, "2027-01-01T00:00:00Z", 0, False),
        (0, False, None, NOW + 60, False),
    ],
)
def test_overdue(hours: Optional[int], registered: Optional[bool], written: Optional[str], modified: Optional[float], late: bool) -> None:
    record = [entry("2020-01-01T00:00:00Z", OTHER)] + ([entry(written)] if written else [])
    found = overdue(POLICY._replace(registered=registered), hours, record, "/t", PRINT, modified)
    assert codes(found) == ["warning not_registered_in_time"] * late
    for finding in found:
        assert "got its token at 2027-01-14T07:59:59Z, more than 24 hours ago" in finding.message and finding.fingerprint == PRINT


def test_a_token_that_is_gone_and_a_node_that_has_not_come() -> None:
    record = [entry("2027-01-01T00:00:00Z")]
    params = {"stuck_hours": 24, "fingerprints": []}
    assert codes(add_life(params, POLICY, record, [])) == ["warning not_registered_in_time"]
    assert add_life(params, POLICY, None, []) == add_life(params, POLICY._replace(registered=True), record, []) == []


def test_times(tmp_path: Path) -> None:
    (tmp_path / "marker").touch()
    os.utime(tmp_path / "marker", (NOW, NOW))
    assert registered_at(str(tmp_path / "marker")) == "2027-01-15T08:00:00Z"
    assert registered_at(str(tmp_path / "none")) is registered_at(None) is None
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", clock())
    assert abs(time.mktime(time.strptime(clock()[:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())) < 5


AGENT, ONCE = "expanso-edge.service", "expanso-edge-bootstrap.service"
OUTPUT = """Type=simple
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled

Type=oneshot
LoadState=loaded
ActiveState=failed
SubState=failed
UnitFileState=static
"""


def test_units_as_systemctl_prints_them() -> None:
    agent, once = parse_units([AGENT, ONCE], OUTPUT)
    assert agent.shown == {"name": AGENT, "load_state": "loaded", "active_state": "active", "sub_state": "running", "enabled": True}
    assert (once.type, once.active_state, once.enabled) == ("oneshot", "failed", False)
    (missing,) = parse_units([AGENT], "Type=\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\n")
    assert missing.enabled is None
    assert parse_units([AGENT], "") == parse_units([AGENT], "System has not been booted with systemd\n") == []


@pytest.mark.parametrize(
    ("unit", "registered", "found"),
    [
        (("simple", "loaded", "active", "running"), True, []),
        (("simple", "loaded", "activating", "start"), True, []),
        (("simple", "loaded", "inactive", "dead"), True, ["warning agent_not_running"]),
        (("simple", "loaded", "inactive", "dead"), False, []),
        (("simple", "loaded", "inactive", "dead"), None, []),
        (("", "not-found", "inactive", "dead"), True, ["warning agent_not_running"]),
        (("", "not-found", "inactive", "dead"), False, []),
        (("simple", "loaded", "failed", "failed"), False, ["warning agent_not_running"]),
        (("simple", "loaded", "activating", "auto-restart"), True, ["warning agent_not_running"]),
        (("oneshot", "loaded", "failed", "failed"), False, ["warning bootstrap_failed"]),
        (("oneshot", "loaded", "inactive", "dead"), True, []),
        (("oneshot", "loaded", "active", "exited"), True, []),
    ],
)
def test_findings_of_units(unit: tuple[str, str, str, str], registered: Optional[bool], found: list[str]) -> None:
    findings = findings_of_units([Unit("u.service", *unit, True)], registered)
    assert codes(findings) == found and all("u.service" in finding.message for finding in findings)


@pytest.mark.parametrize(
    ("agent", "other", "found"),
    [
        # an agent whose node was registered by hand
        (("simple", "loaded", "active", "running"), ("", "not-found", "inactive", "dead"), []),
        (("simple", "loaded", "inactive", "dead"), ("", "not-found", "inactive", "dead"), [AGENT]),
        (("", "not-found", "inactive", "dead"), ("oneshot", "loaded", "inactive", "dead"), [AGENT]),
    ],
)
def test_units_that_are_not_installed(agent: tuple[str, str, str, str], other: tuple[str, str, str, str], found: list[str]) -> None:
    findings = findings_of_units([Unit(AGENT, *agent, True), Unit("other.service", *other, None)], True)
    assert [finding.place for finding in findings] == found and set(codes(findings)) <= {"warning agent_not_running"}


@pytest.mark.parametrize("name", ["", "*", "a b", "-a", "a/b", "a\n", "a?", "[a]"])
def test_names_that_no_unit_has(name: str) -> None:
    assert unit_names([AGENT, "a@b.service", "a\\x2db.mount"])
    with pytest.raises(_checks.OptionError):
        unit_names([name])


@pytest.mark.parametrize(("given", "plain"), [("5d41402abc4b", "5d41402abc4b"), (" 5D41402ABC4B\n", "5d41402abc4b")])
def test_fingerprints(given: str, plain: str) -> None:
    assert _checks.fingerprint(given, "fingerprints") == plain
    for wrong in ("", "0123456789a", "0123456789abc", KEY):
        with pytest.raises(_checks.OptionError) as failure:
            _checks.fingerprint(wrong, "fingerprints")
        assert not wrong or wrong not in str(failure.value)


# The subjects


def params(*paths: object, **options: Any) -> dict[str, Any]:
    defaults = {"encrypted_paths": [], "token": None, "stuck_hours": None, "fingerprints": [], "exposure": True, "places": ["neighbours"]}
    return {"paths": [str(path) for path in paths], "pipeline_secret_files": [], **defaults, **options}


def refuse(_data: bytes) -> Optional[str]:
    raise AssertionError("nothing is to be decrypted")


class TestCredentials:
    def look(self, path: Path, text: Optional[str]) -> tuple[Subject, dict[str, Any]]:
        put(path, "c2VhbGVk\n")
        (subject,) = subjects(params(path, encrypted_paths=[str(path)]), POLICY, [], lambda data: text if data == b"c2VhbGVk\n" else None)
        return subject, describe(subject, POLICY, None, [])

    def test_one_that_is_decrypted(self, safe_path: Path) -> None:
        subject, result = self.look(safe_path / "c", KEY)
        assert subject.secrets == (KEY,) and result["findings"] == []
        assert (result["format"], result["fingerprint"], result["state"], result["mode"]) == ("encrypted", PRINT, "file", "0600")

    def test_one_that_is_not(self, safe_path: Path) -> None:
        subject, result = self.look(safe_path / "c", None)
        assert codes(subject.findings) == ["warning not_decrypted"] and subject.secrets == ()
        assert (result["format"], result["fingerprint"], result["state"], result["place"]) == ("encrypted", None, "file", str(safe_path / "c"))

    def test_one_with_something_else(self, safe_path: Path) -> None:
        assert codes(self.look(safe_path / "c", "YOUR_TOKEN")[0].findings) == ["error placeholder"]

    def test_one_that_is_missing(self, safe_path: Path) -> None:
        (subject,) = subjects(params(safe_path / "c", encrypted_paths=[str(safe_path / "c")]), POLICY, [], refuse)
        assert codes(subject.findings) == ["error token_not_found"]


class TestElsewhere:
    def look(self, options: dict[str, Any]) -> tuple[list[Subject], list[Finding]]:
        found = subjects(options, POLICY, [], refuse)
        secrets, findings = look_elsewhere(options, POLICY, found, None)
        assert len(secrets) == len(set(secrets))
        return found, findings

    def test_strangers_are_told_of_the_node(self, safe_path: Path) -> None:
        path = put(safe_path / "token", KEY)
        put(safe_path / "copy", KEY)
        put(safe_path / "notes", f"formerly {OTHER}.", 0o644)
        (subject,), findings = self.look(params(path))
        assert codes(subject.findings) == ["warning copy"] and subject.findings[0].fingerprint == PRINT
        assert codes(findings) == ["error copy_readable"]
        assert (findings[0].place, findings[0].fingerprint) == (str(safe_path / "notes"), fingerprint(OTHER))
        assert findings[0].message == f"{safe_path / 'notes'} holds a bootstrap key with the fingerprint {fingerprint(OTHER)}, and others can read it"
        assert OTHER not in repr(findings)

    def test_a_backup_is_told_once(self, safe_path: Path) -> None:
        path = put(safe_path / "token", KEY)
        put(safe_path / "token.bak", OTHER)
        (subject,), findings = self.look(params(path))
        assert codes(subject.findings) == ["warning copy"] and findings == []
        assert subject.findings[0].fingerprint == fingerprint(OTHER)

    def test_what_is_asked_for(self, safe_path: Path) -> None:
        path = put(safe_path / "token", KEY)
        put(safe_path / "notes", f"formerly {OTHER}.")
        options = params(path, fingerprints=[PRINT, fingerprint(OTHER)])
        found, findings = self.look(options)
        assert codes(findings) == ["error copy"] and "which is asked for" in findings[0].message
        assert add_life(options, POLICY, None, found) == []
        assert codes(found[0].findings) == ["error sought_token"] and found[0].findings[0].fingerprint == PRINT

    def test_nothing_is_looked_for_where_that_is_not_wanted(self, safe_path: Path) -> None:
        path = put(safe_path / "token", KEY)
        put(safe_path / "token.bak", KEY)
        for options in (params(path, exposure=False), params(path, places=[])):
            (subject,), findings = self.look(options)
            assert subject.findings == findings == []

    def test_what_was_left_out_is_told_without_a_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room.exposure, "search", lambda *_args: Hits({}, [Place("history", "/h", None)], {Shape(KEY, "jwt", PRINT): []}))
        secrets, findings = look_elsewhere(params(), POLICY, [], None)
        assert codes(findings) == ["info exposure_incomplete"] and secrets == [KEY]


def test_findings_as_they_are_shown() -> None:
    findings = [Finding("a", "info", "m", "r"), Finding("b", "error", f"in {KEY}", "r\x1b", f"/x/{KEY}", PRINT)]
    first, second = shown(findings, [KEY])
    assert first == {"code": "b", "severity": "error", "message": "in ********", "remedy": "r?", "place": "/x/********", "fingerprint": PRINT}
    assert second["place"] is second["fingerprint"] is None
