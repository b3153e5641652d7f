#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: k8s_rollout
short_description: Wait until a Deployment has rolled out, and say why when it does not
version_added: 1.0.0
description:
  - Waits until all pods of a Deployment are of its latest version and available.
  - Where that does not happen in time, the message says what the Deployment, its pods and containers and their events say, such as an image
    that cannot be pulled, a volume that cannot be mounted, a quota, or an agent that could not register.
  - Changes nothing.
extends_documentation_fragment:
  - expanso.edge.attributes
  - expanso.edge.k8s
attributes:
  check_mode:
    support: full
    details:
      - Looks once, and does not fail where there is something to wait for.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description: Name of the Deployment.
    type: str
    required: true
  namespace:
    description: Namespace of the Deployment.
    type: str
    required: true
  timeout:
    description: How long to wait, in seconds.
    type: int
    default: 300
  interval:
    description: How long to wait between two looks, in seconds.
    type: int
    default: 2
seealso:
  - module: expanso.edge.k8s_secret
  - module: kubernetes.core.k8s_info
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Wait for the agent
  expanso.edge.k8s_rollout:
    name: expanso-edge
    namespace: expanso-system
    timeout: 120
"""

RETURN = r"""
available:
  description: Whether the Deployment has rolled out.
  type: bool
  returned: success
reasons:
  description: What Deployment, pods, containers and events say, a sentence each.
  type: list
  elements: str
  returned: failure
msg:
  description: What is, in a sentence.
  type: str
  returned: always
"""

import time
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import ARGUMENT_SPEC, Api, ApiError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule

USUAL = frozenset(("ContainerCreating", "PodInitializing"))
"""Why a container waits that nothing is wrong with."""

MOST_EVENTS = 5


class RolloutError(EdgeError):
    """A Deployment that did not roll out: why, as far as the cluster tells."""


def progress(deployment: Dict[str, Any]) -> Tuple[bool, str]:
    """Return whether a Deployment has rolled out, and how far it is."""
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return False, "its change has not been seen yet"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    text = "{0} of {1} pods up to date, {2} available".format(updated, wanted, available)
    return updated == available == status.get("replicas", 0) == wanted, text


def selector(deployment: Dict[str, Any]) -> str:
    labels = deployment["spec"]["selector"].get("matchLabels") or {}
    return ",".join("{0}={1}".format(key, labels[key]) for key in sorted(labels))


def troubles(deployment: Dict[str, Any]) -> List[str]:
    """Return what a Deployment itself says is wrong, a quota or a forbidden pod for instance."""
    found = []
    for condition in (deployment.get("status") or {}).get("conditions") or []:
        bad = "True" if condition["type"] == "ReplicaFailure" else "False"
        if condition["status"] == bad and condition["type"] != "Available":
            found.append("{0}: {1}".format(condition.get("reason", condition["type"]), condition.get("message", "")))
    return found


def pod_troubles(pod: Dict[str, Any]) -> List[str]:
    """Return why a pod or a container in it does not run."""
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    found = [
        "pod {0}: {1}: {2}".format(name, condition.get("reason"), condition.get("message"))
        for condition in status.get("conditions") or []
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    if status.get("reason"):  # evicted, preempted
        found.append("pod {0}: {1}: {2}".format(name, status["reason"], status.get("message", "")))
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        found += ["pod {0}, container {1}: {2}".format(name, container["name"], text) for text in _container_troubles(container)]
    return found


def _container_troubles(container: Dict[str, Any]) -> List[str]:
    found = []
    state, last = container.get("state") or {}, container.get("lastState") or {}
    waiting = state.get("waiting") or {}
    if waiting.get("reason", "PodInitializing") not in USUAL:
        found.append(": ".join(filter(None, (waiting["reason"], waiting.get("message")))))
    ended = state.get("terminated") or last.get("terminated") or {}
    if ended.get("exitCode"):
        text = "ended with exit code {0}".format(ended["exitCode"])
        found.append(": ".join(filter(None, (text, (ended.get("message") or "").strip()))))
    elif "running" in state and not container.get("ready", True):
        found.append("runs, but is not ready")
    return found


def event_troubles(events: List[Dict[str, Any]], names: List[str]) -> List[str]:
    """Return what went wrong lately with the objects of these names, or those that begin so, newest first."""
    mine = [event for event in events if event.get("type") == "Warning" and any(event["involvedObject"].get("name", "").startswith(name) for name in names)]
    mine.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "", reverse=True)
    found = []  # type: List[str]
    for event in mine:
        of = event["involvedObject"]
        text = "event of {0} {1}: {2}: {3}".format(of.get("kind", "object").lower(), of.get("name"), event.get("reason"), event.get("message", "").strip())
        if text not in found:
            found.append(text)
    return found[:MOST_EVENTS]


def diagnose(api: Api, params: Dict[str, Any], deployment: Optional[Dict[str, Any]]) -> List[str]:
    """Collect what the cluster says; what may not be looked at is said as well."""
    if deployment is None:
        return []
    reasons = troubles(deployment)
    names = [params["name"]]
    for volume in deployment["spec"]["template"]["spec"].get("volumes") or []:
        if volume.get("persistentVolumeClaim"):
            names.append(volume["persistentVolumeClaim"]["claimName"])
    try:
        for pod in api.find("Pod", params["namespace"], selector(deployment)):
            reasons += pod_troubles(pod)
        reasons += event_troubles(api.find("Event", params["namespace"]), names)
    except ApiError as exc:
        reasons.append(str(exc))
    return reasons


def wait(api: Api, module: EdgeModule) -> Dict[str, Any]:
    params = module.params
    what = "Deployment {0}/{1}".format(params["namespace"], params["name"])
    end = time.time() + params["timeout"]
    while True:
        deployment = api.get("Deployment", params["namespace"], params["name"])
        done, text = progress(deployment) if deployment else (False, "it does not exist")
        if done or module.check_mode:
            return {"changed": False, "available": done, "msg": "{0}: {1}".format(what, text)}
        if time.time() >= end:
            reasons = diagnose(api, params, deployment)
            said = "; ".join(reasons) or "the cluster does not say why"
            raise RolloutError("{0} has not rolled out after {1} s: {2}. {3}".format(what, params["timeout"], text, said), reasons=reasons)
        time.sleep(params["interval"])


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 300},
            "interval": {"type": "int", "default": 2},
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(lambda module: wait(Api(module), module), "wait for the Deployment")


if __name__ == "__main__":
    main()
