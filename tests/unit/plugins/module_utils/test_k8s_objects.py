# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any, Dict

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import differs

MANIFEST = {"metadata": {"name": "x", "labels": {"site": "one"}}, "data": {"token": "QQ=="}}


def held(labels: Dict[str, str], *owned: str, manager: str = "expanso.edge") -> Dict[str, Any]:
    """An object as the cluster has it, with the labels that we own."""
    fields = {"f:metadata": {"f:labels": {"f:" + name: {} for name in owned}}}  # type: Dict[str, Any]
    managed = [{"manager": manager, "operation": "Apply", "fieldsV1": fields}]
    return {"metadata": {"name": "x", "labels": labels, "managedFields": managed}, "data": {"token": "QQ=="}}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (held({"site": "one"}, "site"), held({"site": "one"}, "site"), False),
        (held({"site": "two"}, "site"), held({"site": "one"}, "site"), True),
        (held({"site": "one", "old": "x"}, "site", "old"), held({"site": "one"}, "site"), True),
        (held({"site": "one", "policy": "1"}, "site"), held({"site": "one", "policy": "2"}, "site"), False),
        (held({"site": "one"}, "site", manager="a"), held({"site": "one"}, "site", "more", manager="a"), False),
    ],
    ids=["the same", "another value", "one removed", "a policy's", "another manager's"],
)
def test_what_applying_changed(before: Dict[str, Any], after: Dict[str, Any], changed: bool) -> None:
    assert differs(before, after, MANIFEST, "expanso.edge") is changed


def test_what_was_not_there_is_changed() -> None:
    assert differs(None, held({}), MANIFEST, "expanso.edge")
