# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook expanso.edge.rotate: batches, plans, re-registration, and what a node holds where something goes wrong."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import TOKEN_VARIABLE, Controller, Json, Run
from control_plane import ControlPlane, new_key

ROTATE = "expanso.edge.rotate"
MARKER = "data/auth/credentials.creds"


@pytest.fixture
def home(place: Path) -> Path:
    """A place for the nodes of one test."""
    return Path(tempfile.mkdtemp(dir=place))


def fleet(home: Path, **nodes: Json) -> dict[str, Json]:
    """Nodes with their variables; their files are below the home."""
    return {
        name: {
            "token_file_path": f"{home}/{name}/bootstrap.token",
            "token_file_owner": str(os.geteuid()),
            "token_file_group": str(os.getegid()),
            "expanso_edge_data_dir": f"{home}/{name}/data",
            "expanso_edge_become": False,
            **own,
        }
        for name, own in nodes.items()
    }


def hold(home: Path, name: str, token: str, registered: bool = False) -> None:
    """Let a node hold a token from before."""
    (home / name).mkdir()
    path = home / name / "bootstrap.token"
    path.write_text(token)
    path.chmod(0o600)
    if registered:
        (home / name / MARKER).parent.mkdir(parents=True)
        (home / name / MARKER).touch()


def tokens(home: Path) -> dict[str, str]:
    """The tokens that the nodes hold."""
    return {path.parent.name: path.read_text() for path in home.glob("*/bootstrap.token")}


def rotate(controller: Controller, hosts: dict[str, Json], token: str, *arguments: str, secrets: tuple[str, ...] = (), **variables: Any) -> Run:
    """Rotate to a token."""
    given = [each for name, value in variables.items() for each in ("-e", f"expanso_edge_{name}={value}")]
    return controller.run(ROTATE, *arguments, *given, hosts=hosts, environment={TOKEN_VARIABLE: token}, secrets=(token, *secrets))


def summaries(run: Run) -> list[list[str]]:
    """The summary of each batch."""
    found = [event["result"]["msg"] for event in run.events if event["task"] == "Show the summary"]
    assert found, run.output
    return found


def test_a_plan_is_carried_out_and_nothing_else(controller: Controller, home: Path) -> None:
    old, new, foreign = new_key(), new_key(), new_key()
    for name, token, registered in (("one", old, False), ("done", new, False), ("member", old, True), ("swapped", old, False)):
        hold(home, name, token, registered)
    hosts = fleet(home, one={}, blank={}, done={}, member={}, swapped={})
    before, plan = tokens(home), home / "plan.json"
    run = rotate(controller, hosts, new, "--check", plan_file=plan, secrets=(old,))
    assert run.returncode == 0, run.output
    assert tokens(home) == before and plan.stat().st_mode & 0o777 == 0o600
    made = {each["node"]: each for each in json.loads(plan.read_text())["nodes"]}
    assert {name: each["action"] for name, each in made.items()} == {"one": "rotate", "blank": "rotate", "done": "keep", "member": "keep", "swapped": "rotate"}
    assert made["one"]["old"] == made["swapped"]["old"] == made["member"]["old"] != made["one"]["new"] == made["done"]["old"]
    assert made["blank"]["old"] is None and old not in plan.read_text() and new not in plan.read_text()
    assert f"  token {made['one']['old']} -> {made['one']['new']}: 2 (one, swapped)" in summaries(run)[0]

    (home / "swapped" / "bootstrap.token").write_text(foreign)
    hosts.update(fleet(home, late={}))
    run = rotate(controller, hosts, new, plan_file=plan, max_fail_percentage=100, secrets=(old, foreign))
    lines = summaries(run)[-1]
    assert run.returncode == 2
    assert lines[:8] == [
        "6 nodes",
        "  received the new token: 1 (one)",
        "  received its first token: 1 (blank)",
        "  nothing to do according to the plan: 2 (done, member)",
        "  not in the plan, left untouched: 1 (late)",
        "  changed since the plan, left untouched: 1 (swapped)",
        *lines[6:8],
    ]
    assert "is held here now, where token" in lines[6] and lines[7].startswith("    swapped holds token ")
    assert tokens(home) == {**before, "one": new, "blank": new, "swapped": foreign}

    again = rotate(controller, hosts, new, plan_file=plan, max_fail_percentage=100, secrets=(old, foreign))
    assert again.totals()["changed"] == 0 and "  holds the given token already: 2 (one, blank)" in summaries(again)[-1]

    other = new_key()
    refused = rotate(controller, {"one": hosts["one"]}, other, plan_file=plan, secrets=(old, new))
    assert refused.returncode == 2 and "is given now: nothing was changed" in summaries(refused)[-1][2]
    assert tokens(home)["one"] == new


def test_a_canary_that_fails_stops_the_rotation(controller: Controller, home: Path) -> None:
    old, new = new_key(), new_key()
    hosts = fleet(home, canary={}, two={}, three={}, four={})
    for name in hosts:
        hold(home, name, old)
    (home / "canary" / "bootstrap.token").rename(home / "kept")
    (home / "canary" / "bootstrap.token").symlink_to(home / "kept")

    run = rotate(controller, hosts, new, secrets=(old,))
    assert run.returncode == 2 and len(summaries(run)) == 1
    lines = summaries(run)[0]
    assert lines[1] == "  failed: 1 (canary)" and "is a symbolic link" in lines[2]
    assert any("run the same command again" in line for line in lines)
    assert set(tokens(home).values()) == {old}

    (home / "canary" / "bootstrap.token").unlink()
    (home / "kept").rename(home / "canary" / "bootstrap.token")
    run = rotate(controller, hosts, new, serial=2, secrets=(old,))
    assert run.returncode == 0, run.output
    assert len(summaries(run)) == 3 and summaries(run)[0][1] == "  received the new token: 1 (canary)"
    assert set(tokens(home).values()) == {new}
    assert "next: revoke the old token in Expanso Cloud" in summaries(run)[-1][-1]
