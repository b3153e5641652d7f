# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation whose controller or node dies in the middle: each node holds the old or the new token, and the same command again finishes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from ansible_collections.expanso.edge.plugins.plugin_utils._trail import look
from ansible_runs import TOKEN_VARIABLE, Controller, Json, Run, local_node
from control_plane import ControlPlane, new_key
from processes import processes

ROTATE = "expanso.edge.rotate"
MARKER = "data/auth/credentials.creds"

STOPS = """
import os, time

def stop(moment):
    try:
        with open(os.environ["STOP_AT"]) as stream:
            wanted = stream.read()
    except OSError:
        return
    if wanted == moment:
        with open(os.environ["STOP_AT"] + ".reached", "w"):
            pass
        time.sleep(600)

def rename(old, new, before=os.rename, **directories):
    stop("before " + str(new))
    before(old, new, **directories)
    stop("after " + str(new))

os.rename = rename
"""
"""Stops a module for good where it renames a file that the test names."""


class Stops:
    """Nodes whose modules stop at a moment."""

    def __init__(self, home: Path) -> None:
        self._at = home / "stop-at"
        (home / "stops").mkdir()
        (home / "stops" / "sitecustomize.py").write_text(STOPS)
        self.interpreter = home / "stopping-python"
        self.interpreter.write_text(f'#!/bin/sh\nSTOP_AT={self._at} PYTHONPATH={home}/stops exec /usr/bin/python3 "$@"\n')
        self.interpreter.chmod(0o755)

    def at(self, moment: str | None) -> None:
        """Let modules stop there, or nowhere."""
        for path in (self._at, self._reached):
            path.unlink(missing_ok=True)
        if moment:
            self._at.write_text(moment)

    @property
    def _reached(self) -> Path:
        return self._at.with_name(self._at.name + ".reached")

    def reached(self, _events: str = "") -> bool:
        """Whether one has stopped."""
        return self._reached.exists()


def mark(token: str) -> str:
    return hashlib.sha256(b"expanso.edge bootstrap token\0" + token.encode()).hexdigest()[:12]


def held(home: Path) -> dict[str, str]:
    """The tokens that the nodes hold, each of them whole and closed."""
    found = {}
    for path in home.glob("*/bootstrap.token"):
        assert path.stat().st_mode & 0o777 == 0o600
        found[path.parent.name] = path.read_text()
    return found


def recorded(home: Path) -> dict[str, list[str]]:
    """The tokens in the enrolment records."""
    return {
        path.parents[1].name: [each["fingerprint"] for each in json.loads(path.read_text())["enrolments"]] for path in home.glob("*/data/enrolment.json")
    }


def lines(trail: Path) -> list[Json]:
    return [json.loads(line) for line in trail.read_text().splitlines()]


def hold(home: Path, name: str, token: str) -> None:
    (home / name).mkdir()
    (home / name / "bootstrap.token").write_text(token)
    (home / name / "bootstrap.token").chmod(0o600)


def test_a_controller_that_is_killed(controller: Controller, home: Path) -> None:
    old, new, stops, plan, trail = new_key(), new_key(), Stops(home), home / "plan.json", home / "trail.jsonl"
    names = ["canary", "two", "three", "four"]
    hosts = {name: local_node(home, name, ansible_python_interpreter=str(stops.interpreter)) for name in names}
    for name in names:
        hold(home, name, old)

    def rotate(*arguments: str, until: Callable[[str], bool] | None = None) -> Run:
        given = {"plan_file": plan, "trail_file": trail, "serial": 2}
        variables = [each for name, value in given.items() for each in ("-e", f"expanso_edge_{name}={value}")]
        return controller.run(ROTATE, *variables, *arguments, hosts=hosts, environment={TOKEN_VARIABLE: new}, secrets=(old, new), until=until)

    def done() -> list[str]:
        assert set(held(home)) == set(names) and set(held(home).values()) <= {old, new}
        return [name for name in names if held(home)[name] == new]

    assert rotate("--check").returncode == 0
    stops.at("before bootstrap.token")
    assert rotate(until=stops.reached).returncode == -9 and done() == []
    [left] = (home / "canary").glob(".bootstrap.token*")
    assert left.stat().st_mode & 0o777 == 0o600
    os.utime(left, (0, 0))  # as if it were of yesterday
    stops.at("after bootstrap.token")
    assert rotate(until=stops.reached).returncode == -9 and done() == ["canary"]
    stops.at(None)
    assert rotate(until=lambda events: events.count('"Show the summary"') == 1).returncode == -9 and done() == ["canary"]
    stops.at("after enrolment.json")
    assert rotate(until=stops.reached).returncode == -9 and done()[0] == "canary"
    stops.at(None)
    run = rotate()
    assert run.returncode == 0, run.output
    assert done() == names and not left.exists() and recorded(home) == dict.fromkeys(names, [mark(new)])
    # what killed modules did before their line was written is told by the records alone
    assert look(str(trail)).problems == [] and all(each["fingerprint"] == mark(new) for each in lines(trail))


def test_a_controller_that_is_killed_while_nodes_register_anew(controller: Controller, home: Path, agent: Path, plane: ControlPlane) -> None:
    first, second, trail = new_key(), new_key(), home / "trail.jsonl"
    for token in (first, second):
        plane.client.add_token(token)
    own = {"token_file_register": True, "expanso_edge_binary": str(agent), "expanso_edge_bootstrap_url": plane.url, "token_file_register_timeout": 20}
    hosts = {name: local_node(home, name, **own) for name in ("canary", "two", "three")}

    def rotate(token: str, *arguments: str, until: Callable[[str], bool] | None = None) -> Run:
        given = [*arguments, "-e", "expanso_edge_reregister=true", "-e", f"expanso_edge_trail_file={trail}"]
        return controller.run(ROTATE, *given, hosts=hosts, environment={TOKEN_VARIABLE: token}, secrets=(first, second), until=until)

    def identities() -> dict[str, bytes]:
        return {name: (home / name / MARKER).read_bytes() for name in hosts}

    assert rotate(first, "-e", "expanso_edge_serial=100%").returncode == 0
    former = identities()
    # the agent of the canary outlives the run that started it, and the next run waits for it
    plane.client.set_mode("slow", seconds=4)
    assert rotate(second, until=lambda _events: at_work(agent)).returncode == -9 and identities() == former
    run = rotate(second, "-e", "expanso_edge_serial=1", until=lambda events: events.count('"Show the summary"') == 1)
    assert run.returncode == -9 and [name for name in hosts if identities()[name] != former[name]] == ["canary"]
    plane.client.set_mode("unavailable")
    run = rotate(second)
    assert run.returncode == 2 and identities()["two"] == former["two"]
    plane.client.set_mode("normal")
    run = rotate(second)
    assert run.returncode == 0, run.output
    assert plane.client.nodes(second) == {"node": 3} and set(held(home).values()) == {second}
    # an agent that found no control plane registered nothing, though its node is registered; that of the canary may have finished without a run
    done = [each["node"] for each in lines(trail) if (each["action"], each["fingerprint"]) == ("registered", mark(second))]
    assert {*done, "canary"} == set(hosts) and len(done) == len(set(done)) and look(str(trail)).problems == []
    assert recorded(home) == dict.fromkeys(hosts, [mark(first), mark(second)])


def at_work(agent: Path) -> bool:
    """Whether an agent registers a node."""
    return any(str(agent).encode() in each.command for each in processes())


def test_nodes_that_are_powered_off(controller: Controller, home: Path) -> None:
    """One before it is asked, one after it wrote the token, one before it is looked at again."""
    old, new, trail = new_key(), new_key(), home / "trail.jsonl"
    dying = {"ansible_connection": "dying", "ansible_count_file": f"{home}/{{{{ inventory_hostname }}}}.count"}
    own: dict[str, Json] = {"on": {}, "off": {**dying, "ansible_answers": -1}, "cut": {**dying, "ansible_answers": 0}, "late": {**dying, "ansible_answers": 1}}
    hosts = {name: local_node(home, name, **more) for name, more in own.items()}
    for name in hosts:
        hold(home, name, old)

    def rotate() -> Run:
        given = ["-e", "expanso_edge_canary=100%", "-e", f"expanso_edge_trail_file={trail}"]
        return controller.run(ROTATE, *given, hosts=hosts, environment={TOKEN_VARIABLE: new}, secrets=(old, new))

    run = rotate()
    assert run.returncode == 2 and held(home) == {"on": new, "off": old, "cut": new, "late": new}
    told = "\n".join(run.result("Show the summary")["msg"])
    for words in ("received the new token: 1 (on)", "off: the host cannot be reached: this host is down", "late: the check afterwards: ", "same command again"):
        assert words in told
    hosts.update({name: local_node(home, name) for name in hosts})
    run = rotate()
    assert run.returncode == 0, run.output
    assert "  received the new token: 1 (off)" in run.result("Show the summary")["msg"]
    assert set(held(home).values()) == {new} and recorded(home) == dict.fromkeys(hosts, [mark(new)])
    assert [each["node"] for each in lines(trail)][-1] == "off" and look(str(trail)).problems == []
    variables = {"expanso_edge_trail_file": str(trail), "expanso_edge_audit_directory": str(home / "audit"), "expanso_edge_audit_places": []}
    controller.run("expanso.edge.audit", "-e", json.dumps(variables), hosts=hosts)
    findings = json.loads((home / "audit" / "audit.json").read_text())["findings"]
    assert [each["node"] for each in findings if each["code"] == "trail_incomplete"] == ["cut"]
