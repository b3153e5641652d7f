# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workflow: one job plans a rotation, and the next one carries it out. AWX hands the plan on as a variable, from artifacts to extra variables."""

from __future__ import annotations

from collections.abc import Callable

import canary
import pytest
from lab import Lab
from matrix import MASKS_LEAST
from observers import Syslog
from runner import MODES, RESULT, check_observers, check_result, run
from test_leak_gate import at_hand

PLAN = "expanso_edge_plan"


# Up to ansible-core 2.18 the plan's texts arrive as they were. Later ones make a time or a number of a text that looks like one.
@pytest.mark.parametrize("core", ["core-2.16", MASKS_LEAST])
def test_a_plan_goes_from_one_job_to_the_next(core: str, make_lab: Callable[[], Lab], syslog: Syslog) -> None:
    at_hand(core)
    lab = make_lab()
    token = lab.canary(canary.key(), "credential")
    lab.credential(token)
    fresh, old = lab.node("fresh"), lab.node("2")
    old.put("etc/bootstrap.token", old.key("old"))
    lab.extra_vars["expanso_edge_plan_artifact"] = True
    planned = run(core, "rotate.yml", MODES["check-diff-vvv"], lab, syslog)
    check_observers(planned, lab)
    check_result(planned, (RESULT, PLAN))
    assert planned.leaks() == []
    assert not fresh.token_file.exists()

    lab.private = lab.seen_as = lab.home / "next" / "awx"
    lab.arguments.clear()
    lab.credential(token)
    lab.extra_vars = dict(planned.artifacts[0])
    done = run(core, "rotate.yml", MODES["diff-vvv"], lab, syslog)
    check_observers(done, lab)
    check_result(done)
    assert done.leaks() == []
    assert (done.code, done.artifacts[0][RESULT]["outcomes"]) == (0, {"first_token": 1, "rotated": 1}), done.stdout[-3000:]
    assert [node.token_file.read_text() for node in (fresh, old)] == [token, token]
