# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The Docker engine of a swarm's manager: connected to as community.docker does, and its faults put into a sentence."""

import os
import re
import socket
import time
from typing import Any, Callable, Dict, Optional
from urllib.parse import urlsplit

from ansible.module_utils.errors import AnsibleFallbackNotFound
from ansible_collections.expanso.edge.plugins.module_utils._checks import short
from ansible_collections.expanso.edge.plugins.module_utils._cluster import LONGEST_REASON, OddAnswer, check_files, plain
from ansible_collections.expanso.edge.plugins.module_utils._errors import SwarmError

try:
    import docker
    from docker.errors import APIError, DockerException, InvalidVersion, NotFound

    SDK_FAULT: Optional[str] = None
except Exception as exc:  # pylint: disable=broad-except
    # not ImportError alone: a broken installation of docker or requests raises others
    SDK_FAULT = str(exc)

    class DockerException(Exception):  # type: ignore[no-redef]
        pass

    class APIError(DockerException):  # type: ignore[no-redef]
        pass

    class NotFound(APIError):  # type: ignore[no-redef]
        pass

    class InvalidVersion(DockerException):  # type: ignore[no-redef]
        pass


NOT_FOUND = NotFound
"""What the SDK raises for an object that the engine does not know."""

NO_FEATURE = InvalidVersion
"""What the SDK raises for something that the engine is too old to have."""


def _variable(name: str) -> str:
    """Return an environment variable in place of an option. As for the Docker client, an empty one counts as not set."""
    if not os.environ.get(name):
        raise AnsibleFallbackNotFound
    return os.environ[name]


ARGUMENT_SPEC: Dict[str, Any] = {
    "docker_host": {"type": "str", "default": "unix:///var/run/docker.sock", "fallback": (_variable, ["DOCKER_HOST"])},
    "tls": {"type": "bool", "default": False, "fallback": (_variable, ["DOCKER_TLS"])},
    "validate_certs": {"type": "bool", "default": False, "fallback": (_variable, ["DOCKER_TLS_VERIFY"])},
    "ca_path": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "api_version": {"type": "str", "default": "auto", "fallback": (_variable, ["DOCKER_API_VERSION"])},
    "timeout": {"type": "int", "default": 60, "fallback": (_variable, ["DOCKER_TIMEOUT"])},
}
"""The options that the documentation fragment ``_engine`` describes."""

PLAIN = ("tcp", "http")
SCHEMES = ("unix", "http+unix", "tcp", "http", "https", "ssh", "npipe")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
POLL_SECONDS = 1
RESTART_SECONDS = 30
"""How long an engine may take to be a manager again after a restart."""

_ADVICE = (
    ("FileNotFoundError", "there is no such socket: is Docker installed and running?"),
    ("PermissionError", "permission denied: run as root (become: true) or as a member of the group docker"),
    ("ConnectionRefusedError", "connection refused: is Docker running, and does it listen there?"),
    ("Connection refused", "connection refused: is Docker running, and does it listen there?"),
    ("NameResolutionError", "the host name is unknown"),
    ("Name or service not known", "the host name is unknown"),
    ("timed out", "no answer in time"),
    ("redirects", "it redirects to another address: is there a proxy in between that wants a login?"),
)


_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_WEB_PAGE = re.compile(r"<(?:!doctype|html|head|body)\b", re.IGNORECASE)

if SDK_FAULT is None:

    class Client(docker.APIClient):
        """A client that is not led to another server with the token, and says so where an answer is not one of an engine."""

        max_redirects = property(lambda _self: 0, lambda _self, _number: None)  # the SDK asks for a version before anybody could set it

        def _raise_for_status(self, response: Any, *more: Any, **options: Any) -> None:
            try:
                super()._raise_for_status(response, *more, **options)
            except (KeyError, TypeError):  # of an error without a message
                raise self._odd(response) from None

        def _result(self, response: Any, *more: Any, **options: Any) -> Any:
            try:
                return super()._result(response, *more, **options)
            except ValueError:  # not JSON
                raise self._odd(response) from None

        @staticmethod
        def _odd(response: Any) -> OddAnswer:
            return OddAnswer(f"the Docker engine answers, but not as it should (status {response.status_code}): check the address, and any proxy in between")


class UnusableError(SwarmError):
    """A fault that another attempt cannot mend."""


def check_engine(info: Dict[str, Any], where: str, was_manager: bool = False) -> None:
    """Check that an engine is an active manager of a swarm.

    :param info: answer of ``GET /info``
    :param was_manager: whether it was one before, so that the message must not advise to begin a new swarm
    :raises SwarmError: it is not
    """
    swarm = info.get("Swarm") or {}
    if not isinstance(swarm, dict):
        raise SwarmError(f"{where} answers, but not as a Docker engine does: it does not report the state of its swarm")
    state = swarm.get("LocalNodeState") or "inactive"
    if state == "inactive" and was_manager:
        raise SwarmError(f"{where} is not in a swarm, or not yet after a restart: check docker info, and do not initialise another swarm")
    if state == "inactive":
        raise SwarmError(f"{where} is not in a swarm: initialise one (docker swarm init), or name a manager of one")
    if state == "locked":
        raise SwarmError(f"{where} is in a swarm that is locked: unlock it (docker swarm unlock)")
    if state != "active":
        raise SwarmError(f"{where} is not active in its swarm (state {state}): check docker info")
    if not swarm.get("ControlAvailable"):
        managers = ", ".join(sorted(str(manager.get("Addr")) for manager in swarm.get("RemoteManagers") or []))
        raise SwarmError(f"{where} is a worker of its swarm, not a manager: name a manager{f' (they are {managers})' if managers else ''}")


def check_host(host: str, secured: bool) -> None:
    """Check an engine's address, and that the token does not cross a network in the clear.

    :param secured: whether TLS is used
    :raises UnusableError: it is not an address, or the token would
    """
    try:
        address = urlsplit(host)
        hostname = address.hostname
    except ValueError:
        raise UnusableError(f"option docker_host: {host[:200]!r} is not an address") from None
    if host and address.scheme not in SCHEMES:
        raise UnusableError(f"option docker_host: {host[:200]!r} does not begin with one of {', '.join(each + '://' for each in SCHEMES)}")
    if address.scheme in PLAIN and not secured and hostname not in LOOPBACK:
        raise UnusableError(f"{host} is not secured: the token would cross the network unencrypted; set validate_certs, or use a socket or SSH")


def _certificate(params: Dict[str, Any], option: str, name: str) -> Optional[str]:
    """Return a certificate's file, by default the one in the directory that the Docker client uses.

    :raises UnusableError: there is no such file
    """
    folder = os.environ.get("DOCKER_CERT_PATH")
    path = params[option] or (os.path.join(folder, name) if folder else None)
    if path and not os.path.isfile(path):
        raise UnusableError(f"option {option}: there is no file {path}: correct {'it' if params[option] else 'the environment variable DOCKER_CERT_PATH'}")
    return path


def _tls(params: Dict[str, Any]) -> Any:
    """Return how the connection is secured, None where it is not.

    :raises UnusableError: a certificate is missing
    """
    if not (params["tls"] or params["validate_certs"]):
        return None
    pair = (_certificate(params, "client_cert", "cert.pem"), _certificate(params, "client_key", "key.pem"))
    ca_path = _certificate(params, "ca_path", "ca.pem") if params["validate_certs"] else None
    return docker.tls.TLSConfig(client_cert=pair if all(pair) else None, ca_cert=ca_path, verify=params["validate_certs"])


def connect(params: Dict[str, Any], where: str, was_manager: bool = False) -> Any:
    """Return a client of the engine that is a manager of a swarm.

    :param where: name of the host that this runs on
    :raises SwarmError: it cannot be reached, or is not a manager
    """
    host = params["docker_host"]
    if SDK_FAULT is not None:
        raise UnusableError(
            f"the Docker SDK for Python cannot be imported on {where} ({SDK_FAULT}): install it there for this Python "
            "(Debian and Ubuntu: python3-docker; others: pip install docker)"
        )
    check_files(params, "ca_path", "client_cert", "client_key")
    tls = _tls(params)
    check_host(host, secured=tls is not None)
    if not re.fullmatch(r"auto|[0-9]{1,3}\.[0-9]{1,3}", params["api_version"]):
        raise UnusableError(f"option api_version: {short(params['api_version'])} is not a version: give auto, or one such as '1.41'")
    try:
        client = Client(base_url=host, tls=tls, version=params["api_version"], timeout=params["timeout"])
        info = client.info()
    except (OddAnswer, UnusableError):
        raise
    except Exception as exc:  # the SDK lets those of requests, paramiko and ssl through
        raise SwarmError(f"the Docker engine {host} cannot be reached from {where}: {reason(exc)}") from None
    if not isinstance(info, dict):
        raise SwarmError(f"{host} answers, but not as a Docker engine does: is that the right address?")
    check_engine(info, f"the Docker engine {host} on {where}", was_manager)
    return client


def end_of_restart(params: Dict[str, Any]) -> float:
    """Return until when an engine may be restarting, by the clock of :func:`time.monotonic`."""
    return time.monotonic() + min(RESTART_SECONDS, params["wait_timeout"])


def connect_again(params: Dict[str, Any], where: str) -> Any:
    """Return a client of an engine that was a manager before, and may be restarting.

    :raises SwarmError: it does not come back in time
    """
    end = end_of_restart(params)
    while True:
        try:
            return connect(params, where, was_manager=True)
        except UnusableError:
            raise
        except SwarmError:
            if time.monotonic() >= end:
                raise
        time.sleep(POLL_SECONDS)


def patiently(end: float, what: str, attempt: Callable[[], Any]) -> Any:
    """Return the result of an attempt. It is repeated until the time is up where the engine does not answer, or is being restarted.

    :param end: by the clock of :func:`time.monotonic`
    :raises SwarmError: the time is up; the message holds the last fault
    """
    while True:
        try:
            return attempt()
        except (DockerException, OSError, OddAnswer) as exc:
            if 400 <= (getattr(exc, "status_code", None) or 0) < 500:  # it answers, and will say the same
                raise
            fault = reason(exc)
        if time.monotonic() >= end:
            raise SwarmError(f"{what}: the time is up, and the Docker engine does not answer as it should: {fault}")
        time.sleep(POLL_SECONDS)


def talk(params: Dict[str, Any], work: Callable[[str], Any]) -> Any:
    """Return what work on an engine returns; it is given the name of this host.

    :raises SwarmError: the engine refused, or could not be reached any more
    """
    where = socket.gethostname()
    try:
        return work(where)
    except DockerException as exc:
        raise SwarmError(f"the Docker engine refused: {reason(exc)}") from None
    except OSError as exc:  # of requests
        raise SwarmError(f"the Docker engine {params['docker_host']} cannot be reached from {where}: {reason(exc)}") from None


def reason(exc: BaseException) -> str:
    """Return what is behind an error of the SDK, which wraps it several times, and what to do about it."""
    text = str(exc)
    if re.search(r"(?:[Nn]ot supported URL scheme|No connection adapters were found for) ?[\"']?http\+(?:docker|unix)", text):
        return _misfit()
    if _WEB_PAGE.search(text):
        status = re.search(r"\b[345][0-9]{2}\b", str(exc))
        return f"a web page{f' with status {status.group()}' if status else ''}, which no engine sends: check the address, and any proxy in between"
    if isinstance(exc, APIError):
        text = exc.explanation if isinstance(exc.explanation, str) and exc.explanation else text
        if "not a swarm manager" in text:
            return "it is not a manager of a swarm, or not yet after a restart: check docker info"
        if "not have a leader" in text:
            return f"{text[:LONGEST_REASON]}; run this again when enough managers are up (docker node ls)"
        return text[:LONGEST_REASON]
    if "CERTIFICATE_VERIFY_FAILED" in text or "SSLError" in text or "SSLCertVerificationError" in text:
        found = plain(text)
        bundle = next((name for name in _BUNDLES if os.environ.get(name)), None) if "CA certificate" in found else None
        return f"TLS failed: {found}{f'; there the environment variable {bundle} counts instead of ca_path' if bundle else ''}"
    if "connect to proxy" in text:
        return plain(text)  # behind it stands why, as of an engine
    return next((advice for sign, advice in _ADVICE if sign in text), plain(text))


def _misfit() -> str:
    """Return that the SDK and the library that it sends requests with do not fit together, with their versions, and which do."""
    versions = []
    for name in ("docker", "requests"):
        try:
            versions.append(f"{name} {getattr(__import__(name), '__version__', 'of an unknown version')}")
        except Exception:  # pylint: disable=broad-except
            versions.append(name)
    return (
        f"the Docker SDK for Python and its library requests are not compatible ({', '.join(versions)}): "
        "install docker 7.1 or newer, or requests below 2.32"
    )
