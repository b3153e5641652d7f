# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Objects in a cluster: how they can be named, and which of them, and which fields in them, are managed by this collection.

Pure. See https://kubernetes.io/docs/reference/using-api/server-side-apply/.
"""

import re
from typing import Any, Dict, NamedTuple, Optional
from urllib.parse import quote

from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._cluster import refuse_token, texts

FIELD_MANAGER = "expanso.edge"
MANAGED_BY = "app.kubernetes.io/managed-by"
"""Label of objects of ours, with the field manager as its value: only these are removed."""

SECRET_TYPE = "Opaque"
FINGERPRINT = "expanso.edge/token-fingerprint"
"""Annotation that says which token a Secret holds, a pod was started for, or the identity on a volume was given last."""

NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
LABEL_KEY = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


class Kind(NamedTuple):
    """A kind of object, as manifests and as the API name it."""

    kind: str
    resource: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True

    def path(self, namespace: Optional[str] = None, name: Optional[str] = None) -> str:
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.resource)
        if name is not None:
            parts.append(name)
        return "/" + "/".join(quote(part, safe="") for part in parts)


KINDS = {
    kind.kind: kind
    for kind in (
        Kind("ConfigMap", "configmaps"),
        Kind("Deployment", "deployments", "apps"),
        Kind("Event", "events"),
        Kind("Namespace", "namespaces", namespaced=False),
        Kind("PersistentVolumeClaim", "persistentvolumeclaims"),
        Kind("Pod", "pods"),
        Kind("ReplicaSet", "replicasets", "apps"),
        Kind("Secret", "secrets"),
        Kind("SelfSubjectAccessReview", "selfsubjectaccessreviews", "authorization.k8s.io", namespaced=False),
    )
}


def title(kind: str, name: str, namespace: Optional[str] = None) -> str:
    """Return how messages call an object."""
    return f"{kind} {name} in namespace {namespace}" if namespace else f"{kind} {name}"


VARIABLES = {"namespace": " (k8s_secret_namespace)", "name": " (k8s_secret_name)", "claim": " (k8s_secret_deployment_claim)"}
"""The role's variables behind options, for messages."""


def check_names(params: Dict[str, Any]) -> None:
    """Check the options that name objects and their namespace.

    :raises OptionError: Kubernetes does not accept one of the names
    """
    for option, rule in (("namespace", NAMESPACE), ("name", NAME), ("claim", NAME), ("deployment", NAME), ("keep", NAME)):
        value = params.get(option)
        if value is not None and not rule.fullmatch(value):
            characters, most = ("'-'", 63) if rule is NAMESPACE else ("'-' and '.'", 253)
            raise OptionError(
                f"option {option}{VARIABLES.get(option, '')}: {value[:70]!r} is not a name in Kubernetes: "
                f"use lower case letters, digits and {characters}, at most {most} characters"
            )


def labels_of(what: str, found: Optional[Dict[Any, Any]]) -> Dict[str, str]:
    """Return labels as texts that Kubernetes accepts.

    :raises OptionError: it does not accept one of them, or they contain a token
    """
    labels = texts(what, found)
    refuse_token(what, labels, "labels")
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key):
            raise OptionError(f"{what}: {key[:70]!r} is not a label key: use letters, digits and '-_.', a domain and '/' before them, at most 63 characters")
        if not LABEL_VALUE.fullmatch(value):
            raise OptionError(f"{what}: {value[:70]!r} cannot be the value of label {key}: use letters, digits and '-_.' inside, at most 63 characters")
    return labels


def being_removed(found: Optional[Dict[str, Any]]) -> Optional[str]:
    """Return, in words, since when an object is being removed, and what holds it; None for one that stays."""
    metadata = (found or {}).get("metadata") or {}
    if not metadata.get("deletionTimestamp"):
        return None
    holders = ", ".join(str(each) for each in metadata.get("finalizers") or [])
    return f"being removed since {metadata['deletionTimestamp']}{f', and held by finalizers ({holders})' if holders else ''}"


def still_there(found: Dict[str, Any]) -> str:
    """Return, in words, that an object which was deleted still exists."""
    return being_removed(found) or "unchanged, although the API server confirmed its deletion"


def of_another_manager(found: Dict[str, Any], what: str) -> Optional[str]:
    """Return, in words, that an object is not managed by this collection, by its label; None for one that is."""
    ours = (found["metadata"].get("labels") or {}).get(MANAGED_BY) == FIELD_MANAGER
    return None if ours else f"{what} is not managed by this collection: choose another name, or remove it nevertheless with force=true (k8s_secret_force)"


def of_wrong_type(secret: Dict[str, Any], what: str) -> Optional[str]:
    """Return, in words, that a Secret is of a type that this collection does not create; None for one that it may have created."""
    found = secret.get("type", SECRET_TYPE)
    return None if found == SECRET_TYPE else f"{what} is of type {found}, not {SECRET_TYPE}, so another program uses it: choose another name"


def part(found: Any, pattern: Any) -> Any:
    """Return the fields of an object that a manifest has. Of a list with names, as containers have, the entries by these names."""
    if isinstance(pattern, dict) and isinstance(found, dict):
        return {key: part(found.get(key), pattern[key]) for key in pattern}
    if isinstance(pattern, list) and isinstance(found, list) and all(isinstance(each, dict) and "name" in each for each in pattern):
        by_name = {each.get("name"): each for each in found if isinstance(each, dict)}
        return [part(by_name.get(each["name"]), each) for each in pattern]
    return found


def owned(found: Dict[str, Any], manager: str) -> Any:
    """Return the names of the fields that a manager owns by applying, which shows a field that it no longer sets."""
    entries = found["metadata"].get("managedFields") or []
    return [each.get("fieldsV1") for each in entries if isinstance(each, dict) and each.get("manager") == manager and each.get("operation") == "Apply"]


def differs(before: Optional[Dict[str, Any]], after: Dict[str, Any], manifest: Dict[str, Any], manager: str) -> bool:
    """Whether applying the manifest changed anything of ours. What policies of the cluster add at each run is not ours."""
    return before is None or part(before, manifest) != part(after, manifest) or owned(before, manager) != owned(after, manager)
