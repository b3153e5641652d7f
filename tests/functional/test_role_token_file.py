# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role token_file: a fleet of nodes in different states, the ways that Ansible can run it, twice over."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_runs import TOKEN_VARIABLE, Controller, Json, Run
from control_plane import ControlPlane, new_jwt, new_key
from files import File, file, tree

TASK = "Bring the token file to its state"

# What each node is told, besides where its files are.
NODES: dict[str, Json] = {
    "blank": {},
    "keeps": {},
    "outdated": {},
    "open": {},
    "linked": {},
    "registered": {},
    "own": {"expanso_edge_token": "{{ jwt }}"},
    "private": {"token_file_directory_mode": "0700", "token_file_mode": "0400"},
    "retired": {"token_file_state": "absent"},
    "registers": {"token_file_register": True},
    "lets_go": {"token_file_register": True, "token_file_remove_after_registration": True},
    "let_go": {"token_file_register": True, "token_file_remove_after_registration": True},
    "refused": {"token_file_register": True, "expanso_edge_token": "{{ unknown }}"},
    "mistaken": {"token_file_state": "installed"},
    "strict": {"token_file_strict": True, "expanso_edge_token": "{{ opaque }}"},
}
# "keeps" was given its token before there were enrolment records
CHANGED = {"blank", "keeps", "outdated", "open", "own", "private", "retired", "registers", "lets_go", "let_go"}
FAILED = {"linked", "refused", "mistaken", "strict"}


@dataclass(frozen=True)
class Fleet:
    """The nodes, their tokens, and what three runs made of them."""

    place: Path
    key: str
    jwt: str
    unknown: str
    plane: ControlPlane
    before: dict[str, File]
    after_check: dict[str, File]
    after: dict[str, File]
    after_again: dict[str, File]
    check: Run | None
    real: Run
    again: Run

    def token(self, node: str) -> Path:
        """A node's token file."""
        return self.place / node / "etc" / "bootstrap.token"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param({"strategy": "linear", "ANSIBLE_PIPELINING": "1", "ANSIBLE_INJECT_FACT_VARS": "0"}, id="linear, pipelined"),
        pytest.param({"strategy": "free", "ANSIBLE_PIPELINING": "0", "ANSIBLE_INJECT_FACT_VARS": "1"}, id="free, not pipelined, facts injected"),
    ],
)
def fleet(request: pytest.FixtureRequest, controller: Controller, place: Path, agent: Path) -> Iterator[Fleet]:
    settings = dict(request.param)
    strategy = settings.pop("strategy")
    home = place / strategy
    key, jwt, unknown, opaque = new_key(), new_jwt(), new_key(), new_key().replace("exp_bk_", "k")

    def put(node: str, content: str, mode: int = 0o600) -> None:
        path = home / node / "etc" / "bootstrap.token"
        path.parent.mkdir(parents=True)
        path.write_text(content)
        path.chmod(mode)

    put("keeps", key)
    put("outdated", new_key())
    put("open", key, 0o644)
    put("retired", key)
    put("let_go", key)
    (home / "linked" / "etc").mkdir(parents=True)
    (home / "linked" / "etc" / "bootstrap.token").symlink_to("/etc/passwd")
    for node in ("registered", "let_go"):
        marker = home / node / "data" / "auth" / "credentials.creds"
        marker.parent.mkdir(parents=True)
        marker.touch()

    environment = {**settings, TOKEN_VARIABLE: key}
    with ControlPlane() as plane:
        for token in (key, jwt):
            plane.client.add_token(token)
        hosts = {
            name: {
                "jwt": jwt,
                "unknown": unknown,
                "opaque": opaque,
                "token_file_path": f"{home}/{name}/etc/bootstrap.token",
                "token_file_owner": str(os.geteuid()),
                "token_file_group": str(os.getegid()),
                "expanso_edge_data_dir": f"{home}/{name}/data",
                "expanso_edge_binary": str(agent),
                "expanso_edge_bootstrap_url": plane.url,
                **own,
            }
            for name, own in NODES.items()
        }
        if os.geteuid() != 0:
            for variables in hosts.values():
                variables["token_file_register_user"] = str(os.geteuid())
        plays = [{"strategy": strategy, "roles": ["expanso.edge.token_file"]}]

        def run(*arguments: str) -> tuple[Run, dict[str, File]]:
            done = controller.run(plays, *arguments, hosts=hosts, environment=environment, secrets=[key, jwt, unknown, opaque])
            return done, tree(home)

        before = tree(home)
        # once is enough: how tasks are sent makes no difference to what they foresee
        check, after_check = run("--check", "--diff") if strategy == "linear" else (None, before)
        real, after = run("--diff")
        again, after_again = run()
        yield Fleet(home, key, jwt, unknown, plane, before, after_check, after, after_again, check, real, again)


def test_check_mode_foresees_and_changes_nothing(fleet: Fleet) -> None:
    if fleet.check is None:
        return
    assert fleet.after_check == fleet.before
    assert {node for node in NODES if fleet.check.recap(node)["changed"]} == CHANGED | {"refused"}
    assert {node for node in NODES if fleet.check.recap(node)["failed"]} == FAILED - {"refused"}


def test_every_node_is_brought_to_its_state(fleet: Fleet) -> None:
    assert fleet.real.returncode == 2
    assert {node for node in NODES if fleet.real.recap(node)["failed"]} == FAILED
    assert {node for node in NODES if fleet.real.recap(node)["changed"]} == CHANGED  # Ansible counts no change of a task that failed
    contents = {node: fleet.token(node).read_text() for node in NODES if fleet.token(node).is_file() and not fleet.token(node).is_symlink()}
    received = dict.fromkeys(("blank", "keeps", "outdated", "open", "private", "registers"), fleet.key)
    assert contents == {**received, "own": fleet.jwt, "refused": fleet.unknown}
    for node in contents:
        found = file(fleet.token(node))
        assert stat.S_IMODE(found.mode) == (0o400 if node == "private" else 0o600)
        assert (found.owner, found.group, found.links) == (os.geteuid(), os.getegid(), 1)
    assert stat.S_IMODE(fleet.token("private").parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(fleet.token("blank").parent.stat().st_mode) == 0o755
    assert os.readlink(fleet.token("linked")) == "/etc/passwd"


def test_results_tell_what_was_done(fleet: Fleet) -> None:
    actions = {node: fleet.real.result(TASK, node).get("action") for node in set(NODES) - {"mistaken"}}
    assert actions == {
        **dict.fromkeys(("blank", "outdated", "own", "private", "registers", "lets_go", "refused"), "written"),
        "keeps": "kept",
        "open": "repaired",
        "registered": "not_needed",
        "retired": "removed",
        "let_go": "removed",
        "linked": None,
        "strict": None,
    }
    assert "is a symbolic link" in fleet.real.result(TASK, "linked")["msg"]
    assert "strict accepts nothing else" in fleet.real.result(TASK, "strict")["msg"]
    assert "value of token_file_state must be one of" in fleet.real.output
    assert "invalid bootstrap token" in fleet.real.result(TASK, "refused")["msg"]
    assert fleet.real.result(TASK, "blank")["token_source"] == f"environment variable {TOKEN_VARIABLE} on the controller"
    assert fleet.real.result(TASK, "own")["token_source"] == "variable expanso_edge_token"


def test_the_task_returns_its_registration(fleet: Fleet) -> None:
    results = {node: fleet.real.result(TASK, node) for node in ("registers", "lets_go", "refused", "blank")}
    assert [results[node]["registered"] for node in results] == [True, True, False, False]
    assert [results[node].get("registration", {}).get("token_removed") for node in results] == [False, True, None, None]
    assert results["registers"]["msg"] == f"token written to {fleet.token('registers')}; registered" and results["refused"]["changed"]
    assert "agent_output" in results["refused"]["registration"] and "invocation" not in results["registers"]["registration"]
    assert "registration" not in fleet.again.result(TASK, "registers"), "a registered node costs a further command"


def test_nodes_register_once(fleet: Fleet) -> None:
    assert fleet.plane.client.spent(fleet.key) == 2  # registers, lets_go
    assert len(fleet.plane.client.registrations()) == 2
    for node in ("registers", "lets_go"):
        assert (fleet.place / node / "data" / "auth" / "credentials.creds").exists()
    assert not fleet.token("lets_go").exists() and not fleet.token("let_go").exists()


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    assert fleet.after_again == fleet.after
    assert {node for node in NODES if fleet.again.recap(node)["failed"]} == FAILED
    assert fleet.again.totals()["changed"] == 0


def test_no_temporary_files_are_left(fleet: Fleet, controller: Controller) -> None:
    assert [str(path) for path in controller.home.glob(".ansible/tmp/*") if path.is_dir()] == []
    assert [name for name in fleet.after if ".tmp" in name] == []


def test_a_node_without_an_agent_gets_no_token(controller: Controller, place: Path) -> None:
    token, home = new_key(), place / "no-agent"
    home.mkdir()
    variables = {
        "expanso_edge_token": token,
        "token_file_path": str(home / "etc/bootstrap.token"),
        "token_file_data_dir": str(home / "data"),
        "token_file_binary": str(home / "expanso-edge"),
        "token_file_register": True,
    }
    play = {"vars": variables, "roles": ["expanso.edge.token_file"]}
    assert controller.run([play], "--check", secrets=[token]).returncode == 0
    message = controller.run([play], secrets=[token]).result(TASK)["msg"]
    assert f"the agent {home}/expanso-edge is missing or not executable: install it first, or set option registration.binary (token_file_binary)" in message
    assert not list(home.iterdir())
    play["vars"] = {**variables, "token_file_register": False}
    assert controller.run([play], secrets=[token]).returncode == 0
    assert (home / "etc/bootstrap.token").exists()


def test_a_registration_in_one_text_is_refused_before_anything_is_done(controller: Controller, place: Path) -> None:
    token, home = new_key(), place / "one-text"
    home.mkdir()
    task = {"expanso.edge.bootstrap_token": {"path": str(home / "token"), "token": token, "data_dir": str(home), "registration": "binary=/bin/true"}}
    run = controller.run([{"tasks": [task]}], secrets=[token])
    assert run.returncode == 2 and "option registration is not a dictionary" in run.output and "Traceback" not in run.output
    assert not list(home.iterdir())
