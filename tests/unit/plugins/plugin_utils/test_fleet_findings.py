# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only all nodes together, the registry or the controller's clock can tell."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import registry, tokens
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.findings import fleet_findings
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Finding
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.scope import Host, nodes
from audit_fleet import PLACE, Json, answer, enrolment, finding, fingerprint, jwt, registered, token

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)


def audit(fleet: dict[str, Json | None], known: Any = None, groups: dict[str, list[str]] | None = None) -> list[Finding]:
    """The findings of a fleet of hosts with one delivery; None is a host without an answer."""
    hosts = [
        Host(name, (groups or {}).get(name, []), ["token_file"], {} if result is None else {"token_file": result}, None if result else "down", False)
        for name, result in fleet.items()
    ]
    found = nodes(hosts)
    entries = None if known is None else registry.parse(known)
    return fleet_findings(found, tokens.uses(found, entries or {}), entries, NOW, 14)


def short(findings: list[Finding]) -> list[tuple[str, str, str | None]]:
    return [(each.code, each.severity, each.node) for each in findings]


JWT = {"kind": "jwt"}


@pytest.mark.parametrize(
    ("fleet", "found"),
    [
        ({"a": answer(token("k")), "b": answer(token("k")), "c": registered(token("k"), record=[enrolment("k")])}, []),  # a key is for many
        ({"a": answer(jwt("j")), "b": answer(jwt("i"))}, []),
        ({"a": registered(jwt("j"), record=[enrolment("j", **JWT)])}, []),
        ({"a": answer(jwt("j")), "b": answer(jwt("j"))}, [("shared_single_use", "error", None)]),
        # spent by a, found on b
        ({"a": registered(record=[enrolment("j", **JWT)]), "b": answer(jwt("j"))}, [("spent_elsewhere", "error", "b")]),
        # both have lost it
        ({"a": registered(record=[enrolment("j", **JWT)]), "b": answer(record=[enrolment("j", **JWT)])}, [("spent_elsewhere", "warning", "b")]),
        ({"a": answer(record=[enrolment("j", **JWT)]), "b": answer(record=[enrolment("j", **JWT)])}, [("shared_single_use", "warning", None)]),
        ({name: registered(record=[enrolment("j", **JWT)]) for name in "ab"}, [("shared_single_use", "error", None)]),
        # what the swarm's record does not tell, another node does
        ({"a": registered(record=[enrolment("j", kind=None)]), "b": answer(jwt("j"))}, [("spent_elsewhere", "error", "b")]),
        # b registered with another token later
        (
            {
                "a": registered(record=[enrolment("j", **JWT)]),
                "b": registered(record=[enrolment("j", **JWT), enrolment("k", "2026-11-01T10:30:00Z")]),
            },
            [("spent_elsewhere", "warning", "b")],
        ),
    ],
)
def test_single_use_tokens(fleet: dict[str, Json | None], found: list[tuple[str, str, str | None]]) -> None:
    assert short(audit(fleet)) == found


def test_the_message_tells_who_spent_a_token_and_when() -> None:
    (found,) = audit({"a": registered(record=[enrolment("j", **JWT)]), "b": answer(jwt("j"))})
    assert f"fingerprint {fingerprint('j')} is on this node, but a registered with it on 2026-11-01" in found.message
    assert (found.place, found.fingerprint) == (PLACE, fingerprint("j"))


def entry(**own: Any) -> Json:
    return {"label": "north", "fingerprint": fingerprint("k"), **own}


@pytest.mark.parametrize(
    ("fleet", "known", "found"),
    [
        ({"a": answer(token("k"))}, [], [("unknown_token", "warning", None)]),
        ({"a": answer(token("k"))}, None, []),
        ({"a": registered(record=[enrolment("k")])}, [], [("enrolled_with_unknown_token", "info", "a")]),
        ({"a": answer(record=[enrolment("k")])}, [], []),
        ({"a": answer(token("k"))}, [entry(groups=["north"])], []),
        ({"a": answer(token("k")), "b": answer(token("k"))}, [entry(groups="north")], [("outside_groups", "error", "b")]),
        ({"b": registered(record=[enrolment("k")])}, [entry(groups="north")], [("outside_groups", "error", "b")]),
        ({"a": answer(token("k")), "b": registered(record=[enrolment("k")])}, [entry(most_nodes=2)], []),
        ({"a": answer(token("k")), "b": registered(record=[enrolment("k")])}, [entry(most_nodes=1)], [("too_many_nodes", "warning", None)]),
        ({"a": registered(token("k"), record=[enrolment("k")])}, [entry(most_nodes=1)], []),  # the same node twice
        ({"a": answer(token("k"))}, [entry(expires="2026-11-29")], [("expired", "error", None)]),
        ({"a": answer(token("k"))}, [entry(expires="2026-11-30")], [("expires_soon", "warning", None)]),  # its last day is today
        ({"a": answer(token("k"))}, [entry(expires="2026-12-13")], [("expires_soon", "warning", None)]),
        ({"a": answer(token("k"))}, [entry(expires="2026-12-14")], []),
        ({"a": answer(token("k"))}, [entry(expires="9999-12-31")], []),  # never, as people write it
        ({"a": registered(token("k"))}, [entry(expires="2026-11-29")], [("expired", "warning", None)]),
        ({"a": registered()}, [entry(expires="2026-11-29")], []),  # no node has it
    ],
)
def test_a_registry(fleet: dict[str, Json | None], known: Any, found: list[tuple[str, str, str | None]]) -> None:
    assert short(audit(fleet, known, {"a": ["north"], "b": ["south"]})) == found


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (answer(jwt("j", expires_at="2026-12-01T00:00:00Z")), [("expires_soon", "warning", None)]),
        (answer(jwt("j", expires_at="2026-12-01T00:00:00Z", age_days=0)), [("expires_soon", "info", None)]),  # just placed
        (answer(jwt("j", expires_at="2027-12-01T00:00:00Z")), []),
        (registered(jwt("j", expires_at="2026-12-01T00:00:00Z")), []),  # it is not needed any more
        (answer(jwt("j", expires_at="2026-11-01T00:00:00Z", findings=[finding("expired", "error")])), []),  # the node says so itself
        (answer(jwt("j", expires_at="2026-11-01T00:00:00Z")), [("expired", "error", "a")]),  # its clock is slow
        (registered(jwt("j", expires_at="2026-11-01T00:00:00Z")), []),
    ],
)
def test_the_expiry_of_a_jwt(result: Json, found: list[tuple[str, str, str | None]]) -> None:
    assert short(audit({"a": result})) == found


@pytest.mark.parametrize(
    ("time", "says"),
    [
        ("2026-11-30T12:02:00Z", None),
        ("2026-11-30T11:58:00Z", None),
        ("2026-11-30T12:02:02Z", "the node's clock is 2 minutes fast"),
        ("2026-11-30T11:57:59Z", "the node's clock is 2 minutes slow"),
        ("2026-11-30T09:00:00Z", "the node's clock is 3 hours slow"),
        ("1970-01-01T00:00:00Z", "the node's clock is 20787 days slow"),
    ],
)
def test_clocks(time: str, says: str | None) -> None:
    found = audit({"a": answer(time=time)})
    assert [(each.code, each.message.partition(";")[0]) for each in found] == ([("clock_off", says)] if says else [])


def test_a_node_without_an_answer_is_unknown() -> None:
    (found,) = audit({"a": None})
    assert (found.code, found.severity, found.node) == ("unknown", "warning", "a")
    assert "nothing is known of this node: down" in found.message


def test_which_nodes_a_token_enrolled() -> None:
    fleet = {
        "a": registered(record=[enrolment("k")]),
        "b": answer(token("k", label="north", age_days=9), record=[enrolment("k", "2026-11-02T00:00:00Z")]),
        "c": answer(token("other", findings=[finding("copy", fingerprint=fingerprint("k"), place="/root/.bash_history")])),
    }
    found = nodes([Host(name, deliveries=["token_file"], results={"token_file": result}) for name, result in fleet.items()])
    shown = {each["fingerprint"]: each for each in tokens.shown(tokens.uses(found, {}))}[fingerprint("k")]
    assert shown == {
        "fingerprint": fingerprint("k"), "kind": "bootstrap_key", "label": "north", "expires_at": None, "oldest_age_days": 9, "held_by": ["b", "c"],
        "enrolled": [
            {"node": "a", "written_at": "2026-11-01T10:00:00Z", "registered_at": "2026-11-01T11:00:00Z"},
            {"node": "b", "written_at": "2026-11-02T00:00:00Z", "registered_at": None},
        ],
        "registry": None,
    }  # fmt: skip
