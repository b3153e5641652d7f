# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Hosts that cannot be reached, and hosts that are reached but cannot run a module.

Ansible removes the former from the play at once, and a play without hosts ends before its summary. Of the latter it says the same for every cause.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.expanso.edge.plugins.module_utils._secrets import last_lines
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import quoted

VARIABLE = "expanso_edge_tell_unreachable"
"""Set by the playbooks, which show such hosts in their summary or report and fail at their end."""

UNREACHABLE = "the host cannot be reached"
"""Begins the message of such a result."""

NOT_RUN = "the host cannot run modules"
"""Begins the message of a result that the module itself did not give."""

# What ssh says beside the reason, of which the last two follow the failure of a bastion host, and what sudo says behind it.
_NOISE = re.compile(
    r"Warning: Permanently added .*? to the list of known hosts\.|ControlSocket \S+ already exists, disabling multiplexing"
    r"|debug\d: .*|Shared connection to \S+ closed\.|kex_exchange_identification: .*|Connection closed by UNKNOWN port 65535"
    r"|sudo: error initializing audit plugin .*"
)
_SSH = re.compile(r"(?:Failed to connect to the host via ssh|Data could not be sent to remote host .*?over ssh):(?: |$)", re.DOTALL)

_ODD = "what it answers is not an answer of the module: find out what runs in the place of its Python"

_MOST_LINES = 20
"""Lines at the end of an output in which a reason is looked for."""

_FULL = re.compile("No space left|Read-only file system|Permission denied|Disk quota")
_NO_PYTHON = re.compile(r"(?:^|[\s'\"])([^\s:'\"]*(?:python|pypy)[^\s:'\"]*)['\"]?: (?:command not found|not found|No such file or directory)")
_PASSWORD = r"waiting for privilege escalation prompt|^(?:Missing|Incorrect) \S+ password"  # of Ansible itself
_OF_CONTAINERS = ("buildah", "docker", "docker_api", "incus", "kubectl", "lxc", "lxd", "nsenter", "oc", "podman")
"""Connections by a program that fails in the same way where there is no container, as where a command in it fails."""

_SHELL = "look at the account's login shell, and at what that runs first (.bashrc)"
_SILENT = "nothing was printed instead of a result"
_KILLED = (137, -9)  # of a shell, and of Python

_ADVICE = (
    (r"unknown user|^(?:su|runuser): user \S+ does not exist", "create that account, or name another one with ansible_become_user"),
    (r"sudo: (?:command )?not found", "install sudo on it, or name another way with ansible_become_method"),
    (r"must have a tty", "its sudo wants a terminal, so set ansible_pipelining to false for this host"),
    (rf"{_PASSWORD}|^(?:su|doas): ", "check ansible_become_method and ansible_become_password"),
    (r"No usable temporary directory|No space left|Read-only file system", "free or mount a file system with a temporary directory for its account"),
    (r"account is currently not available|restricted: cannot specify", "give the account a login shell, or name another one with ansible_user"),
    (r"No module named 'encodings'", "its Python is not complete, or PYTHONHOME or PYTHONPATH leads it elsewhere"),
    (_SILENT, _SHELL),
)
"""What to do, by the text of the reason."""


def failure(fault: AnsibleError, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a task whose host cannot be reached, or cannot run modules because Ansible could not become root or copy a file there.

    :param variables: of the host that the task is for
    :raises AnsibleError: the playbook did not request a result, so Ansible handles the fault itself; or it is another fault
    """
    text = str(fault)
    found = _not_run(text, str(variables.get("ansible_connection", ""))) or (_unreachable(text) if isinstance(fault, AnsibleConnectionFailure) else "")
    if not found or not variables.get(VARIABLE):
        raise fault
    return {"failed": True, "msg": found}


def explained(answer: Mapping[str, Any], token: str = "") -> dict[str, Any]:
    """Return the result of a module. If Ansible made it because the module gave none, its message says the cause and what to do.

    Nothing else of what was printed is returned: whatever ran instead of the module may have printed its options.

    :param token: that the module was given
    """
    if not answer.get("failed") and not _sound(answer):
        return {"failed": True, "changed": bool(answer.get("changed")), "msg": f"{NOT_RUN}: {_ODD}"}
    printed = {name: str(answer.get(name) or "").encode("utf-8", "replace") for name in ("module_stderr", "module_stdout")}
    if not answer.get("failed") or printed.keys().isdisjoint(answer):
        return dict(answer)
    lines = [line for text in printed.values() for line in reversed(last_lines(text, _MOST_LINES, *filter(None, [token]))) if not _NOISE.fullmatch(line)]
    reason = next((line for line in lines if _NO_PYTHON.search(line) or _advice(line)), lines[0] if lines else _SILENT)
    if not lines and answer.get("rc") in _KILLED:
        reason = "the module was killed: look for the out-of-memory killer in the log of its kernel, and run this again"
    return {**{name: value for name, value in answer.items() if name not in ("exception", *printed)}, "msg": f"{NOT_RUN}: {_advised(reason)}"}


def _sound(answer: Mapping[str, Any]) -> bool:
    """Return whether an answer may be one of our modules, all of which say in words what they did. One in the background has not answered yet."""
    return "ansible_job_id" in answer or (isinstance(answer.get("msg"), str) and isinstance(answer.get("action", ""), str))


def _advice(reason: str) -> str:
    return next((text for pattern, text in _ADVICE if re.search(pattern, reason)), "")


def _advised(reason: str) -> str:
    missing = _NO_PYTHON.search(reason)
    if missing:
        return f"there is no {missing[1]} on it: install Python, or name another one with ansible_python_interpreter"
    advice = _advice(reason)
    return quoted(reason).rstrip(".:") + (f": {advice}" if advice else "")


def _not_run(text: str, connection: str) -> str:
    """Return why a host that was reached cannot run modules, or an empty text."""
    if "Failed to create temporary directory" in text:
        if connection.rpartition(".")[2] in _OF_CONTAINERS:  # of these, Ansible does not tell what the program printed
            return f"{NOT_RUN}: its container does not run, or has no temporary directory: start it, or name such a directory with ansible_remote_tmp"
        return (
            f"{NOT_RUN}: its account has no temporary directory: free or mount a file system for it, name another one with ansible_remote_tmp, "
            "or give the account a login shell"
        )
    if "failed to resolve remote temporary directory" in text:
        return f"{NOT_RUN}: its login shell does not run commands: {_SHELL}"
    if "failed to transfer file" in text:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"{NOT_RUN}: {_advised(next((line for line in lines if _FULL.search(line)), lines[-1]))}"
    if re.search(_PASSWORD, text):
        return f"{NOT_RUN}: {_advised(text)}"
    return ""


def _unreachable(text: str) -> str:
    """Return what a connection plugin says, in one line, without what ssh says beside it. A banner may precede the reason."""
    lines = [line.strip() for line in _NOISE.sub("", _SSH.sub("\n", text)).splitlines()]
    reason = "; ".join([line for line in lines if line][-3:])
    return f"{UNREACHABLE}: {reason or 'the connection was lost, and ssh does not say why'}"
