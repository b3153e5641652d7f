# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two slices of a job in AWX's mesh: `ansible-runner transmit | worker | process` for each, at the same time.

AWX writes the credential's file into the job's private data directory, and sends that directory to the node that runs the job. So the stream that
goes there has the token, by AWX's design: receptor encrypts it, and the worker needs it. That stream alone is not searched. The token must not be
in anything else: the stream that comes back, what the controller keeps, and what the worker leaves, whose directory must be gone.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import canary
from lab import Lab
from matrix import MASKS_LEAST
from observers import Syslog
from runner import MODES, RESULT, SLICE, Outcome, check_observers, check_result, is_private, run
from test_leak_gate import at_hand


def slice_of(lab: Lab, token: canary.Canary, *hosts: str) -> None:
    """Let a lab be a slice of a job that has a token."""
    lab.seen_as = lab.home / "worker"
    lab.credential(lab.canary(token, "credential"))
    for host in hosts:
        lab.node(host)
    lab.extra_vars |= SLICE


def test_two_slices_at_the_same_time(make_lab: Callable[[], Lab], syslog: Syslog) -> None:
    at_hand(MASKS_LEAST)
    token, slices = canary.key(), [make_lab(), make_lab()]
    slice_of(slices[0], token, "a1", "a2")
    slice_of(slices[1], token, "b1", "b2", "b3")
    slices[1].nodes["b3"].variables["node_unreachable"] = True

    def in_mesh(lab: Lab) -> Outcome:
        return run(MASKS_LEAST, "provision.yml", MODES["diff-vvv"], lab, syslog)

    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(in_mesh, slices))

    for lab, outcome in zip(slices, outcomes):
        check_observers(outcome, lab)
        check_result(outcome)
        assert outcome.leaks() == []
        assert (lab.home / "returned").stat().st_size > 0, "the stream that comes back was not looked at"
        assert not lab.seen_as.exists(), "the worker left the job's directory, with the credential"
        assert list((lab.home / "tmp").iterdir()) == [], "an archive is left, in which no token could be found"
        for name, node in lab.nodes.items():
            assert name == "b3" or (is_private(node.token_file) and node.token_file.read_text().rstrip("\n") == token.text)
    assert [outcome.code != 0 for outcome in outcomes] == [False, True]
    published = [outcome.artifacts[0][RESULT] for outcome in outcomes]
    assert [(each["nodes"], each["outcomes"], each["unreachable"]) for each in published] == [(2, {"written": 2}, 0), (3, {"written": 2}, 1)]
