# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a person in AWX or Semaphore. A blank one is an empty text, which means the default; a wrong one is refused, and not shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_runs import TOKEN_VARIABLE, Controller, local_node
from control_plane import new_key

ASKED = ("hosts", "serial", "canary", "max_fail_percentage", "reregister", "plan_file", "fingerprint", "retire_all", "become", "plan_artifact")
BLANK = json.dumps({f"expanso_edge_{name}": "" for name in ASKED})


@pytest.mark.parametrize("playbook", ["provision", "rotate", "retire", "audit"])
def test_a_blank_answer_is_the_default(playbook: str, controller: Controller, home: Path) -> None:
    key = new_key()
    (home / "one").mkdir()
    settings = ["-e", BLANK, "-e", f"expanso_edge_audit_directory={home}", "-e", "expanso_edge_audit_fail_on=never"]
    hosts = {"one": local_node(home, "one")}
    run = controller.run(f"expanso.edge.{playbook}", *settings, hosts=hosts, environment={TOKEN_VARIABLE: key}, secrets=[key])
    assert run.returncode == 0, run.output
    assert (home / "one" / "bootstrap.token").exists() == (playbook in ("provision", "rotate"))


@pytest.mark.parametrize(
    ("playbook", "name", "says"),
    [
        ("provision", "hosts", "expanso_edge_hosts contains a token: revoke it"),
        ("provision", "serial", "expanso_edge_serial is not a number: give"),
        ("provision", "max_fail_percentage", "expanso_edge_max_fail_percentage is not a number: give"),
        ("rotate", "reregister", "expanso_edge_reregister must be true or false"),
        ("rotate", "plan_artifact", "expanso_edge_plan_artifact must be true or false"),
        ("rotate", "plan_file", "the plan that expanso_edge_plan_file names cannot be used: the variable contains a token"),
        ("retire", "retire_all", "expanso_edge_retire_all must be true or false"),
        ("provision", "become", "expanso_edge_become must be true or false"),
        ("retire", "delivery", "variable expanso_edge_delivery has a value that is not shown, but must name one or more of token_file"),
        ("audit", "become", "expanso_edge_become must be true or false"),
        ("audit", "audit_directory", "directory contains a token: revoke it"),
    ],
)
def test_a_token_in_the_wrong_answer_is_not_shown(playbook: str, name: str, says: str, controller: Controller, home: Path) -> None:
    key = new_key()
    given = controller.write("answers.json", {f"expanso_edge_{name}": key})
    run = controller.run(f"expanso.edge.{playbook}", "-vvv", "-e", f"@{given}", hosts={"one": local_node(home, "one")}, secrets=[key])
    assert run.returncode == 2 and says in " ".join(run.output.split()) and run.remote_commands("one") == 0, run.output
