# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The states that a swarm's secret can be brought to: present, pruned, absent, retired, or only checked."""

import re
import time
from typing import Any, Dict, List

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._cluster import reading, texts
from ansible_collections.expanso.edge.plugins.module_utils._decision import Held, Request
from ansible_collections.expanso.edge.plugins.module_utils._engine import NOT_FOUND, patiently
from ansible_collections.expanso.edge.plugins.module_utils._errors import SwarmError
from ansible_collections.expanso.edge.plugins.module_utils._guard import guard
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_LABEL, as_result, render_entry
from ansible_collections.expanso.edge.plugins.module_utils._swarm import (
    FINGERPRINT_LABEL,
    Version,
    check_foreign,
    container_spec,
    entry_for,
    plan_present,
    plan_prune,
    plan_retire,
)
from ansible_collections.expanso.edge.plugins.module_utils._swarm_view import Swarm, find_swarm, wait_for_service, waited_for

NEW_ID = "(will be known when it is created)"
FILE_NAME = "expanso_bootstrap_token"  # below /run/secrets
FILE_MODE_BITS = 0o440
LARGEST_ID = 0xFFFFFFFE


def apply_state(module: EdgeModule, client: Any, found: Swarm) -> Dict[str, Any]:
    """Bring the secret to its state and return the result."""
    params = module.params
    by_name = params["fingerprint"] is None  # a token that is named is ours wherever it is
    check_foreign(found.versions, params["adopt"] or not by_name)
    if by_name and found.service is not None and not found.service.ours and not params["adopt"]:
        raise SwarmError(
            f"service {params['service']} already exists and was not created by this collection: "
            "choose another name, or set option adopt=true to let this collection manage it"
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
            raise SwarmError(f"option {option}: {params[option][:70]!r} is not a number: give that of the image's user")


def file_mode(params: Dict[str, Any]) -> int:
    """Return the secret's mode as a number.

    community.docker.docker_swarm_service would take '0400' as decimal, and leave out 0, so that everybody could read the secret.
    """
    mode = params["mode"]
    if not isinstance(mode, (int, str)) or isinstance(mode, bool) or (isinstance(mode, str) and not re.fullmatch("[0-9o]{1,12}", mode)):
        raise SwarmError("option mode does not hold permissions: write them as a quoted octal string such as '0400'")
    bits = _checks.mode(mode, FILE_MODE_BITS)
    if bits == 0:
        raise SwarmError("option mode: with 0000 no account can read the secret: give '0400'")
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
    with reading("the Docker engine", "a service"):  # the SDK reads it once more
        client.update_service(service["ID"], number, task_template=template, labels=labels, update_config=update, fetch_current_spec=True)


def remove(module: EdgeModule, client: Any, versions: List[Version]) -> None:
    if not module.check_mode:
        for version in versions:
            try:
                client.remove_secret(version.id)
            except NOT_FOUND:  # removed by an earlier attempt that got no answer
                continue
            module.log_change("removed", f"swarm secret {version.name}", version.fingerprint, None)
