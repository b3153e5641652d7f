# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands and plays of the guides, as they are printed: those that this machine can carry out, one after the other; of the others the syntax."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import environments
import guides
import pytest
import yaml
from ansible_runs import SYSTEM_PYTHON, TOKEN_VARIABLE, Controller, spellings
from control_plane import ControlPlane, new_key
from paths import collections

FIRST, SECOND, STORED, MADE = new_key(), new_key(), new_key(), new_key()
# in the order of a node's life
STORY = (
    "ansible-playbook -i inventory.yml token_file.yml --check --diff",
    "ansible-playbook -i inventory.yml token_file.yml",
    "ansible edge01 -i inventory.yml --become -m expanso.edge.bootstrap_token_info",
    "ansible-playbook -i inventory.yml expanso.edge.audit -e expanso_edge_audit_registry=audit_registry.yml -e expanso_edge_audit_waivers=audit_waivers.yml",
    "ansible-playbook -i inventory.yml -i expanso_edge_audit.yml expanso.edge.provision -e expanso_edge_hosts=expanso_edge_unregistered",
    "ansible-playbook -i inventory.yml expanso.edge.rotate --check -e expanso_edge_plan_file=plan.json",
    "ansible-playbook -i inventory.yml expanso.edge.rotate -e expanso_edge_plan_file=plan.json",
    "ansible-playbook -i inventory.yml token_file_register.yml",
    "ansible-playbook -i inventory.yml expanso.edge.retire -e expanso_edge_fingerprint=5d41402abc4b",
    "ansible-playbook -i inventory.yml expanso.edge.audit",
    "ansible-playbook -i inventory_deliveries.yml expanso.edge.provision --list-hosts",
)
ELSEWHERE = (
    "ansible-galaxy ", "ansible-sign ", "ansible-vault ", "cd ", "curl ", "docker ", "export ", "journalctl ", "make ", "mkdir ", "pip ", "printf ", "read ",
    "systemctl ", "token_file=", "trap ", "umask ", "vault ",
)  # fmt: skip
"""What needs Galaxy, a terminal, or a machine of its own."""
OTHER_PAGES = {"guide_awx": "test_awx_setup.py", "guide_execution_environment": "test_execution_environment.py", "guide_inventories": "test_inventories.py"}
"""Pages whose commands need other surroundings, and what tests them."""


@dataclass(frozen=True)
class Project:
    """A folder with all examples, where two local nodes take the place of those in the inventory."""

    controller: Controller
    folder: Path
    plane: ControlPlane

    def run(self, line: str, **environment: str) -> str:
        """Run a command; it has to succeed, and must not show a token."""
        path = f"{collections()}:{environments.dependencies()}:{self.folder}"
        done = self.controller.command(line, self.folder, {"ANSIBLE_COLLECTIONS_PATH": path, **environment})
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        for secret in (FIRST, SECOND, STORED, MADE):
            assert not any(spelling in done.stdout for spelling in spellings(secret)), line
        return done.stdout

    def tokens(self) -> dict[str, str]:
        """What the nodes hold."""
        return {path.parent.name: path.read_text() for path in sorted(self.folder.glob("edge*/bootstrap.token"))}

    def write(self, name: str, data: object) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))


@pytest.fixture
def project(controller: Controller, home: Path, plane: ControlPlane, agent: Path) -> Project:
    folder = home / "project"
    shutil.copytree(guides.EXAMPLES, folder)
    made = Project(controller, folder, plane)
    for node in ("edge01", "edge02"):
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": SYSTEM_PYTHON,
            "ansible_become": False,
            "expanso_edge_delivery": "token_file",  # systemd does not run here
            "token_file_path": f"{folder}/{node}/bootstrap.token",
            "token_file_owner": str(os.geteuid()),
            "token_file_group": str(os.getegid()),
            "token_file_register_user": str(os.geteuid()),
            "expanso_edge_data_dir": f"{folder}/{node}/data",
            "expanso_edge_binary": str(agent),
            "expanso_edge_bootstrap_url": plane.url,
        }
        made.write(f"host_vars/{node}/node.json", variables)
    made.write("group_vars/expanso_edge.json", {"expanso_edge_audit_places": ["neighbours"]})
    return made


def test_the_commands_of_the_guides(project: Project) -> None:
    project.plane.client.add_token(token=SECOND)
    for line in STORY:
        project.run(line, **{TOKEN_VARIABLE: FIRST if line in STORY[:3] else SECOND})
        if line.endswith("token_file.yml"):
            assert project.tokens() == {"edge01": FIRST, "edge02": FIRST}
        if line.endswith("-e expanso_edge_plan_file=plan.json") and "--check" not in line:
            assert project.tokens() == {"edge01": SECOND, "edge02": SECOND}
    assert project.tokens() == {}, "token_file_register.yml removes them"
    report = json.loads((project.folder / "expanso-edge-audit" / "audit.json").read_text())
    assert [node["registered"] for node in report["nodes"]] == [True, True]


def test_sources_of_the_guides(project: Project) -> None:
    """A secret store, in whose place is a lookup of the same name, and a program that makes a token when one is needed."""
    lookup = project.folder / "ansible_collections/community/hashi_vault/plugins/lookup/vault_kv2_get.py"
    lookup.parent.mkdir(parents=True)
    lookup.write_text(
        "from ansible.plugins.lookup import LookupBase\n\n\n"
        "class LookupModule(LookupBase):\n"
        "    def run(self, terms, variables=None, **kwargs):\n"
        f"        return [{{'secret': {{'token': '{STORED}'}}}} for term in terms if term == 'edge/edge01']\n"
    )
    program = project.folder / "bin" / "new-edge-token"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n[ \"$*\" = edge02 ] && printf {MADE}\n")
    program.chmod(0o755)
    shutil.copy(project.folder / "token_store.yml", project.folder / "host_vars/edge01")
    shutil.copy(project.folder / "token_just_in_time.yml", project.folder / "host_vars/edge02")
    (project.folder / "group_vars/all.yml").write_text((project.folder / "token_label.yml").read_text())
    output = project.run("ansible-playbook -i inventory.yml token_file.yml")
    assert project.tokens() == {"edge01": STORED, "edge02": MADE}
    assert "north-2026" in (project.folder / "edge02/data/enrolment.json").read_text(), output


def test_other_plays_and_commands(project: Project) -> None:
    """All plays are understood, and so is what the commands name that are not in the story."""
    assert all(Path(__file__).with_name(name).exists() for name in OTHER_PAGES.values())
    pages = {block.page for block in guides.blocks()} - {*OTHER_PAGES}
    commands = {command for command in guides.commands(*pages) if not command.startswith(ELSEWHERE)}
    others = commands - {*STORY}
    assert commands > {*STORY}, "what the story tells is printed"
    assert {command.split()[0] for command in others} == {"ansible-playbook"}
    examples = {path.name: yaml.safe_load(path.read_text()) for path in guides.EXAMPLES.glob("*.yml")}
    playbooks = {name for name, example in examples.items() if isinstance(example, list) and "hosts" in example[0]}
    playbooks |= {word for command in others for word in shlex.split(command) if word.startswith("expanso.edge.")}
    named = {word for command in others for word in shlex.split(command) if word.endswith(".yml") and not word.startswith("inventory")}
    assert named <= playbooks
    output = project.run(f"ansible-playbook -i inventory_deliveries.yml --syntax-check -e @hand_made.yml {' '.join(playbooks)}")
    assert output.count("playbook: ") == len(playbooks)


def test_what_modules_have_in_common_is_said_once(controller: Controller, home: Path) -> None:
    """The play of the guide, with other paths."""
    data = home / "data"
    data.mkdir(mode=0o700)
    (data / "registered").touch()
    text = guides.example(guides.EXAMPLES / "module_defaults.yml")
    for printed, here in (("/srv/expanso/auth/credentials.creds", data / "registered"), ("/srv/expanso", data), ("/etc/expanso", home)):
        text = text.replace(printed, str(here))
    (play,) = yaml.safe_load(text)
    run = controller.run([{**play, "become": False}])
    assert run.returncode == 0, run.output
    assert run.result("Write the token")["action"] == "not_needed"
    assert run.result("Look at it")["node"]["registered"] is True
