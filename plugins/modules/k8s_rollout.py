#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: k8s_rollout
short_description: Wait until a Deployment has rolled out, and report why it does not
version_added: 1.0.0
description:
  - Waits until all pods of a Deployment are of its latest version and available. An API server that does not answer for a while is not a fault.
  - If that does not happen in time, the message holds the reasons that the Deployment, its pods and containers and their events give, such as an
    image that cannot be pulled, a volume that cannot be mounted, a quota, or an agent that could not register.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.read_only
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._k8s
attributes:
  check_mode:
    details:
      - Looks once, and does not fail if there is something to wait for.
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
    description: How long to wait between two requests, in seconds.
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
  description: The reasons that Deployment, pods, containers and events give, a sentence each.
  type: list
  elements: str
  returned: failure
msg:
  description: Current state of the rollout.
  type: str
  returned: always
"""

import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._cluster import OddAnswer, reading
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import Api
from ansible_collections.expanso.edge.plugins.module_utils._k8s_connection import ARGUMENT_SPEC, ApiError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import FINGERPRINT, being_removed, title
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule

USUAL = frozenset(("ContainerCreating", "PodInitializing"))
"""Why a container waits without a fault."""

MOST_EVENTS = 5

NO_TOKEN = "the agent is not registered"
"""Last words of the role's one-shot where it finds neither an identity nor a token, see roles/k8s_secret/templates/register.sh.j2."""


class RolloutError(EdgeError):
    """A Deployment that did not roll out: why, as far as the cluster reports it."""


def progress(deployment: Dict[str, Any]) -> Tuple[bool, str]:
    """Return whether a Deployment has rolled out, and how far it is."""
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status") or {}
    if being_removed(deployment):
        return False, f"it is {being_removed(deployment)}"
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return False, "the cluster has not processed its latest change yet"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    text = f"{updated} of {wanted} pods up to date, {available} available"
    return updated == available == status.get("replicas", 0) == wanted, text


def selector(deployment: Dict[str, Any]) -> str:
    labels = deployment["spec"]["selector"].get("matchLabels") or {}
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))


def deployment_reasons(deployment: Dict[str, Any]) -> List[str]:
    """Return the reasons that a Deployment itself gives, a quota or a forbidden pod for instance."""
    found = []
    if deployment["spec"].get("paused"):
        metadata = deployment["metadata"]
        where = f" --namespace {metadata['namespace']}" if metadata.get("namespace") else ""
        found.append(f"it is paused, so changes wait: kubectl rollout resume deployment {metadata.get('name', 'NAME')}{where}")
    for condition in (deployment.get("status") or {}).get("conditions") or []:
        bad = "True" if condition["type"] == "ReplicaFailure" else "False"
        if condition["status"] == bad and condition["type"] != "Available":
            found.append(f"{condition.get('reason', condition['type'])}: {condition.get('message', '')}")
    return found


def pod_reasons(pod: Dict[str, Any]) -> List[str]:
    """Return why a pod or a container in it does not run."""
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    found = [
        f"pod {name}: {condition.get('reason')}: {condition.get('message')}"
        for condition in status.get("conditions") or []
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    if status.get("reason"):  # evicted, preempted
        found.append(f"pod {name}: {status['reason']}: {status.get('message', '')}")
    if being_removed(pod):
        node = (pod.get("spec") or {}).get("nodeName")
        where = f" on node {node}" if node else ""
        advice = "the next one starts only when it is gone: check whether that node is lost"
        found.append(f"pod {name} is {being_removed(pod)}, but still there{where}, and {advice}")
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        found += [f"pod {name}, container {container['name']}: {text}" for text in _container_reasons(container)]
    return found


def _container_reasons(container: Dict[str, Any]) -> List[str]:
    found = []
    state, last = container.get("state") or {}, container.get("lastState") or {}
    waiting = state.get("waiting") or {}
    if waiting.get("reason", "PodInitializing") not in USUAL:
        found.append(": ".join(filter(None, (waiting["reason"], waiting.get("message")))))
    ended = state.get("terminated") or last.get("terminated") or {}
    if ended.get("exitCode"):
        text = f"ended with exit code {ended['exitCode']}"
        found.append(": ".join(filter(None, (text, (ended.get("message") or "").strip()))))
    elif "running" in state and not container.get("ready", True):
        found.append("runs, but is not ready")
    return found


def event_reasons(events: List[Dict[str, Any]], names: List[str]) -> List[str]:
    """Return the latest warnings about objects whose names begin with one of these, newest first."""
    mine = [event for event in events if event.get("type") == "Warning" and any(event["involvedObject"].get("name", "").startswith(name) for name in names)]
    mine.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "", reverse=True)
    found: List[str] = []
    for event in mine:
        of = event["involvedObject"]
        text = f"event of {of.get('kind', 'object').lower()} {of.get('name')}: {event.get('reason')}: {event.get('message', '').strip()}"
        if text not in found:
            found.append(text)
    return found[:MOST_EVENTS]


def claims_of(deployment: Dict[str, Any]) -> List[str]:
    """Return the names of the PersistentVolumeClaims that a Deployment's pods use."""
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or []
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if volume.get("persistentVolumeClaim")]


def way_out(api: Api, namespace: str, claims: List[str], reasons: List[str]) -> List[str]:
    """Return what to do if an agent gets no token because its volume is marked as one that holds an identity, but holds none."""
    if not any(NO_TOKEN in reason for reason in reasons):
        return []
    found = []
    for name in claims:
        claim = api.get("PersistentVolumeClaim", namespace, name) or {}
        if FINGERPRINT in ((claim.get("metadata") or {}).get("annotations") or {}):
            found.append(
                f"PersistentVolumeClaim {name} is marked as one that holds an identity, but there is none on the volume (is it empty, or restored?): "
                f"remove the mark, then run this again with a token: kubectl annotate persistentvolumeclaim {name} --namespace {namespace} {FINGERPRINT}-"
            )
    return found


def diagnose(api: Api, params: Dict[str, Any], deployment: Optional[Dict[str, Any]]) -> List[str]:
    """Return the reasons that the cluster gives. What the account is not allowed to see is reported as well."""
    if deployment is None:
        return []
    reasons: List[str] = []
    try:
        with reading(api.server, "a Deployment, a pod or an event"):
            reasons += deployment_reasons(deployment)
            claims = claims_of(deployment)
            for pod in api.find("Pod", params["namespace"], selector(deployment)):
                reasons += pod_reasons(pod)
            reasons += way_out(api, params["namespace"], claims, reasons)
            reasons += event_reasons(api.find("Event", params["namespace"]), [params["name"]] + claims)
    except (ApiError, OddAnswer) as exc:
        reasons.append(str(exc))
    return reasons


class Look(NamedTuple):
    """What one look at the Deployment showed."""

    done: bool
    text: str
    deployment: Optional[Dict[str, Any]] = None
    fault: Optional[EdgeError] = None


REFUSED_SECONDS = 10
"""How long an account may be refused before that is a fault: an API server that has just started has not read its roles yet."""


class Watch:
    """Looks at a Deployment again and again. An API server that does not answer for a while is not a reason to give up."""

    def __init__(self, module: EdgeModule) -> None:
        self.module = module
        self.api: Optional[Api] = None
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
    _checks.server_options(module.argument_spec, params)
    what = title("Deployment", params["name"], params["namespace"])
    begun = time.monotonic()
    end = begun + params["timeout"]
    watch = Watch(module)
    while True:
        seen = watch.look()
        refused = getattr(seen.fault, "status", None) in (401, 403) and not watch.answered and time.monotonic() - begun >= REFUSED_SECONDS
        if seen.fault is not None and (module.check_mode or refused):
            raise seen.fault
        if seen.done or module.check_mode:
            return {"changed": False, "available": seen.done, "msg": f"{what}: {seen.text}"}
        left = end - time.monotonic()
        if left <= 0:
            break
        time.sleep(min(max(params["interval"], 0.1), left))
    reasons = diagnose(watch.api, params, seen.deployment) if watch.api is not None and seen.fault is None else []
    why = "; ".join(reasons) or ("the last request failed" if seen.fault else "the cluster does not say why")
    raise RolloutError(f"{what} has not rolled out after {params['timeout']} seconds: {seen.text}. {why}", reasons=reasons)


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
