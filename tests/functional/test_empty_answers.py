# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question of AWX or Semaphore that is left blank gives its variable an empty text: that means the default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_runs import TOKEN_VARIABLE, Controller, local_node
from control_plane import new_key

ASKED = ("hosts", "serial", "canary", "max_fail_percentage", "reregister", "plan_file", "fingerprint", "retire_all")
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
