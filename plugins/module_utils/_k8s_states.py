# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The states that a Secret can be brought to: present or absent."""

import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._decision import Held, Request
from ansible_collections.expanso.edge.plugins.module_utils._guard import guard
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import Api
from ansible_collections.expanso.edge.plugins.module_utils._k8s_connection import ApiError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import FIELD_MANAGER, FINGERPRINT, being_removed, differs, still_there, title
from ansible_collections.expanso.edge.plugins.module_utils._k8s_secret import (
    FAMILY,
    SecretContent,
    SecretError,
    annotations_of,
    check_secret,
    describe,
    entry_for,
    make_plan,
    read_entry,
    read_secret,
    secret_name,
    wanted_manifest,
)
from ansible_collections.expanso.edge.plugins.module_utils._record import Entry, as_result
from ansible_collections.expanso.edge.plugins.module_utils._removal import check_removal, reason_to_keep
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint

REMOVAL_SECONDS = 5
"""How long the API server may take until a Secret that it deleted is gone, where nothing holds it."""


def registered_with(api: Api, params: Dict[str, Any]) -> Tuple[Optional[str], Optional[Entry]]:
    """Return the fingerprint of the token that the agent was given last, None for one that is not registered; and the enrolment record beside it."""
    if not params["claim"]:
        return None, None
    claim = api.get("PersistentVolumeClaim", params["namespace"], params["claim"])
    if being_removed(claim):  # and with it the identity
        return None, None
    return ((claim or {}).get("metadata", {}).get("annotations") or {}).get(FINGERPRINT), read_entry(claim)


def find_current(api: Api, params: Dict[str, Any], given: Optional[str], last: Optional[str]) -> Optional[SecretContent]:
    """Return the Secret that the agent has now. Where each token has its own, that of the given token, else of the one before, else the newest.

    :param given: fingerprint of the token that the task gives
    :param last: fingerprint of the token that a registered agent was given last
    :raises SecretError: it is being removed
    """
    names = [secret_name(params, each) for each in (given, last) if each] if params["immutable"] else [params["name"]]
    for name in names:
        manifest = api.get("Secret", params["namespace"], name)
        removal = being_removed(manifest)
        if removal and name == names[0]:
            raise SecretError(f"{title('Secret', name, params['namespace'])} is {removal}: try again when it is gone")
        if manifest is not None and not removal:
            return read_secret(manifest, params)
    if given or not params["immutable"]:
        return None
    family = [each for each in find_family(api, params) if not being_removed(each)]
    return read_secret(max(family, key=lambda each: str(each["metadata"].get("creationTimestamp"))), params) if family else None


def held_before(api: Api, params: Dict[str, Any], current: Optional[SecretContent], last: Optional[str]) -> Optional[Held]:
    """Return what the agent has before anything is changed. Where each token has its own Secret, that is the one of the token before."""
    if current is None and params["immutable"] and params["token"]:
        try:
            current = find_current(api, params, None, last)
        except SecretError:  # it is being removed
            return None
    return None if current is None or current.value is None else Held(fingerprint(current.value), current.value)


def find_family(api: Api, params: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return all Secrets that share a name, where each token has its own."""
    return [dict(each, kind="Secret") for each in api.find("Secret", params["namespace"], f"{FAMILY}={params['name']}")]


def apply_state(api: Api, params: Dict[str, Any], run: Callable[..., Dict[str, Any]]) -> Dict[str, Any]:
    """Bring the Secret to its state and return the result.

    :param run: returns the options that tell of the run, with a secret masked in them
    """
    check_secret(params)
    check_removal(params)
    if params["state"] == "absent":
        return remove_all(api, params)
    last, known = registered_with(api, params)
    given = fingerprint(params["token"]) if params["token"] else None
    current = find_current(api, params, given, last)
    previous = held_before(api, params, current, last)
    guard(Request.of(params), previous, registered=False)
    plan = make_plan(params, current, last)
    before = current if current and current.name == plan.name else None
    action, msg, after, created = plan.action, plan.msg, before, False
    entry = entry_for(run, plan, current, known, time.time())
    if plan.action == "removed":
        after = read_secret(remove_token(api, params, current), params)
    elif plan.value is not None:
        manifest = wanted_manifest(params, plan, current, entry)
        applied, created = apply(api, manifest, params)
        after = read_secret(applied, params)
        if action == "kept" and differs(before.manifest if before else None, applied, manifest, FIELD_MANAGER):
            action, msg = "repaired", f"{msg}; its labels or annotations were corrected"
    result = finish(params, plan.name, describe(before), describe(after))
    result.update(
        changed=action in ("written", "repaired", "removed"),
        action=action,
        msg=msg,
        token_kind=plan.token.kind if plan.token else None,
        expires_at=plan.token.expires_at if plan.token else None,
        registered=last is not None,
        namespace_created=created,
        previous_fingerprint=previous and previous.fingerprint,
        record=as_result(entry),
        secrets_removed=[],
        claim_annotations=annotations_of(entry),
    )
    result["fingerprint"] = result["fingerprint"] or last
    return result


def apply(api: Api, manifest: Dict[str, Any], params: Dict[str, Any]) -> Tuple[Dict[str, Any], bool]:
    """Apply the Secret; return it, and whether the namespace had to be created for it."""
    try:
        return api.apply(manifest, params["force"]), False
    except ApiError as exc:
        if exc.no_dry_run and api.dry_run:
            return manifest, False
        if exc.status != 404 or not params["create_namespace"]:
            raise
    api.create_namespace(params["namespace"])
    # in a dry run it is not there afterwards
    return (manifest if api.dry_run else api.apply(manifest, params["force"])), True


def remove_token(api: Api, params: Dict[str, Any], found: Optional[SecretContent]) -> Optional[Dict[str, Any]]:
    """Remove the token: with the Secret, or from a Secret that holds further keys. Return what is left of the Secret."""
    if found is None:
        return None
    try:
        if found.others:
            return api.remove_key(found.manifest, params["key"])
        api.delete(found.manifest)
    except ApiError as exc:
        if not (exc.no_dry_run and api.dry_run):
            raise
        return None
    if not api.dry_run:
        await_removal(api, found.manifest, params)
    return None


def await_removal(api: Api, manifest: Dict[str, Any], params: Dict[str, Any]) -> None:
    """Wait a moment until a Secret that was deleted is gone.

    :raises SecretError: it is not, so the token in it can still be read
    """
    end = time.monotonic() + REMOVAL_SECONDS
    while True:
        left = api.again(manifest)
        if left is None:
            return
        if time.monotonic() >= end:
            what = title("Secret", manifest["metadata"]["name"], params["namespace"])
            raise SecretError(f"{what} is {still_there(left)}, so the token in it can still be read: remove what holds it, then run this again")
        time.sleep(0.2)


def find_all(api: Api, params: Dict[str, Any]) -> Tuple[List[Dict[str, Any]], str]:
    """Return the Secrets that a removal is about, and a remark on what was not looked at."""
    if params["immutable"]:
        return [each for each in find_family(api, params) if each["metadata"]["name"] != params["keep"]], ""
    manifest = api.get("Secret", params["namespace"], params["name"])
    found, remark = [manifest] if manifest else [], ""
    if params["fingerprint"]:
        try:
            found += [each for each in find_family(api, params) if each["metadata"]["name"] != params["name"]]
        except ApiError as exc:
            if exc.status != 403:
                raise
            remark = "; Secrets of former tokens were not looked at, because the account is not allowed to list Secrets"
    return found, remark


def kept_because(params: Dict[str, Any], found: SecretContent, registered: bool) -> Optional[str]:
    """Return why a token is not removed, None for one that is."""
    value = found.value or ""
    marks = [fingerprint(each) for each in (value, value.rstrip("\r\n"))]  # as an editor or echo leaves it
    return reason_to_keep(params, registered, params["fingerprint"] in marks)


def remove_all(api: Api, params: Dict[str, Any]) -> Dict[str, Any]:
    """Remove the Secret, or with O(immutable) all that share its name, except the one to keep and those that are spared."""
    registered = registered_with(api, params)[0] is not None
    manifests, remark = find_all(api, params)
    contents = [each for each in (read_secret(manifest, params) for manifest in manifests) if each]
    held = [each for each in contents if each.value is not None or not (each.others or params["fingerprint"])]
    kept = {each.name: kept_because(params, each, registered) for each in held}
    found, spared = [each for each in held if not kept[each.name]], [each for each in held if kept[each.name]]
    left = None
    for each in found:
        left = remove_token(api, params, each)
    if found:
        msg = f"token removed from {title('Secret', ', '.join(each.name for each in found), params['namespace'])}"
    elif spared:
        names = ", ".join(each.name for each in spared)
        msg = f"the token in {title('Secret', names, params['namespace'])} stays: {kept[spared[0].name]}"
    else:
        msg = f"{title('Secret', params['name'], params['namespace'])} holds no token"
    before = describe(found[0] if found else spared[0] if spared else None)
    return dict(
        finish(params, params["name"], before, describe(spared[0]) if spared else describe(read_secret(left, params))),
        changed=bool(found),
        action="removed" if found else "kept" if spared else "absent",
        msg=msg + remark,
        token_kind=None,
        expires_at=None,
        registered=registered,
        namespace_created=False,
        previous_fingerprint=fingerprint(found[0].value) if found and found[0].value else None,
        record=None,
        secrets_removed=[{"name": each.name, "fingerprint": fingerprint(each.value) if each.value else None} for each in found],
        claim_annotations={},
    )


def finish(params: Dict[str, Any], name: str, before: Dict[str, Any], after: Dict[str, Any]) -> Dict[str, Any]:
    """Return what all results have in common."""
    identity = {"name": name, "namespace": params["namespace"], "key": params["key"]}
    return dict(
        identity,
        size=after["size"],
        fingerprint=after["fingerprint"],
        token_source=params["token_source"],
        diff={"before": dict(identity, **before), "after": dict(identity, **after)},
    )
