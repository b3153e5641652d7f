# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The Kubernetes API: connected to as kubernetes.core does, asked by path, and its faults put into a sentence."""

import json
import socket
import traceback
from typing import Any, Dict, List, NamedTuple, Optional
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError

try:
    import kubernetes
    from kubernetes.dynamic.exceptions import DynamicApiError

    KUBERNETES_ERROR = None  # type: Optional[str]
except ImportError:
    KUBERNETES_ERROR = traceback.format_exc()

try:
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import get_api_client

    HAS_COLLECTION = True
except ImportError:
    HAS_COLLECTION = False

FIELD_MANAGER = "expanso.edge"
MANAGED_BY = "app.kubernetes.io/managed-by"
"""Label of what is ours, with the field manager as its value: nothing else is removed."""

SECRET_TYPE = "Opaque"
FINGERPRINT = "expanso.edge/token-fingerprint"
"""Annotation that says which token a Secret holds, a pod was started for, or the identity on a volume was given last."""

CONNECT_TIMEOUT = 20
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

ARGUMENT_SPEC = {
    "kubeconfig": {"type": "raw"},
    "context": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
    "client_cert": {"type": "path", "aliases": ["cert_file"]},
    "client_key": {"type": "path", "aliases": ["key_file"]},
    "proxy": {"type": "str"},
    "no_proxy": {"type": "str"},
    "proxy_headers": {
        "type": "dict",
        "options": {
            "proxy_basic_auth": {"type": "str", "no_log": True},
            "basic_auth": {"type": "str", "no_log": True},
            "user_agent": {"type": "str"},
        },
    },
    "persist_config": {"type": "bool"},
    "impersonate_user": {"type": "str"},
    "impersonate_groups": {"type": "list", "elements": "str"},
}  # type: Dict[str, Any]
"""The options of kubernetes.core, which the documentation fragment ``k8s`` describes."""


class Kind(NamedTuple):
    """How the API calls what a manifest calls by its kind."""

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
        Kind("Secret", "secrets"),
        Kind("SelfSubjectAccessReview", "selfsubjectaccessreviews", "authorization.k8s.io", namespaced=False),
    )
}


class ApiError(EdgeError):
    """A request that the API refused, or that did not reach it: what was tried, and why not, in a sentence."""

    def __init__(self, message: str, status: Optional[int] = None, **details: Any) -> None:
        super(ApiError, self).__init__(message, **details)
        self.status = status


def explain(status: Optional[int], body: Any, tried: str) -> str:
    """Return what an error answer of the API means.

    :param tried: verb, resource, name and namespace, such as ``patch secrets NAME in namespace NAMESPACE``
    """
    answer = _object(body)
    said = str(answer.get("message") or "").strip() or "status {0}".format(status)
    causes = (answer.get("details") or {}).get("causes") or []
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if status == 401:
        return "cannot {0}: the API does not accept the credentials ({1})".format(tried, said)
    if status == 403 and answer.get("reason") == "Forbidden" and "forbidden: User" in said:
        return "the account may not {0}: {1}".format(tried, said)
    if conflicts:
        fields = ", ".join("{0} ({1})".format(cause.get("field", "?"), cause.get("message", "?")) for cause in conflicts)
        return "cannot {0}: another manager owns fields with other values: {1}; take them over with force, or choose another name".format(tried, fields)
    return "cannot {0}: {1}".format(tried, said)


def _object(body: Any) -> Dict[str, Any]:
    """Return the JSON object that a text is, an empty one where it is none."""
    try:
        found = json.loads(body.decode("utf-8") if isinstance(body, bytes) else body)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Api:
    """Requests to one cluster. Every fault is an :class:`ApiError`."""

    def __init__(self, module: AnsibleModule) -> None:
        if KUBERNETES_ERROR is not None:
            raise ApiError(missing_required_lib("kubernetes"), exception=KUBERNETES_ERROR)
        if not HAS_COLLECTION:
            raise ApiError("the collection kubernetes.core is missing: install it with ansible-galaxy collection install kubernetes.core")
        # the client itself would wait for minutes for an address where nobody answers
        socket.setdefaulttimeout(CONNECT_TIMEOUT)
        self.dry_run = module.check_mode
        given = {name: module.params[name] for name in ARGUMENT_SPEC if module.params[name] is not None}
        self.server = given.get("host") or "the kubeconfig's server"
        try:
            client = get_api_client(**given)
        except Exception as exc:  # of the client's many libraries
            if "host" in given and "kube-config" in str(exc):
                raise ApiError("no credentials for {0}: give api_key, or client_cert and client_key".format(self.server)) from None
            raise ApiError(self._unreachable(exc)) from None
        self._request = client.client.request
        self.server = client.configuration.host

    def _unreachable(self, exc: BaseException) -> str:
        if isinstance(exc, DynamicApiError):
            return explain(exc.status, exc.body, "connect to {0}".format(self.server))
        reason = getattr(exc, "reason", None) or exc
        text = str(reason).split(": ", 1)[-1] if "object at 0x" in str(reason) else str(reason)
        return "cannot connect to the Kubernetes API ({0}): {1}".format(self.server, text or type(exc).__name__)

    def _ask(self, verb: str, method: str, kind: Kind, namespace: Optional[str], name: Optional[str], **options: Any) -> Dict[str, Any]:
        tried = " ".join(filter(None, (verb, kind.resource, name, "in namespace {0}".format(namespace) if namespace else "")))
        try:
            answer = self._request(method, kind.path(namespace, name), serialize=False, **options)
        except DynamicApiError as exc:
            raise ApiError(explain(exc.status, exc.body, tried), exc.status) from None
        except Exception as exc:
            raise ApiError("{0} (tried to {1})".format(self._unreachable(exc), tried)) from None
        return self._decode(answer.data)

    def _decode(self, data: bytes, key: str = "kind") -> Dict[str, Any]:
        found = _object(data)
        if key not in found:  # a proxy's login page, say
            raise ApiError("{0} answers, but not as a Kubernetes API does: is the address right?".format(self.server))
        return found

    def get(self, kind: str, namespace: Optional[str], name: str) -> Optional[Dict[str, Any]]:
        """Return an object, None where there is none."""
        try:
            return self._ask("get", "get", KINDS[kind], namespace, name)
        except ApiError as exc:
            if exc.status == 404:
                return None
            raise

    def version(self) -> str:
        """Return the version of the API server, such as v1.32.5."""
        try:
            answer = self._request("get", "/version", serialize=False)
        except Exception as exc:
            raise ApiError(self._unreachable(exc)) from None
        return str(self._decode(answer.data, "gitVersion")["gitVersion"])

    def find(self, kind: str, namespace: str, labels: str = "") -> List[Dict[str, Any]]:
        """Return the objects in a namespace that carry the labels."""
        return self._ask("list", "get", KINDS[kind], namespace, None, label_selector=labels or None)["items"]

    def apply(self, manifest: Dict[str, Any], force: bool = False) -> Dict[str, Any]:
        """Apply a manifest on the server, as a field manager of our own; return the object that came of it."""
        metadata = manifest["metadata"]
        body = manifest  # type: Any
        if int(kubernetes.__version__.split(".")[0]) < 25:  # the older client cannot serialize it for this content type
            body = json.dumps(manifest).encode("utf-8")
        return self._ask(
            "patch",
            "patch",
            KINDS[manifest["kind"]],
            metadata.get("namespace"),
            metadata["name"],
            body=body,
            content_type="application/apply-patch+yaml",
            field_manager=FIELD_MANAGER,
            force_conflicts=force,
            dry_run="All" if self.dry_run else None,
        )

    def create_namespace(self, name: str) -> None:
        """Create a namespace. Applied, it would be ours to describe; it is only ours to make."""
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            self._ask("create", "post", KINDS["Namespace"], None, None, body=manifest, dry_run="All" if self.dry_run else None)
        except ApiError as exc:
            if exc.status != 409:  # somebody else was faster
                raise

    def delete(self, found: Dict[str, Any]) -> None:
        """Delete an object, if it is still the one that was seen."""
        metadata = found["metadata"]
        # where there is a body, the API looks for a dry run there alone
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": metadata["uid"]}}  # type: Dict[str, Any]
        if self.dry_run:
            options["dryRun"] = ["All"]
        try:
            self._ask(
                "delete",
                "delete",
                KINDS[found["kind"]],
                metadata.get("namespace"),
                metadata["name"],
                body=options,
            )
        except ApiError as exc:
            if exc.status != 404:
                raise

    def remove_key(self, found: Dict[str, Any], key: str) -> Dict[str, Any]:
        """Take one key out of the data of a Secret or ConfigMap; return what is left."""
        metadata = found["metadata"]
        return self._ask(
            "patch",
            "patch",
            KINDS[found["kind"]],
            metadata["namespace"],
            metadata["name"],
            body={"metadata": {"uid": metadata["uid"]}, "data": {key: None}},
            content_type="application/merge-patch+json",
            field_manager=FIELD_MANAGER,
            dry_run="All" if self.dry_run else None,
        )

    def may(self, verb: str, kind: str, namespace: Optional[str], name: Optional[str]) -> bool:
        """Ask whether the account may do something; nobody is forbidden to ask."""
        attributes = {"verb": verb, "group": KINDS[kind].group, "resource": KINDS[kind].resource}
        attributes.update({key: value for key, value in (("namespace", namespace), ("name", name)) if value})
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        answer = self._ask("create", "post", KINDS["SelfSubjectAccessReview"], None, None, body=review)
        return bool(answer["status"].get("allowed"))
