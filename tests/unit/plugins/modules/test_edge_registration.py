# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import errno
import os
import re
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _enrolment, _registration, _token_file
from ansible_collections.expanso.edge.plugins.module_utils._enrolment import RegistrationError
from ansible_collections.expanso.edge.plugins.module_utils._record import as_result, new_entry, parse, render, utc
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import MAX_SIZE, SecureFileError, remove
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_collections.expanso.edge.plugins.modules import edge_registration
from ansible_collections.expanso.edge.plugins.modules.edge_registration import apply_state

KEY = "exp_bk_Zq81mKx02LwPd7"


class Node:
    """As much of AnsibleModule as is needed."""

    def __init__(self, place: Path, agent: str, **options: Any) -> None:
        self.argument_spec: dict[str, Any] = {}
        self.check_mode = False
        self.warnings: list[str] = []
        (place / "agent").write_text("#!/bin/sh\n" + agent)
        (place / "agent").chmod(0o755)
        (place / "token").write_text(KEY)
        self.params: dict[str, Any] = {
            "binary": str(place / "agent"),
            "config_file": None,
            "bootstrap_url": None,
            "token": None,
            "token_file": str(place / "token"),
            "user": None,
            "group": None,
            "data_dir": str(place / "data"),
            "registration_markers": [str(place / "data" / "marker")],
            "timeout": 20,
            "remove_token_file": True,
            "force": False,
            "reregister": False,
            "environment": {},
            "format": None,
            "record": True,
            **options,
        }
        self.logged: list[tuple[Any, ...]] = []
        self.so_far: dict[str, Any] = {}
        self.doing = ""

    def run_options(self, *_secrets: str) -> dict[str, str]:
        return {"token_label": "site 7", "run_id": "this run", "job_id": ""}

    def did(self, _what: str, **facts: Any) -> None:
        self.so_far.update(facts, changed=True)

    def log_change(self, *change: Any) -> None:
        self.logged.append(change)

    def learn(self, secret: str) -> str:
        return secret

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def set_context_if_different(self, path: str, context: list[str], changed: bool) -> bool:
        return changed

    def selinux_default_context(self, path: str) -> list[str]:
        return []


def test_registers(safe_path: Path) -> None:
    result = apply_state(Node(safe_path, 'touch "$3/marker"; echo done'))
    assert (result["changed"], result["msg"], result["agent_output"], result["token_removed"]) == (True, "registered", ["done"], True)
    assert not (safe_path / "token").exists()


def test_registers_and_says_with_which_token(safe_path: Path) -> None:
    node = Node(safe_path, 'cp "$3/enrolment.json" "$3/seen"; touch "$3/marker"')
    result = apply_state(node)
    mark = fingerprint(KEY)
    assert result["fingerprint"] == mark
    assert node.logged == [("registered", str(safe_path / "data"), None, mark), ("removed", str(safe_path / "token"), mark, None)]
    entry = result["record"]
    assert (entry["fingerprint"], entry["kind"], entry["label"], entry["run_id"], entry["delivery"]) == (mark, "bootstrap_key", "site 7", "this run", "file")
    assert [as_result(each) for each in parse((safe_path / "data" / "enrolment.json").read_text())] == [entry]
    # whatever becomes of the run, it is on record before the token can be spent
    assert (safe_path / "data" / "seen").read_text() == (safe_path / "data" / "enrolment.json").read_text()
    again = apply_state(Node(safe_path, "exit 1", token="exp_bk_another0another0another0another0", token_file=None))
    assert (again["changed"], again["record"], again["fingerprint"]) == (False, entry, None)


def test_a_failed_registration_is_on_record_too(safe_path: Path) -> None:
    node = Node(safe_path, "exit 3")
    with pytest.raises(RegistrationError):
        apply_state(node)
    assert [each.fingerprint for each in parse((safe_path / "data" / "enrolment.json").read_text())] == [fingerprint(KEY)]
    assert node.logged == []


def test_an_agent_that_fails_after_it_registered(safe_path: Path) -> None:
    node = Node(safe_path, 'touch "$3/marker"; exit 3')
    with pytest.raises(RegistrationError) as failure:
        apply_state(node)
    assert failure.value.details["fingerprint"] == fingerprint(KEY) and [each[0] for each in node.logged] == ["registered"]


def test_no_record(safe_path: Path) -> None:
    assert apply_state(Node(safe_path, 'touch "$3/marker"', record=False))["record"] is None
    assert [each.name for each in (safe_path / "data").iterdir()] == ["marker"]


def test_another_run_removes_the_token_first(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It registered the node and removed the token after this one had looked for a marker."""
    node = Node(safe_path, "exit 1")
    looks = []

    def find_marker(_params: dict[str, Any]) -> Any:
        looks.append(1)
        (safe_path / "token").unlink() if len(looks) == 1 else None
        return None if len(looks) == 1 else "marker"

    for each in (edge_registration, _enrolment):
        monkeypatch.setattr(each, "find_marker", find_marker)
    result = apply_state(node)
    assert result["msg"] == "registered by another run at the same time"
    assert (result["changed"], result["registered"], result["token_removed"]) == (False, True, False)


def test_another_run_removes_the_token_at_the_same_time(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(path: str, done: Callable[[], None]) -> None:
        Path(path).unlink()
        remove(path, done)

    monkeypatch.setattr(_token_file, "remove", late)
    result = apply_state(Node(safe_path, 'touch "$3/marker"'))
    assert result["registered"] and not result["token_removed"]


def test_a_removed_file_that_holds_no_token_has_no_fingerprint(safe_path: Path) -> None:
    node = Node(safe_path, "", format="env")
    (safe_path / "data").mkdir()
    (safe_path / "data" / "marker").touch()
    (safe_path / "token").write_text("OTHER=x\n")
    result = apply_state(node)
    assert (result["token_removed"], result["fingerprint"]) == (True, None)
    assert node.logged == [("removed", str(safe_path / "token"), None, None)]


def test_what_is_no_token_is_not_removed(safe_path: Path) -> None:
    node = Node(safe_path, "")
    (safe_path / "data").mkdir()
    (safe_path / "data" / "marker").touch()
    (safe_path / "token").write_bytes(b"\0")
    with pytest.raises(SecureFileError, match=f"{safe_path}/token: it is not text, so it is not a token file"):
        apply_state(node)
    assert (safe_path / "token").exists()


def test_a_marker_that_cannot_be_looked_at_after_the_agent_was_run(safe_path: Path) -> None:
    node = Node(safe_path, 'ln -s marker "$3/marker"')
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        apply_state(node)
    assert node.doing == "tell whether the agent, which was run, has registered this node"


def test_a_directory_that_cannot_be_locked(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(_enrolment.fcntl, "flock", flock)
    node = Node(safe_path, 'touch "$3/marker"')
    assert apply_state(node)["registered"]
    assert node.warnings == [f"{safe_path}/data cannot be locked (No locks available): make sure that nothing else registers this node"]


def test_the_log_of_megabytes_is_cut(safe_path: Path) -> None:
    agent = f'touch "$3/marker"; yes "config: {KEY}" | head -n 500000; echo end'
    result = apply_state(Node(safe_path, agent))
    assert result["agent_output"] == ["config: ********"] * 14 + ["end"]


class TestAnew:
    def node(self, place: Path, agent: str, **options: Any) -> Node:
        """A registered node that is to be registered again."""
        (place / "data").mkdir(mode=0o700)
        for name in ("marker", "other"):
            (place / "data" / name).write_text("former")
        os.utime(place / "data" / "marker", (1_700_000_000, 1_700_000_000))
        markers = [str(place / "data" / name) for name in ("marker", "other")]
        return Node(place, agent, **{"force": True, "registration_markers": markers, **options})

    def test_the_agent_is_told_to(self, safe_path: Path) -> None:
        node = self.node(safe_path, 'echo "$4 $EXTRA"; echo new >"$3/marker"', environment={"EXTRA": 7})
        result = apply_state(node)
        assert (result["msg"], result["registered_anew"], result["agent_output"]) == ("registered anew", True, ["--force 7"])
        assert (result["changed"], result["token_removed"], result["fingerprint"]) == (True, True, fingerprint(KEY))

    @pytest.mark.parametrize(("written", "again"), [(1_699_999_990, False), (1_700_000_000, True), (1_700_000_010, True)])
    def test_not_where_the_agent_of_a_killed_run_did_it_meanwhile(self, safe_path: Path, written: int, again: bool) -> None:
        node = self.node(safe_path, 'echo new >"$3/marker"', force=False, reregister=True)
        entry = new_entry(node.run_options(), fingerprint(KEY), "bootstrap_key", "file", utc(written))
        (safe_path / "data" / "enrolment.json").write_text(render([entry]))
        (safe_path / "data" / "enrolment.json").chmod(0o600)
        result = apply_state(node)
        assert (result["registered_anew"], (safe_path / "data" / "marker").read_text()) == (again, "new\n" if again else "former")

    def test_not_without_being_asked(self, safe_path: Path) -> None:
        node = self.node(safe_path, "exit 1")
        node.params["force"] = False
        assert (apply_state(node)["msg"], (safe_path / "data" / "marker").read_text()) == ("already registered", "former")

    def test_check_mode(self, safe_path: Path) -> None:
        node = self.node(safe_path, "exit 1")
        node.check_mode = True
        result = apply_state(node)
        assert (result["msg"], result["registered"], result["registered_anew"]) == ("would be registered anew", True, True)

    @pytest.mark.parametrize(
        ("agent", "says"),
        [
            ("echo no connection; exit 13", "the files of the former identity are still there, unchanged ("),
            ('rm "$3/marker"; exit 13', "files of the former identity, which were put back as they were: "),
            ('echo half >"$3/other"; exit 13', "files of the former identity, which were put back as they were: "),
            ('rm "$3/marker" "$3/other"; sleep 30', "did not finish within 2 seconds and was stopped; the agent had removed or changed"),
            ('echo new >"$3/marker"; exit 13', "this node is registered nevertheless"),
            ("exit 0", "that is new: is option data_dir the one"),
        ],
    )
    def test_a_failure_says_what_is_left(self, safe_path: Path, agent: str, says: str) -> None:
        node = self.node(safe_path, agent, timeout=2)
        with pytest.raises(RegistrationError, match=re.escape(says)) as failure:
            apply_state(node)
        assert (safe_path / "token").read_text() == KEY
        anew = "registered nevertheless" in says
        told = {"registered": True, "registered_anew": anew, "fingerprint": fingerprint(KEY) if anew else None}
        assert {name: failure.value.details[name] for name in told} == told
        if not anew:
            assert {name: (safe_path / "data" / name).read_text() for name in ("marker", "other")} == dict.fromkeys(("marker", "other"), "former")
            assert (safe_path / "data" / "marker").stat().st_mtime == 1_700_000_000
            assert sorted(path.name for path in (safe_path / "data").iterdir()) == ["enrolment.json", "marker", "other"]

    @pytest.mark.parametrize(
        ("spoil", "agent", "says"),
        [
            (lambda data: (data / "other").write_bytes(b"x" * (MAX_SIZE + 1)), 'rm "$3/marker"; exit 13', "of the former identity these files are gone: "),
            (lambda data: (data / "other").write_bytes(b"x" * (MAX_SIZE + 1)), 'echo half >"$3/other"; exit 13', "there, but the agent has changed "),
            (lambda data: None, 'rm "$3/other"; mkdir -p "$3/other/x"; exit 13', "other; they could not be put back: "),
        ],
        ids=["too long, removed", "too long, changed", "in the way"],
    )
    def test_what_cannot_be_put_back(self, safe_path: Path, spoil: Any, agent: str, says: str) -> None:
        node = self.node(safe_path, agent, timeout=2)
        spoil(safe_path / "data")
        with pytest.raises(RegistrationError, match=re.escape(says)):
            apply_state(node)

    @pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
    def test_an_identity_that_cannot_be_looked_at(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        """Whether the agent replaces it could not be told."""
        node, look = self.node(safe_path, "touch $0.ran"), os.stat
        looks = []

        def refuse(path: Any, **keywords: Any) -> os.stat_result:
            if path == node.params["registration_markers"][0]:
                looks.append(path)
                if len(looks) == 2:
                    raise OSError(number, os.strerror(number), path)
            return look(path, **keywords)

        monkeypatch.setattr(_registration.os, "stat", refuse)
        with pytest.raises(OSError, match=f"{os.strerror(number)}: '{safe_path}/data/marker'"):
            apply_state(node)
        assert (safe_path / "token").exists() and not (safe_path / "agent.ran").exists()

    def test_what_is_put_back_is_as_old_as_before_from_the_beginning(self, safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that is killed leaves no marker that looks new."""
        node, rename, times = self.node(safe_path, 'rm "$3/marker"; exit 13'), os.rename, []

        def renamed(old: str, new: str, **directories: Any) -> None:
            rename(old, new, **directories)
            times.append((new, os.stat(safe_path / "data" / new).st_mtime))

        monkeypatch.setattr(os, "rename", renamed)
        with pytest.raises(RegistrationError, match="put back as they were"):
            apply_state(node)
        assert ("marker", 1_700_000_000) in times

    def test_what_a_killed_run_left_is_removed(self, safe_path: Path) -> None:
        node = self.node(safe_path, 'echo new >"$3/marker"')
        (safe_path / "data" / ".other.abcdefgh.expanso-edge.tmp").write_text("former")
        apply_state(node)
        assert sorted(path.name for path in (safe_path / "data").iterdir()) == ["enrolment.json", "marker", "other"]

    def test_a_directory_that_the_agent_removed(self, safe_path: Path) -> None:
        node = self.node(safe_path, 'rm -r "$3/auth"; exit 13')
        (safe_path / "data" / "auth").mkdir(mode=0o700)
        marker = safe_path / "data" / "auth" / "credentials.creds"
        marker.write_text("secret")
        marker.chmod(0o600)
        node.params["registration_markers"].append(str(marker))
        with pytest.raises(RegistrationError, match="put back as they were"):
            apply_state(node)
        assert (marker.read_text(), marker.stat().st_mode & 0o777, marker.parent.stat().st_mode & 0o777) == ("secret", 0o600, 0o700)
