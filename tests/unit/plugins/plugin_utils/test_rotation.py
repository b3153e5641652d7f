# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a rotation: what is planned, which plans are refused, and what is compared afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.expanso.edge.plugins.filter.rotation_summary import UNKNOWN, rotation_summary
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_collections.expanso.edge.plugins.plugin_utils._rotation import (
    Entry,
    PlanError,
    expected,
    mismatch,
    parse,
    place_of,
    predicted,
    problems,
    render,
    second_look,
    texts_again,
)
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = "0a4d55a8d778", "5d41402abc4b"
NOW = 1_796_000_000.0
ENTRY = Entry("one", "token_file", "/etc/expanso/bootstrap.token", "rotate", OLD, NEW, False, "gets the new token")

Json = dict[str, Any]


def made(**changes: Any) -> str:
    plan = json.loads(render([ENTRY], {"down": "unreachable"}, {"run_id": "r1"}, False, "1.1.0", NOW))
    plan.update(changes)
    return json.dumps({name: value for name, value in plan.items() if value is not ...})


def test_a_plan_is_read_as_it_was_written() -> None:
    plan = parse(made(), False, NOW + 60)
    assert plan.entries == [ENTRY] and plan.run_id == "r1"
    assert plan.nodes == {"one": {"token_file": ENTRY._asdict()}}


def handed_on(data: Any) -> Any:
    """Return data as ansible-core 2.19 and newer read it where AWX marked each text as unsafe: as YAML reads a text without quotation marks."""
    if isinstance(data, dict):
        return {name: handed_on(each) for name, each in data.items()}
    if isinstance(data, list):
        return [handed_on(each) for each in data]
    return yaml.safe_load(data) if isinstance(data, str) else data


@pytest.mark.parametrize("mark", ["123456789012", "012345670123", "000000000000", "089123456789", "1234567890ab", OLD])
@pytest.mark.parametrize("name", ["one", "101"])
def test_a_plan_survives_being_handed_on_by_awx(mark: str, name: str) -> None:
    entry = ENTRY._replace(node=name, old=mark, new=mark[::-1])
    given = handed_on({**json.loads(made()), "nodes": [entry._asdict()]})
    assert not isinstance(given["generated_at"], str)
    assert parse(json.dumps(texts_again(given)), False, NOW + 60).entries == [entry]


@pytest.mark.parametrize("data", [None, "x", [], {}, {"nodes": 1}, {"generated_at": "x", "nodes": [1, {"registered": True, "old": None}]}])
def test_what_was_not_changed_on_the_way_stays_as_it_is(data: Any) -> None:
    assert texts_again(data) == data


def entries(**changes: Any) -> list[Json]:
    return [{**ENTRY._asdict(), **changes}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is damaged: it is not JSON"),
        (made()[:-40], "it is damaged: it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is not a plan"),
        (made(kind="a shopping list"), "it is not a plan"),
        (made(schema_version=2), "another release of this collection"),
        (made(schema_version=True), "another release of this collection"),
        (made(generated_at="yesterday"), "generated_at is not a time"),
        (made(generated_at=None), "generated_at is not a time"),
        (made(generated_at="2020-01-01T00:00:00Z"), "more than 7 days old"),
        (made(generated_at="2035-01-01T00:00:00Z"), "in the future"),
        (made(nodes=...), "are missing"),
        (made(run="r1"), "are missing"),
        (made(reregister="no"), "are missing"),
        (made(reregister=True), "it was made with expanso_edge_reregister=true"),
        (made(nodes=[1]), "entry 1 of nodes has other fields"),
        (made(nodes=entries(more=1)), "entry 1 of nodes has other fields"),
        (made(nodes=entries(old="OLD")), "entry 1 of nodes cannot be"),
        (made(nodes=entries(new=OLD + "\n")), "entry 1 of nodes cannot be"),
        (made(nodes=entries(delivery="by post")), "entry 1 of nodes cannot be"),
        (made(nodes=entries(delivery=["token_file"])), "entry 1 of nodes cannot be"),
        (made(nodes=entries(action="remove")), "entry 1 of nodes cannot be"),
        (made(nodes=entries(node="")), "entry 1 of nodes cannot be"),
        (made(nodes=entries(place="/etc/{{ lookup('pipe', 'id') }}")), "entry 1 of nodes cannot be"),
        (made(nodes=entries(node="{% x %}")), "entry 1 of nodes cannot be"),
        (made(nodes=entries(registered=None)), "entry 1 of nodes cannot be"),
        (made(nodes=entries() * 2), "two times"),
    ],
)
def test_plans_that_are_refused(text: str, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        parse(text, False, NOW)


SIMPLE = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


@given(st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)))
def test_no_damage_is_more_than_a_refusal(value: Any) -> None:
    texts = [json.dumps(value), made(nodes=[value]), made(nodes=value), made(run=value), made(generated_at=value)]
    for text in [*texts, *(made(nodes=entries(**{field: value})) for field in Entry._fields)]:
        try:
            parse(text, False, NOW)
        except PlanError:
            continue


@given(st.integers(0, 400), st.integers(1, 60))
def test_a_plan_that_was_cut_or_changed_is_never_half_of_one(where: int, length: int) -> None:
    text = made()
    damaged = text[:where] + text[where + length :]
    try:
        plan = parse(damaged, False, NOW)
    except PlanError:
        return
    assert len(plan.entries) <= 1 and all(each.old in (None, OLD) and each.new in (None, NEW) for each in plan.entries)


FILE = {"path": "/t", "fingerprint": NEW, "previous_fingerprint": OLD, "registered": False, "reregister": False}


@pytest.mark.parametrize(
    ("delivery", "result", "action", "old", "new", "place"),
    [
        ("token_file", {**FILE, "action": "written"}, "rotate", OLD, NEW, "/t"),
        ("token_file", {**FILE, "action": "written", "previous_fingerprint": None}, "rotate", None, NEW, "/t"),
        ("token_file", {**FILE, "action": "written", "registered": True, "reregister": True}, "reregister", OLD, NEW, "/t"),
        ("systemd_service", {**FILE, "action": "kept", "registered": True, "reregister": True}, "reregister", OLD, NEW, "/t"),
        ("token_file", {**FILE, "action": "kept", "fingerprint": OLD}, "keep", OLD, OLD, "/t"),
        ("token_file", {**FILE, "action": "removed", "registered": True, "fingerprint": None}, "keep", OLD, OLD, "/t"),
        (
            "k8s_secret",
            {"action": "written", "registered": True, "namespace": "edge", "name": "s", "fingerprint": NEW, "previous_fingerprint": OLD},
            "rotate",
            OLD,
            NEW,
            "Secret edge/s",
        ),
        ("swarm_secret", {"action": "written", "secret_name": "t_v12", "versions": ["t_v12"], "fingerprint": NEW}, "rotate", None, NEW, "swarm secret t"),
    ],
)
def test_predictions(delivery: str, result: Json, action: str, old: str | None, new: str | None, place: str) -> None:
    (entry,) = predicted("one", {"expanso_edge_delivery": delivery, f"{delivery}_result": result})
    assert (entry.action, entry.old, entry.new, entry.place) == (action, old, new, place)


def test_what_another_host_does_is_kept() -> None:
    (entry,) = predicted("worker", {"expanso_edge_delivery": "swarm_secret", "swarm_secret_result": {"action": "delegated"}})
    assert (entry.action, entry.note) == ("keep", "done on another host (the manager of its swarm)")
    assert parse(render([entry], {}, {}, False, "1.1.0", NOW), False, NOW).entries == [entry]


@pytest.mark.parametrize("result", [{}, {"failed": True}])
def test_nothing_is_planned_without_a_result(result: Json) -> None:
    assert predicted("one", {"expanso_edge_delivery": "swarm_secret", "swarm_secret_result": result}) == []
    assert place_of({}) == "swarm secret"


TOKEN = "exp_bk_0123456789abcdef"


def test_what_differs_from_the_plan_before_a_node_is_contacted() -> None:
    planned = {**ENTRY._asdict(), "new": fingerprint(TOKEN)}
    here = {"path": ENTRY.place}
    assert mismatch(planned, here, TOKEN) is None and mismatch({}, here, "x") is None and mismatch(None, {}, "x") is None
    assert mismatch({**planned, "new": None}, here, "another") is None  # its source is asked on demand
    other, elsewhere = mismatch(planned, here, "exp_bk_other") or {}, mismatch(planned, {"path": "/elsewhere"}, TOKEN) or {}
    assert (other["fault"], elsewhere["fault"]) == ("token_differs", "place_differs")
    assert "exp_bk_other" not in other["msg"] and TOKEN not in elsewhere["msg"]
    assert expected(planned) == {"replaces": OLD} and expected({**planned, "old": None}) == {"replaces": "none"} and expected({}) == {}


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, None),
        ({"expanso_edge_reregister": "false", "expanso_edge_delivery": "k8s_secret"}, None),
        ({"expanso_edge_reregister": True, "token_file_register": True}, None),
        ({"expanso_edge_reregister": True, "token_file_register": "no"}, "set token_file_register=true"),
        ({"expanso_edge_reregister": "yes"}, "set token_file_register=true"),
        ({"expanso_edge_reregister": True, "expanso_edge_delivery": "systemd_service"}, None),
        ({"expanso_edge_reregister": True, "expanso_edge_delivery": "systemd_service", "systemd_service_state": "stopped"}, "systemd_service_state=started"),
        ({"expanso_edge_reregister": True, "expanso_edge_delivery": ["k8s_secret"]}, "k8s_secret cannot register anew"),
        ({"expanso_edge_reregister": True, "expanso_edge_delivery": "swarm_secret"}, "swarm_secret cannot register anew"),
    ],
)
def test_problems(variables: Json, says: str | None) -> None:
    found = problems(["one"], {"one": variables})
    assert found == [] if says is None else says in found[0] and found[0].startswith("one: ")


def look(delivery: str = "token_file", result: Json | None = None, audit: Json | None = None, **variables: Any) -> list[str]:
    common = {"expanso_edge_delivery": delivery, f"{delivery}_result": {**FILE, "action": "written", **(result or {})}, **variables}
    return second_look({**common, f"{delivery}_audit": audit} if audit is not None else common)


def audited(held: str | None, registered: bool = False, units: list[Json] | None = None, **more: Any) -> Json:
    token = {"path": "/t", "exists": held is not None, "fingerprint": held, "format": "raw", "registered": registered, **more}
    return {"tokens": [{"path": "/other", "fingerprint": OLD, "exists": True}, token], "node": {"registered": registered, "units": units or []}}


AGENT, ONCE = {"name": "expanso-edge.service"}, {"name": "expanso-edge-bootstrap.service", "active_state": "inactive"}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (look(), []),  # not audited
        (look(audit=audited(NEW)), []),
        (look(audit=audited(OLD)), [f"/t holds token {OLD}, and not token {NEW} as reported"]),
        (look(audit=audited(None)), [f"/t holds no token, and not token {NEW} as reported"]),
        (look(audit=audited(None, registered=True)), []),  # removed after the registration
        (look(audit=audited(None, exists=True, format=None)), []),  # only its unit can decrypt it
        (look(audit={"failed": True, "msg": "the disk is gone"}), ["/t could not be looked at again: the disk is gone"]),
        (look(audit=audited(NEW), token_file_register=True), ["there is no registration marker, although this run registers the node"]),
        (look(audit=audited(NEW), token_file_register="no"), []),
        (look("systemd_service", audit=audited(None, True, [{**AGENT, "active_state": "active"}, ONCE])), []),
        (look("systemd_service", audit=audited(None, True, [{**AGENT, "active_state": "failed"}, ONCE])), ["unit expanso-edge.service is failed"]),
        (look("systemd_service", audit=audited(None, True, [{**AGENT, "active_state": "failed"}]), systemd_service_state="stopped"), []),
    ],
)
def test_the_second_look(found: list[str], says: list[str]) -> None:
    assert found == says


class TestSummary:
    def lines(self, hosts: dict[str, Json], **more: Any) -> list[str]:
        return rotation_summary(list(hosts), hosts, **more)

    @pytest.mark.parametrize("odd", ["$(id)", "; id #", "a\nb", ["x"], {"a": 1}, 7, "ab\x1b[2J"])
    def test_what_a_node_names_a_token_reaches_no_command(self, odd: Any) -> None:
        written = {**FILE, "action": "written", "fingerprint": odd, "previous_fingerprint": odd}
        hosts = {"a": {"token_file_result": written}, "b": {"token_file_result": {**written, "registered": True, "reregister": True}}}
        lines = self.lines(hosts)
        assert lines[3] == f"  token none -> {UNKNOWN}: 2 (a, b)" and not any("expanso_edge_fingerprint=" in line for line in lines)

    def test_what_a_node_says_reaches_no_terminal_as_a_control_sequence(self) -> None:
        odd = "no\x1b]0;x\x07\u202e disk"
        hosts: dict[str, Json] = {"a": {"expanso_edge_failure": odd, "token_file_audit": {"tokens": [{"fingerprint": odd}]}}}
        assert "".join(self.lines(hosts)).isprintable()

    @pytest.mark.parametrize("more", [{}, {"registered": True, "reregister": True}])
    def test_the_same_token_in_another_form_is_not_to_be_revoked(self, more: Json) -> None:
        """A file that was written by hand, with a line feed at its end, is written anew."""
        lines = self.lines({"a": {"token_file_result": {**FILE, "action": "written", "previous_fingerprint": NEW, **more}}})
        assert not any("revoke" in line for line in lines)
        assert more or lines[:2] == ["1 node", "  keeps its token: the same one was given, or none: 1 (a)"] and not any(" -> " in line for line in lines)

    def test_a_fleet(self) -> None:
        written = {**FILE, "action": "written"}
        hosts: dict[str, Json] = {
            "a": {"token_file_result": written, "token_file_register": True},
            "b": {"token_file_result": {**written, "previous_fingerprint": None}, "token_file_register": True},
            "c": {"token_file_result": {**written, "registered": True, "reregister": True}},
            "d": {"token_file_result": {**FILE, "action": "kept", "registered": True}},
            "e": {"expanso_edge_failure": "no disk", "token_file_audit": audited(OLD)},
            "f": {},
        }
        assert self.lines(hosts) == [
            "6 nodes",
            "  registered anew: 1 (c)",
            "  received the new token: 1 (a)",
            "  received its first token: 1 (b)",
            "  registered, left as it is: 1 (d)",
            "  failed: 1 (e)",
            "    e: no disk",
            f"    e holds token {OLD} now, and is not registered",
            "  not reached (in a later batch, unreachable, or skipped by tags): 1 (f)",
            f"  token {OLD} -> {NEW}: 2 (a, c)",
            f"  token none -> {NEW}: 1 (b)",
            "  re-registration registered 1 node anew, with 1 token, used one time for each node",
            "next: correct what failed on 1 node, then run the same command again: nodes that are done stay as they are, "
            "and a node that failed holds either its old or its new token, never a part of one",
            f"next: revoke the old token in Expanso Cloud ({OLD}), as soon as no node holds it any more: "
            f"ansible-playbook expanso.edge.audit -e expanso_edge_fingerprint={OLD} shows where it still is",
            "next: 1 node not reached yet; the run stops if more nodes failed than expanso_edge_max_fail_percentage allows",
        ]

    def test_the_plan(self) -> None:
        planned = {"a": {"token_file": {"action": "rotate"}}, "b": {"token_file": {"action": "keep"}}}
        hosts: dict[str, Json] = {"a": {"expanso_edge_failure": "it holds x", "expanso_edge_fault": "held_differs"}, "b": {}, "c": {}}
        lines = self.lines(hosts, planned=planned)
        assert lines[1:5] == [
            "  nothing to do according to the plan: 1 (b)",
            "  not in the plan, left untouched: 1 (c)",
            "  changed since the plan, left untouched: 1 (a)",
            "    a: it holds x",
        ]
        assert "make a new plan with --check" in lines[5]

    def test_check_mode(self) -> None:
        hosts: dict[str, Json] = {"a": {"token_file_result": {**FILE, "action": "written", "fingerprint": None}}}
        assert self.lines(hosts, check=True, plan_file="p.json") == [
            "1 node; check mode: this is what would be done",
            "  received the new token: 1 (a)",
            f"  token {OLD} -> a token that is not known before its source is asked: 1 (a)",
            "next: to do this and nothing else, run the same command without --check and with -e expanso_edge_plan_file=p.json",
        ]
