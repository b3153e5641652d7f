# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The definitions for AWX: AWX would accept them, what they name exists, and they say what the guide to AWX says."""

from __future__ import annotations

import re
from typing import Any

import awx_rules
import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from awx_kit import PROJECT, SECRETS, SETUP, definitions, read
from paths import REPOSITORY

Json = dict[str, Any]
DATA = definitions("definitions.yml", "external-store.yml", **SECRETS)
TEMPLATES = {each["name"]: each for each in DATA["controller_templates"]}
WORKFLOW = DATA["controller_workflows"][0]
NODES = {each["identifier"]: each for each in WORKFLOW["workflow_nodes"]}
SURVEYS = {name: each["survey_spec"] for name, each in (*TEMPLATES.items(), ("workflow", WORKFLOW)) if "survey_spec" in each}
TOKEN, MACHINE = (each["name"] for each in DATA["controller_credentials"][:2])


def names(variable: str) -> set[str]:
    return {each["name"] for each in DATA[variable]}


def test_awx_accepts_the_credential_type() -> None:
    (made,) = DATA["controller_credential_types"]
    assert awx_rules.credential_type_faults(made["kind"], made["inputs"], made["injectors"]) == []
    secret = {field["id"]: field.get("secret", False) for field in made["inputs"]["fields"]}
    assert secret == {"bootstrap_token": True, "token_label": False}
    assert set(made["injectors"]) == {"file", "extra_vars"}  # an environment variable would be stored with the job


@pytest.mark.parametrize("survey", SURVEYS.values(), ids=SURVEYS)
def test_awx_accepts_each_survey_and_starts_without_answers(survey: Json) -> None:
    assert awx_rules.survey_faults(survey) == []
    assert awx_rules.answer_faults(survey, {}) == []
    assert awx_rules.answer_faults(survey, {each["variable"]: each["default"] for each in survey["spec"]}) == []


@pytest.mark.parametrize("survey", SURVEYS.values(), ids=SURVEYS)
def test_no_survey_asks_for_a_token_or_offers_all_hosts(survey: Json) -> None:
    for question in survey["spec"]:
        assert question["type"] != "password" and "token" not in question["variable"]
        assert not {"all", "*", "localhost"} & set(question.get("choices", []))


@pytest.mark.parametrize("survey", SURVEYS.values(), ids=SURVEYS)
def test_an_emptied_answer_is_refused_unless_the_playbooks_take_it(survey: Json) -> None:
    for question in survey["spec"]:
        refused = awx_rules.answer_faults({"spec": [question]}, {question["variable"]: ""}) != []
        assert refused == (question["variable"] != "expanso_edge_fingerprint"), question["variable"]


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name in SURVEYS])
def test_a_survey_asks_only_for_variables_of_its_playbook(name: str) -> None:
    described = (REPOSITORY / "playbooks" / TEMPLATES[name]["playbook"]).read_text(encoding="utf-8").split("\n- name")[0]
    for question in SURVEYS[name]["spec"]:
        assert f"#   {question['variable']} " in described, question["variable"]


def test_awx_lists_the_four_playbooks_and_each_has_a_template() -> None:
    listed = awx_rules.listed_playbooks(PROJECT)
    assert listed == ["audit.yml", "provision.yml", "retire.yml", "rotate.yml"]
    assert {each["playbook"] for each in TEMPLATES.values()} == set(listed)
    assert awx_rules.listed_playbooks(SETUP) == ["aap.yml", "awx.yml"]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_what_a_job_template_names_exists(template: Json) -> None:
    assert template["project"] in names("controller_projects") and template["inventory"] in names("controller_inventories")
    assert set(template["credentials"]) <= names("controller_credentials")
    assert set(template["notification_templates_error"]) <= names("controller_notifications")


def test_everything_belongs_to_the_one_organization() -> None:
    (organization,) = names("aap_organizations")
    for variable, objects in DATA.items():
        if variable not in ("aap_organizations", "controller_credential_types", "controller_credential_input_sources"):
            assert {each["organization"] for each in objects} == {organization}, variable


def test_only_templates_that_deliver_have_the_token() -> None:
    have = {name for name, each in TEMPLATES.items() if TOKEN in each["credentials"]}
    assert have == {name for name, each in TEMPLATES.items() if each["playbook"] in ("provision.yml", "rotate.yml")}
    assert all(MACHINE in each["credentials"] for each in TEMPLATES.values())


def test_nobody_who_starts_a_job_may_set_other_variables_inventories_or_credentials() -> None:
    for template in (*TEMPLATES.values(), WORKFLOW):
        allowed = {key for key, value in template.items() if key.startswith("ask_") and value}
        assert allowed <= {f"ask_{each}_on_launch" for each in ("limit", "verbosity", "job_type", "diff_mode")}


def test_the_template_for_nodes_that_call_in_needs_nobody() -> None:
    template = TEMPLATES["Expanso Edge: provision a node that calls in"]
    assert template["host_config_key"] == SECRETS["expanso_edge_awx_host_config_key"]
    assert template["allow_simultaneous"] and not [key for key in template if key.startswith(("ask_", "survey"))]
    without = {each["name"]: each for each in definitions()["controller_templates"]}[template["name"]]
    assert "host_config_key" not in without  # the one that AWX has stays


def test_the_nodes_of_the_workflow_follow_each_other() -> None:
    seen, at = [], "plan"
    while at:
        seen.append(at)
        links = NODES[at].get("related", {})
        assert set(links) <= {"success_nodes"}  # AWX calls a workflow successful whose failed node is followed by another one
        (at,) = [each["identifier"] for each in links.get("success_nodes", [])] or [""]
    assert seen == ["plan", "approve", "canary", "fleet", "audit"] == list(NODES)


def test_the_nodes_of_the_workflow_run_what_exists() -> None:
    kinds = {name: node["unified_job_template"]["type"] for name, node in NODES.items()}
    assert {name for name, kind in kinds.items() if kind != "job_template"} == {"approve"} and kinds["approve"] == "workflow_approval"
    runs = {name: TEMPLATES[node["unified_job_template"]["name"]] for name, node in NODES.items() if name != "approve"}
    assert runs["plan"]["job_type"] == "check" and runs["plan"]["extra_vars"] == {"expanso_edge_plan_artifact": True}
    assert runs["canary"] is runs["fleet"] and runs["canary"]["job_type"] == "run" and runs["canary"]["playbook"] == "rotate.yml"
    assert runs["plan"]["playbook"] == "rotate.yml" and runs["audit"]["playbook"] == "audit.yml"
    for name, template in runs.items():
        assert "limit" not in NODES[name] or template["ask_limit_on_launch"]
        assert set(NODES[name]) <= {"identifier", "limit", "unified_job_template", "related"}


def test_a_limit_of_the_workflow_would_replace_those_of_its_nodes() -> None:
    assert "limit" not in WORKFLOW and "ask_limit_on_launch" not in WORKFLOW


def test_one_node_comes_first_and_then_all_others() -> None:
    inventory = InventoryManager(loader=DataLoader(), sources=["edge03,edge01,edge02,web01,"])
    inventory.add_group("expanso_edge")
    for host in ("edge03", "edge01", "edge02"):
        inventory.add_host(host, group="expanso_edge")
    found = {name: [host.name for host in inventory.get_hosts(NODES[name]["limit"])] for name in ("canary", "fleet")}
    assert len(found["canary"]) == 1 and sorted(found["canary"] + found["fleet"]) == ["edge01", "edge02", "edge03"]


def test_the_schedule_starts_what_needs_no_answer() -> None:
    (schedule,) = DATA["controller_schedules"]
    assert awx_rules.rule_faults(schedule["rrule"]) == []
    assert awx_rules.answer_faults(TEMPLATES[schedule["unified_job_template"]]["survey_spec"], {}) == []


def test_the_store_fills_the_field_of_the_credential() -> None:
    (source,) = DATA["controller_credential_input_sources"]
    fields = [each["id"] for each in DATA["controller_credential_types"][0]["inputs"]["fields"]]
    assert source["target_credential"] == TOKEN and source["input_field_name"] in fields
    assert source["source_credential"] in names("controller_credentials") - {TOKEN, MACHINE}


def test_the_files_hold_no_secret() -> None:
    text = "".join((SETUP / name).read_text(encoding="utf-8") for name in ("definitions.yml", "external-store.yml"))
    given = re.findall(r"^ *(?:password|secret_id|role_id|host_config_key): (.*)$", text, re.MULTILINE)
    assert len(given) == 4
    for value in given:
        (variable,) = re.findall(r'^"\{\{ (\w+)(?: \| default\(.*\))? \}\}"$', value)
        assert variable in SECRETS and variable not in read("definitions.yml", "external-store.yml")
    assert [each.get("inputs") for each in DATA["controller_credentials"][:2]] == [None, None]


AAP_KEYS = {
    "aap_organizations": "name galaxy_credentials",
    "controller_credential_types": "name description kind inputs injectors",
    "controller_credentials": "name description organization credential_type inputs state",
    "controller_credential_input_sources": "target_credential input_field_name source_credential metadata",
    "controller_notifications": "name description organization notification_type notification_configuration messages",
    "controller_projects": "name description organization scm_type scm_url scm_clean scm_update_on_launch scm_update_cache_timeout allow_override"
    " default_environment signature_validation_credential notification_templates_error",
    "controller_inventories": "name description organization state",
    "controller_templates": "name description organization project inventory playbook credentials job_type forks timeout allow_simultaneous extra_vars"
    " host_config_key survey_enabled survey_spec ask_limit_on_launch ask_verbosity_on_launch ask_job_type_on_launch ask_diff_mode_on_launch"
    " notification_templates_error",
    "controller_workflows": "name description organization allow_simultaneous extra_vars survey_enabled survey_spec workflow_nodes"
    " notification_templates_error notification_templates_success notification_templates_approvals",
    "controller_schedules": "name description organization unified_job_template rrule enabled",
}


def test_the_names_are_those_that_the_platform_s_collection_reads() -> None:
    """infra.aap_configuration is in no Python package, so this compares with what its roles' documentation lists, as far as it is used here."""
    assert set(DATA) == set(AAP_KEYS)
    for variable, objects in DATA.items():
        assert {key for each in objects for key in each} <= set(AAP_KEYS[variable].split()), variable


def test_the_play_for_awx_passes_on_all_that_the_data_says() -> None:
    (play,) = yaml.safe_load((SETUP / "awx.yml").read_text(encoding="utf-8"))
    passed: dict[str, set[str]] = {}
    for task in play["tasks"]:
        (module,) = [key for key in task if key.startswith("awx.awx.")]
        passed.setdefault(re.findall(r"\w+", task["loop"])[0], set()).update(task[module])
    for variable, objects in DATA.items():
        assert {key for each in objects for key in each} <= passed[variable], variable


def test_the_page_names_every_object() -> None:
    page = (REPOSITORY / "docs" / "docsite" / "rst" / "guide_awx.rst").read_text(encoding="utf-8")
    wanted = {*TEMPLATES, WORKFLOW["name"], TOKEN, DATA["controller_credential_types"][0]["name"], DATA["controller_schedules"][0]["name"], *SECRETS}
    assert {name for name in wanted if name not in page} == set()
