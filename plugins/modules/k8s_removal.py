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
  - Where one is not gone in time, the message says what holds it, such as a finalizer. An API server that is away for a while meanwhile is no fault.
  - An object without the label C(app.kubernetes.io/managed-by=expanso.edge) is somebody else's and refused, unless O(force=true). Namespaces have none.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._k8s
attributes:
  check_mode:
    details:
      - Looks, and asks the API server for nothing else.
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
    description: Remove what is somebody else's, too.
    type: bool
    default: false
  timeout:
    description: How long to wait for each object to go, in seconds.
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
  description: The same in a sentence, or what holds an object.
  type: str
  returned: always
"""

import time
from typing import Any, Dict, List

from ansible_collections.expanso.edge.plugins.module_utils._cluster import OptionError, record
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import (
    ARGUMENT_SPEC,
    FIELD_MANAGER,
    KINDS,
    MANAGED_BY,
    NAME,
    Api,
    ApiError,
    being_removed,
)
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule

POSSIBLE = ("ConfigMap", "Deployment", "Namespace", "PersistentVolumeClaim")
POLL_SECONDS = 1


class RemovalError(EdgeError):
    """An object that is not to be removed, or that does not go."""


def wanted(params: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return the objects to remove.

    :raises OptionError: one is none that this removes
    """
    found = [record("option objects, entry {0}".format(number), each, {"kind": str, "name": str}, {}) for number, each in enumerate(params["objects"], 1)]
    for each in found:
        if each["kind"] not in POSSIBLE:
            raise OptionError("option objects: kind {0!r} is not possible, but {1} are".format(each["kind"][:70], ", ".join(POSSIBLE)))
        if not NAME.fullmatch(each["name"]):
            raise OptionError("option objects: {0!r} is no name in Kubernetes".format(each["name"][:70]))
    return found


def check_ours(what: str, found: Dict[str, Any], force: bool) -> None:
    """See that an object is not somebody else's.

    :raises RemovalError: it is
    """
    labels = found["metadata"].get("labels") or {}
    if not force and found["kind"] != "Namespace" and labels.get(MANAGED_BY) != FIELD_MANAGER:
        raise RemovalError("{0} is somebody else's: choose another name, or remove it with force".format(what))


def held_by(found: Dict[str, Any]) -> str:
    """Return what is known of why an object does not go."""
    status = found.get("status") or {}
    conditions = [each for each in status.get("conditions") or [] if isinstance(each, dict)] if isinstance(status, dict) else []
    said = [str(each.get("message")) for each in conditions if each.get("status") == "True" and str(each.get("type", "")).endswith("Remaining")]
    return "; ".join([being_removed(found) or "there as before, although the API server said that it deletes it"] + said)


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
            said = held_by(left) if left is not None else ""
        except ApiError as exc:  # it may come back
            left, said = found, str(exc)
        if left is None:
            return
        if time.monotonic() >= end:
            raise RemovalError("{0} is not gone after {1} s: {2}".format(what, timeout, said))
        time.sleep(POLL_SECONDS)


def work(module: EdgeModule) -> Dict[str, Any]:
    params = module.params
    api = Api(module)
    removed = []  # type: List[str]
    for each in wanted(params):
        namespace = params["namespace"] if KINDS[each["kind"]].namespaced else None
        what = "{0} {1}{2}".format(each["kind"], each["name"], " in namespace {0}".format(namespace) if namespace else "")
        found = api.get(each["kind"], namespace, each["name"])
        if found is None:
            continue
        check_ours(what, found, params["force"])
        if not module.check_mode:
            remove(api, what, found, params["timeout"])
        removed.append("{0} {1}".format(each["kind"], each["name"]))
    return {"changed": bool(removed), "removed": removed, "msg": "removed {0}".format(", ".join(removed)) if removed else "there is nothing to remove"}


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
