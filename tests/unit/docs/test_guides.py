# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides and the roles' documentation show examples as they are in examples/docs, and link to files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import guides
import pytest
import yaml
from paths import REPOSITORY

BLOCKS = list(guides.blocks())
SPECS = sorted((REPOSITORY / "roles").glob("*/meta/argument_specs.yml"))
LINK = re.compile(r"https://github\.com/expanso-io/expanso\.edge/(?:blob|tree)/main/([^\s>)#]+)(?:#([\w-]+))?")
PAGES = sorted([*guides.GUIDES.glob("*.rst"), *SPECS, REPOSITORY / "README.md", REPOSITORY / "SECURITY.md"])


def anchors(page: Path) -> set[str]:
    """The anchors that the code host makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def roles_examples(specs: Path) -> str:
    text: str = yaml.safe_load(specs.read_text(encoding="utf-8"))["argument_specs"]["main"]["examples"]
    return text


def test_there_are_blocks_of_each_kind() -> None:
    assert {block.language for block in BLOCKS} == {"console", "ini", "yaml+jinja"}
    shown = sum(path.read_text(encoding="utf-8").count("code-block::") for path in guides.GUIDES.glob("*.rst"))
    assert len(BLOCKS) == shown, "a block that the expression does not match"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language != "console"], ids=lambda block: f"{block.page}-{block.name}")
def test_a_block_is_the_example_of_its_name(block: guides.Block) -> None:
    assert block.name, f"a block of {block.page} has no file name, so nothing tests it"
    assert block.text == guides.example(guides.EXAMPLES / block.name)


def test_each_example_is_shown() -> None:
    assert {path.name for path in guides.EXAMPLES.iterdir()} == {block.name for block in BLOCKS} - {""}


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
