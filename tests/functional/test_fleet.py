# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of 20 nodes over real SSH, as root and as an account with sudo: provisioned in check mode, for real, and once more.

The nodes are in one container of the project's engine (fleet.sh). The test reads their files from outside, and counts their commands in sshd's log.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import TOKEN_VARIABLE, Controller, Json, Run
from control_plane import new_jwt, new_key
from ssh_fleet import Fleet, name, started

NODES = 20
FOLDER, TOKEN_FILE, DATA = "etc/expanso", "etc/expanso/bootstrap.token", "var/lib/expanso/edge"
KEY, JWT, OLD_KEY = new_key(), new_jwt(), new_key()

# Shell commands that prepare a node's files, run in its root directory, and the expected action, or a part of the expected message.
BLANK = ("", "written")
STATES = [
    *[BLANK] * 6,
    (f"put {OLD_KEY} 0600", "written"),
    (f"put {KEY} 0600", "kept"),
    (f"put {KEY} 0644", "repaired"),
    (f"put {KEY} 0600; chown 65534:65534 {TOKEN_FILE}", "repaired"),
    (f"put {KEY} 0600; setfacl -m u:nobody:r {TOKEN_FILE}", "repaired"),
    (f"put {KEY} 0600; ln {TOKEN_FILE} root/copy", "repaired"),
    (f"mkdir -p {DATA}/auth; touch {DATA}/auth/credentials.creds", "not_needed"),
    (f"mkdir -p {DATA}; touch {DATA}/identity", "not_needed"),
    (f"mkdir -p {DATA}/config.d; touch {DATA}/config.d/50-connection.yaml; put {OLD_KEY} 0640", "repaired"),
    (f"mkdir -p {FOLDER}; ln -s /etc/shadow {TOKEN_FILE}", "is a symbolic link"),
    (f"mkdir -p {FOLDER}; ln -s nowhere {TOKEN_FILE}", "is a symbolic link"),
    (f"mkdir -p {FOLDER}; chmod 0777 {FOLDER}", "every account can write to the directory /etc/expanso"),
    (f"mkdir -p {TOKEN_FILE}", "is a directory"),
    ("", "down"),
]
OWN_TOKEN = 5  # the node of that number has a JWT of its own
ACTIONS = ("written", "repaired", "kept", "not_needed")


NAMES = [name(number) for number in range(1, NODES + 1)]
EXPECTED = dict(zip(NAMES, [expected for _before, expected in STATES], strict=True))
UP = [node for node in NAMES if EXPECTED[node] != "down"]
HOLDERS = [node for node in NAMES if EXPECTED[node] in ("written", "repaired", "kept")]
NEXT = (
    "next: {0} nodes hold a token and are not registered ({1} and {2} more): "
    "start the agent there, or let the role do it (token_file_register, systemd_service_state)"
)
FAILING = [node for node in UP if EXPECTED[node] not in ACTIONS]

LOOK = """
import json, os, sys
def look(path):
    try:
        status = os.lstat(path)
    except OSError:
        return None
    content = os.readlink(path) if os.path.islink(path) else open(path).read() if os.path.isfile(path) else ""
    attributes = os.listxattr(path, follow_symlinks=False)
    return [oct(status.st_mode), status.st_uid, status.st_gid, status.st_nlink, "system.posix_acl_access" in attributes, content]
found = {}
for node in range(1, int(sys.argv[1]) + 1):
    root = "/nodes/%d/root/" % node
    found["node%02d" % node] = {path: look(root + path) for path in sys.argv[2:]}
    found["node%02d" % node]["beside"] = sorted(os.listdir(root + "etc/expanso")) if os.path.isdir(root + "etc/expanso") else None
print(json.dumps(found))
"""


def look(fleet: Fleet) -> dict[str, Any]:
    """The current files of the nodes, seen from outside."""
    found: dict[str, Any] = json.loads(fleet.docker("exec", fleet.container, "python3", "-c", LOOK, str(NODES), TOKEN_FILE, FOLDER))
    return found


@pytest.fixture(scope="module")
def fleet(place: Path) -> Iterator[Fleet]:
    put = f"put() {{ mkdir -p {FOLDER}; printf %s $1 > {TOKEN_FILE}; chmod $2 {TOKEN_FILE}; }}"
    with started(place, NODES) as running:
        running.prepare({number: before for number, (before, _expected) in enumerate(STATES, 1)}, put)
        yield running


@dataclass(frozen=True)
class Story:
    """Three runs on the fleet: their output, the nodes after each of them, and the number of commands for each node."""

    before: dict[str, Any]
    runs: list[Run]
    after: list[dict[str, Any]]
    commands: list[Counter[str]]


@pytest.fixture(scope="module")
def story(fleet: Fleet, controller: Controller, place: Path) -> Story:
    hosts: dict[str, Json] = {}
    for number, node in enumerate(NAMES, 1):
        hosts[node] = {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": fleet.ports[node] if EXPECTED[node] != "down" else 1,  # nobody listens there
            "ansible_user": "root" if number % 2 else "deploy",
            "ansible_ssh_private_key_file": str(fleet.key),
        }
    hosts[name(OWN_TOKEN)]["expanso_edge_token"] = JWT
    environment = {
        TOKEN_VARIABLE: KEY,
        "ANSIBLE_FORKS": "10",
        "ANSIBLE_TIMEOUT": "60",  # 20 sshd that start at once on a busy machine
        "ANSIBLE_HOST_KEY_CHECKING": "0",
        "ANSIBLE_SSH_ARGS": "-F none -o UserKnownHostsFile=/dev/null -o ControlMaster=auto -o ControlPersist=60s",
    }
    story = Story(look(fleet), [], [], [])
    for arguments in (["--check", "--diff"], ["--diff"], []):
        before = fleet.commands()
        run = controller.run("expanso.edge.provision", "-v", *arguments, hosts=hosts, environment=environment, secrets=[KEY, JWT, OLD_KEY])
        story.runs.append(run)
        story.after.append(look(fleet))
        story.commands.append(fleet.commands() - before)
    return story


def summary(run: Run) -> list[str]:
    lines: list[str] = run.result("Show the summary")["msg"]
    return lines


def line(text: str, nodes: list[str]) -> str:
    """A line of the summary."""
    return f"  {text}: {len(nodes)} ({', '.join(nodes)})"


def test_each_node_receives_one_command_for_each_run(story: Story) -> None:
    assert story.commands == [Counter(UP)] * 3


def test_check_mode_changes_nothing(story: Story) -> None:
    assert story.after[0] == story.before
    assert summary(story.runs[0])[0] == "20 nodes; check mode: this is what would be done"
    assert summary(story.runs[0])[1:] == summary(story.runs[1])[1:-1]


def test_the_summary_is_right(story: Story) -> None:
    by_action = {action: [node for node in UP if EXPECTED[node] == action] for action in ACTIONS}
    lines = summary(story.runs[1])
    failures = [each for each in lines if each.startswith("    ")]
    waiting = [node for node in HOLDERS if node != "node15"]  # which is registered
    assert [each for each in lines if each not in failures] == [
        "20 nodes",
        line("received a token", by_action["written"]),
        line("held the token already, permissions corrected", by_action["repaired"]),
        line("held the token already", by_action["kept"]),
        line("already registered", by_action["not_needed"]),
        line("failed", [*FAILING, "node20"]),
        NEXT.format(len(waiting), ", ".join(waiting[:10]), len(waiting) - 10),
    ]
    expected = {**{node: EXPECTED[node] for node in FAILING}, "node20": "the host cannot be reached: "}
    for node, reason in expected.items():
        assert sum(node in each and reason in each for each in failures) == 1, (node, failures)


def test_nodes_hold_their_token_and_nothing_else_was_touched(story: Story) -> None:
    for number, node in enumerate(NAMES, 1):
        before, after = story.before[node], story.after[1][node]
        if node not in HOLDERS:
            assert after == before, node
            continue
        # the registered node's token is not renewed, only closed
        content = {OWN_TOKEN: JWT, 15: OLD_KEY}.get(number, KEY)
        assert after[TOKEN_FILE] == ["0o100600", 0, 0, 1, False, content], node
        assert after[FOLDER][:3] == ["0o40755", 0, 0], node
        assert after["beside"] == ["bootstrap.token"], node


def test_a_second_run_changes_nothing(story: Story) -> None:
    assert story.after[2] == story.after[1]
    assert story.runs[2].totals()["changed"] == 0
    assert story.runs[1].totals()["changed"] == len(HOLDERS)  # one kept its token, and got an enrolment record
    lines = summary(story.runs[2])
    assert lines[1] == f"  held the token already: {len(HOLDERS)} ({', '.join(HOLDERS[:10])} and {len(HOLDERS) - 10} more)"


def test_failures_are_counted(story: Story) -> None:
    for run in story.runs:
        assert (run.totals()["failed"], run.totals()["unreachable"]) == (len(FAILING) + 1, 0), run.output
