# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what hosts answer to nodes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.scope import NO_ANSWER, NO_MANAGER, Host, nodes
from audit_fleet import NOON, PLACE, answer, enrolment, finding, fingerprint, registered, token
from hypothesis import given
from hypothesis import strategies as st


def host(result: Any = None, **own: Any) -> Host:
    return Host(**{"name": "edge01", "deliveries": ["token_file"], "results": {} if result is None else {"token_file": result}, **own})


def test_a_node_that_answered() -> None:
    (node,) = nodes([host(registered(token("a"), record=[enrolment("a")]), groups=["north", "edge"])])
    assert (node.status, node.registered, node.registered_at, node.groups) == ("answered", True, "2026-11-01T11:00:00Z", ["edge", "north"])
    assert (node.enrolled_with, node.holds, node.clock_offset) == (fingerprint("a"), {fingerprint("a")}, 0.0)


@pytest.mark.parametrize(
    ("given_host", "status", "message"),
    [
        (host(), "unreachable", NO_ANSWER),
        (host(deliveries=["token_file", "systemd_service"], result=answer()), "unreachable", NO_ANSWER),
        (host(failure="the host cannot be reached: down", reached=False), "unreachable", "the host cannot be reached: down"),
        (host(failure="sudo: a password is required"), "failed", "sudo: a password is required"),
        (host(result={"failed": True, "msg": "no such account"}), "failed", "no such account"),
        (host(result={"changed": False}), "unreachable", NO_ANSWER),
        (host(result=answer(), failure="the second delivery failed"), "failed", "the second delivery failed"),
    ],
)
def test_a_node_that_did_not_answer_is_never_clean(given_host: Host, status: str, message: str) -> None:
    (node,) = nodes([given_host])
    assert (node.status, node.message) == (status, message)


def test_the_file_of_another_delivery_is_no_copy() -> None:
    other, copy = "/etc/expanso/bootstrap.env", "/etc/expanso/bootstrap.token.old"
    about = [finding("copy", place=other), finding("copy_readable", place=other), finding("copy", place=copy), finding("mode_too_wide", place=other)]
    about += [finding("copy", place=PLACE)]  # more copies of this one than are named
    unit = answer({**token("b"), "place": other}, findings=[finding("copy_readable", place=PLACE)])
    results = {"token_file": answer(token("a", findings=about)), "systemd_service": unit}
    (node,) = nodes([Host("edge01", deliveries=list(results), results=results)])
    assert sorted((each.code, each.place) for each in node.findings) == [("copy", PLACE), ("copy", copy), ("mode_too_wide", other)]


def test_the_manager_of_a_swarm_answers_for_its_workers() -> None:
    worker = Host("worker", deliveries=["swarm_secret"])
    manager = Host("manager", deliveries=["swarm_secret"], results={"swarm_secret": registered()})
    assert [(node.status, node.registered) for node in nodes([worker, manager])] == [("answered", True), ("answered", True)]
    down = manager._replace(results={}, failure="down", reached=False)
    assert [(node.status, node.message) for node in nodes([worker, down])] == [("unreachable", NO_MANAGER), ("unreachable", "down")]


@pytest.mark.parametrize(
    ("said", "together"),
    [([True, True], True), ([True, False], False), ([None, True], None), ([None, False], False), ([None], None), ([], None)],
)
def test_one_delivery_that_is_not_registered_is_seen(said: list[bool | None], together: bool | None) -> None:
    results = {f"role{number}": answer(registered=each) for number, each in enumerate(said)}
    (node,) = nodes([Host("edge01", deliveries=list(results), results=results)])
    assert node.registered is together


@pytest.mark.parametrize(
    ("time", "offset"),
    [
        ("2026-11-30T12:00:00.5Z", 0.0),  # between question and answer
        ("2026-11-30T12:00:03Z", 2.0),
        ("2026-11-30T11:59:50Z", -10.0),
        ("1970-01-01T00:00:00Z", -NOON),
        ("tomorrow", None),
        (None, None),
    ],
)
def test_a_clock_is_off_only_for_certain(time: Any, offset: float | None) -> None:
    (node,) = nodes([host(answer(time=time))])
    assert node.clock_offset == offset


def test_a_slow_node_has_no_wrong_clock() -> None:
    result = answer(time="2026-11-30T12:09:00Z")
    result["window"] = {"asked": NOON, "answered": NOON + 600}
    (node,) = nodes([host(result)])
    assert node.clock_offset == 0.0


@pytest.mark.parametrize(
    ("record", "at", "used"),
    [
        ([("a", "2026-01-01T00:00:00Z"), ("b", "2026-02-01T00:00:00Z")], "2026-02-02T00:00:00Z", "b"),
        ([("a", "2026-01-01T00:00:00Z"), ("b", "2026-02-01T00:00:00Z")], "2026-01-02T00:00:00Z", "a"),
        ([("a", "2026-01-01T00:00:01Z")], "2026-01-01T00:00:00.5Z", "a"),  # the record has whole seconds
        ([("a", "2026-01-02T00:00:00Z")], "2026-01-01T00:00:00Z", None),  # registered by hand before
        ([("a", "2026-01-01T00:00:00Z")], "9999-12-31T23:59:59.999999999Z", "a"),  # its clock is far off
        ([("a", "2026-01-01T00:00:00Z")], None, "a"),
        ([("a", "2026-01-01T00:00:00Z"), ("b", "2026-02-01T00:00:00Z")], None, None),
        ([], "2026-01-01T00:00:00Z", None),
    ],
)
def test_which_token_a_node_registered_with(record: list[tuple[str, str]], at: str | None, used: str | None) -> None:
    (node,) = nodes([host(answer(registered=True, registered_at=at, record=[enrolment(name, when) for name, when in record]))])
    assert node.enrolled_with == (fingerprint(used) if used else None)
    (waiting,) = nodes([host(answer(record=[enrolment(name, when) for name, when in record]))])
    assert waiting.enrolled_with is None


def test_findings_get_node_place_and_fingerprint_and_none_is_twice() -> None:
    result = answer(token("a", findings=[finding("left_over"), finding("copy", place="/root/.bash_history")]), findings=[finding("record_damaged", "error")])
    results = {"token_file": result, "systemd_service": result}
    (node,) = nodes([Host("edge01", deliveries=list(results), results=results)])
    assert [(each.code, each.node, each.place, each.fingerprint) for each in node.findings] == [
        ("record_damaged", "edge01", None, None),
        ("left_over", "edge01", PLACE, fingerprint("a")),
        ("copy", "edge01", "/root/.bash_history", fingerprint("a")),
    ]


def test_what_is_not_there_is_not_held() -> None:
    (node,) = nodes([host(answer(token("a", exists=False, fingerprint=None, state="absent")))])
    assert node.tokens == ()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)
TOKEN_KEYS = tuple(token("a"))
NODE_KEYS = ("registered", "registered_at", "record", "time", "units", "findings")


def some_of(keys: tuple[str, ...]) -> Any:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, anything))


@given(some_of(TOKEN_KEYS), some_of(NODE_KEYS), anything)
def test_whatever_a_node_says_becomes_a_node(said: Any, facts: Any, window: Any) -> None:
    (node,) = nodes([host({"tokens": [said], "node": facts, "window": window})])
    assert node.status == "answered"


def test_control_characters_and_overlong_texts_do_not_reach_the_report() -> None:
    (node,) = nodes([host(answer(token("a", owner="\x1b[2J\u202e\ud800", label="x" * 100000)))])
    assert node.tokens[0]["owner"] == "\\u001b[2J\\u202e\\ud800"
    assert len(node.tokens[0]["label"]) == 2000
