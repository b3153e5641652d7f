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
  - expanso.edge._attributes
  - expanso.edge._registration
attributes:
  check_mode:
    details:
      - Tells whether the node would be registered. Does not look at binary and token, because something before may be about to bring them.
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
    description: How long the agent may take until a marker exists, in seconds, from V(1) to V(604800). Then it is stopped, with all that it started.
    type: int
    default: 120
  remove_token_file:
    description: Remove O(token_file) once the node is registered. Nobody needs it any more.
    type: bool
    default: false
notes:
  - A missing O(data_dir) is made with mode V(0700) for O(user) and O(group).
  - Whatever the agent leaves at work is ended with it, because it has the token in its environment.
  - Two runs at the same time spend one token. The second waits for the first, and for an agent that a killed run left at work.
  - A O(data_dir) that others may exchange, because they may write a directory above it, is refused.
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
  description:
    - Whether the node is registered. V(false) in check mode where it would be.
    - An agent may fail after it registered the node. Then the module fails, and the next run finds a registered node.
  type: bool
  returned: success, and when the agent was run
marker:
  description: The registration marker that exists, V(null) where there is none.
  type: str
  returned: success, and when the agent was run
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

import errno
import fcntl
import os
import subprocess
import time
from typing import Any, Dict, List

from ansible_collections.expanso.edge.plugins.module_utils._account import Account, find_account
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._options import check_options
from ansible_collections.expanso.edge.plugins.module_utils._process import Program
from ansible_collections.expanso.edge.plugins.module_utils._program import check_agent
from ansible_collections.expanso.edge.plugins.module_utils._registration import ARGUMENT_SPEC, find_marker, markers
from ansible_collections.expanso.edge.plugins.module_utils._secrets import last_lines
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import make_directories, read, remove, unsafe_directory
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, TokenFault, judge
from ansible_collections.expanso.edge.plugins.module_utils._token_file import read as read_content

URL_ENV_NAME = "EXPANSO_EDGE_BOOTSTRAP_URL"
DATA_DIR_MODE = 0o700
LAST_LINES = 15
LONGEST = 7 * 24 * 3600
"""Seconds that may be asked for: more is a slip, and more than some calls of the system can take."""

BY_ANOTHER = {"changed": False, "msg": "registered by another run at the same time"}  # type: Dict[str, Any]

PATIENCE = 5.0
"""Seconds that an agent has to stop when it is told to."""


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
        return read_content(found.data).token().value
    except TokenFault as exc:
        raise TokenFault(exc.code, "invalid bootstrap token in {0}: {1}".format(path, exc.message)) from None


def command(params: Dict[str, Any]) -> List[str]:
    """Return the command line: no shell, and no token on it."""
    arguments = [params["binary"], "bootstrap", "--data-dir", params["data_dir"]]
    if params["config_file"]:
        arguments += ["--config", params["config_file"]]
    return arguments


def check_data_dir(params: Dict[str, Any], account: Account) -> None:
    """Look at the data directory before anything is done.

    :raises RegistrationError: others may exchange it, or what is in it
    """
    path = params["data_dir"]
    if os.path.islink(path) and not os.path.exists(path):
        raise RegistrationError("the data directory {0} is a symbolic link that leads nowhere, to {1}".format(path, os.readlink(path)))
    unsafe = unsafe_directory(os.path.join(path, "marker"), account.uid, account.gid)
    if unsafe:
        message = "{1} may write the directory {0}, and so decides what the data directory is: close it, set data_dir, or register as that user"
        raise RegistrationError(message.format(*unsafe))


def open_data_dir(module: EdgeModule, account: Account) -> int:
    """Return the data directory's descriptor. A missing one is made for the account.

    :raises OSError: it is no directory
    """
    path = module.params["data_dir"]

    def label(directory: str) -> None:
        module.set_context_if_different(directory, module.selinux_default_context(directory), False)

    make_directories(path, DATA_DIR_MODE, label, (account.uid, account.gid))
    # resolved and checked before: what is a link by now was put there by somebody else
    return os.open(os.path.realpath(path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def lock(module: EdgeModule, descriptor: int, deadline: float) -> None:
    """Wait until no other registration is at work here. The agent inherits the lock, so that it holds even where the run that started it was killed.

    :raises RegistrationError: one still is after the time given
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as exc:
            if exc.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                module.warn("{0} cannot be locked ({1}): make sure that nothing else registers this node".format(module.params["data_dir"], exc.strerror))
                return
        if time.monotonic() >= deadline:
            raise RegistrationError(
                "another registration is at work in {0} and did not end within {1} seconds: look for a process that runs "
                "'expanso-edge bootstrap'; no token was spent by this run".format(module.params["data_dir"], module.params["timeout"])
            )
        time.sleep(0.1)


def start(params: Dict[str, Any], account: Account, token: str, descriptor: int) -> Program:
    """Start the agent.

    :raises RegistrationError: it cannot be run
    """
    environment = {ENV_NAME: token, "HOME": account.home}
    if params["bootstrap_url"]:
        environment[URL_ENV_NAME] = params["bootstrap_url"]
    reason = ""
    try:
        return Program(command(params), environment, account, [descriptor])
    except subprocess.SubprocessError:
        hint = "" if os.geteuid() == 0 else ": run it as root (become: true)"
        reason = "this account may not run programs as {0}{1}".format(account.name, hint)
    except OSError as exc:
        if exc.errno == errno.ENOEXEC:
            reason = "the system cannot run it: is it for another machine, or damaged?"
        elif exc.errno == errno.ENOENT:
            reason = "the interpreter or loader that it names is missing"
        else:
            reason = "{0} (as {1})".format(exc.strerror, account.name)
    raise RegistrationError("the agent {0} could not be started: {1}".format(params["binary"], reason))


def register(module: EdgeModule, token: str, account: Account, descriptor: int, deadline: float) -> List[str]:
    """Run the agent once, wait for the marker, and return the agent's last lines.

    :raises RegistrationError: the agent failed, or no marker came in time
    """
    params = module.params
    agent = start(params, account, token, descriptor)
    left = 0
    try:
        in_time = agent.wait(deadline, lambda: agent.code is not None)
        code = agent.code
        if code == 0:
            agent.wait(deadline, lambda: find_marker(params) is not None)
    finally:
        left = agent.end(PATIENCE)
    lines = last_lines(agent.output, LAST_LINES, token)
    fault = ""
    if not in_time:
        fault = "the agent did not finish within {0} seconds and was stopped".format(params["timeout"])
    elif code:
        how = "failed with exit code {0}".format(code) if code > 0 else "was ended by signal {0}".format(-code)
        fault = "expanso-edge bootstrap {0}: {1}".format(how, lines[-1] if lines else "it said nothing")
    elif find_marker(params) is None:
        fault = (
            "expanso-edge bootstrap succeeded, but after {0} seconds there is none of the registration markers {1}: "
            "is data_dir the one that the agent uses?".format(params["timeout"], ", ".join(markers(params)))
        )
    if left:
        module.warn("{0} processes of the agent could not be ended, and may hold the token still".format(left))
    if fault:
        marker = find_marker(params)
        if marker:
            fault += "; this node is registered all the same: {0} exists, and the next run goes on from there".format(marker)
        raise RegistrationError(fault, agent_output=lines, registered=marker is not None, marker=marker)
    return lines


def register_once(module: EdgeModule) -> Dict[str, Any]:
    """Register the node, unless another run does so at the same time.

    :raises RegistrationError: that is not possible
    """
    params = module.params
    deadline = time.monotonic() + params["timeout"]
    try:
        token = module.learn(read_token(params))
    except TokenFault:
        if find_marker(params) is None:
            raise
        return BY_ANOTHER  # which let go of the token, too
    check_agent(params["binary"], "binary (token_file_binary)")
    account = find_account(params["user"], params["group"])
    check_data_dir(params, account)
    descriptor = open_data_dir(module, account)
    try:
        lock(module, descriptor, deadline)
        if find_marker(params) is not None:
            return BY_ANOTHER
        return {"changed": True, "msg": "registered", "agent_output": register(module, token, account, descriptor, deadline)}
    finally:
        os.close(descriptor)


def bring_about(module: EdgeModule) -> Dict[str, Any]:
    """Register the node where that is needed, let go of the token, and return the result."""
    check_options(module)
    params = module.params
    params["data_dir"] = os.path.normpath(params["data_dir"])
    if not 1 <= params["timeout"] <= LONGEST:
        raise RegistrationError("timeout is {0}, but has to be 1 second or more, and {1} at most".format(params["timeout"], LONGEST))
    marker = find_marker(params)
    result = {"changed": False, "msg": "registered already"}  # type: Dict[str, Any]
    if marker is None:
        result = {"changed": True, "msg": "would be registered"}
        if not module.check_mode:
            result = dict(register_once(module))
            marker = find_marker(params)

    wants_removal = params["remove_token_file"] and params["token_file"] is not None
    token_removed = bool(wants_removal and read(params["token_file"]) is not None)
    if token_removed and not module.check_mode:
        try:
            remove(params["token_file"])
        except FileNotFoundError:  # another run did so at the same time
            token_removed = False
    if token_removed:
        result["changed"] = True
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
