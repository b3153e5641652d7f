# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The connection to a Kubernetes cluster, made as kubernetes.core makes it, and its faults put into a sentence."""

import base64
import binascii
import json
import logging
import os
import re
import socket
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, Dict, List, Optional

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._cluster import LONGEST_REASON, check_files, learn_url, plain, record
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import check_names
from ansible_collections.expanso.edge.plugins.module_utils._k8s_transport import CONNECT_SECONDS, limited
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
LATER = {409: "; something else changed it at the same moment: run this again", **dict.fromkeys((429, 500, 502, 503, 504), "; run this again later")}
"""What to do where an API server may answer the same request in another way soon, by its status."""
PLUGIN_SECONDS = 120
"""How long a credential plugin of a kubeconfig may take."""

_BEARER = re.compile(r"[\x21-\x7e]*")
_CREDENTIALS = re.compile(r"\b(bearer|basic)\s+[^\s'\"\\]+", re.IGNORECASE)
_RANDOM = re.compile(r"(?<![\w+=-])(?=[A-Za-z+_=-]*[0-9])(?=[0-9+_=-]*[A-Za-z])[A-Za-z0-9+_=-]{16,}")
"""A long word of letters and digits, as credentials are."""


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
    answer, details = json_object(body), json_object(body).get("details")
    output = str(answer.get("message") or "").strip()[:LONGEST_REASON] or _foreign(status)
    causes = details.get("causes") if isinstance(details, dict) else None
    conflicts = [each for each in causes or [] if isinstance(each, dict) and each.get("reason") == "FieldManagerConflict"]
    if status == 401:
        return f"cannot {tried}: the API does not accept the credentials ({output})"
    if status == 403 and "system:anonymous" in output:
        return f"cannot {tried}: the request had no credentials that the API knows ({output}): give api_key, client_cert or a kubeconfig with a user"
    if status == 403 and answer.get("reason") == "Forbidden" and "forbidden: User" in output:
        return f"the account is not allowed to {tried}: {output}"
    if conflicts:
        fields = ", ".join(f"{cause.get('field', '?')} ({cause.get('message', '?')})" for cause in conflicts)
        return f"cannot {tried}: another manager owns fields with other values: {fields}; take them over with force, or choose another name"
    return f"cannot {tried}: {output}" + LATER.get(status or 0, "")


def _foreign(status: Optional[int]) -> str:
    """Return what an error answer means that is not one of an API server."""
    if status and status < 400:
        return f"it redirects to another address (status {status}): is there a proxy in between that wants a login?"
    return f"status {status}, and not as an API server gives it: check any proxy in between"


def json_object(body: Any) -> Dict[str, Any]:
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
    _checks.server_options(module.argument_spec, module.params)
    check_names(module.params)
    check_proxy_headers(module.params["proxy_headers"])
    check_files(module.params, "kubeconfig", "ca_cert", "client_cert", "client_key")
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


def _ending(programs: Any) -> Any:
    """Return the module ``subprocess`` as the library needs it for credential plugins. By itself it waits for ever for one that asks a person to log in."""

    class Program(programs.Popen):
        def communicate(self, *arguments: Any, **options: Any) -> Any:
            try:
                return super().communicate(*arguments, **dict(options, timeout=PLUGIN_SECONDS))
            except programs.TimeoutExpired:
                self.kill()
                name = os.path.basename(str(self.args[0] if isinstance(self.args, (list, tuple)) else self.args))
            raise SetupError(f"{name} has not ended within {PLUGIN_SECONDS} seconds: does it wait for a person who logs in?")

    return SimpleNamespace(Popen=Program, PIPE=programs.PIPE)


if KUBERNETES_FAULT is None:
    if isinstance(kubernetes.config.exec_provider.subprocess, ModuleType):  # not yet done
        kubernetes.config.exec_provider.subprocess = _ending(kubernetes.config.exec_provider.subprocess)
    kubernetes.client.Configuration.get_api_key_with_prefix = _without_line_break(kubernetes.client.Configuration.get_api_key_with_prefix)
    kubernetes.client.rest.RESTClientObject = limited(kubernetes.client.rest.RESTClientObject)


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
        text = " ".join(record.getMessage().split())
        # what the plugin itself says follows
        self.output.append(_RANDOM.sub(MASK, text) if text.startswith("exec: process returned") else text)


def unreachable(exc: BaseException, server: str) -> str:
    """Return why a request did not reach the API, without credentials that the fault may quote."""
    if isinstance(exc, DynamicApiError) and exc.status:
        return explain(exc.status, exc.body, f"connect to {server}")
    reason = getattr(exc, "reason", None) or exc
    text = str(reason).split(": ", 1)[-1] if "object at 0x" in str(reason) else str(reason)
    if "Invalid header value" in text:
        text = "a token of the kubeconfig, or a header, has a line break or another character that a request cannot carry"
    text = _CREDENTIALS.sub(lambda found: f"{found.group(1)} {MASK}", plain(text))
    return f"cannot connect to the Kubernetes API ({server}): {text or type(exc).__name__}"


def explained(exc: Exception, server: str, tried: str) -> ApiError:
    """Return the fault of a request that was refused, or did not reach the API.

    :param tried: as for :func:`explain`
    """
    if isinstance(exc, DynamicApiError) and exc.status:
        return ApiError(explain(exc.status, exc.body, tried), exc.status)
    return ApiError(f"{unreachable(exc, server)} (tried to {tried})")


def odd(server: str, what: str = "") -> ApiError:
    """Return the fault of an answer that no Kubernetes API gives, such as a proxy's login page."""
    return ApiError(f"{server} answers, but not as a Kubernetes API does{what}; check the address, and any proxy in between")


def library_version() -> int:
    """Return the major version of the Python library ``kubernetes``."""
    return int(kubernetes.__version__.split(".")[0])


_STUMBLES = (AttributeError, TypeError, UnicodeDecodeError)
"""What the client raises over a kubeconfig that is something else."""


def _unusable_kubeconfig(module: EdgeModule) -> str:
    """Return what is wrong with the kubeconfig, which the client does not tell."""
    given = module.params["kubeconfig"]
    path = given if isinstance(given, str) else os.environ.get("K8S_AUTH_KUBECONFIG") or os.environ.get("KUBECONFIG") or "~/.kube/config"
    if isinstance(given, dict) or os.path.exists(os.path.expanduser(path)):
        return "what was given as kubeconfig is not one" if isinstance(given, dict) else f"{path} is not a kubeconfig"
    return f"the kubeconfig {path} does not exist on the host that the module runs on"


def connect(module: EdgeModule) -> Any:
    """Return a client of the cluster that a module's options name.

    :raises SetupError: a library, the collection or credentials are missing
    :raises ApiError: the cluster cannot be reached
    """
    if KUBERNETES_FAULT is not None:
        raise SetupError(unusable(KUBERNETES_FAULT, "kubernetes"))
    if COLLECTION_FAULT is not None:
        if "ansible_collections" in str(getattr(COLLECTION_FAULT, "name", "ansible_collections")):
            raise SetupError(
                "the collection kubernetes.core is not installed on the controller: install it with ansible-galaxy collection install kubernetes.core"
            )
        raise SetupError(unusable(COLLECTION_FAULT, "kubernetes.core"))
    # of what does not send its requests by the client, as where it logs in
    socket.setdefaulttimeout(CONNECT_SECONDS)
    given = _given(module)
    server = module.params["host"] or "the kubeconfig's server"
    heard = _Heard()
    logging.getLogger().addHandler(heard)
    fault: Optional[EdgeError] = None
    requests = kubernetes.client.rest.RESTClientObject
    requests.answered = False
    try:
        client = get_api_client(**given)
    except Exception as exc:  # of the client's many libraries
        if "host" in given and "kube-config" in str(exc):
            fault = SetupError(f"no credentials for {server}: give api_key, or client_cert and client_key")
        elif requests.answered and isinstance(exc, (AttributeError, KeyError, TypeError)):
            fault = odd(server)
        elif "No configuration found" in str(exc) or isinstance(exc, _STUMBLES) or type(exc).__module__.startswith("yaml."):  # the client says only that
            fault = SetupError(f"cannot connect to the Kubernetes API: {_unusable_kubeconfig(module)}: set kubeconfig (k8s_secret_kubeconfig) to one")
        else:
            fault = ApiError(unreachable(exc, server), getattr(exc, "status", None))
    finally:
        logging.getLogger().removeHandler(heard)
    if heard.output and (fault is not None or not _has_credentials(client.configuration)):
        raise SetupError(
            f"the credential plugin of the kubeconfig does not work, so there are no credentials ({'; '.join(heard.output)}): "
            "check that it is installed on the host that the module runs on, and on the PATH there"
        )
    if fault is not None:
        raise fault
    for secret in _secrets_of(client.configuration):
        module.learn(secret)
    return client
