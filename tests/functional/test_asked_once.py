# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the source of a token is asked: at most one time for a task, and on demand only if the node needs a token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import Controller, Json, Run
from control_plane import new_key

MODULE, ROLE_TASK = "expanso.edge.bootstrap_token", "Bring the token file to its state"
HOSTS = ("new", "registered", "new_on_demand", "registered_on_demand", "absent", "failing", "failing_registered")


@dataclass(frozen=True)
class Lab:
    """One run on nodes of different states, whose tokens come from a source that answers only one time."""

    place: Path
    tokens: dict[str, str]
    run: Run

    def asked(self, host: str, case: str) -> int:
        """How often a host's source was asked for a task."""
        counter = self.place / f"{host} {case}"
        return len(counter.read_text().splitlines()) if counter.exists() else 0


def variables(place: Path, host: str, token: str) -> Json:
    source = f"{{{{ lookup('once', '{place}/' ~ inventory_hostname ~ ' ' ~ case, '{token}') }}}}"
    if host.startswith("failing"):
        source = "{{ lookup('broken', 'lookup error', 'the vault is sealed') }}"
    return {
        "expanso_edge_token": source,
        "expanso_edge_token_on_demand": "on_demand" in host,
        "expanso_edge_data_dir": f"{place}/{host}/data",
        "token_file_path": f"{place}/{host}/token",
        "token_file_state": "absent" if host == "absent" else "present",
        "ansible_async_dir": f"{place}/{host}/async",
        "case": "role",
    }


def task(case: str, only: str = "new", **more: Any) -> Json:
    """A task of the module itself, on new nodes."""
    options = {"path": "{{ token_file_path }} " + case, "data_dir": "{{ expanso_edge_data_dir }}", **more.pop("options", {})}
    return {"name": case, MODULE: options, "vars": {"case": case}, "when": f"inventory_hostname is match('{only}')", **more}


TASKS: list[Json] = [
    {"name": "role", "ansible.builtin.import_role": {"name": "expanso.edge.token_file"}, "ignore_errors": True},
    task("given", options={"token": "exp_bk_given"}),
    task("removed", options={"state": "absent"}),
    task("predicted", check_mode=True),
    task("repeated", until=False, retries=2, delay=0, ignore_errors=True, options={"mode": "0644"}),
    task("looped", options={"path": "{{ token_file_path }} {{ item }}"}, loop=["a", "b"], ignore_errors=True),
    task("in background", **{"async": 60, "poll": 1}),
    task("delegated", delegate_to="registered"),
    task("hidden", no_log=True),
]
# These run without -v, because the module shows more about a missing Python library with it.
OTHERS: list[Json] = [
    {"name": "swarm", "expanso.edge.swarm_secret": {"docker_host": "unix:///nowhere"}, "vars": {"case": "swarm"}, "ignore_errors": True},
    {
        "name": "cluster",
        "expanso.edge.k8s_secret": {"name": "token", "namespace": "edge", "host": "http://127.0.0.1:1"},
        "vars": {"case": "cluster"},
        "ignore_errors": True,
    },
]


@pytest.fixture(scope="module")
def lab(every_core: Controller, place: Path) -> Iterator[Lab]:
    home = place / f"once-{every_core.core}"
    tokens = {host: new_key() for host in HOSTS}
    for host in HOSTS:
        (home / host / "data" / "auth").mkdir(parents=True)
        if "registered" in host:
            (home / host / "data" / "auth" / "credentials.creds").write_text("x")
    hosts = {host: variables(home, host, token) for host, token in tokens.items()}
    run = every_core.run([{"tasks": TASKS}], "-vvv", hosts=hosts, secrets=tokens.values())
    new = {host: hosts[host] for host in ("new", "new_on_demand")}
    every_core.run([{"tasks": OTHERS}], hosts=new, secrets=tokens.values())
    yield Lab(home, tokens, run)


def outcomes(lab: Lab, case: str) -> dict[str, Any]:
    return {host: lab.asked(host, case) for host in ("new", "new_on_demand")}


def test_once_for_a_role(lab: Lab) -> None:
    asked = {host: lab.asked(host, "role") for host in HOSTS[:5]}
    assert asked == {"new": 1, "registered": 1, "new_on_demand": 1, "registered_on_demand": 0, "absent": 0}, lab.run.output
    for host in ("new", "new_on_demand"):
        assert lab.run.result(ROLE_TASK, host)["token_source"] == "variable expanso_edge_token"
        assert (lab.place / host / "token").read_text() == lab.tokens[host]
    assert lab.run.result(ROLE_TASK, "registered_on_demand")["action"] == "not_needed"


def test_one_remote_command_and_two_if_a_token_is_needed_on_demand(lab: Lab) -> None:
    role = lab.run.output.partition("TASK [given]")[0]
    commands = {host: role.count(f"<{host}> EXEC") for host in HOSTS[:5]}
    assert commands == {"new": 1, "registered": 1, "new_on_demand": 2, "registered_on_demand": 1, "absent": 1}


def test_a_source_that_fails_is_reported_if_a_token_is_needed(lab: Lab) -> None:
    assert lab.run.event(ROLE_TASK, "failing_registered")["outcome"] == "ok"
    failed = lab.run.result(ROLE_TASK, "failing")
    assert failed["fault"] == "missing"
    assert "variable expanso_edge_token cannot be templated: lookup broken failed: the vault is sealed" in failed["msg"]


@pytest.mark.parametrize("case", ["given", "removed"])
def test_not_asked_if_no_token_is_needed(lab: Lab, case: str) -> None:
    assert outcomes(lab, case) == {"new": 0, "new_on_demand": 0}
    assert all(lab.run.event(case, host)["outcome"] == "ok" for host in ("new", "new_on_demand"))


def test_check_mode_does_not_ask_on_demand(lab: Lab) -> None:
    assert outcomes(lab, "predicted") == {"new": 1, "new_on_demand": 0}
    predicted = lab.run.result("predicted", "new_on_demand")
    assert predicted["action"] == "written" and predicted["changed"]
    assert (predicted["fingerprint"], predicted["token_kind"]) == (None, None)
    assert "check mode did not ask" in predicted["msg"]
    assert not (lab.place / "new_on_demand" / "token predicted").exists()


def test_a_retried_task_asks_one_time(lab: Lab) -> None:
    assert outcomes(lab, "repeated") == {"new": 1, "new_on_demand": 0}  # with on demand, the node first reports what is wrong


def test_each_turn_of_a_loop_asks(lab: Lab) -> None:
    assert outcomes(lab, "looped") == {"new": 2, "new_on_demand": 2}


def test_a_task_in_the_background_asks_beforehand(lab: Lab) -> None:
    assert outcomes(lab, "in background") == {"new": 1, "new_on_demand": 1}
    assert (lab.place / "new_on_demand" / "token in background").read_text() == lab.tokens["new_on_demand"]


def test_a_delegated_task_uses_the_token_of_its_own_host(lab: Lab) -> None:
    assert outcomes(lab, "delegated") == {"new": 1, "new_on_demand": 1}
    assert {host: (lab.place / host / "token delegated").read_text() for host in ("new", "new_on_demand")} == {
        host: lab.tokens[host] for host in ("new", "new_on_demand")
    }


def test_no_log(lab: Lab) -> None:
    assert outcomes(lab, "hidden") == {"new": 1, "new_on_demand": 1}


@pytest.mark.parametrize("case", ["swarm", "cluster"])
def test_other_modules(lab: Lab, case: str) -> None:
    """In this test they fail before they need a token."""
    assert outcomes(lab, case) == {"new": 1, "new_on_demand": 0}, lab.run.output


def test_on_demand_must_be_a_boolean(controller: Controller, place: Path) -> None:
    hosts = {"node": {"expanso_edge_token": "exp_bk_a1b2c3", "expanso_edge_token_on_demand": "perhaps"}}
    run = controller.run([{"tasks": [{"name": "put", MODULE: {"path": str(place / "perhaps")}}]}], hosts=hosts)
    assert run.result("put")["msg"] == "variable expanso_edge_token_on_demand is not a boolean: set it to true or false"
