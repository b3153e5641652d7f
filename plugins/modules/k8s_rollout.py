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
  - Waits until all pods of a Deployment are of its latest version and available. An API server that is away for a while meanwhile is no fault.
  - Where that does not happen in time, the message says what the Deployment, its pods and containers and their events say, such as an image
    that cannot be pulled, a volume that cannot be mounted, a quota, or an agent that could not register.
  - Changes nothing.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._k8s
attributes:
  check_mode:
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
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._cluster import OddAnswer, check_options, reading
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import ARGUMENT_SPEC, FINGERPRINT, Api, ApiError, being_removed
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule

USUAL = frozenset(("ContainerCreating", "PodInitializing"))
"""Why a container waits that nothing is wrong with."""

MOST_EVENTS = 5

NO_TOKEN = "the agent is not registered"
"""How the role's one-shot ends that finds neither an identity nor a token, see roles/k8s_secret/templates/register.sh.j2."""


class RolloutError(EdgeError):
    """A Deployment that did not roll out: why, as far as the cluster tells."""


def progress(deployment: Dict[str, Any]) -> Tuple[bool, str]:
    """Return whether a Deployment has rolled out, and how far it is."""
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status") or {}
    if being_removed(deployment):
        return False, "it is {0}".format(being_removed(deployment))
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
    if deployment["spec"].get("paused"):
        metadata = deployment["metadata"]
        where = " --namespace {0}".format(metadata["namespace"]) if metadata.get("namespace") else ""
        found.append("it is paused, so changes wait: kubectl rollout resume deployment {0}{1}".format(metadata.get("name", "NAME"), where))
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
    if being_removed(pod):
        node = (pod.get("spec") or {}).get("nodeName")
        found.append(
            "pod {0} is {1}, but still there{2}, and the next one starts only once it is gone: see whether that node is lost".format(
                name, being_removed(pod), " on node {0}".format(node) if node else ""
            )
        )
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


def claims_of(deployment: Dict[str, Any]) -> List[str]:
    """Return the names of the PersistentVolumeClaims that a Deployment's pods use."""
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or []
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if volume.get("persistentVolumeClaim")]


def way_out(api: Api, namespace: str, claims: List[str], reasons: List[str]) -> List[str]:
    """Return what to do where an agent finds no identity on a volume that is marked as one that holds it, so that it gets no token."""
    if not any(NO_TOKEN in reason for reason in reasons):
        return []
    found = []
    for name in claims:
        claim = api.get("PersistentVolumeClaim", namespace, name) or {}
        if FINGERPRINT in ((claim.get("metadata") or {}).get("annotations") or {}):
            found.append(
                "PersistentVolumeClaim {0} is marked as one that holds an identity, but there is none on the volume (an empty or a restored one?): "
                "take the mark away, then run this again with a token: kubectl annotate persistentvolumeclaim {0} --namespace {1} {2}-".format(
                    name, namespace, FINGERPRINT
                )
            )
    return found


def diagnose(api: Api, params: Dict[str, Any], deployment: Optional[Dict[str, Any]]) -> List[str]:
    """Collect what the cluster says; what may not be looked at is said as well."""
    if deployment is None:
        return []
    reasons = []  # type: List[str]
    try:
        with reading(api.server, "a Deployment, a pod or an event"):
            reasons += troubles(deployment)
            claims = claims_of(deployment)
            for pod in api.find("Pod", params["namespace"], selector(deployment)):
                reasons += pod_troubles(pod)
            reasons += way_out(api, params["namespace"], claims, reasons)
            reasons += event_troubles(api.find("Event", params["namespace"]), [params["name"]] + claims)
    except (ApiError, OddAnswer) as exc:
        reasons.append(str(exc))
    return reasons


class Look(NamedTuple):
    """What one look at the Deployment told."""

    done: bool
    text: str
    deployment: Optional[Dict[str, Any]] = None
    fault: Optional[EdgeError] = None


class Watch:
    """Looks at a Deployment again and again. An API server that does not answer meanwhile is no reason to give up."""

    def __init__(self, module: EdgeModule) -> None:
        self.module = module
        self.api = None  # type: Optional[Api]
        self.answered = False

    def look(self) -> Look:
        params = self.module.params
        try:
            if self.api is None:
                self.api = Api(self.module)
            deployment = self.api.get("Deployment", params["namespace"], params["name"])
            self.answered = True
            if deployment is None:
                return Look(False, "it does not exist")
            with reading(self.api.server, "the Deployment"):
                done, text = progress(deployment)
            return Look(done, text, deployment)
        except (ApiError, OddAnswer) as exc:
            return Look(False, str(exc), None, exc)


def wait(module: EdgeModule) -> Dict[str, Any]:
    params = module.params
    check_options(params, module.argument_spec)
    what = "Deployment {0}/{1}".format(params["namespace"], params["name"])
    end = time.monotonic() + params["timeout"]
    watch = Watch(module)
    while True:
        seen = watch.look()
        refused = getattr(seen.fault, "status", None) in (401, 403) and not watch.answered
        if seen.fault is not None and (module.check_mode or refused):
            raise seen.fault
        if seen.done or module.check_mode:
            return {"changed": False, "available": seen.done, "msg": "{0}: {1}".format(what, seen.text)}
        left = end - time.monotonic()
        if left <= 0:
            break
        time.sleep(min(max(params["interval"], 0.1), left))
    reasons = diagnose(watch.api, params, seen.deployment) if watch.api is not None and seen.fault is None else []
    said = "; ".join(reasons) or ("the last look failed" if seen.fault else "the cluster does not say why")
    raise RolloutError("{0} has not rolled out after {1} s: {2}. {3}".format(what, params["timeout"], seen.text, said), reasons=reasons)


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
    module.execute(wait, "wait for the Deployment")


if __name__ == "__main__":
    main()
