# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that run `ansible-playbook` as users do.

How everything behaves is tested with the newest ansible-core at hand (fixture `controller`); that it works is tested
with every supported one (fixture `every_core`). One that cannot be had on this machine is named at the end.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1] / "tools")]

import environments
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
from ansible_runs import KEPT, PLACES, Controller
from control_plane import ControlPlane
from paths import collections

_AnsibleCollectionFinder(paths=[str(collections())])._install()

CORES = environments.available("core-")
AT_HAND = [name for name, fault in CORES.items() if fault is None]


LONG = ("test_clusters.py", "test_every_core.py", "test_sources.py", "test_registration.py", "test_provision.py", "test_asked_once.py", "test_token_at_rest.py")
"""Files whose tests take long. They come first, so that both workers are busy to the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, the longest first."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that every account can enter and nobody else can write."""
    with tempfile.TemporaryDirectory(prefix=".expanso-edge-test-", dir=PLACES) as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


@pytest.fixture
def home(place: Path) -> Path:
    """A place for the nodes of one test."""
    return Path(tempfile.mkdtemp(dir=place))


@pytest.fixture(scope="module")
def controller(place: Path) -> Controller:
    """The newest ansible-core at hand."""
    assert AT_HAND, f"no ansible-core at hand: {CORES}"
    return Controller(AT_HAND[-1], place / "controller")


@pytest.fixture(scope="module", params=list(CORES))
def every_core(request: pytest.FixtureRequest, place: Path) -> Controller:
    """Each supported ansible-core in turn."""
    if CORES[request.param]:
        pytest.skip(CORES[request.param])
    return Controller(request.param, place / request.param)


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    """A control plane where nodes register."""
    with ControlPlane() as running:
        yield running


@pytest.fixture(scope="module")
def agent(place: Path) -> Path:
    """The stand-in agent where every account can run it. It names every node "node"."""
    program = place / "expanso-edge"
    shutil.copy(HERE.parent / "support" / "expanso-edge", program)
    program.chmod(0o755)
    program.with_name(program.name + ".standin").write_text("EXPANSO_EDGE_STANDIN_NODE_NAME=node\n")
    return program


def pytest_unconfigure() -> None:
    """Remove what the runs have kept."""
    KEPT.cleanup()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was tested with, and what could not be had."""
    terminalreporter.section("ansible-core")
    for name, fault in CORES.items():
        terminalreporter.write_line(f"{name}: {'NOT TESTED: ' + fault if fault else 'at hand'}")
