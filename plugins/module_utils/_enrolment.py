# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Run an agent one time, so that it registers its node with a token."""

import errno
import fcntl
import os
import subprocess
import time
from typing import Any, Dict, List, Optional

from ansible_collections.expanso.edge.plugins.module_utils._account import Account, find_account
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._former_identity import FormerIdentity
from ansible_collections.expanso.edge.plugins.module_utils._guard import is_done
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._new_directories import make_directories
from ansible_collections.expanso.edge.plugins.module_utils._process import Program
from ansible_collections.expanso.edge.plugins.module_utils._program import check_agent
from ansible_collections.expanso.edge.plugins.module_utils._record import new_entry, utc
from ansible_collections.expanso.edge.plugins.module_utils._record_file import keep
from ansible_collections.expanso.edge.plugins.module_utils._registration import Identity, find_marker, identity, markers, new_marker, what_is_left
from ansible_collections.expanso.edge.plugins.module_utils._secrets import last_lines
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import read, unsafe_directory
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, Token, TokenFault, fingerprint, judge
from ansible_collections.expanso.edge.plugins.module_utils._token_file import read_as_asked
from ansible_collections.expanso.edge.plugins.module_utils._walk import close

URL_ENV_NAME = "EXPANSO_EDGE_BOOTSTRAP_URL"
DATA_DIR_MODE = 0o700
LAST_LINES = 15
BY_ANOTHER: Dict[str, Any] = {"changed": False, "msg": "registered by another run at the same time"}

PATIENCE = 5.0
"""Seconds that an agent has to stop when it is asked to."""


class RegistrationError(EdgeError):
    """Why a node could not be registered, with the agent's last words where it was run."""


def read_token(module: EdgeModule) -> Token:
    """Return the token that was given, or the one in the file on the node; judged.

    :raises TokenFault: there is none, or it is certainly not a bootstrap token
    """
    params = module.params
    path = params["token_file"]
    if path is None:
        if not params["token"]:
            raise TokenFault("missing", "this node is not registered and no token was given to register it with: name its file in option token_file")
        return judge(params["token"])
    found = read(path)
    if found is None:
        raise TokenFault("missing", f"bootstrap token file not found: {path}; provision the token first")
    try:
        return read_as_asked(module, found.data).token()
    except TokenFault as exc:
        raise TokenFault(exc.code, f"invalid bootstrap token in {path}: {exc.message}") from None


def command(params: Dict[str, Any]) -> List[str]:
    """Return the command line: no shell, and no token on it."""
    arguments = [params["binary"], "bootstrap", "--data-dir", params["data_dir"]]
    if params["config_file"]:
        arguments += ["--config", params["config_file"]]
    return arguments + (["--force"] if params["force"] else [])


def check_data_dir(params: Dict[str, Any], account: Account) -> None:
    """Look at the data directory before anything is done.

    :raises RegistrationError: others may exchange it, or what is in it
    """
    path = params["data_dir"]
    if os.path.islink(path) and not os.path.exists(path):
        raise RegistrationError(f"the data directory {path} is a symbolic link that leads nowhere, to {os.readlink(path)}")
    unsafe = unsafe_directory(os.path.join(path, "marker"), account.uid, account.gid)
    if unsafe:
        remedy = "correct its owner and permissions (chown, chmod go-w), set option data_dir, or register as that user"
        raise RegistrationError(f"{unsafe[1]} can write to the directory {unsafe[0]}, and so decides what the data directory is: {remedy}")


def open_data_dir(module: EdgeModule, account: Account) -> int:
    """Return the data directory's descriptor. A missing one is created for the account.

    :raises OSError: it is not a directory
    """
    path = module.params["data_dir"]

    def label(directory: str) -> None:
        module.set_context_if_different(directory, module.selinux_default_context(directory), False)

    make_directories(path, DATA_DIR_MODE, label, (account.uid, account.gid))
    # resolved and checked before: a link that is there now was put there by another account
    return os.open(os.path.realpath(path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def lock(module: EdgeModule, descriptor: int, deadline: float) -> None:
    """Wait until no other registration is at work here. The agent inherits the lock, so that it holds even where the run that started it was killed.

    :raises RegistrationError: one still is after the time given
    """
    path = module.params["data_dir"]
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as exc:
            if exc.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                module.warn(f"{path} cannot be locked ({exc.strerror}): make sure that nothing else registers this node")
                return
        if time.monotonic() >= deadline:
            raise RegistrationError(
                f"another registration is at work in {path} and did not end within {module.params['timeout']} seconds: look for a process that runs "
                "'expanso-edge bootstrap'; this run used no token"
            )
        time.sleep(0.1)


def start(params: Dict[str, Any], account: Account, token: str, descriptor: int) -> Program:
    """Start the agent.

    :raises RegistrationError: it cannot be run
    """
    environment = {name: str(value) for name, value in params["environment"].items()}
    environment.update({ENV_NAME: token, "HOME": account.home})
    if params["bootstrap_url"]:
        environment[URL_ENV_NAME] = params["bootstrap_url"]
    reason = ""
    try:
        return Program(command(params), environment, account, [descriptor])
    except subprocess.SubprocessError:
        hint = "" if os.geteuid() == 0 else ": run it as root (become: true)"
        reason = f"this account is not allowed to run programs as {account.name}{hint}"
    except OSError as exc:
        if exc.errno == errno.ENOEXEC:
            reason = "the system cannot run it: is it for another machine, or damaged?"
        elif exc.errno == errno.ENOENT:
            reason = "the interpreter or loader that it names is missing"
        else:
            reason = f"{exc.strerror} (as {account.name})"
    raise RegistrationError(f"the agent {params['binary']} could not be started: {reason}")


def marker_of(params: Dict[str, Any], before: Identity) -> Optional[str]:
    """Return the marker of the registration that was asked for, None as long as there is none."""
    return new_marker(params, before) if params["force"] else find_marker(params)


def register(module: EdgeModule, token: str, account: Account, descriptor: int, deadline: float) -> List[str]:
    """Run the agent once, wait for the marker, and return the agent's last lines.

    :raises RegistrationError: the agent failed, or no marker came in time
    """
    params = module.params
    before = identity(params)
    FormerIdentity.sweep(params)
    former = FormerIdentity.keep(before)
    agent = start(params, account, token, descriptor)
    module.doing = "tell whether the agent, which was run, has registered this node"
    left = 0
    try:
        in_time = agent.wait(deadline, lambda: agent.code is not None)
        code = agent.code
        if code == 0:
            agent.wait(deadline, lambda: marker_of(params, before) is not None)
    finally:
        left = agent.end(PATIENCE)
    lines = last_lines(agent.output, LAST_LINES, token)
    marker = marker_of(params, before)
    if left:
        module.warn(f"{left} processes of the agent could not be ended, and may still hold the token")
    fault = fault_of(params, in_time, code, lines, marker)
    mark = fingerprint(token)
    if marker:
        module.log_change("registered", params["data_dir"], None, mark)
    if fault is None:
        return lines
    if marker:
        fault += f"; this node is registered nevertheless: {marker} exists, and the next run continues from there"
    elif before:
        fault += f"; {after_failure(params, former)}"
    now = find_marker(params)
    details = {"registered_anew": bool(before and marker), "registered": now is not None, "marker": now}
    raise RegistrationError(fault, agent_output=lines, fingerprint=mark if marker else None, **details)


def after_failure(params: Dict[str, Any], former: FormerIdentity) -> str:
    """Put the former identity back where the agent has damaged it; return what became of it."""
    fault = ""
    try:
        paths = former.put_back(params)
        if paths:
            return f"the agent had removed or changed files of the former identity, which were put back as they were: {', '.join(paths)}"
    except (OSError, EdgeError) as exc:
        fault = f"; they could not be put back: {exc}"
    return what_is_left(params, former.before) + fault


def fault_of(params: Dict[str, Any], in_time: bool, code: Optional[int], lines: List[str], marker: Optional[str]) -> Optional[str]:
    """Return why a registration failed, None where it did not.

    :param code: the agent's exit code, below zero where a signal ended it
    :param lines: the agent's last ones
    """
    if not in_time:
        return f"the agent did not finish within {params['timeout']} seconds and was stopped"
    if code:
        how = f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        return f"expanso-edge bootstrap {how}: {lines[-1] if lines else 'without any output'}"
    if marker is None:
        return (
            f"expanso-edge bootstrap succeeded, but after {params['timeout']} seconds there is none of the registration markers "
            f"{', '.join(markers(params))}{' that is new' if params['force'] else ''}: is option data_dir the one that the agent uses?"
        )
    return None


def was_registered_with(module: EdgeModule, token: Token) -> bool:
    """Whether the node got its identity with this token, as where the agent of a killed run ended after it was decided to register anew."""
    marker, last = find_marker(module.params), keep(module, None, lambda: (0, 0), locked=True).after
    if marker is None:
        return False
    whole_second = 1  # a record tells no fractions: a marker of that second may be from before
    return is_done(token.fingerprint, os.stat(marker).st_mtime - whole_second, None, None, last, time.time())


def register_once(module: EdgeModule) -> Dict[str, Any]:
    """Register the node, unless another run does so at the same time.

    :raises RegistrationError: that is not possible
    """
    params = module.params
    deadline = time.monotonic() + params["timeout"]
    before = identity(params)
    try:
        token = read_token(module)
    except TokenFault:
        if marker_of(params, before) is None:
            raise
        return BY_ANOTHER  # which removed the token, too
    module.learn(token.value)
    check_agent(params["binary"], "option binary")
    account = find_account(params["user"], params["group"], ("user", "group"))
    check_data_dir(params, account)
    descriptor = open_data_dir(module, account)
    try:
        lock(module, descriptor, deadline)
        if marker_of(params, before) is not None or (params["reregister"] and was_registered_with(module, token)):
            return BY_ANOTHER
        # before the agent is run: what a killed run leaves is a node that was given this token
        entry = new_entry(module.run_options(token.value), token.fingerprint, token.kind, "file", utc(time.time()))
        keep(module, entry, lambda: (account.uid, account.gid), locked=True)
        output = register(module, token.value, account, descriptor, deadline)
        msg = "registered anew" if params["force"] and before else "registered"
        return {"changed": True, "msg": msg, "agent_output": output, "fingerprint": token.fingerprint}
    finally:
        close(descriptor)
