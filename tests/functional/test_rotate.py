# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook expanso.edge.rotate: batches, plans, re-registration, and what a node holds where something goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import TOKEN_VARIABLE, Controller, Json, Run, local_node
from control_plane import ControlPlane, new_key

ROTATE = "expanso.edge.rotate"
MARKER = "data/auth/credentials.creds"


def fleet(home: Path, **nodes: Json) -> dict[str, Json]:
    """Nodes with their variables."""
    return {name: local_node(home, name, **own) for name, own in nodes.items()}


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
    assert run.published == {
        "playbook": "rotate", "check_mode": False, "nodes": 6, "outcomes": {"as_planned": 2, "first_token": 1, "not_planned": 1, "rotated": 1},
        "failed": 1, "failed_hosts": ["swapped"], "unreachable": 0, "waiting": 2, "labels": [],
    }  # fmt: skip

    again = rotate(controller, hosts, new, plan_file=plan, max_fail_percentage=100, secrets=(old, foreign))
    assert again.totals()["changed"] == 0 and "  keeps its token: the same one was given, or none: 2 (one, blank)" in summaries(again)[-1]

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
    assert (run.published["failed_hosts"], run.published["outcomes"]) == (["canary"], {"no_result": 3})

    (home / "canary" / "bootstrap.token").unlink()
    (home / "kept").rename(home / "canary" / "bootstrap.token")
    run = rotate(controller, hosts, new, serial=2, secrets=(old,))
    assert run.returncode == 0, run.output
    assert len(summaries(run)) == 3 and summaries(run)[0][1] == "  received the new token: 1 (canary)"
    assert set(tokens(home).values()) == {new}
    assert "next: revoke the old token in Expanso Cloud" in summaries(run)[-1][-1]


def registering(home: Path, agent: Path, plane: ControlPlane, **nodes: Json) -> dict[str, Json]:
    """Nodes whose role registers them."""
    own = {"token_file_register": True, "expanso_edge_binary": str(agent), "expanso_edge_bootstrap_url": plane.url, "token_file_register_timeout": 20}
    return fleet(home, **{name: {**own, **node} for name, node in nodes.items()})


def test_registered_nodes_are_registered_anew_once_for_each_token(controller: Controller, home: Path, agent: Path, plane: ControlPlane) -> None:
    first, second, third = new_key(), new_key(), new_key()
    for token in (first, second, third):
        plane.client.add_token(token)
    hosts = registering(home, agent, plane, one={"token_file_remove_after_registration": True}, two={})
    secrets = (first, second, third)
    for name in hosts:
        hold(home, name, first)
    assert rotate(controller, hosts, first, secrets=secrets).returncode == 0
    identity = (home / "one" / MARKER).read_bytes()

    # without re-registration an identity is not touched, whatever token is given
    run = rotate(controller, hosts, second, secrets=secrets)
    assert summaries(run)[-1][1] == "  registered, left as it is: 2 (one, two)" and run.totals()["changed"] == 0
    assert (home / "one" / MARKER).read_bytes() == identity and plane.client.nodes(second) == {}

    plane.client.set_mode("unavailable")
    run = rotate(controller, hosts, second, reregister=True, secrets=secrets)
    assert run.returncode == 2 and (home / "one" / MARKER).read_bytes() == identity
    lines = "\n".join(summaries(run)[-1])
    assert "the files of the former identity are still there, unchanged" in lines
    assert "one holds token " in lines and "now, and is registered" in lines
    assert tokens(home) == {"one": second, "two": first}

    plane.client.set_mode("normal")
    run = rotate(controller, hosts, second, reregister=True, secrets=secrets)
    assert run.returncode == 0, run.output
    assert "  registered anew: 2 (one, two)" in summaries(run)[-1]
    assert "  re-registration registered 2 nodes anew, with 1 token, used one time for each node" in summaries(run)[-1]
    assert (home / "one" / MARKER).read_bytes() != identity and tokens(home) == {"two": second}
    assert plane.client.nodes(second) == {"node": 2}

    # the same command again, as after an interruption: nothing is spent, with and without the token at rest
    run = rotate(controller, hosts, second, reregister=True, secrets=secrets)
    assert run.returncode == 0 and summaries(run)[-1][1] == "  registered, left as it is: 2 (one, two)"
    assert plane.client.nodes(second) == {"node": 2} and run.totals()["changed"] == 0

    plan = home / "plan.json"
    assert rotate(controller, hosts, third, "--check", reregister=True, plan_file=plan, secrets=secrets).returncode == 0
    assert plane.client.nodes(third) == {} and {each["action"] for each in json.loads(plan.read_text())["nodes"]} == {"reregister"}
    run = rotate(controller, hosts, third, plan_file=plan, secrets=secrets)
    assert run.returncode == 2 and "it was made with expanso_edge_reregister=true, and this run is without it" in run.output
    run = rotate(controller, hosts, third, reregister=True, plan_file=plan, secrets=secrets)
    assert run.returncode == 0 and plane.client.nodes(third) == {"node": 2}, run.output


def test_a_plan_goes_from_node_to_node_of_a_workflow(controller: Controller, home: Path, agent: Path, plane: ControlPlane) -> None:
    """One node plans, one carries the plan out on a canary, one on the rest. AWX passes on what a job published as variables of the next one."""
    old, new = new_key(), new_key()
    for token in (old, new):
        plane.client.add_token(token)
    hosts = registering(home, agent, plane, canary={}, removes={"token_file_remove_after_registration": True}, two={})
    hosts.update(fleet(home, plain={}, down={"ansible_connection": "nowhere"}))
    for name in ("canary", "removes", "two", "plain"):
        hold(home, name, old)
    planned = rotate(controller, hosts, new, "--check", plan_artifact=True, plan_file="", secrets=(old,))
    assert planned.returncode == 2 and planned.published["check_mode"] is True, planned.output
    plan = planned.artifacts["expanso_edge_plan"]
    assert {each["node"]: each["action"] for each in plan["nodes"]} == dict.fromkeys(("canary", "removes", "two", "plain"), "rotate")
    assert plan["failed"] == [] and len(plane.client.registrations()) == 0
    artifacts = controller.write("artifacts.json", planned.artifacts)

    def carry_out(*arguments: str, **variables: Any) -> Run:
        return rotate(controller, {**hosts, **fleet(home, late={})}, new, "-e", f"@{artifacts}", *arguments, secrets=(old,), **variables)

    run = carry_out("--limit", "canary,removes", canary="100%")
    assert run.returncode == 0, run.output
    assert summaries(run)[-1][:2] == ["2 nodes", "  received the new token: 2 (canary, removes)"]
    assert tokens(home) == {"canary": new, "two": old, "plain": old} and plane.client.spent(new) == 2
    run = carry_out(canary="100%", max_fail_percentage=100)
    assert run.returncode == 0, run.output  # down is not in the plan
    assert run.published["outcomes"] == {"not_planned": 2, "registered": 2, "rotated": 2}
    assert tokens(home) == {"canary": new, "two": new, "plain": new} and plane.client.spent(new) == 3

    both = carry_out(plan_file=home / "plan.json")
    assert both.returncode == 2 and "expanso_edge_plan holds a plan as well: leave out one of" in both.output
    evil = {**plan["nodes"][0], "place": f"{{{{ lookup('ansible.builtin.pipe', 'touch {home}/evaluated') }}}}"}
    controller.write("artifacts.json", {"expanso_edge_plan": {**plan, "nodes": [evil]}})
    refused = carry_out("-vvv")
    assert refused.returncode == 2 and not (home / "evaluated").exists() and not any(map(refused.remote_commands, hosts))
    assert "the plan in variable expanso_edge_plan cannot be used: it is damaged: entry 1 of nodes cannot be what a plan says" in refused.output


def test_what_no_role_can_register_anew_is_refused_before_any_node_is_contacted(controller: Controller, home: Path) -> None:
    hosts = fleet(home, file={}, swarm={"expanso_edge_delivery": "swarm_secret"}, cluster={"expanso_edge_delivery": ["k8s_secret"]})
    run = rotate(controller, hosts, new_key(), "-vvv", reregister=True)
    assert run.returncode == 2 and not any(run.remote_commands(host) for host in hosts)
    for words in ("file: expanso_edge_reregister needs a role that registers the node", "swarm_secret cannot register anew", "k8s_secret cannot register anew"):
        assert words in run.output


def test_a_rotation_without_a_canary_is_refused_before_any_node_is_contacted(controller: Controller, home: Path) -> None:
    run = rotate(controller, fleet(home, one={}), new_key(), "-vvv", canary=0)
    assert run.returncode == 2 and not run.remote_commands("one")
    assert "expanso_edge_canary is 0, so that all nodes would get the new token at once" in run.output


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hosts/plan.json", "{home}/hosts is not a directory"),
        ("hosts", "there is a file that something else wrote: remove it, or name another path"),
    ],
)
def test_a_plan_that_cannot_be_written_is_refused_before_any_node_is_contacted(name: str, says: str, controller: Controller, home: Path) -> None:
    (home / "hosts").write_text("[expanso_edge]\nedge-01\n")
    run = rotate(controller, fleet(home, one={}), new_key(), "--check", "-vvv", plan_file=home / name)
    assert run.returncode == 2 and not run.remote_commands("one")
    assert run.result("Check that the plan can be written")["msg"] == f"the plan {home}/{name} cannot be written: {says.format(home=home)}"
    assert (home / "hosts").read_text() == "[expanso_edge]\nedge-01\n"


def test_a_plan_is_private(controller: Controller, home: Path) -> None:
    plan = home / "plans" / "plan.json"
    run = rotate(controller, fleet(home, one={}), new_key(), "--check", plan_file=plan)
    assert run.returncode == 0, run.output
    assert [path.stat().st_mode & 0o777 for path in (plan.parent, plan)] == [0o700, 0o600]


def test_a_node_that_registered_since_the_plan_is_left_untouched(controller: Controller, home: Path) -> None:
    old, new, plan = new_key(), new_key(), home / "plan.json"
    hold(home, "one", old)
    hosts = fleet(home, one={"token_file_remove_after_registration": True})
    assert rotate(controller, hosts, new, "--check", plan_file=plan, secrets=(old,)).returncode == 0
    (home / "one" / MARKER).parent.mkdir(parents=True)
    (home / "one" / MARKER).touch()
    run = rotate(controller, hosts, new, plan_file=plan, secrets=(old,))
    assert run.returncode == 2 and summaries(run)[0][1] == "  changed since the plan, left untouched: 1 (one)"
    assert tokens(home) == {"one": old}


def test_a_source_on_demand_is_asked_for_nodes_that_are_not_registered(controller: Controller, home: Path) -> None:
    old, new, plan = new_key(), new_key(), home / "plan.json"
    own = {"expanso_edge_token_on_demand": True, "expanso_edge_token": f"{{{{ lookup('once', '{home}/' ~ inventory_hostname ~ '.asked', '{new}') }}}}"}
    hosts = fleet(home, one=own, member=own)
    hold(home, "one", old)
    hold(home, "member", old, registered=True)
    run = controller.run(ROTATE, "--check", "-e", f"expanso_edge_plan_file={plan}", hosts=hosts, secrets=(old, new))
    assert run.returncode == 0, run.output
    assert "a token that is not known before its source is asked: 1 (one)" in summaries(run)[0][3] and not list(home.glob("*.asked"))
    run = controller.run(ROTATE, "-e", f"expanso_edge_plan_file={plan}", hosts=hosts, secrets=(old, new))
    assert run.returncode == 0, run.output
    assert tokens(home) == {"one": new, "member": old}
    assert [path.name for path in home.glob("*.asked")] == ["one.asked"] and (home / "one.asked").read_text() == "asked\n"


def test_with_every_core(every_core: Controller, home: Path) -> None:
    old, new, plan = new_key(), new_key(), home / "plan.json"
    hold(home, "one", old)
    hosts = fleet(home, one={}, two={}, three={})
    planned = rotate(every_core, hosts, new, "--check", plan_file=plan, plan_artifact=True, secrets=(old,))
    assert planned.returncode == 0 and planned.artifacts["expanso_edge_plan"] == json.loads(plan.read_text()), planned.output
    artifacts = every_core.write("artifacts.json", planned.artifacts)
    run = rotate(every_core, hosts, new, "-e", f"@{artifacts}", canary="34%", serial=1, secrets=(old,))
    assert run.returncode == 0 and len(summaries(run)) == 3, run.output
    assert (run.published["outcomes"], run.published["waiting"]) == ({"first_token": 2, "rotated": 1}, 3)
    assert set(tokens(home).values()) == {new} and len(tokens(home)) == 3
