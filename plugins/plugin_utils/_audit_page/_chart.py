# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The plot of token ages, as coordinates: how many copies of tokens are how old, against the limit. The template draws it as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ._text import plural

MOST_DOTS = 80
"""So many copies are drawn as one dot each; more of them as bars."""
TOP, RIGHT, BOTTOM, LEFT = 30, 16, 46, 46


class Age(NamedTuple):
    days: int
    name: str  # which copy that is, for people


class Tick(NamedTuple):
    at: float
    text: str


class Dot(NamedTuple):
    x: float
    y: float
    over: bool
    name: str


class Bar(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    over: bool
    copies: int
    text: str  # of which age, "10 to 20 days"


class Chart(NamedTuple):
    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    limit: Tick | None
    limit_is_right: bool  # whether its label has to stand left of the line
    bars: list[Bar]
    dots: list[Dot]
    radius: float


def nice(rough: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, ... that is not below `rough`."""
    power = 10 ** math.floor(math.log10(max(rough, 1)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough)


def label(days: float) -> str:
    return f"{days:,.4g}" if days < 1000 else f"{days:,.0f}"


class Bins:
    """Days in steps. An age belongs to the bin that ends with it, so a token as old as the limit is not over it."""

    def __init__(self, ages: Sequence[Age], limit: int | None, most: int) -> None:
        oldest = max(age.days for age in ages)
        usual = sorted(age.days for age in ages)[len(ages) * 9 // 10]
        # one very old token must not press all others into one bar
        end = min(max(oldest, limit or 0), 4 * max(limit or 0, usual, 1))
        self.step = nice(end / most)
        if limit:
            self.step = limit / math.ceil(limit / self.step)  # the limit is where a bin ends, which may make the steps far smaller
        self.number = min(max(math.ceil(end / self.step - 1e-9), 1), most)
        self.open = oldest > self.end  # the last bin holds all that is older
        if self.open:
            self.number += 1
        self.limit = limit
        self.members: list[list[Age]] = [[] for dummy in range(self.number)]
        for age in ages:
            self.members[self.index(age.days)].append(age)

    @property
    def end(self) -> float:
        return self.number * self.step

    def index(self, days: int) -> int:
        index = min(max(math.ceil(days / self.step - 1e-9) - 1, 0), self.number - 1)
        if self.limit:
            border = round(self.limit / self.step)
            index = max(index, border) if days > self.limit else min(index, border - 1)
        return index

    def over(self, index: int) -> bool:
        return self.limit is not None and index >= round(self.limit / self.step)

    def text(self, index: int) -> str:
        start = label(index * self.step)
        if self.open and index == self.number - 1:
            return f"more than {start} days"
        return f"{'over ' if index else ''}{start} to {label((index + 1) * self.step)} days"


def _x_ticks(bins: Bins, left: float, scale: float, most: int) -> list[Tick]:
    step = nice(bins.end / most)
    known = bins.end - bins.step if bins.open else bins.end
    ticks = [Tick(left + days * scale, label(days)) for days in (step * index for index in range(math.floor(known / step + 1e-9) + 1))]
    return [*ticks, Tick(left + (known + bins.end) / 2 * scale, "older")] if bins.open else ticks


def chart(ages: Sequence[Age], limit: int | None, width: int) -> Chart | None:
    """The plot for a width in pixels; None without ages. A limit of 0 days counts as none for the plot's steps."""
    if not ages:
        return None
    limit = limit or None
    height = 250
    bins = Bins(ages, limit, width // (18 if len(ages) <= MOST_DOTS else 26))
    right, bottom = width - RIGHT, height - BOTTOM
    highest = max(len(members) for members in bins.members)
    y_step = max(nice(highest / 5), 1)
    y_end = math.ceil(highest / y_step) * y_step
    x_scale, y_scale = (right - LEFT) / bins.end, (bottom - TOP) / y_end
    bar_width = bins.step * x_scale
    radius = min(bar_width / 2 - 0.5, y_scale / 2 - 0.5, 8.0)
    as_dots = len(ages) <= MOST_DOTS and radius >= 2.5
    bars, dots = [], []
    for index, members in enumerate(bins.members):
        over = bins.over(index)
        left = LEFT + index * bar_width
        if members:
            tall = len(members) * y_scale
            bars.append(Bar(left + 1, bottom - tall, bar_width - 2, tall, over, len(members), bins.text(index)))
        if as_dots:
            ordered = sorted(members)
            dots += [Dot(left + bar_width / 2, bottom - (place + 0.5) * y_scale, over, age.name) for place, age in enumerate(ordered)]
    line = Tick(LEFT + limit * x_scale, f"Limit: {plural(limit, 'day')}") if limit else None
    return Chart(
        width, height, LEFT, right, TOP, bottom,
        _x_ticks(bins, LEFT, x_scale, width // 60),
        [Tick(bottom - count * y_scale, f"{count:,.0f}") for count in (y_step * n for n in range(round(y_end / y_step) + 1))],
        line, line is not None and line.at > width * 0.6, bars, dots, radius,
    )  # fmt: skip
