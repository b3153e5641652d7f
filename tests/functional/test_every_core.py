# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that the collection has works with every supported ansible-core, and on the oldest Python that each manages."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environments
import pytest
from ansible_runs import SYSTEM_PYTHON, TOKEN_VARIABLE, Controller, Json, Run
from control_plane import ControlPlane, new_jwt, new_key

PROVISION = "expanso.edge.provision"
OLDEST_PYTHON = {
    "core-2.16": (3, 6),
    "core-2.17": (3, 7),
    "core-2.18": (3, 8),
    "core-2.19": (3, 8),
    "core-2.20": (3, 9),
    "core-2.21": (3, 9),
    "core-2.22": (3, 9),
}
TOKEN_TASK = "Bring the token file to its state"


def oldest_python(core: str) -> str:
    """The oldest Python at hand on which this ansible-core can run modules."""
    found = [one for one in environments.interpreters() if one.version[:2] >= OLDEST_PYTHON[core]]
    return min(found, key=lambda one: one.version).path


@dataclass(frozen=True)
class Lab:
    """An ansible-core, a place for its nodes, and their tokens."""

    controller: Controller
    place: Path
    pythons: dict[str, str]
    agent: Path
    key: str
    jwt: str

    def hosts(self, group: str, **variables: Any) -> dict[str, Json]:
        """One node for each Python, with files of its own."""
        return {
            f"{group}_{python}": {
                "ansible_python_interpreter": path,
                "token_file_path": f"{self.place}/{group}_{python}/etc/bootstrap.token",
                "token_file_owner": str(os.geteuid()),
                "token_file_group": str(os.getegid()),
                "token_file_register_user": str(os.geteuid()),
                "expanso_edge_data_dir": f"{self.place}/{group}_{python}/data",
                "expanso_edge_binary": str(self.agent),
                "expanso_edge_become": False,
                **variables,
            }
            for python, path in self.pythons.items()
        }

    def run(self, plays: Any, *arguments: str, environment: dict[str, str] | None = None, **options: Any) -> Run:
        """A run that knows the job's token and must not show it."""
        variables = {TOKEN_VARIABLE: self.key, **(environment or {})}
        return self.controller.run(plays, *arguments, environment=variables, secrets=[self.key, self.jwt], **options)

    def tokens(self, group: str) -> dict[str, str]:
        """What the nodes hold."""
        return {path.parent.parent.name: path.read_text() for path in self.place.glob(f"{group}_*/etc/bootstrap.token")}


@pytest.fixture(scope="module")
def lab(every_core: Controller, place: Path, agent: Path) -> Lab:
    pythons = {"system": SYSTEM_PYTHON, "oldest": oldest_python(every_core.core)}
    return Lab(every_core, place / f"nodes-{every_core.core}", pythons, agent, new_key(), new_jwt())


def test_provision_costs_one_remote_command(lab: Lab) -> None:
    """On a blank node in check mode and for real, and on one that has the token."""
    hosts = lab.hosts("plain")

    check = lab.run(PROVISION, "--check", "--diff", "-vvv", hosts=hosts)
    assert check.returncode == 0, check.output
    assert not lab.place.exists()
    real = lab.run(PROVISION, "--diff", "-vvv", hosts=hosts)
    assert real.returncode == 0, real.output
    assert lab.tokens("plain") == dict.fromkeys(hosts, lab.key)
    again = lab.run(PROVISION, "-vvv", hosts=hosts)
    assert again.totals()["changed"] == 0 and again.returncode == 0, again.output

    for run, action in ((check, "written"), (real, "written"), (again, "kept")):
        assert {host: run.result(TOKEN_TASK, host)["action"] for host in hosts} == dict.fromkeys(hosts, action)
        assert {host: run.remote_commands(host) for host in hosts} == dict.fromkeys(hosts, 1)


def test_the_role_registers_and_lets_go(lab: Lab) -> None:
    with ControlPlane() as plane:
        plane.client.add_token(lab.key)
        registers = {"token_file_register": True, "token_file_remove_after_registration": True, "expanso_edge_bootstrap_url": plane.url}
        hosts = lab.hosts("registers", **registers)
        plays = [{"strategy": "free", "roles": ["expanso.edge.token_file"]}]
        first = lab.run(plays, "-vvv", hosts=hosts, environment={"ANSIBLE_PIPELINING": "0"})
        assert first.returncode == 0, first.output
        assert all(first.remote_commands(host) > 6 for host in hosts)  # commands are really counted
        assert plane.client.spent(lab.key) == len(hosts)
        assert lab.tokens("registers") == {}
        again = lab.run(plays, "-vvv", hosts=hosts, environment={TOKEN_VARIABLE: ""})
        assert again.returncode == 0 and again.totals()["changed"] == 0, again.output
        assert {host: again.result(TOKEN_TASK, host)["action"] for host in hosts} == dict.fromkeys(hosts, "not_needed")
        assert {host: again.remote_commands(host) for host in hosts} == dict.fromkeys(hosts, 1)
        assert plane.client.spent(lab.key) == len(hosts)


def test_a_jwt_for_two_hosts_is_refused(lab: Lab) -> None:
    hosts = lab.hosts("single", expanso_edge_token=lab.jwt)
    run = lab.run(PROVISION, "-vvv", hosts=hosts)
    assert run.returncode == 2
    assert f"is meant for 2 hosts ({', '.join(hosts)})" in run.output
    assert not any(run.remote_commands(host) for host in hosts)


def test_modules_and_plugins(lab: Lab) -> None:
    """Every module does and refuses something, and every plugin of the controller answers."""
    folder = lab.place / "{{ inventory_hostname }}"
    token, environment_file = f"{folder}/token", f"{folder}/bootstrap.env"
    module = "expanso.edge.bootstrap_token"
    write = {"path": token, "token": "{{ lookup('expanso.edge.bootstrap_token') }}", "data_dir": f"{folder}/data"}

    def fails(name: str, module: str, **options: Any) -> Json:
        return {"name": name, module: options, "ignore_errors": True}

    tasks = [
        {"name": "write", module: write, "register": "written"},
        {"name": "environment file", module: {**write, "path": environment_file, "format": "env", "variables": {"A": 'a "b" $c', "N": 1}}},
        {"name": "link", "ansible.builtin.file": {"src": token, "path": f"{folder}/link", "state": "link"}},
        fails("follow a link", module, **{**write, "path": f"{folder}/link"}),
        fails("bad token", module, **{**write, "token": "{{ lookup('expanso.edge.bootstrap_token') }} "}),
        fails("bad mode", module, **write, mode="0644"),
        fails("register", "expanso.edge.edge_registration", token_file=token, binary=str(lab.agent), data_dir=f"{folder}/data", timeout=20),
        {
            "name": "audit",
            "expanso.edge.bootstrap_token_info": {"paths": [token, f"{folder}/link"], "data_dir": f"{folder}/data"},
            "register": "audit",
        },
        {
            "name": "compare",
            "ansible.builtin.assert": {
                "that": [
                    "written.fingerprint == lookup('expanso.edge.bootstrap_token') | expanso.edge.token_fingerprint",
                    "lookup('expanso.edge.bootstrap_token') is expanso.edge.bootstrap_token(strict=true)",
                    "'YOUR_TOKEN' is not expanso.edge.bootstrap_token",
                    f"lookup('expanso.edge.bootstrap_token', want='source') == 'environment variable {TOKEN_VARIABLE} on the controller'",
                    "audit.tokens[0].fingerprint == written.fingerprint",
                ]
            },
        },
        {"name": "two sources", "ansible.builtin.debug": {"msg": "{{ lookup('expanso.edge.bootstrap_token') }}"}, "ignore_errors": True}
        | {"vars": {"expanso_edge_token_file": str(lab.place / "other")}},
        {"name": "remove", module: {"path": token, "state": "absent"}},
    ]
    lab.place.mkdir(exist_ok=True)
    (lab.place / "other").write_text(new_key())
    hosts = lab.hosts("modules")
    run = lab.run([{"tasks": tasks}], hosts=hosts)
    assert run.returncode == 0, run.output
    expected = {
        "follow a link": "is a symbolic link, which is not followed",
        "bad token": "white space at its end",
        "bad mode": "option mode: 0644 is not possible here",
        "register": "exit code 13: .*no URL given",
        "two sources": "hold different tokens: unset one of them",
    }
    for host in hosts:
        assert {event["task"] for event in run.events if event["host"] == host and event["outcome"] == "failed"} == set(expected)
        for name, message in expected.items():
            assert re.search(message, run.result(name, host)["msg"].replace("\n", " ")), run.result(name, host)["msg"]
        assert {finding["code"] for finding in run.result("audit", host)["tokens"][1]["findings"]} == {"symbolic_link"}
        assert not (lab.place / host / "token").exists()
        text = (lab.place / host / "bootstrap.env").read_text()
        assert text == f'{TOKEN_VARIABLE}={lab.key}\nA="a \\"b\\" \\$c"\nN=1\n'
