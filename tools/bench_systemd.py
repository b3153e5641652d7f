# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes with systemd for `make bench`: containers, each with the stand-in agent and a control plane of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import docker
from machines import CONTROL_PLANE, Machine, machine_with_agent

Json = dict[str, Any]
REMOVE = """
systemctl --quiet disable --now expanso-edge.service expanso-edge-bootstrap.service 2>/dev/null || true
rm -rf /etc/expanso /var/lib/expanso /etc/systemd/system/expanso-edge*
systemctl daemon-reload
systemctl reset-failed
"""
ROLE: list[Json] = [{"roles": ["expanso.edge.systemd_service"]}]
UNIT = """[Service]
EnvironmentFile=/etc/expanso/bootstrap.env
ExecStart=/usr/local/bin/expanso-edge run --data-dir /var/lib/expanso/edge
[Install]
WantedBy=multi-user.target
"""


def by_hand(token_variable: str) -> list[Json]:
    """Return what a user would write instead of the role: it waits for no registration, and leaves the token where it is."""
    line = f"{token_variable}={{{{ lookup('env', '{token_variable}') }}}}\nEXPANSO_EDGE_BOOTSTRAP_URL={CONTROL_PLANE}\n"
    return [
        {
            "tasks": [
                {"ansible.builtin.file": {"path": "/etc/expanso", "state": "directory", "mode": "0755"}},
                {"ansible.builtin.file": {"path": "/var/lib/expanso/edge", "state": "directory", "mode": "0700"}},
                {"ansible.builtin.copy": {"content": line, "dest": "/etc/expanso/bootstrap.env", "mode": "0600"}, "no_log": True},
                {"ansible.builtin.copy": {"content": UNIT, "dest": "/etc/systemd/system/expanso-edge.service", "mode": "0644"}, "register": "unit"},
                {
                    "ansible.builtin.systemd_service": {
                        "name": "expanso-edge.service",
                        "daemon_reload": "{{ unit is changed }}",
                        "enabled": True,
                        "state": "started",
                    }
                },
                {"ansible.builtin.stat": {"path": "/etc/expanso/bootstrap.env"}, "register": "written"},
                {"ansible.builtin.assert": {"that": "written.stat.mode == '0600'", "quiet": True}},
            ]
        }
    ]


class Machines:
    """Running machines, all with the token known to their control planes."""

    def __init__(self, machines: list[Machine]) -> None:
        self.machines = machines
        client = docker.DockerClient(base_url=machines[0].docker_host)
        self.containers = [client.containers.get(each.name) for each in machines]

    def hosts(self, count: int) -> dict[str, Json]:
        common = {"ansible_connection": "community.docker.docker", "ansible_python_interpreter": "/usr/bin/python3", "expanso_edge_become": False}
        common.update(expanso_edge_bootstrap_url=CONTROL_PLANE, systemd_service_config_file="")
        return {each.name: common for each in self.machines[:count]}

    def blank(self) -> None:
        """Make all of them new again."""
        for each in self.machines:
            each.run("sh", "-ec", REMOVE)

    def seconds(self) -> float:
        """Processor time of all of them, as the engine accounts it."""
        return sum(each.stats(stream=False, one_shot=True)["cpu_stats"]["cpu_usage"]["total_usage"] for each in self.containers) / 1e9


@contextmanager
def started(count: int, token: str) -> Iterator[Machines]:
    """Start machines, and remove them at the end."""
    with ExitStack() as stack:
        machines = [stack.enter_context(machine_with_agent("bookworm", number)) for number in range(1, count + 1)]
        for each in machines:
            each.know(token)
        yield Machines(machines)
