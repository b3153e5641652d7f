# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary of a retirement."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.filter.retire_summary import retire_summary

MARK = "5d41402abc4b"
AWAY = "the host cannot be reached: no route"
FIND = f"ansible-playbook expanso.edge.audit -e expanso_edge_fingerprint={MARK}"
COPIES = f"next: copies in other places, such as shell histories, are not removed: find them with {FIND}"
REVOKE = "next: revoke the token in Expanso Cloud, on the workspace's Keys page: until then anyone who has it can register a node"
VALID = "next: a removed token stays valid until it is revoked in Expanso Cloud, on the workspace's Keys page"


def done(*actions: str, failure: str | None = None, **variables: Any) -> dict[str, Any]:
    """The variables of a host with these results."""
    roles = ("token_file", "systemd_service", "swarm_secret")
    found = {f"{role}_retired": {"action": action} for role, action in zip(roles, actions, strict=False)}
    return {**found, **({} if failure is None else {"expanso_edge_failure": failure}), **variables}


@pytest.mark.parametrize(
    ("hostvars", "lines"),
    [
        ({"a": done("absent")}, ["1 node", "  nothing to remove: 1 (a)"]),
        ({"a": done("removed"), "b": done("absent")}, ["2 nodes", "  token removed: 1 (a)", "  nothing to remove: 1 (b)", VALID]),
        (
            {"a": done("kept"), "b": done("removed", "kept")},
            [
                "2 nodes",
                "  token removed: 1 (b)",
                "  still held, because not registered: 2 (a, b)",
                "next: 2 nodes still hold a token (a, b): let them register, or remove it with -e expanso_edge_retire_all=true",
                VALID,
            ],
        ),
        (
            {"a": done("delegated"), "b": done("removed", failure="no\nmore"), "c": done(failure=AWAY), "d": done()},
            [
                "4 nodes",
                "  token removed: 1 (b)",
                "  done on another host (the manager of its swarm): 1 (a)",
                "  failed: 1 (b)",
                "    b: no",
                "  not reached, so unknown: 1 (c)",
                f"    c: {AWAY}",
                "  no result (in a later batch, or skipped by tags): 1 (d)",
                VALID,
            ],
        ),
        ({"a": {"token_file_retired": "odd"}}, ["1 node", "  no result (in a later batch, or skipped by tags): 1 (a)"]),
    ],
)
def test_what_is_not_needed_any_more(hostvars: dict[str, Any], lines: list[str]) -> None:
    assert retire_summary(list(hostvars), hostvars) == lines


@pytest.mark.parametrize(
    ("hostvars", "lines"),
    [
        ({"a": done("removed")}, ["  token removed: 1 (a)", "the token is gone from its usual place on all nodes that were asked"]),
        ({"a": done("kept")}, ["  holds another token, which stays: 1 (a)", "the token is gone from its usual place on all nodes that were asked"]),
        (
            {"a": done("removed"), "b": done("removed", failure=AWAY), "c": done()},
            [
                "  token removed: 2 (a, b)",
                "  not reached, so unknown: 1 (b)",
                f"    b: {AWAY}",
                "  no result (in a later batch, or skipped by tags): 1 (c)",
                "the token may still be held by 2 nodes (b, c): correct what failed, and run this again",
            ],
        ),
    ],
)
def test_one_token(hostvars: dict[str, Any], lines: list[str]) -> None:
    count = f"{len(hostvars)} node{'s' if len(hostvars) > 1 else ''}, token {MARK}"
    assert retire_summary(list(hostvars), hostvars, MARK) == [count, *lines, COPIES, REVOKE]


def test_in_check_mode() -> None:
    found = retire_summary(["a"], {"a": done("removed")}, check=True)
    assert found == ["1 node; check mode: this is what would be done", "  token removed: 1 (a)"]
    emergency = retire_summary(["a"], {"a": done("removed")}, MARK, check=True)
    assert emergency[2] == "the token would be gone from its usual place on all nodes that were asked"
