#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: k8s_preflight
short_description: See whether a Kubernetes cluster would take what is planned, before anything is changed
version_added: 1.0.0
description:
  - Connects to the cluster, asks it whether the account may do all that is planned, and validates the manifests. It fails with all rights that
    lack, verb and resource by name, so that nothing half-made is left behind.
  - Changes nothing.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._k8s
attributes:
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  namespace:
    description: Namespace to work in.
    type: str
    required: true
  missing_namespace:
    description:
      - What a namespace that does not exist means. V(refuse) fails, V(create) asks whether the account may create it, V(ignore) does nothing.
      - An account that is confined to the namespace may not look. Then it is taken to exist.
    type: str
    choices: [refuse, create, ignore]
    default: refuse
  permissions:
    description:
      - What the account has to be allowed to do in the namespace, a dictionary each.
      - C(kind) is the kind of object, V(ConfigMap), V(Deployment), V(Event), V(Namespace), V(PersistentVolumeClaim), V(Pod) or V(Secret).
      - C(verbs) are what is done to it, a list of such as V(get) or V(patch).
      - C(name) is the name of the object. Unless set, any.
    type: list
    elements: dict
    default: []
  manifests:
    description:
      - Objects that are going to be applied. They are validated strictly against the schema of the cluster's version, so that a misspelt
        field is refused, with the Python library kubernetes-validate.
      - Where the namespace exists, the API server is asked to apply them in a dry run as well. It refuses what its policies and other field managers refuse.
    type: list
    elements: dict
    default: []
  removals:
    description:
      - Objects that are going to be removed. One that exists and is somebody else's is refused, unless O(force=true).
      - Somebody else's is a Secret of another type than C(Opaque), and any other object without the label C(app.kubernetes.io/managed-by=expanso.edge).
      - C(kind) is V(ConfigMap), V(Deployment), V(PersistentVolumeClaim) or V(Secret), C(name) the object's name.
    type: list
    elements: dict
    default: []
  require_validation:
    description:
      - Fail where kubernetes-validate is not installed. Otherwise only the API server validates the manifests then.
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
- name: See that the account may manage the Secret
  expanso.edge.k8s_preflight:
    namespace: expanso-system
    permissions:
      - kind: Secret
        name: expanso-bootstrap-token
        verbs: [get, create, patch]
"""

RETURN = r"""
namespace_exists:
  description: Whether the namespace exists. V(null) where the account may not look.
  type: bool
  returned: success
server_version:
  description: Version of the API server.
  type: str
  returned: success
  sample: v1.32.5
dry_run:
  description: Whether the cluster can tell beforehand what it would do. V(false) where an admission webhook takes no dry run.
  type: bool
  returned: success
validated:
  description: Whether the manifests were validated here.
  type: bool
  returned: success
msg:
  description: What is wrong, or that nothing is.
  type: str
  returned: always
"""

from typing import Any, Dict, List, Optional

from ansible_collections.expanso.edge.plugins.module_utils._cluster import OptionError, record
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import (
    ARGUMENT_SPEC,
    FIELD_MANAGER,
    KINDS,
    LABEL_KEY,
    LABEL_VALUE,
    MANAGED_BY,
    NAME,
    SECRET_TYPE,
    Api,
    ApiError,
    SetupError,
    being_removed,
    unusable,
)
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule

try:
    import kubernetes_validate
    import kubernetes_validate.utils

    VALIDATE_FAULT = None  # type: Optional[Exception]
except Exception as exc:  # pylint: disable=broad-except
    VALIDATE_FAULT = exc

PERMITTED = ("ConfigMap", "Deployment", "Event", "Namespace", "PersistentVolumeClaim", "Pod", "Secret")
REMOVABLE = ("ConfigMap", "Deployment", "PersistentVolumeClaim", "Secret")


def namespace_exists(api: Api, namespace: str) -> Optional[bool]:
    """Whether the namespace exists; None where the account may not look, as one that is confined to it usually may not."""
    try:
        found = api.get("Namespace", None, namespace)
    except ApiError as exc:
        if exc.status == 403:
            return None
        raise
    if being_removed(found):
        raise ApiError("namespace {0} is {1}: try again when it is gone".format(namespace, being_removed(found)))
    return found is not None


def forbidden(api: Api, params: Dict[str, Any], exists: Optional[bool]) -> List[str]:
    """Return what the account may not do."""
    wanted = []
    if exists is False and params["missing_namespace"] == "create":
        wanted.append(("create", "Namespace", None, params["namespace"]))
    for each in params["permissions"]:
        namespace = params["namespace"] if KINDS[each["kind"]].namespaced else None
        wanted += [(verb, each["kind"], namespace, each["name"]) for verb in each["verbs"]]
    return [phrase(*each) for each in wanted if not api.may(*each)]


def phrase(verb: str, kind: str, namespace: Optional[str], name: Optional[str]) -> str:
    group = KINDS[kind].group
    resource = "{0}.{1}".format(KINDS[kind].resource, group) if group else KINDS[kind].resource
    return " ".join(filter(None, (verb, resource, name, "in namespace {0}".format(namespace) if namespace else "")))


def invalid(manifests: List[Dict[str, Any]], version: str) -> List[str]:
    """Return what is wrong with manifests by the schema of a version of Kubernetes, or of the nearest that is known."""
    known = sorted(set(kubernetes_validate.utils.all_versions()), key=numbers)
    version = ([known[0]] + [each for each in known if numbers(each) <= numbers(version)])[-1]
    faults = []
    for manifest in manifests:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as exc:
            where = ".".join(str(part) for part in exc.path) or "manifest"
            faults.append("{0} {1}: {2}: {3}".format(manifest.get("kind"), manifest.get("metadata", {}).get("name"), where, exc.message))
    return faults


def malformed(params: Dict[str, Any]) -> List[str]:
    """Return what the API server would refuse only when something has been made already: names, and places where volumes are mounted."""
    names = [("Namespace", params["namespace"])] + [(each["kind"], each["name"]) for each in params["permissions"] if each["name"]]
    faults = ["{0} {1!r}: no name in Kubernetes (lower case letters, digits, '-' and '.')".format(*each) for each in names if not NAME.fullmatch(each[1])]
    for manifest in params["manifests"]:
        faults += _no_texts(manifest)
        pod = ((manifest.get("spec") or {}).get("template") or {}).get("spec") or {}
        for container in (pod.get("initContainers") or []) + (pod.get("containers") or []):
            places = [mount.get("mountPath", "").rstrip("/") for mount in container.get("volumeMounts") or []]
            twice = sorted({place or "/" for place in places if not place or places.count(place) > 1})
            faults += ["container {0}: nothing else can be mounted at {1}".format(container.get("name"), place) for place in twice]
    return list(dict.fromkeys(faults))


def _no_texts(manifest: Dict[str, Any]) -> List[str]:
    """Return which labels, annotations and variables are no texts, or no labels: names that are too long for one among them."""
    faults = []
    template = (manifest.get("spec") or {}).get("template") or {}
    for place in (manifest, template):
        metadata = place.get("metadata") or {}
        what = "{0} {1}".format(manifest.get("kind"), (manifest.get("metadata") or {}).get("name"))
        for sort in ("labels", "annotations"):
            for key, value in (metadata.get(sort) or {}).items():
                if not isinstance(value, str):
                    faults.append("{0}: {1} {2} has to be text".format(what, sort[:-1], key))
                elif not LABEL_KEY.fullmatch(key):
                    faults.append("{0}: {1!r} is no key of {2}".format(what, key[:70], sort))
                elif sort == "labels" and not LABEL_VALUE.fullmatch(value):
                    faults.append("{0}: {1!r} cannot be the value of label {2}: letters, digits and '-_.', 63 at most".format(what, value[:70], key))
    for container in ((template.get("spec") or {}).get("initContainers") or []) + ((template.get("spec") or {}).get("containers") or []):
        for each in container.get("env") or []:
            if "valueFrom" not in each and not isinstance(each.get("value"), str):
                faults.append("container {0}: the value of variable {1} has to be text".format(container.get("name"), each.get("name")))
    return faults


def of_others(api: Api, params: Dict[str, Any]) -> List[str]:
    """Return what stands in the way: objects that are to be removed but are somebody else's, and those to be applied that are on their way out."""
    faults = []
    for each in params["removals"]:
        found = api.get(each["kind"], params["namespace"], each["name"]) or {}
        what = "{0} {1} in namespace {2}".format(each["kind"], each["name"], params["namespace"])
        if each["kind"] == "Secret":
            if found and found.get("type", SECRET_TYPE) != SECRET_TYPE:
                faults.append("{0} is of type {1}, not {2}, so it belongs to something else: choose another name".format(what, found["type"], SECRET_TYPE))
        elif found and not params["force"] and (found["metadata"].get("labels") or {}).get(MANAGED_BY) != FIELD_MANAGER:
            faults.append("{0} is somebody else's: choose another name, or remove it with force".format(what))
    for manifest in params["manifests"]:
        metadata = manifest.get("metadata") or {}
        found = api.get(manifest["kind"], params["namespace"], metadata.get("name", "")) or {}
        if being_removed(found):
            what = "{0} {1} in namespace {2}".format(manifest["kind"], metadata["name"], params["namespace"])
            faults.append("{0} is {1}: try again when it is gone".format(what, being_removed(found)))
    return faults


def numbers(version: str) -> List[int]:
    """Return what of a version such as v1.32.5+k3s1 counts for its schema: 1 and 32."""
    return [int(part) for part in version.lstrip("v").split(".")[:2]]


def _with_list(found: Dict[str, Any], key: str) -> Dict[str, Any]:
    """Return a dictionary where a list may be text with commas, as Ansible takes it."""
    return dict(found, **{key: found[key].split(",")}) if isinstance(found.get(key), str) else found


def planned(params: Dict[str, Any]) -> Dict[str, Any]:
    """Return the options with their dictionaries looked at.

    :raises OptionError: one holds something else than it may
    """
    permissions = [
        record("option permissions, entry {0}".format(number), _with_list(each, "verbs"), {"kind": str, "verbs": list}, {"name": str})
        for number, each in enumerate(params["permissions"] or [], 1)
    ]
    removals = [
        record("option removals, entry {0}".format(number), each, {"kind": str, "name": str}, {})
        for number, each in enumerate(params["removals"] or [], 1)
    ]
    for option, found, possible in (("permissions", permissions, PERMITTED), ("removals", removals, REMOVABLE)):
        for each in found:
            if each["kind"] not in possible:
                raise OptionError("option {0}: kind {1!r} is not possible, but {2} are".format(option, each["kind"][:70], ", ".join(possible)))
    for number, manifest in enumerate(params["manifests"] or [], 1):
        metadata = manifest.get("metadata")
        if manifest.get("kind") not in KINDS or not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            raise OptionError("option manifests, entry {0}: it needs a kind, one of {1}, and metadata with a name".format(number, ", ".join(sorted(REMOVABLE))))
    return dict(params, permissions=permissions, removals=removals)


def try_out(api: Api, module: EdgeModule) -> bool:
    """Have the API server apply the manifests in a dry run; return whether it could."""
    api.dry_run = True
    for manifest in module.params["manifests"]:
        try:
            api.apply(manifest, module.params["force"])
        except ApiError as exc:
            if not exc.no_dry_run:
                raise
            module.warn("the cluster cannot tell beforehand whether it takes {0} {1}: {2}".format(manifest["kind"], manifest["metadata"]["name"], exc))
            return False
    return True


def look(module: EdgeModule) -> Dict[str, Any]:
    api = Api(module)
    params = planned(module.params)
    version = api.version()
    exists = namespace_exists(api, params["namespace"])
    if exists is False and params["missing_namespace"] == "refuse":
        raise ApiError("namespace {0} does not exist: create it, or let it be created".format(params["namespace"]))
    faults = malformed(params)
    if faults:
        raise ApiError("; ".join(faults))
    faults = forbidden(api, params, exists)
    if faults:
        raise ApiError("the account may not {0}: give it these rights, or use another account".format("; ".join(faults)))
    faults = [] if exists is False else of_others(api, params)
    if faults:
        raise ApiError("; ".join(faults))
    if VALIDATE_FAULT is not None and params["require_validation"]:
        raise SetupError(unusable(VALIDATE_FAULT, "kubernetes_validate").replace("kubernetes_validate", "kubernetes-validate"))
    validated = VALIDATE_FAULT is None and bool(params["manifests"])
    if validated:
        faults = invalid(params["manifests"], version)
        if faults:
            raise ApiError("the manifests are not valid for Kubernetes {0}: {1}".format(version, "; ".join(faults)))
    dry_run = try_out(api, module) if exists is not False else True
    return {
        "changed": False,
        "dry_run": dry_run,
        "namespace_exists": exists,
        "server_version": version,
        "validated": validated,
        "msg": "the cluster ({0}) would take what is planned".format(version),
    }


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "namespace": {"type": "str", "required": True},
            "missing_namespace": {"type": "str", "choices": ["refuse", "create", "ignore"], "default": "refuse"},
            # looked at in planned(): see record()
            "permissions": {"type": "list", "elements": "dict", "default": []},
            "manifests": {"type": "list", "elements": "dict", "default": []},
            "removals": {"type": "list", "elements": "dict", "default": []},
            "require_validation": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(look, "look at the cluster")


if __name__ == "__main__":
    main()
