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
from typing import Any, Callable, Dict, List, Optional

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.expanso.edge.plugins.module_utils._cluster import OptionError, check_options, learn_url, record
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import FIELD_MANAGER, KINDS, Kind, check_names
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._secrets import MASK

try:
    import kubernetes
    from kubernetes.dynamic.exceptions import DynamicApiError

    KUBERNETES_FAULT: Optional[Exception] = None
except Exception as exc:  # pylint: disable=broad-except
    # not ImportError alone: a broken installation raises others
    KUBERNETES_FAULT = exc

try:
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import get_api_client

    COLLECTION_FAULT: Optional[Exception] = None
except Exception as exc:  # pylint: disable=broad-except
    COLLECTION_FAULT = exc

CONNECT_TIMEOUT = 20

ARGUMENT_SPEC: Dict[str, Any] = {
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
}
"""The options of kubernetes.core, which the documentation fragment ``_k8s`` describes."""

PROXY_HEADERS = ("proxy_basic_auth", "basic_auth", "user_agent")
"""What ``proxy_headers`` may hold. Sub-options of the specification would be looked at before Ansible knows which options are secret."""

SECRET_VARIABLES = ("API_KEY", "PASSWORD", "PROXY_HEADERS_PROXY_BASIC_AUTH", "PROXY_HEADERS_BASIC_AUTH")
"""Environment variables behind ``K8S_AUTH_`` that kubernetes.core takes secrets from."""

LONGEST_KEY = 65536
_BEARER = re.compile(r"[\x21-\x7e]*")
_CREDENTIALS = re.compile(r"\b(bearer|basic)\s+[^\s'\"\\]+", re.IGNORECASE)


class ApiError(EdgeError):
    """A request that the API refused, or that did not reach it: what was tried, and why not, in a sentence."""

    def __init__(self, message: str, status: Optional[int] = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.status = status

    @property
    def no_dry_run(self) -> bool:
        """Whether an admission webhook of the cluster does not support dry runs, so that its answer is unknown beforehand."""
        return self.status == 400 and "not support dry run" in str(self)


class SetupError(EdgeError):
    """A fault that another attempt cannot mend: a missing library, or missing credentials."""


def unusable(fault: Exception, library: str) -> str:
    """Return why a library cannot be imported: it is missing itself, or something that it needs is."""
    missing = getattr(fault, "name", None) or ""
    if isinstance(fault, ImportError) and missing.split(".")[0] == library:
        return missing_required_lib(library)
    if isinstance(fault, ImportError) and missing:
        return f"the Python library {library} is installed, but {missing}, which it needs, is missing: install it for {sys.executable}"
    cause = f"{type(fault).__name__}: {fault}"
    return f"the Python library {library} cannot be used by {sys.executable} ({cause}): reinstall it, in a version for this Python"


def explain(status: Optional[int], body: Any, tried: str) -> str:
    """Return what an error answer of the API means.

    :param tried: verb, resource, name and namespace, such as ``patch secrets NAME in namespace NAMESPACE``
    """
    answer = _object(body)
    output = str(answer.get("message") or "").strip() or f"status {status}"
    causes = (answer.get("details") or {}).get("causes") or []
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if status == 401:
        return f"cannot {tried}: the API does not accept the credentials ({output})"
    if status == 403 and "system:anonymous" in output:
        return f"cannot {tried}: the request had no credentials that the API knows ({output}): give api_key, client_cert or a kubeconfig with a user"
    if status == 403 and answer.get("reason") == "Forbidden" and "forbidden: User" in output:
        return f"the account may not {tried}: {output}"
    if conflicts:
        fields = ", ".join(f"{cause.get('field', '?')} ({cause.get('message', '?')})" for cause in conflicts)
        return f"cannot {tried}: another manager owns fields with other values: {fields}; take them over with force, or choose another name"
    return f"cannot {tried}: {output}"


def _named(found: Any) -> bool:
    """Whether this is an object as every API server sends it."""
    return isinstance(found, dict) and isinstance(found.get("metadata"), dict) and isinstance(found["metadata"].get("name"), str)


def _object(body: Any) -> Dict[str, Any]:
    """Return the JSON object that a text holds, an empty one for any other text."""
    try:
        found = json.loads(body.decode("utf-8") if isinstance(body, bytes) else body)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def bearer(text: str) -> str:
    """Return the bearer token of an ``api_key``. As with kubectl, the line break at the end of its file is not part of it.

    :raises OptionError: a request cannot carry it. The message shows nothing of it
    """
    key = text[:-1] if text.endswith("\n") else text
    key = key[:-1] if key.endswith("\r") else key
    if len(key) > LONGEST_KEY:
        raise OptionError(f"option api_key has {len(key)} characters, which is too long for a bearer token")
    good = _BEARER.match(key)
    if good is not None and good.end() < len(key):
        raise OptionError(f"option api_key has a blank, a line break or another character that a bearer token cannot have, at position {good.end() + 1}")
    return key


def check_proxy_headers(found: Optional[Dict[str, Any]]) -> None:
    """Check that the headers for the proxy are those that kubernetes.core knows.

    :raises OptionError: they are not
    """
    if found is None:
        return
    record("option proxy_headers", found, {}, dict.fromkeys(PROXY_HEADERS, str))
    for name in ("proxy_basic_auth", "basic_auth"):
        if found.get(name) is not None and ":" not in found[name]:
            raise OptionError(f"option proxy_headers: {name} has to be name and password, separated by a colon")


def _given(module: EdgeModule) -> Dict[str, Any]:
    """Return the options of the connection that are set, and keep secrets that come from elsewhere out of all output.

    :raises OptionError: one cannot be used
    """
    check_options(module.params, module.argument_spec)
    check_names(module.params)
    check_proxy_headers(module.params["proxy_headers"])
    for name in SECRET_VARIABLES:
        module.learn(os.environ.get(f"K8S_AUTH_{name}", "").strip())
    for url in (module.params["proxy"], os.environ.get("K8S_AUTH_PROXY"), module.params["host"], os.environ.get("K8S_AUTH_HOST")):
        learn_url(module.learn, url)
    given = {name: module.params[name] for name in ARGUMENT_SPEC if module.params[name] is not None}
    key = given.pop("api_key", None) or os.environ.get("K8S_AUTH_API_KEY")
    if key:
        given["api_key"] = module.learn(bearer(key))
    return given


def _without_line_break(original: Callable[..., Optional[str]]) -> Callable[..., Optional[str]]:
    """Return a way to get a configuration's credentials without white space at their end, which kubectl drops from a kubeconfig's token."""

    def get(*args: Any, **kwargs: Any) -> Optional[str]:
        value = original(*args, **kwargs)
        return value.rstrip() if isinstance(value, str) else value

    return get


if KUBERNETES_FAULT is None:
    kubernetes.client.Configuration.get_api_key_with_prefix = _without_line_break(kubernetes.client.Configuration.get_api_key_with_prefix)


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
    """Keeps what the client logs: where a credential plugin fails it continues without credentials, and only its log says so."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.output: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.output.append(record.getMessage())


class Api:
    """Requests to one cluster. Every fault is an :class:`ApiError`."""

    def __init__(self, module: EdgeModule) -> None:
        if KUBERNETES_FAULT is not None:
            raise SetupError(unusable(KUBERNETES_FAULT, "kubernetes"))
        if COLLECTION_FAULT is not None:
            if "ansible_collections" in str(getattr(COLLECTION_FAULT, "name", "ansible_collections")):
                raise SetupError("the collection kubernetes.core is missing: install it with ansible-galaxy collection install kubernetes.core")
            raise SetupError(unusable(COLLECTION_FAULT, "kubernetes.core"))
        # the client itself would wait for minutes for an address that does not answer
        socket.setdefaulttimeout(CONNECT_TIMEOUT)
        self.dry_run = module.check_mode
        self.untold: Optional[str] = None  # why a dry run was not possible
        self.server = module.params["host"] or "the kubeconfig's server"
        client = self._connect(_given(module))
        for secret in _secrets_of(client.configuration):
            module.learn(secret)
        self._request = client.client.request
        self.server = client.configuration.host

    def _connect(self, given: Dict[str, Any]) -> Any:
        heard = _Heard()
        logging.getLogger().addHandler(heard)
        fault: Optional[EdgeError] = None
        try:
            client = get_api_client(**given)
        except Exception as exc:  # of the client's many libraries
            if "host" in given and "kube-config" in str(exc):
                fault = SetupError(f"no credentials for {self.server}: give api_key, or client_cert and client_key")
            else:
                fault = ApiError(self._unreachable(exc), getattr(exc, "status", None))
        finally:
            logging.getLogger().removeHandler(heard)
        if heard.output and (fault is not None or not _has_credentials(client.configuration)):
            raise SetupError(
                f"the credential plugin of the kubeconfig does not work, so there are no credentials ({'; '.join(heard.output)}): "
                "check that it is installed on the host that the module runs on, and on the PATH there"
            )
        if fault is not None:
            raise fault
        return client

    def _unreachable(self, exc: BaseException) -> str:
        if isinstance(exc, DynamicApiError):
            return explain(exc.status, exc.body, f"connect to {self.server}")
        reason = getattr(exc, "reason", None) or exc
        text = str(reason).split(": ", 1)[-1] if "object at 0x" in str(reason) else str(reason)
        if "Invalid header value" in text:
            text = "a token of the kubeconfig, or a header, has a line break or another character that a request cannot carry"
        text = _CREDENTIALS.sub(lambda found: f"{found.group(1)} {MASK}", text)
        return f"cannot connect to the Kubernetes API ({self.server}): {text or type(exc).__name__}"

    def _ask(self, verb: str, method: str, kind: Kind, namespace: Optional[str], name: Optional[str], **options: Any) -> Dict[str, Any]:
        """Send a request; return the object that the API answered with. One with a name has metadata, uid or not."""
        tried = " ".join(filter(None, (verb, kind.resource, name, f"in namespace {namespace}" if namespace else "")))
        try:
            answer = self._request(method, kind.path(namespace, name), serialize=False, **options)
        except DynamicApiError as exc:
            fault = ApiError(explain(exc.status, exc.body, tried), exc.status)
            if self.dry_run and fault.no_dry_run:
                self.untold = str(fault)
            raise fault from None
        except Exception as exc:
            raise ApiError(f"{self._unreachable(exc)} (tried to {tried})") from None
        found = self._decode(answer.data)
        if method in ("get", "patch") and name is not None and not _named(found):
            raise self._odd("an object without a name", tried)
        return found

    def _decode(self, data: bytes, key: str = "kind") -> Dict[str, Any]:
        found = _object(data)
        if key not in found:  # a proxy's login page, say
            raise ApiError(f"{self.server} answers, but not as a Kubernetes API does: is the address right?")
        return found

    def _odd(self, what: str, tried: str) -> ApiError:
        return ApiError(f"{self.server} answers, but not as a Kubernetes API does: {what} (tried to {tried}); is the address right?")

    def warn(self, module: EdgeModule) -> None:
        """Warn where a dry run was not possible."""
        if self.untold:
            module.warn(f"the cluster cannot say in advance whether it accepts this: {self.untold}")

    def get(self, kind: str, namespace: Optional[str], name: str) -> Optional[Dict[str, Any]]:
        """Return an object, None where it does not exist."""
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
            raise self._odd("a list without items that have names", f"list {KINDS[kind].resource}")
        return found

    def apply(self, manifest: Dict[str, Any], force: bool = False, manager: str = FIELD_MANAGER) -> Dict[str, Any]:
        """Apply a manifest on the server, as a field manager of our own; return the object as it is then."""
        metadata = manifest["metadata"]
        body: Any = manifest
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
        """Create a namespace. It is not applied: its fields are left to others."""
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            self._ask("create", "post", KINDS["Namespace"], None, None, body=manifest, dry_run="All" if self.dry_run else None)
        except ApiError as exc:
            if exc.status != 409:  # another program was faster
                raise

    def delete(self, found: Dict[str, Any], cascade: str = "Background") -> None:
        """Delete an object, if it is still the one that was seen."""
        metadata = found["metadata"]
        # where there is a body, the API looks for a dry run there alone
        options: Dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": cascade}
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
        """Return an object as it is now, None where it is gone, or another one has its name."""
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
        """Ask whether the account may do something; every account may ask."""
        attributes = {"verb": verb, "group": KINDS[kind].group, "resource": KINDS[kind].resource}
        attributes.update({key: value for key, value in (("namespace", namespace), ("name", name)) if value})
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        answer = self._ask("create", "post", KINDS["SelfSubjectAccessReview"], None, None, body=review)
        if not isinstance(answer.get("status"), dict):
            raise self._odd("a review without a status", "ask for a right")
        return bool(answer["status"].get("allowed"))
