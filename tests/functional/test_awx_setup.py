# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/awx-setup/awx.yml with the real modules of awx.awx, against a stand-in for AWX's API that applies AWX's rules (`support/awx_api.py`)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awx_api
import environments
import pytest
from awx_kit import PROJECT, SECRETS, SETUP, definitions

TOKEN = "oauth-of-the-tests"
DATA = definitions("definitions.yml", "external-store.yml", **SECRETS)


@dataclass
class Set:
    """An AWX that was set up twice."""

    awx: awx_api.Awx
    outputs: list[str]
    second: list[tuple[str, str]]
    """What the second run changed."""

    def numbers(self, kind: str, names: list[str]) -> list[int]:
        return [self.awx.named(kind, name)["id"] for name in names]


def play(awx: awx_api.Awx, folder: Path, *arguments: str) -> str:
    """Run awx.yml with all that is optional, at the verbosity that shows most. The secrets are in a file, as docs/docsite/rst/guide_awx.rst says."""
    given = folder / "secrets.yml"
    given.write_text(json.dumps(SECRETS))
    command = ["ansible-playbook", "-vvv", SETUP / "awx.yml", "-e", f"@{SETUP / 'external-store.yml'}", "-e", f"@{given}", *arguments]
    variables = environments.activated("awx", CONTROLLER_HOST=awx.url, CONTROLLER_OAUTH_TOKEN=TOKEN, ANSIBLE_HOME=str(folder), HOME=str(folder))
    del variables["ANSIBLE_COLLECTIONS_PATH"]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    folder = tmp_path_factory.mktemp("awx")
    with awx_api.serving(PROJECT, TOKEN) as awx:
        first = play(awx, folder)
        # what a person then fills in stays
        awx.named("credentials", "Expanso Edge: bootstrap token")["inputs"] = {"bootstrap_token": "$encrypted$", "token_label": "spring"}
        awx.asked.clear()
        yield Set(awx, [first, play(awx, folder)], awx.changes())


def test_everything_is_made_as_the_definitions_say(made: Set) -> None:
    (wanted,) = DATA["controller_credential_types"]
    kept = made.awx.named("credential_types", wanted["name"])
    assert {key: kept[key] for key in wanted} == wanted
    for variable, kind in (("controller_notifications", "notification_templates"), ("controller_schedules", "schedules")):
        for each in DATA[variable]:
            found = made.awx.named(kind, each["name"])
            assert {key: found[key] for key in each if key not in ("organization", "unified_job_template")} == {
                key: value for key, value in each.items() if key not in ("organization", "unified_job_template")
            }


def test_each_job_template_has_its_survey_credentials_and_settings(made: Set) -> None:
    for each in DATA["controller_templates"]:
        found = made.awx.named("job_templates", each["name"])
        assert found["survey_spec"] == each.get("survey_spec", {})
        assert sorted(found["_credentials"]) == sorted(made.numbers("credentials", each["credentials"]))
        assert found["_notification_templates_error"] == made.numbers("notification_templates", each["notification_templates_error"])
        assert json.loads(found["extra_vars"]) == each.get("extra_vars", {})
        same = set(each) - {"organization", "project", "inventory", "credentials", "survey_spec", "extra_vars", "notification_templates_error"}
        assert {key: found[key] for key in same} == {key: each[key] for key in same}


def test_the_nodes_of_the_workflow_are_linked(made: Set) -> None:
    nodes: dict[str, dict[str, Any]] = {each["identifier"]: each for each in made.awx.held["workflow_job_template_nodes"].values()}
    order, at = [], nodes["plan"]
    while at:
        order.append(at["identifier"])
        at = next((each for each in nodes.values() if [each["id"]] == at.get("_success_nodes")), {})
    assert order == ["plan", "approve", "canary", "fleet", "audit"] and len(nodes) == 5
    assert nodes["canary"]["limit"] == "expanso_edge[0]"
    approval = made.awx.held["workflow_approval_templates"][nodes["approve"]["unified_job_template"]]
    assert approval["timeout"] == 86400


def test_the_organization_can_install_collections_and_the_store_fills_the_token(made: Set) -> None:
    (organization,) = made.awx.held["organizations"].values()
    assert organization["_galaxy_credentials"] == made.numbers("credentials", ["Ansible Galaxy"])
    (source,) = made.awx.held["credential_input_sources"].values()
    assert [source["target_credential"]] == made.numbers("credentials", ["Expanso Edge: bootstrap token"])


def test_no_secret_is_shown(made: Set) -> None:
    held = awx_api.as_text(made.awx)
    for name, value in SECRETS.items():
        assert value in held, name
        assert not [output for output in made.outputs if value in output], name


def test_a_second_run_changes_nothing(made: Set) -> None:
    # awx.awx.workflow_job_template sends an approval again each time: it compares it with fields of the node
    assert [each for each in made.second if "workflow_approval_templates" not in each[1]] == []
    assert made.awx.named("credentials", "Expanso Edge: bootstrap token")["inputs"]["token_label"] == "spring"


def test_what_awx_would_refuse_fails_the_play(tmp_path: Path) -> None:
    refused = {**DATA["controller_credential_types"][0], "injectors": {"env": {"ANSIBLE_CONFIG": "x"}}}
    with awx_api.serving(PROJECT, TOKEN) as awx, pytest.raises(AssertionError, match="ANSIBLE_CONFIG is not allowed"):
        play(awx, tmp_path, "-e", json.dumps({"controller_credential_types": [refused]}))
