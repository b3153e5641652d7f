#!/usr/bin/env python
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory of a swarm of containers, and of the control plane that its agents register at.

The containers' names differ from checkout to checkout, so that two of them can be tested at once.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import images
from paths import REPOSITORY, digest

LABEL = digest(REPOSITORY)
CHECKOUT = LABEL[:6]
STATE = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "/nonexistent"))


def container(name):
    return f"edge-swarm-{name}-{CHECKOUT}"


def control_plane_url():
    """Tasks of a nested engine know no names of the outer network, so they are told an address; none before it is created."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    done = subprocess.run(
        ["docker", "inspect", "--format", template, container("control-plane")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"http://{done.stdout.strip()}:8080" if done.returncode == 0 else ""


def inventory():
    names = ("manager", "worker1", "worker2", "control-plane")
    swarm = {
        "swarm_secret_manager": "manager",
        "swarm_secret_service_image": images.reference("agent-trixie"),
        "swarm_secret_service_constraints": ["node.role == worker"],
        "swarm_secret_service_replicas": 2,
        "swarm_secret_service_registration_timeout": 60,
        "swarm_secret_service_timeout": 120,
        # what a test has no time for
        "swarm_secret_service_health_interval": "1s",
        "swarm_secret_service_stop_grace_period": "5s",
        "swarm_secret_service_restart_config": {"condition": "on-failure", "delay": "1s"},
        "swarm_secret_service_update_config": {"order": "stop-first", "parallelism": 1, "failure_action": "rollback", "monitor": "1s"},
        "expanso_edge_token_file": str(STATE / "token"),
        "expanso_edge_bootstrap_url": control_plane_url(),
        "container_image": images.reference("dind-bookworm"),
    }
    common = {
        "ansible_connection": "community.docker.docker",
        "ansible_python_interpreter": "/usr/bin/python3",
        "container_labels": {"expanso-edge-tests": LABEL},  # what `make clean` knows them by
        "container_network": f"edge-swarm-{CHECKOUT}",
    }
    return {
        "containers": {"hosts": list(names), "vars": common},
        "swarm": {"hosts": ["manager", "worker1", "worker2"], "vars": swarm},
        "workers": {"hosts": ["worker1", "worker2"]},
        "_meta": {
            "hostvars": {
                **{name: {"ansible_host": container(name)} for name in names},
                "control-plane": {"ansible_host": container("control-plane"), "container_image": images.reference("control-plane-trixie")},
            }
        },
    }


if __name__ == "__main__":
    print(json.dumps(inventory(), indent=2))
