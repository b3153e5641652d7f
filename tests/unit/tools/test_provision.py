# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make provision` refuses before anything is done, and what it hands to ansible-playbook."""

from __future__ import annotations

import json
import re
from pathlib import Path

import provision
import pytest


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INVENTORY", "TOKEN_FILE", "ARGS", provision.TOKEN):
        monkeypatch.delenv(name, raising=False)


def test_no_token_for_this_machine_says_what_to_set() -> None:
    with pytest.raises(provision.Unclear, match="TOKEN_FILE=") as refused:
        provision.command()
    assert refused.value.exit_code == 2
    assert provision.TOKEN in str(refused.value) and "Nothing was done" in str(refused.value)


def test_a_token_in_the_environment_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(provision.TOKEN, "exp_bk_secret")
    command = provision.command()
    assert command == ["ansible-playbook", "--inventory", str(provision.THIS_MACHINE), "expanso.edge.provision"]
    assert provision.THIS_MACHINE.is_file()


def test_a_token_file_is_passed_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "a token.txt"
    file.write_text("exp_bk_secret")
    monkeypatch.setenv("TOKEN_FILE", str(file))
    command = provision.command()
    assert json.loads(command[command.index("--extra-vars") + 1]) == {"expanso_edge_token_file": str(file)}
    assert "exp_bk_secret" not in " ".join(command)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TOKEN_FILE", "/nowhere/token", "there is no file /nowhere/token"),
        ("TOKEN_FILE", "/", "there is no file /"),
        ("INVENTORY", "/nowhere/hosts.yml", "there is no /nowhere/hosts.yml"),
        ("ARGS", "--limit 'edge01", "ARGS: No closing quotation"),
    ],
)
def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(provision.TOKEN, "exp_bk_secret")
    monkeypatch.setenv(name, value)
    with pytest.raises(provision.Unclear, match=re.escape(says)):
        provision.command()


@pytest.mark.parametrize(
    "arguments",
    ["-e expanso_edge_token=exp_bk_secret", "--extra-vars='expanso_edge_token: exp_bk_secret'", """-e '{"expanso_edge_token": "exp_bk_secret"}'"""],
)
def test_a_token_on_the_command_line_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    monkeypatch.setenv("ARGS", arguments)
    with pytest.raises(provision.Unclear) as refused:
        provision.command()
    assert "exp_bk_secret" not in str(refused.value)


def test_a_fleet_needs_no_job_wide_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INVENTORY", str(tmp_path))
    monkeypatch.setenv("ARGS", "--check --extra-vars expanso_edge_token_label=north --limit 'edge01,edge 02'")
    assert provision.command() == [
        "ansible-playbook", "--inventory", str(tmp_path),
        "--check", "--extra-vars", "expanso_edge_token_label=north", "--limit", "edge01,edge 02",
        "expanso.edge.provision",
    ]  # fmt: skip
