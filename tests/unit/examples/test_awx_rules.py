# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX refuses. Each rule refuses something here, so that it means something when it refuses nothing of the kit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awx_rules
import pytest

FIELD = {"id": "token", "label": "Token", "type": "string", "secret": True}
FILE = {"file": {"template": "{{ token }}"}, "extra_vars": {"path": "{{ tower.filename }}"}}
QUESTION = {"question_name": "Q", "variable": "v", "type": "text", "required": False}
CHOICE = {**QUESTION, "type": "multiplechoice", "choices": ["a", "b"], "default": "a"}


def test_a_credential_type_with_a_file_is_accepted() -> None:
    assert awx_rules.credential_type_faults("cloud", {"fields": [FIELD], "required": ["token"]}, FILE) == []


@pytest.mark.parametrize(
    ("kind", "fields", "injectors", "says"),
    [
        ("ssh", [FIELD], FILE, "kind ssh"),
        ("cloud", [{**FIELD, "ask_at_runtime": True}], FILE, "False was expected"),
        ("cloud", [{**FIELD, "hint": "x"}], FILE, "'hint' was unexpected"),
        ("cloud", [{"id": "token"}], FILE, "'label' is a required"),
        ("cloud", [FIELD, {**FIELD, "id": "2nd"}], FILE, "'2nd' does not match"),
        ("cloud", [FIELD, FIELD], FILE, "token is used twice"),
        ("cloud", [FIELD, {"id": "tower", "label": "T"}], FILE, "reserved"),
        ("cloud", [FIELD, {"id": "on", "label": "On", "type": "boolean", "secret": True}], FILE, "secret of on"),
        ("cloud", [{**FIELD, "default": 1}], FILE, "default of token"),
        ("cloud", [FIELD], {"argv": {}}, "'argv' was unexpected"),
        ("cloud", [FIELD], {"file": {"name": "x"}}, "does not match"),
        ("cloud", [FIELD], {"file": {"template": "x", "template.a": "y"}}, "one unnamed file"),
        ("cloud", [FIELD], {"env": {"ANSIBLE_CONFIG": "x"}}, "ANSIBLE_CONFIG is not allowed"),
        ("cloud", [FIELD], {"extra_vars": {"path": "{{ tower.filename }}"}}, "no attribute 'filename'"),
        ("cloud", [FIELD], {"file": {"template": "x"}, "extra_vars": {"path": "{{ awx.filename }}"}}, "'awx' is undefined"),
        ("cloud", [FIELD], {"extra_vars": {"path": "{{ other }}"}}, "'other' is undefined"),
        ("cloud", [FIELD], {"extra_vars": {"path": "{{ token | quote }}"}}, "No filter named 'quote'"),
        ("cloud", [FIELD], {"extra_vars": {"path": "{{ token.__class__ }}"}}, "unsafe"),
    ],
)
def test_a_credential_type_that_awx_refuses(kind: str, fields: list[dict[str, Any]], injectors: dict[str, Any], says: str) -> None:
    faults = awx_rules.credential_type_faults(kind, {"fields": fields}, injectors)
    assert any(says in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ([], "empty"),
        ([{**QUESTION, "required": "false"}], "required is missing, or of a wrong type"),
        ([{**QUESTION, "type": "bool"}], "unknown type"),
        ([{**QUESTION, "default": 1}], "default is not of type text"),
        ([{**QUESTION, "default": "$encrypted$"}], "reserved"),
        ([{**QUESTION, "min": "1"}], "min is not a number"),
        ([{**CHOICE, "choices": []}], "no choices"),
        ([{**CHOICE, "default": "c"}], "not one of the choices"),
        ([{**CHOICE, "default": "a\nb"}], "several defaults"),
        ([QUESTION, CHOICE], "v is asked twice"),
    ],
)
def test_a_survey_that_awx_refuses(spec: list[dict[str, Any]], says: str) -> None:
    faults = awx_rules.survey_faults({"name": "S", "description": "", "spec": spec})
    assert any(says in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("question", "answers", "says"),
    [
        ({**QUESTION, "required": True}, {}, "v is missing"),
        ({**QUESTION, "min": 1}, {"v": ""}, "too short"),
        ({**QUESTION, "max": 2}, {"v": "abc"}, "too long"),
        (CHOICE, {"v": "all"}, "not one of the choices"),
        (CHOICE, {}, None),
        (QUESTION, {"v": ""}, None),
    ],
)
def test_answers(question: dict[str, Any], answers: dict[str, str], says: str | None) -> None:
    faults = awx_rules.answer_faults({"spec": [question]}, answers)
    assert (says in faults[0]) if says else faults == []


def test_playbooks_are_found_by_a_line_and_not_by_their_folder(tmp_path: Path) -> None:
    contents = {
        "site.yml": "- hosts: all\n",
        "tests/deep/play.yaml": "- name: x\n  ansible.builtin.import_playbook: a.b.c\n",
        "roles/r/tasks/main.yml": "hosts: all\n",
        "group_vars/all.yml": "hosts: all\n",
        ".github/x.yml": "hosts: all\n",
        "vars.yml": "my_hosts: all\n",
        "notes.txt": "- hosts: all\n",
    }
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert awx_rules.listed_playbooks(tmp_path) == ["site.yml", "tests/deep/play.yaml"]


@pytest.mark.parametrize(
    ("rrule", "says"),
    [
        ("RRULE:FREQ=DAILY;INTERVAL=1", "DTSTART"),
        ("DTSTART:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1", "DTSTART"),
        ("DTSTART:20260101T020000Z RRULE:FREQ=DAILY", "INTERVAL"),
        ("DTSTART:20260101T020000Z RRULE:FREQ=SECONDLY;INTERVAL=1", "SECONDLY"),
        ("DTSTART:20260101T020000Z RRULE:FREQ=DAILY;INTERVAL=1 RRULE:FREQ=DAILY;INTERVAL=2", "more than one"),
    ],
)
def test_a_rule_that_awx_refuses(rrule: str, says: str) -> None:
    assert any(says in fault for fault in awx_rules.rule_faults(rrule))


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ({"finished": {"body": "{}"}}, "unknown event finished"),
        ({"workflow_approval": {"asked": {"body": "{}"}}}, "unknown event asked"),
        ({"error": {"text": "x"}}, "unknown part text"),
        ({"error": {"message": "a\nb"}}, "one line"),
        ({"error": {"body": "{{ job.id }}"}}, "a JSON object"),
        ({"error": {"body": '{"a": {{ job.artifacts.expanso_edge_result.nodes }} }'}}, "no attribute"),
        ({"error": {"body": '{"a": "{{ job.extra_vars }}" }'}}, "no attribute 'extra_vars'"),
    ],
)
def test_messages_that_awx_refuses(messages: dict[str, Any], says: str) -> None:
    faults = awx_rules.notification_faults(messages)
    assert any(says in fault for fault in faults), faults
