# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role systemd_service on a node with systemd: what it costs, and what comes out of it at full verbosity.

What it does there is told by the molecule scenario of the same name.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import engine
import images
import pytest
from ansible_runs import Controller, Json, Run
from control_plane import new_key

SUPPORT = Path(__file__).resolve().parents[1] / "support"
CONTROL_PLANE = "http://127.0.0.1:8080"
ADMIN = """
import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.stdin.buffer.read() or None, {"Content-Type": "application/json"})
print(urllib.request.urlopen(request).read().decode())
"""


@dataclass(frozen=True)
class Node:
    """A container with systemd as PID 1, the stand-in agent, and a control plane of its own."""

    name: str
    docker_host: str

    def docker(self, *arguments: str, given: str = "") -> str:
        command = ["docker", "--host", self.docker_host, *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout

    def run(self, *arguments: str, given: str = "") -> str:
        return self.docker("exec", "--interactive", self.name, *arguments, given=given)

    def know(self, token: str) -> None:
        """Make a token known to the control plane."""
        self.run("python3", "-c", ADMIN, f"{CONTROL_PLANE}/admin/tokens", given=f'{{"token": "{token}"}}')


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    docker_host = engine.up()
    os.environ["DOCKER_HOST"] = docker_host  # of the images
    found = Node(f"edge-functional-{os.getpid()}", docker_host)
    options = ["--tty", "--cgroupns=private", "--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined"]
    options += [f"--tmpfs={directory}" for directory in ("/run", "/run/lock", "/tmp")]
    found.docker("run", "--detach", f"--name={found.name}", *options, images.build("systemd-trixie"))
    try:
        found.docker("cp", str(SUPPORT / "expanso-edge"), f"{found.name}:/usr/local/bin/expanso-edge")
        found.docker("cp", str(SUPPORT / "control_plane.py"), f"{found.name}:/control_plane.py")
        found.run("sh", "-c", "until systemctl is-system-running --wait; do sleep 0.5; done")
        found.run("systemd-run", "--unit=control-plane", "python3", "/control_plane.py", "--listen=127.0.0.1:8080")
        wait = f"until python3 -c \"import urllib.request; urllib.request.urlopen('{CONTROL_PLANE}/health')\" 2>/dev/null; do sleep 0.2; done"
        found.run("timeout", "30", "sh", "-c", wait)
        yield found
    finally:
        found.docker("rm", "--force", "--volumes", found.name)


@pytest.fixture(scope="module")
def docker_controller(place: Path) -> Controller:
    """The environment that has the connection to containers."""
    return Controller("test", place / "docker-controller")


def apply(controller: Controller, node: Node, *arguments: str, secrets: tuple[str, ...] = (), **variables: object) -> Run:
    """Run the role."""
    hosts: dict[str, Json] = {node.name: {"ansible_connection": "community.docker.docker"}}
    common = {"expanso_edge_bootstrap_url": CONTROL_PLANE, "expanso_edge_config_file": ""}
    plays = [{"vars": {**common, **variables}, "roles": ["expanso.edge.systemd_service"]}]
    return controller.run(plays, *arguments, hosts=hosts, environment={"DOCKER_HOST": node.docker_host}, secrets=secrets)


@pytest.mark.parametrize("delivery", ["environment_file", "encrypted_credential"])
def test_few_remote_commands_and_no_token_in_their_output(docker_controller: Controller, node: Node, delivery: str) -> None:
    token = new_key()
    node.know(token)
    given = {"expanso_edge_token": token, "systemd_service_delivery": delivery}

    blank = apply(docker_controller, node, "--check", "--diff", "-vvv", secrets=(token,), **given)
    assert (blank.returncode, blank.remote_commands(node.name)) == (0, 3), blank.output

    first = apply(docker_controller, node, "--diff", "-vvv", secrets=(token,), **given)
    assert (first.returncode, first.remote_commands(node.name)) == (0, 4), first.output
    assert first.recap(node.name)["changed"] == 3

    second = apply(docker_controller, node, "--diff", "-vvv", systemd_service_delivery=delivery)
    assert (second.returncode, second.remote_commands(node.name)) == (0, 3), second.output
    assert second.recap(node.name)["changed"] == 0

    gone = apply(docker_controller, node, "-vvv", systemd_service_state="absent", systemd_service_remove_data=True)
    assert (gone.returncode, gone.remote_commands(node.name)) == (0, 4), gone.output


@pytest.mark.parametrize("delivery", ["environment_file", "encrypted_credential"])
def test_a_registered_node_is_registered_anew_once(docker_controller: Controller, node: Node, delivery: str) -> None:
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


def test_a_failure_is_told_without_the_token_at_full_verbosity(docker_controller: Controller, node: Node) -> None:
    token = new_key()
    node.run("sh", "-c", "echo EXPANSO_EDGE_STANDIN_HOSTILE=1 > /usr/local/bin/expanso-edge.standin")
    failed = apply(docker_controller, node, "--diff", "-vvv", secrets=(token,), expanso_edge_token=token)
    assert failed.returncode == 2
    message = failed.result("Wait until the node is registered and its agent runs")["msg"]
    assert "invalid bootstrap token" in message and "********" in message
    assert failed.remote_commands(node.name) == 4
