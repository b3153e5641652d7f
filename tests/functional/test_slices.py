# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How AWX runs the playbooks: with empty answers of a survey, and in slices that know nothing of each other."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_runs import TOKEN_VARIABLE, Controller, Json, Run, local_node
from control_plane import ControlPlane, new_jwt, new_key
from paths import collections

EMPTY = dict.fromkeys(
    [
        "hosts", "serial", "token_file", "token_label", "fingerprint", "retire_all", "reregister", "canary", "max_fail_percentage", "become", "plan",
        "plan_file", "plan_artifact", "sliced", "slices_of", "slices", "trail_file",
        *(f"audit_{name}" for name in ("fail_on", "formats", "registry", "waivers", "nodes", "previous", "max_age", "stuck_hours", "expires_within")),
        "audit_directory", "audit_prometheus_file", "audit_places", "audit_pipeline_secret_files",
    ],
    "",
)  # fmt: skip
"""Variables that a person may be asked for. AWX passes an answer that was not given as an empty text."""


@pytest.mark.parametrize("playbook", ["provision", "rotate", "retire", "audit"])
def test_an_empty_answer_is_not_set(playbook: str, controller: Controller, home: Path) -> None:
    key = new_key()
    extra: Json = {f"expanso_edge_{name}": value for name, value in EMPTY.items()}
    if playbook == "audit":
        extra["expanso_edge_audit_places"] = []  # nothing else of this machine is to be searched
    # become is true by default: env takes the place of sudo, which a test machine need not have
    hosts = {"one": local_node(home, "one", ansible_become_exe="/usr/bin/env", ansible_become_flags="")}
    run = controller.run(f"expanso.edge.{playbook}", "-e", json.dumps(extra), hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key])
    assert (run.published["playbook"], run.published["nodes"], run.published["failed"]) == (playbook, 1, 0)
    # that there is no token is an error of the audit, which fails for errors if nothing else was answered
    assert (run.returncode, run.published.get("codes")) == ((2, {"token_not_found": 1}) if playbook == "audit" else (0, None)), run.output


def slices(controller: Controller, playbook: str, parts: list[dict[str, Json]], home: Path, secrets: list[str], **extra: object) -> list[Run]:
    """Run a playbook as AWX runs the slices of a job: at once, each with an inventory of its own, and with no number."""

    def run(number: int) -> Run:
        job = {"awx_job_id": 100 + number, "awx_workflow_job_id": 99, "awx_workflow_job_name": "Edge", "awx_job_template_name": "Edge"}
        # each process packs its own modules, because the tests let one after the other use the same
        own = {"ANSIBLE_COLLECTIONS_PATH": f"{collections()}:{home}/none{number}"}
        one = Controller(controller.core, home / f"controller{number}")
        return one.run(playbook, "-e", json.dumps({**job, **extra}), hosts=parts[number], environment=own, secrets=secrets)

    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(run, range(len(parts))))


def test_slices_lose_nothing_and_spend_no_token_twice(controller: Controller, home: Path, agent: Path, plane: ControlPlane) -> None:
    """Two whole jobs at once on one fleet: one audit trail, a single-use token for each node, and one report of both audits."""
    tokens = {f"n{number}": new_jwt() for number in range(6)}
    shared = new_jwt()  # by mistake on a node of each slice, which no slice can see
    for token in tokens.values():
        plane.client.add_token(token, single_use=True)
    common = {
        "token_file_register": True, "expanso_edge_binary": str(agent), "expanso_edge_bootstrap_url": plane.url, "expanso_edge_audit_places": [],
        "expanso_edge_trail_file": f"{home}/trail.jsonl",
    }  # fmt: skip
    fleet = {name: local_node(home, name, expanso_edge_token=token, **common) for name, token in tokens.items()}
    fleet.update({name: local_node(home, name, **{**common, "expanso_edge_token": shared, "token_file_register": False}) for name in ("x0", "x1")})
    parts = [{name: own for name, own in fleet.items() if int(name[1]) % 2 == number} for number in range(2)]
    secrets = [*tokens.values(), shared]

    for run in slices(controller, "expanso.edge.provision", parts, home / "provision", secrets):
        assert run.returncode == 0 and run.published["outcomes"] == {"written": 4}, run.output
    assert [plane.client.spent(token) for token in tokens.values()] == [1] * 6 and plane.client.refusals() == []
    trail = [json.loads(line) for line in (home / "trail.jsonl").read_text().splitlines()]
    assert sorted(each["node"] for each in trail if each["action"] == "written") == sorted(fleet)
    assert sorted(each["node"] for each in trail if each["action"] == "registered") == sorted(tokens)
    assert {each["job_id"] for each in trail} == {"100", "101"}

    directory = home / "reports"
    given: Json = {"expanso_edge_audit_directory": str(directory), "expanso_edge_trail_file": f"{home}/trail.jsonl"}
    for number, run in enumerate(slices(controller, "expanso.edge.audit", parts, home / "audit", secrets, **given)):
        assert run.returncode == 0 and run.published["slices_of"] == "99" and run.published["errors"] == 0, run.output
        assert (directory / "slices" / "99" / str(100 + number) / "audit.json").is_file()
    assert [path.name for path in directory.iterdir()] == ["slices"]

    published = controller.write("published.json", {**given, "expanso_edge_result": run.published, "expanso_edge_slices": 2})
    merged = controller.run("expanso.edge.merge_audits", "-e", f"@{published}", "-vvv", hosts={**fleet, "late": {}}, secrets=secrets)
    report = json.loads((directory / "audit.json").read_text())
    errors = {(each["code"], each["node"]) for each in report["findings"] if each["severity"] == "error"}
    assert merged.returncode == 2 and errors == {("shared_single_use", None)}, merged.output
    assert [node["name"] for node in report["nodes"]] == [*fleet, "late"] and report["scope"]["unreachable"] == ["late"]
    assert report["trail"]["lines"] == len(trail)
    assert (merged.published["playbook"], merged.published["nodes"], merged.published["errors"]) == ("merge_audits", 9, 1)
    assert not any(merged.remote_commands(host) for host in fleet)


def test_a_job_wide_single_use_token_is_refused_in_a_slice(controller: Controller, home: Path) -> None:
    jwt = new_jwt()
    extra = {"awx_workflow_job_name": "Edge", "awx_job_template_name": "Edge"}
    environment = {TOKEN_VARIABLE: jwt}
    hosts = {"one": local_node(home, "one")}
    run = controller.run("expanso.edge.provision", "-vvv", "-e", json.dumps(extra), hosts=hosts, environment=environment, secrets=[jwt])
    assert run.returncode == 2 and "would be used one time in each slice" in run.output and run.remote_commands("one") == 0


def test_merging_with_every_core(every_core: Controller, home: Path) -> None:
    hosts = {"one": local_node(home, "one", expanso_edge_audit_places=[])}
    given: Json = {"expanso_edge_audit_directory": str(home / "reports"), "expanso_edge_audit_fail_on": "never", "expanso_edge_sliced": True}
    given |= {"expanso_edge_slices_of": "weekly", "expanso_edge_hosts": ["one"]}  # a list, as of a question with several answers
    assert every_core.run("expanso.edge.audit", "-e", json.dumps(given), hosts=hosts).returncode == 0
    merged = every_core.run("expanso.edge.merge_audits", "-e", json.dumps({**given, "expanso_edge_slices": "1"}), "--limit", "one", hosts=hosts)
    assert merged.returncode == 0 and merged.published["answered"] == 1, merged.output
    assert json.loads((home / "reports" / "audit.json").read_text())["nodes"][0]["name"] == "one"
