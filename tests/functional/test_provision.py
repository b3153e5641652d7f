# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook expanso.edge.provision: what it refuses, what it does to a fleet, and its summary."""

from __future__ import annotations

from pathlib import Path

import environments
import pytest
from ansible_runs import TOKEN_VARIABLE, Controller, Json, Run, local_node
from control_plane import new_jwt, new_key
from paths import collections

PROVISION = "expanso.edge.provision"
SUMMARY = "Show the summary"
DOWN = {"ansible_connection": "nowhere"}


def fleet(home: Path, **nodes: Json) -> dict[str, Json]:
    """Nodes with their variables."""
    return {name: local_node(home, name, **own) for name, own in nodes.items()}


def tokens(home: Path) -> dict[str, str]:
    """The tokens that the nodes hold."""
    return {path.parent.name: path.read_text() for path in home.glob("*/bootstrap.token")}


def summary(run: Run) -> list[str]:
    """The last summary; with serial there is one for each batch."""
    found = [event["result"]["msg"] for event in run.events if event["task"] == SUMMARY]
    assert found, run.output
    lines: list[str] = found[-1]
    return lines


def untouched(run: Run, hosts: dict[str, Json]) -> bool:
    """Whether no host was contacted. Needs verbosity 3."""
    return "PLAYBOOK: " in run.output and not any(run.remote_commands(host) for host in hosts)


def refusal(run: Run) -> str:
    """The message of the play that judges before any node is contacted."""
    failed = [event for event in run.events if event["outcome"] == "failed"]
    assert len(failed) == 1 and failed[0]["task"].startswith("Refuse a job-wide token"), run.output
    message: str = failed[0]["result"]["msg"]
    return message


NEXT = "start the agent there, or let the role do it (token_file_register, systemd_service_state)"


def test_a_fleet_in_many_states(controller: Controller, home: Path) -> None:
    key, own = new_key(), new_jwt()
    hosts = fleet(home, new1={}, new2={}, keeps={}, open={}, registered={}, retired={"token_file_state": "absent"})
    hosts.update(fleet(home, own={"expanso_edge_token": own}, linked={}, bad={"expanso_edge_token": key + " "}, down=DOWN))
    for name, mode in {"keeps": 0o600, "open": 0o666, "retired": 0o600}.items():
        path = home / name / "bootstrap.token"
        path.parent.mkdir()
        path.write_text(key)
        path.chmod(mode)
    (home / "registered" / "data").mkdir(parents=True)
    (home / "registered" / "data" / "identity").touch()
    (home / "linked").mkdir()
    (home / "linked" / "bootstrap.token").symlink_to("/dev/null")

    def run() -> Run:
        return controller.run(PROVISION, "--diff", hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key, own])

    first = run()
    failures = [
        f"    linked: {home}/linked/bootstrap.token is a symbolic link, which is not followed: remove it, or name the file itself",
        f"    bad: {home}/bad/bootstrap.token: the token cannot be used: it has white space at its end (space, character {len(key) + 1}); give the token alone "
        "(source: variable expanso_edge_token)",
        "    down: the host cannot be reached: this host is down",
    ]
    assert summary(first) == [
        "10 nodes",
        "  received a token: 3 (new1, new2, own)",
        "  held the token already, permissions corrected: 1 (open)",
        "  token removed: 1 (retired)",
        "  held the token already: 1 (keeps)",
        "  already registered: 1 (registered)",
        "  failed: 3 (linked, bad, down)",
        *failures,
        "next: 5 nodes hold a token and are not registered (new1, new2, keeps, open, own): " + NEXT,
    ]
    assert first.returncode == 2
    assert (first.totals()["failed"], first.totals()["unreachable"]) == (3, 0)
    assert first.published == {
        "playbook": "provision", "check_mode": False, "nodes": 10, "outcomes": {"kept": 1, "not_needed": 1, "removed": 1, "repaired": 1, "written": 3},
        "failed": 2, "failed_hosts": ["linked", "bad"], "unreachable": 1, "waiting": 5, "labels": [],
    }  # fmt: skip
    assert tokens(home) == {"new1": key, "new2": key, "keeps": key, "open": key, "own": own, "linked": ""}
    for name in ("new1", "open"):
        assert (home / name / "bootstrap.token").stat().st_mode & 0o777 == 0o600

    second = run()
    assert summary(second) == [
        "10 nodes",
        "  held the token already: 5 (new1, new2, keeps, open, own)",
        "  no token to remove: 1 (retired)",
        "  already registered: 1 (registered)",
        "  failed: 3 (linked, bad, down)",
        *failures,
        "next: 5 nodes hold a token and are not registered (new1, new2, keeps, open, own): " + NEXT,
    ]
    assert second.totals()["changed"] == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("api key", f"environment variable {TOKEN_VARIABLE} on the controller: it is an API key"),
        ("line feed", "it has a line break at its end (line feed, character "),
        ("missing file", "cannot read file /nowhere on the controller (variable expanso_edge_token_file): No such file or directory"),
        ("two sources", "hold different tokens: unset one of them"),
    ],
)
def test_a_bad_job_wide_token_is_refused_before_any_host_is_contacted(name: str, says: str, controller: Controller, home: Path) -> None:
    key = new_key()
    token = {"api key": key.replace("exp_bk_", "exp_ak_"), "line feed": key + "\n", "missing file": "", "two sources": key}[name]
    hosts = fleet(home, one={}, two={}, own={"expanso_edge_token": new_key()})
    arguments = ["-vvv"]
    if name in ("missing file", "two sources"):
        arguments += ["-e", f"expanso_edge_token_file={'/nowhere' if name == 'missing file' else home / 'file'}"]
        (home / "file").write_text(new_key())
    run = controller.run(PROVISION, *arguments, hosts=hosts, environment={TOKEN_VARIABLE: token}, secrets=filter(None, [token, key]))
    assert run.returncode == 2
    assert says in refusal(run)
    assert untouched(run, hosts) and tokens(home) == {}


def test_a_registered_node_ignores_its_own_bad_token_but_not_that_of_the_job(controller: Controller, home: Path) -> None:
    """Before any node is contacted, the playbook cannot know that all of them are registered."""
    api_key = new_key().replace("exp_bk_", "exp_ak_")
    (home / "one" / "data").mkdir(parents=True)
    (home / "one" / "data" / "identity").touch()

    run = controller.run(PROVISION, hosts=fleet(home, one={"expanso_edge_token": api_key}), secrets=[api_key])
    assert run.returncode == 0, run.output
    assert summary(run) == ["1 node", "  already registered: 1 (one)"]

    run = controller.run(PROVISION, hosts=fleet(home, one={}), environment={TOKEN_VARIABLE: api_key}, secrets=[api_key])
    assert run.returncode == 2
    assert "it is an API key" in refusal(run)


def test_a_jwt_for_two_hosts_is_refused_before_any_host_is_contacted(controller: Controller, home: Path) -> None:
    jwt, shared = new_jwt(), new_jwt()
    hosts = fleet(home, one={}, two={}, three={"expanso_edge_token": shared}, four={"expanso_edge_token": shared})
    secrets = {"environment": {TOKEN_VARIABLE: jwt}, "secrets": [jwt, shared]}
    run = controller.run(PROVISION, "-vvv", hosts=hosts, **secrets)
    assert run.returncode == 2
    assert "is meant for 2 hosts (one, two): give each its own in variable expanso_edge_token" in refusal(run)
    assert "is meant for 2 hosts (three, four)" in refusal(run)
    assert untouched(run, hosts) and tokens(home) == {}

    run = controller.run(PROVISION, "--limit", "one,three", hosts=hosts, **secrets)
    assert run.returncode == 0, run.output
    assert tokens(home) == {"one": jwt, "three": shared}
    assert summary(run)[:2] == ["2 nodes", "  received a token: 2 (one, three)"]


def test_a_missing_token_is_refused_if_it_is_needed(controller: Controller, home: Path) -> None:
    (home / "registered" / "data").mkdir(parents=True)
    (home / "registered" / "data" / "identity").touch()
    run = controller.run(PROVISION, hosts=fleet(home, blank={}, registered={}))
    lines = summary(run)
    assert run.returncode == 2 and tokens(home) == {}
    assert lines[:3] == ["2 nodes", "  already registered: 1 (registered)", "  failed: 1 (blank)"]
    assert "this node is not registered and no token was given for it: looked at variable expanso_edge_token, " in lines[3]
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("share", "reached"),
    [pytest.param(0, ["first"], id="stops"), pytest.param(50, ["first", "third", "fourth"], id="goes-on")],
)
def test_batches(share: int, reached: list[str], controller: Controller, home: Path) -> None:
    """One of the first two hosts fails. Whether the others are processed depends on the share that may fail."""
    key = new_key()
    hosts = fleet(home, first={}, second={"token_file_mode": "0666"}, third={}, fourth={})
    arguments = ["-e", "expanso_edge_serial=2", "-e", f"expanso_edge_max_fail_percentage={share}"]
    run = controller.run(PROVISION, *arguments, hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key])
    assert run.returncode == 2
    assert tokens(home) == dict.fromkeys(reached, key)
    waiting = ["  no result (unreachable, in a later batch, or skipped by tags): 2 (third, fourth)"] if share == 0 else []
    lines = summary(run)
    assert lines[:3] == ["4 nodes", f"  received a token: {len(reached)} ({', '.join(reached)})", "  failed: 1 (second)"]
    assert "option mode (token_file_mode): 0666 is not possible here" in lines[3]
    assert lines[4 : 4 + len(waiting)] == waiting
    assert lines[-1].startswith("next: ")


def test_all_fail(controller: Controller, home: Path) -> None:
    key = new_key()
    hosts = fleet(home, one={"token_file_mode": "0666"}, two={"token_file_owner": "no-such-account"})
    run = controller.run(PROVISION, hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key])
    assert run.returncode == 2 and tokens(home) == {}
    lines = summary(run)
    assert lines[:2] == ["2 nodes", "  failed: 2 (one, two)"]
    assert "option mode (token_file_mode): 0666" in lines[2] and "option owner (token_file_owner): there is no account 'no-such-account'" in lines[3]
    assert run.totals()["failed"] == 2


@pytest.mark.parametrize("delivery", ["token_file", "systemd_service", "swarm_secret"])
@pytest.mark.parametrize("serial", ["100%", "1"])
def test_all_are_down(delivery: str, serial: str, controller: Controller, home: Path) -> None:
    """Without the collection's action, Ansible would end the play at once, before the summary."""
    key = new_key()
    own: Json = {**DOWN, "expanso_edge_delivery": delivery, "swarm_secret_manager": "one"}
    arguments = ["-e", f"expanso_edge_serial={serial}"]
    environment = {TOKEN_VARIABLE: key, "ANSIBLE_COLLECTIONS_PATH": f"{collections()}:{environments.dependencies()}"}  # a swarm needs community.docker
    run = controller.run(PROVISION, *arguments, hosts=fleet(home, one=own, two=own), environment=environment, secrets=[key])
    assert run.returncode == 2 and run.totals()["failed"] >= 1
    lines = summary(run)
    assert lines[0] == "2 nodes" and lines[1].startswith("  failed: ")
    assert "one" in lines[2] and "the host cannot be reached: this host is down" in lines[2]
    # the result is about all hosts, whatever batch published it. Ansible stops after a batch of which nothing is left.
    result = run.published
    assert (result["nodes"], result["unreachable"] + result["failed"], result["outcomes"]) == ((2, 1, {"no_result": 1}) if serial == "1" else (2, 2, {}))


def test_a_host_that_is_down_is_reported_with_every_core(every_core: Controller, home: Path) -> None:
    key = new_key()
    run = every_core.run(PROVISION, hosts=fleet(home, up={}, off=DOWN), environment={TOKEN_VARIABLE: key}, secrets=[key])
    assert summary(run)[1:4] == [
        "  received a token: 1 (up)",
        "  failed: 1 (off)",
        "    off: the host cannot be reached: this host is down",
    ]
    assert run.returncode == 2
    assert (run.published["outcomes"], run.published["unreachable"], run.published["waiting"]) == ({"written": 1}, 1, 1)


def test_variables_of_the_playbook(controller: Controller, home: Path) -> None:
    """Which hosts, and which deliveries, as a list too."""
    key = new_key()
    hosts = fleet(home, chosen={"expanso_edge_delivery": ["token_file"], "expanso_edge_token_label": "fleet 7"}, other={})
    environment: dict[str, str] = {TOKEN_VARIABLE: key}
    run = controller.run(PROVISION, "-e", "expanso_edge_hosts=chosen", hosts=hosts, environment=environment, secrets=[key])
    assert run.returncode == 0, run.output
    assert tokens(home) == {"chosen": key}
    assert summary(run) == [
        "1 node, token label fleet 7",
        "  received a token: 1 (chosen)",
        "next: 1 node holds a token and is not registered (chosen): " + NEXT,
    ]
    assert (run.published["nodes"], run.published["labels"]) == (1, ["fleet 7"])


def test_check_mode_on_blank_nodes(controller: Controller, home: Path) -> None:
    key = new_key()
    hosts = fleet(home, one={}, two={"token_file_owner": "no-such-account"})
    run = controller.run(PROVISION, "--check", "--diff", hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key])
    assert run.returncode == 0, run.output
    assert summary(run) == ["2 nodes; check mode: this is what would be done", "  received a token: 2 (one, two)"]
    assert (run.published["check_mode"], run.published["outcomes"]) == (True, {"written": 2})
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "group", "says"),
    [
        pytest.param([], "web", "the pattern expanso_edge matches no host of this inventory: put the nodes into the group expanso_edge", id="no group"),
        pytest.param(["-e", "expanso_edge_hosts=nowhere"], "expanso_edge", "the pattern nowhere matches no host of this inventory:", id="unknown"),
        pytest.param(["--limit", "other"], "web", "the pattern expanso_edge matches no host of this inventory within the limit other:", id="limit"),
        pytest.param(["--tags", "x"], "web", "the pattern expanso_edge matches no host", id="tags"),
    ],
)
def test_a_pattern_without_hosts_fails(arguments: list[str], group: str, says: str, controller: Controller, home: Path) -> None:
    key = new_key()
    hosts = fleet(home, one={}, other={})
    run = controller.run(PROVISION, *arguments, hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key], group=group)
    assert run.returncode == 2, run.output
    assert says in run.output
    assert tokens(home) == {}


def test_a_host_outside_of_the_group_gets_no_token(controller: Controller, home: Path) -> None:
    """Hosts are chosen only by the pattern."""
    key = new_key()
    run = controller.run(
        PROVISION, "-e", "expanso_edge_hosts=edge*:!edge2", hosts=fleet(home, web={}, edge1={}, edge2={}), environment={TOKEN_VARIABLE: key}, secrets=[key]
    )
    assert run.returncode == 0, run.output
    assert tokens(home) == {"edge1": key}


def test_tags_that_skip_everything_are_noticed(controller: Controller, home: Path) -> None:
    key = new_key()
    run = controller.run(PROVISION, "--tags", "nothing", hosts=fleet(home, one={}), environment={TOKEN_VARIABLE: key}, secrets=[key])
    assert tokens(home) == {}
    assert "  no result (unreachable, in a later batch, or skipped by tags): 1 (one)" in summary(run)


def imported(**variables: object) -> list[Json]:
    """A playbook that imports ours and gives it variables."""
    return [{"import_playbook": PROVISION, "vars": variables}]


def test_variables_of_an_import_count(controller: Controller, home: Path) -> None:
    key = new_key()
    hosts = fleet(home, one={}, two={"expanso_edge_token_label": "of the inventory"})
    run = controller.run(imported(expanso_edge_token=key, expanso_edge_token_label="spring", expanso_edge_delivery=["token_file"]), hosts=hosts, secrets=[key])
    assert run.returncode == 0, run.output
    assert tokens(home) == {"one": key, "two": key}
    assert summary(run)[:2] == ["2 nodes, token label spring", "  received a token: 2 (one, two)"]


@pytest.mark.parametrize("name", ["expanso_edge_hosts", "expanso_edge_serial", "expanso_edge_canary", "expanso_edge_max_fail_percentage"])
def test_what_has_no_effect_in_an_inventory_is_refused(name: str, controller: Controller, home: Path) -> None:
    """Otherwise a pattern would end green without a node that received a token, and batches would be larger than they were meant to be."""
    key, value = new_key(), "one:two" if name == "expanso_edge_hosts" else 1
    first = name == "expanso_edge_hosts"  # the playbook does not know yet which hosts are meant
    hosts = fleet(home, one={name: value} if first else {}, two={name: value})
    given = {"hosts": hosts, "environment": {TOKEN_VARIABLE: key}, "secrets": [key], "group": "web" if first else "expanso_edge"}
    refused = controller.run(PROVISION, **given)
    assert refused.returncode == 2 and tokens(home) == {}, refused.output
    assert f"the inventory sets {name}, which has no effect there" in refused.output
    if not first:
        assert controller.run(PROVISION, "--limit", "one", **given).returncode == 0


def test_what_counts_may_stand_in_the_inventory_too(every_core: Controller, home: Path) -> None:
    key, hosts = new_key(), fleet(home, one={"expanso_edge_serial": 5}, two={"expanso_edge_serial": 5})
    given = {"hosts": hosts, "environment": {TOKEN_VARIABLE: key}, "secrets": [key]}
    assert every_core.run(PROVISION, **given).returncode == 2 and tokens(home) == {}
    assert every_core.run(imported(expanso_edge_serial=1), "--limit", "one", **given).returncode == 0 and tokens(home) == {"one": key}
    assert every_core.run(PROVISION, "-e", "expanso_edge_serial=5", **given).returncode == 0 and tokens(home) == {"one": key, "two": key}


@pytest.mark.parametrize("given", ["{token}", "{{{{ held }}}}"])
def test_a_single_use_token_of_an_import_is_refused_for_two(given: str, every_core: Controller, home: Path) -> None:
    jwt = new_jwt()
    hosts = fleet(home, one={"held": jwt}, two={"held": jwt})
    run = every_core.run(imported(expanso_edge_token=given.format(token=jwt)), "-vvv", hosts=hosts, secrets=[jwt])
    assert run.returncode == 2
    assert "is meant for 2 hosts (one, two)" in refusal(run)
    assert untouched(run, hosts)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("expanso_edge_token", "exp_ak_8f7e6d5c4b3a2918", "it is an API key"),
        ("expanso_edge_token_file", "/nowhere", "cannot read file /nowhere on the controller"),
        ("expanso_edge_delivery", "by post", "must name one or more of token_file"),
    ],
)
def test_what_an_import_gives_is_judged_beforehand(name: str, value: str, says: str, controller: Controller, home: Path) -> None:
    hosts = fleet(home, one={}, two={})
    run = controller.run(imported(**{name: value}), "-vvv", hosts=hosts)
    assert run.returncode == 2
    assert says in refusal(run)
    assert untouched(run, hosts)


def test_a_placeholder_in_group_variables_is_reported_one_time_before_any_host_is_contacted(controller: Controller, home: Path) -> None:
    hosts = fleet(home, **{f"n{number}": {"expanso_edge_token": "exp_bk_xxxxxxxxxxxx"} for number in range(12)})
    run = controller.run(PROVISION, "-vvv", hosts=hosts)
    assert run.returncode == 2
    assert "it is a placeholder" in refusal(run) and "on 12 hosts: n0, " in refusal(run)
    assert untouched(run, hosts)
    assert run.output.count("it is a placeholder") <= 2


def test_any_errors_fatal_of_the_configuration_concerns_no_node(controller: Controller, home: Path) -> None:
    key = new_key()
    hosts = fleet(home, good={}, bad={"token_file_mode": "0666"})
    environment: dict[str, str] = {TOKEN_VARIABLE: key, "ANSIBLE_ANY_ERRORS_FATAL": "true"}
    run = controller.run(PROVISION, hosts=hosts, environment=environment, secrets=[key])
    assert summary(run)[:3] == ["2 nodes", "  received a token: 1 (good)", "  failed: 1 (bad)"]
    assert (run.recap("good")["failed"], run.recap("bad")["failed"]) == (0, 1)


def test_a_label_of_an_undefined_variable_loses_no_summary(every_core: Controller, home: Path) -> None:
    key = new_key()
    hosts = fleet(home, one={"expanso_edge_token_label": "{{ not_defined }}"})
    run = every_core.run(PROVISION, hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key])
    assert run.returncode == 0, run.output
    assert summary(run)[:2] == ["1 node", "  received a token: 1 (one)"]
