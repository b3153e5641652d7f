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
    made inside the module and stands in no option, result, diff or message.
  - The Secret is applied on the server, as a field manager of its own (C(expanso.edge)). Keys, labels and annotations of others are left alone.
    Where another manager holds the key with another value, that is an error, unless O(force=true).
  - An agent whose identity lies on a volume needs no token. One that is not registered, and is given none, uses the one that the Secret holds.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._k8s
  - expanso.edge._token
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
    description: Create the namespace where it is missing, once the token is known to be one. Otherwise that is an error.
    type: bool
    default: false
  key:
    description: Key in the Secret's data that holds the token, the name of the file where the Secret is mounted.
    type: str
    default: bootstrap.token
  state:
    description:
      - V(present) makes sure that the Secret holds the token, or that the agent is known not to need it.
      - V(absent) removes the Secret. One that holds keys of others loses only O(key).
    type: str
    choices: [present, absent]
    default: present
  immutable:
    description:
      - Make a Secret that cannot be changed, with the token's fingerprint appended to O(name). Each token then gets a Secret of its own.
      - With O(state=absent), all of them are removed but the one that O(keep) names. This lists the Secrets of the namespace.
    type: bool
    default: false
  keep:
    description: Name of the Secret that is spared with O(state=absent) and O(immutable=true).
    type: str
  labels:
    description: Further labels of the Secret.
    type: dict
    default: {}
  claim:
    description:
      - Name of the PersistentVolumeClaim that holds the agent's data directory.
      - An annotation of it, C(expanso.edge/token-fingerprint), says that there is an identity on it, so that no token is needed.
        The role P(expanso.edge.k8s_secret#role) writes it once the agent has registered.
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
    - V(written) means that the Secret received a token it did not hold. V(repaired) means that it held the right token with other labels.
    - V(kept) and V(absent) mean that there was nothing to do. V(not_needed) means that the agent is registered and there is no Secret.
  type: str
  returned: success
  choices: [written, repaired, kept, removed, not_needed, absent]
msg:
  description: The same in a sentence.
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
  description: What the token looks like that was judged, the given one or the one that is kept for want of it. V(null) where none is needed.
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
expires_at:
  description: When the token expires, in ISO 8601 and UTC. V(null) where it does not tell.
  type: str
  returned: success
  sample: '2027-01-31T00:00:00Z'
registered:
  description: Whether the volume of O(claim) is known to hold an identity.
  type: bool
  returned: success
token_source:
  description: What O(token_source) says.
  type: str
  returned: success
"""

import base64
import binascii
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._decision import ARGUMENT_SPEC as TOKEN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._decision import KUBERNETES, Request, decide
from ansible_collections.expanso.edge.plugins.module_utils._decision import Held as Content
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._fields import differs
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import (
    ARGUMENT_SPEC,
    FIELD_MANAGER,
    FINGERPRINT,
    LABEL_VALUE,
    MANAGED_BY,
    SECRET_TYPE,
    Api,
    ApiError,
    being_removed,
    labels_of,
)
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._token import Token, fingerprint

KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
FAMILY = "expanso.edge/secret"
"""Label that the Secrets of one name share when each token has its own."""

GOES_WITHIN = 5
"""How long the API server may take until what it deleted is gone, in seconds, where nothing holds it."""


class SecretError(EdgeError):
    """A Secret that cannot be managed: where, why, and what to do."""


class Held(NamedTuple):
    """What a Secret in the cluster holds."""

    manifest: Dict[str, Any]
    value: Optional[str]  # the token; None where the Secret has not the key
    others: List[str]  # further keys, somebody else's

    def __repr__(self) -> str:
        return "Held(name={0!r})".format(self.manifest["metadata"]["name"])


class Plan(NamedTuple):
    """What is to become of the Secret: O(action), and the token that it shall hold where it is to be there."""

    action: str
    msg: str
    name: str
    value: Optional[str] = None
    token: Optional[Token] = None

    def __repr__(self) -> str:
        return "Plan(action={0!r}, name={1!r})".format(self.action, self.name)


def secret_name(params: Dict[str, Any], token_fingerprint: Optional[str]) -> str:
    return "{0}-{1}".format(params["name"], token_fingerprint) if params["immutable"] else params["name"]


def held(manifest: Optional[Dict[str, Any]], params: Dict[str, Any]) -> Optional[Held]:
    """Look into a Secret of the cluster.

    :raises SecretError: it is of another type, so it is somebody else's
    """
    if manifest is None:
        return None
    if manifest.get("type", SECRET_TYPE) != SECRET_TYPE:
        raise SecretError(
            "Secret {0} in namespace {1} is of type {2}, not {3}, so it belongs to something else: choose another name".format(
                manifest["metadata"]["name"], params["namespace"], manifest["type"], SECRET_TYPE
            )
        )
    if not isinstance(manifest.get("data") or {}, dict):
        raise SecretError("Secret {0} in namespace {1} has data of another shape than a Secret's".format(manifest["metadata"]["name"], params["namespace"]))
    data = dict(manifest.get("data") or {})
    encoded = data.pop(params["key"], None)
    try:
        value = None if encoded is None else base64.b64decode(encoded).decode("utf-8", "surrogateescape")
    except (binascii.Error, TypeError, ValueError):  # the API server lets no such thing in
        value = None
    return Held(manifest, value, sorted(data))


def wanted_manifest(params: Dict[str, Any], plan: Plan, found: Optional[Held]) -> Dict[str, Any]:
    """Return the manifest to apply: our fields alone."""
    data = (plan.value or "").encode("utf-8", "surrogateescape")
    labels = labels_of("option labels", params["labels"])
    labels.update({"app.kubernetes.io/name": "expanso-edge", MANAGED_BY: FIELD_MANAGER, FAMILY: params["name"]})
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": plan.name,
            "namespace": params["namespace"],
            "labels": labels,
            "annotations": {FINGERPRINT: fingerprint(plan.value or "")},
        },
        "type": SECRET_TYPE,
        "data": {params["key"]: base64.b64encode(data).decode("ascii")},
    }  # type: Dict[str, Any]
    if params["immutable"] or (found and found.manifest.get("immutable")):  # what is immutable stays so
        manifest["immutable"] = True
    return manifest


def make_plan(params: Dict[str, Any], current: Optional[Held], registered_with: Optional[str]) -> Plan:
    """Decide what is to become of the Secret. Changes nothing.

    :param current: the Secret that the agent has now
    :param registered_with: fingerprint of the token that a registered agent was given last
    :raises TokenFault: a token is needed, and there is none that can be used
    :raises SecretError: the Secret cannot be changed
    """
    registered = registered_with is not None
    name = current.manifest["metadata"]["name"] if current else secret_name(params, registered_with)
    value = current.value if current else None
    request = Request.of(params)
    decision = decide(KUBERNETES, request, registered, None if value is None else Content(fingerprint(value), value))
    token = decision.token
    if decision.action == "written" and token is not None:
        name, value = secret_name(params, token.fingerprint), token.value
        if current and current.manifest.get("immutable") and current.manifest["metadata"]["name"] == name:
            raise SecretError(
                f"Secret {params['namespace']}/{name} is immutable and holds another token: remove it, or use immutable=true, which gives each its own"
            )
    place = f"Secret {params['namespace']}/{name}"
    words = {
        "written": f"token written to {place}",
        "removed": f"already registered: token removed from {place}",
        "not_needed": f"already registered: no token needed, none written to {place}",
        "kept": f"already registered: the token left in {place} is no longer needed"
        if registered
        else f"{place} holds the token"
        if request.token
        else f"no token was given: the one in {place} is kept",
    }
    return Plan(decision.action, words[decision.action] + decision.note, name, value if decision.action in ("written", "kept") else None, token)


def describe(manifest: Optional[Dict[str, Any]], params: Dict[str, Any]) -> Dict[str, Any]:
    """Return what may be shown of a Secret, for results and diffs."""
    seen = held(manifest, params)
    if manifest is None or seen is None:
        return dict.fromkeys(("type", "immutable", "labels", "size", "fingerprint"))
    value = seen.value
    return {
        "type": manifest.get("type"),
        "immutable": bool(manifest.get("immutable")),
        "labels": manifest["metadata"].get("labels") or {},
        "size": None if value is None else len(value.encode("utf-8", "surrogateescape")),
        "fingerprint": fingerprint(value) if value else None,
    }


def registered_with(api: Api, params: Dict[str, Any]) -> Optional[str]:
    """Return the fingerprint of the token that the agent was given last, None for one that is not registered."""
    if not params["claim"]:
        return None
    claim = api.get("PersistentVolumeClaim", params["namespace"], params["claim"])
    if being_removed(claim):  # and the identity with it
        return None
    return ((claim or {}).get("metadata", {}).get("annotations") or {}).get(FINGERPRINT)


def find_current(api: Api, params: Dict[str, Any], given: Optional[str], last: Optional[str]) -> Optional[Held]:
    """Return the Secret that there is: where each token has its own, that of the given token, else that of the one before, else the newest."""
    names = [secret_name(params, each) for each in (given, last) if each] if params["immutable"] else [params["name"]]
    for name in names:
        manifest = api.get("Secret", params["namespace"], name)
        if being_removed(manifest) and name == names[0]:
            raise SecretError("Secret {0}/{1} is {2}: try again when it is gone".format(params["namespace"], name, being_removed(manifest)))
        found = None if being_removed(manifest) else held(manifest, params)
        if found is not None:
            return found
    return find_newest(api, params) if params["immutable"] and given is None else None


def find_family(api: Api, params: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return all Secrets that share a name, where each token has its own."""
    return [dict(each, kind="Secret") for each in api.find("Secret", params["namespace"], "{0}={1}".format(FAMILY, params["name"]))]


def find_newest(api: Api, params: Dict[str, Any]) -> Optional[Held]:
    """Return the Secret of the latest token that is not being removed."""
    found = [each for each in find_family(api, params) if not being_removed(each)]
    return held(max(found, key=lambda each: str(each["metadata"].get("creationTimestamp"))), params) if found else None


def bring_about(api: Api, params: Dict[str, Any]) -> Dict[str, Any]:
    """Bring the Secret to its state and return the result."""
    check(params)
    if params["state"] == "absent":
        return remove_all(api, params)
    last = registered_with(api, params)
    given = fingerprint(params["token"]) if params["token"] else None
    current = find_current(api, params, given, last)
    plan = make_plan(params, current, last)
    before = current.manifest if current and current.manifest["metadata"]["name"] == plan.name else None
    action, msg = plan.action, plan.msg
    after, created = before, False
    if plan.action == "removed":
        after = let_go(api, params, current)
    elif plan.value is not None:
        manifest = wanted_manifest(params, plan, current)
        after, created = apply(api, manifest, params)
        if action == "kept" and differs(before, after, manifest, FIELD_MANAGER):
            action, msg = "repaired", msg + "; its labels were corrected"
    result = finish(params, plan.name, describe(before, params), describe(after, params))
    result.update(
        changed=action in ("written", "repaired", "removed"),
        action=action,
        msg=msg,
        token_kind=plan.token.kind if plan.token else None,
        expires_at=plan.token.expires_at if plan.token else None,
        registered=last is not None,
        namespace_created=created,
    )
    result["fingerprint"] = result["fingerprint"] or last
    return result


def check(params: Dict[str, Any]) -> None:
    """See that what is going to be made can be, before anything is.

    :raises SecretError: a name cannot be such
    """
    if not KEY.fullmatch(params["key"]):
        raise SecretError("{0!r} cannot be a key of a Secret: letters, digits, '-', '_' and '.' can".format(params["key"][:70]))
    if not LABEL_VALUE.fullmatch(params["name"]):
        raise SecretError("option name: {0!r} is too long: it becomes the value of a label as well, 63 characters at most".format(params["name"][:70]))
    labels_of("option labels", params["labels"])


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


def let_go(api: Api, params: Dict[str, Any], found: Optional[Held]) -> Optional[Dict[str, Any]]:
    """Remove the token: with the Secret, or from a Secret that holds keys of others as well. Returns what is left."""
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
        see_that_it_goes(api, found.manifest, params)
    return None


def see_that_it_goes(api: Api, manifest: Dict[str, Any], params: Dict[str, Any]) -> None:
    """Look whether a Secret that was deleted is gone.

    :raises SecretError: it is not, so that the token in it can still be read
    """
    end = time.monotonic() + GOES_WITHIN
    while True:
        left = api.again(manifest)
        if left is None:
            return
        if time.monotonic() >= end:
            why = being_removed(left) or "there as before, although the API server said that it deletes it"
            raise SecretError(
                "Secret {0}/{1} is {2}, so the token in it can still be read: see to what holds it, then run this again".format(
                    params["namespace"], manifest["metadata"]["name"], why
                )
            )
        time.sleep(0.2)


def remove_all(api: Api, params: Dict[str, Any]) -> Dict[str, Any]:
    """Remove the Secret, or with O(immutable) all that share its name but the one to keep."""
    if params["immutable"]:
        manifests = [each for each in find_family(api, params) if each["metadata"]["name"] != params["keep"]]
    else:
        manifest = api.get("Secret", params["namespace"], params["name"])
        manifests = [manifest] if manifest else []
    found = [each for each in (held(manifest, params) for manifest in manifests) if each and (each.value is not None or not each.others)]
    names = ", ".join("{0}/{1}".format(params["namespace"], each.manifest["metadata"]["name"]) for each in found)
    left = None
    for each in found:
        left = let_go(api, params, each)
    before = describe(found[0].manifest if found else None, params)
    return dict(
        finish(params, params["name"], before, describe(left, params)),
        changed=bool(found),
        action="removed" if found else "absent",
        msg="token removed from Secret {0}".format(names) if found else "there is no token in Secret {0}/{1}".format(params["namespace"], params["name"]),
        token_kind=None,
        expires_at=None,
        registered=False,
        namespace_created=False,
    )


def finish(params: Dict[str, Any], name: str, before: Dict[str, Any], after: Dict[str, Any]) -> Dict[str, Any]:
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
    result = bring_about(api, module.params)
    if api.untold:
        module.warn("the cluster cannot tell beforehand whether it takes this: {0}".format(api.untold))
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
            "immutable": {"type": "bool", "default": False},
            "keep": {"type": "str"},
            "labels": {"type": "dict", "default": {}},
            "claim": {"type": "str"},
            "force": {"type": "bool", "default": False},
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(work, "manage the Secret", "Secret {namespace}/{name}".format(**module.params))


if __name__ == "__main__":
    main()
