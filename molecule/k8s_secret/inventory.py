#!/usr/bin/env python
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory of sites, each a namespace of one cluster. Nobody ever connects to them: the role works from the controller."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from cluster import NAMESPACES

STATE = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "/nonexistent"))
CLUSTER = Path(os.environ.get("EXPANSO_EDGE_CLUSTER", "/nonexistent"))

# All that can be said of a workload, so that the cluster has seen each field.
WORKLOAD = {
    "k8s_secret_deployment_state": "present",
    "k8s_secret_deployment_wait": False,  # no pod runs here
    "k8s_secret_deployment_image": "registry.test/expanso-edge:1",
    "k8s_secret_deployment_image_pull_policy": "IfNotPresent",
    "k8s_secret_deployment_image_pull_secrets": ["registry"],
    "k8s_secret_deployment_config": {"labels": {"site": "two"}},
    "k8s_secret_deployment_run_arguments": ["--log-level", "debug"],
    "k8s_secret_deployment_environment": {"TZ": "UTC"},
    "k8s_secret_deployment_read_only_root_filesystem": True,
    "k8s_secret_deployment_claim_storage_class": "standard",
    "k8s_secret_deployment_startup_probe": {"httpGet": {"path": "/api/v1/health", "port": 9010}, "failureThreshold": 30},
    "k8s_secret_deployment_liveness_probe": {"httpGet": {"path": "/api/v1/health", "port": 9010}},
    "k8s_secret_deployment_readiness_probe": {"httpGet": {"path": "/api/v1/health", "port": 9010}},
    "k8s_secret_deployment_labels": {"site": "two"},
    "k8s_secret_deployment_annotations": {"example.org/owner": "edge"},
    "k8s_secret_deployment_node_selector": {"kubernetes.io/os": "linux"},
    "k8s_secret_deployment_tolerations": [{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}],
    "k8s_secret_deployment_affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "edge", "operator": "Exists"}]}]}
        }
    },
}


def inventory():
    sites = {
        "one": {"k8s_secret_labels": {"site": "one"}, "k8s_secret_key": "token"},
        "two": WORKLOAD,
        "three": {"k8s_secret_immutable": True},
    }
    common = {
        "expanso_edge_delivery": "k8s_secret",
        "expanso_edge_token_file": str(STATE / "tokens") + "/{{ inventory_hostname }}",
        "k8s_secret_kubeconfig": str(CLUSTER / "admin.conf"),
        "k8s_secret_namespace": NAMESPACES + "{{ inventory_hostname }}",
    }
    return {"sites": {"hosts": list(sites), "vars": common}, "_meta": {"hostvars": sites}}


if __name__ == "__main__":
    print(json.dumps(inventory(), indent=2))
