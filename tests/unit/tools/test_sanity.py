# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test is given files, and is not believed where it tests none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sanity


def test_git_knows_the_files_of_a_copy_below_an_ignored_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text(".cache\n")
    monkeypatch.setattr(sanity, "HOME", tmp_path / ".cache")
    copy = sanity.checkout("2.21")
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=copy, capture_output=True, text=True, check=True)
    assert "galaxy.yml" in listed.stdout.splitlines()


@pytest.mark.parametrize(
    ("program", "code"),
    [("print('fine')", 0), ("raise SystemExit(2)", 2), ("print('WARNING: All targets skipped.')", 1)],
    ids=["passed", "failed", "skipped"],
)
def test_nothing_tested_is_a_failure(program: str, code: int, tmp_path: Path) -> None:
    assert sanity.watched([sys.executable, "-c", program], tmp_path, dict(os.environ)) == code
