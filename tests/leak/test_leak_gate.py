# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The token is in its file, and nowhere else: whatever is run, however it is run, whatever goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from cases import CASES, JOBS
from conftest import CORES
from lab import Lab
from observers import Syslog
from paths import REPOSITORY
from runner import HERE, MODES, Outcome, is_private, run

EVERY_MODE = "core-2.21"
"""The one that masks least by itself: it goes through every mode."""

CHECKS = ("core-2.16", EVERY_MODE, "core-2.22")
"""The oldest and the newest besides: they go through the two modes that show most. The others go through one."""

SHOWS_MOST = "diff-vvv"
CHECK_SHOWS_MOST = "check-diff-vvv"


def modes(core: str) -> list[str]:
    """The modes that the fleet of all cases is run in."""
    if core == EVERY_MODE:
        return list(MODES)
    return [SHOWS_MOST, CHECK_SHOWS_MOST] if core in CHECKS else [SHOWS_MOST]


FLEET = [(core, "provision.yml", mode) for core in CORES for mode in modes(core)]
FLEET += [(core, "direct.yml", SHOWS_MOST) for core in CORES] + [(EVERY_MODE, "direct.yml", CHECK_SHOWS_MOST)]
WHOLE = [(core, name, SHOWS_MOST) for core in CORES for name in JOBS] + [(EVERY_MODE, name, CHECK_SHOWS_MOST) for name in JOBS]


def at_hand(core: str) -> None:
    """Skip, aloud, what this machine has no Python for."""
    if CORES[core]:
        pytest.skip(str(CORES[core]))


def check_observers(outcome: Outcome, syslog: Syslog, lab: Lab) -> None:
    """See that the run was one, and that it was watched: nothing is found where nothing is looked at."""
    assert outcome.events, outcome.stdout
    assert (lab.home / "log" / "ansible.log").stat().st_size > 0
    assert outcome.processes


@pytest.mark.parametrize(("core", "playbook", "mode"), FLEET)
def test_every_case(core: str, playbook: str, mode: str, make_lab: Callable[[], Lab], syslog: Syslog, subtests: pytest.Subtests) -> None:
    at_hand(core)
    lab = make_lab()
    for case in CASES.values():
        if not case.needs():
            case.prepare(lab.node(case.name))
    outcome = run(core, playbook, MODES[mode], lab, syslog)
    check_observers(outcome, syslog, lab)

    for case in CASES.values():
        with subtests.test(case.name):
            if case.needs():
                pytest.skip(str(case.needs()))
            assert outcome.leaks(f"{case.name}/") == []
            says = case.says_in_check if MODES[mode].check else case.says
            assert re.search(says, outcome.said(case.name)), f"the case did not happen, {says!r} was not said: {outcome.said(case.name)[-2000:]}"
            if not MODES[mode].check:
                holds = [path.name for path in lab.nodes[case.name].may_hold[:1] if path.is_file() and is_private(path)]
                assert bool(holds) == case.holds
    assert outcome.leaks() == []


@pytest.mark.parametrize(("core", "name", "mode"), WHOLE)
def test_every_job(core: str, name: str, mode: str, make_lab: Callable[[], Lab], syslog: Syslog) -> None:
    at_hand(core)
    lab = make_lab()
    JOBS[name].prepare(lab)
    outcome = run(core, JOBS[name].playbook, MODES[mode], lab, syslog)
    check_observers(outcome, syslog, lab)
    assert outcome.leaks() == []
    assert re.search(JOBS[name].says, outcome.said()), f"the case did not happen: {outcome.stdout[-3000:]}"


def test_everything_shipped_has_its_cases() -> None:
    played = "\n".join(path.read_text() for path in (HERE / "project").glob("*.yml"))
    shipped = [
        *(f"expanso.edge.{path.stem}" for folder in ("modules", "lookup", "test") for path in (REPOSITORY / "plugins" / folder).glob("*.py")),
        *(f"expanso.edge.{path.stem}" for path in (REPOSITORY / "playbooks").glob("*.yml")),
        *(f"expanso.edge.{path.name}" for path in (REPOSITORY / "roles").iterdir()),
    ]
    assert [name for name in shipped if name not in played] == []
