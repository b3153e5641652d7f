# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the API of AWX on loopback: keeps what it is given, and refuses what AWX 24.6.1 refuses (`awx_rules.py`). It starts no jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import awx_rules
import fake_servers

Json = dict[str, Any]
Answer = tuple[int, Any]
UNIFIED = {
    "job_templates": "job_template",
    "workflow_job_templates": "workflow_job_template",
    "projects": "project",
    "workflow_approval_templates": "workflow_approval",
}
MANAGED_TYPES = ("Machine", "Source Control", "Ansible Galaxy/Automation Hub API Token", "HashiCorp Vault Secret Lookup", "GPG Public Key")
FIELDS_OF_TYPES: dict[str, list[str]] = {
    "Machine": ["username", "password", "ssh_key_data"],
    "HashiCorp Vault Secret Lookup": ["url", "token", "role_id", "secret_id", "default_auth_path", "api_version"],
}


def refused(field: str, faults: list[str]) -> Answer | None:
    return (400, {field: faults}) if faults else None


class Awx:
    """What AWX holds, by kind and number, and what it was asked. `project` is the folder that each project is a checkout of."""

    def __init__(self, project: Path, token: str) -> None:
        self.project = project
        self.token = token
        self.held: dict[str, dict[int, Json]] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[Json] = []
        self.url = ""
        for name in MANAGED_TYPES:
            self.hold("credential_types", name=name, kind="ssh", managed=True)
        self.hold("credentials", name="Ansible Galaxy", credential_type=self.named("credential_types", MANAGED_TYPES[2])["id"], inputs={})

    def hold(self, where: str, **fields: Any) -> Json:
        """Add an object, as if somebody had made it."""
        number = sum(len(each) for each in self.held.values()) + 1
        url = f"/api/v2/{where}/{number}/"
        fields = {"name": "", **fields, "id": number, "type": UNIFIED.get(where, where[:-1]), "url": url, "summary_fields": {}, "related": {}}
        if where in ("job_templates", "workflow_job_templates"):
            fields["related"] = {"survey_spec": f"{url}survey_spec/"}
            fields.setdefault("survey_spec", {})
        if where == "projects":
            fields["scm_revision"] = "0" * 40
        self.held.setdefault(where, {})[number] = fields
        return fields

    def named(self, kind: str, name: str) -> Json:
        """The one object of a kind that has a name."""
        (found,) = (each for each in self.held.get(kind, {}).values() if each.get("name") == name or each.get("identifier") == name)
        return found

    def changes(self) -> list[tuple[str, str]]:
        return [each for each in self.asked if each[0] != "GET"]

    def answer(self, method: str, path: str, query: str, body: Json) -> Answer:
        if self.headers[-1].get("authorization") != f"Bearer {self.token}":
            return 401, {"detail": "Authentication credentials were not provided."}
        parts = path.strip("/").split("/")[2:]
        kind, number, sub = parts[0], int(parts[1]) if len(parts) > 1 else 0, parts[2] if len(parts) > 2 else ""
        if not number:
            return self._create(kind, body) if method == "POST" else self._list(self._of(kind), query)
        found = self.held.get(kind, {}).get(number)
        if found is None:
            return 404, {"detail": "Not found."}
        if sub == "survey_spec":
            return self._survey(found, method, body)
        if sub == "create_approval_template":
            return self._approval(found, body)
        if sub:
            return self._associations(found, sub, method, query, body)
        if method == "PATCH":
            fault = self._fault(kind, {**found, **body})
            if fault:
                return fault
            known = ("name", "description", "timeout") if kind == "workflow_approval_templates" else body
            found.update({key: body[key] for key in known if key in body})
        return 200, found

    def _of(self, kind: str) -> list[Json]:
        kinds = [each for each in UNIFIED if each != "workflow_approval_templates"] if kind == "unified_job_templates" else [kind]
        return [each for name in kinds for each in self.held.get(name, {}).values()]

    @staticmethod
    def _list(objects: list[Json], query: str) -> Answer:
        asked = dict(parse_qsl(query))
        found = [each for each in objects if all(str(each.get(key)) == value for key, value in asked.items())]
        return 200, {"count": len(found), "next": None, "previous": None, "results": found}

    def _create(self, kind: str, body: Json) -> Answer:
        fault = self._fault(kind, body)
        return fault or (201, self.hold(kind, **body))

    def _fault(self, kind: str, body: Json) -> Answer | None:
        """What AWX would refuse of an object."""
        if kind == "credential_types":
            return refused("inputs", awx_rules.credential_type_faults(body["kind"], body["inputs"], body["injectors"]))
        if kind == "credentials":
            return self._credential_fault(body)
        if kind == "credential_input_sources":
            kept = self.held["credentials"][body["target_credential"]]
            names = self._fields(kept["credential_type"])
            return refused("input_field_name", [] if body["input_field_name"] in names else [f"one of {names}"])
        if kind == "notification_templates":
            return refused("messages", awx_rules.notification_faults(body["messages"]))
        if kind == "job_templates":
            known = awx_rules.listed_playbooks(self.project)
            return refused("playbook", [] if body["playbook"] in known else [f"Playbook not found for project, which has {known}."])
        if kind == "workflow_job_template_nodes":
            return self._node_fault(body)
        return refused("rrule", awx_rules.rule_faults(body["rrule"])) if kind == "schedules" else None

    def _fields(self, number: int) -> list[str]:
        kind = self.held["credential_types"][number]
        return [each["id"] for each in kind["inputs"]["fields"]] if "inputs" in kind else FIELDS_OF_TYPES.get(kind["name"], [])

    def _credential_fault(self, body: Json) -> Answer | None:
        names = self._fields(body["credential_type"])
        return refused("inputs", [f"Additional properties are not allowed ({name})" for name in body.get("inputs", {}) if name not in names])

    def _node_fault(self, body: Json) -> Answer | None:
        """A node may set only what its template asks for."""
        template = next((each for each in self._of("unified_job_templates") if each["id"] == body.get("unified_job_template")), {})
        prompts = {"limit": "ask_limit_on_launch", "job_type": "ask_job_type_on_launch", "extra_data": "ask_variables_on_launch"}
        set_without = [name for name, prompt in prompts.items() if body.get(name) and not template.get(prompt)]
        return refused("__all__", [f"Field is not configured to prompt on launch: {name}" for name in set_without])

    @staticmethod
    def _survey(found: Json, method: str, body: Json) -> Answer:
        if method == "GET":
            return 200, found["survey_spec"]
        faults = awx_rules.survey_faults(body)
        if faults:
            return 400, {"error": "; ".join(faults)}
        found["survey_spec"] = body
        return 200, {}

    def _approval(self, node: Json, body: Json) -> Answer:
        made = self.hold("workflow_approval_templates", **{key: body[key] for key in ("name", "description", "timeout")})
        node["unified_job_template"] = made["id"]
        node["related"]["unified_job_template"] = made["url"]
        return 201, made

    def _associations(self, found: Json, name: str, method: str, query: str, body: Json) -> Answer:
        numbers = found.setdefault(f"_{name}", [])
        if method == "GET":
            return self._list([{"id": each} for each in numbers], query)
        if name == "credentials" and not body.get("disassociate"):
            types = [self.held["credentials"][each]["credential_type"] for each in numbers]
            if self.held["credentials"][body["id"]]["credential_type"] in types:
                return 400, {"error": "Cannot assign multiple credentials of one type."}
        if body.get("disassociate"):
            numbers.remove(body["id"])
        else:
            numbers.append(body["id"])
        return 204, b""


@contextmanager
def serving(project: Path, token: str) -> Iterator[Awx]:
    """A stand-in at `url`, which takes requests with the token until the block ends."""
    awx = Awx(project, token)
    server = fake_servers.serve(awx)
    awx.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield awx
    finally:
        server.shutdown()
        server.server_close()


def as_text(awx: Awx) -> str:
    """All that it holds, to search in."""
    return json.dumps(awx.held)
