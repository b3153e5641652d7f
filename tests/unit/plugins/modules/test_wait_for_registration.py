# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._permissions import SecureFileError
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_collections.expanso.edge.plugins.modules import wait_for_registration
from ansible_collections.expanso.edge.plugins.modules.wait_for_registration import WaitError, apply_state, explain, in_words, settled, stored_token, wait

TOKEN = "exp_bk_9f8e7d6c5b4a32"  # 21 characters, so that all of its base64 is its own
BASE64 = base64.b64encode(TOKEN.encode()).decode()
BOOTSTRAP, AGENT = "edge-bootstrap.service", "edge.service"
DEAD = {"ActiveState": "inactive", "SubState": "dead", "Result": "success", "ExecMainStatus": "0", "LoadState": "loaded", "AssertResult": "yes"}
FAILED = {**DEAD, "ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "11", "InvocationID": "4711"}
STARTING = {**DEAD, "ActiveState": "activating", "SubState": "start"}
RUNNING = {**DEAD, "ActiveState": "active", "SubState": "running", "ActiveEnterTimestampMonotonic": "1"}
CRASHING = {**DEAD, "ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "NRestarts": "3"}

State = dict[str, str]


class Node:
    """As much of AnsibleModule as is needed, on a node whose units go through states, one a look."""

    def __init__(self, place: Path, states: Optional[dict[str, list[State]]] = None, journal: Callable[[list[str]], str] = lambda matches: "") -> None:
        self.params: dict[str, Any] = {
            "bootstrap_unit": BOOTSTRAP,
            "unit": AGENT,
            "data_dir": str(place),
            "registration_markers": [str(place / "marker")],
            "timeout": 0,
            "token_file": str(place / "token"),
            "format": "raw",
            "credential_name": "name",
            "fingerprint": None,
        }
        self.states = states or {}
        self.journal = journal
        self.on_look: Callable[[], Any] = lambda: None
        self.check_mode = False
        self.argument_spec: dict[str, Any] = {}
        self.learned: list[str] = []
        self.so_far: dict[str, Any] = {}
        self.doing = ""

    def get_bin_path(self, name: str) -> str:
        return name

    def learn(self, secret: str) -> str:
        self.learned.append(secret)
        return secret

    def run_command(self, arguments: list[str]) -> tuple[int, str, str]:
        if arguments == ["journalctl", "--sync"]:
            return 0, "", ""
        if arguments[0] == "journalctl":
            return 0, self.journal([each for each in arguments if not each.startswith("-")][1:]), ""
        self.on_look()
        states = self.states[arguments[-1]]
        state = states.pop(0) if len(states) > 1 else states[0]
        return 0, "".join(f"{name}={value}\n" for name, value in state.items()), ""


@pytest.fixture(autouse=True)
def no_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_for_registration, "POLL_SECONDS", 0.001)


def test_a_registered_node_whose_agent_runs(tmp_path: Path) -> None:
    (tmp_path / "marker").touch()
    assert wait(Node(tmp_path, {AGENT: [RUNNING]})) == str(tmp_path / "marker")


@pytest.mark.parametrize("kind", ["pipe", "link", "other"])
def test_what_is_no_token_is_not_removed(safe_path: Path, kind: str) -> None:
    node, token = Node(safe_path, {AGENT: [RUNNING]}), safe_path / "token"
    node.params["remove_token_file"] = True
    (safe_path / "marker").touch()
    if kind == "pipe":
        os.mkfifo(token)
    elif kind == "link":
        token.symlink_to("marker")
    else:
        token.write_bytes(b"\0")
    with pytest.raises(SecureFileError, match=f"^{token}"):
        apply_state(node)
    assert os.path.lexists(token)


def test_waits_for_the_marker_and_then_for_the_agent(tmp_path: Path) -> None:
    node = Node(tmp_path, {BOOTSTRAP: [STARTING, STARTING, DEAD], AGENT: [DEAD | {"ActiveState": "activating"}, RUNNING]})
    node.params["timeout"] = 60
    looks = []

    def third_look() -> None:
        looks.append(1)
        if len(looks) == 3:
            (tmp_path / "marker").touch()

    node.on_look = third_look
    assert wait(node)
    assert len(looks) == 5, "three at the one unit, the last of which saw it end, and two at the other"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (FAILED, "this node could not be registered"),
        (DEAD | {"AssertResult": "no"}, "this node could not be registered: .*/token is not there"),
        (DEAD, r"edge-bootstrap.service ran, but there is none of the registration markers .*/marker: is the data directory \(systemd_service_data_dir\)"),
    ],
)
def test_gives_up_where_no_marker_will_come(tmp_path: Path, state: State, message: str) -> None:
    node = Node(tmp_path, {BOOTSTRAP: [state]})
    node.params["timeout"] = 60
    before = time.time()
    with pytest.raises(WaitError, match=f"^{message}") as fault:
        wait(node)
    assert fault.value.unit == BOOTSTRAP
    assert time.time() - before < 30


@pytest.mark.parametrize("state", [FAILED, DEAD])
def test_gives_up_where_the_agent_does_not_run(tmp_path: Path, state: State) -> None:
    (tmp_path / "marker").touch()
    with pytest.raises(WaitError, match="^this node is registered, but its agent does not run") as fault:
        wait(Node(tmp_path, {AGENT: [state]}))
    assert fault.value.unit == AGENT


@pytest.mark.parametrize(
    ("registered", "unit", "state", "message"),
    [
        (False, BOOTSTRAP, STARTING, "this node is not registered after 0 seconds"),
        (True, AGENT, CRASHING, "this node is not running its agent after 0 seconds"),
    ],
)
def test_gives_up_in_time(tmp_path: Path, registered: bool, unit: str, state: State, message: str) -> None:
    if registered:
        (tmp_path / "marker").touch()
    with pytest.raises(WaitError, match=f"^{message}") as fault:
        wait(Node(tmp_path, {unit: [state]}))
    assert fault.value.unit == unit


@pytest.mark.parametrize(
    ("started", "now", "result"),
    [("1000000", 4.0, True), ("1000000", 3.9, False), ("0", 0.5, False), ("", 5.0, True), ("odd", 5.0, True)],
)
def test_an_agent_has_to_run_for_a_moment(started: str, now: float, result: bool) -> None:
    assert settled({**RUNNING, "ActiveEnterTimestampMonotonic": started}, now) is result


@pytest.mark.parametrize("state", [STARTING, DEAD, FAILED, CRASHING, {**RUNNING, "SubState": "exited"}])
def test_an_agent_that_does_not_run(state: State) -> None:
    assert not settled(state, 1e6)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (FAILED, "failed/failed, result exit-code, exit status 11"),
        (CRASHING, "activating/auto-restart, result exit-code, restarted 3 times"),
        ({**DEAD, "LoadState": "not-found"}, "inactive/dead, its unit file not-found"),
        ({}, "unknown/unknown"),
    ],
)
def test_a_state_in_words(state: State, text: str) -> None:
    assert in_words(state) == text


def hostile(matches: list[str]) -> str:
    """What a journal holds whose program printed its token."""
    program = f"token={TOKEN} base64={BASE64}\n"
    manager = "edge-bootstrap.service: Failed with result 'exit-code'.\n"
    if matches == ["_SYSTEMD_INVOCATION_ID=4711"]:
        return program
    if matches == ["_SYSTEMD_INVOCATION_ID=4711", "+", "INVOCATION_ID=4711"]:
        return program + manager
    assert matches == ["_PID=1", f"UNIT={BOOTSTRAP}"]
    return manager


@pytest.mark.parametrize(("form", "content"), [("raw", TOKEN), ("raw", TOKEN + "\n"), ("env", f'EXPANSO_EDGE_BOOTSTRAP_TOKEN="{TOKEN}"\nSITE=Zürich\n')])
def test_the_journal_is_masked(tmp_path: Path, form: str, content: str) -> None:
    (tmp_path / "token").write_text(content)
    node = Node(tmp_path, journal=hostile)
    node.params["format"] = form
    result = explain(node, WaitError("it failed", BOOTSTRAP, FAILED), stored_token(node))
    assert TOKEN not in repr(result.details) and BASE64[:-4] not in repr(result.details)
    assert str(result).splitlines() == [
        "it failed: token=******** base64=******** (edge-bootstrap.service is failed/failed, result exit-code, exit status 11).",
        "Its journal:",
        "  token=******** base64=********",
        "  edge-bootstrap.service: Failed with result 'exit-code'.",
    ]
    assert result.details["unit_state"]["ExecMainStatus"] == "11" and "InvocationID" not in result.details["unit_state"]


def test_lines_of_a_process_that_had_gone_when_the_journal_looked_are_shown(tmp_path: Path) -> None:
    def late(matches: list[str]) -> str:
        return "control plane unreachable\n" if matches[1:4] == ["+", f"_SYSTEMD_UNIT={BOOTSTRAP}", "_PID=72"] else ""

    failed = explain(Node(tmp_path, journal=late), WaitError("it failed", BOOTSTRAP, {**FAILED, "ExecMainPID": "72"}), TOKEN)
    assert str(failed).startswith("it failed: control plane unreachable (") and failed.details["journal"] == ["control plane unreachable"]


def test_lines_that_the_journal_holds_a_moment_later_are_shown(tmp_path: Path) -> None:
    looks = iter([""] * 3)
    node = Node(tmp_path, journal=lambda matches: next(looks, hostile(matches)))
    (tmp_path / "token").write_text(TOKEN)
    assert str(explain(node, WaitError("it failed", BOOTSTRAP, FAILED), TOKEN)).startswith("it failed: token=********")


def test_an_empty_journal_is_said_to_be_empty(tmp_path: Path) -> None:
    result = explain(Node(tmp_path), WaitError("it failed", BOOTSTRAP, FAILED), "")
    assert str(result).endswith("exit status 11). Its journal is empty")


@pytest.mark.parametrize(
    ("content", "state"),
    [(None, FAILED), ("", FAILED), ("not a token, umlaut \u00e4", FAILED), (TOKEN, {**FAILED, "InvocationID": ""})],
)
def test_what_cannot_be_masked_is_not_shown(tmp_path: Path, content: Optional[str], state: State) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    node = Node(tmp_path, journal=hostile)
    result = explain(node, WaitError("it failed", BOOTSTRAP, state), stored_token(node))
    assert TOKEN not in str(result)
    assert result.details["journal"] == ["edge-bootstrap.service: Failed with result 'exit-code'."]


@pytest.mark.parametrize(("now", "result"), [(15.9, False), (16.0, True)])
def test_an_agent_that_was_started_again_has_to_run_longer(now: float, result: bool) -> None:
    assert settled({**RUNNING, "ActiveEnterTimestampMonotonic": "1000000", "NRestarts": "2"}, now) is result


def test_what_a_crashing_agent_said_is_told_while_it_starts_again(tmp_path: Path) -> None:
    def journal(matches: list[str]) -> str:
        return "panic: no such pipeline\n" if matches[0] == f"_SYSTEMD_UNIT={AGENT}" else ""

    again = {**RUNNING, "SubState": "start", "ActiveState": "activating", "NRestarts": "2", "InvocationID": "4711"}
    (tmp_path / "marker").touch()
    node = Node(tmp_path, {AGENT: [again]}, journal)
    with pytest.raises(EdgeError) as fault:
        apply_state(node)
    assert str(fault.value).startswith("this node is not running its agent after 0 seconds: its agent ends again and again: panic: no such pipeline (")
    assert fault.value.details["journal"] == ["panic: no such pipeline"]


def test_the_token_is_masked_after_the_unit_removed_it(tmp_path: Path) -> None:
    opaque = "Rk-29xP0_mN4zQ7wV1tB"
    (tmp_path / "token").write_text(opaque)
    node = Node(tmp_path, {BOOTSTRAP: [STARTING], AGENT: [FAILED]}, lambda matches: f"config: {opaque} {opaque.upper()}\n")
    node.params["timeout"] = 60

    def registered() -> None:
        if (tmp_path / "token").exists():
            (tmp_path / "token").unlink()
            (tmp_path / "marker").touch()

    node.on_look = registered
    with pytest.raises(EdgeError) as fault:
        apply_state(node)
    assert fault.value.details["journal"] == ["config: ******** ********"]


def test_a_token_that_was_removed_before_is_masked_by_its_fingerprint(tmp_path: Path) -> None:
    opaque = "Rk-29xP0_mN4zQ7wV1tBc"
    (tmp_path / "marker").touch()
    said = f'{{"token":"{opaque}"}} {base64.b64encode(opaque.encode()).decode()} {opaque.upper()}\n'
    node = Node(tmp_path, {AGENT: [FAILED]}, lambda matches: said)
    with pytest.raises(EdgeError, match=opaque):
        apply_state(node)
    node.params["fingerprint"] = fingerprint(opaque)
    with pytest.raises(EdgeError) as fault:
        apply_state(node)
    assert fault.value.details["journal"] == ['{"token":"********"} ******** ********']
    assert opaque not in str(fault.value)
    assert opaque in node.learned, "so that it is kept out of everything else, too"


@pytest.mark.parametrize("digits", ["", "5d41402abc4", "5D41402ABC4B", "5d41402abc4b\n", "zzzzzzzzzzzz"])
def test_what_is_not_a_fingerprint(tmp_path: Path, digits: str) -> None:
    node = Node(tmp_path)
    node.params["fingerprint"] = digits
    with pytest.raises(EdgeError, match="^fingerprint is not 12 hexadecimal digits: pass what bootstrap_token returned$"):
        apply_state(node)


def test_a_token_that_nobody_knows_is_masked_by_its_shape(tmp_path: Path) -> None:
    (tmp_path / "marker").touch()
    with pytest.raises(EdgeError) as fault:
        apply_state(Node(tmp_path, {AGENT: [FAILED]}, hostile_agent))
    assert TOKEN not in str(fault.value) and BASE64[:-4] not in str(fault.value)
    assert fault.value.details["journal"] == ["token=******** base64=********"]


def hostile_agent(matches: list[str]) -> str:
    return f"token={TOKEN} base64={BASE64}\n"


@pytest.mark.parametrize("state", [{}, {"ActiveState": "active"}, {"LoadState": "loaded"}])
def test_an_answer_that_systemd_does_not_give(tmp_path: Path, state: State) -> None:
    with pytest.raises(WaitError, match=f"^systemctl show does not tell the state of {BOOTSTRAP}: is it really systemd that answers"):
        wait(Node(tmp_path, {BOOTSTRAP: [state]}))


@pytest.mark.parametrize("timeout", [-1, 10**15])
def test_a_time_that_nobody_means(tmp_path: Path, timeout: int) -> None:
    node = Node(tmp_path)
    node.params["timeout"] = timeout
    with pytest.raises(EdgeError, match=f"^option timeout is {timeout}, but has to be 0 to 604800 seconds$"):
        apply_state(node)
