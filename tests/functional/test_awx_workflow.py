# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of the workflow of examples/awx-setup, one after the other, with what AWX would give each of them. AWX itself is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_runs import Controller, Run, local_node
from awx_kit import PROJECT, definitions
from control_plane import new_key

Json = dict[str, Any]
DATA = definitions()
TEMPLATES = {each["name"]: each for each in DATA["controller_templates"]}
(WORKFLOW,) = DATA["controller_workflows"]
NAMES = ("edge01", "edge02", "edge03")


class Awx:
    """Starts the job of a node: its template's settings, the answers of surveys, and what earlier jobs published."""

    def __init__(self, controller: Controller, home: Path, token: str) -> None:
        self.controller = controller
        self.home = home
        self.token = token
        self.artifacts: Json = {}
        (home / "credential").write_text(token)

    def job(self, node: Json, hosts: Json) -> Run:
        template = TEMPLATES[node["unified_job_template"]["name"]]
        variables = {
            **template.get("extra_vars", {}),
            **{each["variable"]: each["default"] for survey in (template, WORKFLOW) for each in survey["survey_spec"]["spec"]},
            **self.artifacts,
            **WORKFLOW["extra_vars"],
            "expanso_edge_audit_directory": str(self.home / "audit"),
            "expanso_edge_audit_places": [],  # this machine has tokens of other tests
            "expanso_edge_become": False,
        }
        if len(template["credentials"]) == 2:
            variables["expanso_edge_token_file"] = str(self.home / "credential")
        arguments = ["--check"] if template["job_type"] == "check" else []
        arguments += ["--limit", node["limit"]] if "limit" in node else []
        given = self.controller.write("extravars.json", variables)
        run = self.controller.run(str(PROJECT / template["playbook"]), "-e", f"@{given}", *arguments, hosts=hosts, secrets=[self.token])
        self.artifacts.update(*(each["result"] for each in run.events if each["outcome"] == "published"))
        return run


def held(home: Path) -> dict[str, str]:
    return {file.parent.name: file.read_text().strip() for file in home.glob("edge*/bootstrap.token")}


def test_the_workflow_does_what_was_approved(controller: Controller, home: Path) -> None:
    old, new = new_key(), new_key()
    hosts = {name: local_node(home, name) for name in NAMES}
    for name in NAMES:
        (home / name).mkdir()
        (home / name / "bootstrap.token").write_text(f"{old}\n")
        (home / name / "bootstrap.token").chmod(0o600)
    nodes = {each["identifier"]: each for each in WORKFLOW["workflow_nodes"]}
    awx = Awx(controller, home, new)

    plan = awx.job(nodes["plan"], hosts)
    assert plan.returncode == 0 and held(home) == dict.fromkeys(NAMES, old), plan.output
    assert new not in json.dumps(awx.artifacts) and old not in json.dumps(awx.artifacts)
    assert {each["node"]: each["action"] for each in awx.artifacts["expanso_edge_plan"]["nodes"]} == dict.fromkeys(NAMES, "rotate")

    hosts["edge04"] = local_node(home, "edge04")  # somebody adds a node while the approval is waited for
    (home / "edge04").mkdir()
    canary = awx.job(nodes["canary"], hosts)
    assert canary.returncode == 0 and held(home) == {"edge01": new, "edge02": old, "edge03": old}, canary.output

    fleet = awx.job(nodes["fleet"], hosts)
    assert fleet.returncode == 0 and held(home) == dict.fromkeys(NAMES, new), fleet.output
    assert awx.artifacts["expanso_edge_result"]["outcomes"] == {"not_planned": 1, "rotated": 2}

    audit = awx.job(nodes["audit"], hosts)
    result = awx.artifacts["expanso_edge_result"]
    assert audit.returncode == 2 and result["exceeded"] is True and result["codes"]["token_not_found"] == 1, audit.output  # the new node has none
