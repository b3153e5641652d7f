# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that AWX 24.6.1 applies to what it is given, written down again: each function returns what AWX would complain about."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

Json = dict[str, Any]
NAME = r"^[a-zA-Z_]+[a-zA-Z0-9_]*$"
TEXT_OPTIONS = ("choices", "multiline", "format", "secret")
TYPES = {"string": str, "boolean": bool}

INPUTS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "required": {"type": "array", "items": {"type": "string"}},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "label"],
                "additionalProperties": False,
                "properties": {
                    "id": {"type": "string", "pattern": NAME},
                    "label": {"type": "string"},
                    "type": {"enum": list(TYPES)},
                    "format": {"enum": ["ssh_private_key", "url"]},
                    "choices": {"type": "array", "minItems": 1, "items": {"type": "string"}, "uniqueItems": True},
                    "help_text": {"type": "string"},
                    "multiline": {"type": "boolean"},
                    "secret": {"type": "boolean"},
                    "ask_at_runtime": {"const": False},
                    "default": {},
                },
            },
        },
    },
}


def _texts(pattern: str, value: Json | None = None) -> Json:
    return {"type": "object", "additionalProperties": False, "patternProperties": {pattern: value or {"type": "string"}}}


INJECTORS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "file": _texts(r"^template(\.[a-zA-Z_]+[a-zA-Z0-9_]*)?$"),
        "env": _texts(NAME, {"type": "string", "pattern": r"^[\x00-\x7F]*$"}),
        "extra_vars": _texts(NAME),
    },
}


class Tower:
    """What a template may use of `tower`: the name of the one file, or one name for each file."""

    def __init__(self, files: list[str]) -> None:
        if files == ["template"]:
            self.filename: Any = "FILE"
        elif files:
            self.filename = {name.split(".")[1]: "FILE" for name in files if "." in name}


def credential_type_faults(kind: str, inputs: Json, injectors: Json) -> list[str]:
    """A custom credential type."""
    faults = [] if kind in ("cloud", "net") else [f"kind {kind} cannot be made"]
    for value, schema in ((inputs, INPUTS), (injectors, INJECTORS)):
        faults += [fault.message for fault in jsonschema.Draft202012Validator(schema).iter_errors(value)]
    if faults:
        return faults
    fields = inputs.get("fields", [])
    ids = [field["id"] for field in fields]
    faults += [f"{name} is used twice" for name in sorted({name for name in ids if ids.count(name) > 1})]
    faults += ["tower is a reserved name"] if "tower" in ids else []
    faults += [f"{name} is required, and there is no such field" for name in inputs.get("required", []) if name not in ids]
    for field in fields:
        kind = field.get("type", "string")
        if "default" in field and not isinstance(field["default"], TYPES[kind]):
            faults.append(f"the default of {field['id']} is not of type {kind}")
        faults += [f"{option} of {field['id']}, which is not a text" for option in TEXT_OPTIONS if option in field and kind != "string"]
    return faults + _injector_faults(ids, injectors)


def _injector_faults(ids: list[str], injectors: Json) -> list[str]:
    files = list(injectors.get("file", {}))
    faults = ["one unnamed file or several named ones"] if "template" in files and len(files) > 1 else []
    faults += [f"{name} is not allowed" for name in injectors.get("env", {}) if name.startswith("ANSIBLE_")]
    sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    for name, template in (item for part in injectors.values() for item in part.items()):
        try:
            sandbox.from_string(template).render(dict.fromkeys(ids, "EXAMPLE"), tower=Tower(files))
        except TemplateError as fault:
            faults.append(f"{name}: {fault}")
    return faults


QUESTION_TYPES = {"text": str, "textarea": str, "password": str, "multiplechoice": str, "multiselect": str, "integer": int, "float": float}


def survey_faults(survey: Json) -> list[str]:
    """The specification of a survey."""
    for key, kind in (("name", str), ("description", str), ("spec", list)):
        if not isinstance(survey.get(key), kind):
            return [f"{key} is missing, or of a wrong type"]
    questions = survey["spec"]
    if not questions:
        return ["spec is empty"]
    faults = [fault for number, question in enumerate(questions) for fault in _question_faults(number, question)]
    variables = [question.get("variable") for question in questions]
    return faults + [f"{name} is asked twice" for name in sorted({name for name in variables if variables.count(name) > 1})]


def _question_faults(number: int, question: Json) -> list[str]:
    for key, kind in (("type", str), ("question_name", str), ("variable", str), ("required", bool)):
        if not isinstance(question.get(key), kind):
            return [f"question {number}: {key} is missing, or of a wrong type"]
    kind = question["type"]
    if kind not in QUESTION_TYPES:
        return [f"question {number}: unknown type {kind}"]
    default = question.get("default", "")
    faults = [f"the default is not of type {kind}"] if default != "" and not isinstance(default, QUESTION_TYPES[kind]) else []
    faults += [f"{key} is not a number" for key in ("min", "max") if key in question and not isinstance(question[key], int)]
    if str(default).startswith("$encrypted$"):
        faults.append("$encrypted$ is reserved")
    if kind in ("multiplechoice", "multiselect"):
        chosen = default.splitlines() if isinstance(default, str) else default
        if not question.get("choices"):
            faults.append("no choices")
        elif any(each not in _choices(question) for each in chosen):
            faults.append("the default is not one of the choices")
        if kind == "multiplechoice" and len(chosen) > 1:
            faults.append("several defaults")
    return [f"question {number}: {fault}" for fault in faults]


def _choices(question: Json) -> list[str]:
    choices = question["choices"]
    return choices.splitlines() if isinstance(choices, str) else choices


def answer_faults(survey: Json, answers: Json) -> list[str]:
    """What a person, a schedule or a node of a workflow answers."""
    faults = []
    for question in survey["spec"]:
        name = question["variable"]
        if name not in answers:
            faults += [f"{name} is missing"] if question["required"] else []
            continue
        answer = answers[name]
        if question["type"] == "multiplechoice":
            faults += [] if answer in _choices(question) else [f"{name} is not one of the choices"]
        elif question["type"] in ("text", "textarea", "password"):
            long_enough = isinstance(answer, str) and question.get("min", 0) <= len(answer) <= question.get("max", 1024)
            faults += [] if long_enough else [f"{name} is not a text, too short or too long"]
        else:
            raise NotImplementedError(f"answers to {question['type']} are not used by the kit")
    return faults


PLAYBOOK = re.compile(r"^\s*?-?\s*?(?:hosts|(ansible\.builtin\.)?include|(ansible\.builtin\.)?import_playbook):\s*?.*?$")
SKIPPED = {"roles", "tasks", "group_vars", "host_vars"}


def listed_playbooks(project: Path) -> list[str]:
    """The files of a project that AWX offers as playbooks."""
    found = []
    for file in sorted(project.rglob("*")):
        inside = file.relative_to(project)
        hidden = any(part in SKIPPED or part.startswith(".") for part in inside.parts)
        if file.suffix in (".yml", ".yaml") and file.is_file() and not hidden:
            lines = file.read_text(encoding="utf-8").splitlines()
            if any(PLAYBOOK.match(line) for line in lines):
                found.append(str(inside))
    return found


def rule_faults(rrule: str) -> list[str]:
    """When a schedule runs."""
    faults = [] if re.match(r"DTSTART(;TZID=[\w/]+:\d{8}T\d{6}|:\d{8}T\d{6}Z) RRULE:", rrule) else ["DTSTART in UTC or with a TZID, then RRULE"]
    faults += ["more than one rule"] if rrule.count("RRULE") > 1 else []
    faults += ["no INTERVAL"] if "INTERVAL=" not in rrule else []
    return faults + (["SECONDLY is not allowed"] if "SECONDLY" in rrule else [])


EVENTS = ("started", "success", "error")
APPROVALS = ("running", "approved", "denied", "timed_out")
JOB = {
    "id": 42,
    "type": "job",
    "name": "Expanso Edge: rotate",
    "status": "running",
    "job_type": "run",
    "failed": False,
    "limit": "",
    "launch_type": "workflow",
    "artifacts": {},
    "host_status_counts": {"ok": 5, "changed": 3, "failures": 0, "dark": 0},
    "summary_fields": {"inventory": {"id": 17, "name": "Edge nodes"}, "created_by": {"id": 1, "username": "admin"}},
}
APPROVAL = {"approval_status": "running", "approval_node_name": "Approve me", "workflow_url": "https://awx.example.com/#/workflows/1010", "job_metadata": "{}"}
STUB = {"job": JOB, "job_friendly_name": "Job", "url": "https://awx.example.com/#/jobs/playbook/42", **APPROVAL}
"""A context of the form that AWX renders messages with, of the fields that it allows."""


def message_templates(messages: Json) -> list[tuple[str, str, str]]:
    """Each template of a notification: its event, `message` or `body`, and the template."""
    events = {**{name: value for name, value in messages.items() if name in EVENTS}, **messages.get("workflow_approval", {})}
    return [(event, part, template) for event, parts in events.items() for part, template in (parts or {}).items()]


def notification_faults(messages: Json) -> list[str]:
    """The messages of a notification template of type webhook."""
    faults = [f"unknown event {name}" for name in messages if name not in (*EVENTS, "workflow_approval")]
    faults += [f"unknown event {name}" for name in messages.get("workflow_approval", {}) if name not in APPROVALS]
    for event, part, template in message_templates(messages):
        if part not in ("message", "body"):
            faults.append(f"{event}: unknown part {part}")
            continue
        try:
            text = ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(template).render(STUB)
        except TemplateError as fault:
            faults.append(f"{event}: {fault}")
            continue
        if part == "message" and "\n" in text:
            faults.append(f"{event}: a message has one line")
        if part == "body" and not _is_object(text):
            faults.append(f"{event}: a body is a JSON object")
    return faults


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
