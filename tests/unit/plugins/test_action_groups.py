# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action groups in meta/runtime.yml: what their members have in common. That their documentation names them is checked by antsibull-nox."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
GROUPS = yaml.safe_load((REPOSITORY / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]
# the fragment that documents what a group's members have in common: an option that one of them did not know would fail there
COMMON = {"k8s": "expanso.edge._k8s", "node": "expanso.edge._registration"}


def fragments(module: Path) -> list[str]:
    text = module.read_text(encoding="utf-8").partition('DOCUMENTATION = r"""')[2].partition('"""')[0]
    found: list[str] = yaml.safe_load(text).get("extends_documentation_fragment", [])
    return found


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_members_are_all_modules_with_the_common_options(group: str) -> None:
    members = [entry for entry in GROUPS[group] if isinstance(entry, str)]
    modules = {path.stem: fragments(path) for path in sorted((REPOSITORY / "plugins" / "modules").glob("*.py"))}
    assert members == [name for name, of_it in modules.items() if COMMON[group] in of_it]
