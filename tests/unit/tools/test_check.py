# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How checks are run, and what is said of them at the end."""

from __future__ import annotations

import sys
from pathlib import Path

import check
import pytest


def test_what_runs_beside_is_shown_whole(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    script = "import sys, time; print('first', flush=True); time.sleep(1.5); print('x' * 3_000_000); print('last', file=sys.stderr); sys.exit(3)"
    result = check.Process([sys.executable, "-c", script]).result()
    shown = capfdbinary.readouterr().out
    assert (result.passed, result.seconds > 1) == (False, True)
    assert shown.startswith(b"first\n")
    assert shown.endswith(b"last\n")
    assert len(shown) > 3_000_000


def test_a_process_is_measured_with_its_children() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time\\nwhile time.process_time() < 0.5: pass'])"
    result = check.Process([sys.executable, "-c", script]).result()
    assert result.passed
    assert result.processor >= 0.5


def test_a_fault_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nprint('this is', sys.argv[1])\nsys.exit(sys.argv[1] == 'lint')\n")
    monkeypatch.setattr(check, "__file__", str(program))
    assert not check.run_all(["lint", "molecule", "unit"])
    lines = capfd.readouterr().out.split("\n")
    said = [line for line in lines if line.startswith("this is")]
    assert said == ["this is lint", "this is unit", "this is molecule", "this is lint"], "the end of what failed is shown again"
    assert "===== lint failed; the end of what it printed =====" in lines
    assert [line[:19] for line in lines[-5:-2]] == ["lint         FAILED", "unit         passed", "molecule     passed"]
    assert lines[-2].startswith("checks: 2 passed, 1 failed, in ")


def test_lanes_run_beside_each_other(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Functional waits for what the second check of the first lane does, and leak finds that functional is done."""
    program = tmp_path / "program.py"
    program.write_text(
        "import pathlib, sys, time\n"
        "name, folder = sys.argv[1], pathlib.Path(__file__).parent\n"
        "before = {'unit': 'lint', 'leak': 'functional'}.get(name)\n"
        "assert before is None or (folder / before).exists()\n"
        "while name == 'functional' and not (folder / 'unit').exists():\n"
        "    time.sleep(0.05)\n"
        "(folder / name).touch()\n"
        "print('done:', name)\n"
    )
    monkeypatch.setattr(check, "__file__", str(program))
    names = ["lint", "unit", "functional", "leak", "molecule"]
    assert check.run_all(names)
    shown = capfd.readouterr().out.split("\n")
    assert [line for line in shown if line.startswith("done: ")] == [f"done: {name}" for name in names]


def test_every_check_has_a_lane() -> None:
    assert [name for lane in check.LANES for name in lane] == list(check.CHECKS)


def test_a_check_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_command: list[str]) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(check, "Process", fails)
    with pytest.raises(OSError, match="No space left"):
        check.run_all(["lint", "unit", "molecule"])
