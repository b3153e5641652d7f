#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: k8s_secret
short_description: Put, renew or remove a bootstrap token in a Kubernetes Secret
version_added: 1.0.0
description:
  - Brings a Secret that holds an Expanso Edge bootstrap token to the state asked for.
  - The token is judged first, as M(expanso.edge.bootstrap_token) does. Its base64 form, a second secret that Ansible does not mask, is
    made inside the module and is not in any option, result, diff or message.
  - The Secret is applied on the server, as a field manager of its own (C(expanso.edge)). Other keys, labels and annotations are left unchanged.
    If another manager holds the key with another value, that is an error, unless O(force=true).
  - An agent whose identity lies on a volume needs no token. One that is not registered, and is given none, uses the one that the Secret holds.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._k8s
  - expanso.edge._removal
  - expanso.edge._token
  - expanso.edge._record
attributes:
  check_mode:
    details:
      - Asks the API server for a dry run. Where the namespace is still missing, that is predicted.
  diff_mode:
    details:
      - Shows name, type, labels, size and fingerprint, never the token.
  idempotent:
    support: full
options:
  name:
    description: Name of the Secret.
    type: str
    required: true
  namespace:
    description: Namespace of the Secret.
    type: str
    required: true
  create_namespace:
    description: Create the namespace if it is missing, after the token has been judged. Otherwise a missing namespace is an error.
    type: bool
    default: false
  key:
    description: Key in the Secret's data that holds the token, the name of the file where the Secret is mounted.
    type: str
    default: bootstrap.token
  state:
    description:
      - V(present) makes sure that the Secret holds the token, or that the agent is known not to need it.
      - V(absent) removes the Secret. If it holds further keys, only O(key) is removed. With O(fingerprint), Secrets of former tokens are looked at as
        well, if the account may list Secrets.
    type: str
    choices: [present, absent]
    default: present
  immutable:
    description:
      - Create a Secret that cannot be changed, with the token's fingerprint appended to O(name). Each token then gets a Secret of its own.
      - With O(state=absent), all of them are removed except the one that O(keep) names. This lists the Secrets of the namespace, as does
        O(state=present) without a token.
    type: bool
    default: false
  keep:
    description: Name of the Secret that is not removed with O(state=absent) and O(immutable=true).
    type: str
  labels:
    description: Further labels of the Secret.
    type: dict
    default: {}
  claim:
    description:
      - Name of the PersistentVolumeClaim that holds the agent's data directory.
      - An annotation of it, C(expanso.edge/token-fingerprint), says that there is an identity on it, so that no token is needed.
        The role P(expanso.edge.k8s_secret#role) writes it when the agent has registered.
      - With O(state=absent) it counts for O(only_registered).
    type: str
  force:
    description: Take over fields that another manager holds with other values.
    type: bool
    default: false
seealso:
  - module: expanso.edge.bootstrap_token
  - module: kubernetes.core.k8s
  - plugin: expanso.edge.bootstrap_token
    plugin_type: lookup
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Put the token into a Secret
  expanso.edge.k8s_secret:
    name: expanso-bootstrap-token
    namespace: expanso-system
    context: production
  delegate_to: localhost
  become: false

- name: Remove it
  expanso.edge.k8s_secret:
    name: expanso-bootstrap-token
    namespace: expanso-system
    state: absent
  delegate_to: localhost
  become: false
"""

RETURN = r"""
action:
  description:
    - What was done, or would be done in check mode.
    - V(written) means that the Secret received a token it did not hold. V(repaired) means that it held the right token with other labels or annotations.
    - V(kept) and V(absent) mean that there was nothing to do. V(not_needed) means that the agent is registered and there is no Secret.
    - With O(state=absent), V(kept) means that there is a token that O(only_registered) or O(fingerprint) spares.
  type: str
  returned: success
  choices: [written, repaired, kept, removed, not_needed, absent]
msg:
  description: Human-readable summary of the result.
  type: str
  returned: always
fault:
  description: Stable name of what is wrong with the token, such as V(missing), V(whitespace), V(api_key), V(placeholder) or V(expired).
  type: str
  returned: when the token cannot be used
name:
  description: Name of the Secret, with O(immutable=true) the one that holds this token.
  type: str
  returned: success
namespace:
  description: Namespace of the Secret.
  type: str
  returned: success
key:
  description: Key that holds the token.
  type: str
  returned: success
namespace_created:
  description: Whether the namespace was missing, and has been created, or would be in check mode.
  type: bool
  returned: success
size:
  description: Length of the token in the Secret in bytes, V(null) where there is none.
  type: int
  returned: success
token_kind:
  description: Kind of the token that was given, or of the one that is kept because none was given. V(null) where none is needed.
  type: str
  returned: success
  choices: [bootstrap_key, jwt, opaque]
fingerprint:
  description:
    - Twelve hexadecimal digits that tell which token the Secret holds, and are of no use for anything else.
    - Where there is no Secret, those of the token that the agent was given last. V(null) where neither is known.
  type: str
  returned: success
  sample: 5d41402abc4b
previous_fingerprint:
  description: Fingerprint of the token that was held before, V(null) where there was none, or none that is known.
  type: str
  returned: success
  sample: 0a4d55a8d778
  version_added: 1.1.0
expires_at:
  description: When the token expires, in ISO 8601 and UTC. V(null) where it does not say.
  type: str
  returned: success
  sample: '2027-01-31T00:00:00Z'
registered:
  description: Whether the volume of O(claim) is known to hold an identity.
  type: bool
  returned: success
token_source:
  description: The value of O(token_source).
  type: str
  returned: success
record:
  description:
    - Which token the agent is given, since when, and by which run, as M(expanso.edge.bootstrap_token) returns it. V(null) where that is unknown.
    - The Secret has it as the annotation C(expanso.edge/enrolment), and so has O(claim) when the agent has registered. There it stays when the token is
      removed.
  type: dict
  returned: success
  version_added: 1.1.0
secrets_removed:
  description: With O(state=absent), the Secrets that held a token, each with C(name) and C(fingerprint) of the token. Empty otherwise.
  type: list
  elements: dict
  returned: success
  version_added: 1.1.0
claim_annotations:
  description: The annotation for O(claim) that keeps RV(record). Empty where there is no record.
  type: dict
  returned: success
  version_added: 1.1.0
"""

import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._decision import ARGUMENT_SPEC as TOKEN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._decision import Held, Request
from ansible_collections.expanso.edge.plugins.module_utils._guard import guard
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import Api
from ansible_collections.expanso.edge.plugins.module_utils._k8s_connection import ARGUMENT_SPEC, ApiError
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
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._record import ARGUMENT_SPEC as RUN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._record import Entry, as_result
from ansible_collections.expanso.edge.plugins.module_utils._removal import ARGUMENT_SPEC as REMOVAL_OPTIONS
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
            remark = "; Secrets of former tokens were not looked at, because the account may not list Secrets"
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


def work(module: EdgeModule) -> Dict[str, Any]:
    api = Api(module)
    params = module.params
    result = apply_state(api, params, module.run_options)
    for each in result["secrets_removed"]:
        module.log_change("removed", title("Secret", each["name"], params["namespace"]), each["fingerprint"], None)
    if result["changed"] and not result["secrets_removed"]:
        marks = [result["diff"][when]["fingerprint"] for when in ("before", "after")]
        module.log_change(result["action"], title("Secret", result["name"], params["namespace"]), *marks)
    api.warn(module)
    return result


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "create_namespace": {"type": "bool", "default": False},
            "key": {"type": "str", "default": "bootstrap.token", "no_log": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **TOKEN_OPTIONS,
            **REMOVAL_OPTIONS,
            **RUN_OPTIONS,
            "immutable": {"type": "bool", "default": False},
            "keep": {"type": "str"},
            "labels": {"type": "dict", "default": {}},
            "claim": {"type": "str"},
            "force": {"type": "bool", "default": False},
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(work, "manage the Secret", title("Secret", module.params["name"], module.params["namespace"]))


if __name__ == "__main__":
    main()
