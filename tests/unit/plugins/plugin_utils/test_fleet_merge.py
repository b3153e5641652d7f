# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One report of the reports of slices."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema
import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.expanso.edge.plugins.plugin_utils import _audit_job
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import compare, merge, registry, settings, waivers
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.formats import FORMATS, as_json
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Node
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.report import Given, Limits, build
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.scope import NO_MANAGER, Host, nodes
from audit_fleet import Json, answer, enrolment, finding, fingerprint, jwt, large_fleet, registered, token
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
RUN: Json = {"run_id": "r", "job_id": None, "user": "me", "collection_version": "1.1.0", "ansible_version": "2.21.5", "inventory_sources": []}
SCHEMA = jsonschema.Draft202012Validator(json.loads((Path(__file__).parents[4] / "docs/schemas/audit-report.schema.json").read_text()))
UNIT = {"name": "expanso-edge.service", "load_state": "loaded", "active_state": "active", "sub_state": "running", "enabled": True}
REGISTRY = registry.parse(
    [
        {"fingerprint": fingerprint("k"), "label": "north", "groups": ["edge"], "most_nodes": 1, "expires": "2026-11-01"},
        {"fingerprint": fingerprint("other"), "groups": ["elsewhere"]},
    ]
)
WAIVERS = waivers.parse(
    [
        {"finding": "left_over", "node": "left", "owner": "ops", "reason": "soon", "expires": "2026-10-31"},
        {"finding": "mode_too_wide", "node": "wait*", "owner": "ops", "reason": "soon", "expires": "2999-12-31"},
        {"finding": "clock_off", "node": "nobody", "owner": "ops", "reason": "soon", "expires": "2999-12-31"},
        {"finding": "unknown", "node": "down", "owner": "ops", "reason": "soon", "expires": "2026-10-31"},
    ]
)
FLEET: dict[str, Json | None] = {
    "waiting": answer(token("k", age_days=3, label="own", findings=[finding("mode_too_wide", "error"), finding("unknown_shape", "info")])),
    "left": registered(token("k", findings=[finding("left_over")]), record=[enrolment("k")]),
    "down": None,
    "shares": answer(jwt("j", expires_at="2026-12-01T00:00:00Z"), units=[UNIT]),
    "spent": registered(jwt("j"), record=[enrolment("j", kind="jwt")], time="1970-01-01T00:00:00Z"),
    # its record is longer than what a report tells of it
    "again": registered(record=[enrolment(name, f"2026-11-0{day}T10:00:00Z") for name, day in (("other", 1), ("k", 2), ("other", 3))]),
    "copies": registered(findings=[finding("copy", fingerprint=fingerprint("k"), place="/root/x")], record=[enrolment("unknown")]),
    "late": answer(jwt("late", expires_at="2026-11-29T00:00:00Z")),
}  # fmt: skip


def asked(fleet: dict[str, Json | None]) -> list[Node]:
    return nodes(Host(name, ["edge"], ["token_file"], {"token_file": each} if each else {}, None if each else "down: x", False) for name, each in fleet.items())


def slice_of(fleet: dict[str, Json | None], **given: Any) -> bytes:
    return as_json(build(asked(fleet), Given(**given, slice=True), Limits(), RUN, list(fleet), NOW))


@hypothesis.settings(max_examples=25)
@given(st.lists(st.integers(0, 3), min_size=len(FLEET), max_size=len(FLEET)))
def test_slices_are_worth_a_whole_audit(numbers: list[int]) -> None:
    data = {"registry": REGISTRY, "waivers": WAIVERS}
    parts = []
    for number in set(numbers):
        mine = {name: FLEET[name] for name, its in zip(FLEET, numbers, strict=True) if its == number}
        parts.append(merge.read(slice_of(mine, **data), str(number), "report"))
    found, faults = merge.together(parts, list(FLEET), {}, len(parts))
    assert faults == [] and all(part.registry for part in parts if {node.name for node in part.nodes} & {"left", "waiting"})
    merged = build(found, Given(**data), Limits(), RUN, list(FLEET), NOW)
    assert merged == build(asked(FLEET), Given(**data), Limits(), RUN, list(FLEET), NOW)


def test_a_thousand_nodes_in_four_slices() -> None:
    fleet = large_fleet(1000)
    parts = [merge.read(slice_of({name: fleet[name] for name in list(fleet)[number::4]}), str(number), "report") for number in range(4)]
    found, faults = merge.together(parts, list(fleet), {}, None)
    assert faults == [] and build(found, Given(), Limits(), RUN, list(fleet), NOW) == build(asked(fleet), Given(), Limits(), RUN, list(fleet), NOW)


def test_what_the_controller_finds_no_node_finds() -> None:
    """Otherwise a finding of a node would be lost, or one of the controller would be there twice."""
    folder = Path(__file__).parents[4] / "plugins/module_utils/_audit"
    said = set(re.findall(r'"([a-z][a-z0-9_]+)"', "".join(path.read_text() for path in folder.glob("*.py"))))
    assert "left_over" in said and not said & set(compare.OF_ALL) - {"unknown"}
    found = (folder.parents[1] / "plugin_utils/_fleet/findings.py").read_text()
    assert set(re.findall(r'Finding\(\s*"([a-z_]+)"', found)) == set(compare.OF_ALL) & set(re.findall(r'"([a-z_]+)"', found)) | {"expired"}


def part(job: str, at: str, fleet: dict[str, Json | None]) -> merge.Part:
    return merge.read(slice_of(fleet), job, job)._replace(generated_at=at)


def test_the_last_answer_of_a_node_counts() -> None:
    one, two, three = "2026-11-30T10:00:00Z", "2026-11-30T11:00:00Z", "2026-11-30T12:00:00Z"
    parts = [part("1", two, {"a": answer(), "b": None, "c": registered()}), part("2", one, {"a": registered(), "b": answer()}), part("3", three, {"b": None})]
    found, (fault,) = merge.together(parts, ["c", "b", "a"], {}, 3)
    assert [(node.name, node.status, node.registered) for node in found] == [("c", "answered", True), ("b", "answered", False), ("a", "answered", False)]
    assert (fault.code, fault.severity) == ("slice_overlap", "info") and "2 (a, b)" in fault.message


def test_slices_that_are_missing() -> None:
    parts = [part(job, "2026-11-30T10:00:00Z", {f"n{job}": answer()}) for job in ("101", "102")]
    (fault,) = merge.together(parts, [], {}, 3)[1]
    assert (fault.code, fault.severity, fault.message) == ("slice_missing", "error", "1 of 3 slices have no report; those of the jobs 101, 102 are there")
    (fault,) = merge.together(parts, [], {"x": "x is damaged"}, 3)[1]
    assert (fault.code, fault.severity, fault.place) == ("slice_unusable", "error", "x") and "x is damaged" in fault.message
    (fault,) = merge.together(parts, [], {}, 1)[1]
    assert (fault.code, fault.severity) == ("slice_unexpected", "warning")
    assert merge.together(parts, [], {}, None)[1] == merge.together(parts, [], {}, 2)[1] == []


def test_a_manager_in_another_slice_answers_for_its_workers() -> None:
    swarm = {"deliveries": ["swarm_secret"]}
    worker, manager = Host("w", **swarm), Host("m", results={"swarm_secret": registered()}, **swarm)
    reports = [as_json(build(nodes([host]), Given(slice=True), Limits(), RUN, [], NOW)) for host in (worker, manager)]
    parts = [merge.read(each, str(number), "report") for number, each in enumerate(reports)]
    assert parts[0].nodes[0].message == NO_MANAGER
    assert [(node.status, node.registered) for node in merge.together(parts, [], {}, None)[0]] == [("answered", True)] * 2
    assert [node.status for node in merge.together(parts[:1], [], {}, None)[0]] == ["unreachable"]


WHOLE = json.loads(slice_of(FLEET))
LEAVES = [(key, number, name) for key in ("nodes", "findings", "tokens") for number, each in enumerate(WHOLE[key][:4]) for name in each]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"\xff", "is not JSON"),
        (json.dumps(WHOLE).encode()[:-9], "is not JSON"),
        (b"[]", "is not a report of the playbook"),
        (json.dumps({**WHOLE, "schema_version": 2}).encode(), "has another schema_version than 1"),
        (json.dumps({**WHOLE, "nodes": None}).encode(), "is damaged"),
        (json.dumps({**WHOLE, "generated_at": "now"}).encode(), "is damaged"),
        (json.dumps({**WHOLE, "nodes": [{**WHOLE["nodes"][0], "status": "fine"}]}).encode(), "is damaged"),
        (json.dumps({**WHOLE, "findings": [{**WHOLE["findings"][0], "code": "NO"}]}).encode(), "is damaged"),
    ],
)
def test_reports_that_cannot_be_used(content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=f"the file {says}"):
        merge.read(content, "1", "the file")


@given(st.sampled_from(LEAVES), st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.none(), max_size=1) | st.just({}))
def test_no_damage_is_more_than_a_refusal(where: tuple[str, int, str], value: Any) -> None:
    report = json.loads(json.dumps(WHOLE))
    report[where[0]][where[1]][where[2]] = value
    try:
        found = merge.read(json.dumps(report).encode(), "1", "the file").nodes
    except DataError:
        return
    json.dumps(build(found, Given(registry=REGISTRY), Limits(), RUN, [], NOW))


HOSTILE = (float("nan"), float("inf"), 10**400, -1, "9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00Z", "\x1b[2J\u202e\ud800", "x" * 5000)


def test_values_that_no_audit_writes_are_refused_or_harmless() -> None:
    """What was taken over is written in each format, and has no character that a terminal obeys."""
    places = [(WHOLE[key][number], name) for key, number, name in LEAVES]
    places += [(part, name) for node in WHOLE["nodes"] for kind in ("tokens", "units") for part in node[kind][:1] for name in part]
    places += [(entry, name) for each in WHOLE["tokens"] for entry in each["enrolled"][:1] for name in entry]
    taken = []
    for (part, name), value in itertools.product(places, HOSTILE):
        before = part[name]
        part[name] = value
        with contextlib.suppress(DataError):
            taken.append((name, merge.read(json.dumps(WHOLE).encode(), "1", "the file").nodes))
        part[name] = before
    assert {"message", "name", "label", "place"} <= {name for name, _nodes in taken}
    for number, (_name, found) in enumerate(taken):
        report = build(found, Given(registry=REGISTRY), Limits(), RUN, [], NOW)
        assert b"\\u001b" not in as_json(report).replace(b"\\\\", b"") and len(as_json(report)) < 100_000
        for name, each in FORMATS.items():
            if name != "html" or number % 20 == 0:  # a page takes long
                each.render(report, "error")


class NoVariables(dict[str, Any]):
    """Variables of hosts that have none."""

    def raw_get(self, host: str) -> Json:
        return {"group_names": ["edge"]}


VARIABLES = {"hostvars": NoVariables(), "inventory_hostname": "edge01"}


def written(folder: Path, **files: bytes) -> settings.Settings:
    """Reports in a directory: of set s4, job 101, as ``s4_101``."""
    for name, content in files.items():
        path = folder.joinpath("slices", *name.split("_"), "audit.json")
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return settings.parse({"directory": str(folder), "merge": True})


def test_which_reports_are_merged(tmp_path: Path) -> None:
    def merged(asked: settings.Settings, **variables: Any) -> list[tuple[str, str, str]]:
        found = _audit_job.slices(asked, Given(), ["a", "b", "c"], {**VARIABLES, **variables}, None)[0]
        return [(node.name, node.status, node.message) for node in found]

    asked = written(tmp_path, s4_101=slice_of({"b": answer()}), s4_99=slice_of({"a": answer()}))
    expected = [("a", "answered", ""), ("b", "answered", ""), ("c", "unreachable", merge.NO_SLICE)]
    nodes_found, given = _audit_job.slices(asked, Given(), [], VARIABLES, None)
    assert [(each["job"], each["nodes"]) for each in given.slices or []] == [("99", 1), ("101", 1)]
    SCHEMA.validate(build(nodes_found, given, Limits(), RUN, [], NOW))
    assert merged(asked) == expected
    written(tmp_path, s5_103=slice_of({"c": answer()}))
    with pytest.raises(DataError, match=r"several sets of slices in .* \(s4, s5\): name one with expanso_edge_slices_of"):
        merged(asked)
    assert merged(asked._replace(slices_of="s4")) == merged(asked, expanso_edge_result={"slices_of": "s4"}) == expected
    assert merged(asked, expanso_edge_result={"slices_of": "s5"})[0] == ("c", "answered", "")
    for odd in ({"slices_of": "../s4"}, {"slices_of": ["s4"]}, "s4", {}):
        with pytest.raises(DataError, match="several sets"):
            merged(asked, expanso_edge_result=odd)
    with pytest.raises(DataError, match="no report of a slice in .*/s6: audit in slices first"):
        merged(asked._replace(slices_of="s6"))
    with pytest.raises(DataError, match="no report of a slice in"):
        merged(settings.parse({"directory": str(tmp_path / "no"), "merge": True}))


def test_broken_reports_of_slices_are_findings_as_long_as_there_is_one_that_is_not(tmp_path: Path) -> None:
    asked = written(tmp_path, s_1=slice_of({"a": answer()}), s_2=b"{", s_3=b"[]")
    (tmp_path / "slices/s/4").mkdir()
    faults = _audit_job.slices(asked, Given(), [], VARIABLES, None)[1].others
    assert [(each.code, os.path.relpath(each.place or "", tmp_path)) for each in faults] == [
        ("slice_unusable", f"slices/s/{job}/audit.json") for job in (2, 3, 4)
    ]
    os.unlink(tmp_path / "slices/s/1/audit.json")
    with pytest.raises(DataError, match="audit in slices first; .*/1/audit.json: No such file or directory; .*/2/audit.json is not JSON"):
        _audit_job.slices(asked, Given(), [], VARIABLES, None)


def test_what_is_no_report_is_neither_waited_for_nor_followed(tmp_path: Path) -> None:
    asked = written(tmp_path, s_1=slice_of({"a": answer()}), s_4=b"")
    folder = tmp_path / "slices" / "s"
    (tmp_path / "slices" / ".snapshot").mkdir()  # of a file system
    (folder / ".nfs0001").touch()
    for job in ("2", "5"):
        (folder / job).mkdir()
    os.mkfifo(folder / "2" / "audit.json")
    (folder / "3").symlink_to("1")
    os.truncate(folder / "4" / "audit.json", 500 << 20)
    (folder / "5" / "audit.json").symlink_to("/dev/zero")
    faults = _audit_job.slices(asked, Given(), [], VARIABLES, None)[1].others
    said = [str(each.message).partition("audit.json")[2].lstrip(": ") for each in faults]
    link = "is reached by a link, which no audit makes: remove the link"
    assert said == ["it is not a regular file", link, "it is larger than 64 MiB", link]
    os.mkfifo(tmp_path / "audit.json")  # instead of the earlier report
    given = _audit_job.given(asked, {}, VARIABLES, Templar(DataLoader()), None)
    assert [each.code for each in given.others] == ["previous_unreadable"] and "is not a regular file" in given.others[0].message


def test_what_the_slices_were_given_is_needed_again(tmp_path: Path) -> None:
    asked = written(tmp_path, s_1=slice_of(FLEET, registry=REGISTRY, trail={"path": "/t", "lines": 1, "hash": "0"}))
    with pytest.raises(DataError, match="the slices ran with expanso_edge_audit_registry, and this run does not"):
        _audit_job.slices(asked, Given(), [], VARIABLES, None)
    with pytest.raises(DataError, match="the slices ran with expanso_edge_trail_file, and this run does not"):
        _audit_job.slices(asked, Given(registry={}), [], VARIABLES, None)
    assert _audit_job.slices(asked._replace(trail_file="/t"), Given(registry={}), [], VARIABLES, None)[1].others == ()


def test_where_a_slice_writes() -> None:
    asked = settings.parse({"directory": "/d", "prometheus_file": "/p", "nodes": "/n", "previous": "/o"})
    awx = {"awx_workflow_job_name": "A", "awx_job_template_name": "A", "awx_workflow_job_id": 7, "awx_job_id": 8}
    placed, name = _audit_job.placed(asked, awx)
    assert (placed.path("json"), placed.path("prometheus"), placed.nodes, placed.previous, name) == ("/d/slices/7/8/audit.json",) + (
        "/d/slices/7/8/audit.prom",
        None,
        None,
        "7",
    )
    assert _audit_job.placed(asked, {}) == (asked, None)
    assert _audit_job.placed(asked._replace(merge=True), awx)[1] is None
    assert _audit_job.placed(asked._replace(slices_of="p1"), {"expanso_edge_sliced": True})[0].directory.startswith("/d/slices/p1/2")
    for odd in ({}, {"awx_workflow_job_id": "../x"}):
        with pytest.raises(DataError, match="a slice outside of AWX needs expanso_edge_slices_of"):
            _audit_job.placed(asked, {"expanso_edge_sliced": True, **odd})
