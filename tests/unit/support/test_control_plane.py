# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control plane of the tests: that it counts right is what the other tests rest on."""

from __future__ import annotations

import base64
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import control_plane
import pytest
from control_plane import ControlPlane, ControlPlaneClient, ControlPlaneError, new_jwt, new_key, token_id

Answer = tuple[int, dict[str, Any]]


def post(url: str, path: str, body: object | None, headers: dict[str, str] | None = None) -> Answer:
    """One request, as a node or an administrator would send it."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("POST", path, None if body is None else json.dumps(body), headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def bootstrap(plane: ControlPlane, token: object, node: str = "node-a") -> Answer:
    return post(plane.url, "/bootstrap", {"token": token, "name": node, "data_dir": "/var/lib/expanso/edge"})


def test_reusable_key_is_counted_by_node(plane: ControlPlane) -> None:
    key = new_key()
    plane.client.add_token(key, label="fleet")
    answers = [bootstrap(plane, key, node) for node in ("node-a", "node-b", "node-a")]
    assert [status for status, dummy in answers] == [201, 201, 201]
    assert len({answer["node_id"] for dummy, answer in answers}) == 3
    assert plane.client.nodes(key) == {"node-a": 2, "node-b": 1}
    assert plane.client.spent(key) == 3
    assert [event["node"] for event in plane.client.registrations()] == ["node-a", "node-b", "node-a"]
    assert {event["token"] for event in plane.client.registrations()} == {"fleet"}


def test_single_use_token_is_spent_once_however_many_ask_at_once(plane: ControlPlane) -> None:
    jwt = new_jwt()
    plane.client.add_token(jwt, single_use=True)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: bootstrap(plane, jwt, f"node-{number}")[0], range(16)))
    assert sorted(statuses) == [201] + [409] * 15
    assert (plane.client.spent(jwt), len(plane.client.refusals("spent"))) == (1, 15)


@pytest.mark.parametrize(
    ("token", "status", "outcome"),
    [
        ("", 400, "malformed"),
        (None, 400, "malformed"),
        ("exp_bk_other", 401, "unknown"),
        ("exp_bk_known\n", 401, "unknown"),
    ],
)
def test_refusals(plane: ControlPlane, token: str | None, status: int, outcome: str) -> None:
    plane.client.add_token("exp_bk_known")
    assert bootstrap(plane, token)[0] == status
    [refusal] = plane.client.refusals()
    assert (refusal["outcome"], refusal["node"], refusal["token"]) == (outcome, "node-a", None)
    assert plane.client.spent("exp_bk_known") == 0


def test_a_revoked_token_is_refused_until_it_is_added_again(plane: ControlPlane) -> None:
    key = new_key()
    plane.client.add_token(key, label="fleet")
    bootstrap(plane, key)
    assert post(plane.url, "/admin/revoke", {"label": "fleet"}) == (200, {"label": "fleet"})
    assert bootstrap(plane, key)[0] == 401
    assert plane.client.refusals("revoked")[0]["token"] == "fleet"
    plane.client.add_token(key)
    assert bootstrap(plane, key)[0] == 201
    assert plane.client.spent(key) == 2


def test_bearer_token(plane: ControlPlane) -> None:
    plane.client.add_token("exp_bk_ü")
    header = {"Authorization": "Bearer " + "exp_bk_ü".encode().decode("latin-1")}
    assert post(plane.url, "/bootstrap", None, header)[0] == 201
    assert plane.client.nodes("exp_bk_ü") == {"127.0.0.1": 1}


def test_labels_are_unique(plane: ControlPlane) -> None:
    plane.client.add_token("one", label="fleet")
    plane.client.add_token("two")
    for token, label in (("two", "fleet"), ("one", "other")):
        with pytest.raises(ControlPlaneError) as caught:
            plane.client.add_token(token, label=label)
        assert caught.value.status == 409
    assert list(plane.client.state()["tokens"]) == ["fleet", "token-2"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/admin/tokens", {}, 400),
        ("/admin/tokens", {"token": 7}, 400),
        ("/admin/tokens", ["token"], 400),
        ("/admin/revoke", {"token": "unknown"}, 404),
        ("/admin/revoke", {}, 404),
        ("/admin/mode", {"mode": "moody"}, 400),
        ("/admin/mode", {"mode": "slow", "seconds": "long"}, 400),
        ("/admin/other", {}, 404),
        ("/bootstrap", "text", 400),
    ],
)
def test_nonsense_is_refused(plane: ControlPlane, path: str, body: object, status: int) -> None:
    assert post(plane.url, path, body)[0] == status


def test_unknown_token_has_no_counts(plane: ControlPlane) -> None:
    with pytest.raises(ControlPlaneError, match="no such token"):
        plane.client.spent("never added")


def test_reset_forgets(plane: ControlPlane) -> None:
    plane.client.add_token("key")
    bootstrap(plane, "key")
    plane.client.set_mode("unavailable")
    plane.client.reset()
    state = plane.client.state()
    assert (state["tokens"], state["registrations"], state["refusals"]) == ({}, [], [])
    assert state["mode"]["name"] == "normal"


def test_unavailable(plane: ControlPlane) -> None:
    plane.client.add_token("key")
    plane.client.set_mode("unavailable")
    assert [bootstrap(plane, "key")[0] for dummy in range(2)] == [503, 503]
    assert (plane.client.spent("key"), len(plane.client.refusals("unavailable"))) == (0, 2)
    plane.client.set_mode("normal")
    assert bootstrap(plane, "key")[0] == 201


def test_flaky_fails_as_often_as_told(plane: ControlPlane) -> None:
    plane.client.add_token("key")
    plane.client.set_mode("flaky", failures=2)
    assert [bootstrap(plane, "key")[0] for dummy in range(3)] == [503, 503, 201]


def test_slow_answers_late(plane: ControlPlane) -> None:
    plane.client.add_token("key")
    plane.client.set_mode("slow", seconds=0.3)
    start = time.monotonic()
    assert bootstrap(plane, "key")[0] == 201
    assert time.monotonic() - start >= 0.3


def test_hang_holds_the_node_until_the_mode_changes(plane: ControlPlane) -> None:
    plane.client.add_token("key")
    plane.client.set_mode("hang")
    outcome: list[object] = []

    def node() -> None:
        try:
            outcome.append(bootstrap(plane, "key"))
        except http.client.RemoteDisconnected as error:
            outcome.append(error)

    thread = threading.Thread(target=node)
    thread.start()
    deadline = time.monotonic() + 20
    while not plane.client.refusals("unanswered"):
        assert time.monotonic() < deadline, "the attempt is not on record"
        time.sleep(0.01)
    assert (thread.is_alive(), outcome) == (True, [])
    plane.client.set_mode("normal")
    thread.join(5)
    assert [type(thing) for thing in outcome] == [http.client.RemoteDisconnected]
    assert plane.client.spent("key") == 0


def test_lost_spends_the_token_without_an_answer(plane: ControlPlane) -> None:
    plane.client.add_token("key", single_use=True)
    plane.client.set_mode("lost")
    with pytest.raises(http.client.RemoteDisconnected):
        bootstrap(plane, "key")
    plane.client.set_mode("normal")
    assert bootstrap(plane, "key")[0] == 409


# the state file and the command


def test_state_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with ControlPlane(state=path) as plane:
        plane.client.add_token("key", label="fleet", single_use=True)
        bootstrap(plane, "key")
        bootstrap(plane, "other")
        plane.client.set_mode("slow", seconds=1)
        before = plane.client.state()
    with ControlPlane(state=path) as plane:
        assert plane.client.state() == before
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_no_token_is_kept_or_logged(tmp_path: Path) -> None:
    token = new_key()
    lines: list[str] = []
    path = tmp_path / "state.json"
    with ControlPlane(state=path, log=lines.append) as plane:
        plane.client.add_token(token)
        bootstrap(plane, token)
        bootstrap(plane, token + "\n")
        post(plane.url, f"/bootstrap/{token}", {"token": token})
        plane.client.revoke(token)
        written = path.read_text() + "\n".join(lines) + json.dumps(plane.client.state())
    assert "POST /bootstrap registered, node 'node-a', token 'token-1'" in lines
    for form in (token, base64.b64encode(token.encode()).decode().rstrip("=")):
        assert form not in written
    assert token_id(token) in written


def test_a_state_that_is_none_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('["something else"]')
    with pytest.raises(ControlPlaneError, match="not a state"):
        ControlPlane(state=path)
    assert path.read_text() == '["something else"]'


def test_command(tmp_path: Path) -> None:
    """As a container runs it: its URL on the first line, SIGTERM ends it, the state stays."""
    command = [sys.executable, control_plane.__file__, "--listen", "127.0.0.1:0"]
    command += ["--state", str(tmp_path / "state.json")]
    for spent in (0, 1):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            found = re.fullmatch(r"control plane .* listens on (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
            assert found
            client = ControlPlaneClient(found.group(1))
            client.wait_until_ready()
            client.add_token("key")
            assert client.spent("key") == spent
            assert post(client.url, "/bootstrap", {"token": "key"})[0] == 201
            process.send_signal(signal.SIGTERM)
            rest, dummy = process.communicate(timeout=5)
        finally:
            process.kill()
        assert process.returncode == 0
        assert rest == "POST /admin/tokens\nPOST /bootstrap registered, node '127.0.0.1', token 'token-1'\n"


@pytest.mark.parametrize("arguments", [["--listen", "nonsense"], ["--state", "/nowhere/state.json"]])
def test_command_that_cannot_start(arguments: list[str]) -> None:
    command = [sys.executable, control_plane.__file__, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("control_plane.py: ")
    assert "Traceback" not in result.stderr


def test_client_of_nothing_gives_up() -> None:
    with pytest.raises(TimeoutError, match="no control plane at http://127"):
        ControlPlaneClient("http://127.0.0.1:9").wait_until_ready(0.1)
