# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit's page as text: what is in it, and that nothing of a report can become markup. How it behaves: tests/functional/test_audit_page.py."""

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._audit_page import render
from ansible_collections.expanso.edge.plugins.plugin_utils._audit_page._chart import Age, chart
from ansible_collections.expanso.edge.plugins.plugin_utils._audit_page._text import number, plural, visible, when, words
from ansible_collections.expanso.edge.plugins.plugin_utils._audit_page._view import verdict, view
from hypothesis import example as example_of
from hypothesis import given, settings
from hypothesis import strategies as st

REPOSITORY = Path(__file__).resolve().parents[4]
sys.path[:0] = [str(REPOSITORY / "tests" / "support")]

from audit_reports import example, fleet

Report = dict[str, Any]
SHA256 = "0123456789abcdef" * 4
VOID = {"meta", "link", "input"}
TIMES = {"generated_at", "registered_at", "written_at", "expires_at"}
WORDS = {"status", "severity", "kind", "change", "registered"}
"""Fields whose few values are shown in other words."""


class Reader(HTMLParser):
    """Reads a page, and fails where an element is closed that is not open."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text: list[str] = []
        self.inside: dict[str, str] = {}  # texts of the script and of the style
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, dummy in attrs)))
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.inside[self.open[-1]] = self.inside.get(self.open[-1], "") + data
        else:
            self.text.append(data)

    def values(self, wanted: str) -> list[str]:
        return [value for dummy, name, value in self.attributes if name == wanted]


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a report, with the name of its field."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, key)
    elif isinstance(value, str):
        yield key, value


def changed(value: Any, change: Callable[[str], str], key: str = "") -> Any:
    """The report with every free text changed."""
    if isinstance(value, dict):
        return {name: changed(one, change, name) for name, one in value.items()}
    if isinstance(value, list):
        return [changed(one, change, key) for one in value]
    return change(value) if isinstance(value, str) and key not in TIMES | WORDS | {"sha256", "expires", "issued"} else value


@functools.lru_cache(maxsize=1)
def page() -> str:
    return render(example(), SHA256)


@functools.lru_cache(maxsize=1)
def small() -> Report:
    """A report with one of everything."""
    report = example()
    node = next(node for node in report["nodes"] if node["tokens"] and node["units"])
    waived = [finding for finding in report["findings"] if finding["waiver"]]
    return {**report, "nodes": [node], "tokens": report["tokens"][:1], "findings": [report["findings"][0], *waived]}


@pytest.mark.parametrize("report", [example(), fleet(60)], ids=["example", "fleet"])
def test_the_reports_that_are_tested_with_follow_the_schema(report: Report) -> None:
    jsonschema.validate(report, json.loads((REPOSITORY / "docs" / "schemas" / "audit-report.schema.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("report", [example(), fleet(60)], ids=["example", "fleet"])
def test_everything_of_the_report_is_in_the_page(report: Report) -> None:
    text = "".join(Reader(render(report, SHA256)).text)
    # of what is mended, nobody needs the remedy
    shown = {**report, "mended": [{**finding, "remedy": None, "waiver": None} for finding in report["mended"]]}
    for key, value in leaves(shown):
        if key not in WORDS:
            assert (when(value) if key in TIMES else visible(value)) in text, (key, value)
    assert SHA256 in text


def test_what_is_closed_was_open_and_identifiers_are_unique() -> None:
    for report in (example(), fleet(60), small()):
        reader = Reader(render(report, SHA256))
        identifiers = reader.values("id")
        assert len(identifiers) == len(set(identifiers))
        links = {value[1:] for dummy, name, value in reader.attributes if name == "href"} - {"ata:,"}
        assert links <= set(identifiers)
        referred = {one for name in ("aria-labelledby", "aria-describedby") for value in reader.values(name) for one in value.split()}
        assert referred <= set(identifiers)


@pytest.mark.parametrize(
    "text",
    [
        "</script><script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "<!--", "]]>", "&lt;b&gt;", "{{ 7 * 7 }}", "{% raw %}",
        "\u202egnp.exe", "\udce4\x00\x1b[31m",
    ],
)  # fmt: skip
def test_texts_stay_texts(text: str) -> None:
    check_same_shape(text)


@settings(max_examples=40)
@given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_any_text_stays_text(text: str) -> None:
    check_same_shape(text)


def check_same_shape(text: str) -> None:
    hostile, harmless = (render(changed(small(), lambda value, add=add: add + value), SHA256) for add in (text, "x"))
    hostile.encode()
    reader = Reader(hostile)
    assert reader.tags == Reader(harmless).tags
    node = changed(small(), lambda value: text + value)["nodes"][0]["name"]
    assert visible(node) in reader.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\x00]", hostile)


def test_nothing_comes_from_elsewhere_and_only_the_pages_own_script_may_run() -> None:
    reader = Reader(page())
    (policy,) = (value for dummy, name, value in reader.attributes if name == "content" and value.startswith("default-src"))
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    for element in ("script", "style"):
        expected = base64.b64encode(hashlib.sha256(reader.inside[element].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{expected}'" in policy
        assert sum(tag == element for tag, dummy in reader.tags) == 1
    assert not [name for dummy, name, value in reader.attributes if name.startswith("on") or name in ("style", "src", "srcset", "action", "formaction")]
    assert all(value.startswith("#") or value == "data:," for dummy, name, value in reader.attributes if name in ("href", "xlink:href"))
    code = reader.inside["script"] + reader.inside["style"]
    assert not re.search(r"https?:|url\(|@import|fetch|XMLHttpRequest|innerHTML|eval|document\.write", code)


def test_a_page_without_anything() -> None:
    empty = {
        **example(), "scope": {"asked": 0, "answered": 0, "unreachable": [], "failed": []}, "totals": dict.fromkeys(example()["totals"], 0),
        "tokens": [], "nodes": [], "findings": [], "compared_with": None, "mended": [],
        "run": {**example()["run"], "job_id": None, "user": None, "inventory_sources": []},
    }  # fmt: skip
    text = "".join(Reader(render(empty)).text)
    assert "Nothing is open on the 0 nodes that answered." in text
    assert "There was no earlier report to compare with." in text
    assert "No token with a known age was found." in text
    assert "SHA-256 of the JSON" not in text


def test_a_waiver_is_shown_with_its_owner_reason_and_end() -> None:
    for finding in example()["findings"]:
        if finding["waiver"]:
            state = "Waived" if finding["status"] == "waived" else "Waiver expired"
            waiver = finding["waiver"]
            assert f"{state} by {waiver['owner']} until {waiver['expires']}: {waiver['reason']}" in "".join(Reader(page()).text)


def test_a_remedy_that_all_findings_of_a_group_have_is_told_once() -> None:
    report = fleet(60)
    same = {**report, "findings": [{**finding, "remedy": "Do this once."} for finding in report["findings"]]}
    groups = len({(finding["code"], finding["status"] == "waived") for finding in report["findings"]})
    assert render(same).count("Do this once.") == groups
    different = {**report, "findings": [{**finding, "remedy": f"Do {number}."} for number, finding in enumerate(report["findings"])]}
    assert len(re.findall(r"Do \d+\.", render(different))) == len(report["findings"])


def test_findings_of_a_node_are_counted_in_words_and_unknown_where_it_is_silent() -> None:
    page = render(fleet(60))
    assert '1 <span class="unseen">error</span>' in page and '1 <span class="unseen">warning</span>' in page
    assert page.count('<td data-label="Findings" data-v="">unknown</td>') == len(fleet(60)["scope"]["unreachable"]) > 0


def test_a_thousand_nodes_fit() -> None:
    assert len(render(fleet(1000), SHA256).encode()) < 3_000_000


def test_a_finding_of_a_node_that_is_not_in_the_report_has_no_link() -> None:
    report = copy.deepcopy(small())
    report["findings"][0]["node"] = "rogue"
    assert "<bdi>rogue</bdi></th>" in render(report)


@pytest.mark.parametrize(
    ("totals", "scope", "sentences"),
    [
        ({"error": 1}, {}, ["1 error is open."]),
        ({"error": 2, "warning": 1, "info": 3, "waived": 1}, {}, ["2 errors, 1 warning and 3 notes are open.", "1 finding is waived."]),
        ({"waived": 2}, {}, ["Nothing is open on the 2,000 nodes that answered.", "2 findings are waived."]),
        (
            {"warning": 1, "info": 1},
            {"unreachable": ["a"], "failed": [{"node": "b", "message": "c"}]},
            ["1 warning and 1 note are open.", "2 nodes of 2,002 could not be audited: what they hold is unknown, not clean."],
        ),
    ],
)
def test_verdict(totals: dict[str, int], scope: dict[str, Any], sentences: list[str]) -> None:
    silent = sum(map(len, scope.values()))
    report = {
        "totals": {"error": 0, "warning": 0, "info": 0, "waived": 0, **totals},
        "scope": {"asked": 2000 + silent, "answered": 2000, "unreachable": [], "failed": [], **scope},
    }
    assert verdict(report) == sentences


def test_what_is_new_counts_without_the_waived() -> None:
    report = example()
    expected = [finding["change"] for finding in report["findings"] if finding["status"] != "waived"]
    assert {change: view(report)["changes"][change] for change in ("new", "still")} == {change: expected.count(change) for change in ("new", "still")}


@settings(max_examples=200)
@example_of([0, 276], 1, 340)  # a limit that is far below what is usual
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=200), st.none() | st.integers(0, 2000), st.sampled_from([340, 960]))
def test_every_age_is_in_the_plot_on_its_side_of_the_limit(days: list[int], limit: int | None, width: int) -> None:
    plot = chart([Age(one, str(one)) for one in days], limit, width)
    assert plot is not None
    assert sum(column.copies for column in plot.bars) == len(days)
    if limit:
        assert plot.limit is not None and plot.left <= plot.limit.at <= plot.right + 0.01
        over = sum(one > limit for one in days)
        assert sum(column.copies for column in plot.bars if column.over) == over
        assert all(column.over == (column.x >= plot.limit.at - 0.01) for column in plot.bars)
        assert not plot.dots or sum(dot.over for dot in plot.dots) == over
    for column in plot.bars:
        assert column.width > 0
        assert plot.left <= column.x and column.x + column.width <= plot.right + 0.01
        assert plot.top - 0.01 <= column.y and abs(column.y + column.height - plot.bottom) < 0.01
    for tick in plot.x_ticks:
        assert plot.left <= tick.at <= plot.right + 0.01
    assert 2 <= len(plot.y_ticks) <= 7 and plot.y_ticks[0].text == "0"
    assert plot.dots == [] or len(plot.dots) == len(days)


def test_one_very_old_copy_does_not_press_the_others_together() -> None:
    plot = chart([Age(days, "") for days in (*range(1, 60), 5000)], 60, 960)
    assert plot is not None
    assert plot.bars[-1].text == "more than 240 days"
    assert plot.x_ticks[-1].text == "older"
    assert len(plot.bars) > 8


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (None, "2 copies of tokens were found with a known age. No limit is set. The age of 1 more is unknown."),
        (0, "1 of them is older than the limit of 0 days."),
        (5, "1 of them is older than the limit of 5 days."),
        (90, "0 of them are older than the limit of 90 days."),
    ],
)
def test_what_is_told_of_ages(limit: int | None, told: str) -> None:
    report = copy.deepcopy(small())
    token = report["nodes"][0]["tokens"][0]
    report["nodes"][0]["tokens"] = [{**token, "age_days": days} for days in (0, 6, None)]
    report["limits"]["max_age_days"] = limit
    assert told in " ".join("".join(Reader(render(report)).text).split())


def test_no_plot_without_ages() -> None:
    assert chart([], 90, 960) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""), ("edge01", "edge01"), ("<b>", "<b>"), ("a\u00a0b", "a\u00a0b"), ("a\tb\r\nc", "a\\tb\\r\\nc"),
        ("F\u00fc\u00dfe-\u6771\u4eac-\u043c\u0438\u0440-\U0001f680", "F\u00fc\u00dfe-\u6771\u4eac-\u043c\u0438\u0440-\U0001f680"),
        ("\x00\x1b\x7f\x9b", "\\x00\\x1b\\x7f\\x9b"), ("\u202egnp.exe", "\\u202egnp.exe"), ("\u200b\ufeff\u2028", "\\u200b\\ufeff\\u2028"),
        ("\udc80", "\\udc80"), ("\U000e0041", "\\U000e0041"),
    ],
)  # fmt: skip
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-30T10:45:12Z", "2026-11-30 10:45 UTC"),
        ("2026-11-30T10:45:12.123456789Z", "2026-11-30 10:45 UTC"),
        ("2026-11-30T10:45:12+02:00", "2026-11-30 08:45 UTC"),
        ("2026-11-30", "2026-11-30"),
        ("some day", "some day"),
        (None, "unknown"),
    ],
)
def test_when(text: str | None, shown: str) -> None:
    assert when(text) == shown


def test_numbers_and_words() -> None:
    assert (number(1234567), number(2.5), number(3.0)) == ("1,234,567", "2.5", "3")
    assert (plural(1, "copy", "copies"), plural(1000, "copy", "copies"), plural(0, "node")) == ("1 copy", "1,000 copies", "0 nodes")
    assert words("token_too_old") == "Token too old"
