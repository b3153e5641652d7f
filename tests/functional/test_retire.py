# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook expanso.edge.retire: which tokens it removes from a fleet, and what it says of the others."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_runs import Controller, Json, Run, local_node
from control_plane import new_jwt, new_key

RETIRE = "expanso.edge.retire"
REVOKE = "next: a removed token stays valid until it is revoked in Expanso Cloud, on the workspace's Keys page"


def node(home: Path, name: str, registered: bool = False, **own: Json) -> Json:
    """A node whose files are below the home."""
    data = home / name / "data"
    data.mkdir(parents=True)
    if registered:
        (data / "identity").touch()
    systemd = {
        "systemd_service_environment_file": f"{home}/{name}/bootstrap.env",
        "systemd_service_credential_file": f"{home}/{name}/credential",
        "systemd_service_encrypted_credential_file": f"{home}/{name}/encrypted",
    }
    return local_node(home, name, **{**systemd, **own})


def put(home: Path, **texts: str) -> None:
    """Put texts into files: of node one, file token, as ``one_token``."""
    names = {"token": "bootstrap.token", "env": "bootstrap.env", "credential": "credential"}
    for key, text in texts.items():
        name, _sign, kind = key.partition("_")
        (home / name / names[kind]).write_text(f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={text}\n" if kind == "env" else text)


def held(home: Path) -> set[str]:
    """The files of tokens that there are."""
    return {f"{path.parent.name}/{path.name}" for name in ("bootstrap.*", "credential", "encrypted") for path in home.glob(f"*/{name}")}


def summary(run: Run) -> list[str]:
    lines: list[str] = run.result("Show the summary")["msg"]
    return lines


def test_tokens_that_are_not_needed_any_more(controller: Controller, home: Path) -> None:
    key = new_key()
    systemd = {"expanso_edge_delivery": "systemd_service"}
    hosts = {
        "one": node(home, "one", registered=True),
        "two": node(home, "two", registered=True, **systemd),
        "new": node(home, "new"),
        "newer": node(home, "newer", **systemd),
        "blank": node(home, "blank"),
        "linked": node(home, "linked", registered=True),
    }
    put(home, one_token=key, two_env=key, two_credential=new_key(), new_token=key, newer_env=key)
    (home / "linked" / "bootstrap.token").symlink_to("/dev/null")
    everything = held(home)

    def run(*arguments: str) -> Run:
        return controller.run(RETIRE, *arguments, hosts=hosts, secrets=[key])

    outcome = ["  token removed: 2 (one, two)", "  nothing to remove: 1 (blank)", "  still held, because not registered: 2 (new, newer)"]
    failure = f"    linked: {home}/linked/bootstrap.token is a symbolic link, which is not followed: remove it, or name the file itself"
    stay = "next: 2 nodes still hold a token (new, newer): let them register, or remove it with -e expanso_edge_retire_all=true"
    check = run("--check", "--diff")
    assert summary(check) == ["6 nodes; check mode: this is what would be done", *outcome, "  failed: 1 (linked)", failure, stay]
    assert held(home) == everything
    real = run("-vvv")
    assert summary(real) == ["6 nodes", *outcome, "  failed: 1 (linked)", failure, stay, REVOKE]
    assert held(home) == {"new/bootstrap.token", "newer/bootstrap.env", "linked/bootstrap.token"}
    assert check.published == {**real.published, "check_mode": True}
    assert real.published == {
        "playbook": "retire", "check_mode": False, "nodes": 6, "outcomes": {"absent": 1, "kept": 2, "removed": 2}, "failed": 1, "failed_hosts": ["linked"],
        "unreachable": 0, "waiting": 2, "labels": [],
    }  # fmt: skip
    assert real.returncode == 2 and real.totals()["failed"] == 1
    assert (real.remote_commands("one"), real.remote_commands("new")) == (2, 1)  # it looks again where it removed something

    del hosts["linked"]
    everywhere = run("-e", "expanso_edge_retire_all=true")
    assert summary(everywhere) == ["5 nodes", "  token removed: 2 (new, newer)", "  nothing to remove: 3 (one, two, blank)", REVOKE]
    again = run("-e", "expanso_edge_retire_all=true")
    assert (again.returncode, again.totals()["changed"], summary(again)[1:]) == (0, 0, ["  nothing to remove: 5 (one, two, new, newer, blank)"])


def test_one_token_wherever_it_is(controller: Controller, home: Path) -> None:
    leaked, other = new_jwt(), new_key()
    mark = hashlib.sha256(b"expanso.edge bootstrap token\0" + leaked.encode()).hexdigest()[:12]
    hosts = {
        "one": node(home, "one", registered=True),
        "two": node(home, "two"),
        "other": node(home, "other", registered=True),
        "blank": node(home, "blank"),
        "down": node(home, "down", ansible_connection="nowhere"),
    }
    put(home, one_token=leaked, one_env=other, two_credential=leaked, two_token=other, other_token=other)

    def run(given: str) -> Run:
        return controller.run(RETIRE, "-e", f"expanso_edge_fingerprint={given}", "-e", "expanso_edge_serial=1", hosts=hosts, secrets=[leaked, other])

    def lines() -> list[str]:
        audit = f"ansible-playbook expanso.edge.audit -e expanso_edge_fingerprint={mark}"
        return [
            f"next: copies in other places, such as shell histories, are not removed: find them with {audit}",
            "next: revoke the token in Expanso Cloud, on the workspace's Keys page: until then anyone who has it can register a node",
        ]

    first = run(mark)
    assert summary(first) == [
        f"5 nodes, token {mark}",
        "  token removed: 2 (one, two)",
        "  nothing to remove: 1 (blank)",
        "  holds another token, which stays: 3 (one, two, other)",
        "  not reached, so unknown: 1 (down)",
        "    down: the host cannot be reached: this host is down",
        "the token may still be held by 1 node (down): correct what failed, and run this again",
        *lines(),
    ]
    assert held(home) == {"one/bootstrap.env", "two/bootstrap.token", "other/bootstrap.token"}
    assert first.returncode == 2 and first.published["unreachable"] == 1
    del hosts["down"]
    second = run(mark.upper())
    assert (second.returncode, second.totals()["changed"]) == (0, 0)
    assert summary(second)[-3:] == ["the token is gone from its usual place on all nodes that were asked", *lines()]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-e", "expanso_edge_fingerprint=exp_bk_0123456789ab"], "expanso_edge_fingerprint is not a fingerprint"),
        (["-e", '{"expanso_edge_fingerprint": ["0123456789ab"]}'], "expanso_edge_fingerprint is a list"),
        (["-e", "expanso_edge_hosts=nobody"], "the pattern nobody matches no host"),
    ],
)
def test_what_it_refuses(controller: Controller, home: Path, arguments: list[str], says: str) -> None:
    run = controller.run(RETIRE, *arguments, "-vvv", hosts={"one": node(home, "one")})
    [failed] = [event for event in run.events if event["outcome"] == "failed"]
    assert run.returncode == 2 and says in failed["result"]["msg"]
    assert run.remote_commands("one") == 0
