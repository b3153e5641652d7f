# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The states that the file of a token can be brought to: present or absent."""

import os
import stat
from functools import partial
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._account import AccountError, find_account, group_id, user_id
from ansible_collections.expanso.edge.plugins.module_utils._decision import Request
from ansible_collections.expanso.edge.plugins.module_utils._env_file import EnvFileError
from ansible_collections.expanso.edge.plugins.module_utils._env_file import render as render_variables
from ansible_collections.expanso.edge.plugins.module_utils._guard import guard
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._program import check_agent
from ansible_collections.expanso.edge.plugins.module_utils._record_file import data_dir_owner, keep
from ansible_collections.expanso.edge.plugins.module_utils._registration import find_marker, markers
from ansible_collections.expanso.edge.plugins.module_utils._removal import check_removal, reason_to_keep
from ansible_collections.expanso.edge.plugins.module_utils._secrets import contains
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import MAX_SIZE, Attributes, SecretFile, SecureFileError, remove_in
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, MAX_LENGTH
from ansible_collections.expanso.edge.plugins.module_utils._token_file import FILE_MODE_BITS, holds, read_as_asked, render_as_asked
from ansible_collections.expanso.edge.plugins.module_utils._token_place import Place, holding, judge_directory, judge_directory_mode, obsolete_among, write
from ansible_collections.expanso.edge.plugins.module_utils._token_plan import (
    Plan,
    describe,
    entry_for,
    has_to_register_again,
    held_in,
    make_plan,
    result_of,
    with_obsolete_kept,
    with_obsolete_removed,
)

DIRECTORY_MODE_BITS = 0o775


def check_options(params: Dict[str, Any]) -> None:
    """Check all options, even those that will not be needed; make paths plain and variables text.

    :raises EdgeError: one of them has an impossible value
    """
    params["path"] = _checks.path(params["path"], "path")
    params["obsolete_paths"] = [_checks.path(each, "obsolete_paths") for each in params["obsolete_paths"]]
    if not _checks.mode(params["mode"], FILE_MODE_BITS):
        raise _checks.OptionError("option mode: with 0000 no account can read the file: give '0600'")
    if params["directory_mode"] not in (None, ""):
        params["directory_mode"] = _checks.mode(params["directory_mode"], DIRECTORY_MODE_BITS, "directory_mode")
    else:
        params["directory_mode"] = None
    _checks.name(params["credential_name"], "credential_name")
    check_removal(params)
    variables = {name: _checks.scalar(value, f"the value of {_checks.short(name)}") for name, value in params["variables"].items()}
    if ENV_NAME in variables:
        raise EnvFileError(f"{ENV_NAME} is the token itself: give it as option token, not among the variables")
    size = len(render_variables({ENV_NAME: "", **variables}).encode("utf-8")) + min(len(params["token"] or ""), MAX_LENGTH)
    if size > MAX_SIZE:
        raise EnvFileError(f"with these variables it would have {size} bytes, more than {MAX_SIZE}")
    params["variables"] = variables
    markers(params)
    prepare_registration(params)


def prepare_registration(params: Dict[str, Any]) -> None:
    """Let a registration that is to follow count for the token: its program is required, and its account owns a data directory that is made.

    :raises OptionError: an option of it is impossible, or contains the token, which the module that registers would not know to hide
    """
    registration = params["registration"]
    if params["state"] != "present" or not registration or not registration["enabled"]:
        return
    for name, value in registration.items():
        if isinstance(value, str) and contains(value, params["token"] or ""):
            raise _checks.OptionError(f"option registration.{name} contains the token, which is for option token alone: correct it")
        if isinstance(value, str):
            _checks.line(value, f"option registration.{name}")
    _checks.seconds(registration["timeout"], "registration.timeout", most=_checks.A_WEEK)
    if registration["config_file"]:
        _checks.path(registration["config_file"], "registration.config_file")
    params["requires"] = params["requires"] + [_checks.path(registration["binary"], "registration.binary")]
    params["data_dir_owner"] = params["data_dir_owner"] or registration["user"] or None
    params["data_dir_group"] = params["data_dir_group"] or registration["group"] or None


def check_registering_account(params: Dict[str, Any]) -> None:
    """Check that the account of a registration that is to follow exists, so that no token is written for one that cannot be.

    :raises AccountError: it does not
    """
    registration = params["registration"]
    if registration and registration["enabled"]:
        find_account(registration["user"] or None, registration["group"] or None, ("registration.user", "registration.group"))


def wanted_attributes(module: EdgeModule, removing: bool) -> Attributes:
    """Return owner, group and mode that the file is to have. For a removal, accounts do not matter: they may be gone already."""
    mode = _checks.mode(module.params["mode"], FILE_MODE_BITS)
    owner, group = module.params["owner"], module.params["group"]
    try:
        return Attributes(
            os.geteuid() if owner is None else user_id(owner, "owner"),
            os.getegid() if group is None else group_id(group, "group"),
            mode,
        )
    except AccountError as exc:
        if not removing:
            if not module.check_mode:
                raise
            module.warn(str(exc))
        return Attributes(os.geteuid(), os.getegid(), mode)


def bytes_to_write(module: EdgeModule, plan: Plan, found: Optional[SecretFile]) -> Optional[bytes]:
    """Return what the file is to hold, None where it is not written. In check mode nothing is encrypted, so the bytes are unknown and empty."""
    if plan.action == "repaired" and found is not None:
        return found.data
    if plan.action != "written" or plan.token is None:
        return None
    if module.check_mode and module.params["format"] == "encrypted":
        return b""
    return render_as_asked(module, plan.token)


def spared_files(module: EdgeModule, places: List[Place], registered: bool) -> Dict[str, Optional[str]]:
    """Return why files are not removed although they are to be absent, by path. It is None where it is unknown whether one holds the token asked for."""
    params = module.params
    if params["state"] != "absent":
        return {}
    kept: Dict[str, Optional[str]] = {}
    for each in places:
        wanted = params["fingerprint"]
        encrypted = params["format"] == "encrypted" and each.path == params["path"]
        answer = holds(module, each.found.data, wanted, encrypted) if wanted and each.found else True
        why = reason_to_keep(params, registered, bool(answer)) if each.found else None
        if why:
            kept[each.path] = None if answer is None else why
    return kept


def carry_out(
    module: EdgeModule,
    place: Place,
    data: Optional[bytes],
    attributes: Attributes,
    new_mode: Optional[int],
    trash: List[Tuple[Place, str]],
    change: Dict[str, Any],
) -> None:
    """Change the directory, write the file and remove what is not needed, each where there is something to do.

    :param change: what a result tells of the file afterwards
    """
    before = change["diff"]["before"]
    unchanged = dict(change, action="kept", diff={"before": before, "after": before})
    obsolete: List[str] = []

    def removed(each: Place, name: str) -> None:
        if name != each.name:
            module.did(f"what a killed run left beside {each.path} removed", **change)
        elif each is place:
            module.did(f"token removed from {each.path}", **change)
        else:
            obsolete.append(each.path)
            module.did(f"an earlier delivery's token removed from {each.path}", obsolete_removed=obsolete, **change)

    try:
        if new_mode is not None:
            place.directory.chmod(new_mode)
            module.did(f"permissions of {place.directory.path} changed", **unchanged)
        if data is not None:
            write(module, place, data, attributes, module.params["directory_mode"], lambda: module.did(f"{place.path} written", **change))
        for each, name in trash:
            remove_in(each.directory, name, each.found if name == each.name else None, partial(removed, each, name))
    finally:
        if module.so_far:
            now = module.so_far["diff"]["after"]["fingerprint"]
            module.log_change(module.so_far["action"], place.path, before["fingerprint"], now)


def apply_state(module: EdgeModule) -> Dict[str, Any]:
    """Bring the file to its state and return the result. The same before and after serve check mode, diff and the real run."""
    params = module.params
    marker = find_marker(params)
    if params["state"] == "present" and (marker is None or params["reregister"]) and not module.check_mode:
        for program in params["requires"]:
            check_agent(program, "option registration.binary" if program == (params["registration"] or {}).get("binary") else "option requires")
        check_registering_account(params)
    with holding(params) as (place, others):
        found, directory = place.found, place.directory
        content = None if found is None else read_as_asked(module, found.data)
        enrolled = keep(module, None, lambda: (0, 0)).after if marker else None
        again = marker is not None and has_to_register_again(params, os.stat(marker).st_mtime, found, content, enrolled)
        done = None if again else marker  # what tells that no token is needed
        removing = params["state"] == "absent" or (done is not None and (params["remove_when_registered"] or found is None))
        attributes = wanted_attributes(module, removing)
        directory_mode: Optional[int] = params["directory_mode"]
        judge_directory(directory_mode, directory, attributes)
        if params["state"] == "present":
            guard(Request.of(params), held_in(content), done is not None, enrolled and enrolled.fingerprint)
        spared = spared_files(module, [place] + others, marker is not None)
        known = {path: why or "it is unknown whether it holds this token" for path, why in spared.items()}
        plan = make_plan(params, found, content, attributes, done, known.get(place.path))
        if again:
            plan = plan._replace(msg=f"{plan.msg}; this node is registered, and is to be registered anew")
        trash = [(place, place.name)] if plan.action == "removed" else []
        obsolete = obsolete_among([each for each in others if each.path not in spared])
        if obsolete:
            plan = with_obsolete_removed(params, plan, [each.path for each in obsolete])
        plan = with_obsolete_kept(plan, {path: why for path, why in known.items() if path != place.path})
        data = bytes_to_write(module, plan, found)

        new_mode = directory_mode if params["state"] == "present" and not directory.missing else None
        if new_mode == stat.S_IMODE(directory.status().st_mode):
            new_mode = None
        if new_mode is not None:
            judge_directory_mode(new_mode, directory)
        before = describe(found and found.attributes, found and found.data, content and content.text)
        after = before
        if trash:
            after = describe(None, None, None)
        elif data is not None:
            after = describe(attributes, data, plan.token.value if plan.token else content and content.text)
        trash += [(each, each.name) for each in obsolete] + [(each, name) for each in [place] + others for name in each.stale]
        changed = data is not None or bool(trash) or new_mode is not None
        if changed and not module.check_mode:
            change = {"path": params["path"], "action": plan.action, "diff": {"before": before, "after": after}}
            carry_out(module, place, data, attributes, new_mode, trash, change)
            changed = bool(module.so_far)  # another run may have removed a file at the same time
        elif changed and directory.is_read_only():  # an earlier task, which check mode leaves out, may mount it otherwise
            module.warn(f"{params['path']} could not be changed: {directory.path} lies on a read-only file system")
        record = keep(module, entry_for(params, plan, found, done, module.run_options), lambda: data_dir_owner(params, attributes))
    unknown = sorted(path for path, why in spared.items() if why is None)
    if unknown:
        raise SecureFileError(f"this node cannot decrypt {', '.join(unknown)}, so it is unknown whether it holds the token: remove it by hand ({plan.msg})")

    result = result_of(params, plan, before, after, changed, marker is not None, [each.path for each in obsolete], record)
    return dict(result, reregister=again, previous_fingerprint=before["fingerprint"])
