# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What is to become of a token file, and what is reported of it.

Pure: what was found and a module's options go in, a plan goes out. Nothing here touches a file.
"""

import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils._account import group_name, user_name
from ansible_collections.expanso.edge.plugins.module_utils._decision import FILE, Decision, Held, Request, decide
from ansible_collections.expanso.edge.plugins.module_utils._guard import is_done
from ansible_collections.expanso.edge.plugins.module_utils._record import Entry, as_result, new_entry, utc
from ansible_collections.expanso.edge.plugins.module_utils._record_file import Kept
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import Attributes, SecretFile
from ansible_collections.expanso.edge.plugins.module_utils._token import Token, fingerprint
from ansible_collections.expanso.edge.plugins.module_utils._token_file import Content, refuse_what_is_not_a_token, render


class Plan(NamedTuple):
    """What to do with the file: the value of RV(action), a message, and the token to write or keep where it was judged."""

    action: str
    msg: str
    token: Optional[Token] = None


def make_plan(
    params: Dict[str, Any], found: Optional[SecretFile], content: Optional[Content], attributes: Attributes, marker: Optional[str], stays: Optional[str] = None
) -> Plan:
    """Decide what to do with the file. Changes nothing.

    :param content: what the file holds
    :param stays: why it is not removed although it is to be absent
    :raises SecureFileError: what would be replaced or removed is certainly not a token
    :raises TokenFault: the node needs a token, and there is none that it could use
    """
    path = params["path"]
    if params["state"] == "absent":
        plan = Plan("removed", f"token removed from {path}")
        if found is None or stays:
            plan = Plan("absent", f"there is no token in {path}") if found is None else Plan("kept", f"the token in {path} stays: {stays}")
    else:
        decision = decide(FILE, Request.of(params), marker is not None, held_in(content))
        open_to_others = found is not None and differs(found, attributes)
        if marker is None:
            as_asked = decision.action == "kept" and in_form(params, found, decision.token)
            plan = plan_for_newcomer(params, decision, as_asked, open_to_others)
        else:
            plan = plan_for_registered(path, decision, open_to_others, marker)
    if found is not None and plan.action in ("written", "repaired", "removed"):
        refuse_what_is_not_a_token(path, found)
    return plan


def held_in(content: Optional[Content]) -> Optional[Held]:
    """Return what a file holds, as the decision wants to know it."""
    if content is None:
        return None
    return Held(None, problem=content.missing) if content.text is None else Held(fingerprint(content.text), content.text)


def has_to_register_again(
    params: Dict[str, Any], marker_time: float, found: Optional[SecretFile], content: Optional[Content], enrolled: Optional[Entry]
) -> bool:
    """Whether a registered node is to be registered anew, and was not yet.

    :param marker_time: when its registration marker was written, in seconds since the epoch
    :param enrolled: the last entry of its enrolment record
    """
    if params["state"] != "present" or not params["reregister"]:
        return False
    given = fingerprint(params["token"]) if params["token"] else None
    held = held_in(content)
    return not is_done(given, marker_time, held.fingerprint if held else None, found and found.modified, enrolled, time.time())


def in_form(params: Dict[str, Any], found: Optional[SecretFile], token: Optional[Token]) -> bool:
    """Whether the bytes of a file that holds a token are those that would be written. No two encryptions of a token are alike."""
    if params["format"] == "encrypted" or found is None or token is None:
        return True
    return found.data == render(token, params["format"], params["variables"])


def plan_for_newcomer(params: Dict[str, Any], decision: Decision, as_asked: bool, open_to_others: bool) -> Plan:
    """Return the plan for a node that still has to register.

    :param as_asked: whether the file holds the token in the form asked for
    """
    path, token = params["path"], decision.token
    if not as_asked:
        read = open_to_others and decision.action == "kept"
        return Plan("written", f"token written to {path}{'; others may have read it there before, consider a new one' if read else ''}", token)
    if open_to_others:
        return Plan("repaired", f"permissions of {path} corrected; others may have read the token, consider a new one", token)
    if not params["token"]:
        return Plan("kept", f"no token was given, and the one in {path} is kept: it can be used", token)
    return Plan("kept", f"the token in {path} is the one asked for", token)


def plan_for_registered(path: str, decision: Decision, open_to_others: bool, marker: str) -> Plan:
    """Return the plan for a node that needs no token any more."""
    registered = f"already registered ({marker} exists)"
    if decision.action == "not_needed":
        return Plan("not_needed", f"{registered}: no token needed, none written{decision.note}")
    if decision.action == "removed":
        return Plan("removed", f"{registered}: token removed from {path}")
    left = f"{registered}: the token left in {path} is no longer needed"
    if open_to_others:
        return Plan("repaired", f"{left}; its permissions were corrected{decision.note}")
    return Plan("kept", left + decision.note)


def with_obsolete_removed(params: Dict[str, Any], plan: Plan, obsolete: List[str]) -> Plan:
    """Return a plan that also tells of the removal of files from an earlier delivery."""
    action = "removed" if params["state"] == "absent" or plan.action == "not_needed" else plan.action
    return plan._replace(action=action, msg=f"{plan.msg}; an earlier delivery's token removed from {', '.join(obsolete)}")


def with_obsolete_kept(plan: Plan, kept: Dict[str, str]) -> Plan:
    """Return a plan that also tells of files from an earlier delivery that stay.

    :param kept: why, by path
    """
    notes = "".join(f"; the token in {path} stays: {why}" for path, why in sorted(kept.items()))
    return plan._replace(action="kept" if plan.action == "absent" and kept else plan.action, msg=plan.msg + notes)


def differs(found: SecretFile, attributes: Attributes) -> bool:
    """Whether others may reach a file: by owner, group, mode, access control list, or another hard link."""
    return found.attributes != attributes or found.has_acl or found.links > 1


def entry_for(
    params: Dict[str, Any], plan: Plan, found: Optional[SecretFile], marker: Optional[str], run: Callable[..., Dict[str, Any]]
) -> Optional[Entry]:
    """Return what the enrolment record is to hold, None where it stays as it is: on a registered node, and where the node holds no token that can be used.

    :param run: returns the options that tell of the run, with a secret masked in them
    """
    if marker is not None or plan.token is None:
        return None
    now = time.time()
    written_at = now if plan.action == "written" or found is None else min(found.modified, now)
    delivery = params["delivery"] or ("file" if params["format"] == "raw" else "systemd")
    return new_entry(run(plan.token.value), plan.token.fingerprint, plan.token.kind, delivery, utc(written_at))


def describe(attributes: Optional[Attributes], data: Optional[bytes], text: Optional[str]) -> Dict[str, Any]:
    """Return what may be shown of a file, for results and diffs.

    :param text: what the file holds in the place of the token
    """
    if attributes is None or data is None:
        return dict.fromkeys(("owner", "group", "mode", "size", "fingerprint"))
    return {
        "owner": user_name(attributes.uid),
        "group": group_name(attributes.gid),
        "mode": f"{attributes.mode:04o}",
        "size": len(data) or None,
        "fingerprint": fingerprint(text) if text else None,
    }


def result_of(
    params: Dict[str, Any], plan: Plan, before: Dict[str, Any], after: Dict[str, Any], changed: bool, registered: bool, obsolete: List[str], kept: Kept
) -> Dict[str, Any]:
    """Return the result of what was done, or would be in check mode."""
    path = params["path"]
    return dict(
        after,
        changed=changed or kept.changed,
        action=plan.action,
        msg=plan.msg,
        path=path,
        token_kind=plan.token.kind if plan.token else None,
        expires_at=plan.token.expires_at if plan.token else None,
        registered=registered,
        obsolete_removed=obsolete,
        token_source=params["token_source"],
        record=as_result(kept.after),
        diff={
            "before": dict(before, path=path, obsolete=obsolete, record=as_result(kept.before)),
            "after": dict(after, path=path, obsolete=[], record=as_result(kept.after)),
        },
    )
