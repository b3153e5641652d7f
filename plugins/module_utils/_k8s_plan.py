# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What is planned for a cluster: the rights that it takes, and which of its names and fields are not possible.

Pure: the options of ``k8s_preflight`` go in. Nothing here talks to a cluster.
"""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._cluster import record, refuse_token
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import KINDS, LABEL_KEY, LABEL_VALUE, NAME

PERMITTED = ("ConfigMap", "Deployment", "Event", "Namespace", "PersistentVolumeClaim", "Pod", "Secret")
REMOVABLE = ("ConfigMap", "Deployment", "Namespace", "PersistentVolumeClaim", "Secret")
APPLICABLE = ("ConfigMap", "Deployment", "PersistentVolumeClaim", "Secret")

APPLY = ("get", "create", "patch")
REMOVE = ("get", "delete")


class Right(NamedTuple):
    """What an account may have to do; ``namespace`` and ``name`` are None where they do not matter."""

    verb: str
    kind: str
    namespace: Optional[str]
    name: Optional[str]

    def __str__(self) -> str:
        kind = KINDS[self.kind]
        resource = f"{kind.resource}.{kind.group}" if kind.group else kind.resource
        return " ".join(filter(None, (self.verb, resource, self.name, f"in namespace {self.namespace}" if self.namespace else "")))


def read_plan(params: Dict[str, Any]) -> Dict[str, Any]:
    """Return the options with their dictionaries checked and completed.

    :raises OptionError: one has an unknown key, a value that is not possible, or a token
    """
    permissions = [
        record(f"option permissions, entry {number}", _with_list(each, "verbs"), {"kind": str, "verbs": list}, {"name": str})
        for number, each in enumerate(params["permissions"] or [], 1)
    ]
    removals = [
        record(f"option removals, entry {number}", each, {"kind": str, "name": str}, {}) for number, each in enumerate(params["removals"] or [], 1)
    ]
    for option, found, possible in (("permissions", permissions, PERMITTED), ("removals", removals, REMOVABLE)):
        for each in found:
            if each["kind"] not in possible:
                raise OptionError(f"option {option}: kind {each['kind'][:70]!r} is not supported: use one of {', '.join(possible)}")
    for number, manifest in enumerate(params["manifests"] or [], 1):
        metadata = manifest.get("metadata")
        if manifest.get("kind") not in APPLICABLE or not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            raise OptionError(f"option manifests, entry {number}: it needs a kind, one of {', '.join(APPLICABLE)}, and metadata with a name")
        refuse_token(f"option manifests: entry {number}", manifest, f"a {manifest['kind']}")
    secret = _read_secret_plan(params["secret"]) if params["secret"] else None
    if secret and secret["state"] == "absent" and not secret["immutable"]:
        removals.append({"kind": "Secret", "name": secret["name"]})
    return {**params, "permissions": permissions, "removals": removals, "secret": secret}


def _read_secret_plan(found: Dict[str, Any]) -> Dict[str, Any]:
    """Return what ``k8s_secret`` is going to be called with."""
    switches = {}
    for name in ("immutable", "remove_when_registered"):
        try:
            switches[name] = bool(boolean(found.get(name) or False))
        except TypeError:
            raise OptionError(f"option secret: {name} has to be true or false") from None
    rest = {key: value for key, value in found.items() if key not in switches}
    secret = record("option secret", rest, {"name": str}, {"state": str, "claim": str})
    if secret["state"] not in (None, "present", "absent"):
        raise OptionError("option secret: state has to be present or absent")
    return {**secret, **switches}


def _with_list(found: Dict[str, Any], key: str) -> Dict[str, Any]:
    """Return a dictionary where a list may be text with commas, as Ansible accepts it."""
    return {**found, key: found[key].split(",")} if isinstance(found.get(key), str) else found


def rights(plan: Dict[str, Any], namespace_exists: Optional[bool]) -> List[Right]:
    """Return the rights that a plan takes, each once.

    :param plan: as :func:`read_plan` returns it
    :param namespace_exists: None where that is unknown
    """
    wanted: List[Tuple[str, Optional[str], Any]] = [(each["kind"], each["name"], each["verbs"]) for each in plan["permissions"]]
    wanted += [(each["kind"], each["metadata"]["name"], APPLY) for each in plan["manifests"] or []]
    wanted += [(each["kind"], each["name"], REMOVE) for each in plan["removals"]]
    wanted += _rights_for_secret(plan["secret"], plan["wait"]) if plan["secret"] else []
    if plan["wait"]:
        wanted += [("Pod", None, ["list"]), ("Event", None, ["list"])]
    found = []
    if namespace_exists is False and plan["missing_namespace"] == "create":
        found.append(Right("create", "Namespace", None, plan["namespace"]))
    for kind, name, verbs in wanted:
        namespace = plan["namespace"] if KINDS[kind].namespaced else None
        found += [Right(verb, kind, namespace, name) for verb in verbs]
    return list(dict.fromkeys(found))


def _rights_for_secret(secret: Dict[str, Any], wait: bool) -> Iterator[Tuple[str, Optional[str], Any]]:
    """Yield what ``k8s_secret`` is going to do. A Secret for each token has a name that is unknown beforehand."""
    name = None if secret["immutable"] else secret["name"]
    yield "Secret", name, REMOVE if secret["state"] == "absent" else APPLY
    if secret["immutable"]:
        yield "Secret", None, ["list", "delete"]
    elif secret["remove_when_registered"]:
        yield "Secret", name, ["delete"]
    if secret["claim"] and secret["state"] != "absent":
        # it is marked when the agent has registered
        yield "PersistentVolumeClaim", secret["claim"], ["get", "patch"] if wait else ["get"]


def invalid_names_and_mounts(plan: Dict[str, Any]) -> List[str]:
    """Return what the API server would refuse only when something has been created already: names, texts, and places where volumes are mounted."""
    names = [("Namespace", plan["namespace"])]
    names += [(each["kind"], each["name"]) for each in plan["permissions"] + plan["removals"] if each["name"]]
    names += [("Secret", plan["secret"]["name"])] if plan["secret"] else []
    names += [(each["kind"], each["metadata"]["name"]) for each in plan["manifests"] or []]
    faults = [f"{name!r} cannot name a {kind}: use lower case letters, digits, '-' and '.'" for kind, name in names if not NAME.fullmatch(name)]
    for manifest in plan["manifests"] or []:
        faults += _not_texts(manifest)
        for container in _containers(manifest):
            places = [mount.get("mountPath", "").rstrip("/") for mount in container.get("volumeMounts") or []]
            twice = sorted({place or "/" for place in places if not place or places.count(place) > 1})
            faults += [f"container {container.get('name')}: nothing else can be mounted at {place}" for place in twice]
    return list(dict.fromkeys(faults))


def _template(manifest: Dict[str, Any]) -> Dict[str, Any]:
    return (manifest.get("spec") or {}).get("template") or {}


def _containers(manifest: Dict[str, Any]) -> List[Dict[str, Any]]:
    pod = _template(manifest).get("spec") or {}
    return (pod.get("initContainers") or []) + (pod.get("containers") or [])


def _not_texts(manifest: Dict[str, Any]) -> List[str]:
    """Return which labels, annotations and variables are not texts, or cannot be labels: names that are too long for one among them."""
    faults = []
    what = f"{manifest.get('kind')} {(manifest.get('metadata') or {}).get('name')}"
    for place in (manifest, _template(manifest)):
        metadata = place.get("metadata") or {}
        for sort in ("labels", "annotations"):
            for key, value in (metadata.get(sort) or {}).items():
                if not isinstance(value, str):
                    faults.append(f"{what}: {sort[:-1]} {key} has to be text")
                elif not LABEL_KEY.fullmatch(key):
                    faults.append(f"{what}: {key[:70]!r} is not a key of {sort}")
                elif sort == "labels" and not LABEL_VALUE.fullmatch(value):
                    faults.append(f"{what}: {value[:70]!r} cannot be the value of label {key}: use letters, digits and '-_.', at most 63 characters")
    for container in _containers(manifest):
        for each in container.get("env") or []:
            if "valueFrom" not in each and not isinstance(each.get("value"), str):
                faults.append(f"container {container.get('name')}: the value of variable {each.get('name')} has to be text")
    return faults
