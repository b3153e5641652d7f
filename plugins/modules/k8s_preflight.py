#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: k8s_preflight
short_description: Check whether a Kubernetes cluster accepts what is planned, before anything is changed
version_added: 1.0.0
description:
  - Connects to the cluster, asks it whether the account may do all that is planned, and validates the manifests.
  - If permissions are missing it fails and lists each one (verb and resource), before anything is created.
  - The rights follow from O(manifests), O(removals), O(secret) and O(wait). Further ones can be asked for with O(permissions).
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.read_only
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._k8s
options:
  namespace:
    description: Namespace to work in.
    type: str
    required: true
  missing_namespace:
    description:
      - What a namespace that does not exist means. V(refuse) fails, V(create) asks whether the account may create it, V(ignore) does nothing.
      - An account that is confined to the namespace cannot see it. Then it is assumed to exist.
    type: str
    choices: [refuse, create, ignore]
    default: refuse
  permissions:
    description:
      - What else the account has to be allowed to do in the namespace, a dictionary each.
      - C(kind) is the kind of object, V(ConfigMap), V(Deployment), V(Event), V(Namespace), V(PersistentVolumeClaim), V(Pod) or V(Secret).
      - C(verbs) is a list of what is done to it, such as V(get) and V(patch).
      - C(name) is the name of the object. By default any.
    type: list
    elements: dict
    default: []
  manifests:
    description:
      - Objects that are going to be applied. They are validated strictly against the schema of the cluster's version, so that a misspelt
        field is refused, with the Python library kubernetes-validate.
      - An object that contains a bootstrap token is refused.
      - Where the namespace exists, the API server is asked to apply them in a dry run as well. It refuses what its policies and other field managers refuse.
    type: list
    elements: dict
    default: []
  removals:
    description:
      - Objects that are going to be removed. One that exists and is foreign is refused, unless O(force=true).
      - An object counts as foreign if it is a Secret whose type is not C(Opaque), or another object without the label
        C(app.kubernetes.io/managed-by=expanso.edge). A V(Namespace) is never foreign.
      - C(kind) is V(ConfigMap), V(Deployment), V(Namespace), V(PersistentVolumeClaim) or V(Secret), C(name) the object's name.
    type: list
    elements: dict
    default: []
  secret:
    description:
      - What M(expanso.edge.k8s_secret) is going to be called with, a dictionary.
      - C(name) is required. C(state), C(claim), C(immutable) and C(remove_when_registered) are possible, with the meaning and default that they have there.
    type: dict
    version_added: 1.1.0
  wait:
    description: Whether M(expanso.edge.k8s_rollout) is going to wait for the Deployment, and the claim of O(secret) is going to be marked then.
    type: bool
    default: false
    version_added: 1.1.0
  require_validation:
    description:
      - Fail if kubernetes-validate is not installed. Otherwise only the API server validates the manifests then.
    type: bool
    default: false
  force:
    description: Whether fields that another manager holds with other values are going to be taken over.
    type: bool
    default: false
requirements:
  - kubernetes-validate (Python library), for O(manifests)
seealso:
  - module: expanso.edge.k8s_secret
  - module: expanso.edge.k8s_rollout
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Check that the account may manage the Secret
  expanso.edge.k8s_preflight:
    namespace: expanso-system
    secret:
      name: expanso-bootstrap-token
"""

RETURN = r"""
namespace_exists:
  description: Whether the namespace exists. V(null) where the account cannot see it.
  type: bool
  returned: success
server_version:
  description: Version of the API server.
  type: str
  returned: success
  sample: v1.32.5
dry_run:
  description: Whether the cluster can say in advance what it would do. V(false) where an admission webhook does not support dry runs.
  type: bool
  returned: success
validated:
  description: Whether the manifests were validated here.
  type: bool
  returned: success
msg:
  description: Human-readable summary of the result.
  type: str
  returned: always
"""

from typing import Any, Dict, List, Optional

from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import Api
from ansible_collections.expanso.edge.plugins.module_utils._k8s_connection import ARGUMENT_SPEC, ApiError, SetupError, unusable
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import being_removed, of_another_manager, of_wrong_type, title
from ansible_collections.expanso.edge.plugins.module_utils._k8s_plan import invalid_names_and_mounts, read_plan, rights
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule

try:
    import kubernetes_validate
    import kubernetes_validate.utils

    VALIDATE_FAULT: Optional[Exception] = None
except Exception as exc:  # pylint: disable=broad-except
    VALIDATE_FAULT = exc


def namespace_exists(api: Api, namespace: str) -> Optional[bool]:
    """Whether the namespace exists; None where the account cannot see it, as one that is confined to it usually cannot."""
    try:
        found = api.get("Namespace", None, namespace)
    except ApiError as exc:
        if exc.status == 403:
            return None
        raise
    if being_removed(found):
        raise ApiError(f"namespace {namespace} is {being_removed(found)}: try again when it is gone")
    return found is not None


def missing_permissions(api: Api, plan: Dict[str, Any], exists: Optional[bool]) -> List[str]:
    """Return what the account is not allowed to do."""
    return [str(right) for right in rights(plan, exists) if not api.may(*right)]


def schema_faults(manifests: List[Dict[str, Any]], version: str) -> List[str]:
    """Return what is wrong with manifests by the schema of a version of Kubernetes, or of the nearest that is known."""
    known = sorted(set(kubernetes_validate.utils.all_versions()), key=numbers)
    version = ([known[0]] + [each for each in known if numbers(each) <= numbers(version)])[-1]
    faults = []
    for manifest in manifests:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as exc:
            where = ".".join(str(part) for part in exc.path) or "manifest"
            faults.append(f"{manifest.get('kind')} {manifest.get('metadata', {}).get('name')}: {where}: {exc.message}")
    return faults


def numbers(version: str) -> List[int]:
    """Return the parts of a version such as v1.32.5+k3s1 that determine its schema: 1 and 32."""
    return [int(part) for part in version.lstrip("v").split(".")[:2]]


def foreign_objects(api: Api, plan: Dict[str, Any]) -> List[str]:
    """Return what prevents the plan: foreign objects that are to be removed, and objects to be applied that are being removed."""
    faults: List[str] = []
    for each in plan["removals"]:
        what = title(each["kind"], each["name"], plan["namespace"])
        found = api.get(each["kind"], plan["namespace"], each["name"]) if each["kind"] != "Namespace" else None
        if found and each["kind"] == "Secret":
            faults += filter(None, [of_wrong_type(found, what)])
        elif found and not plan["force"]:
            faults += filter(None, [of_another_manager(found, what)])
    for manifest in plan["manifests"] or []:
        found = api.get(manifest["kind"], plan["namespace"], manifest["metadata"]["name"])
        if being_removed(found):
            what = title(manifest["kind"], manifest["metadata"]["name"], plan["namespace"])
            faults.append(f"{what} is {being_removed(found)}: try again when it is gone")
    return faults


def try_out(api: Api, module: EdgeModule) -> bool:
    """Ask the API server to apply the manifests in a dry run; return whether it could."""
    api.dry_run = True
    for manifest in module.params["manifests"]:
        try:
            api.apply(manifest, module.params["force"])
        except ApiError as exc:
            if not exc.no_dry_run:
                raise
            api.warn(module)
            return False
    return True


def refuse(faults: List[str], before: str = "", after: str = "") -> None:
    """Fail with all faults at once.

    :param before: what to say before the faults, and `after` them
    :raises ApiError: there are some
    """
    if faults:
        raise ApiError(f"{before}{'; '.join(faults)}{after}")


def check(module: EdgeModule) -> Dict[str, Any]:
    api = Api(module)
    plan = read_plan(module.params)
    version = api.version()
    exists = namespace_exists(api, plan["namespace"])
    if exists is False and plan["missing_namespace"] == "refuse":
        raise ApiError(f"namespace {plan['namespace']} does not exist: create it, or let it be created")
    refuse(invalid_names_and_mounts(plan))
    refuse(missing_permissions(api, plan, exists), "the account is not allowed to ", ": give it these rights, or use another account")
    refuse([] if exists is False else foreign_objects(api, plan))
    if VALIDATE_FAULT is not None and plan["require_validation"]:
        raise SetupError(unusable(VALIDATE_FAULT, "kubernetes_validate").replace("kubernetes_validate", "kubernetes-validate"))
    validated = VALIDATE_FAULT is None and bool(plan["manifests"])
    if validated:
        refuse(schema_faults(plan["manifests"], version), f"the manifests are not valid for Kubernetes {version}: ")
    dry_run = try_out(api, module) if exists is not False else True
    return {
        "changed": False,
        "dry_run": dry_run,
        "namespace_exists": exists,
        "server_version": version,
        "validated": validated,
        "msg": f"the cluster ({version}) accepts what is planned",
    }


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "namespace": {"type": "str", "required": True},
            "missing_namespace": {"type": "str", "choices": ["refuse", "create", "ignore"], "default": "refuse"},
            # checked by read_plan(): see record()
            "permissions": {"type": "list", "elements": "dict", "default": []},
            "manifests": {"type": "list", "elements": "dict", "default": []},
            "removals": {"type": "list", "elements": "dict", "default": []},
            "secret": {"type": "dict", "no_log": False},
            "wait": {"type": "bool", "default": False},
            "require_validation": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(check, "look at the cluster")


if __name__ == "__main__":
    main()
