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
  - Stores an Expanso Edge bootstrap token in a Docker swarm, makes a new version when the token changes, and removes the versions that are not
    needed any more.
  - A secret of a swarm can be neither changed nor removed while a service uses it. So each token gets a secret of its own, O(name) with C(_v1),
    C(_v2) and so on. The service is moved with M(community.docker.docker_swarm_service), as the role P(expanso.edge.swarm_secret#role) does it.
  - The token goes from memory to the engine. The module makes no file, and the secret holds the bytes of the token and nothing else.
    Without pipelining, Ansible itself uploads each module with its options as a file, and removes it afterwards.
  - A label of each secret tells its fingerprint, twelve hexadecimal digits. That is how a changed token is noticed, because the engine never gives
    a secret back. Unlike the label of M(community.docker.docker_secret) it is not a full hash of the token.
  - Checks first that the engine can be reached and is a manager of a swarm, with a message of its own for each case.
  - A service whose tasks are all registered needs no token. One that is not, and is given none, uses the newest version.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._engine
  - expanso.edge._removal
  - expanso.edge._token
  - expanso.edge._record
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
      - V(retired) takes the versions from the services that use them, then removes them. The services stay. O(only_registered) and O(fingerprint) limit
        it. With O(fingerprint) this concerns all services of the swarm and nothing is waited for, otherwise O(service) alone, and it has to settle without
        the token first. Added in version 1.1.0.
      - V(checked) changes nothing. It checks that the engine can be reached and is a manager of a swarm, that secrets and service of these names were
        created by this collection, and that the engine accepts O(service_plan). Added in version 1.1.0.
    type: str
    choices: [present, pruned, absent, retired, checked]
    default: present
  labels:
    description: Further labels for new versions. Not secret.
    type: dict
    default: {}
  adopt:
    description:
      - Take over a secret or service of this name that this collection did not create. The secret, whose content is unknown, counts as an old version
        and is replaced. The service is changed to what is described here.
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
    description: Permissions of the secret in a container, as a quoted octal string. Only bits of V(0440) are possible, so that no other account reads it.
    type: raw
    default: '0400'
  service:
    description:
      - Name of the service that uses the secret, as the role P(expanso.edge.swarm_secret#role) creates it. Its tasks count as running only when they find
        a registration marker, so this shows whether they are registered.
    type: str
  service_changed:
    description:
      - Whether O(service) is changed in this run, in more than its secret.
      - With O(state=present), V(true) keeps a token that may be needed, because what is registered now may not be what runs afterwards.
      - With O(state=pruned), V(false) means that a failed update is an earlier one. It is not a fault where the tasks run as they should now.
      - By default V(false) with O(state=present), V(true) with O(state=pruned).
    type: bool
  service_plan:
    description:
      - What O(service) is going to be made of, a dictionary. What the engine would refuse is then found before the token is stored.
      - C(environment), C(labels) and C(container_labels) are dictionaries of texts, C(constraints) a list of texts, C(image) is a text.
    type: dict
    version_added: 1.1.0
  remove_when_registered:
    description:
      - With O(state=present), need no token when all tasks of O(service) are registered, and return no version for the service to use.
      - With O(state=pruned), leave no version when all tasks are registered and O(service) uses none.
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

- name: Use it in a service of your own
  community.docker.docker_swarm_service:
    name: edge
    image: registry.example.com/edge@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    secrets: "{{ stored.references }}" # read at /run/secrets/expanso_bootstrap_token

- name: Remove the token from a swarm whose tasks are all registered, but not the service
  expanso.edge.swarm_secret:
    name: expanso_bootstrap_token
    service: expanso-edge
    state: retired
    only_registered: true

- name: Remove the earlier versions
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
    - With O(state=retired), V(kept) means that there is a version that O(only_registered) or O(fingerprint) spares.
    - V(checked) is what O(state=checked) returns.
    - With O(state=present), V(removed) means that no version is needed any more. O(state=pruned) removes them when the service uses none.
  type: str
  returned: success
  choices: [written, kept, removed, not_needed, absent, checked]
msg:
  description: Human-readable summary of the result.
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
previous_fingerprint:
  description: Fingerprint of the token that was held before, V(null) where there was none, or none that is known.
  type: str
  returned: success
  sample: 0a4d55a8d778
  version_added: 1.1.0
token_kind:
  description: Kind of the token that was stored, V(null) where none was.
  type: str
  returned: success
  choices: [bootstrap_key, jwt, opaque]
expires_at:
  description: When the token that was stored expires, in ISO 8601 and UTC. V(null) where it does not say.
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
  description: The value of O(token_source).
  type: str
  returned: success
record:
  description:
    - Which token the tasks of O(service) are given, since when, and by which run, as M(expanso.edge.bootstrap_token) returns it. V(null) where that is
      unknown.
    - Each version has it as the label C(io.expanso.edge.enrolment). There it is removed with the token, so the service needs it, too.
    - The kind is V(null) for a version from before there were such records, because the engine never gives a token back.
  type: dict
  returned: success
  version_added: 1.1.0
service_labels:
  description: A label for O(service) that keeps RV(record) when the secret is removed. Changing it replaces no task. Empty where there is no record.
  type: dict
  returned: success
  version_added: 1.1.0
"""

import re
import time
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._cluster import learn_url, reading, texts
from ansible_collections.expanso.edge.plugins.module_utils._decision import ARGUMENT_SPEC as TOKEN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._decision import Held, Request
from ansible_collections.expanso.edge.plugins.module_utils._engine import (
    ARGUMENT_SPEC,
    NOT_FOUND,
    POLL_SECONDS,
    connect,
    connect_again,
    end_of_restart,
    patiently,
    talk,
)
from ansible_collections.expanso.edge.plugins.module_utils._errors import SwarmError
from ansible_collections.expanso.edge.plugins.module_utils._guard import guard
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._record import ARGUMENT_SPEC as RUN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_LABEL, as_result, render_entry
from ansible_collections.expanso.edge.plugins.module_utils._removal import ARGUMENT_SPEC as REMOVAL_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._removal import check_removal
from ansible_collections.expanso.edge.plugins.module_utils._swarm import (
    FINGERPRINT_LABEL,
    ServiceState,
    Version,
    check_foreign,
    check_name,
    check_plan,
    check_service_name,
    container_spec,
    entry_for,
    find_versions,
    plan_present,
    plan_prune,
    plan_retire,
    service_state,
)

NEW_ID = "(will be known when it is created)"
FILE_NAME = "expanso_bootstrap_token"  # below /run/secrets
FILE_MODE_BITS = 0o440
LARGEST_ID = 0xFFFFFFFE


# What the swarm holds


class Swarm(NamedTuple):
    """What was found."""

    versions: List[Version]
    service: Optional[ServiceState]  # None where it does not exist, or none was asked about

    @property
    def registered(self) -> bool:
        return self.service is not None and self.service.registered


def find_swarm(client: Any, params: Dict[str, Any]) -> Swarm:
    wanted = params["fingerprint"]
    with reading(f"the Docker engine {params['docker_host']}", "its list of secrets or services"):
        # one that is asked for may have any name
        secrets = client.secrets(filters=None if wanted else {"name": params["name"]}) or []
        versions = find_versions(params["name"], secrets, client.services() or [], wanted)
    return Swarm(versions, read_service(client, params["service"], params["docker_host"]))


def read_service(client: Any, name: Optional[str], host: str) -> Optional[ServiceState]:
    if not name:
        return None
    try:
        service = client.inspect_service(name)
    except NOT_FOUND:
        return None
    with reading(f"the Docker engine {host}", "a service, one of its tasks or a node"):
        if service["Spec"]["Name"] != name:  # the engine takes beginnings of identifiers as well
            return None
        hostnames = {node["ID"]: (node.get("Description") or {}).get("Hostname") or node["ID"] for node in client.nodes()}
        return service_state(service, client.tasks(filters={"service": service["ID"]}), hostnames)


def waited_for(params: Dict[str, Any]) -> str:
    return f"service {params['service']}" if params["service"] else f"secret {params['name']}"


def wait_for_service(client: Any, params: Dict[str, Any], end: float) -> Optional[ServiceState]:
    """Wait until the service runs as described.

    :raises SwarmError: its update failed, or it does not run in time
    """
    while True:
        state: Optional[ServiceState] = patiently(end, waited_for(params), lambda: read_service(client, params["service"], params["docker_host"]))
        problem = state.failed if state and params["service_changed"] is not False else None
        if state is None or (state.settled and not problem):
            return state
        if problem is None and time.monotonic() >= end:
            problem = f"it did not settle within {params['wait_timeout']} seconds"
        if problem is not None:
            name, why = params["service"], state.report or "no task says why"
            raise SwarmError(f"service {name}: {problem}: {why}; for its log run docker service logs {name}; no version of the secret was removed")
        time.sleep(POLL_SECONDS)


# States


def apply_state(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    """Bring the secret to its state and return the result."""
    params = module.params
    by_name = params["fingerprint"] is None  # a token that is named is ours wherever it is
    check_foreign(found.versions, params["adopt"] or not by_name)
    if by_name and found.service is not None and not found.service.ours and not params["adopt"]:
        raise SwarmError(
            f"service {params['service']} already exists and was not created by this collection: "
            "choose another name, or set adopt=true to let this collection manage it"
        )
    act = {"present": be_present, "pruned": be_pruned, "absent": be_absent, "retired": be_retired, "checked": be_checked}[params["state"]]
    result = act(module, client, found)
    before = [version.name for version in found.versions]
    after = [version.name for version in result["after"]]
    newest = result["after"][-1] if result["after"] else None
    answer: Dict[str, Any] = dict.fromkeys(("secret_name", "secret_id", "token_kind", "expires_at"))
    answer.update(
        {
            "changed": before != after,
            "fingerprint": newest.fingerprint if newest else None,
            "previous_fingerprint": found.versions[-1].fingerprint if found.versions else None,
            "versions": after,
            "removed": [name for name in before if name not in after],
            "references": [],
            "in_use": [],
            "registered": found.registered,
            "nodes": list(found.service.nodes) if found.service else [],
            "token_source": params["token_source"],
            "record": as_result(found.service.entry) if found.service else None,
            "service_labels": {RECORD_LABEL: found.service.record} if found.service and found.service.record else {},
            "diff": {"before": show(found.versions), "after": show(result["after"])},
        }
    )
    answer.update((key, value) for key, value in result.items() if key != "after")
    return answer


def show(versions: List[Version]) -> Dict[str, Any]:
    """Return what may be shown of the versions."""
    return {"secrets": {version.name: version.fingerprint or "not created by this collection" for version in versions}}


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
    """Check that the secret's owner and group are numbers: the engine does not know the names that an image uses.

    :raises SwarmError: they are not
    """
    for option in ("uid", "gid"):
        if not re.fullmatch("[0-9]{1,10}", params[option]) or int(params[option]) > LARGEST_ID:
            raise SwarmError(f"{option} {params[option][:70]!r} is not a number: give that of the image's user")


def file_mode(params: Dict[str, Any]) -> int:
    """Return the secret's mode as a number.

    community.docker.docker_swarm_service would take '0400' as decimal, and leave out 0, so that everybody could read the secret.
    """
    mode = params["mode"]
    if not isinstance(mode, (int, str)) or isinstance(mode, bool) or (isinstance(mode, str) and not re.fullmatch("[0-9o]{1,12}", mode)):
        raise SwarmError("option mode does not hold permissions: write them as a quoted octal string such as '0400'")
    bits = _checks.mode(mode, FILE_MODE_BITS)
    if bits == 0:
        raise SwarmError("with mode 0000 no account can read the secret: give it '0400'")
    return bits


def be_present(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    params = module.params
    versions = list(found.versions)
    guard(Request.of(params), Held(versions[-1].fingerprint) if versions else None, registered=False)
    plan = plan_present(params["name"], versions, Request.of(params), found.registered, bool(params["service_changed"]))
    known, now = found.service.entry if found.service else None, time.time()
    if plan.create is not None and plan.current is not None:
        former = versions[-1] if versions else None
        new = Version(plan.current, NEW_ID, former.number + 1 if former else 1, plan.create.fingerprint, ())
        new = new._replace(record=entry_for(module.run_options(plan.create.value), known, new, plan.kind, now))
        if not module.check_mode:
            labels = {**texts("option labels", params["labels"]), FINGERPRINT_LABEL: plan.create.fingerprint}
            if new.record is not None:
                labels[RECORD_LABEL] = render_entry(new.record)
            made = client.create_secret(plan.current, plan.create.value.encode("ascii"), labels=labels)
            with reading(f"the Docker engine {params['docker_host']}", "its answer about the new secret"):
                new = new._replace(id=made["ID"])
            module.log_change("written", f"swarm secret {new.name}", former.fingerprint if former else None, new.fingerprint)
        versions.append(new)
    entry = entry_for(module.run_options(), known, versions[-1] if versions else None, plan.kind, now)
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
        "record": as_result(entry),
        "service_labels": {RECORD_LABEL: render_entry(entry)} if entry else {},
    }


def be_checked(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    return {"action": "checked", "msg": "the engine is a manager of a swarm, and nothing there prevents what is planned", "after": found.versions}


def be_pruned(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    params = module.params
    end = time.monotonic() + params["wait_timeout"]
    state = found.service if module.check_mode else wait_for_service(client, params, end)
    found = patiently(end, waited_for(params), lambda: Swarm(find_swarm(client, params).versions, state))
    used = any(params["service"] in version.users for version in found.versions)
    keep = 0 if params["remove_when_registered"] and found.registered and not used else max(params["versions_to_keep"], 1)
    unused, used_still = plan_prune(found.versions, keep)
    patiently(end, waited_for(params), lambda: remove(module, client, unused))
    left = [version for version in found.versions if version not in unused]
    msg = f"removed {', '.join(version.name for version in unused)}" if unused else "there is no version to remove"
    if used_still:
        msg += f"; still in use: {with_users(used_still)}"
    return {
        "action": "removed" if unused else "kept" if left else "absent",
        "msg": msg,
        "after": left,
        "registered": found.registered,
        "nodes": list(state.nodes) if state else [],
        "in_use": [version.name for version in used_still],
    }


def with_users(versions: List[Version]) -> str:
    return ", ".join(f"{version.name} (by service {', '.join(version.users)})" for version in versions)


def be_absent(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    service = module.params["service"]
    others = [version for version in found.versions if set(version.users) - {service}]
    if others:
        raise SwarmError(f"these cannot be removed, because they are in use: {with_users(others)}")
    done = []
    if found.service is not None:
        done.append(f"service {service}")
        if not module.check_mode:
            client.remove_service(service)
    remove(module, client, found.versions)
    done += [version.name for version in found.versions]
    return {
        "changed": bool(done),
        "action": "removed" if done else "absent",
        "msg": f"removed {', '.join(done)}" if done else "there is nothing to remove",
        "after": [],
        "registered": False,
    }


def be_retired(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    """Take versions from services and remove them. Only a service whose tasks are all registered is waited for, and not where a token is named."""
    params = module.params
    named = params["fingerprint"] is not None
    plan = plan_retire(params, found.versions, found.registered)
    users = sorted({name for version in plan.remove for name in version.users})
    if set(users) - {params["service"]} and not named:
        raise SwarmError(f"these cannot be removed, because they are in use: {with_users(plan.remove)}")
    if not module.check_mode:
        for name in users:
            take_from_service(client, name, plan.remove, name != params["service"] or not found.registered)
        if users and found.registered and not named:
            wait_for_service(client, dict(params, service_changed=True), time.monotonic() + params["wait_timeout"])
        remove(module, client, plan.remove)
    unknown = [version.name for version in found.versions if named and version.fingerprint is None]
    if unknown:
        raise SwarmError(f"{', '.join(unknown)} was not created by this collection, so whether it holds the token is unknown: remove it by hand ({plan.msg})")
    msg = plan.msg
    if users:
        msg += f"; taken from service {', '.join(users)}, whose tasks are replaced"
    if users and not found.registered:
        msg += ", and need a new token where they are not registered"
    return {
        "changed": bool(plan.remove),
        "action": "removed" if plan.remove else "kept" if found.versions else "absent",
        "msg": msg,
        "after": [version for version in found.versions if version not in plan.remove],
    }


def take_from_service(client: Any, name: str, versions: List[Version], at_once: bool) -> None:
    """Let a service run without versions of the secret. What else it is made of stays, and it keeps the enrolment record of the last one.

    :param at_once: replace all tasks at the same time, whether or not they run afterwards. Otherwise a failed update would bring the secret back
    """
    service = client.inspect_service(name)
    with reading("the Docker engine", "a service"):
        number, labels = service["Version"]["Index"], dict(service["Spec"].get("Labels") or {})
        used = container_spec(service).get("Secrets") or []
        left = [each for each in used if each["SecretID"] not in [version.id for version in versions]]
        update = dict(service["Spec"].get("UpdateConfig") or {}, Parallelism=0, FailureAction="continue") if at_once else None
    records = [version.record for version in versions if version.record and name in version.users]
    if records:
        labels.setdefault(RECORD_LABEL, render_entry(records[-1]))
    template = {"ContainerSpec": {"Secrets": left}}
    client.update_service(service["ID"], number, task_template=template, labels=labels, update_config=update, fetch_current_spec=True)


def remove(module: EdgeModule, client: Any, versions: List[Version]) -> None:
    if not module.check_mode:
        for version in versions:
            try:
                client.remove_secret(version.id)
            except NOT_FOUND:  # removed by an earlier attempt that got no answer
                continue
            module.log_change("removed", f"swarm secret {version.name}", version.fingerprint, None)


def check(module: EdgeModule) -> None:
    """Check the options, before anything is asked of the engine.

    :raises OptionError: one cannot be used
    :raises SwarmError: the same, where only a swarm refuses it
    """
    params = module.params
    _checks.server_options(module.argument_spec, params)
    learn_url(module.learn, params["docker_host"])
    check_name(params["name"])
    if params["service"]:
        check_service_name(params["service"])
    check_ids(params)
    file_mode(params)
    texts("option labels", params["labels"])
    check_plan(params["service_plan"])
    check_removal(params, "retired")
    if params["timeout"] < 1:
        raise OptionError("option timeout: the engine needs at least one second to answer")


def work(module: EdgeModule) -> Dict[str, Any]:
    check(module)
    params = module.params

    def manage(where: str) -> Dict[str, Any]:
        if params["state"] != "pruned" or not params["service"] or module.check_mode:
            client = connect(params, where)
            return apply_state(module, client, find_swarm(client, params))
        client = connect_again(params, where)
        return apply_state(module, client, patiently(end_of_restart(params), waited_for(params), lambda: find_swarm(client, params)))

    answer: Dict[str, Any] = talk(params, manage)
    return answer


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "name": {"type": "str", "default": "expanso_bootstrap_token"},
            "state": {"type": "str", "choices": ["present", "pruned", "absent", "retired", "checked"], "default": "present"},
            **TOKEN_OPTIONS,
            **REMOVAL_OPTIONS,
            **RUN_OPTIONS,
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
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(work, "manage the secret", module.params["name"])


if __name__ == "__main__":
    main()
