# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credential type in AWX's own code: where the token is while a job runs, and where it is not."""

from __future__ import annotations

import json
import secrets
import stat
import subprocess
from pathlib import Path
from typing import Any

import environments
import pytest
import yaml
from awx_kit import definitions
from paths import REPOSITORY

Json = dict[str, Any]
TOKEN = f"exp_bk_{secrets.token_hex(20)}"
(TYPE,) = definitions()["controller_credential_types"]


def inject(folder: Path, **values: str) -> tuple[Json, Json]:
    """Return what AWX's code answers, and the extra variables of the job."""
    (folder / "env").mkdir()
    command = [environments.make("awx") / "bin" / "python", REPOSITORY / "tests" / "support" / "inject_credential.py"]
    given = json.dumps({"inputs": TYPE["inputs"], "injectors": TYPE["injectors"], "values": values, "folder": str(folder)})
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True)
    answer: Json = json.loads(done.stdout)
    assert len(answer["args"]) == 2 and answer["args"][0] == "-e"
    return answer, yaml.safe_load(on_disk(folder, answer["args"][1].removeprefix("@")).read_text(encoding="utf-8"))


def on_disk(folder: Path, inside: str) -> Path:
    """A file that a job sees below /runner."""
    assert inside.startswith("/runner/env/")
    return folder / "env" / Path(inside).name


def test_the_token_is_in_the_file_and_nowhere_else(tmp_path: Path) -> None:
    answer, variables = inject(tmp_path, bootstrap_token=TOKEN, token_label="spring")
    assert variables == {"expanso_edge_token_file": variables["expanso_edge_token_file"], "expanso_edge_token_label": "spring"}
    file = on_disk(tmp_path, variables["expanso_edge_token_file"])
    assert file.read_text(encoding="utf-8") == TOKEN and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert answer["env"] == {} == answer["safe_env"] and TOKEN not in json.dumps(answer)
    holding = [each for each in tmp_path.rglob("*") if each.is_file() and TOKEN in each.read_text(encoding="utf-8")]
    assert holding == [file]


@pytest.mark.parametrize("token", ["exp_bk_{{ 7 * 7 }}", "exp_bk_a'b\"c$d\\e"], ids=["braces", "quotes"])
def test_a_token_is_not_changed(tmp_path: Path, token: str) -> None:
    _answer, variables = inject(tmp_path, bootstrap_token=token)
    assert on_disk(tmp_path, variables["expanso_edge_token_file"]).read_text(encoding="utf-8") == token
    assert variables["expanso_edge_token_label"] == ""


def test_an_empty_credential_gives_an_empty_file(tmp_path: Path) -> None:
    """AWX accepts it although the field is required. The playbooks refuse the file."""
    _answer, variables = inject(tmp_path)
    assert on_disk(tmp_path, variables["expanso_edge_token_file"]).read_text(encoding="utf-8") == ""
