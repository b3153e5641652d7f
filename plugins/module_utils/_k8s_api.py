# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The Kubernetes API: connected to as kubernetes.core does, asked by path, and its faults put into a sentence."""

import base64
import binascii
import json
import logging
import os
import re
import socket
import sys
from typing import Any, Dict, List, NamedTuple, Optional
from urllib.parse import quote

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.expanso.edge.plugins.module_utils._cluster import OptionError, check_options, learn_url, record, texts
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._secrets import MASK

try:
    import kubernetes
    from kubernetes.dynamic.exceptions import DynamicApiError

    KUBERNETES_FAULT = None  # type: Optional[Exception]
except Exception as exc:  # pylint: disable=broad-except
    # not ImportError alone: a broken installation raises others
    KUBERNETES_FAULT = exc

try:
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import get_api_client

    COLLECTION_FAULT = None  # type: Optional[Exception]
except Exception as exc:  # pylint: disable=broad-except
    COLLECTION_FAULT = exc

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
    "proxy_headers": {"type": "dict"},
    "persist_config": {"type": "bool"},
    "impersonate_user": {"type": "str"},
    "impersonate_groups": {"type": "list", "elements": "str"},
}  # type: Dict[str, Any]
"""The options of kubernetes.core, which the documentation fragment ``k8s`` describes."""

PROXY_HEADERS = ("proxy_basic_auth", "basic_auth", "user_agent")
"""What ``proxy_headers`` may hold. Sub-options of the specification would be looked at before Ansible knows which options are secret."""

SECRET_VARIABLES = ("API_KEY", "PASSWORD", "PROXY_HEADERS_PROXY_BASIC_AUTH", "PROXY_HEADERS_BASIC_AUTH")
"""Environment variables behind ``K8S_AUTH_`` that kubernetes.core takes secrets from."""

LONGEST_KEY = 65536
_BEARER = re.compile(r"[\x21-\x7e]*")
_CREDENTIALS = re.compile(r"\b(bearer|basic)\s+[^\s'\"\\]+", re.IGNORECASE)

NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
LABEL_KEY = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


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

    @property
    def no_dry_run(self) -> bool:
        """Whether the cluster has an admission webhook that takes no dry run, so that nobody can tell what it would say."""
        return self.status == 400 and "not support dry run" in str(self)


class SetupError(EdgeError):
    """What no second try mends: a library that is missing, or credentials."""


def unusable(fault: Exception, library: str) -> str:
    """Return why a library cannot be imported: it is missing itself, or something that it needs is."""
    lacking = getattr(fault, "name", None) or ""
    if isinstance(fault, ImportError) and lacking.split(".")[0] == library:
        return missing_required_lib(library)
    if isinstance(fault, ImportError) and lacking:
        return "the Python library {0} is there, but needs {1}, which is not: install that for {2}".format(library, lacking, sys.executable)
    return "the Python library {0} cannot be used by {1} ({2}: {3}): install it anew, in a version for this Python".format(
        library, sys.executable, type(fault).__name__, fault
    )


def check_names(params: Dict[str, Any]) -> None:
    """See that an object's name and namespace can be such.

    :raises OptionError: one cannot
    """
    for option, rule in (("namespace", NAMESPACE), ("name", NAME), ("claim", NAME), ("keep", NAME)):
        value = params.get(option)
        if value is not None and not rule.fullmatch(value):
            raise OptionError(
                "option {0}: {1!r} is no name in Kubernetes: lower case letters, digits and '-'{2}, {3} characters at most".format(
                    option, value[:70], "" if rule is NAMESPACE else " and '.'", 63 if rule is NAMESPACE else 253
                )
            )


def labels_of(what: str, found: Optional[Dict[Any, Any]]) -> Dict[str, str]:
    """Return labels as texts that Kubernetes takes.

    :raises OptionError: it takes one of them not
    """
    labels = texts(what, found)
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key):
            raise OptionError("{0}: {1!r} is no key of a label: letters, digits and '-_.', a domain and '/' before, 63 at most".format(what, key[:70]))
        if not LABEL_VALUE.fullmatch(value):
            raise OptionError(
                "{0}: the value of {1}, {2!r}, is none of a label: letters, digits and '-_.' inside, 63 characters at most".format(what, key, value[:70])
            )
    return labels


def being_removed(found: Optional[Dict[str, Any]]) -> Optional[str]:
    """Return, in words, since when an object is on its way out, and what holds it; None for one that is to stay."""
    metadata = (found or {}).get("metadata") or {}
    if not metadata.get("deletionTimestamp"):
        return None
    holders = ", ".join(str(each) for each in metadata.get("finalizers") or [])
    return "being removed since {0}{1}".format(metadata["deletionTimestamp"], ", and held by finalizers ({0})".format(holders) if holders else "")


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
    if status == 403 and "system:anonymous" in said:
        advice = "give api_key, client_cert or a kubeconfig with a user"
        return "cannot {0}: the request carried no credentials that the API knows ({1}): {2}".format(tried, said, advice)
    if status == 403 and answer.get("reason") == "Forbidden" and "forbidden: User" in said:
        return "the account may not {0}: {1}".format(tried, said)
    if conflicts:
        fields = ", ".join("{0} ({1})".format(cause.get("field", "?"), cause.get("message", "?")) for cause in conflicts)
        return "cannot {0}: another manager owns fields with other values: {1}; take them over with force, or choose another name".format(tried, fields)
    return "cannot {0}: {1}".format(tried, said)


def _named(found: Any) -> bool:
    """Whether this is an object as every API server sends it."""
    return isinstance(found, dict) and isinstance(found.get("metadata"), dict) and isinstance(found["metadata"].get("name"), str)


def _object(body: Any) -> Dict[str, Any]:
    """Return the JSON object that a text is, an empty one where it is none."""
    try:
        found = json.loads(body.decode("utf-8") if isinstance(body, bytes) else body)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def bearer(text: str) -> str:
    """Return the bearer token that an ``api_key`` is: a file of it ends in a line break, as kubectl takes it.

    :raises OptionError: no request could carry it. The message shows none of it
    """
    key = text[:-1] if text.endswith("\n") else text
    key = key[:-1] if key.endswith("\r") else key
    if len(key) > LONGEST_KEY:
        raise OptionError("option api_key is {0} characters long: that is no bearer token".format(len(key)))
    good = _BEARER.match(key)
    if good is not None and good.end() < len(key):
        raise OptionError("option api_key has a blank, a line break or another character at position {0} that no bearer token has".format(good.end() + 1))
    return key


def check_proxy_headers(found: Optional[Dict[str, Any]]) -> None:
    """See that the headers for the proxy are those that kubernetes.core knows.

    :raises OptionError: they are not
    """
    if found is None:
        return
    record("option proxy_headers", found, {}, dict.fromkeys(PROXY_HEADERS, str))
    for name in ("proxy_basic_auth", "basic_auth"):
        if found.get(name) is not None and ":" not in found[name]:
            raise OptionError("option proxy_headers: {0} has to be name and password, separated by a colon".format(name))


def _given(module: EdgeModule) -> Dict[str, Any]:
    """Return the options of the connection that are set, and keep secrets that come from elsewhere out of what is said.

    :raises OptionError: one cannot be used
    """
    check_options(module.params, module.argument_spec)
    check_names(module.params)
    check_proxy_headers(module.params["proxy_headers"])
    for name in SECRET_VARIABLES:
        module.learn(os.environ.get("K8S_AUTH_{0}".format(name), "").strip())
    for url in (module.params["proxy"], os.environ.get("K8S_AUTH_PROXY"), module.params["host"], os.environ.get("K8S_AUTH_HOST")):
        learn_url(module.learn, url)
    given = {name: module.params[name] for name in ARGUMENT_SPEC if module.params[name] is not None}
    key = given.pop("api_key", None) or os.environ.get("K8S_AUTH_API_KEY")
    if key:
        given["api_key"] = module.learn(bearer(key))
    return given


def _has_credentials(configuration: Any) -> bool:
    return bool(configuration.api_key or configuration.cert_file or configuration.username)


def _secrets_of(configuration: Any) -> List[str]:
    """Return the account's credentials that the client found in a kubeconfig or a pod."""
    found = []
    for value in dict(configuration.api_key or {}).values():
        how, _blank, secret = str(value).partition(" ")
        found.append((secret or how).strip())
        if how.lower() == "basic":
            try:
                found.append(base64.b64decode(secret).decode("utf-8", "replace").partition(":")[2])
            except binascii.Error:
                continue
    return found + ([configuration.password] if configuration.password else [])


class _Heard(logging.Handler):
    """Keeps what the client logs: it goes on without credentials where their plugin fails, and says so in its log alone."""

    def __init__(self) -> None:
        super(_Heard, self).__init__(logging.ERROR)
        self.said = []  # type: List[str]

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


class Api:
    """Requests to one cluster. Every fault is an :class:`ApiError`."""

    def __init__(self, module: EdgeModule) -> None:
        if KUBERNETES_FAULT is not None:
            raise SetupError(unusable(KUBERNETES_FAULT, "kubernetes"))
        if COLLECTION_FAULT is not None:
            if "ansible_collections" in str(getattr(COLLECTION_FAULT, "name", "ansible_collections")):
                raise SetupError("the collection kubernetes.core is missing: install it with ansible-galaxy collection install kubernetes.core")
            raise SetupError(unusable(COLLECTION_FAULT, "kubernetes.core"))
        # the client itself would wait for minutes for an address where nobody answers
        socket.setdefaulttimeout(CONNECT_TIMEOUT)
        self.dry_run = module.check_mode
        self.untold = None  # type: Optional[str]  # why a dry run was not possible
        self.server = module.params["host"] or "the kubeconfig's server"
        client = self._connect(_given(module))
        for secret in _secrets_of(client.configuration):
            module.learn(secret)
        self._request = client.client.request
        self.server = client.configuration.host

    def _connect(self, given: Dict[str, Any]) -> Any:
        heard = _Heard()
        logging.getLogger().addHandler(heard)
        fault = None  # type: Optional[EdgeError]
        try:
            client = get_api_client(**given)
        except Exception as exc:  # of the client's many libraries
            if "host" in given and "kube-config" in str(exc):
                fault = SetupError("no credentials for {0}: give api_key, or client_cert and client_key".format(self.server))
            else:
                fault = ApiError(self._unreachable(exc), getattr(exc, "status", None))
        finally:
            logging.getLogger().removeHandler(heard)
        if heard.said and (fault is not None or not _has_credentials(client.configuration)):
            raise SetupError(
                "the credential plugin of the kubeconfig does not work, so there are no credentials ({0}): "
                "see that it is installed on the host that the module runs on, and on the PATH there".format("; ".join(heard.said))
            )
        if fault is not None:
            raise fault
        return client

    def _unreachable(self, exc: BaseException) -> str:
        if isinstance(exc, DynamicApiError):
            return explain(exc.status, exc.body, "connect to {0}".format(self.server))
        reason = getattr(exc, "reason", None) or exc
        text = str(reason).split(": ", 1)[-1] if "object at 0x" in str(reason) else str(reason)
        if "Invalid header value" in text:
            text = "a token of the kubeconfig, or a header, holds a line break or another character that no request can carry"
        text = _CREDENTIALS.sub(lambda found: "{0} {1}".format(found.group(1), MASK), text)
        return "cannot connect to the Kubernetes API ({0}): {1}".format(self.server, text or type(exc).__name__)

    def _ask(self, verb: str, method: str, kind: Kind, namespace: Optional[str], name: Optional[str], **options: Any) -> Dict[str, Any]:
        """Send a request; return the object that the API answered with. One with a name has metadata, uid or not."""
        tried = " ".join(filter(None, (verb, kind.resource, name, "in namespace {0}".format(namespace) if namespace else "")))
        try:
            answer = self._request(method, kind.path(namespace, name), serialize=False, **options)
        except DynamicApiError as exc:
            fault = ApiError(explain(exc.status, exc.body, tried), exc.status)
            if self.dry_run and fault.no_dry_run:
                self.untold = str(fault)
            raise fault from None
        except Exception as exc:
            raise ApiError("{0} (tried to {1})".format(self._unreachable(exc), tried)) from None
        found = self._decode(answer.data)
        if method in ("get", "patch") and name is not None and not _named(found):
            raise self._odd("an object without a name", tried)
        return found

    def _decode(self, data: bytes, key: str = "kind") -> Dict[str, Any]:
        found = _object(data)
        if key not in found:  # a proxy's login page, say
            raise ApiError("{0} answers, but not as a Kubernetes API does: is the address right?".format(self.server))
        return found

    def _odd(self, what: str, tried: str) -> ApiError:
        return ApiError("{0} answers, but not as a Kubernetes API does: {1} (tried to {2}); is the address right?".format(self.server, what, tried))

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
        found = self._ask("list", "get", KINDS[kind], namespace, None, label_selector=labels or None).get("items")
        if not isinstance(found, list) or not all(_named(each) for each in found):
            raise self._odd("a list without items that have names", "list {0}".format(KINDS[kind].resource))
        return found

    def apply(self, manifest: Dict[str, Any], force: bool = False, manager: str = FIELD_MANAGER) -> Dict[str, Any]:
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
            field_manager=manager,
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

    def delete(self, found: Dict[str, Any], cascade: str = "Background") -> None:
        """Delete an object, if it is still the one that was seen."""
        metadata = found["metadata"]
        # where there is a body, the API looks for a dry run there alone
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": cascade}  # type: Dict[str, Any]
        if metadata.get("uid"):
            options["preconditions"] = {"uid": metadata["uid"]}
        if self.dry_run:
            options["dryRun"] = ["All"]
        try:
            self._ask("delete", "delete", KINDS[found["kind"]], metadata.get("namespace"), metadata["name"], body=options)
        except ApiError as exc:
            if exc.status != 404:
                raise

    def again(self, found: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Return an object as it is now, None where it is gone, or another of its name is there."""
        metadata = found["metadata"]
        now = self.get(found["kind"], metadata.get("namespace"), metadata["name"])
        return now if now and now["metadata"].get("uid") == metadata.get("uid") else None

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
        if not isinstance(answer.get("status"), dict):
            raise self._odd("a review without a status", "ask for a right")
        return bool(answer["status"].get("allowed"))
