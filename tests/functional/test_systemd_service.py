# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role systemd_service on a node with systemd: what it costs, and what comes out of it at full verbosity.

What it does there is told by the molecule scenario of the same name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_runs import Controller, Json, Run
from control_plane import new_key
from machines import CONTROL_PLANE, Machine, machine_with_agent


@pytest.fixture(scope="module")
def node() -> Iterator[Machine]:
    with machine_with_agent("trixie") as found:
        yield found


@pytest.fixture(scope="module")
def docker_controller(place: Path) -> Controller:
    """The environment that has the connection to containers."""
    return Controller("test", place / "docker-controller")


def apply(controller: Controller, node: Machine, *arguments: str, secrets: tuple[str, ...] = (), **variables: object) -> Run:
    """Run the role."""
    hosts: dict[str, Json] = {node.name: {"ansible_connection": "community.docker.docker"}}
    common = {"expanso_edge_bootstrap_url": CONTROL_PLANE, "expanso_edge_config_file": ""}
    plays = [{"vars": {**common, **variables}, "roles": ["expanso.edge.systemd_service"]}]
    return controller.run(plays, *arguments, hosts=hosts, environment={"DOCKER_HOST": node.docker_host}, secrets=secrets)


@pytest.mark.parametrize("delivery", ["environment_file", "encrypted_credential"])
def test_few_remote_commands_and_no_token_in_their_output(docker_controller: Controller, node: Machine, delivery: str) -> None:
    token = new_key()
    node.know(token)
    given = {"expanso_edge_token": token, "systemd_service_delivery": delivery}

    blank = apply(docker_controller, node, "--check", "--diff", "-vvv", secrets=(token,), **given)
    assert (blank.returncode, blank.remote_commands(node.name)) == (0, 3), blank.output

    first = apply(docker_controller, node, "--diff", "-vvv", secrets=(token,), **given)
    assert (first.returncode, first.remote_commands(node.name)) == (0, 4), first.output
    assert first.recap(node.name)["changed"] == 3

    second = apply(docker_controller, node, "--diff", "-vvv", systemd_service_delivery=delivery)
    assert (second.returncode, second.remote_commands(node.name)) == (0, 2), second.output
    assert second.recap(node.name)["changed"] == 0

    for command in ("stop", "disable"):
        node.run("systemctl", "--quiet", command, "expanso-edge")
        restored = apply(docker_controller, node, systemd_service_delivery=delivery)
        assert (restored.returncode, restored.recap(node.name)["changed"]) == (0, 1), restored.output
    assert node.run("systemctl", "is-active", "expanso-edge") + node.run("systemctl", "is-enabled", "expanso-edge") == "active\nenabled\n"

    gone = apply(docker_controller, node, "-vvv", systemd_service_state="absent", systemd_service_remove_data=True)
    assert (gone.returncode, gone.remote_commands(node.name)) == (0, 4), gone.output


@pytest.mark.parametrize("delivery", ["environment_file", "encrypted_credential"])
def test_a_registered_node_is_registered_anew_once(docker_controller: Controller, node: Machine, delivery: str) -> None:
    """Its agent runs before and afterwards, and where the control plane refuses the token."""
    first, second, unknown = new_key(), new_key(), new_key()
    for token in (first, second):
        node.know(token)
    creds, secrets = "/var/lib/expanso/edge/auth/credentials.creds", (first, second, unknown)
    common = {"systemd_service_delivery": delivery, "systemd_service_reregister": True}
    assert apply(docker_controller, node, secrets=secrets, expanso_edge_token=first, **common).returncode == 0
    former = node.run("cat", creds)

    refused = apply(docker_controller, node, secrets=secrets, expanso_edge_token=unknown, **common)
    assert refused.returncode == 2 and "the files of the former identity are still there, unchanged" in refused.output
    assert node.run("cat", creds) == former and node.run("systemctl", "is-active", "expanso-edge") == "active\n"

    anew = apply(docker_controller, node, secrets=secrets, expanso_edge_token=second, **common)
    assert anew.returncode == 0, anew.output
    identity = node.run("cat", creds)
    assert identity != former and node.run("systemctl", "is-active", "expanso-edge") == "active\n"

    again = apply(docker_controller, node, secrets=secrets, expanso_edge_token=second, **common)
    assert (again.returncode, again.recap(node.name)["changed"]) == (0, 0), again.output
    assert node.run("cat", creds) == identity
    apply(docker_controller, node, systemd_service_state="absent", systemd_service_remove_data=True)


def test_false_on_the_command_line(docker_controller: Controller, node: Machine) -> None:
    """Values of `-e name=value` are texts, and the text `false` is not empty."""
    token, texts = new_key(), ["-e", "systemd_service_delivery=environment_file systemd_service_remove_token=false systemd_service_enabled=no"]
    node.know(token)
    for changed in (3, 0):
        run = apply(docker_controller, node, *texts, secrets=(token,), expanso_edge_token=token)
        assert (run.returncode, run.recap(node.name)["changed"]) == (0, changed), run.output
        assert node.run("cat", "/etc/expanso/bootstrap.env") == f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={token}\n"
    assert node.run("sh", "-c", "systemctl is-enabled expanso-edge || true") == "disabled\n"
    apply(docker_controller, node, systemd_service_state="absent", systemd_service_remove_data=True)


def test_a_failure_is_told_without_the_token_at_full_verbosity(docker_controller: Controller, node: Machine) -> None:
    token = new_key()
    node.run("sh", "-c", "echo EXPANSO_EDGE_STANDIN_HOSTILE=1 > /usr/local/bin/expanso-edge.standin")
    failed = apply(docker_controller, node, "--diff", "-vvv", secrets=(token,), expanso_edge_token=token)
    assert failed.returncode == 2
    message = failed.result("Wait until the node is registered and its agent runs")["msg"]
    assert "invalid bootstrap token" in message and "********" in message
    assert failed.remote_commands(node.name) == 4
