#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: edge_registration
short_description: Register a node with Expanso Cloud, once
version_added: 1.0.0
description:
  - Runs C(expanso-edge bootstrap --data-dir DIR) once, as the account that the agent is going to run as, and waits until a registration marker exists.
  - The token is in the environment of that one process only, never on a command line.
  - Where a marker exists nothing is run and no token is spent.
  - A failure carries the agent's own last lines, with the token masked in every encoding that programs print.
extends_documentation_fragment:
  - expanso.edge.attributes
  - expanso.edge.registration
attributes:
  check_mode:
    support: full
    details:
      - Tells whether the node would be registered. Does not look at binary and token, because something before may be about to bring them.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  binary:
    description: The agent on the node.
    type: path
    default: /usr/local/bin/expanso-edge
  config_file:
    description: Configuration passed to the agent with C(--config). By default none is passed.
    type: path
  bootstrap_url:
    description: Where to register. By default the agent's own choice.
    type: str
  token:
    description:
      - The bootstrap token.
      - Mutually exclusive with O(token_file).
    type: str
  token_file:
    description:
      - File on the node that holds the token, as M(expanso.edge.bootstrap_token) writes it in either format.
      - Mutually exclusive with O(token).
    type: path
  user:
    description:
      - Account that the agent is run as, the same that its service uses.
      - By default the account that the module runs as.
    type: str
  group:
    description:
      - Group that the agent is run as.
      - By default the primary group of O(user).
    type: str
  timeout:
    description: How long the agent may take until a marker exists, in seconds, V(1) at least. Then it is stopped.
    type: int
    default: 120
  remove_token_file:
    description: Remove O(token_file) once the node is registered. Nobody needs it any more.
    type: bool
    default: false
notes:
  - A missing O(data_dir) is made with mode V(0700) for O(user) and O(group).
  - Needs C(timeout) of coreutils on the node and, to run as another account, C(setpriv) of util-linux.
seealso:
  - module: expanso.edge.bootstrap_token
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Register the node and let go of the token
  expanso.edge.edge_registration:
    token_file: /etc/expanso/bootstrap.token
    remove_token_file: true
    user: expanso

- name: Register without a file
  expanso.edge.edge_registration:
    token: "{{ lookup('expanso.edge.bootstrap_token') }}"
    bootstrap_url: https://start.cloud.expanso.io
"""

RETURN = r"""
registered:
  description: Whether the node is registered. V(false) in check mode where it would be.
  type: bool
  returned: success
marker:
  description: The registration marker that exists, V(null) where there is none.
  type: str
  returned: success
token_removed:
  description: Whether O(token_file) was removed, or would be in check mode.
  type: bool
  returned: success
msg:
  description: What was done, in a sentence.
  type: str
  returned: always
agent_output:
  description: The agent's last lines, with the token masked.
  type: list
  elements: str
  returned: when the agent was run
fault:
  description: Stable name of what is wrong with the token, such as V(missing), V(whitespace) or V(expired).
  type: str
  returned: when the token cannot be used
"""

import os
import time
from typing import Any, Dict, List

from ansible_collections.expanso.edge.plugins.module_utils._account import Account, find_account
from ansible_collections.expanso.edge.plugins.module_utils._env_file import parse
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._registration import ARGUMENT_SPEC, find_marker, markers
from ansible_collections.expanso.edge.plugins.module_utils._secrets import mask
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import make_directories, read, remove
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, TokenFault, decode, judge

URL_ENV_NAME = "EXPANSO_EDGE_BOOTSTRAP_URL"
DATA_DIR_MODE = 0o700
LAST_LINES = 15
TIMED_OUT = (124, 137, -9)  # timeout(1) ended the agent by TERM, by KILL, by KILL and itself with it


class RegistrationError(EdgeError):
    """Why a node could not be registered, with the agent's last words where it was run."""


def read_token(params: Dict[str, Any]) -> str:
    """Return the token that was given, or the one in the file on the node; judged.

    :raises TokenFault: there is none, or it is certainly no bootstrap token
    """
    path = params["token_file"]
    if path is None:
        if not params["token"]:
            raise TokenFault("missing", "this node is not registered and no token was given to register it with")
        return judge(params["token"]).value
    found = read(path)
    if found is None:
        raise TokenFault("missing", "bootstrap token file not found: {0}; provision the token first".format(path))
    try:
        # other variables of an environment file may hold any text
        assigned = parse(found.data.decode("utf-8", "replace")).get(ENV_NAME)
        return judge(decode(found.data) if assigned is None else assigned).value
    except TokenFault as exc:
        raise TokenFault(exc.code, "invalid bootstrap token in {0}: {1}".format(path, exc.message)) from None


def command(params: Dict[str, Any], account: Account) -> List[str]:
    """Return the command line: no shell, and no token on it."""
    arguments = ["timeout", "--kill-after=5", str(params["timeout"])]
    arguments += account.prefix() + [params["binary"], "bootstrap", "--data-dir", params["data_dir"]]
    if params["config_file"]:
        arguments += ["--config", params["config_file"]]
    return arguments


def register(module: EdgeModule, token: str) -> List[str]:
    """Run the agent once, wait for the marker, and return the agent's last lines.

    :raises RegistrationError: the agent failed, or no marker came in time
    """
    params = module.params
    account = find_account(params["user"], params["group"])

    def own(directory: str) -> None:
        module.set_context_if_different(directory, module.selinux_default_context(directory), False)
        if directory == params["data_dir"]:
            os.chown(directory, account.uid, account.gid)

    make_directories(params["data_dir"], DATA_DIR_MODE, own)
    environment = {ENV_NAME: token, "HOME": account.home}
    if params["bootstrap_url"]:
        environment[URL_ENV_NAME] = params["bootstrap_url"]

    deadline = time.monotonic() + params["timeout"]
    code, out, err = module.run_command(command(params, account), environ_update=environment, cwd="/")
    said = (out + err).encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # results are UTF-8
    lines = [line for line in mask(said, token).splitlines() if line.strip()][-LAST_LINES:]
    if code in TIMED_OUT and time.monotonic() >= deadline:
        raise RegistrationError("the agent did not finish within {0} seconds and was stopped".format(params["timeout"]), agent_output=lines)
    if code:
        how = "failed with exit code {0}".format(code) if code > 0 else "was ended by signal {0}".format(-code)
        raise RegistrationError("expanso-edge bootstrap {0}: {1}".format(how, lines[-1] if lines else "it said nothing"), agent_output=lines)
    while find_marker(params) is None:
        if time.monotonic() >= deadline:
            raise RegistrationError(
                "expanso-edge bootstrap succeeded, but after {0} seconds there is none of the registration markers {1}: "
                "is data_dir the one that the agent uses?".format(params["timeout"], ", ".join(markers(params))),
                agent_output=lines,
            )
        time.sleep(0.2)
    return lines


def bring_about(module: EdgeModule) -> Dict[str, Any]:
    """Register the node where that is needed, let go of the token, and return the result."""
    params = module.params
    params["data_dir"] = os.path.normpath(params["data_dir"])
    if params["timeout"] < 1:  # to timeout(1), 0 means for ever
        raise RegistrationError("timeout is {0}, but has to be 1 second or more".format(params["timeout"]))
    marker = find_marker(params)
    result = {"changed": False, "msg": "registered already"}  # type: Dict[str, Any]
    if marker is None:
        result = {"changed": True, "msg": "would be registered"}
        if not module.check_mode:
            token = read_token(params)
            if not os.access(params["binary"], os.X_OK) or os.path.isdir(params["binary"]):
                raise RegistrationError("the agent {0} is missing or not executable: install it first, or set binary".format(params["binary"]))
            result = {"changed": True, "msg": "registered", "agent_output": register(module, token)}
            marker = find_marker(params)

    wants_removal = params["remove_token_file"] and params["token_file"] is not None
    token_removed = bool(wants_removal and read(params["token_file"]) is not None)
    if token_removed:
        result["changed"] = True
        if not module.check_mode:
            remove(params["token_file"])
    return dict(result, marker=marker, registered=marker is not None, token_removed=token_removed)


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "binary": {"type": "path", "default": "/usr/local/bin/expanso-edge"},
            "config_file": {"type": "path"},
            "bootstrap_url": {"type": "str"},
            "token": {"type": "str", "no_log": True},
            "token_file": {"type": "path", "no_log": False},
            "user": {"type": "str"},
            "group": {"type": "str"},
            **ARGUMENT_SPEC,
            "timeout": {"type": "int", "default": 120},
            "remove_token_file": {"type": "bool", "default": False, "no_log": False},
        },
        mutually_exclusive=[("token", "token_file")],
        supports_check_mode=True,
    )
    module.execute(bring_about, "register this node")


if __name__ == "__main__":
    main()
