# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The token is in its file, and nowhere else: whatever is run, however it is run, whatever goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from cases import CASES, JOBS
from conftest import CORES, Fleets
from lab import Lab
from matrix import Run, fleets, jobs
from observers import Syslog
from paths import REPOSITORY
from runner import EXAMPLE, HERE, MODES, RESULT, check_observers, check_result, is_private, run

FLEETS = fleets(list(CORES))

# What is behind the @ is the group of `conftest.Groups`.
CASES_OF_RUNS = [pytest.param(shared, case.name, id=f"{case.name}@{shared}") for shared, cases in FLEETS.items() for case in cases]


def at_hand(core: str) -> None:
    """Skip, aloud, what this machine has no Python for."""
    if CORES[core]:
        pytest.skip(str(CORES[core]))


@pytest.mark.parametrize(("shared", "name"), CASES_OF_RUNS)
def test_every_case(shared: Run, name: str, fleet: Fleets) -> None:
    at_hand(shared.core)
    case, mode = CASES[name], MODES[shared.mode]
    if case.needs():
        pytest.skip(str(case.needs()))
    lab, outcome = fleet(shared, FLEETS[shared])
    assert outcome.leaks(f"{name}/") == []
    says, said = case.says_in_check if mode.check else case.says, outcome.said(name)
    assert re.search(says, said), f"the case did not happen, {says!r} was not in the output: {said[-2000:]}"
    if not mode.check:
        holds = [path.name for path in lab.nodes[name].may_hold[:1] if path.is_file() and is_private(path)]
        assert bool(holds) == case.holds


@pytest.mark.parametrize(("core", "name", "mode"), jobs(list(CORES)))
def test_every_job(core: str, name: str, mode: str, make_lab: Callable[[], Lab], syslog: Syslog) -> None:
    at_hand(core)
    lab = make_lab()
    case = JOBS[name]
    case.prepare(lab)
    outcome = run(core, f"{case.playbook}.yml", MODES[mode], lab, syslog)
    check_observers(outcome, lab)
    check_result(outcome, () if case.red else (RESULT,))
    assert outcome.leaks() == []
    assert re.search(case.says, outcome.said() or outcome.stdout), f"the case did not happen: {outcome.stdout[-3000:]}"
    assert (outcome.code != 0) == case.red, outcome.stdout[-3000:]
    if not MODES[mode].check:
        expected = {node.name: lab.canaries[node.will_hold].text if node.will_hold else "" for node in lab.nodes.values()}
        assert {node.name: node.token_file.read_text() if node.token_file.exists() else "" for node in lab.nodes.values()} == expected


def test_everything_shipped_has_its_cases() -> None:
    example, own = (list(folder.glob("*.yml")) for folder in (EXAMPLE, HERE / "project"))
    assert {path.name for path in example}.isdisjoint(path.name for path in own), "a playbook of the example would be replaced"
    played = "\n".join(path.read_text() for path in [*example, *own])
    # a playbook of the collection that is played plays what it names
    played += "\n".join(path.read_text() for path in (REPOSITORY / "playbooks").glob("*.yml") if f"import_playbook: expanso.edge.{path.stem}\n" in played)
    shipped = [
        *(f"expanso.edge.{path.stem}" for folder in ("modules", "lookup", "test") for path in (REPOSITORY / "plugins" / folder).glob("*.py")),
        *(f"expanso.edge.{path.stem}" for path in (REPOSITORY / "playbooks").glob("*.yml")),
        *(f"expanso.edge.{path.name}" for path in (REPOSITORY / "roles").iterdir()),
    ]
    assert [name for name in shipped if name not in played] == []
