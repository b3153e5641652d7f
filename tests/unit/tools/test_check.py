# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How checks are run, and what is said of them at the end."""

from __future__ import annotations

import sys

import check
import pytest
from paths import SupportError


def test_what_runs_beside_is_shown_whole(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    script = "import sys, time; print('first', flush=True); time.sleep(1.5); print('x' * 3_000_000); print('last', file=sys.stderr); sys.exit(3)"
    passed, seconds = check.Beside([sys.executable, "-c", script]).result()
    shown = capfdbinary.readouterr().out
    assert (passed, seconds > 1) == (False, True)
    assert shown.startswith(b"first\n")
    assert shown.endswith(b"last\n")
    assert len(shown) > 3_000_000


def test_what_runs_beside_may_succeed() -> None:
    assert check.Beside([sys.executable, "-c", ""]).result()[0]


def test_a_fault_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise SupportError("there is a fault.")

    monkeypatch.setattr(check, "CHECKS", {"lint": fail, "unit": lambda: None})
    results = check.run_all(["lint", "unit"])
    assert {name: passed for name, (passed, _seconds) in results.items()} == {"lint": False, "unit": True}
    shown = capsys.readouterr()
    assert "ERROR: there is a fault." in shown.err
    assert "checks: 1 passed, 1 failed, in 0 s" in shown.out
