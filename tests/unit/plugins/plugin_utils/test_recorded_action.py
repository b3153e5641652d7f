# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions make of the variables for label and audit trail."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._recorded_action import _after_a_change, _changes, _discreet, _label, _trail_file
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import SourceError

OPAQUE = "Zq81mKx02LwPd7Rt5/9fTn3RbVx5YcHj"


@pytest.mark.parametrize(
    ("label", "token", "kept"),
    [("spring 2026", None, True), ("site-7", "", True), (OPAQUE, OPAQUE, True), (OPAQUE, None, False), (OPAQUE, "", False), (None, None, True)],
)
def test_a_label_that_may_be_the_token_goes_with_the_token_alone(label: Any, token: str | None, kept: bool) -> None:
    options = {"token_label": label, "token": token, "state": "present"}
    assert _discreet(options) == {**options, "token_label": label if kept else None}


@pytest.mark.parametrize(
    ("value", "label"),
    [(None, None), ("", None), ("  ", None), ("spring", "spring"), (7, "7"), ([1], None), ({}, None), ("a\nb", "a?b"), ("exp_bk_0123456789", "********")],
)
def test_labels(value: Any, label: str | None) -> None:
    assert _label(lambda _name: value) == label


def test_a_label_that_cannot_be_templated() -> None:
    def variable(_name: str) -> Any:
        raise SourceError("it refers to nothing")

    assert _label(variable) is None


@pytest.mark.parametrize(
    ("value", "path"),
    [(None, None), ("", None), ("/var/log/x", "/var/log/x"), ("trail.jsonl", os.path.abspath("trail.jsonl")), ("~/x", os.path.expanduser("~/x"))],
)
def test_trail_files(value: Any, path: str | None) -> None:
    assert _trail_file(lambda _name: value) == path


@pytest.mark.parametrize("value", [7, True, ["/a"], "/a\0b", OPAQUE, "exp_bk_0123456789abcdef"])
def test_what_is_not_a_trail_file(value: Any) -> None:
    with pytest.raises(SourceError) as refused:
        _trail_file(lambda _name: value)
    assert str(value) not in str(refused.value) or value in (7, True)


def test_a_fault_after_a_change_tells_of_the_change() -> None:
    assert _after_a_change({"changed": True, "msg": "token written"}, "disk full") == "token written; but disk full"
    assert _after_a_change({}, "disk full") == "disk full"


@pytest.mark.parametrize("module", ["bootstrap_token", "k8s_secret", "swarm_secret", "edge_registration", "wait_for_registration"])
@pytest.mark.parametrize("odd", [5, "x", ["x"], {"before": 5, "after": "x"}, {"before": {"secrets": 5}}])
def test_a_node_may_answer_anything(module: str, odd: Any) -> None:
    """A run on a node that answers nonsense is not missing in the trail, and ends in no stack trace."""
    result = {"changed": True, **dict.fromkeys(("diff", "action", "versions", "secrets_removed", "obsolete_removed", "agent_output"), odd)}
    for found in (result, {**result, "secrets_removed": None, "token_removed": odd}):
        assert all(isinstance(each.action, str) for each in _changes(f"expanso.edge.{module}", {"token_file": "/t"}, found))
    if module == "bootstrap_token" and odd == 5:
        assert _changes(f"expanso.edge.{module}", {}, result)[0].action == "unknown, because the answer is not one of the module"
