# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registry and waivers as people write them."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import codes, registry, waivers
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Finding

MARK = "5d41402abc4b"
KEY = "exp_bk_9f8e7d6c5b4a"
WAIVER = {"finding": "left_over", "node": "edge0*", "owner": "ops@example.com", "reason": "being replaced", "expires": "2026-12-31"}


def test_a_registry() -> None:
    given = {"label": "north", "fingerprint": MARK, "groups": "north", "most_nodes": 5, "issued": date(2026, 1, 1), "expires": "2026-12-31"}
    entry = registry.parse([given, {"fingerprint": "0" * 12}])[MARK]
    assert (entry.groups, entry.most_nodes, entry.issued, entry.expires) == (["north"], 5, date(2026, 1, 1), date(2026, 12, 31))
    assert entry.shown["expires"] == "2026-12-31"


def test_twelve_digits_without_quotation_marks_and_a_time() -> None:
    entry = registry.parse([{"fingerprint": 123456789012, "expires": datetime(2026, 1, 1, 12, tzinfo=timezone.utc)}])["123456789012"]
    assert entry.expires == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": 1}, "registry: it must be a list of entries"),
        (["north"], "registry, entry 1: it must consist of keys with values: label, fingerprint"),
        ([{"label": "north"}], "registry, entry 1: fingerprint is missing"),
        ([{"fingerprint": MARK}, {"fingerprint": MARK, "ownr": "me"}], "registry, entry 2: it has an unknown key 'ownr' (did you mean 'owner'?); known are"),
        ([{"fingerprint": MARK, KEY: "me"}], "registry, entry 1: it has an unknown key; known are label"),
        ([{"fingerprint": KEY}], "registry, entry 1: fingerprint must be 12 hexadecimal digits"),
        ([{"fingerprint": MARK.upper()}], "registry, entry 1: fingerprint must be 12 hexadecimal digits"),
        ([{"fingerprint": True}], "registry, entry 1: fingerprint must be 12 hexadecimal digits"),
        ([{"fingerprint": MARK, "label": f"token {KEY}"}], "registry, entry 1: label seems to contain a token"),
        ([{"fingerprint": MARK, "label": "a\nb"}], "registry, entry 1: label must be one line"),
        ([{"fingerprint": MARK, "owner": ["me"]}], "registry, entry 1: owner must be a text"),
        ([{"fingerprint": MARK, "groups": []}], "registry, entry 1: groups must not be an empty list"),
        ([{"fingerprint": MARK, "most_nodes": "5"}], "registry, entry 1: most_nodes must be a whole number"),
        ([{"fingerprint": MARK, "most_nodes": True}], "registry, entry 1: most_nodes must be a whole number"),
        ([{"fingerprint": MARK, "expires": "31.12.2026"}], "registry, entry 1: expires must be a date such as 2027-01-31"),
        ([{"fingerprint": MARK, "expires": "2026-02-30"}], "registry, entry 1: expires must be a date such as 2027-01-31"),
        ([{"fingerprint": MARK, "issued": "2026-02-01", "expires": "2026-01-01"}], "registry, entry 1: expires is before issued"),
        ([{"fingerprint": MARK}, {"fingerprint": MARK}], "registry, entry 2: its fingerprint is that of entry 1"),
    ],
)
def test_a_registry_that_is_refused(value: Any, says: str) -> None:
    with pytest.raises(DataError) as raised:
        registry.parse(value)
    assert says in str(raised.value)
    assert KEY not in str(raised.value) and KEY[7:] not in str(raised.value)


@pytest.mark.parametrize("key", list(WAIVER))
def test_a_waiver_needs_all_keys(key: str) -> None:
    with pytest.raises(DataError, match=f"waivers, entry 1: {key} is missing"):
        waivers.parse([{name: value for name, value in WAIVER.items() if name != key}])


@pytest.mark.parametrize("given", ["Left over", ["left_over", "x y"], 5])
def test_a_waiver_is_for_codes(given: Any) -> None:
    with pytest.raises(DataError, match="waivers, entry 1: finding must be"):
        waivers.parse([{**WAIVER, "finding": given}])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("lft_over", "an unknown code 'lft_over' (did you mean 'left_over'?)"),
        (["left_over", "expired_token"], "an unknown code 'expired_token'"),
        ("q7wz2xv9m3", "an unknown code"),
    ],
)
def test_a_waiver_for_an_unknown_code(given: Any, says: str) -> None:
    with pytest.raises(DataError, match=f"waivers, entry 1: finding has .*{re.escape(says)}") as raised:
        waivers.parse([{**WAIVER, "finding": given}])
    assert "q7wz" not in str(raised.value)


def test_all_codes_are_known() -> None:
    """Those that the modules document, and those that occur in the code of the audit."""
    plugins = Path(__file__).parents[4] / "plugins"
    documented: set[str] = set()
    for path in (plugins / "modules").glob("*_info.py"):
        about = re.search(r"Stable name of the finding\.\n(.*?)\n +type: str", path.read_text(), re.DOTALL)
        assert about, path
        documented.update(re.findall(r"V\((\w+)\)", about[1]))
    assert set(codes.OF_NODES) == documented
    used = {each for path in plugins.rglob("*.py") for each in re.findall(r"\bFinding\(\s*\"(\w+)\"", path.read_text())}
    assert used - codes.KNOWN == set()


def found(code: str = "left_over", node: str | None = "edge01") -> Finding:
    return Finding(code, "warning", node, None, None, "message", "remedy")


@pytest.mark.parametrize(
    ("finding", "day", "status"),
    [
        (found(), date(2026, 12, 31), "waived"),  # its last day
        (found(), date(2027, 1, 1), "expired_waiver"),
        (found("copy"), date(2026, 12, 1), "open"),
        (found(node="edge10"), date(2026, 12, 1), "open"),
        (found(node="Edge01"), date(2026, 12, 1), "open"),
        (found(node=None), date(2026, 12, 1), "open"),
    ],
)
def test_what_a_waiver_does(finding: Finding, day: date, status: str) -> None:
    assert waivers.status(finding, waivers.parse([WAIVER]), day)[0] == status


def test_the_waiver_that_lasts_longest_counts() -> None:
    both = waivers.parse([WAIVER, {**WAIVER, "finding": ["copy", "left_over"], "node": "*", "expires": date(2027, 6, 1)}])
    assert waivers.status(found(), both, date(2027, 1, 1)) == ("waived", both[1])
    assert waivers.status(found(node=None), both, date(2027, 1, 1)) == ("waived", both[1])


@pytest.mark.parametrize(("silent", "unused"), [([], 1), (["edge07"], 0), (["other"], 1)])
def test_a_waiver_that_matches_nothing_is_a_finding_unless_its_node_is_silent(silent: list[str], unused: int) -> None:
    assert len(waivers.unused([found("copy")], waivers.parse([WAIVER]), silent)) == unused
    assert waivers.unused([found()], waivers.parse([WAIVER]), silent) == []
