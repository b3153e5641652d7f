#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: swarm_secret
short_description: A bootstrap token as a versioned secret of a Docker swarm
version_added: 1.0.0
description:
  - Stores an Expanso Edge bootstrap token in a Docker swarm, moves on to a new version when the token changes, and removes the versions
    that nobody needs.
  - A secret of a swarm can be neither changed nor removed while a service uses it. So each token gets a secret of its own, O(name) with C(_v1),
    C(_v2) and so on. The service is moved with M(community.docker.docker_swarm_service), as the role P(expanso.edge.swarm_secret#role) does it.
  - The token goes from memory to the engine. The module makes no file, and the secret holds the bytes of the token and nothing else.
    Without pipelining, Ansible itself uploads each module with its options as a file, and removes it afterwards.
  - A label of each secret tells its fingerprint, twelve hexadecimal digits. That is how a changed token is noticed, because the engine never gives
    a secret back. Unlike the label of M(community.docker.docker_secret) it is no full hash of the token.
  - That the engine can be reached and is a manager of a swarm is seen to first, with a message of its own for each case.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._engine
  - expanso.edge._token
attributes:
  check_mode:
    details:
      - Does not wait for the service.
  diff_mode:
    details:
      - Shows names of secrets and fingerprints, never the token.
  idempotent:
    support: full
options:
  name:
    description: Prefix of the secrets' names.
    type: str
    default: expanso_bootstrap_token
  state:
    description:
      - V(present) makes sure that the newest version holds the token. Removes nothing.
      - V(pruned) waits until O(service) has settled, then removes the versions that are not needed any more. Those that a service uses stay.
      - V(absent) removes O(service), where it is given, and all versions.
      - V(checked) changes nothing. It sees that the engine can be reached and is a manager of a swarm, that nothing there is somebody else's, and that
        the engine will take O(service_plan). Added in version 1.1.0.
    type: str
    choices: [present, pruned, absent, checked]
    default: present
  labels:
    description: Further labels for new versions. Not secret.
    type: dict
    default: {}
  adopt:
    description:
      - Take over what somebody else made by this name. A secret, whose bytes nobody can see, counts as an old version, is replaced and removed in
        its turn. A service becomes what it is told to be.
      - Otherwise they are refused.
    type: bool
    default: false
  versions_to_keep:
    description:
      - How many versions O(state=pruned) leaves, the newest included.
    type: int
    default: 1
  uid:
    description: Owner of the secret in a container, by number. The user of the agent's image.
    type: str
    default: '1000'
  gid:
    description: Group of the secret in a container, by number.
    type: str
    default: '1000'
  mode:
    description: Permissions of the secret in a container, as a quoted octal string. Only bits of V(0440) are possible, so that nobody else reads it.
    type: raw
    default: '0400'
  service:
    description:
      - Name of the service that uses the secret, as the role P(expanso.edge.swarm_secret#role) makes it. Its tasks run only once they find a
        registration marker, so this tells whether they are registered.
    type: str
  service_changed:
    description:
      - Whether O(service) is changed in this run, in more than its secret.
      - With O(state=present), V(true) keeps a token that may be needed, because what is registered now may not be what runs afterwards.
      - With O(state=pruned), V(false) tells that an update which failed is an earlier one. It is no fault where the tasks run as they should now.
      - By default V(false) with O(state=present), V(true) with O(state=pruned).
    type: bool
  service_plan:
    description:
      - What O(service) is going to be made of, so that what the engine refuses is found before the token is stored for it, a dictionary.
      - C(environment), C(labels) and C(container_labels) are dictionaries of texts, C(constraints) a list of texts, C(image) is a text.
    type: dict
    version_added: 1.1.0
  remove_when_registered:
    description:
      - With O(state=present), ask for no token once all tasks of O(service) are registered, and return no version for the service to use.
      - With O(state=pruned), leave no version once all tasks are registered and O(service) uses none.
    type: bool
    default: false
  wait_timeout:
    description: How long O(service) may take to settle, in seconds.
    type: int
    default: 300
seealso:
  - module: community.docker.docker_swarm_service
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Store the token
  expanso.edge.swarm_secret:
    name: expanso_bootstrap_token
  register: stored

- name: Let a service of your own use it
  community.docker.docker_swarm_service:
    name: edge
    image: registry.example.com/edge@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    secrets: "{{ stored.references }}" # read at /run/secrets/expanso_bootstrap_token

- name: Remove the versions before
  expanso.edge.swarm_secret:
    name: expanso_bootstrap_token
    state: pruned
    versions_to_keep: 1
"""

RETURN = r"""
action:
  description:
    - What was done, or would be done in check mode.
    - V(written) means that there is a new version. V(kept), V(not_needed) and V(absent) mean that there was nothing to do.
    - V(checked) is what O(state=checked) returns.
    - With O(state=present), V(removed) means that no version is needed any more. Removing them is up to O(state=pruned), once the service uses none.
  type: str
  returned: success
  choices: [written, kept, removed, not_needed, absent, checked]
msg:
  description: The same in a sentence.
  type: str
  returned: always
fault:
  description: Stable name of what is wrong with the token, such as V(missing), V(whitespace) or V(expired).
  type: str
  returned: when the token cannot be used
secret_name:
  description: Name of the version that a service should use, V(null) where it should use none.
  type: str
  returned: success
  sample: expanso_bootstrap_token_v2
secret_id:
  description: Identifier of that version. In check mode a placeholder where it would be new.
  type: str
  returned: success
references:
  description:
    - That version as the option O(community.docker.docker_swarm_service#module:secrets) of M(community.docker.docker_swarm_service) takes it,
      with O(uid), O(gid) and O(mode). An empty list where a service should use none.
    - In the container it is the file C(/run/secrets/expanso_bootstrap_token), whichever version it is.
  type: list
  elements: dict
  returned: success
fingerprint:
  description: Twelve hexadecimal digits that tell which token O(name)'s newest version holds, V(null) where there is none.
  type: str
  returned: success
  sample: 5d41402abc4b
token_kind:
  description: What the token looks like, where one was stored.
  type: str
  returned: success
  choices: [bootstrap_key, jwt, opaque]
expires_at:
  description: When the token that was stored expires, in ISO 8601 and UTC. V(null) where it does not tell.
  type: str
  returned: success
versions:
  description: Names of the versions that there are now, oldest first.
  type: list
  elements: str
  returned: success
removed:
  description: Names of the versions that were removed.
  type: list
  elements: str
  returned: success
in_use:
  description: Names of the versions that should have been removed, but that a service uses.
  type: list
  elements: str
  returned: success
registered:
  description: Whether all tasks of O(service) are known to be registered.
  type: bool
  returned: success
nodes:
  description: Names of the nodes where tasks of O(service) are or were. Volumes that they use lie there.
  type: list
  elements: str
  returned: success
token_source:
  description: What O(token_source) says.
  type: str
  returned: success
"""

import os
import re
import socket
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional
from urllib.parse import urlsplit

from ansible.module_utils.basic import env_fallback
from ansible_collections.expanso.edge.plugins.module_utils._cluster import OddAnswer, OptionError, check_options, learn_url, reading, texts
from ansible_collections.expanso.edge.plugins.module_utils._decision import ARGUMENT_SPEC as TOKEN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._decision import Request
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import parse_mode
from ansible_collections.expanso.edge.plugins.module_utils._swarm import (
    FINGERPRINT_LABEL,
    ServiceState,
    SwarmError,
    Version,
    check_engine,
    check_foreign,
    check_name,
    check_plan,
    check_service_name,
    find_versions,
    plan_present,
    plan_prune,
    service_state,
)

try:
    import docker
    from docker.errors import APIError, DockerException, NotFound

    SDK_FAULT = None  # type: Optional[str]
except Exception as exc:  # pylint: disable=broad-except
    # not ImportError alone: a broken installation of docker or requests raises others
    SDK_FAULT = str(exc)

    class DockerException(Exception):  # type: ignore[no-redef]
        pass

    class APIError(DockerException):  # type: ignore[no-redef]
        pass

    class NotFound(APIError):  # type: ignore[no-redef]
        pass


PLAIN = ("tcp", "http")
SCHEMES = ("unix", "http+unix", "tcp", "http", "https", "ssh", "npipe")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
NEW_ID = "(will be known once it is made)"
FILE_NAME = "expanso_bootstrap_token"  # below /run/secrets
FILE_MODE_BITS = 0o440
POLL_SECONDS = 1
RESTART_SECONDS = 30
"""How long an engine may take to be a manager again after a restart."""

LARGEST_ID = 0xFFFFFFFE


# Engine


def certificate(params: Dict[str, Any], option: str, name: str) -> Optional[str]:
    """Return a certificate's file, by default the one in the directory that the Docker client uses."""
    folder = os.environ.get("DOCKER_CERT_PATH")
    return params[option] or (os.path.join(folder, name) if folder else None)


class UnusableError(SwarmError):
    """What no second try mends."""


def check_host(host: str, secured: bool) -> None:
    """See that an address is one, and that the token does not cross a network in the clear.

    :raises UnusableError: it would
    """
    try:
        address = urlsplit(host)
        hostname = address.hostname
    except ValueError:
        raise UnusableError("option docker_host: {0!r} is no address".format(host[:200])) from None
    if host and address.scheme not in SCHEMES:
        raise UnusableError("option docker_host: {0!r} begins with none of {1}".format(host[:200], ", ".join(each + "://" for each in SCHEMES)))
    if address.scheme in PLAIN and not secured and hostname not in LOOPBACK:
        raise UnusableError("{0} is not secured: the token would cross the network in the clear; set validate_certs, or use a socket or SSH".format(host))


def connect(params: Dict[str, Any], where: str, was_manager: bool = False) -> Any:
    """Return a client of the engine that is a manager of a swarm.

    :raises SwarmError: there is none, with one message for each reason
    """
    host = params["docker_host"]
    if SDK_FAULT is not None:
        raise UnusableError(
            "the Docker SDK for Python cannot be imported on {0} ({1}): install it there for this Python "
            "(Debian and Ubuntu: python3-docker; others: pip install docker)".format(where, SDK_FAULT)
        )
    secured = params["tls"] or params["validate_certs"]
    check_host(host, secured)
    try:
        tls = None
        if secured:
            pair = (certificate(params, "client_cert", "cert.pem"), certificate(params, "client_key", "key.pem"))
            ca_path = certificate(params, "ca_path", "ca.pem")
            tls = docker.tls.TLSConfig(
                client_cert=pair if all(pair) else None,
                ca_cert=ca_path if params["validate_certs"] else None,
                verify=params["validate_certs"],
            )
        client = docker.APIClient(base_url=host, tls=tls, version=params["api_version"], timeout=params["timeout"])
        info = client.info()
    except Exception as exc:  # the SDK lets those of requests, paramiko and ssl through
        raise SwarmError("the Docker engine {0} cannot be reached from {1}: {2}".format(host, where, reason(exc))) from None
    if not isinstance(info, dict):
        raise SwarmError("{0} answers, but not as a Docker engine does: is that the right address?".format(host))
    check_engine(info, "the Docker engine {0} on {1}".format(host, where), was_manager)
    return client


def connect_again(params: Dict[str, Any], where: str) -> Any:
    """Return a client of an engine that was a manager before, and may be about to start anew.

    :raises SwarmError: it does not come back in time
    """
    end = time.monotonic() + min(RESTART_SECONDS, params["wait_timeout"])
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
    """Return what an attempt does. An engine that does not answer, or is being restarted, is asked again until the time is up.

    :raises SwarmError: it is, and this was the last fault
    """
    while True:
        try:
            return attempt()
        except (DockerException, OSError, OddAnswer) as exc:
            if 400 <= (getattr(exc, "status_code", None) or 0) < 500:  # it answers, and will say the same
                raise
            fault = reason(exc)
        if time.monotonic() >= end:
            raise SwarmError("{0}: the time is up, and the Docker engine does not answer as it should: {1}".format(what, fault))
        time.sleep(POLL_SECONDS)


def reason(exc: BaseException) -> str:
    """Return what is behind an error of the SDK, which wraps it several times, and what to do about it."""
    text = str(exc)
    if re.search(r"(?:[Nn]ot supported URL scheme|No connection adapters were found for) ?[\"']?http\+(?:docker|unix)", text):
        return misfit()
    if isinstance(exc, APIError):
        text = exc.explanation if isinstance(exc.explanation, str) and exc.explanation else text
        if "not a swarm manager" in text:
            return "it is no manager of a swarm, or not yet after a restart: see docker info"
        return text
    if "CERTIFICATE_VERIFY_FAILED" in text or "SSLError" in text or "SSLCertVerificationError" in text:
        return "TLS failed ({0}): check ca_path, client_cert and client_key, and for which names the engine's certificate is".format(text)
    for sign, advice in (
        ("FileNotFoundError", "there is no such socket: is Docker installed and running?"),
        ("PermissionError", "permission denied: run as root (become: true) or as a member of the group docker"),
        ("ConnectionRefusedError", "connection refused: is Docker running, and does it listen there?"),
        ("Connection refused", "connection refused: is Docker running, and does it listen there?"),
        ("NameResolutionError", "the name is unknown"),
        ("Name or service not known", "the name is unknown"),
        ("timed out", "no answer in time"),
    ):
        if sign in text:
            return advice
    return text


def misfit() -> str:
    """Return that the SDK and the library that it sends requests with are of versions that do not fit, and what does."""
    versions = []
    for name in ("docker", "requests"):
        try:
            versions.append("{0} {1}".format(name, getattr(__import__(name), "__version__", "of an unknown version")))
        except Exception:  # pylint: disable=broad-except
            versions.append(name)
    return "the Docker SDK for Python and its library requests do not fit together ({0}): install docker 7.1 or newer, or requests below 2.32".format(
        ", ".join(versions)
    )


# What the swarm holds


class Swarm(NamedTuple):
    """What was found."""

    versions: List[Version]
    service: Optional[ServiceState]  # None where it does not exist, or none was asked about

    @property
    def registered(self) -> bool:
        return self.service is not None and self.service.registered


def look(client: Any, params: Dict[str, Any]) -> Swarm:
    with reading("the Docker engine {0}".format(params["docker_host"]), "its list of secrets or services"):
        versions = find_versions(params["name"], client.secrets(filters={"name": params["name"]}) or [], client.services() or [])
    return Swarm(versions, read_service(client, params["service"], params["docker_host"]))


def read_service(client: Any, name: Optional[str], host: str) -> Optional[ServiceState]:
    if not name:
        return None
    try:
        service = client.inspect_service(name)
    except NotFound:
        return None
    with reading("the Docker engine {0}".format(host), "a service, one of its tasks or a node"):
        if service["Spec"]["Name"] != name:  # the engine takes beginnings of identifiers as well
            return None
        hostnames = {node["ID"]: (node.get("Description") or {}).get("Hostname") or node["ID"] for node in client.nodes()}
        return service_state(service, client.tasks(filters={"service": service["ID"]}), hostnames)


def waited_for(params: Dict[str, Any]) -> str:
    return "service {0}".format(params["service"]) if params["service"] else "secret {0}".format(params["name"])


def wait_for_service(client: Any, params: Dict[str, Any], end: float) -> Optional[ServiceState]:
    """Wait until the service runs as it was told to.

    :raises SwarmError: it will not, or not in time
    """
    while True:
        state = patiently(end, waited_for(params), lambda: read_service(client, params["service"], params["docker_host"]))  # type: Optional[ServiceState]
        problem = state.failed if state and params["service_changed"] is not False else None
        if state is None or (state.settled and not problem):
            return state
        if problem is None and time.monotonic() >= end:
            problem = "it did not settle within {0} seconds".format(params["wait_timeout"])
        if problem is not None:
            raise SwarmError(
                "service {0}: {1}: {2}; what its tasks say: docker service logs {0}; no version of the secret was removed".format(
                    params["service"], problem, state.report or "no task tells why"
                )
            )
        time.sleep(POLL_SECONDS)


# States


def bring_about(module: EdgeModule, client: Any, found: Optional[Swarm] = None) -> Dict[str, Any]:
    """Bring the secret to its state and return the result."""
    params = module.params
    found = look(client, params) if found is None else found
    check_foreign(found.versions, params["adopt"])
    if found.service is not None and not found.service.ours and not params["adopt"]:
        raise SwarmError(
            "somebody else made the service {0}: choose another name, or adopt it, so that it becomes what it is told to be".format(params["service"])
        )
    act = {"present": be_present, "pruned": be_pruned, "absent": be_absent, "checked": be_checked}[params["state"]]
    result = act(module, client, found)
    before = [version.name for version in found.versions]
    after = [version.name for version in result["after"]]
    newest = result["after"][-1] if result["after"] else None
    answer = dict.fromkeys(("secret_name", "secret_id", "token_kind", "expires_at"))  # type: Dict[str, Any]
    answer.update(
        {
            "changed": before != after,
            "fingerprint": newest.fingerprint if newest else None,
            "versions": after,
            "removed": [name for name in before if name not in after],
            "references": [],
            "in_use": [],
            "registered": found.registered,
            "nodes": list(found.service.nodes) if found.service else [],
            "token_source": params["token_source"],
            "diff": {"before": show(found.versions), "after": show(result["after"])},
        }
    )
    answer.update((key, value) for key, value in result.items() if key != "after")
    return answer


def show(versions: List[Version]) -> Dict[str, Any]:
    """Return what may be shown of the versions."""
    return {"secrets": {version.name: version.fingerprint or "made by somebody else" for version in versions}}


def reference(params: Dict[str, Any], version: Version) -> Dict[str, Any]:
    """Return a version in the form in which community.docker.docker_swarm_service takes it."""
    return {
        "secret_id": version.id,
        "secret_name": version.name,
        "filename": FILE_NAME,
        "uid": params["uid"],
        "gid": params["gid"],
        "mode": file_mode(params),
    }


def check_ids(params: Dict[str, Any]) -> None:
    """See that the secret's owner and group are numbers: a container's engine knows no names.

    :raises SwarmError: they are not
    """
    for option in ("uid", "gid"):
        if not re.fullmatch("[0-9]{1,10}", params[option]) or int(params[option]) > LARGEST_ID:
            raise SwarmError("{0} {1!r} is no number: give that of the image's user".format(option, params[option][:70]))


def file_mode(params: Dict[str, Any]) -> int:
    """Return the secret's mode as a number.

    community.docker.docker_swarm_service would take '0400' as decimal, and leave out 0, so that everybody could read the secret.
    """
    mode = params["mode"]
    if not isinstance(mode, (int, str)) or isinstance(mode, bool) or (isinstance(mode, str) and not re.fullmatch("[0-9o]{1,12}", mode)):
        raise SwarmError("option mode is no permissions: write them as a quoted octal string such as '0400'")
    mode = parse_mode(mode, FILE_MODE_BITS)
    if mode == 0:
        raise SwarmError("mode 0000 lets nobody read the secret: give it '0400'")
    return mode


def be_present(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    params = module.params
    plan = plan_present(params["name"], found.versions, Request.of(params), found.registered, bool(params["service_changed"]))
    versions = list(found.versions)
    if plan.create is not None and plan.current is not None:
        identifier = NEW_ID
        if not module.check_mode:
            labels = dict(texts("option labels", params["labels"]), **{FINGERPRINT_LABEL: plan.create.fingerprint})
            made = client.create_secret(plan.current, plan.create.value.encode("ascii"), labels=labels)
            with reading("the Docker engine {0}".format(params["docker_host"]), "what it says of the new secret"):
                identifier = made["ID"]
        versions.append(Version(plan.current, identifier, versions[-1].number + 1 if versions else 1, plan.create.fingerprint, ()))
    used = [version for version in versions if version.name == plan.current]
    return {
        "action": plan.action,
        "msg": plan.msg,
        "after": versions,
        "secret_name": plan.current,
        "secret_id": used[0].id if used else None,
        "references": [reference(params, version) for version in used],
        "token_kind": plan.create.kind if plan.create else None,
        "expires_at": plan.create.expires_at if plan.create else None,
    }


def be_checked(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    return {"action": "checked", "msg": "the engine is a manager of a swarm, and nothing there is in the way", "after": found.versions}


def be_pruned(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    params = module.params
    end = time.monotonic() + params["wait_timeout"]
    state = found.service if module.check_mode else wait_for_service(client, params, end)
    found = patiently(end, waited_for(params), lambda: Swarm(look(client, params).versions, state))
    used = any(params["service"] in version.users for version in found.versions)
    keep = 0 if params["remove_when_registered"] and found.registered and not used else max(params["versions_to_keep"], 1)
    goes, stays = plan_prune(found.versions, keep)
    patiently(end, waited_for(params), lambda: remove(module, client, goes))
    left = [version for version in found.versions if version not in goes]
    msg = "removed {0}".format(", ".join(version.name for version in goes)) if goes else "there is no version to remove"
    if stays:
        msg += "; still in use: {0}".format(", ".join("{0} (by service {1})".format(version.name, ", ".join(version.users)) for version in stays))
    return {
        "action": "removed" if goes else "kept" if left else "absent",
        "msg": msg,
        "after": left,
        "registered": found.registered,
        "nodes": list(state.nodes) if state else [],
        "in_use": [version.name for version in stays],
    }


def be_absent(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    service = module.params["service"]
    others = [version for version in found.versions if set(version.users) - {service}]
    if others:
        raise SwarmError(
            "in use, and so they cannot be removed: {0}".format(
                ", ".join("{0} (by service {1})".format(version.name, ", ".join(version.users)) for version in others)
            )
        )
    done = []
    if found.service is not None:
        done.append("service {0}".format(service))
        if not module.check_mode:
            client.remove_service(service)
    remove(module, client, found.versions)
    done += [version.name for version in found.versions]
    return {
        "changed": bool(done),
        "action": "removed" if done else "absent",
        "msg": "removed {0}".format(", ".join(done)) if done else "there is nothing to remove",
        "after": [],
        "registered": False,
    }


def remove(module: EdgeModule, client: Any, versions: List[Version]) -> None:
    if not module.check_mode:
        for version in versions:
            try:
                client.remove_secret(version.id)
            except NotFound:  # gone at an earlier try that got no answer
                continue


def check(module: EdgeModule) -> None:
    """See that the options can be used, before anybody is asked.

    :raises OptionError: one cannot
    """
    params = module.params
    check_options(params, module.argument_spec)
    learn_url(module.learn, params["docker_host"])
    check_name(params["name"])
    if params["service"]:
        check_service_name(params["service"])
    check_ids(params)
    file_mode(params)
    texts("option labels", params["labels"])
    check_plan(params["service_plan"])
    if params["timeout"] < 1:
        raise OptionError("option timeout: an engine that has no time cannot answer")


def work(module: EdgeModule) -> Dict[str, Any]:
    check(module)
    params = module.params
    where = socket.gethostname()
    service = params["service"]
    try:
        if params["state"] != "pruned" or not service or module.check_mode:
            return bring_about(module, connect(params, where))
        client = connect_again(params, where)
        end = time.monotonic() + min(RESTART_SECONDS, params["wait_timeout"])
        found = patiently(end, waited_for(params), lambda: look(client, params))  # type: Swarm
        return bring_about(module, client, found)
    except DockerException as exc:
        raise SwarmError("the Docker engine refused: {0}".format(reason(exc))) from None
    except OSError as exc:  # of requests
        raise SwarmError("the Docker engine {0} cannot be reached from {1}: {2}".format(params["docker_host"], where, reason(exc))) from None


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "name": {"type": "str", "default": "expanso_bootstrap_token"},
            "state": {"type": "str", "choices": ["present", "pruned", "absent", "checked"], "default": "present"},
            **TOKEN_OPTIONS,
            "labels": {"type": "dict", "default": {}},
            "adopt": {"type": "bool", "default": False},
            "versions_to_keep": {"type": "int", "default": 1},
            "uid": {"type": "str", "default": "1000"},
            "gid": {"type": "str", "default": "1000"},
            "mode": {"type": "raw", "default": "0400"},
            "service": {"type": "str"},
            "service_changed": {"type": "bool"},
            "service_plan": {"type": "dict"},
            "wait_timeout": {"type": "int", "default": 300},
            "docker_host": {"type": "str", "default": "unix:///var/run/docker.sock", "fallback": (env_fallback, ["DOCKER_HOST"])},
            "tls": {"type": "bool", "default": False, "fallback": (env_fallback, ["DOCKER_TLS"])},
            "validate_certs": {"type": "bool", "default": False, "fallback": (env_fallback, ["DOCKER_TLS_VERIFY"])},
            "ca_path": {"type": "path"},
            "client_cert": {"type": "path"},
            "client_key": {"type": "path", "no_log": False},
            "api_version": {"type": "str", "default": "auto", "fallback": (env_fallback, ["DOCKER_API_VERSION"])},
            "timeout": {"type": "int", "default": 60, "fallback": (env_fallback, ["DOCKER_TIMEOUT"])},
        },
        supports_check_mode=True,
    )
    module.execute(work, "manage the secret", module.params["name"])


if __name__ == "__main__":
    main()
