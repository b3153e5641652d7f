# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet after the rotation: who holds which token, and how often each was spent."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared" / "fleet"))

import pytest
from fleet import ENVIRONMENT_FILE, RECORD, STATE, TOKEN_FILE, control_plane, on, secret_of_site, secrets_of_swarm, there, token


def fingerprint(label: str) -> str:
    from ansible_collections.expanso.edge.plugins.module_utils import _token

    return _token.fingerprint(token(label))


def test_the_plan_names_every_node_and_no_token() -> None:
    path = STATE / "plan.json"
    text = path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token("first") not in text
    assert token("second") not in text
    assert all(f'"{node}"' in text for node in ("file1", "unit1", "manager", "site"))


def test_nodes_that_still_need_a_token_hold_the_new_one() -> None:
    assert on("file1", "cat", TOKEN_FILE) == token("second")
    assert f'"{token("second")}"' in on("unit1", "cat", ENVIRONMENT_FILE) or f"={token('second')}\n" in on("unit1", "cat", ENVIRONMENT_FILE)
    assert secret_of_site() == token("second")


def test_the_swarm_needs_none_any_more() -> None:
    assert secrets_of_swarm() == {}


@pytest.mark.parametrize(("node", "path"), [("file2", TOKEN_FILE), ("unit2", ENVIRONMENT_FILE)])
def test_a_registered_node_holds_none(node: str, path: str) -> None:
    assert not there(node, path)


@pytest.mark.parametrize("node", ["file2", "unit2"])
def test_the_record_tells_which_token_enrolled_a_node(node: str) -> None:
    entries = json.loads(on(node, "cat", RECORD))["enrolments"]
    assert [entry["fingerprint"] for entry in entries] == [fingerprint("first")]


@pytest.mark.parametrize("node", ["file1", "unit1"])
def test_the_record_tells_which_tokens_a_node_was_given(node: str) -> None:
    entries = json.loads(on(node, "cat", RECORD))["enrolments"]
    assert [entry["fingerprint"] for entry in entries] == [fingerprint("first"), fingerprint("second")]


def test_no_identity_was_touched() -> None:
    known = control_plane()
    assert sorted(known["tokens"]["first"]["nodes"].values()) == [1, 1, 1]
    assert known["tokens"]["second"]["spent"] == 0
    assert known["refusals"] == []
