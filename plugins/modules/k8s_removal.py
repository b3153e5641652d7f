#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: k8s_removal
short_description: Remove objects from a Kubernetes cluster, and say what holds those that stay
version_added: 1.1.0
description:
  - Removes a Deployment with its pods, a ConfigMap, a PersistentVolumeClaim or a namespace, one after the other, and waits until each is gone.
  - If one is not gone in time, the message says what holds it, such as a finalizer. An API server that does not answer for a while is not a fault.
  - An object without the label C(app.kubernetes.io/managed-by=expanso.edge) is not managed by this collection and refused, unless O(force=true).
    Namespaces need no label.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._k8s
attributes:
  check_mode:
    details:
      - Only reads what exists.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  objects:
    description:
      - What to remove, in this order, a dictionary each.
      - C(kind) is V(ConfigMap), V(Deployment), V(Namespace) or V(PersistentVolumeClaim), C(name) the object's name.
    type: list
    elements: dict
    required: true
  namespace:
    description: Namespace of the objects.
    type: str
    required: true
  force:
    description: Also remove objects that are not managed by this collection.
    type: bool
    default: false
  timeout:
    description: How long to wait until each object is gone, in seconds.
    type: int
    default: 300
seealso:
  - module: expanso.edge.k8s_secret
  - module: kubernetes.core.k8s
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Remove the agent, but not its identity
  expanso.edge.k8s_removal:
    namespace: expanso-system
    objects:
      - {kind: Deployment, name: expanso-edge}
      - {kind: ConfigMap, name: expanso-edge}
"""

RETURN = r"""
removed:
  description: What was removed, or would be in check mode, kind and name.
  type: list
  elements: str
  returned: success
  sample: [Deployment expanso-edge]
msg:
  description: Human-readable summary of the result, or what holds an object.
  type: str
  returned: always
"""

import time
from typing import Any, Dict, List, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._cluster import record
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import Api
from ansible_collections.expanso.edge.plugins.module_utils._k8s_connection import ARGUMENT_SPEC, ApiError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import KINDS, NAME, being_removed, of_another_manager, still_there, title
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule

POSSIBLE = ("ConfigMap", "Deployment", "Namespace", "PersistentVolumeClaim")
POLL_SECONDS = 1


class RemovalError(EdgeError):
    """An object that must not be removed, or that is still there."""


def wanted(params: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return the objects to remove.

    :raises OptionError: one is of another kind, or has no name
    """
    found = [record(f"option objects, entry {number}", each, {"kind": str, "name": str}, {}) for number, each in enumerate(params["objects"], 1)]
    for each in found:
        if each["kind"] not in POSSIBLE:
            raise OptionError(f"option objects: kind {each['kind'][:70]!r} is not supported: use one of {', '.join(POSSIBLE)}")
        if not NAME.fullmatch(each["name"]):
            raise OptionError(f"option objects: {each['name'][:70]!r} is not a name in Kubernetes")
    return found


def check_ours(what: str, found: Dict[str, Any], force: bool) -> None:
    """Check that an object is managed by this collection.

    :raises RemovalError: it is not
    """
    foreign = of_another_manager(found, what)
    if foreign and not force and found["kind"] != "Namespace":
        raise RemovalError(foreign)


def held_by(found: Dict[str, Any]) -> str:
    """Return what is known about why an object is still there."""
    status = found.get("status") or {}
    conditions = [each for each in status.get("conditions") or [] if isinstance(each, dict)] if isinstance(status, dict) else []
    reasons = [str(each.get("message")) for each in conditions if each.get("status") == "True" and str(each.get("type", "")).endswith("Remaining")]
    return "; ".join([still_there(found)] + reasons)


def remove(api: Api, what: str, found: Dict[str, Any], timeout: int) -> None:
    """Remove an object and wait until it is gone.

    :raises RemovalError: it is not, in time
    """
    if not being_removed(found):
        api.delete(found, "Foreground")  # gone only when what belongs to it is
    end = time.monotonic() + timeout
    while True:
        try:
            left = api.again(found)
            why = held_by(left) if left is not None else ""
        except ApiError as exc:  # it may come back
            left, why = found, str(exc)
        if left is None:
            return
        if time.monotonic() >= end:
            raise RemovalError(f"{what} is not gone after {timeout} seconds: {why}")
        time.sleep(POLL_SECONDS)


def work(module: EdgeModule) -> Dict[str, Any]:
    """Remove the objects, after all of them were checked, and return the result."""
    params = module.params
    api = Api(module)
    existing: List[Tuple[str, Dict[str, Any]]] = []
    for each in wanted(params):
        namespace = params["namespace"] if KINDS[each["kind"]].namespaced else None
        what = title(each["kind"], each["name"], namespace)
        found = api.get(each["kind"], namespace, each["name"])
        if found is not None:
            check_ours(what, found, params["force"])
            existing.append((what, found))
    if not module.check_mode:
        for what, found in existing:
            remove(api, what, found, params["timeout"])
    removed = [title(found["kind"], found["metadata"]["name"]) for _what, found in existing]
    return {"changed": bool(removed), "removed": removed, "msg": f"removed {', '.join(removed)}" if removed else "there is nothing to remove"}


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "objects": {"type": "list", "elements": "dict", "required": True},
            "namespace": {"type": "str", "required": True},
            "force": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 300},
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(work, "remove from the cluster")


if __name__ == "__main__":
    main()
