# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The leak gate: canary tokens through everything the collection ships, then a search of everything that comes out. See README.md."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1] / "tools")]

import environments
import observers
from cases import Case
from control_plane import ControlPlane
from lab import KEPT, PLACES, Lab
from matrix import Run
from observers import Syslog
from runner import MODES, RESULT, Outcome, check_observers, check_result, run
from xdist.scheduler import LoadScopeScheduling


class Groups(LoadScopeScheduling):
    """Gives all tests of one run to one worker, so that it is run once. xdist's own marks for groups have no effect with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.rpartition("@")[2]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """Share tests out among workers by group."""
    return Groups(config, log)


CORES = environments.available("core-")


def pytest_unconfigure() -> None:
    """Remove what the runs have kept."""
    KEPT.cleanup()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was watched, and what could not be had."""
    terminalreporter.section("leak gate")
    terminalreporter.write_line(f"syslog: {observers.syslog().name}")
    for name, fault in CORES.items():
        terminalreporter.write_line(f"{name}: {'NOT TESTED: ' + fault if fault else 'at hand'}")


@pytest.fixture(scope="session")
def syslog() -> Syslog:
    """How this machine's syslog messages are seen."""
    return observers.syslog()


def make(stack: contextlib.ExitStack) -> Lab:
    """Make a lab: below a directory that nobody else can write, which /tmp is not, and every account can enter."""
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".expanso-edge-leak-", dir=PLACES)))
    home.chmod(0o755)
    lab = Lab(home, stack.enter_context(ControlPlane()))
    stack.callback(lab.close)
    return lab


@pytest.fixture
def make_lab() -> Iterator[Callable[[], Lab]]:
    """Make labs, for one test."""
    with contextlib.ExitStack() as stack:
        yield lambda: make(stack)


ALL_AT_ONCE = {"expanso_edge_canary": "100%", "expanso_edge_max_fail_percentage": 100}
"""Lets a rotation go on to the last host, whatever becomes of the others."""


class Fleets:
    """Runs that many tests share. The last one is kept, with its directories: tests of one run follow each other."""

    def __init__(self, syslog: Syslog) -> None:
        self._syslog = syslog
        self._last: tuple[Run, Lab, Outcome | AssertionError] | None = None
        self._stack = contextlib.ExitStack()

    def __call__(self, shared: Run, cases: list[Case]) -> tuple[Lab, Outcome]:
        """Return the outcome of a run of many cases, and their nodes.

        :raises AssertionError: it was not a run
        """
        if self._last is None or self._last[0] != shared:
            self.close()
            self._last = (shared, *self._run(shared, cases))
        _run, lab, outcome = self._last
        if isinstance(outcome, AssertionError):
            raise outcome
        return lab, outcome

    def close(self) -> None:
        """Remove what is kept."""
        self._stack.close()
        self._last = None

    def _run(self, shared: Run, cases: list[Case]) -> tuple[Lab, Outcome | AssertionError]:
        lab = make(self._stack)
        lab.extra_vars |= ALL_AT_ONCE
        for case in cases:
            if not case.needs():
                case.prepare(lab.node(case.name))
        outcome = run(shared.core, f"{shared.playbook}.yml", MODES[shared.mode], lab, self._syslog)
        try:
            check_observers(outcome, lab)
            check_result(outcome, () if shared.playbook == "direct" else (RESULT,))
        except AssertionError as fault:
            return lab, fault
        return lab, outcome


@pytest.fixture(scope="session")
def fleet(syslog: Syslog) -> Iterator[Fleets]:
    """Runs that many tests share."""
    fleets = Fleets(syslog)
    yield fleets
    fleets.close()
