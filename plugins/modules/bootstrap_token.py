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
  - The token is judged first. What is certainly no bootstrap token (an API key, a path, a placeholder, a masked secret, stray white space,
    an expired JWT and more) is refused with a message that names the fault and never a character of the token.
  - The file is written through a temporary file in the same directory that is created with mode V(0600), gets owner and mode, is synced, and only
    then takes the place of the old one. What is there afterwards is verified.
  - On a node that is registered no token is needed. None is asked for there, and none is written.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._registration
  - expanso.edge._token
attributes:
  check_mode:
    details:
      - Works on a blank host. There an account that is still missing is a warning, because something before may be about to create it.
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
      - A symbolic link in the place of a directory is followed only if nobody but root and the account that the module runs as can have put it there.
        Each directory is held open from when it is judged until the end, so nobody can exchange it in between.
      - A file that is certainly no token, because it has more than 64 KiB or is not text, is neither replaced nor removed.
    type: path
    required: true
  state:
    description:
      - V(present) makes sure that the node holds the token, or is known not to need it.
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
        Only bits of V(0640) are possible, so that nobody but owner and group gets near.
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
      - Programs that the token is of no use without, such as the agent that registers the node with it.
      - Where one is missing, or is for another machine, a node that needs a token gets none, and the module fails.
        In check mode they are not looked at, because something before may be about to bring them.
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

- name: Put a token there that comes from elsewhere
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
  description: The same in a sentence.
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
  description: What the token that was given looks like, V(null) where none was needed.
  type: str
  returned: success
  choices: [bootstrap_key, jwt, opaque]
fingerprint:
  description: Twelve hexadecimal digits that tell which token the file holds, and are of no use for anything else. V(null) where there is no file.
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
  description: What O(token_source) says.
  type: str
  returned: success
"""

import contextlib
import os
import stat
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._credential import KEYS, NAME, CredentialError, decrypt, encrypt
from ansible_collections.expanso.edge.plugins.module_utils._decision import ARGUMENT_SPEC as TOKEN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._directory import Directory
from ansible_collections.expanso.edge.plugins.module_utils._env_file import EnvFileError, parse, render
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._program import check_agent
from ansible_collections.expanso.edge.plugins.module_utils._registration import ARGUMENT_SPEC, find_marker, markers
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import (
    MAX_SIZE,
    NEW_DIRECTORY_MODE,
    Attributes,
    NewDirectories,
    SecretFile,
    SecureFileError,
    group_id,
    group_name,
    home,
    leftovers_in,
    not_short_text,
    parse_mode,
    read_in,
    remove_in,
    user_id,
    user_name,
    write_in,
)
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, MAX_LENGTH, Token, TokenFault, fingerprint, judge

FILE_MODE_BITS = 0o640
DIRECTORY_MODE_BITS = 0o775


class Plan(NamedTuple):
    """What to do with the file: O(action) and, where something is to be written, the bytes."""

    action: str
    msg: str
    data: Optional[bytes] = None
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
    """Whether two paths are one file's, be it through a link above it."""
    return (one.name, one.directory.missing) == (other.name, other.directory.missing) and os.path.samestat(one.directory.status(), other.directory.status())


def check_options(params: Dict[str, Any]) -> None:
    """See that all options can be meant, those included that will not be needed; make paths plain and variables text.

    :raises EdgeError: one cannot
    """
    params["path"] = _checks.path(params["path"], "path")
    params["obsolete_paths"] = [_checks.path(each, "obsolete_paths") for each in params["obsolete_paths"]]
    if not parse_mode(params["mode"], FILE_MODE_BITS):
        raise SecureFileError("mode 0000 lets nobody read the file: give it '0600'")
    if params["directory_mode"] not in (None, ""):
        params["directory_mode"] = parse_mode(params["directory_mode"], DIRECTORY_MODE_BITS, "directory_mode")
    else:
        params["directory_mode"] = None
    _checks.name(params["credential_name"], "credential_name")
    variables = {name: _checks.scalar(value, "the value of {0}".format(_checks.short(name))) for name, value in params["variables"].items()}
    if ENV_NAME in variables:
        raise EnvFileError("{0} is the token itself: give it as option token, not among the variables".format(ENV_NAME))
    size = len(render(dict(variables, **{ENV_NAME: ""})).encode("utf-8")) + min(len(params["token"] or ""), MAX_LENGTH)
    if size > MAX_SIZE:
        raise EnvFileError("with these variables it would have {0} bytes, more than {1}".format(size, MAX_SIZE))
    params["variables"] = variables
    markers(params)


def wanted_attributes(module: EdgeModule, letting_go: bool) -> Attributes:
    mode = parse_mode(module.params["mode"], FILE_MODE_BITS)
    owner, group = module.params["owner"], module.params["group"]
    try:
        return Attributes(
            os.geteuid() if owner is None else user_id(owner),
            os.getegid() if group is None else group_id(group),
            mode,
        )
    except SecureFileError as exc:
        if not letting_go:  # an account that has been removed must not keep the token there
            if not module.check_mode:
                raise
            module.warn(str(exc))
        return Attributes(os.geteuid(), os.getegid(), mode)


def held_token(module: EdgeModule, data: bytes) -> str:
    """Return the token that a file's bytes hold, an empty text where they hold none."""
    if module.params["format"] == "encrypted":
        try:
            return decrypt(module, data, module.params["credential_name"]) or ""
        except CredentialError:  # where nobody can decrypt it, it can be removed all the same
            return ""
    text = data.decode("utf-8", "replace")
    return parse(text).get(ENV_NAME, "") if module.params["format"] == "env" else text


def wanted_data(module: EdgeModule, token: Token, found: Optional[SecretFile]) -> bytes:
    params = module.params
    if params["format"] == "raw":
        return token.value.encode("ascii")
    if params["format"] == "encrypted":
        if found is not None and held_token(module, found.data) == token.value:
            return found.data  # no two encryptions of a token are alike
        # encrypting may make the node's host key, so check mode does without
        return b"" if module.check_mode else encrypt(module, token.value, params["credential_name"], params["credential_key"])
    variables = {ENV_NAME: token.value}
    variables.update(params["variables"])
    return render(variables).encode("utf-8")


def differs(found: SecretFile, attributes: Attributes) -> bool:
    """Whether somebody else may reach a file: by owner, group, mode, access control list, or another hard link."""
    return found.attributes != attributes or found.has_acl or found.links > 1


def refuse_what_is_no_token(path: str, found: SecretFile) -> None:
    """Refuse to replace or remove a file that can hold no token in any format: all of them are text, and short.

    :raises SecureFileError: it is too long, or no text
    """
    what = not_short_text(found.data)
    if what:
        raise SecureFileError("{0}: {1}, so it is no token file: name another path, or remove the file yourself".format(path, what))


def make_plan(module: EdgeModule, found: Optional[SecretFile], attributes: Attributes, marker: Optional[str]) -> Plan:
    """Decide what to do. Changes nothing.

    :raises SecureFileError: what would be replaced or removed is certainly no token
    """
    plan = plan_for(module, found, attributes, marker)
    if found is not None and plan.action in ("written", "repaired", "removed"):
        refuse_what_is_no_token(module.params["path"], found)
    return plan


def plan_for(module: EdgeModule, found: Optional[SecretFile], attributes: Attributes, marker: Optional[str]) -> Plan:
    """Decide what to do with the file, whatever it holds."""
    params = module.params
    path = params["path"]
    if params["state"] == "absent":
        if found is None:
            return Plan("absent", "there is no token in {0}".format(path))
        return Plan("removed", "token removed from {0}".format(path))

    if marker is not None:
        if found is None:
            return Plan("not_needed", "registered already ({0} exists): no token needed, none written".format(marker))
        if params["remove_when_registered"]:
            return Plan("removed", "registered already ({0} exists): token removed from {1}".format(marker, path))
        left = "registered already ({0} exists): the token left in {1} is no longer needed".format(marker, path)
        if differs(found, attributes):
            return Plan("repaired", left + "; its permissions were corrected", found.data)
        return Plan("kept", left)

    source = params["token_source"]
    if not params["token"]:
        raise TokenFault(
            "missing",
            "this node is not registered and there is no token for it: {0}".format(source or "option token is empty"),
        )
    try:
        token = judge(params["token"], strict=params["strict"])
    except TokenFault as exc:
        raise TokenFault(exc.code, "the token cannot be used: {0}{1}".format(exc.message, " (source: {0})".format(source) if source else "")) from None
    data = wanted_data(module, token, found)
    if found is None or found.data != data:
        return Plan("written", "token written to {0}".format(path), data, token)
    if differs(found, attributes):
        return Plan("repaired", "permissions of {0} corrected; others may have read the token, consider a new one".format(path), data, token)
    return Plan("kept", "the token in {0} is the one asked for".format(path), None, token)


def let_go(plan: Plan, obsolete: List[str]) -> Plan:
    """Return a plan that tells of the removal of files besides."""
    action = "removed" if plan.action in ("absent", "not_needed") else plan.action
    return plan._replace(action=action, msg="{0}; an earlier delivery's token removed from {1}".format(plan.msg, ", ".join(obsolete)))


def carry_out(module: EdgeModule, place: Place, plan: Plan, attributes: Attributes, directory_mode: Optional[int]) -> None:
    """Do with the file what was planned, in the directory that was judged."""

    def label(new: str, final: str) -> None:
        """Give a new file or directory the security context that belongs to its final place."""
        module.set_context_if_different(new, module.selinux_default_context(final), False)

    if plan.action == "removed":
        remove_in(place.directory, place.name)
    if plan.data is None:
        return
    with NewDirectories(place.directory) as new:
        new.make(NEW_DIRECTORY_MODE if directory_mode is None else directory_mode, label)
        try:
            write_in(new.directory, place.name, plan.data, attributes, label)
        except (OSError, SecureFileError):
            new.undo()
            raise


def describe(module: EdgeModule, attributes: Optional[Attributes], data: Optional[bytes], token: Optional[Token] = None) -> Dict[str, Any]:
    """Return what may be shown of a file, for results and diffs."""
    if attributes is None or data is None:
        return dict.fromkeys(("owner", "group", "mode", "size", "fingerprint"))
    text = token.value if token else held_token(module, data)
    return {
        "owner": user_name(attributes.uid),
        "group": group_name(attributes.gid),
        "mode": "{0:04o}".format(attributes.mode),
        "size": len(data) or None,
        "fingerprint": fingerprint(text) if text else None,
    }


def judge_directory(module: EdgeModule, directory: Directory, attributes: Attributes) -> Optional[int]:
    """Return the permissions that the file's directory is to have, None where they are to stay.

    :raises SecureFileError: somebody else may replace what is in it
    """
    mode = module.params["directory_mode"]
    unsafe = directory.other_writer(attributes.uid, attributes.gid, mode)
    if unsafe:
        raise SecureFileError("{1} may write the directory {0}, and so replace what is below it: close it, or name another path".format(*unsafe))
    return mode


def bring_about(module: EdgeModule) -> Dict[str, Any]:
    """Bring the file to its state and return the result. The same before and after serve check mode, diff and the real run."""
    params = module.params
    marker = find_marker(params)
    if params["state"] == "present" and marker is None and not module.check_mode:
        for program in params["requires"]:
            check_agent(program, "requires (token_file_binary)")
    with holding(params) as (place, others):
        found, directory = place.found, place.directory
        letting_go = params["state"] == "absent" or (marker is not None and (params["remove_when_registered"] or found is None))
        attributes = wanted_attributes(module, letting_go)
        directory_mode = judge_directory(module, directory, attributes)
        plan = make_plan(module, found, attributes, marker)
        obsolete = []
        for each in others:
            if each.found is not None:
                refuse_what_is_no_token(each.path, each.found)
                obsolete.append(each.path)
        if obsolete:
            plan = let_go(plan, obsolete)

        open_directory = params["state"] == "present" and not directory.missing and directory_mode is not None
        set_directory_mode = open_directory and stat.S_IMODE(directory.status().st_mode) != directory_mode
        stale = any(each.stale for each in [place] + others)
        changed = plan.data is not None or plan.action == "removed" or stale or bool(obsolete) or set_directory_mode
        if changed and not module.check_mode:
            if set_directory_mode and directory_mode is not None:
                directory.chmod(directory_mode)
            carry_out(module, place, plan, attributes, directory_mode)
            for each in [place] + others:
                names = each.stale + ([each.name] if each.path in obsolete else [])
                for name in names:
                    remove_in(each.directory, name)
    return outcome(module, plan, found, attributes, marker=marker, changed=changed, obsolete=obsolete)


def outcome(
    module: EdgeModule, plan: Plan, found: Optional[SecretFile], attributes: Attributes, marker: Optional[str], changed: bool, obsolete: List[str]
) -> Dict[str, Any]:
    """Return the result of what was done, or would be in check mode."""
    path = module.params["path"]
    before = describe(module, found and found.attributes, found and found.data)
    after = before
    if plan.action == "removed":
        after = describe(module, None, None)
    elif plan.data is not None:
        after = describe(module, attributes, plan.data, plan.token)
    return dict(
        after,
        changed=changed,
        action=plan.action,
        msg=plan.msg,
        path=path,
        token_kind=plan.token.kind if plan.token else None,
        expires_at=plan.token.expires_at if plan.token else None,
        registered=marker is not None,
        obsolete_removed=obsolete,
        token_source=module.params["token_source"],
        diff={"before": dict(before, path=path, obsolete=obsolete), "after": dict(after, path=path, obsolete=[])},
    )


def work(module: EdgeModule) -> Dict[str, Any]:
    """Bring the file to its state; every fault names it."""
    try:
        check_options(module.params)
        return bring_about(module)
    except EdgeError as exc:
        path, said = module.params["path"], str(exc)
        if len(path) > _checks.LONGEST_PATH:
            path = _checks.short(path)
        raise EdgeError(said if said.startswith(path) else "{0}: {1}".format(path, said)) from None


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **TOKEN_OPTIONS,
            "format": {"type": "str", "choices": ["raw", "env", "encrypted"], "default": "raw"},
            "variables": {"type": "dict", "default": {}},
            "credential_name": {"type": "str", "default": NAME},
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
    module.execute(work, "manage {0}".format(module.params["path"]), module.params["path"])


if __name__ == "__main__":
    main()
