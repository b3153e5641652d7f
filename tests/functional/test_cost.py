# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node of a fleet costs, in counts that do not waver. `make bench` measures times."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_runs import HERE, TOKEN_VARIABLE, Controller, Plays, local_node
from control_plane import new_key

NODES = 4
FOR_ALL = 6
"""Workers for tasks that run one time, however many nodes there are: four checks, the summary and the result."""

FOR_EACH = 2
"""Workers for each node: the include and the module."""

PAYLOAD = 110_000
"""Bytes by which the module of a token may be larger than ping, which is 160 kB. It was 93 kB when this was written. Each node receives and
compiles them in each run: whoever adds to the rooms that this module imports makes each node slower."""


def traffic(file: Path) -> tuple[int, dict[str, list[int]]]:
    """Workers that were started, and the bytes of each command of each node."""
    notes = [json.loads(line) for line in file.read_text().splitlines()]
    sent: dict[str, list[int]] = {}
    for each in notes:
        if "host" in each:
            sent.setdefault(each["host"], []).append(each["bytes"])
    return sum("worker" in each for each in notes), sent


def test_a_node_costs_one_command_and_few_workers(controller: Controller, home: Path) -> None:
    key, file = new_key(), home / "traffic"
    hosts = {name: local_node(home, name) for name in (f"node{number}" for number in range(NODES))}
    plugins = f"{HERE / 'callback_plugins'}:{HERE.parent / 'support' / 'traffic'}"
    counting = {"ANSIBLE_CALLBACK_PLUGINS": plugins, "ANSIBLE_CALLBACKS_ENABLED": "events,traffic", "TEST_TRAFFIC": str(file), TOKEN_VARIABLE: key}

    def cost(plays: Plays | str) -> tuple[int, dict[str, list[int]]]:
        file.write_text("")
        run = controller.run(plays, hosts=hosts, environment=counting, secrets=[key])
        assert run.returncode == 0, run.output
        return traffic(file)

    _workers, floor = cost([{"tasks": [{"ansible.builtin.ping": {}}]}])
    for _again in range(2):  # on a new node, and where nothing changes
        workers, sent = cost("expanso.edge.provision")
        assert {host: len(commands) for host, commands in sent.items()} == dict.fromkeys(hosts, 1)
        assert workers == FOR_ALL + FOR_EACH * NODES
        assert all(floor[host][0] < sent[host][0] < floor[host][0] + PAYLOAD for host in hosts), sent

    _workers, sent = cost([{"import_playbook": "expanso.edge.provision"}, {"tasks": [{"ansible.builtin.ping": {}}]}])
    assert {host: len(commands) for host, commands in sent.items()} == dict.fromkeys(hosts, 2), "a play after the playbook leaves nodes out"
