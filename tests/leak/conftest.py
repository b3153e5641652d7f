# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The leak gate: canary tokens through everything the collection ships, then a search of everything that comes out. See README.md."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1] / "tools")]

import environments
import observers
from control_plane import ControlPlane
from lab import Lab
from observers import Syslog

CORES = environments.available("core-")


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


@pytest.fixture
def make_lab() -> Iterator[Callable[[], Lab]]:
    """Make labs: below a directory that nobody else can write, which /tmp is not, and every account can enter."""
    with contextlib.ExitStack() as stack:

        def make() -> Lab:
            parent = Path("/var/lib") if os.geteuid() == 0 else Path.home()
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".expanso-edge-leak-", dir=parent)))
            home.chmod(0o755)
            lab = Lab(home, stack.enter_context(ControlPlane()))
            stack.callback(lab.close)
            return lab

        yield make
