# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make bench` makes of what it measured."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from bench_report import FLOOR, Cost, document, page, plot, ratio, rows


def cost(processor: float) -> Cost:
    return Cost(processor, wall=processor * 2, memory=60, workers=8, commands=4, sent=400_000)


MEASURED = {FLOOR: [cost(1), cost(10), cost(2)], "role <a & b>": [cost(2), cost(30), cost(4)]}


def test_a_ratio_compares_runs_of_the_same_round() -> None:
    assert ratio(MEASURED["role <a & b>"], MEASURED[FLOOR]) == 2
    with pytest.raises(ValueError, match="zip"):
        ratio([cost(1)], MEASURED[FLOOR])


def test_rows_are_medians_for_each_node() -> None:
    floor, role = rows(MEASURED, nodes=4)
    assert (floor.case, floor.processor, floor.ratio) == (FLOOR, 500, 1)
    assert role == ("role <a & b>", 4, 1000, 2, 8, 60, 2, 1, 100)


def test_no_ratio_without_a_floor() -> None:
    [role] = rows({"role": [cost(3)]}, nodes=1)
    assert role.ratio is None
    assert "| role | 3000 ms a node | – |" in page(["Head"], {"Title": [role]})


def test_a_page_has_each_table() -> None:
    text = page(["One.", "Two."], {"Title": rows(MEASURED, nodes=4)})
    assert text.startswith("One.\nTwo.\n\n## Title\n\n| |")
    assert "| role <a & b> | 1000 ms a node | 2.00 | 8.0 s | 1.0 | 100 | 2.00 | 60 MB |" in text


def test_a_plot_is_an_image_with_a_bar_for_each_row() -> None:
    image = ElementTree.fromstring(plot("Title & more", rows(MEASURED, nodes=4)))
    bars = [each.get("width") for each in image if each.tag.endswith("rect")][1:]
    texts = [each.text for each in image if each.tag.endswith("text")]
    assert bars == ["180", "360"]
    assert texts == ["Title & more", FLOOR, "500 ms", "role <a & b>", "1000 ms"]


def test_a_document_holds_each_run() -> None:
    found = document({"command": "make bench"}, {"Title": MEASURED})
    assert found["command"] == "make bench"
    assert [each["processor"] for each in found["tables"]["Title"][FLOOR]] == [1, 10, 2]
