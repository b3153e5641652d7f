#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: bootstrap_token
short_description: Put, renew or remove a bootstrap token at rest on a node
version_added: 1.0.0
description:
  - Brings a file that holds an Expanso Edge bootstrap token to the state asked for, in one remote command.
  - The token is judged first. What is certainly not a bootstrap token (an API key, a path, a placeholder, a masked secret, stray white space,
    an expired JWT and more) is refused with a message that names the fault and never a character of the token.
  - The file is written through a temporary file in the same directory that is created with mode V(0600), gets owner and mode, is synced, and only
    then takes the place of the old one. What is there afterwards is verified.
  - A registered node needs no token, so no token is written there. A token given for it that cannot be used is ignored, and RV(msg) says so.
  - A node that is not registered, already holds a token that can be used, and is given none keeps the one that it holds.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._registration
  - expanso.edge._token
attributes:
  check_mode:
    details:
      - Works on a blank host. There a missing account is only a warning, because an earlier task may create it.
  diff_mode:
    details:
      - Shows owner, group, mode, size and fingerprint, never the token.
  idempotent:
    support: full
options:
  path:
    description:
      - Absolute path of the file on the node.
      - A symbolic link as its last component is refused, as is a directory above it that others may write, sticky ones like C(/tmp) included.
      - A symbolic link in the place of a directory is followed only if nobody but root and the account that the module runs as can have created it.
        Each directory is held open from when it is judged until the end, so nobody can exchange it in between.
      - A file that is certainly not a token, because it has more than 64 KiB or is not text, is neither replaced nor removed.
    type: path
    required: true
  state:
    description:
      - V(present) makes sure that the node holds a token, or does not need one.
      - V(absent) removes the file. Directories stay. A file that cannot be looked at is an error, it does not count as absent.
    type: str
    choices: [present, absent]
    default: present
  format:
    description:
      - V(raw) writes the bytes of the token and nothing else, not even a line feed.
      - V(env) writes a file for C(EnvironmentFile=) of systemd, with the token as E(EXPANSO_EDGE_BOOTSTRAP_TOKEN).
      - V(encrypted) writes a file for C(LoadCredentialEncrypted=) of systemd, which only this node can decrypt. The plain token is never at rest.
        Needs systemd 250 or newer on the node.
    type: str
    choices: [raw, env, encrypted]
    default: raw
  variables:
    description:
      - Further variables for O(format=env), such as E(EXPANSO_EDGE_BOOTSTRAP_URL). Not secret, values are shown.
    type: dict
    default: {}
  credential_name:
    description: The name that O(format=encrypted) is bound to, the one in C(LoadCredentialEncrypted=).
    type: str
    default: expanso-edge-bootstrap-token
  credential_key:
    description:
      - What O(format=encrypted) encrypts with, as C(--with-key=) of C(systemd-creds) takes it.
      - V(auto) is the node's TPM 2.0 together with its host key where it has one, the host key alone otherwise.
    type: str
    choices: [auto, host, tpm2, host+tpm2]
    default: auto
  obsolete_paths:
    description:
      - Further files that may hold a token, from an earlier way of delivery. They are removed in either O(state).
    type: list
    elements: path
    default: []
  owner:
    description:
      - Account that owns the file, by name or number.
      - By default the account that the module runs as.
    type: str
  group:
    description:
      - Group of the file, by name or number.
      - By default the group that the module runs as.
    type: str
  mode:
    description:
      - Permissions of the file, as a quoted octal string of three digits or more.
        Only bits of V(0640) are possible, so that only owner and group have access.
    type: raw
    default: '0600'
  directory_mode:
    description:
      - Permissions of the directory that holds the file, as a quoted octal string without write permission for others.
      - By default an existing directory is left as it is, and a missing one is made with V(0755), because the agent's configuration lies there as well.
      - A directory that is made has no access control list, whatever the one above gives to what is new in it.
    type: raw
  requires:
    description:
      - Programs without which the token is useless, such as the agent that registers the node with it.
      - If one is missing, or is for another machine, the module fails and a node that needs a token gets none.
        Check mode does not look at them, because an earlier task may install them.
    type: list
    elements: path
    default: []
    version_added: 1.1.0
seealso:
  - module: expanso.edge.bootstrap_token_info
  - module: expanso.edge.edge_registration
  - plugin: expanso.edge.bootstrap_token
    plugin_type: lookup
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Put the token where the agent reads it, unless the node is registered
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.token
    owner: root
    group: root

- name: Write an environment file for systemd
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.env
    format: env
    variables:
      EXPANSO_EDGE_BOOTSTRAP_URL: https://start.cloud.expanso.io
    owner: root
    group: root

- name: Write a credential that only this node can decrypt
  expanso.edge.bootstrap_token:
    path: /etc/credstore.encrypted/expanso-edge-bootstrap-token
    format: encrypted
    obsolete_paths: [/etc/expanso/bootstrap.env]

- name: Write a token from another source
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.token
    token: "{{ my_token }}"
    token_source: the vault of site 7

- name: Remove the token
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.token
    state: absent
"""

RETURN = r"""
action:
  description:
    - What was done, or would be done in check mode.
    - V(written) means that the node received a token it did not hold. V(repaired) means that the right token had wrong permissions.
    - V(kept) and V(absent) mean that there was nothing to do. V(not_needed) means that the node is registered and holds no token.
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
path:
  description: The file.
  type: str
  returned: success
owner:
  description: Account that owns the file, V(null) where there is none.
  type: str
  returned: success
group:
  description: Group of the file, V(null) where there is none.
  type: str
  returned: success
mode:
  description: Permissions of the file as an octal string, V(null) where there is none.
  type: str
  returned: success
  sample: '0600'
size:
  description: Size of the file in bytes, V(null) where there is none, and where check mode would have to encrypt to know.
  type: int
  returned: success
obsolete_removed:
  description: Which of O(obsolete_paths) were removed, or would be in check mode.
  type: list
  elements: str
  returned: success
token_kind:
  description: What the token looks like, V(null) where none was needed.
  type: str
  returned: success
  choices: [bootstrap_key, jwt, opaque]
fingerprint:
  description: Twelve hexadecimal digits that tell which token the file holds, and are of no use for anything else. V(null) where it holds none.
  type: str
  returned: success
  sample: 5d41402abc4b
expires_at:
  description: When the token expires, in ISO 8601 and UTC. V(null) where it does not tell.
  type: str
  returned: success
  sample: '2027-01-31T00:00:00Z'
registered:
  description: Whether a registration marker exists.
  type: bool
  returned: success
token_source:
  description: The value of O(token_source).
  type: str
  returned: success
"""

import contextlib
import os
import stat
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._account import AccountError, group_id, group_name, user_id, user_name
from ansible_collections.expanso.edge.plugins.module_utils._credential import KEYS
from ansible_collections.expanso.edge.plugins.module_utils._decision import ARGUMENT_SPEC as TOKEN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._decision import FILE, Decision, Held, Request, decide
from ansible_collections.expanso.edge.plugins.module_utils._directory import NEW_DIRECTORY_MODE, Directory
from ansible_collections.expanso.edge.plugins.module_utils._env_file import EnvFileError
from ansible_collections.expanso.edge.plugins.module_utils._env_file import render as render_variables
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._new_directories import NewDirectories
from ansible_collections.expanso.edge.plugins.module_utils._program import check_agent
from ansible_collections.expanso.edge.plugins.module_utils._registration import ARGUMENT_SPEC, find_marker, markers
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import (
    MAX_SIZE,
    Attributes,
    SecretFile,
    SecureFileError,
    home,
    leftovers_in,
    not_short_text,
    read_in,
    remove_in,
    write_in,
)
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, MAX_LENGTH, Token, fingerprint
from ansible_collections.expanso.edge.plugins.module_utils._token_file import ARGUMENT_SPEC as FILE_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._token_file import FILE_MODE_BITS, Content, read_as_asked, render, render_as_asked

DIRECTORY_MODE_BITS = 0o775


class Plan(NamedTuple):
    """What to do with the file: the value of RV(action), a message, and the token to write or keep where it was judged."""

    action: str
    msg: str
    token: Optional[Token] = None


class Place(NamedTuple):
    """A file in a directory that is held, as it was found there, and what killed runs left beside it."""

    path: str
    directory: Directory
    name: str
    found: Optional[SecretFile]
    stale: List[str]


@contextlib.contextmanager
def holding(params: Dict[str, Any]) -> Iterator[Tuple[Place, List[Place]]]:
    """Hold the directory of the file and those of files from an earlier way of delivery, and look at what is there."""
    with contextlib.ExitStack() as stack:

        def look(path: str, lenient: bool) -> Place:
            directory, name = home(path, lenient)
            stack.enter_context(directory)
            return Place(path, directory, name, read_in(directory, name), leftovers_in(directory, name))

        place = look(params["path"], params["state"] == "absent")
        others = [look(each, True) for each in params["obsolete_paths"]]
        yield place, [each for each in others if not same(each, place)]


def same(one: Place, other: Place) -> bool:
    """Whether two paths lead to one file, even through a link above it."""
    return (one.name, one.directory.missing) == (other.name, other.directory.missing) and os.path.samestat(one.directory.status(), other.directory.status())


def check_options(params: Dict[str, Any]) -> None:
    """Check all options, even those that will not be needed; make paths plain and variables text.

    :raises EdgeError: one of them has an impossible value
    """
    params["path"] = _checks.path(params["path"], "path")
    params["obsolete_paths"] = [_checks.path(each, "obsolete_paths") for each in params["obsolete_paths"]]
    if not _checks.mode(params["mode"], FILE_MODE_BITS):
        raise _checks.OptionError("mode 0000 lets nobody read the file: give it '0600'")
    if params["directory_mode"] not in (None, ""):
        params["directory_mode"] = _checks.mode(params["directory_mode"], DIRECTORY_MODE_BITS, "directory_mode")
    else:
        params["directory_mode"] = None
    _checks.name(params["credential_name"], "credential_name")
    variables = {name: _checks.scalar(value, f"the value of {_checks.short(name)}") for name, value in params["variables"].items()}
    if ENV_NAME in variables:
        raise EnvFileError(f"{ENV_NAME} is the token itself: give it as option token, not among the variables")
    size = len(render_variables({ENV_NAME: "", **variables}).encode("utf-8")) + min(len(params["token"] or ""), MAX_LENGTH)
    if size > MAX_SIZE:
        raise EnvFileError(f"with these variables it would have {size} bytes, more than {MAX_SIZE}")
    params["variables"] = variables
    markers(params)


def wanted_attributes(module: EdgeModule, removing: bool) -> Attributes:
    """Return owner, group and mode that the file is to have. For a removal, accounts do not matter: they may be gone already."""
    mode = _checks.mode(module.params["mode"], FILE_MODE_BITS)
    owner, group = module.params["owner"], module.params["group"]
    try:
        return Attributes(
            os.geteuid() if owner is None else user_id(owner),
            os.getegid() if group is None else group_id(group),
            mode,
        )
    except AccountError as exc:
        if not removing:
            if not module.check_mode:
                raise
            module.warn(str(exc))
        return Attributes(os.geteuid(), os.getegid(), mode)


def differs(found: SecretFile, attributes: Attributes) -> bool:
    """Whether others may reach a file: by owner, group, mode, access control list, or another hard link."""
    return found.attributes != attributes or found.has_acl or found.links > 1


def refuse_what_is_not_a_token(path: str, found: SecretFile) -> None:
    """Refuse to replace or remove a file that cannot hold a token in any format: all of them are text, and short.

    :raises SecureFileError: it is too long, or not text
    """
    what = not_short_text(found.data)
    if what:
        raise SecureFileError(f"{path}: {what}, so it is not a token file: name another path, or remove the file yourself")


def make_plan(module: EdgeModule, found: Optional[SecretFile], content: Optional[Content], attributes: Attributes, marker: Optional[str]) -> Plan:
    """Decide what to do with the file. Changes nothing.

    :param content: what the file holds
    :raises SecureFileError: what would be replaced or removed is certainly not a token
    :raises TokenFault: the node needs a token, and there is none that it could use
    """
    path = module.params["path"]
    if module.params["state"] == "absent":
        plan = Plan("absent", f"there is no token in {path}") if found is None else Plan("removed", f"token removed from {path}")
    else:
        decision = decide(FILE, Request.of(module.params), marker is not None, held_in(content))
        open_to_others = found is not None and differs(found, attributes)
        if marker is None:
            as_asked = decision.action == "kept" and in_form(module, found, decision.token)
            plan = plan_for_newcomer(module.params, decision, as_asked, open_to_others)
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


def in_form(module: EdgeModule, found: Optional[SecretFile], token: Optional[Token]) -> bool:
    """Whether the bytes of a file that holds a token are those that would be written. No two encryptions of a token are alike."""
    params = module.params
    if params["format"] == "encrypted" or found is None or token is None:
        return True
    return found.data == render(token, params["format"], params["variables"])


def plan_for_newcomer(params: Dict[str, Any], decision: Decision, as_asked: bool, open_to_others: bool) -> Plan:
    """Return the plan for a node that still has to register.

    :param as_asked: whether the file holds the token in the form asked for
    """
    path, token = params["path"], decision.token
    if not as_asked:
        return Plan("written", f"token written to {path}", token)
    if open_to_others:
        return Plan("repaired", f"permissions of {path} corrected; others may have read the token, consider a new one", token)
    if not params["token"]:
        return Plan("kept", f"no token was given, and the one in {path} is kept: it can be used", token)
    return Plan("kept", f"the token in {path} is the one asked for", token)


def plan_for_registered(path: str, decision: Decision, open_to_others: bool, marker: str) -> Plan:
    """Return the plan for a node that needs no token any more."""
    registered = f"registered already ({marker} exists)"
    if decision.action == "not_needed":
        return Plan("not_needed", f"{registered}: no token needed, none written{decision.note}")
    if decision.action == "removed":
        return Plan("removed", f"{registered}: token removed from {path}")
    left = f"{registered}: the token left in {path} is no longer needed"
    if open_to_others:
        return Plan("repaired", f"{left}; its permissions were corrected{decision.note}")
    return Plan("kept", left + decision.note)


def with_obsolete_removed(plan: Plan, obsolete: List[str]) -> Plan:
    """Return a plan that also tells of the removal of files from an earlier delivery."""
    action = "removed" if plan.action in ("absent", "not_needed") else plan.action
    return plan._replace(action=action, msg=f"{plan.msg}; an earlier delivery's token removed from {', '.join(obsolete)}")


def bytes_to_write(module: EdgeModule, plan: Plan, found: Optional[SecretFile]) -> Optional[bytes]:
    """Return what the file is to hold, None where it is not written. In check mode nothing is encrypted, so the bytes are unknown and empty."""
    if plan.action == "repaired" and found is not None:
        return found.data
    if plan.action != "written" or plan.token is None:
        return None
    if module.check_mode and module.params["format"] == "encrypted":
        return b""
    return render_as_asked(module, plan.token)


def write(module: EdgeModule, place: Place, data: bytes, attributes: Attributes, directory_mode: Optional[int]) -> None:
    """Write the file, in the directory that was judged."""

    def label(new: str, final: str) -> None:
        """Give a new file or directory the security context that belongs to its final place."""
        module.set_context_if_different(new, module.selinux_default_context(final), False)

    with NewDirectories(place.directory) as new:
        new.make(NEW_DIRECTORY_MODE if directory_mode is None else directory_mode, label)
        try:
            write_in(new.directory, place.name, data, attributes, label)
        except (OSError, SecureFileError):
            new.undo()
            raise


def judge_directory(module: EdgeModule, directory: Directory, attributes: Attributes) -> Optional[int]:
    """Return the permissions that the file's directory is to have, None where they are to stay.

    :raises SecureFileError: others may replace what is in it
    """
    mode: Optional[int] = module.params["directory_mode"]
    unsafe = directory.other_writer(attributes.uid, attributes.gid, mode)
    if unsafe:
        raise SecureFileError(f"{unsafe[1]} may write the directory {unsafe[0]}, and so replace what is below it: close it, or name another path")
    return mode


def obsolete_among(others: List[Place]) -> List[Place]:
    """Return the files of an earlier delivery that exist.

    :raises SecureFileError: one of them is certainly not a token
    """
    existing = []
    for each in others:
        if each.found is not None:
            refuse_what_is_not_a_token(each.path, each.found)
            existing.append(each)
    return existing


def apply_state(module: EdgeModule) -> Dict[str, Any]:
    """Bring the file to its state and return the result. The same before and after serve check mode, diff and the real run."""
    params = module.params
    marker = find_marker(params)
    if params["state"] == "present" and marker is None and not module.check_mode:
        for program in params["requires"]:
            check_agent(program, "requires (token_file_binary)")
    with holding(params) as (place, others):
        found, directory = place.found, place.directory
        content = None if found is None else read_as_asked(module, found.data)
        removing = params["state"] == "absent" or (marker is not None and (params["remove_when_registered"] or found is None))
        attributes = wanted_attributes(module, removing)
        directory_mode = judge_directory(module, directory, attributes)
        plan = make_plan(module, found, content, attributes, marker)
        obsolete = obsolete_among(others)
        if obsolete:
            plan = with_obsolete_removed(plan, [each.path for each in obsolete])
        data = bytes_to_write(module, plan, found)

        new_mode = directory_mode if params["state"] == "present" and not directory.missing else None
        if new_mode == stat.S_IMODE(directory.status().st_mode):
            new_mode = None
        trash = [(place, place.name)] if plan.action == "removed" else []
        trash += [(each, each.name) for each in obsolete] + [(each, name) for each in [place] + others for name in each.stale]
        changed = data is not None or plan.action == "removed" or bool(trash) or new_mode is not None
        if changed and not module.check_mode:
            if new_mode is not None:
                directory.chmod(new_mode)
            if data is not None:
                write(module, place, data, attributes, directory_mode)
            for each, name in trash:
                remove_in(each.directory, name)

    before = describe(found and found.attributes, found and found.data, content and content.text)
    after = before
    if plan.action == "removed":
        after = describe(None, None, None)
    elif data is not None:
        after = describe(attributes, data, plan.token.value if plan.token else content and content.text)
    return result_of(params, plan, before, after, changed=changed, registered=marker is not None, obsolete=[each.path for each in obsolete])


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
    params: Dict[str, Any], plan: Plan, before: Dict[str, Any], after: Dict[str, Any], changed: bool, registered: bool, obsolete: List[str]
) -> Dict[str, Any]:
    """Return the result of what was done, or would be in check mode."""
    path = params["path"]
    return dict(
        after,
        changed=changed,
        action=plan.action,
        msg=plan.msg,
        path=path,
        token_kind=plan.token.kind if plan.token else None,
        expires_at=plan.token.expires_at if plan.token else None,
        registered=registered,
        obsolete_removed=obsolete,
        token_source=params["token_source"],
        diff={"before": dict(before, path=path, obsolete=obsolete), "after": dict(after, path=path, obsolete=[])},
    )


def work(module: EdgeModule) -> Dict[str, Any]:
    """Bring the file to its state; every fault names it."""
    try:
        check_options(module.params)
        return apply_state(module)
    except EdgeError as exc:
        path, message = module.params["path"], str(exc)
        if len(path) > _checks.LONGEST_PATH:
            path = _checks.short(path)
        raise EdgeError(message if message.startswith(path) else f"{path}: {message}") from None


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **TOKEN_OPTIONS,
            **FILE_OPTIONS,
            "variables": {"type": "dict", "default": {}},
            "credential_key": {"type": "str", "choices": list(KEYS), "default": "auto", "no_log": False},
            "obsolete_paths": {"type": "list", "elements": "path", "default": []},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            "directory_mode": {"type": "raw"},
            **ARGUMENT_SPEC,
            "requires": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    module.execute(work, f"manage {module.params['path']}", module.params["path"])


if __name__ == "__main__":
    main()
