# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in other formats: what their readers take for markup, formulas or syntax is harmless."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import junit, ocsf, prometheus
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.formats import COLUMNS, FORMATS, FORMULA, SIGNS, as_csv, as_json, harmless, sha256
from hypothesis import given
from hypothesis import strategies as st

SUPPORT = Path(__file__).resolve().parents[3] / "support"
EXAMPLE = json.loads((SUPPORT / "audit_report_example.json").read_text())
OCSF = jsonschema.Draft202012Validator(json.loads((SUPPORT / "ocsf_compliance_finding.schema.json").read_text()))

texts = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["=cmd|' /C calc'!A0", "\t=1", "\r+1", "a\nb", '"', "\\", "\\n", "]]>", "<script>", "&amp;", "\0", "\ud800", "\ufffe"]
)


def changed(**own: Any) -> dict[str, Any]:
    """The example with the same texts everywhere."""
    report = copy.deepcopy(EXAMPLE)
    for finding in report["findings"]:
        finding.update(own)
    return report


def test_the_same_report_is_the_same_bytes() -> None:
    shuffled = json.loads(json.dumps(EXAMPLE, sort_keys=True))
    assert as_json(EXAMPLE) == as_json(shuffled) and json.loads(as_json(EXAMPLE)) == EXAMPLE
    assert sha256(EXAMPLE) == sha256(shuffled) != sha256({**EXAMPLE, "generated_at": "2026-11-30T10:45:13Z"})


@given(texts)
def test_a_cell_is_no_formula_and_stays_whole(text: str) -> None:
    report = {**EXAMPLE, "findings": [{**EXAMPLE["findings"][0], "node": text, "message": text}]}
    head, row = list(csv.reader(io.StringIO(as_csv(report).decode(), newline="")))
    assert tuple(head) == COLUMNS
    for cell in row:
        assert not cell.startswith(FORMULA)
    assert row[head.index("node")] == harmless(text).encode("utf-8", "backslashreplace").decode()


@given(st.text(st.sampled_from(";\t|\r\n\"' ,a=+-@"), max_size=12))
def test_no_cell_is_a_formula_where_other_signs_separate_cells(text: str) -> None:
    """A spreadsheet in German, say, reads the same file with semicolons."""
    report = {**EXAMPLE, "findings": [{**EXAMPLE["findings"][0], "node": f"a{text}", "message": text}]}
    for delimiter in ";\t|":
        rows = csv.reader(io.StringIO(as_csv(report).decode(), newline=""), delimiter=delimiter)
        assert not [cell for row in rows for cell in row if cell.lstrip().startswith(tuple(SIGNS))]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t1", "＝1"])
def test_formulas(text: str) -> None:
    assert harmless(text) == "'" + text
    assert harmless(f"a; {text}") == f"a; '{text}" or text[0] == "\t"


@pytest.mark.parametrize("text", ["edge01", "a=b", "", "'", " =1"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


def test_the_table_of_the_example() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(EXAMPLE).decode(), newline="")))
    assert len(rows) == len(EXAMPLE["findings"])
    (waived,) = [row for row in rows if row["status"] == "waived"]
    assert (waived["code"], waived["waiver_owner"], waived["waiver_expires"]) == ("too_many_nodes", "security@example.com", "2027-01-31")


@given(texts, texts)
def test_xml_is_well_formed_and_tells_the_same(node: str, message: str) -> None:
    root = ElementTree.fromstring(junit.render(changed(node=node, message=message)))
    suite = next(each for each in root if len(each) > 1)
    # a reader of XML may normalize white space of attributes, and takes a carriage return for a line break
    assert suite.get("name", "").split() == junit.legal(node).split()


def test_junit_counts() -> None:
    root = ElementTree.fromstring(junit.render(EXAMPLE))
    codes = {name: [case for case in root.iter("testcase") if case.find(name) is not None] for name in ("failure", "error", "skipped")}
    assert {name: len(cases) for name, cases in codes.items()} == {"failure": 7, "error": 3, "skipped": 1}
    assert [root.get(name) for name in ("failures", "errors", "skipped")] == ["7", "3", "1"]
    passed = {case.get("classname") for case in root.iter("testcase") if case.get("name") == "no finding"}
    answered = {node["name"] for node in EXAMPLE["nodes"] if node["status"] == "answered"}
    assert passed == answered - {finding["node"] for finding in EXAMPLE["findings"]}
    assert len([*ElementTree.fromstring(junit.render(EXAMPLE, "warning")).iter("failure")]) > 7


SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{((?:[a-z_][a-z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?[0-9.e+]+)')
LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')


def metrics(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Read the text format as Prometheus does: HELP and TYPE first, each family in one piece, no sample twice."""
    assert text.endswith("\n") and "\r\n" not in text.replace("\\", "")
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    lines = text.split("\n")[:-1]
    while lines:
        name = re.fullmatch(r"# HELP (\S+) \S[^\\]*", lines.pop(0))
        assert name and name[1] not in found
        assert lines.pop(0) == f"# TYPE {name[1]} gauge"
        found[name[1]] = []
        while lines and not lines[0].startswith("#"):
            sample = SAMPLE.fullmatch(lines.pop(0))
            assert sample and sample[1] == name[1]
            labels = {key: re.sub(r'\\(["\\n])', lambda each: {"n": "\n"}.get(each[1], each[1]), value) for key, value in LABEL.findall(sample[2] or "")}
            assert labels not in [each for each, value in found[name[1]]]
            found[name[1]].append((labels, float(sample[3])))
        assert found[name[1]]
    return found


@given(texts)
def test_labels_are_escaped(label: str) -> None:
    report = {**EXAMPLE, "tokens": [{**EXAMPLE["tokens"][0], "label": label}]}
    ((labels, _value),) = metrics(prometheus.render(report).decode())["expanso_edge_audit_token_nodes"]
    assert labels["label"] == label.encode("utf-8", "backslashreplace").decode()


def test_the_metrics_of_the_example() -> None:
    found = metrics(FORMATS["prometheus"].render(EXAMPLE, "error").decode())
    assert ({"severity": "warning", "code": "too_many_nodes", "status": "waived"}, 1.0) in found["expanso_edge_audit_findings"]
    assert [value for labels, value in found["expanso_edge_audit_unwaived_findings"]] == [EXAMPLE["totals"][each] for each in ("error", "warning", "info")]
    assert found["expanso_edge_audit_unregistered_nodes"] == [({}, EXAMPLE["totals"]["unregistered"])]
    assert found["expanso_edge_audit_unreachable_nodes"] == [({}, 2.0)]
    assert found["expanso_edge_audit_last_run_timestamp_seconds"] == [({}, 1796035512.0)]
    assert max(value for labels, value in found["expanso_edge_audit_token_age_seconds"]) == 400 * 86400
    for name in found:  # what promtool complains about
        assert not re.search(r"_(total|count|sum|bucket|info)$|gauge|__", name)
    # the file is readable by others
    assert "edge0" not in FORMATS["prometheus"].render(EXAMPLE, "error").decode()
    assert {name: each.mode for name, each in FORMATS.items() if each.mode != 0o600} == {"prometheus": 0o644}


def events(report: dict[str, Any]) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in ocsf.render(report).decode().splitlines()]
    for event in found:
        OCSF.validate(event)
    return found


def test_ocsf_events_of_the_example() -> None:
    found = events(EXAMPLE)
    assert len(found) == len(EXAMPLE["findings"]) + len(EXAMPLE["mended"])
    by_code = {event["compliance"]["control"]: event for event in found}
    assert (by_code["too_many_nodes"]["status"], by_code["too_many_nodes"]["severity"]) == ("Suppressed", "Medium")
    assert (by_code["unknown"]["compliance"]["status"], by_code["waiver_unused"]["compliance"]["status"]) == ("Warning", "Pass")
    assert (by_code["mode_too_wide"]["compliance"]["status"], by_code["mode_too_wide"]["type_uid"]) == ("Fail", 200301)
    assert (by_code["token_in_unit"]["status"], by_code["token_in_unit"]["type_uid"]) == ("Resolved", 200303)
    assert len({event["metadata"]["uid"] for event in found}) == len(found)


@given(texts)
def test_ocsf_is_one_line_for_each_event(text: str) -> None:
    report = {**EXAMPLE, "findings": [{**EXAMPLE["findings"][0], "node": text, "message": text, "remedy": text}], "mended": []}
    (event,) = events(report)
    assert event["message"] == text
