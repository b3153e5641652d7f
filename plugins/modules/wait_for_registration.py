#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: wait_for_registration
short_description: Wait until systemd has registered a node and runs its agent
version_added: 1.0.0
description:
  - Waits until a registration marker exists and the agent's unit runs, in one remote command.
  - An agent counts as running after three seconds without an end, or after fifteen if systemd had to start it again.
  - Gives up as soon as it is certain that this will not happen. The failure carries the state of the unit that is to blame and the last lines
    of its journal, with the token masked in every encoding that programs print.
  - Starts nothing. Removes the token, if asked to.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_node
  - expanso.edge._registration
  - expanso.edge._record
attributes:
  check_mode:
    details:
      - Tells whether the node is registered, and does not wait.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  bootstrap_unit:
    description: The unit of type C(oneshot) that registers the node.
    type: str
    required: true
  unit:
    description: The unit that runs the agent.
    type: str
    required: true
  timeout:
    description: How long to wait, in seconds, from V(0) to V(604800).
    type: int
    default: 120
  token_file:
    description:
      - File on the node that holds the token, as M(expanso.edge.bootstrap_token) wrote it. Read at the start, to mask the token in whatever is shown.
    type: path
    required: true
  fingerprint:
    description:
      - The RV(expanso.edge.bootstrap_token#module:fingerprint) that M(expanso.edge.bootstrap_token) returned.
      - By it a token is found and masked in the journal when O(token_file) has been removed already, as the unit does after the registration.
    type: str
    version_added: 1.1.0
  remove_token_file:
    description: Remove O(token_file) as soon as the node is registered, if it still exists.
    type: bool
    default: false
  format:
    description: The value that O(expanso.edge.bootstrap_token#module:format) had.
    type: str
    choices: [raw, env, encrypted]
    default: raw
  credential_name:
    description: The value that O(expanso.edge.bootstrap_token#module:credential_name) had.
    type: str
    default: expanso-edge-bootstrap-token
seealso:
  - module: expanso.edge.bootstrap_token
  - module: expanso.edge.systemd_units
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Wait until the node is registered and its agent runs
  expanso.edge.wait_for_registration:
    bootstrap_unit: expanso-edge-bootstrap.service
    unit: expanso-edge.service
    token_file: /etc/expanso/bootstrap.env
    format: env
    fingerprint: "{{ bootstrap_token_result.fingerprint | default(omit, true) }}"
    remove_token_file: true
    timeout: 60
"""

RETURN = r"""
registered:
  description: Whether the node is registered. In check mode V(false) if it still has to be.
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
fingerprint:
  description: Twelve hexadecimal digits that tell which token was removed. V(null) where none was, or where this node cannot decrypt it.
  type: str
  returned: success
  sample: 5d41402abc4b
  version_added: 1.1.0
msg:
  description: Human-readable summary of the result; after a failure with the unit's state and the last lines of its journal.
  type: str
  returned: always
unit_state:
  description: What C(systemctl show) prints of the unit that is to blame.
  type: dict
  returned: failure
  sample: {"ActiveState": "failed", "ExecMainStatus": "11", "Result": "exit-code", "SubState": "failed"}
journal:
  description:
    - Last lines of that unit's journal since it was last started, with the token masked.
    - Without the program's own lines where the token to mask in them is unknown.
  type: list
  elements: str
  returned: failure
"""

import re
import time
from typing import Any, Dict, Optional

from ansible_collections.expanso.edge.plugins.module_utils._archive import compile_once

compile_once()  # before the other imports, which it makes cheaper

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._record import ARGUMENT_SPEC as RUN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._registration import ARGUMENT_SPEC, find_marker, markers
from ansible_collections.expanso.edge.plugins.module_utils._secrets import find_token, last_lines
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import SecureFileError, read
from ansible_collections.expanso.edge.plugins.module_utils._token_file import ARGUMENT_SPEC as FILE_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._token_file import read_as_asked, remove_token

POLL_SECONDS = 0.3

SETTLED_SECONDS = 3.0
"""How long an agent has to run before it counts as running: one that dies of its configuration does so at once."""

SETTLED_AGAIN_SECONDS = 15.0
"""The same for one that systemd had to start again: it may die at every start."""

LAST_LINES = 12
LATE_LOOKS = 5
SHOWN = ("ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus", "NRestarts", "LoadState", "AssertResult")

State = Dict[str, str]


class WaitError(EdgeError):
    """Why there is no running, registered agent, and which unit is to blame."""

    def __init__(self, msg: str, unit: str, state: State) -> None:
        super().__init__(msg)
        self.unit = unit
        self.state = state


def show(module: EdgeModule, unit: str) -> State:
    """Return what systemd knows of a unit.

    :raises WaitError: it does not answer, or not as systemd does
    """
    properties = SHOWN + ("ActiveEnterTimestampMonotonic", "InvocationID", "ExecMainPID")
    systemctl = module.get_bin_path("systemctl")
    if systemctl is None:
        raise WaitError("there is no systemctl on this node, so its units cannot be waited for", unit, {})
    code, out, err = module.run_command([systemctl, "show", f"--property={','.join(properties)}", "--", unit])
    if code:
        output = last_lines(err.encode("utf-8", "replace"), 1)
        raise WaitError(f"systemctl cannot tell the state of {unit}: {output[0] if output else 'without any output'}", unit, {})
    state = dict(line.partition("=")[::2] for line in out.splitlines() if "=" in line)
    if not state.get("ActiveState") or not state.get("SubState"):
        raise WaitError(f"systemctl show does not tell the state of {unit}: is it really systemd that answers?", unit, state)
    return state


def number(state: State, name: str) -> int:
    """Return a number of a unit's state, 0 where there is none."""
    text = state.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def in_words(state: State) -> str:
    """Return what of a unit's state is worth a person's attention."""
    text = f"{state.get('ActiveState', 'unknown')}/{state.get('SubState', 'unknown')}"
    if state.get("LoadState", "loaded") != "loaded":
        text += f", its unit file {state['LoadState']}"
    if state.get("Result", "success") != "success":
        text += f", result {state['Result']}"
    if state.get("ExecMainStatus", "0") != "0":
        text += f", exit status {state['ExecMainStatus']}"
    if state.get("NRestarts", "0") != "0":
        text += f", restarted {state['NRestarts']} times"
    return text


def not_registered(params: Dict[str, Any], state: State) -> Optional[str]:
    """Return why the node is not registered and will not be; None while that may still happen."""
    if state["ActiveState"] in ("activating", "reloading", "deactivating"):
        return None
    if state["ActiveState"] == "failed":
        return "this node could not be registered"
    if state.get("AssertResult") == "no":
        return f"this node could not be registered: {params['token_file']} is not there"
    return (
        f"{params['bootstrap_unit']} ran, but there is none of the registration markers {', '.join(markers(params))}: "
        "is the data directory (systemd_service_data_dir) the one that the agent uses?"
    )


def settled(state: State, now: float) -> bool:
    """Whether an agent has run for long enough.

    :param now: seconds since the start of the machine
    """
    started = number(state, "ActiveEnterTimestampMonotonic") / 1e6
    needed = SETTLED_AGAIN_SECONDS if number(state, "NRestarts") else SETTLED_SECONDS
    return state["ActiveState"] == "active" and state["SubState"] == "running" and now - started >= needed


def wait(module: EdgeModule) -> str:
    """Return the marker of the node as soon as the agent runs.

    :raises WaitError: it does not, and will not within the time given
    """
    params = module.params
    deadline = time.monotonic() + params["timeout"]
    while True:
        marker = find_marker(params)
        unit = params["bootstrap_unit"] if marker is None else params["unit"]
        state = show(module, unit)
        if marker is None:
            reason = not_registered(params, state)
        elif settled(state, time.monotonic()):
            return marker
        else:
            reason = "this node is registered, but its agent does not run" if state["ActiveState"] in ("failed", "inactive") else None
        if reason is None and time.monotonic() >= deadline:
            reason = f"this node is not {'registered' if marker is None else 'running its agent'} after {params['timeout']} seconds"
            if number(state, "NRestarts"):
                reason += ": its agent ends again and again"
        # a marker that came in between makes the reason void
        if reason is not None and (marker is not None or find_marker(params) is None):
            raise WaitError(reason, unit, state)
        time.sleep(POLL_SECONDS)


def journal(module: EdgeModule, lines: int, *matches: str) -> bytes:
    """Return the last lines of the journal that match, of those since this boot."""
    journalctl = module.get_bin_path("journalctl")
    if journalctl is None:
        return b""
    arguments = [journalctl, "--quiet", "--no-pager", "--output=cat", "--boot", f"--lines={lines}"]
    return module.run_command(arguments + list(matches))[1].encode("utf-8", "surrogateescape")


def explain(module: EdgeModule, fault: WaitError, token: str) -> EdgeError:
    """Return the fault with what the unit's journal holds since it was last started, masked.

    Where it is unknown which lines these are, or which token to mask in them, only the service manager's own lines are shown.

    :param token: the one that the node held, an empty text where it is unknown
    """
    unit, invocation = fault.unit, fault.state.get("InvocationID")
    if module.get_bin_path("journalctl"):
        module.run_command(["journalctl", "--sync"])
    last = b""
    which = ["_PID=1", "UNIT=" + unit]
    if number(fault.state, "NRestarts") and unit != module.params["bootstrap_unit"]:
        # the start that is at work has not printed yet what the one before died of
        last = journal(module, 1, "_SYSTEMD_UNIT=" + unit)
        which = ["_SYSTEMD_UNIT=" + unit, "+"] + which
    elif invocation and (token or unit != module.params["bootstrap_unit"]):
        own = ["_SYSTEMD_INVOCATION_ID=" + invocation]
        if number(fault.state, "ExecMainPID"):
            # a journal that is late, as on a busy node, finds the process gone, and notes only these two of it
            own += ["+", "_SYSTEMD_UNIT=" + unit, "_PID=" + fault.state["ExecMainPID"]]
        last = journal(module, 1, *own)
        for _attempt in range(LATE_LOOKS):
            if last:
                break
            # the journal of a busy node may still be reading what a program wrote before it ended
            time.sleep(POLL_SECONDS)
            last = journal(module, 1, *own)
        which = own + ["+", "INVOCATION_ID=" + invocation]
    output = journal(module, LAST_LINES, *which)
    wanted = module.params["fingerprint"]
    # its file may be gone, and only the agent's own words show which token it was
    secrets = [token] + [module.learn(find_token(each, wanted)) for each in (last, output) if wanted]
    lines = last_lines(output, LAST_LINES, *secrets)
    reason = ": ".join([str(fault)] + last_lines(last, 1, *secrets))
    shown = "\nIts journal:\n" + "\n".join("  " + line for line in lines) if lines else " Its journal is empty"
    return EdgeError(
        f"{reason} ({unit} is {in_words(fault.state)}).{shown}",
        unit_state={key: fault.state[key] for key in SHOWN if key in fault.state},
        journal=lines,
    )


def stored_token(module: EdgeModule) -> str:
    """Return the token that the node holds, an empty text where it holds none that can be read."""
    try:
        found = read(module.params["token_file"])
    except (OSError, SecureFileError):
        return ""
    return "" if found is None else read_as_asked(module, found.data).ascii


def check(module: EdgeModule) -> None:
    """Check the values of the options.

    :raises OptionError: one of them has an impossible value
    """
    _checks.plain_options(module.argument_spec, module.params)
    params = module.params
    _checks.seconds(params["timeout"], "timeout", 0, _checks.A_WEEK)
    if params["fingerprint"] is not None and not re.fullmatch("[0-9a-f]{12}", params["fingerprint"]):
        raise _checks.OptionError("fingerprint is not 12 hexadecimal digits: pass what bootstrap_token returned")


def apply_state(module: EdgeModule) -> Dict[str, Any]:
    """Wait for the registration, remove the token, and return the result."""
    check(module)
    params = module.params
    if module.check_mode:
        marker = find_marker(params)
        msg = "already registered" if marker else "would be waited for"
    else:
        # before the wait: the unit removes the token after the registration, and what it printed of it stays
        token = module.learn(stored_token(module))
        try:
            marker = wait(module)
        except WaitError as exc:
            raise explain(module, exc, token) from None
        msg = f"registered, and {params['unit']} runs"
    removed = None
    if marker is not None and params["remove_token_file"]:
        module.doing = "remove the token of this node, which is registered"
        removed = remove_token(module, params["token_file"])
    return {
        "changed": removed is not None,
        "registered": marker is not None,
        "marker": marker,
        "token_removed": removed is not None,
        "fingerprint": None if removed is None else removed.fingerprint,
        "msg": msg,
    }


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "bootstrap_unit": {"type": "str", "required": True},
            "unit": {"type": "str", "required": True},
            **ARGUMENT_SPEC,
            **RUN_OPTIONS,
            **FILE_OPTIONS,
            "timeout": {"type": "int", "default": 120},
            "token_file": {"type": "path", "required": True, "no_log": False},
            "fingerprint": {"type": "str"},
            "remove_token_file": {"type": "bool", "default": False, "no_log": False},
        },
        supports_check_mode=True,
    )
    module.execute(apply_state, "tell whether this node is registered")


if __name__ == "__main__":
    main()
