# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX sends of a job. AWX renders the messages in a sandbox, with the fields of a job that it allows."""

from __future__ import annotations

import json
from typing import Any

import awx_rules
import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._result import of_nodes
from awx_kit import definitions
from jinja2.sandbox import ImmutableSandboxedEnvironment

Json = dict[str, Any]
(TEMPLATE,) = definitions()["controller_notifications"]
MESSAGES = {(event, part): text for event, part, text in awx_rules.message_templates(TEMPLATE["messages"])}
OUTCOMES = {"edge01": "rotated", 'ed"ge"02': "rotated", "edge03": "failed"}
RESULT = of_nodes("rotate", OUTCOMES, unreachable=[], waiting=1, labels=["spring {{ 1 }}"], check=False)
JOB = {**awx_rules.JOB, "status": "failed", "artifacts": {"expanso_edge_result": RESULT}}
WORKFLOW = {key: value for key, value in {**JOB, "type": "workflow_job"}.items() if key not in ("artifacts", "job_type")}


def render(event: str, context: Json) -> Json:
    body = ImmutableSandboxedEnvironment().from_string(MESSAGES[event, "body"]).render(context)
    assert len(body.strip().splitlines()) > 2  # AWX before 24.1 takes a shorter one for blank
    sent: Json = json.loads(body)
    return sent


def test_awx_accepts_the_messages() -> None:
    assert awx_rules.notification_faults(TEMPLATE["messages"]) == []
    assert set(MESSAGES) == {("success", "body"), ("error", "body"), ("running", "body")}


@pytest.mark.parametrize("event", ["success", "error"])
def test_the_result_of_a_job_is_sent(event: str) -> None:
    sent = render(event, {"job": JOB, "url": "https://awx.example.com/#/jobs/playbook/42"})
    assert sent["result"] == RESULT and sent["job"] == 42 and sent["status"] == "failed" and sent["url"].endswith("/42")


@pytest.mark.parametrize(
    "job",
    [
        pytest.param({**JOB, "artifacts": {}}, id="ended before the result"),
        pytest.param({**JOB, "artifacts": None}, id="no artifacts"),
        pytest.param({**JOB, "artifacts": "$hidden due to Ansible no_log flag$"}, id="hidden"),
        pytest.param(WORKFLOW, id="workflow"),
        pytest.param({**JOB, "artifacts": {}, "name": 'a "quoted" \\ name\n{{ 1 }}'}, id="name"),
    ],
)
def test_a_job_without_a_result_is_told_as_well(job: Json) -> None:
    sent = render("error", {"job": job, "url": "https://awx.example.com/"})
    assert sent["result"] == {} and sent["name"] == job["name"]


def test_who_approves_is_told_where_to_look() -> None:
    sent = render("running", awx_rules.APPROVAL)
    assert sent["url"] == awx_rules.APPROVAL["workflow_url"] and "plan" in sent["text"]
