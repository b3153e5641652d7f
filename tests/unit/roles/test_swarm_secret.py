# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the role's start script takes what it finds in a container."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "roles" / "swarm_secret" / "files" / "start.sh"


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """A data directory, a token, and an agent that writes down how it was called."""
    (tmp_path / "data").mkdir()
    (tmp_path / "token").write_text("exp_bk_0123456789")
    agent = tmp_path / "agent"
    agent.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/calls\n[ "$1" = run ] || : > {tmp_path}/data/second\n')
    agent.chmod(0o755)
    return tmp_path


def start(container: Path) -> list[str]:
    """Start the container; return what the agent was called with."""
    markers = f"{container}/data/first\n{container}/data/second"
    arguments = [str(container / name) for name in ("agent", "data", "token")] + ["", markers]
    subprocess.run(["/bin/sh", str(SCRIPT), *arguments], check=True)
    return (container / "calls").read_text().split()


def test_an_agent_registers_and_then_runs(container: Path) -> None:
    assert start(container) == ["bootstrap", "run"]
    assert start(container) == ["bootstrap", "run", "run"]


def test_a_link_to_a_marker_counts(container: Path) -> None:
    (container / "elsewhere").touch()
    (container / "data" / "first").symlink_to(container / "elsewhere")
    assert start(container) == ["run"]


def test_a_directory_is_not_a_marker(container: Path) -> None:
    """The modules do not count it either."""
    (container / "data" / "first").mkdir()
    assert start(container) == ["bootstrap", "run"]
