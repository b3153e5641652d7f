# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scenarios run beside each other, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import scenarios
from paths import SupportError


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A lane that says which scenarios it has. It fails with k8s_secret."""
    path = tmp_path / "lane.py"
    path.write_text("import sys\nprint('lane', *sys.argv[1:])\nsys.exit('k8s_secret' in sys.argv)\n")
    monkeypatch.setattr(scenarios, "__file__", str(path))


def test_scenarios_on_kubernetes_run_beside_the_others(program: None, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SupportError, match=r"failed for one of audit, k8s_secret, k8s_workload, rotation: see above"):
        scenarios.run_all("test", [])
    assert capfd.readouterr().out.splitlines() == [
        "lane test swarm_secret systemd_service token_file",
        "lane test audit k8s_secret k8s_workload rotation",
    ]


def test_both_lanes_pass(program: None, capfd: pytest.CaptureFixture[str]) -> None:
    scenarios.run_all("test", ["audit", "token_file"])
    assert capfd.readouterr().out.splitlines() == ["lane test token_file", "lane test audit"]


@pytest.mark.parametrize(("command", "wanted"), [("test", ["k8s_workload", "rotation"]), ("converge", ["token_file", "rotation"])])
def test_one_lane_alone(monkeypatch: pytest.MonkeyPatch, command: str, wanted: list[str]) -> None:
    seen: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(scenarios, "run_lane", lambda *lane: seen.append(lane))
    scenarios.run_all(command, wanted)
    assert seen == [(command, wanted)]


def test_an_unknown_scenario() -> None:
    with pytest.raises(SupportError, match="there is no scenario nothing: there are audit, "):
        scenarios.run_all("test", ["nothing"])
