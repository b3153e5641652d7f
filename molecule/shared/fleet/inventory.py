#!/usr/bin/env python
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory of a mixed fleet: nodes with a token file, nodes with systemd, a swarm of one node, and a namespace of a cluster.

    file1, unit1   hold the token and are not registered
    file2, unit2   are registered
    manager        runs the agent as a service of its swarm
    site           a Secret in the namespace, without an agent
"""

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

import images
from cluster import NAMESPACES
from paths import REPOSITORY, digest

LABEL = digest(REPOSITORY)
CHECKOUT = LABEL[:6]
STATE = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "/nonexistent"))
CLUSTER = Path(os.environ.get("EXPANSO_EDGE_CLUSTER", "/nonexistent"))
SITE = NAMESPACES + "fleet"
PORT = 8080

NODES = ("file1", "file2", "unit1", "unit2")
IMAGES = {**dict.fromkeys(NODES, "systemd-trixie"), "manager": "dind-bookworm", "control-plane": "control-plane-trixie"}


def container(name):
    return f"edge-fleet-{name}-{CHECKOUT}"


def control_plane_url():
    """Tasks of a nested engine know no names of the outer network, so all are told an address; none before it is created."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    command = ["docker", "inspect", "--format", template, container("control-plane")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return f"http://{done.stdout.strip()}:{PORT}" if done.returncode == 0 else ""


DELIVERIES: dict[str, dict[str, object]] = {
    "file1": {},
    "file2": {"token_file_register": True, "token_file_remove_after_registration": True},
    "unit1": {"expanso_edge_delivery": "systemd_service", "systemd_service_state": "stopped"},
    "unit2": {"expanso_edge_delivery": "systemd_service"},
    "manager": {
        "expanso_edge_delivery": "swarm_secret",
        "swarm_secret_manager": "manager",
        "swarm_secret_service_image": images.reference("agent-trixie"),
        "swarm_secret_service_replicas": 1,
        "swarm_secret_service_constraints": [],
        "swarm_secret_service_registration_timeout": 60,
        "swarm_secret_service_timeout": 120,
        # what a test has no time for
        "swarm_secret_service_health_interval": "1s",
        "swarm_secret_service_stop_grace_period": "5s",
        "swarm_secret_service_restart_config": {"condition": "on-failure", "delay": "1s"},
        "swarm_secret_service_update_config": {"order": "stop-first", "parallelism": 1, "failure_action": "rollback", "monitor": "1s"},
    },
    "site": {
        "expanso_edge_delivery": "k8s_secret",
        "k8s_secret_kubeconfig": str(CLUSTER / "admin.conf"),
        "k8s_secret_namespace": SITE,
    },
}


def inventory():
    places = {name: {"ansible_host": container(name), "container_image": images.reference(image)} for name, image in IMAGES.items()}
    variables = {name: {**places.get(name, {}), **DELIVERIES.get(name, {})} for name in [*IMAGES, "site"]}
    containers = {
        "ansible_connection": "community.docker.docker",
        "ansible_python_interpreter": "/usr/bin/python3",
        "container_labels": {"expanso-edge-tests": LABEL},  # what `make clean` knows them by
        "container_network": f"edge-fleet-{CHECKOUT}",
    }
    fleet = {"expanso_edge_token_file": str(STATE / "token"), "expanso_edge_bootstrap_url": control_plane_url(), "expanso_edge_config_file": ""}
    return {
        "containers": {"hosts": list(IMAGES), "vars": containers},
        "nodes": {"hosts": list(NODES)},
        "expanso_edge": {"hosts": list(DELIVERIES), "vars": fleet},
        "_meta": {"hostvars": variables},
    }


if __name__ == "__main__":
    print(json.dumps(inventory(), indent=2))
