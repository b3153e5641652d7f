# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds after every run of the role: where the secret is, how the agents see it, and where no token may be found.

Run after the role has converged, after a rotation, and once the secret has gone: what is asked of the secret in a container
is asked where the swarm holds one.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

SCENARIO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(SCENARIO), str(SCENARIO.parents[1] / "tests" / "leak")]

import canary
from inventory import STATE, control_plane_url

WORKERS = ("worker1", "worker2")
NODES = ("manager", *WORKERS)
IN_CONTAINER = "/run/secrets/expanso_bootstrap_token"
DATA_DIR = "/var/lib/expanso/edge"


def node(name: str) -> Host:
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={SCENARIO / 'inventory.py'}")


@pytest.fixture(scope="module")
def snapshot() -> dict[str, Any]:
    """What the Docker SDK tells on the manager, and what the control plane has counted."""
    script = (SCENARIO / "tasks" / "snapshot.py").read_text(encoding="utf-8")
    return json.loads(node("manager").check_output("python3 -c %s %s", script, control_plane_url()))


@pytest.fixture(scope="module")
def token() -> str:
    """The token that counts."""
    return (STATE / "token").read_text(encoding="ascii")


@pytest.fixture(scope="module")
def needles() -> list[str]:
    """What gives away any token of the scenario, in every form in which one could be read. No code of the collection decides that."""
    tokens = (STATE / "tokens").read_text(encoding="ascii").split()
    assert tokens
    found = {needle for token in tokens for _form, needle in canary.needles(canary.Canary(token, (token[len("exp_bk_") :],)))}
    return sorted(needle.decode("ascii") for needle in found if b"\0" not in needle)  # grep takes no UTF-16


def found(text: str, needles: list[str]) -> list[int]:
    """Which of the needles are in a text; never the needles themselves, for this is printed."""
    return [number for number, needle in enumerate(needles) if needle in text]


def in_task(worker: Host, command: str) -> str:
    """Run a command in the agent's container on a node."""
    container = worker.check_output("docker ps --quiet --filter label=com.docker.swarm.service.name=expanso-edge")
    assert len(container.split()) == 1, "the node does not run exactly one task"
    return worker.check_output("docker exec %s /bin/sh -c %s", container, command)


def test_a_task_runs_on_each_worker(snapshot: dict[str, Any]) -> None:
    tasks = snapshot["tasks"].values()
    assert sorted((task["node"], task["state"]) for task in tasks) == [(name, "running") for name in WORKERS]


def test_one_version_is_left_and_the_service_uses_it(snapshot: dict[str, Any]) -> None:
    references = snapshot["services"]["expanso-edge"]["Spec"]["TaskTemplate"]["ContainerSpec"].get("Secrets") or []
    assert [reference["SecretName"] for reference in references] == list(snapshot["secrets"])
    assert len(references) <= 1


def test_the_secret_tells_its_fingerprint_and_nothing_else(snapshot: dict[str, Any], token: str) -> None:
    from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint

    for labels in snapshot["secrets"].values():
        assert sorted(labels) == ["io.expanso.edge.enrolment", "io.expanso.edge.fingerprint"]
        assert labels["io.expanso.edge.fingerprint"] == json.loads(labels["io.expanso.edge.enrolment"])["fingerprint"] == fingerprint(token)


def test_the_service_tells_its_enrolment(snapshot: dict[str, Any], token: str) -> None:
    """Also where the secret was removed."""
    from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint

    record = json.loads(snapshot["services"]["expanso-edge"]["Spec"]["Labels"]["io.expanso.edge.enrolment"])
    assert (record["fingerprint"], record["delivery"]) == (fingerprint(token), "swarm")


@pytest.mark.parametrize("name", WORKERS)
def test_the_agent_reads_the_exact_bytes_and_nobody_else_can(name: str, snapshot: dict[str, Any], token: str) -> None:
    worker = node(name)
    if not snapshot["secrets"]:
        assert in_task(worker, f"ls {IN_CONTAINER} 2>&1 || true").endswith("No such file or directory")
        return
    assert in_task(worker, f"stat --format '%a %u:%g %s' {IN_CONTAINER}") == f"400 1000:1000 {len(token)}"
    assert in_task(worker, f"cat {IN_CONTAINER}") == token


@pytest.mark.parametrize("name", WORKERS)
def test_the_agent_keeps_its_identity_in_the_volume(name: str) -> None:
    worker = node(name)
    assert in_task(worker, f"stat --format '%a %U' {DATA_DIR}/auth/credentials.creds") == "600 expanso"
    folder = worker.check_output("docker volume inspect --format '{{.Mountpoint}}' expanso-edge")
    assert worker.file(f"{folder}/auth/credentials.creds").exists


def test_each_node_registered_once(snapshot: dict[str, Any]) -> None:
    counts = [count for nodes in snapshot["spent"].values() for count in nodes.items()]
    assert sorted(counts) == [(name, 1) for name in WORKERS]
    assert snapshot["refusals"] == []


@pytest.mark.parametrize("name", WORKERS)
def test_no_process_of_the_agent_has_the_token(name: str, needles: list[str]) -> None:
    processes = in_task(node(name), "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'")
    assert "EXPANSO_EDGE_BOOTSTRAP_URL=" in processes
    assert "EXPANSO_EDGE_BOOTSTRAP_TOKEN=" not in processes.replace("EXPANSO_EDGE_BOOTSTRAP_TOKEN=$(cat", "")
    assert not found(processes, needles)


@pytest.mark.parametrize("kind", ["services", "secrets", "tasks", "inspected", "events", "logs"])
def test_the_engine_tells_nobody_the_token(kind: str, snapshot: dict[str, Any], needles: list[str]) -> None:
    told = snapshot["told"][kind]
    assert told or (kind == "secrets" and not snapshot["secrets"])
    assert not found(json.dumps(told), needles)


@pytest.mark.parametrize("name", WORKERS)
def test_containers_tell_nobody_the_token(name: str, needles: list[str]) -> None:
    inspected = node(name).check_output("docker inspect $(docker ps --all --quiet)")
    assert "expanso-edge" in inspected
    assert not found(inspected, needles)


@pytest.mark.parametrize("name", NODES)
def test_no_log_of_a_node_has_the_token(name: str, needles: list[str]) -> None:
    journal = node(name).check_output("journalctl --no-pager --output cat")
    assert "level=debug" in journal, "the engine is to log all it can"
    assert not found(journal, needles)


@pytest.mark.parametrize("name", NODES)
def test_no_disk_of_a_node_has_the_token(name: str, needles: list[str]) -> None:
    """Searches the root file system and those of the engine, not the memory below /run that the secret is mounted from."""
    host = node(name)
    search = "find {} -xdev -type f -print0 | LC_ALL=C xargs -0 grep --fixed-strings --files-with-matches --file=/run/needles"
    quoted = " ".join(shlex.quote(needle) for needle in needles)
    try:
        host.check_output(f"printf '%s\\n' {quoted} | tee /run/needles > /var/tmp/needles")
        assert host.run(search.format("/var/tmp")).stdout == "/var/tmp/needles\n"  # the search does find
        host.check_output("rm /var/tmp/needles")
        assert host.run(search.format("/ /var/lib/docker /var/lib/containerd")).stdout == ""
    finally:
        host.run("rm --force /run/needles /var/tmp/needles")


def test_no_disk_of_the_controller_has_the_token(needles: list[str]) -> None:
    """Below the directories that Ansible and molecule write to it is only in the files that are its source."""
    places = [STATE, Path(os.environ.get("ANSIBLE_HOME", "~/.ansible")).expanduser()]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    with_token = [path for path in files if found(path.read_bytes().decode("utf-8", "replace"), needles)]
    assert sorted(with_token) == [STATE / "token", STATE / "tokens"]
