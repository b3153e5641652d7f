# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: its shape, what it counts, and what it says of an earlier one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import compare, registry, waivers
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.formats import FORMATS, as_json, sha256
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.groups import GROUPS, members
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.report import Given, Limits, build, exceeds
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.scope import Host, nodes
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.summary import lines, verdict
from audit_fleet import Json, answer, enrolment, finding, fingerprint, jwt, large_fleet, registered, token

ROOT = Path(__file__).resolve().parents[4]
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/schemas/audit-report.schema.json").read_text()))
EXAMPLE = json.loads((ROOT / "tests/support/audit_report_example.json").read_text())
NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
RUN = {"run_id": "r", "job_id": None, "user": "me", "collection_version": "1.1.0", "ansible_version": "2.21.5", "inventory_sources": ["hosts.yml"]}


def report(fleet: dict[str, Json | None], inventory: list[str] | None = None, **given: Any) -> Json:
    hosts = [Host(name, ["edge"], ["token_file"], {"token_file": each} if each else {}, None if each else "down", False) for name, each in fleet.items()]
    made = build(nodes(hosts), Given(**given), Limits(), RUN, inventory or list(fleet), NOW)
    SCHEMA.validate(made)
    return made


def earlier(of: Json) -> compare.Earlier:
    return compare.read(as_json(of), "the earlier report")


WAIVER = {"finding": "left_over", "node": "*", "owner": "ops", "reason": "soon", "expires": "2026-12-31"}
LEFT = registered(token("k", findings=[finding("left_over")]), record=[enrolment("k")])
UNIT = {"name": "expanso-edge.service", "load_state": "loaded", "active_state": "active", "sub_state": "running", "enabled": True}
MIXED = {
    "waiting": answer(token("k", age_days=3, findings=[finding("mode_too_wide", "error"), finding("unknown_shape", "info")])),
    "left": LEFT,
    "down": None,
    "shares": answer(jwt("j"), units=[UNIT]),
    "spent": registered(jwt("j"), record=[enrolment("j", kind="jwt")], time="1970-01-01T00:00:00Z"),
}


def test_the_schema_and_its_example() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA.schema)
    SCHEMA.validate(EXAMPLE)
    broken = {**EXAMPLE, "findings": [{**EXAMPLE["findings"][0], "token": "exp_bk_"}]}
    assert not SCHEMA.is_valid(broken)


def test_a_mixed_fleet() -> None:
    made = report(MIXED, registry=registry.parse([{"fingerprint": fingerprint("k"), "label": "north", "expires": "2027-01-31"}]), enrolled=["rogue", "spent"])
    assert [(each["code"], each["node"]) for each in made["findings"]] == [
        ("mode_too_wide", "waiting"),
        ("shared_single_use", None),
        ("spent_elsewhere", "shares"),
        ("unknown_to_inventory", "rogue"),
        ("clock_off", "spent"),
        ("left_over", "left"),
        ("unknown", "down"),
        ("unknown_to_cloud", "left"),
        ("unknown_token", None),
        ("enrolled_with_unknown_token", "spent"),
        ("unknown_shape", "waiting"),
    ]
    assert made["totals"] == {"error": 4, "warning": 5, "info": 2, "waived": 0, "nodes": 5, "registered": 2, "unregistered": 2, "unknown": 1}
    assert made["scope"] == {"asked": 5, "answered": 4, "unreachable": ["down"], "failed": []}
    assert len({each["id"] for each in made["findings"]}) == len(made["findings"])
    assert {each["label"] for each in made["tokens"]} == {"north", None}


def test_a_clean_fleet_has_no_finding() -> None:
    made = report({f"edge{number}": registered(record=[enrolment("k")]) for number in range(30)}, enrolled=[f"edge{number}.example" for number in range(30)])
    assert made["findings"] == [] and not exceeds(made, "warning")


@pytest.mark.parametrize(
    ("fleet", "fail_on", "fails"),
    [
        (MIXED, "error", True), (MIXED, "never", False), ({"left": LEFT}, "error", False), ({"left": LEFT}, "warning", True),
        ({"fine": registered()}, "warning", False), ({"fine": registered(), "down": None}, "error", False),
        ({"fine": registered(), "down": None}, "warning", True), ({"down": None}, "error", True), ({"down": None}, "never", False), ({}, "error", False),
    ],
)  # fmt: skip
def test_when_a_run_fails(fleet: dict[str, Json | None], fail_on: str, fails: bool) -> None:
    assert exceeds(report(fleet), fail_on) is fails


def test_a_waived_finding_is_shown_and_not_counted() -> None:
    made = report({"left": LEFT}, waivers=waivers.parse([WAIVER]))
    (found,) = made["findings"]
    assert (found["status"], found["waiver"]) == ("waived", {"owner": "ops", "reason": "soon", "expires": "2026-12-31"})
    assert (made["totals"]["warning"], made["totals"]["waived"], exceeds(made, "warning")) == (0, 1, False)


def test_an_expired_waiver_counts_again_and_says_so() -> None:
    made = report({"left": LEFT}, waivers=waivers.parse([{**WAIVER, "expires": "2026-11-29"}]))
    (found,) = made["findings"]
    assert found["status"] == "expired_waiver" and "its waiver expired on 2026-11-29" in found["message"]
    assert (made["totals"]["warning"], exceeds(made, "warning")) == (1, True)


def test_a_waiver_without_a_finding() -> None:
    made = report({"fine": registered()}, waivers=waivers.parse([WAIVER]))
    assert [(each["code"], each["severity"], each["place"]) for each in made["findings"]] == [("waiver_unused", "info", "waivers, entry 1")]
    assert report({"fine": registered()}, inventory=["fine", "not asked"], waivers=waivers.parse([WAIVER]))["findings"] == []
    assert report({"fine": None}, waivers=waivers.parse([WAIVER]))["totals"]["info"] == 0


def test_new_still_there_and_mended() -> None:
    before = report({"a": LEFT, "b": LEFT, "c": LEFT})
    made = report({"a": LEFT, "b": registered(record=[enrolment("k")]), "c": None, "d": LEFT}, earlier=earlier(before))
    assert {(each["code"], each["node"]): each["change"] for each in made["findings"]} == {
        ("left_over", "a"): "still",
        ("left_over", "d"): "new",
        ("unknown", "c"): "new",
    }
    # nothing is known of c, so it is not mended
    assert [each["node"] for each in made["mended"]] == ["b"]
    assert made["compared_with"] == {"generated_at": "2026-11-30T12:00:00Z", "sha256": sha256(before)}
    assert {each["change"] for each in before["findings"]} == {None}


KNOWN = {"registry": registry.parse([{"fingerprint": fingerprint("k"), "most_nodes": 0}])}
CLOUD = {"enrolled": ["a", "rogue"]}


@pytest.mark.parametrize(
    ("before", "now", "given_before", "given_now", "mended"),
    [
        ({"a": None}, {"a": registered()}, {}, {}, ["unknown"]),
        ({"a": LEFT}, {"b": registered()}, {}, {}, []),  # a was not asked
        ({"a": answer(jwt("j")), "b": answer(jwt("j"))}, {"a": answer(jwt("j")), "b": answer()}, {}, {}, ["shared_single_use"]),
        ({"a": answer(jwt("j")), "b": answer(jwt("j"))}, {"a": answer(jwt("j")), "b": None}, {}, {}, []),
        ({"a": answer(token("k"))}, {"a": answer()}, KNOWN, KNOWN, ["too_many_nodes"]),
        ({"a": answer(token("k"))}, {"a": answer()}, KNOWN, {}, []),  # without a registry nobody knows
        (
            {"a": registered(record=[enrolment("x")])}, {"a": registered(findings=[finding("record_damaged")])}, KNOWN, KNOWN, [],
        ),  # what the record would have said is unknown now
        ({"a": registered()}, {"a": registered()}, CLOUD, {"enrolled": ["a"]}, ["unknown_to_inventory"]),
        ({"a": registered()}, {"a": registered()}, CLOUD, {}, []),
        (
            {"a": registered(record=[enrolment("j", kind="jwt")]), "b": answer(jwt("j"))}, {"a": None, "b": answer(jwt("j"))}, {}, {}, [],
        ),  # b still has the token that the silent a has spent
    ],
)  # fmt: skip
def test_what_is_mended(before: Any, now: Any, given_before: Any, given_now: Any, mended: list[str]) -> None:
    made = report(now, earlier=earlier(report(before, **given_before)), **given_now)
    assert [each["code"] for each in made["mended"]] == mended


TRAIL = {"path": "/trail", "lines": 1, "hash": "0" * 64}


def test_a_change_that_the_trail_does_not_tell() -> None:
    """The run was killed before it wrote the line, or somebody removed the line and made the others anew."""
    fleet = {
        "told": answer(record=[enrolment("k", run_id="r1")]),
        "lost": answer(record=[enrolment("k", run_id="r1")]),
        "older": answer(record=[enrolment("k", run_id="r0")]),  # of a run without a trail, or in a trail that was rotated away
        "manager": answer(record=[enrolment("k", run_id="r1", delivery="swarm")]),  # another manager may have done it
    }
    given = {"trail": TRAIL, "trail_runs": {"r1": {"told"}}}
    [found] = [each for each in report(fleet, **given)["findings"] if each["code"] == "trail_incomplete"]
    assert (found["node"], found["place"], found["fingerprint"], found["severity"]) == ("lost", "/trail", fingerprint("k"), "warning")
    assert "run r1" in found["message"]

    before = earlier(report(fleet, **given))
    mended = [report({**fleet, "lost": now}, earlier=before, **more)["mended"] for now, more in ((answer(), given), (answer(), {}), (None, given))]
    assert [[each["code"] for each in one if each["code"] == "trail_incomplete"] for one in mended] == [["trail_incomplete"], [], []]


def test_findings_that_differ_in_words_have_identifiers_of_their_own() -> None:
    same = [finding("exposure_incomplete", "info", message=words) for words in ("b", "a")]
    identifiers = [each["id"] for each in report({"a": answer(findings=same)})["findings"]]
    assert len(set(identifiers)) == 2
    assert identifiers == [each["id"] for each in report({"a": answer(findings=same[::-1])})["findings"]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "is not JSON"), (b"[]", "is not a report"), (b'{"a": 1}', "is not a report"), (b'{"schema_version": 2}', "has another schema_version than 1"),
        (b'{"schema_version": true}', "has another schema_version"), (b'{"schema_version": 1}', "is damaged"),
        (b'{"schema_version": 1, "findings": [], "nodes": [], "generated_at": "today"}', "is damaged"),
        (b'{"schema_version": 1, "findings": [1], "nodes": [], "generated_at": "2026-11-30T12:00:00Z"}', "is damaged"),
    ],
)  # fmt: skip
def test_an_earlier_report_that_is_none(content: bytes, says: str) -> None:
    with pytest.raises(DataError) as raised:
        compare.read(content, "/audit.json")
    assert says in str(raised.value) and str(raised.value).startswith("/audit.json")


def test_groups_for_the_inventory() -> None:
    made = report(MIXED, enrolled=["rogue", "spent", "left"], registry=registry.parse([{"fingerprint": fingerprint("k"), "expires": "2026-12-01"}]))
    found = members(made, "the report", None, NOW)
    assert {group: sorted(names) for group, names in found.items() if names} == {
        "expanso_edge_registered": ["left", "spent"],
        "expanso_edge_unregistered": ["shares", "waiting"],
        "expanso_edge_unreachable": ["down"],
        "expanso_edge_left_over": ["left"],
        "expanso_edge_stale_token": ["left", "waiting"],
        "expanso_edge_findings_error": ["shares", "spent", "waiting"],
        "expanso_edge_findings_warning": ["down", "left", "shares", "spent", "waiting"],
    }
    assert set(found) == set(GROUPS)
    waived = report({"left": LEFT}, waivers=waivers.parse([WAIVER]))
    assert members(waived, "the report", None, NOW)["expanso_edge_left_over"] == []


def test_a_report_that_is_too_old_for_an_inventory() -> None:
    made = report({"left": LEFT})
    assert members(made, "it", 1, NOW.replace(day=30, hour=13))
    with pytest.raises(DataError, match="it is of 2026-11-30T12:00:00Z, more than 1 days ago"):
        members(made, "it", 1, NOW.replace(month=12, day=2))


@pytest.mark.parametrize("name", [1, "", "{{ lookup('pipe', 'id') }}", "{%raw%}", "{#", "-oProxyCommand=id", "a\n", "a\x1b[2J", "\u202e"])
def test_a_report_whose_node_is_no_host_is_refused_for_an_inventory(name: object) -> None:
    made = report({"left": LEFT})
    with pytest.raises(DataError, match="it is damaged"):
        members({**made, "nodes": [{**made["nodes"][0], "name": name}]}, "it", None, NOW)
    for good in ("edge-01.example.com", "fe80::1%eth0", "büro 1", "192.0.2.1"):
        assert members({**made, "nodes": [{**made["nodes"][0], "name": good}]}, "it", None, NOW)["expanso_edge_registered"] == [good]


def test_the_summary() -> None:
    made = report(MIXED, waivers=waivers.parse([WAIVER]), earlier=earlier(report({"left": LEFT})))
    mark = {name: fingerprint(name) for name in "jk"}
    assert lines(made, {"json": "/audit.json"}, check=False) == [
        "5 nodes asked, 4 answered",
        "  unreachable, so nothing is known of them: 1 (down)",
        "  registered: 2, not registered: 2, unknown: 1",
        "errors: 3",
        "  mode_too_wide: 1 (waiting)",
        f"  shared_single_use: 1 (token {mark['j']})",
        "  spent_elsewhere: 1 (shares)",
        "warnings: 2",
        "  clock_off: 1 (spent)",
        "  unknown: 1 (down)",
        "for information: 1",
        "  unknown_shape: 1 (waiting)",
        "waived: 1",
        "  left_over: 1 (left)",
        "tokens: 2",
        *(f"  {mark[name]}: on 2 nodes, enrolled 1 node" for name in sorted("jk", key=fingerprint)),
        "compared with the report of 2026-11-30T12:00:00Z: 6 new, 1 still there, 0 resolved",
        "next: make all nodes reachable: nothing is known of those that did not answer",
        "report: /audit.json",
    ]
    assert verdict(made, "error").startswith("the audit found 3 errors;")
    assert verdict(made, "warning").startswith("the audit found 3 errors and 2 warnings;")
    assert verdict(report({"down": None}), "error").startswith("no node answered, so nothing is known of any;")
    assert lines(made, {"json": "/audit.json"}, check=True)[0].endswith("check mode: no report is written")


def calls(work: Callable[[], object]) -> int:
    """How many functions some work calls, which unlike time is the same on every machine."""
    counted = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def test_a_thousand_nodes_cost_ten_times_what_a_hundred_cost() -> None:
    waived = waivers.parse([WAIVER, {**WAIVER, "node": "edge09*", "finding": "too_old"}])
    known = registry.parse([{"fingerprint": fingerprint("site1"), "most_nodes": 10, "groups": "edge"}])

    def work(fleet: dict[str, Json]) -> None:
        hosts = [Host(name, ["edge"], ["token_file"], {"token_file": result}) for name, result in fleet.items()]
        made = build(nodes(hosts), Given(known, waived, list(fleet)), Limits(), RUN, list(fleet), NOW)
        for name in ("json", "csv", "junit", "prometheus", "ocsf"):
            FORMATS[name].render(made, "error")
        lines(made, {}, check=False)

    small, large = large_fleet(100), large_fleet(1000)
    work(large_fleet(3))  # what is compiled or cached once
    assert calls(lambda: work(large)) < 11 * calls(lambda: work(small))


def test_a_thousand_nodes_fit_into_a_few_megabytes() -> None:
    fleet = large_fleet(1000)
    assert len(as_json(report(fleet))) < 3_000_000
