# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mixed fleet is audited three times: clean, with faults planted by hand, and with a node that is off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "fleet"
sys.path.insert(0, str(SHARED))

from control_plane import new_key
from fleet import ENVIRONMENT_FILE, SITE, TOKEN_FILE, Cluster, on, token
from inventory import CLUSTER, DELIVERIES, STATE, container
from kubernetes import client

UNKNOWN = new_key()
"""A token that no file of a delivery holds: it is recognized by its shape alone."""


class Audit(NamedTuple):
    code: int
    output: str
    report: Any

    def found(self, node: str) -> set[tuple[str, str]]:
        """Code and place of what is wrong with a node."""
        return {(each["code"], each["place"] or "") for each in self.report["findings"] if each["node"] == node and each["severity"] != "info"}


def audit() -> Audit:
    command = ["ansible-playbook", "-i", str(SHARED / "inventory.py"), "expanso.edge.audit"]
    variables = {**os.environ, "ANSIBLE_PIPELINING": "true", "ANSIBLE_INJECT_FACT_VARS": "false"}
    done = subprocess.run(command, cwd=STATE, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    files = list((STATE / "expanso-edge-audit").glob("*.json"))
    assert len(files) == 1, done.stdout
    return Audit(done.returncode, done.stdout + done.stderr, json.loads(files[0].read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def clean() -> Audit:
    return audit()


class Fault(NamedTuple):
    node: str
    command: str  # for the node's shell; $TOKEN is the fleet's token, $UNKNOWN another one
    code: str
    place: str


FAULTS = {
    "file open to all": Fault("file1", f"chmod 0644 {TOKEN_FILE}", "mode_too_wide", TOKEN_FILE),
    "command line": Fault("file1", "nohup sh -c 'while sleep 1; do :; done' agent --token $TOKEN >/dev/null 2>&1 &", "token_in_arguments", ""),
    "history": Fault("file1", "echo expanso-edge bootstrap --token $TOKEN >> /root/.bash_history", "token_in_history", "/root/.bash_history"),
    "defaults": Fault("file2", "echo EXPANSO_EDGE_BOOTSTRAP_TOKEN=$TOKEN > /etc/default/expanso", "token_in_defaults", "/etc/default/expanso"),
    "unknown token in a log": Fault("file2", "echo joined with $UNKNOWN > /var/log/join.log", "token_in_log", "/var/log/join.log"),
    "cron": Fault("unit1", "mkdir -p /etc/cron.d; echo '@reboot root join '$TOKEN > /etc/cron.d/join", "token_in_cron", "/etc/cron.d/join"),
    "unit": Fault(
        "unit1",
        "mkdir -p /etc/systemd/system/join.service.d; echo Environment=TOKEN=$TOKEN > /etc/systemd/system/join.service.d/token.conf",
        "token_in_unit",
        "/etc/systemd/system/join.service.d/token.conf",
    ),
    "left behind": Fault(
        "unit2",
        f"umask 077; echo EXPANSO_EDGE_BOOTSTRAP_TOKEN=$TOKEN > {ENVIRONMENT_FILE}",
        "left_over",
        ENVIRONMENT_FILE,
    ),
    "journal": Fault("unit2", "echo joined with $TOKEN | systemd-cat -t join; journalctl --sync", "token_in_journal", "journal"),
    "label of the service": Fault("manager", "docker service update --detach --label-add note=$TOKEN expanso-edge >/dev/null", "", "expanso-edge"),
}


@pytest.fixture(scope="module")
def planted(clean: Audit) -> Iterator[Audit]:
    del clean  # comes first
    variables = f"TOKEN={token('first')}; UNKNOWN={UNKNOWN}; "
    for fault in FAULTS.values():
        on(fault.node, "sh", "-c", variables + fault.command)
    copy = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="join"), data={"script": f"join {token('first')}"})
    Cluster(CLUSTER).core.create_namespaced_config_map(SITE, copy)
    yield audit()


@pytest.fixture(scope="module")
def without_unit2(planted: Audit) -> Iterator[Audit]:
    del planted  # comes first
    subprocess.run(["docker", "stop", "--time", "1", container("unit2")], check=True, stdout=subprocess.DEVNULL)
    yield audit()


def test_nothing_is_found_on_a_clean_fleet(clean: Audit) -> None:
    """Except that the swarm keeps its token, because new tasks may come: by default the role does not remove it."""
    assert clean.report["scope"] == {"asked": 6, "answered": 6, "unreachable": [], "failed": []}
    kept = {"manager": {("left_over", "swarm secret expanso_bootstrap_token_v1")}}
    assert {node: clean.found(node) for node in DELIVERIES} == {**dict.fromkeys(DELIVERIES, set()), **kept}
    assert clean.code == 0


def test_the_report_tells_who_is_registered(clean: Audit) -> None:
    assert {node["name"]: bool(node["registered"]) for node in clean.report["nodes"]} == {
        "file1": False,
        "file2": True,
        "unit1": False,
        "unit2": True,
        "manager": True,
        "site": False,
    }


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, planted: Audit) -> None:
    fault = FAULTS[name]
    assert any(code == (fault.code or code) and fault.place in place for code, place in planted.found(fault.node)), planted.found(fault.node)


def test_a_copy_in_the_cluster_is_found(planted: Audit) -> None:
    assert any("join" in place for _code, place in planted.found("site"))


def test_what_is_found_is_new_and_turns_the_run_red(planted: Audit) -> None:
    assert planted.code == 2
    assert {each["change"] for each in planted.report["findings"] if each["severity"] == "error"} == {"new"}


def test_a_node_that_is_off_is_unknown_and_nothing_of_it_is_mended(without_unit2: Audit) -> None:
    """The connection tells of a container that is off as of a module that failed."""
    scope = without_unit2.report["scope"]
    assert scope["unreachable"] + [each["node"] for each in scope["failed"]] == ["unit2"]
    assert scope["answered"] == 5
    assert [each["node"] for each in without_unit2.report["mended"]] == []
    assert [code for code, _place in without_unit2.found("unit2")] in (["unknown"], ["audit_failed"])


@pytest.mark.parametrize("label", ["first", "unknown"])
def test_no_report_and_no_output_holds_a_token(label: str, planted: Audit, without_unit2: Audit) -> None:
    secret = UNKNOWN if label == "unknown" else token(label)
    assert secret not in planted.output + without_unit2.output
    for path in (STATE / "expanso-edge-audit").iterdir():
        assert secret not in path.read_text(encoding="utf-8"), path.name
