# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control plane of the tests in a pod of the cluster, where the agents reach it by its address, without DNS or services."""

from __future__ import annotations

import json
from typing import Any

from cluster import NAMESPACES
from cluster_view import Cluster

NAMESPACE = NAMESPACES + "control-plane"
LABELS = {"app": "control-plane"}
PORT = 8080

# Runs in the pod: one call of the control plane's own client, name and arguments on its standard input.
CALL = """
import json, sys
sys.path.insert(0, "/usr/local/lib")
from control_plane import ControlPlaneClient
name, arguments, options = json.loads(sys.stdin.readline())
print(json.dumps(getattr(ControlPlaneClient("http://127.0.0.1:8080"), name)(*arguments, **options)))
"""


class ControlPlanePod:
    """Its methods are those of control_plane.ControlPlaneClient."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def start(self, image: str) -> None:
        self._cluster.namespace(NAMESPACE)
        container = {
            "name": "control-plane",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        spec = {
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        }
        metadata = {"name": "control-plane", "namespace": NAMESPACE, "labels": LABELS}
        self._cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    @property
    def url(self) -> str:
        pod = self._cluster.pod(NAMESPACE, labels="app=control-plane", seconds=180)
        return f"http://{pod.status.pod_ip}:{PORT}"

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            request = json.dumps([name, arguments, options])
            return json.loads(self._cluster.execute(NAMESPACE, "control-plane", "control-plane", "python3", "-c", CALL, line=request))

        return call
