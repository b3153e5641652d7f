# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which case is run when: by which ansible-core, by which playbook, and in which mode.

Every case is run by the playbook `provision` with the core that masks least and in the mode that shows most, by
`provision` in check mode with another core, and by `direct` with a third. The other cores take turns. Modes that show
less get every eighth case. The cases of `rotate` and `retire` are run by these alone, with and without check mode. With
EXPANSO_EDGE_LEAK_MATRIX=full every case is run by every core in the two modes that show most, and in every other mode by
the core that masks least.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cases import CASES, JOBS, Case, JobCase
from runner import MODES


class Run(NamedTuple):
    """One run of ansible-runner, which many cases share."""

    core: str
    playbook: str
    mode: str
    part: int = 0

    def __str__(self) -> str:
        return f"{self.core}-{self.playbook}-{self.mode}-{self.part}"


FULL = os.environ.get("EXPANSO_EDGE_LEAK_MATRIX") == "full"

MASKS_LEAST = "core-2.21"
SHOWS_MOST = "diff-vvv"
CHECK_SHOWS_MOST = "check-diff-vvv"
SHOW_LESS = [mode for mode in MODES if mode not in (SHOWS_MOST, CHECK_SHOWS_MOST)]
SAMPLE = 8
"""Of as many cases one is run in a mode that shows less, and one by `direct` in check mode."""

LARGEST = 45
"""Cases that share a run at most, roughly: workers share the work evenly if no run is much longer than the others."""

TURN_OF_ALL = Run(MASKS_LEAST, "provision", SHOWS_MOST)


def fleets(cores: Sequence[str]) -> dict[Run, list[Case]]:
    """Return the cases of each run. They are hosts of it, named as they are."""
    others = [core for core in cores if core != MASKS_LEAST]
    parts = -(-sum("provision" in case.playbooks for case in CASES.values()) // LARGEST)
    numbers: Counter[str] = Counter()  # of cases so far, by playbook
    found: dict[Run, list[Case]] = {}
    for place, case in enumerate(CASES.values()):
        for run in _everything(cores) if FULL else _turns(place, numbers, others):
            if run.playbook in case.playbooks:
                part = numbers[run.playbook] % parts if FULL or run == TURN_OF_ALL else 0
                found.setdefault(run._replace(part=part), []).append(case)
        numbers.update(case.playbooks)
    return found


def jobs(cores: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return core, name and mode of each whole job."""
    if FULL:
        turns = [(core, SHOWS_MOST) for core in cores] + [(MASKS_LEAST, CHECK_SHOWS_MOST)]
        return [(core, name, mode) for name in JOBS for core, mode in turns]
    others = [core for core in cores if core != MASKS_LEAST]
    return [(core, case.name, mode) for place, case in enumerate(JOBS.values()) for core, mode in _turns_of_job(place, case, others)]


def _turns_of_job(place: int, case: JobCase, others: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield _nth(others, place), SHOWS_MOST
    if case.secret:
        yield MASKS_LEAST, _nth((SHOWS_MOST, CHECK_SHOWS_MOST), place)


def _turns(place: int, numbers: Mapping[str, int], others: Sequence[str]) -> Iterator[Run]:
    yield TURN_OF_ALL
    yield Run(_nth(others, place), "provision", CHECK_SHOWS_MOST)
    yield Run(_nth(others, place + 1), "direct", SHOWS_MOST)
    yield Run(MASKS_LEAST, "rotate", SHOWS_MOST)
    yield Run(MASKS_LEAST, "rotate", CHECK_SHOWS_MOST)
    yield Run(MASKS_LEAST, "retire", SHOWS_MOST)
    yield Run(MASKS_LEAST, "retire", CHECK_SHOWS_MOST)
    # every eighth of a playbook's own cases: one of another playbook does not use a turn up
    if numbers["provision"] % SAMPLE == 0:
        yield Run(MASKS_LEAST, "provision", _nth(SHOW_LESS, numbers["provision"] // SAMPLE))
    if numbers["direct"] % SAMPLE == SAMPLE // 2:
        yield Run(MASKS_LEAST, "direct", CHECK_SHOWS_MOST)


def _everything(cores: Sequence[str]) -> Iterator[Run]:
    for playbook in ("provision", "direct", "rotate", "retire"):
        yield from (Run(core, playbook, mode) for core in cores for mode in (SHOWS_MOST, CHECK_SHOWS_MOST))
        yield from (Run(MASKS_LEAST, playbook, mode) for mode in SHOW_LESS)


def _nth(things: Sequence[str], place: int) -> str:
    return things[place % len(things)]
