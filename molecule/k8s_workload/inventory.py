#!/usr/bin/env python
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory of one site, a namespace of the cluster. Nobody ever connects to it: the role works from the controller."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from cluster import NAMESPACES

STATE = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "/nonexistent"))
CLUSTER = Path(os.environ.get("EXPANSO_EDGE_CLUSTER", "/nonexistent"))
IMAGE = os.environ.get("EXPANSO_EDGE_IMAGE_AGENT_TRIXIE", "")
SITE = NAMESPACES + "site"


def workload(namespace, url):
    """What every site of the tests has in common."""
    return {
        "k8s_secret_namespace": namespace,
        "k8s_secret_deployment_state": "present",
        "k8s_secret_deployment_image": IMAGE,
        "k8s_secret_deployment_image_pull_policy": "IfNotPresent",
        "k8s_secret_deployment_config": {"labels": {"site": namespace}},
        "k8s_secret_deployment_timeout": 120,
        "k8s_secret_bootstrap_url": url,
    }


def inventory():
    site = {
        **workload(SITE, "{{ lookup('file', '" + str(STATE / "control-plane.url") + "') }}"),
        "expanso_edge_delivery": "k8s_secret",
        "expanso_edge_token_file": str(STATE / "tokens" / SITE),
        "k8s_secret_kubeconfig": str(CLUSTER / f"{SITE}-expanso-edge-provisioner.conf"),
    }
    return {"sites": {"hosts": ["site"]}, "_meta": {"hostvars": {"site": site}}}


if __name__ == "__main__":
    print(json.dumps(inventory(), indent=2))
