#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: k8s_apply
short_description: Apply the manifests of an agent to a Kubernetes cluster
version_added: 1.1.0
description:
  - Applies manifests on the server, as a field manager of its own. Fields of other managers are left unchanged. If another manager holds a field with
    another value, that is an error, unless O(force=true).
  - Only fields of the manifests count as a change. What policies of the cluster add at each run does not.
  - Connects as the other modules of this collection do.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._k8s
attributes:
  check_mode:
    details:
      - Asks the API server for a dry run.
  diff_mode:
    details:
      - Shows the fields that the manifests have.
  idempotent:
    support: full
options:
  manifests:
    description:
      - What to apply, in this order. A V(ConfigMap), a V(Deployment) or a V(PersistentVolumeClaim), a dictionary each.
      - An object that contains a bootstrap token is refused, because everyone who may read the object could read it.
    type: list
    elements: dict
    required: true
  namespace:
    description: Namespace of the objects.
    type: str
    required: true
  field_manager:
    description: Name under which the fields are owned. Fields that it owned and the manifest no longer has are removed.
    type: str
    default: expanso.edge
  force:
    description: Take over fields that another manager holds with other values.
    type: bool
    default: false
seealso:
  - module: expanso.edge.k8s_preflight
  - module: kubernetes.core.k8s
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Mark the volume as one that holds an identity
  expanso.edge.k8s_apply:
    namespace: expanso-system
    field_manager: expanso.edge-identity
    manifests:
      - apiVersion: v1
        kind: PersistentVolumeClaim
        metadata:
          name: expanso-edge-data
          annotations:
            expanso.edge/token-fingerprint: 5d41402abc4b
"""

RETURN = r"""
applied:
  description: What was changed, or would be in check mode, kind and name.
  type: list
  elements: str
  returned: success
  sample: [Deployment expanso-edge]
msg:
  description: Human-readable summary of the result.
  type: str
  returned: always
"""

import re
from typing import Any, Dict, List

from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._cluster import refuse_token
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import Api
from ansible_collections.expanso.edge.plugins.module_utils._k8s_connection import ARGUMENT_SPEC, ApiError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import FIELD_MANAGER, NAME, being_removed, differs, part, title
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule

POSSIBLE = ("ConfigMap", "Deployment", "PersistentVolumeClaim")
MANAGER = re.compile(r"[A-Za-z0-9._/-]{1,128}")


class ApplyError(EdgeError):
    """An object that cannot be applied."""


def wanted(params: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return the manifests, each in the namespace.

    :raises OptionError: one is of another kind, has no name, or contains a token
    """
    answer = []
    for number, manifest in enumerate(params["manifests"], 1):
        metadata = manifest.get("metadata")
        if manifest.get("kind") not in POSSIBLE or not isinstance(metadata, dict) or not NAME.fullmatch(str(metadata.get("name"))):
            raise OptionError(f"option manifests, entry {number}: it needs a kind, one of {', '.join(POSSIBLE)}, and metadata with a name")
        if metadata.get("namespace", params["namespace"]) != params["namespace"]:
            raise OptionError(f"option manifests, entry {number}: its namespace is not that of option namespace")
        refuse_token(f"option manifests: entry {number}", manifest, f"a {manifest['kind']}")
        answer.append(dict(manifest, metadata=dict(metadata, namespace=params["namespace"])))
    if not MANAGER.fullmatch(params["field_manager"]):
        raise OptionError("option field_manager: use letters, digits and '._/-', at most 128 characters")
    return answer


def apply(api: Api, manifest: Dict[str, Any], params: Dict[str, Any]) -> Dict[str, Any]:
    try:
        return api.apply(manifest, params["force"], params["field_manager"])
    except ApiError as exc:
        if not (exc.no_dry_run and api.dry_run):
            raise
    return manifest


def work(module: EdgeModule) -> Dict[str, Any]:
    params = module.params
    api = Api(module)
    applied, before, after = [], {}, {}
    for manifest in wanted(params):
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        what = title(kind, name)
        found = api.get(kind, params["namespace"], name)
        if being_removed(found):
            raise ApplyError(f"{title(kind, name, params['namespace'])} is {being_removed(found)}: try again when it is gone")
        made = apply(api, manifest, params)
        before[what], after[what] = part(found, manifest), part(made, manifest)
        if differs(found, made, manifest, params["field_manager"]):
            applied.append(what)
    api.warn(module)
    return {
        "changed": bool(applied),
        "applied": applied,
        "msg": f"applied {', '.join(applied)}" if applied else "nothing to change",
        "diff": module.masked({"before": before, "after": after}),  # an object made by hand may contain the token
    }


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "manifests": {"type": "list", "elements": "dict", "required": True},
            "namespace": {"type": "str", "required": True},
            "field_manager": {"type": "str", "default": FIELD_MANAGER},
            "force": {"type": "bool", "default": False},
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(work, "apply to the cluster")


if __name__ == "__main__":
    main()
