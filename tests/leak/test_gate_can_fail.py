# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate can fail: what leaks on purpose is found, in each place that it searches and in each form."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CORES
from lab import Lab
from observers import Nowhere, Syslog
from runner import Mode, run

PLACES = {
    "runner's output",
    "artifacts/stdout",
    "artifacts/job_events",
    "artifacts/fact_cache",
    "log",
    "remote_tmp",
    "machine's temporary directory",
    "command line",
    "environment",
    "node",
}


@pytest.mark.parametrize("core", CORES)
def test_what_leaks_is_found(core: str, make_lab: Callable[[], Lab], syslog: Syslog) -> None:
    if CORES[core]:
        pytest.skip(str(CORES[core]))
    lab = make_lab()
    node = lab.node("careless")
    node.token(node.key())
    left = Path("/tmp", "leak-gate-" + hashlib.md5(str(node.data_dir).encode()).hexdigest())
    try:
        outcome = run(core, "leaky.yml", Mode("-vvv --diff", pipelining=False), lab, syslog, settings={"ANSIBLE_KEEP_REMOTE_FILES": "1"})
    finally:
        left.unlink(missing_ok=True)
    assert outcome.code == 0, outcome.stdout

    # a machine whose syslog nobody can read cannot have leaks found there; the gate's summary says so
    places = PLACES if isinstance(syslog, Nowhere) else PLACES | {"syslog"}
    assert places <= {finding.place for finding in outcome.findings}
    assert {"clear", "base64", "sha256"} <= {finding.hit.form.split(",")[0] for finding in outcome.findings}
    # a copy beside the token, and the token's own file with a mode that lets others read it
    left_on_the_node = {Path(finding.where).name for finding in outcome.findings if finding.place == "node"}
    assert {"bootstrap.token", "bootstrap.token.bak"} <= left_on_the_node
