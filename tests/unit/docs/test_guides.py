# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides and the roles' documentation show examples as they are in examples/docs, and link to files that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import guides
import pytest
import yaml
from ansible_collections.expanso.edge.plugins.filter.job_result import job_result
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import prometheus
from paths import REPOSITORY

BLOCKS = list(guides.blocks())
SPECS = sorted((REPOSITORY / "roles").glob("*/meta/argument_specs.yml"))
LINK = re.compile(r"https://github\.com/expanso-io/expanso\.edge/(?:blob|tree)/main/([^\s>)#]+)(?:#([\w-]+))?")
PAGES = sorted([*guides.GUIDES.glob("*.rst"), *SPECS, REPOSITORY / "README.md", REPOSITORY / "SECURITY.md"])
MARKDOWN = sorted(path for pattern in ("*.md", "docs/*.md", "roles/*/README.md") for path in REPOSITORY.glob(pattern))


def anchors(page: Path) -> set[str]:
    """The anchors that the code host makes of a page's headings."""
    heading = r"^(.+)\n[=~-]{3,}$" if page.suffix == ".rst" else r"^#+ (.*)$"
    headings = re.findall(heading, page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def roles_examples(specs: Path) -> str:
    text: str = yaml.safe_load(specs.read_text(encoding="utf-8"))["argument_specs"]["main"]["examples"]
    return text


def test_there_are_blocks_of_each_kind() -> None:
    assert {block.language for block in BLOCKS} == {"console", "ini", "json", "python", "yaml", "yaml+jinja"}
    shown = sum(path.read_text(encoding="utf-8").count("code-block::") for path in guides.GUIDES.glob("*.rst"))
    assert len(BLOCKS) == shown, "a block that the expression does not match"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language not in ("console", "json")], ids=lambda block: f"{block.page}-{block.name}")
def test_a_block_is_the_example_of_its_name(block: guides.Block) -> None:
    assert block.name, f"a block of {block.page} has no file name, so nothing tests it"
    assert block.is_as_in_its_file()


def test_a_block_that_differs_is_noticed() -> None:
    block = guides.Block("", "yaml+jinja", "inventories/fleet.yml", "edge01:\nedge02:\n")
    assert block.is_as_in_its_file()
    assert not block._replace(text="edge01:\nedge03:\n").is_as_in_its_file()
    assert not block._replace(name="token_label.yml").is_as_in_its_file()


def test_each_example_is_shown() -> None:
    assert {path.name for path in guides.EXAMPLES.iterdir()} == {block.name for block in BLOCKS if "/" not in block.name} - {""}


def test_the_result_of_a_job_is_as_shown() -> None:
    (shown,) = [json.loads(block.text) for block in BLOCKS if block.language == "json"]
    hosts: dict[str, Any] = {"edge20": {"expanso_edge_failure": "no disk"}}
    for number, action in enumerate(["not_needed"] * 6 + ["repaired"] * 2 + ["written"] * 11):
        result = {"action": action, "registered": action == "not_needed", "path": "/t"}
        hosts[f"edge{number:02}"] = {"token_file_result": result, "expanso_edge_token_label": "spring-2027"}
    assert shown == job_result(list(hosts), hosts, "provision")


def test_the_alerts_name_metrics_that_there_are() -> None:
    report = json.loads((REPOSITORY / "tests" / "support" / "audit_report_example.json").read_text(encoding="utf-8"))
    (group,) = yaml.safe_load(guides.example(guides.EXAMPLES / "audit_alerts.yml"))["groups"]
    named = {name for rule in group["rules"] for name in re.findall(r"expanso_edge_\w+", rule["expr"])}
    assert len(named) == 4
    assert named <= set(re.findall(r"^expanso_edge_\w+", prometheus.render(report).decode(), re.MULTILINE))


@pytest.mark.parametrize("specs", SPECS, ids=lambda path: path.parents[1].name)
def test_the_examples_of_a_role_are_those_of_the_guides(specs: Path) -> None:
    known = {guides.example(path).strip() for path in guides.EXAMPLES.iterdir()}
    plays = re.split(r"\n\n(?=- )", roles_examples(specs).strip())
    assert set(plays) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_into_the_repository_lead_somewhere(page: Path) -> None:
    for name, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = REPOSITORY / name
        assert target.exists(), f"{page.name} links to {name}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {name}#{anchor}"


def test_each_page_of_the_repository_is_linked_by_a_guide() -> None:
    linked = {name for page in guides.GUIDES.glob("*.rst") for name, _anchor in LINK.findall(page.read_text(encoding="utf-8"))}
    assert {f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")} <= linked


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_by_name_are_defined_and_used(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"\]\[([^\]]+)\]", text)) == set(re.findall(r"^\[([^\]]+)\]: https://\S+$", text, re.MULTILINE))
