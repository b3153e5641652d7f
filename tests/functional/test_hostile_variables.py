# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of roles with values that nobody should give them: the message names the variable, and no token. Each case is a host of one run."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import Controller, Run, local_node
from control_plane import new_key
from files import tree

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whom units belong to"),
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the programs of systemd"),
]

KEY = new_key()
NUMBER = "is not a whole number from 0 to"
WORD = "cannot be used in a systemd unit: only letters, digits and"


@dataclass(frozen=True)
class Case:
    """A variable of a role, and what is said of it; nothing where it is possible."""

    variable: str
    value: Any
    says: str = ""

    @property
    def role(self) -> str:
        return next(role for role in ("token_file", "systemd_service", "swarm_secret") if self.variable.startswith(role))


CASES = [
    Case("systemd_service_timeout", "\u0661\u0662", f"systemd_service_timeout: '\u0661\u0662' {NUMBER}"),
    Case("systemd_service_restart_delay", -5, f"systemd_service_restart_delay: '-5' {NUMBER}"),
    Case("systemd_service_start_limit_burst", 1e308, f"systemd_service_start_limit_burst: '1e\\+308' {NUMBER}"),
    Case("systemd_service_start_limit_interval", 10**12, f"systemd_service_start_limit_interval: '10+' {NUMBER}"),
    Case("systemd_service_binary", "/opt/a b", f"systemd_service_binary: '/opt/a b' {WORD}"),
    Case("systemd_service_binary", f"/opt/{KEY}\n", f"systemd_service_binary: .*\\*{{8}}.* {WORD}"),
    Case("systemd_service_data_dir", "/srv/a\nUser=root", f"systemd_service_data_dir: '/srv/a\\?User=root' {WORD}"),
    Case("systemd_service_environment", {"A": "b\nUser=root"}, f"systemd_service_environment.A: 'b\\?User=root' {WORD}"),
    Case("systemd_service_environment", {"A\nB": "c"}, f"systemd_service_environment: 'A\\?B' {WORD}"),
    Case("systemd_service_sandbox", {"ProtectHome": "yes\nUser=root"}, "systemd_service_sandbox.ProtectHome: 'yes\\?User=root' .* one line of text"),
    Case("systemd_service_sandbox", {"A\nB": True}, f"systemd_service_sandbox: 'A\\?B' {WORD}"),
    Case("systemd_service_run_arguments", ["a b"], f"systemd_service_run_arguments: 'a b' {WORD}"),
    Case("systemd_service_run_arguments", "--verbose"),
    Case("systemd_service_run_arguments", ["--port", 8080, "null"]),
    Case("token_file_path", [["x"]], r"^option path \(token_file_path\): the path is not absolute"),
    Case("swarm_secret_manager", {"token": KEY}, "the host that swarm_secret_manager names should have done it"),
]


@pytest.fixture(scope="module")
def run(controller: Controller, place: Path) -> Run:
    """A run in check mode, in which each host has one of the values."""
    hosts = {}
    for number, case in enumerate(CASES):
        home = place / f"case{number}"
        (home / "units").mkdir(parents=True)
        units = {"systemd_service_state": "stopped", "systemd_service_unit_directory": f"{home}/units", "expanso_edge_binary": "/bin/true"}
        hosts[f"case{number}"] = local_node(place, f"case{number}", role=case.role, expanso_edge_token=KEY, **units, **{case.variable: case.value})
    before = tree(place)
    tasks = [{"name": "Apply", "ansible.builtin.include_role": {"name": "expanso.edge.{{ role }}"}}]
    done = controller.run([{"tasks": tasks}], "--check", hosts=hosts, secrets=[KEY])
    assert [path for path in tree(place) if path not in before and not path.startswith(f"{place}/controller")] == []
    return done


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case.variable}-{number}" for number, case in enumerate(CASES)])
def test_a_variable(number: int, run: Run) -> None:
    case, host = CASES[number], f"case{number}"
    failed = [str(each["result"]["msg"]) for each in run.events if each["host"] == host and each["outcome"] == "failed"]
    if not case.says:
        assert failed == []
        return
    assert len(failed) == 1 and re.search(case.says, failed[0]), f"{failed}\n{run.output[-3000:]}"
