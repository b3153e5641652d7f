# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate can fail: each leak of `project/leaky.yml` is found, in the place where it is."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CORES
from lab import Lab
from matrix import MASKS_LEAST
from observers import Nowhere, Process, Syslog
from runner import Evidence, Mode, allowed, run

PRINTED = {"artifacts/stdout", "artifacts/job_events", "log", "runner's output"}

FORMS = ("beginning", "end", "base64", "json", "url", "sha256", "md5")
"""Hosts that print their token in other forms. It does not depend on the ansible-core whether these are found, so one is enough."""

LEAKS = {
    "print": PRINTED,
    **dict.fromkeys(FORMS, PRINTED),
    "label": PRINTED,
    "failure": PRINTED,
    "difference": PRINTED,
    "set_stats": {"artifacts/job_events"},
    "fact_cache": {"artifacts/fact_cache"},
    "command_line": {"command line"},
    "environment": {"environment"},
    "syslog": {"syslog"},
    "module_log": {"syslog"},
    "payload": {"remote_tmp"},
    "tmp": {"machine's directories"},
    "copy": {"node"},
    "file_name": {"node"},
    "mode": {"node"},
    "link": {"node"},
    "runner": {"env/left", "inventory/left", "artifacts/job_events"},
}
"""Each careless host, and where at least its token has to be found."""


@pytest.mark.parametrize("core", CORES)
def test_each_leak_is_found(core: str, make_lab: Callable[[], Lab], syslog: Syslog, subtests: pytest.Subtests) -> None:
    if CORES[core]:
        pytest.skip(str(CORES[core]))
    lab = make_lab()
    leaks = {name: places for name, places in LEAKS.items() if core == MASKS_LEAST or name not in FORMS}
    for name in leaks:
        node = lab.node(name)
        node.token(node.key())
    left = Path("/tmp", f"leak-gate-{uuid.uuid4()}")
    lab.nodes["tmp"].variables["left_in_tmp"] = str(left)
    try:
        outcome = run(core, "leaky.yml", Mode("--diff -vvv", pipelining=False), lab, syslog, {"ANSIBLE_KEEP_REMOTE_FILES": "1"})
    finally:
        left.unlink(missing_ok=True)
    assert outcome.code == 0, outcome.stdout[-3000:]

    for name, places in leaks.items():
        with subtests.test(name):
            if isinstance(syslog, Nowhere) and places == {"syslog"}:
                pytest.skip(syslog.name)
            assert places <= {finding.place for finding in outcome.findings if finding.hit.canary == f"{name}/token"}


@pytest.fixture
def lab(make_lab: Callable[[], Lab]) -> Lab:
    """Two nodes, and a token of the whole job."""
    made = make_lab()
    for name in ("one", "two"):
        made.node(name).key()
    return made


def process(lab: Lab, text: str, node: str = "one") -> Process:
    """A process with a command line in which DIR is a node's data directory."""
    return Process(1, tuple(text.replace("DIR", str(lab.nodes[node].data_dir)).split()), b"")


AGENT = "timeout 5 /usr/local/bin/expanso-edge bootstrap --data-dir DIR"


@pytest.mark.parametrize(
    ("place", "command", "canary", "expected"),
    [
        ("environment", AGENT, "one/token", True),
        ("environment", AGENT, "two/token", False),
        ("command line", AGENT, "one/token", False),
        ("environment", "sleep DIR", "one/token", False),
        ("environment", "/usr/bin/python3 /x/ansible-playbook x.yml", "one/token", False),
        ("environment", "/usr/bin/python3 /x/ansible-playbook x.yml", "EXPANSO_EDGE_BOOTSTRAP_TOKEN", True),
        ("command line", "/usr/bin/python3 /x/ansible-playbook x.yml", "EXPANSO_EDGE_BOOTSTRAP_TOKEN", False),
        ("environment", "/usr/bin/python3 /x/module.py ansible-playbook", "EXPANSO_EDGE_BOOTSTRAP_TOKEN", False),
    ],
)
def test_what_processes_may_have(lab: Lab, place: str, command: str, canary: str, expected: bool) -> None:
    lab.canary(lab.canaries["one/token"], "EXPANSO_EDGE_BOOTSTRAP_TOKEN")
    assert allowed(Evidence(place, "", b"", process(lab, command)), canary, lab) is expected


def test_what_runner_may_record(lab: Lab) -> None:
    name = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"
    token = lab.canary(lab.canaries["one/token"], name)
    record = {"command": ["ansible-playbook"], "env": {name: token, "PATH": "/bin"}}
    elsewhere = {"command": ["ansible-playbook", token], "env": record["env"]}
    assert allowed(Evidence("artifacts/command", "", json.dumps(record).encode()), name, lab)
    assert not allowed(Evidence("artifacts/command", "", json.dumps(elsewhere).encode()), name, lab)
    assert not allowed(Evidence("artifacts/command", "", json.dumps(record).encode()), "two/token", lab)


def test_where_on_a_node_a_token_may_be(lab: Lab) -> None:
    def is_allowed(path: Path, canary: str = "one/token") -> bool:
        return allowed(Evidence("node", str(path.relative_to(lab.home)), b""), canary, lab)

    token_file = lab.nodes["one"].put("etc/bootstrap.token", "x")
    assert is_allowed(token_file)
    assert not is_allowed(token_file, "two/token")
    assert not is_allowed(lab.nodes["one"].put("etc/other", "x"))
    token_file.chmod(0o640)
    assert not is_allowed(token_file)
    token_file.chmod(0o600)
    Path(f"{token_file}.link").hardlink_to(token_file)
    assert not is_allowed(token_file)
    Path(f"{token_file}.link").unlink()
    shutil.move(token_file, lab.nodes["one"].root / "moved")
    token_file.symlink_to(lab.nodes["one"].root / "moved")
    assert not is_allowed(token_file)
