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
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

import environments
import observers
from control_plane import ControlPlane
from lab import Lab
from observers import Syslog, Tap

CORES = environments.available("core-")
_LIFETIME = pytest.StashKey[contextlib.ExitStack]()
_SYSLOG = pytest.StashKey[Syslog]()


def pytest_configure(config: pytest.Config) -> None:
    """Listen to syslog, once for all workers of pytest-xdist."""
    if hasattr(config, "workerinput"):
        record = config.workerinput["leak_syslog"]
        config.stash[_SYSLOG] = Tap(Path(record)) if record else observers.without_serving()
        return
    lifetime = config.stash[_LIFETIME] = contextlib.ExitStack()
    record = Path(lifetime.enter_context(tempfile.TemporaryDirectory(prefix="leak-gate-"))) / "syslog"
    config.stash[_SYSLOG] = lifetime.enter_context(observers.syslog(record))


def pytest_configure_node(node: pytest.Item) -> None:
    """Tell a worker of pytest-xdist where syslog messages are."""
    syslog = node.config.stash[_SYSLOG]
    node.workerinput["leak_syslog"] = str(syslog.record) if isinstance(syslog, Tap) else ""


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop listening."""
    if _LIFETIME in config.stash:
        config.stash[_LIFETIME].close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was watched, and what could not be had."""
    terminalreporter.section("leak gate")
    terminalreporter.write_line(f"syslog: {config.stash[_SYSLOG].name}")
    for name, fault in CORES.items():
        terminalreporter.write_line(f"{name}: {'NOT TESTED: ' + fault if fault else 'at hand'}")


@pytest.fixture(scope="session")
def syslog(request: pytest.FixtureRequest) -> Syslog:
    """Where this machine's syslog messages can be read."""
    return request.config.stash[_SYSLOG]


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
