# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The enrolment record as text and as entries."""

import json
from pathlib import Path
from typing import List

import pytest
import yaml
from ansible_collections.expanso.edge.plugins.module_utils import _record
from ansible_collections.expanso.edge.plugins.module_utils._record import (
    FIELDS,
    LONGEST,
    MOST_ENTRIES,
    Entry,
    RecordError,
    as_result,
    new_entry,
    parse,
    parse_entry,
    render,
    render_entry,
    utc,
    with_entry,
)
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import MAX_SIZE
from ansible_collections.expanso.edge.plugins.module_utils._version import VERSION
from hypothesis import given
from hypothesis import strategies as st

ENTRY = Entry("0123456789ab", "jwt", "site 7", "file", "2026-11-30T10:00:00Z", "20261130T095959Z-1a2b3c4d", "17", "1.1.0")
SHOWN = as_result(ENTRY)
NOW = 1796060000.0  # some hours later

texts = st.text(min_size=1, max_size=30).filter(str.isprintable)
entries = st.builds(
    Entry,
    fingerprint=st.from_regex("[0-9a-f]{12}", fullmatch=True),
    kind=st.sampled_from((None,) + _record.KINDS),
    label=st.none() | texts,
    delivery=st.sampled_from(_record.DELIVERIES),
    written_at=st.integers(0, 4102444800).map(utc),
    run_id=texts,
    job_id=st.none() | texts,
    collection_version=texts,
)


def test_version_is_that_of_the_collection():
    galaxy = yaml.safe_load((Path(__file__).parents[4] / "galaxy.yml").read_text(encoding="utf-8"))
    assert galaxy["version"] == VERSION


def test_text_of_a_file():
    text = render([ENTRY])
    assert json.loads(text) == {"version": 1, "enrolments": [SHOWN]}
    assert text.endswith("}\n") and text.index('"enrolments"') < text.index('"version"')
    assert list(SHOWN) == list(FIELDS)


def test_text_of_a_label_is_one_short_line():
    text = render_entry(ENTRY)
    assert "\n" not in text and ": " not in text and json.loads(text) == SHOWN


@given(st.lists(entries, max_size=MOST_ENTRIES))
def test_what_was_written_is_read(some):
    assert parse(render(some)) == some


@given(entries)
def test_what_a_label_holds_is_read(entry):
    assert parse_entry(render_entry(entry)) == entry


simple = st.none() | st.booleans() | st.integers() | st.text(max_size=9)


@given(st.text() | st.recursive(simple, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3), max_leaves=5))
def test_no_text_does_more_than_be_refused(found):
    for read in (parse, parse_entry):
        with pytest.raises(RecordError):
            read(found if isinstance(found, str) else json.dumps(found))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100000, "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "version 1"),
        ('{"version": 2, "enrolments": []}', "version 1"),
        ('{"version": true, "enrolments": []}', "version 1"),
        ('{"version": 1}', "no list"),
        ('{"version": 1, "enrolments": [1]}', "enrolment 1 is not"),
        (render([ENTRY])[:-4], "not JSON"),
    ],
)
def test_damaged(text, message):
    with pytest.raises(RecordError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fingerprint", "0123456789AB"),
        ("fingerprint", None),
        ("kind", "api_key"),
        ("kind", ["jwt"]),
        ("label", 5),
        ("label", "two\nlines"),
        ("label", "x" * (LONGEST + 1)),
        ("delivery", "pigeon"),
        ("delivery", {}),
        ("written_at", "yesterday"),
        ("written_at", 1764496800),
        ("written_at", "2026-13-01T10:00:00Z"),  # a day that no calendar has
        ("written_at", "2026-02-30T10:00:00Z"),
        ("written_at", "2026-11-30T10:00:60Z"),
        ("written_at", "1969-12-31T23:59:59Z"),  # nor can any clock of Unix have shown it
        ("written_at", "2026-1-1T10:00:00Z"),
        ("written_at", "２０２６-11-30T10:00:00Z"),
        ("run_id", None),
        ("run_id", ""),
        ("job_id", 17),
        ("collection_version", None),
    ],
)
def test_damaged_entry(name, value):
    with pytest.raises(RecordError, match=f"enrolment 1 has no valid {name}"):
        parse(json.dumps({"version": 1, "enrolments": [dict(SHOWN, **{name: value})]}))


def test_unknown_keys_are_ignored():
    assert parse(json.dumps({"version": 1, "enrolments": [dict(SHOWN, more=1)], "further": {}})) == [ENTRY]


def test_same_token_is_not_entered_twice():
    again = ENTRY._replace(written_at="2027-01-01T00:00:00Z", run_id="another")
    other = ENTRY._replace(fingerprint="ba9876543210")
    assert with_entry([], ENTRY, NOW) == [ENTRY]
    assert with_entry([ENTRY], again, NOW) == [ENTRY]
    assert with_entry([ENTRY], other, NOW) == [ENTRY, other]
    assert with_entry([ENTRY, other], again, NOW) == [ENTRY, other, again]


def test_an_entry_of_a_time_to_come_is_replaced():
    """The clock was wrong when it was written. Nothing would ever be newer than this token."""
    wrong, right = ENTRY._replace(written_at="2099-01-01T00:00:00Z"), ENTRY._replace(written_at=utc(NOW))
    other = ENTRY._replace(fingerprint="ba9876543210")
    assert with_entry([other, wrong], right, NOW) == [other, right]
    assert with_entry([other, right], wrong, NOW) == [other, right]
    little = ENTRY._replace(written_at=utc(NOW + 60))
    assert with_entry([little], right, NOW) == [little]


def test_oldest_entries_give_way():
    some = [ENTRY._replace(fingerprint=f"{number:012x}") for number in range(MOST_ENTRIES + 5)]
    kept: List[Entry] = []
    for each in some:
        kept = with_entry(kept, each, NOW)
    assert kept == some[-MOST_ENTRIES:]
    assert parse(render(some)) == some[-MOST_ENTRIES:]


def test_largest_record_can_be_read_back():
    params = {"token_label": "\U0001f600" * 5000, "run_id": "\U0001f600" * 5000, "job_id": "\U0001f600" * 5000}
    some = [new_entry(params, f"{number:012x}", "bootstrap_key", "kubernetes", utc(0)) for number in range(MOST_ENTRIES)]
    assert parse(render(some)) == some
    assert len(render(some).encode()) <= MAX_SIZE


@pytest.mark.parametrize(
    ("given_text", "kept"), [(None, None), ("", None), ("site 7", "site 7"), ("a\nb\x1b[1m", "a?b?[1m"), ("\ud800", "?"), ("x" * 500, "x" * LONGEST)]
)
def test_texts_of_a_new_entry(given_text, kept):
    entry = new_entry({"token_label": given_text, "run_id": given_text, "job_id": given_text}, "0123456789ab", None, "swarm", utc(0))
    assert (entry.label, entry.job_id, entry.run_id) == (kept, kept, kept or "unknown")
    assert entry.collection_version == VERSION
    assert parse_entry(render_entry(entry)) == entry


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01T00:00:00Z"), (-5.5, "1970-01-01T00:00:00Z"), (1764496800.9, "2025-11-30T10:00:00Z"), (1e18, "9999-12-31T23:59:59Z")],
)
def test_times(seconds, text):
    assert utc(seconds) == text
