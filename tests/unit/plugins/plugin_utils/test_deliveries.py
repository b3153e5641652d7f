# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller knows of the deliveries, compared with the roles, the modules and the playbook themselves."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import DEFAULT, DELIVERIES, DELIVERY_VARIABLE, HOLDING, OUTCOMES

REPOSITORY = Path(__file__).resolve().parents[4]
ROLES = {path.name: path for path in (REPOSITORY / "roles").iterdir() if path.is_dir()}
RESULT = re.compile(r"expanso\.edge\.(\w+):\n(?:(?!\n\n).)*?\n  register: (\w+_result)$", re.DOTALL | re.MULTILINE)


def test_each_role_is_a_delivery() -> None:
    assert set(DELIVERIES) == set(ROLES)


@pytest.mark.parametrize("name", DELIVERIES)
def test_the_variable_belongs_to_the_role(name: str) -> None:
    variable = DELIVERIES[name].variable
    options = yaml.safe_load((ROLES[name] / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    assert variable == "" or variable in options


@pytest.mark.parametrize("name", DELIVERIES)
def test_each_role_registers_the_result_of_a_module_with_known_actions(name: str) -> None:
    tasks = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROLES[name] / "tasks").glob("*.yml")))
    modules = {module for module, result in RESULT.findall(tasks) if result == f"{name}_result"}
    assert modules
    for module in modules:
        documented = yaml.safe_load(importlib.import_module(f"ansible_collections.expanso.edge.plugins.modules.{module}").RETURN)
        # "checked" is what a question returns, and no role registers that as its result
        assert set(documented["action"]["choices"]) - {"checked"} <= set(OUTCOMES)


def test_what_leaves_a_token_is_an_outcome() -> None:
    assert set(HOLDING) < set(OUTCOMES)


def test_the_playbook_has_the_same_default() -> None:
    playbook = (REPOSITORY / "playbooks" / "provision.yml").read_text(encoding="utf-8")
    assert f"[{DELIVERY_VARIABLE} | default('{DEFAULT}')]" in playbook
