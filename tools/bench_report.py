# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What measured costs come to: medians, ratios to a floor, a table and a plot. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

FLOOR = "ping"
"""The case that all others of its table are compared with."""

HEAD = "| | processor time | of the floor | wall | commands a node | kB sent a node | workers a node | memory |\n|---|--:|--:|--:|--:|--:|--:|--:|"


class Cost(NamedTuple):
    """What one run cost."""

    processor: float  # seconds of all its processes
    wall: float  # seconds
    memory: int  # MB, of its largest process
    workers: int  # forks of the controller
    commands: int  # commands and files that were sent to nodes
    sent: int  # bytes of them


class Row(NamedTuple):
    """A case with the medians of its rounds; counts are for each node."""

    case: str
    nodes: int
    processor: float  # milliseconds for each node
    ratio: float | None  # of the floor's processor time, paired by rounds; None without a floor
    wall: float
    memory: int
    workers: float
    commands: float
    sent: float  # kB


def ratio(costs: Sequence[Cost], floors: Sequence[Cost]) -> float:
    """Return the median of the quotients of runs of the same round: what else the machine did then was the same for both."""
    return median(cost.processor / floor.processor for cost, floor in zip(costs, floors, strict=True))


def row(case: str, nodes: int, costs: Sequence[Cost], floors: Sequence[Cost] = ()) -> Row:
    """Return the medians of the rounds of a case.

    :param floors: the rounds of the floor, in the same order; empty if there is none
    """

    def middle(name: str) -> float:
        return median(getattr(cost, name) for cost in costs)

    return Row(
        case,
        nodes,
        middle("processor") / nodes * 1000,
        ratio(costs, floors) if floors else None,
        middle("wall"),
        round(middle("memory")),
        middle("workers") / nodes,
        middle("commands") / nodes,
        middle("sent") / nodes / 1000,
    )


def rows(measured: dict[str, list[Cost]], nodes: int) -> list[Row]:
    """Return the rows of a table, in the order of its cases."""
    return [row(case, nodes, costs, measured.get(FLOOR, [])) for case, costs in measured.items()]


def table(found: Sequence[Row]) -> str:
    """Return rows as a table in Markdown."""
    lines = [HEAD]
    for each in found:
        share = "–" if each.ratio is None else f"{each.ratio:.2f}"
        lines.append(
            f"| {each.case} | {each.processor:.0f} ms a node | {share} | {each.wall:.1f} s | {each.commands:.1f} | {each.sent:.0f} "
            f"| {each.workers:.2f} | {each.memory} MB |"
        )
    return "\n".join(lines)


def plot(title: str, found: Sequence[Row]) -> str:
    """Return an SVG with a bar for the processor time of each row. Its ground is white, so it can be read on dark pages as well."""
    label, width, step = 330, 360, 26
    most = max(each.processor for each in found)
    bars = []
    for number, each in enumerate(found):
        y = 40 + number * step
        length = width * each.processor / most
        bars += [
            f'<text x="{label - 8}" y="{y + 14}" text-anchor="end">{escape(each.case)}</text>',
            f'<rect x="{label}" y="{y}" width="{length:.0f}" height="18" fill="#4c78a8"/>',
            f'<text x="{label + length + 6:.0f}" y="{y + 14}">{each.processor:.0f} ms</text>',
        ]
    height = 50 + len(found) * step
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{label + width + 90}" height="{height}" font-family="sans-serif" font-size="13">',
            # REUSE-IgnoreStart
            "<!-- SPDX-FileCopyrightText: Expanso Edge collection contributors -->",
            "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
            # REUSE-IgnoreEnd
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="8" y="22" font-weight="bold">{escape(title)}</text>',
            *bars,
            "</svg>\n",
        ]
    )


def page(head: Sequence[str], tables: dict[str, list[Row]]) -> str:
    """Return a Markdown page: some lines of text, and a table below each title."""
    parts = ["\n".join(head), *(f"## {title}\n\n{table(found)}" for title, found in tables.items())]
    return "\n\n".join(parts) + "\n"


def document(about: dict[str, Any], measured: dict[str, dict[str, list[Cost]]]) -> dict[str, Any]:
    """Return everything for a JSON file: each run by itself, not only the medians."""
    return {**about, "tables": {title: {case: [cost._asdict() for cost in costs] for case, costs in cases.items()} for title, cases in measured.items()}}
