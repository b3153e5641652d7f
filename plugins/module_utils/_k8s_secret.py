# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What a Secret with a bootstrap token holds, and what is to become of it.

Pure: manifests and a module's options go in, decisions and manifests come out. Nothing here talks to a cluster.
"""

import base64
import binascii
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils._decision import KUBERNETES, Held, Request, decide
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import (
    FIELD_MANAGER,
    FINGERPRINT,
    LABEL_VALUE,
    MANAGED_BY,
    SECRET_TYPE,
    labels_of,
    of_wrong_type,
    title,
)
from ansible_collections.expanso.edge.plugins.module_utils._record import (
    RECORD_ANNOTATION,
    Entry,
    RecordError,
    as_result,
    is_time,
    new_entry,
    parse_entry,
    render_entry,
    utc,
)
from ansible_collections.expanso.edge.plugins.module_utils._token import Token, TokenFault, fingerprint, judge

FAMILY = "expanso.edge/secret"
"""Label that the Secrets of one name share when each token has its own."""

_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


class SecretError(EdgeError):
    """A Secret that cannot be managed: where, why, and what to do."""


class SecretContent(NamedTuple):
    """What a Secret in the cluster holds."""

    manifest: Dict[str, Any]
    value: Optional[str]  # the token; None where the key is missing
    others: List[str]  # further keys, which are not ours

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    def __repr__(self) -> str:
        return f"SecretContent(name={self.name!r})"


class Plan(NamedTuple):
    """What is to become of the Secret: O(action), and the token that it shall hold where it is to exist."""

    action: str
    msg: str
    name: str
    value: Optional[str] = None
    token: Optional[Token] = None

    def __repr__(self) -> str:
        return f"Plan(action={self.action!r}, name={self.name!r})"


def check_key(key: str) -> None:
    """Check that Kubernetes accepts a key of a Secret.

    :raises SecretError: it does not
    """
    if not _KEY.fullmatch(key):
        raise SecretError(f"{key[:70]!r} cannot be a key of a Secret: use letters, digits, '-', '_' and '.'")


def check_secret(params: Dict[str, Any]) -> None:
    """Check what a Secret is going to be made of.

    :raises SecretError: its key or its name is not possible
    :raises OptionError: a label is not possible
    """
    check_key(params["key"])
    if params["state"] != "absent" and not LABEL_VALUE.fullmatch(params["name"]):
        raise SecretError(f"option name: {params['name'][:70]!r} is too long: it becomes the value of a label as well, at most 63 characters")
    labels_of("option labels", params["labels"])


def secret_name(params: Dict[str, Any], token_fingerprint: Optional[str]) -> str:
    """Return the name of the Secret of a token."""
    return f"{params['name']}-{token_fingerprint}" if params["immutable"] else str(params["name"])


def read_secret(manifest: Optional[Dict[str, Any]], params: Dict[str, Any]) -> Optional[SecretContent]:
    """Return what a Secret of the cluster holds, None where it does not exist.

    :raises SecretError: it is of another type, so another program uses it
    """
    if manifest is None:
        return None
    what = title("Secret", manifest["metadata"]["name"], params["namespace"])
    wrong = of_wrong_type(manifest, what)
    if wrong:
        raise SecretError(wrong)
    if not isinstance(manifest.get("data") or {}, dict):
        raise SecretError(f"{what} has data of another form than a Secret's")
    data = dict(manifest.get("data") or {})
    encoded = data.pop(params["key"], None)
    try:
        value = None if encoded is None else base64.b64decode(encoded).decode("utf-8", "surrogateescape")
    except (binascii.Error, TypeError, ValueError):  # the API server refuses such data
        value = None
    return SecretContent(manifest, value, sorted(data))


def read_entry(manifest: Optional[Dict[str, Any]]) -> Optional[Entry]:
    """Return the enrolment record in an object's annotations, None where there is none that can be read. A damaged one is replaced by the next token's."""
    text = ((manifest or {}).get("metadata", {}).get("annotations") or {}).get(RECORD_ANNOTATION)
    try:
        return parse_entry(text) if isinstance(text, str) else None
    except RecordError:
        return None


def entry_for(run: Callable[..., Dict[str, Any]], plan: Plan, found: Optional[SecretContent], known: Optional[Entry], now: float) -> Optional[Entry]:
    """Return the enrolment record of an agent: what is known already, unless its Secret is to hold another token.

    :param run: returns the options that tell of the run, with a secret masked in them
    :param found: the Secret that the agent has now
    :param known: the entry of the claim with the agent's identity
    :param now: seconds since the epoch
    """
    held = read_entry(found.manifest) if found else None
    if plan.value is None:
        return known or held
    mark = fingerprint(plan.value)
    for entry in (held, known):
        if entry is not None and entry.fingerprint == mark:
            return entry
    try:
        kind: Optional[str] = plan.token.kind if plan.token else judge(plan.value).kind
    except TokenFault:  # it expired since
        kind = None
    # a Secret without an entry is from before there were any
    applied = _last_applied(found.manifest) if found and plan.action == "kept" else None
    return new_entry(run(plan.value), mark, kind, "kubernetes", applied or utc(now))


def _last_applied(manifest: Dict[str, Any]) -> Optional[str]:
    """Return when this collection changed an object last, None where the API server does not tell."""
    entries = manifest["metadata"].get("managedFields") or []
    times = [str(each.get("time")) for each in entries if isinstance(each, dict) and each.get("manager") == FIELD_MANAGER]
    return max((each for each in times if is_time(each)), default=None)


def wanted_manifest(params: Dict[str, Any], plan: Plan, found: Optional[SecretContent], entry: Optional[Entry] = None) -> Dict[str, Any]:
    """Return the manifest to apply: our fields alone."""
    data = (plan.value or "").encode("utf-8", "surrogateescape")
    labels = labels_of("option labels", params["labels"])
    labels.update({"app.kubernetes.io/name": "expanso-edge", MANAGED_BY: FIELD_MANAGER, FAMILY: params["name"]})
    manifest: Dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": plan.name,
            "namespace": params["namespace"],
            "labels": labels,
            "annotations": dict({FINGERPRINT: fingerprint(plan.value or "")}, **annotations_of(entry)),
        },
        "type": SECRET_TYPE,
        "data": {params["key"]: base64.b64encode(data).decode("ascii")},
    }
    if params["immutable"] or (found and found.manifest.get("immutable")):  # what is immutable stays so
        manifest["immutable"] = True
    return manifest


def annotations_of(entry: Optional[Entry]) -> Dict[str, str]:
    """Return the annotations that keep an enrolment record."""
    return {} if entry is None else {RECORD_ANNOTATION: render_entry(entry)}


def make_plan(params: Dict[str, Any], current: Optional[SecretContent], registered_fingerprint: Optional[str]) -> Plan:
    """Decide what is to become of the Secret. Changes nothing.

    :param current: the Secret that the agent has now
    :param registered_fingerprint: of the token that a registered agent was given last, None for one that is not registered
    :raises TokenFault: a token is needed, and there is none that can be used
    :raises SecretError: the Secret cannot be changed
    """
    registered = registered_fingerprint is not None
    request = Request.of(params)
    value = current.value if current else None
    held = None if value is None else Held(fingerprint(value), value)
    action, token, note = decide(KUBERNETES, request, registered, held)
    if action == "written" and token is not None:
        plan = Plan(action, "", secret_name(params, token.fingerprint), token.value, token)
        if current and current.manifest.get("immutable") and current.name == plan.name:
            what = title("Secret", plan.name, params["namespace"])
            raise SecretError(f"{what} is immutable and holds another token: remove it, or use immutable=true, which gives each token its own")
    else:
        name = current.name if current else secret_name(params, registered_fingerprint)
        plan = Plan(action, "", name, value if action == "kept" else None, token)
    place = title("Secret", plan.name, params["namespace"])
    if action == "written":
        msg = f"token written to {place}"
    elif action == "kept" and not registered:
        msg = f"{place} holds the token" if request.token else f"no token was given: the one in {place} is kept"
    else:
        msg = "already registered: " + {
            "removed": f"token removed from {place}",
            "not_needed": f"no token needed, none written to {place}",
            "kept": f"the token left in {place} is no longer needed",
        }[action]
    return plan._replace(msg=msg + note)


def describe(content: Optional[SecretContent]) -> Dict[str, Any]:
    """Return what may be shown of a Secret, for results and diffs."""
    if content is None:
        return dict.fromkeys(("type", "immutable", "labels", "size", "fingerprint", "record"))
    manifest, value = content.manifest, content.value
    return {
        "type": manifest.get("type"),
        "immutable": bool(manifest.get("immutable")),
        "labels": manifest["metadata"].get("labels") or {},
        "size": None if value is None else len(value.encode("utf-8", "surrogateescape")),
        "fingerprint": fingerprint(value) if value else None,
        "record": as_result(read_entry(manifest)),
    }
