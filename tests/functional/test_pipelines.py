# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts of the example pipelines, run as a runner would: with bash, in the checkout, with the secrets in the environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import environments
import pytest
import yaml
from ansible_runs import SYSTEM_PYTHON, TOKEN_VARIABLE, local_node, spellings
from conftest import AT_HAND
from control_plane import new_key
from paths import REPOSITORY

TOKEN = new_key()


@pytest.fixture
def checkout(home: Path) -> Path:
    """The user's repository with one node, and programs that stand in for those of SSH, which the node does not need."""
    node = local_node(home, "node", ansible_connection="local", ansible_python_interpreter=SYSTEM_PYTHON, expanso_edge_audit_places=[])
    (home / "inventory.yml").write_text(json.dumps({"expanso_edge": {"hosts": {"node": node}}}))
    (home / "node").mkdir()
    for name in ("ssh-agent", "ssh-add"):
        stand_in = home / "bin" / name
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text("#!/bin/sh\ncat > /dev/null\n")  # reads to the end: who writes a key to it must not fail
        stand_in.chmod(0o755)
    (home / "key").touch()
    return home


def example(name: str) -> Any:
    return yaml.safe_load((REPOSITORY / "examples" / "ci" / name).read_text(encoding="utf-8"))


def run(checkout: Path, script: str, **secrets: str) -> subprocess.CompletedProcess[str]:
    """Run a script as runners do: it ends at the first command that fails."""
    variables = environments.activated(AT_HAND[-1], HOME=str(checkout), LIMIT="expanso_edge", ANSIBLE_NOCOLOR="1", **secrets)
    variables["PATH"] = f"{checkout / 'bin'}:{variables['PATH']}"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=checkout, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
    assert not any(spelling in done.stdout + done.stderr for spelling in spellings(TOKEN)), "the output holds the token"
    return done


def test_provision_and_audit(checkout: Path) -> None:
    (step,) = [step for step in example("github-actions.yml")["jobs"]["provision"]["steps"] if step.get("name") == "Provision"]
    assert step["env"][TOKEN_VARIABLE].startswith("${{ secrets.")
    done = run(checkout, step["run"], **{TOKEN_VARIABLE: TOKEN}, SSH_PRIVATE_KEY="none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (checkout / "node" / "bootstrap.token").read_text() == TOKEN

    os.chmod(checkout / "node" / "bootstrap.token", 0o644)  # a finding
    pipeline = example("gitlab-ci.yml")
    audit = pipeline["audit"]
    done = run(checkout, "\n".join([*pipeline[audit["extends"]]["before_script"], *audit["script"]]), SSH_PRIVATE_KEY=str(checkout / "key"))
    assert done.returncode == 2, done.stdout + done.stderr
    report = ElementTree.parse(checkout / audit["artifacts"]["reports"]["junit"])
    assert [suite.get("name") for suite in report.iter("testsuite") if suite.get("failures") != "0"] == ["node"]
    (folder,) = audit["artifacts"]["paths"]
    assert {path.suffix for path in (checkout / folder).iterdir()} == {".json", ".html", ".xml"}
