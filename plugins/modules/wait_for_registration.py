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
  - An agent runs once it has not ended for three seconds, or for fifteen where systemd had to start it again.
  - Gives up as soon as it is certain that this will not come about. The failure carries the state of the unit that is to blame and the last lines
    of its journal, with the token masked in every encoding that programs print.
  - Starts nothing. Lets go of the token, if asked to.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._registration
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
  remove_token_file:
    description: Remove O(token_file) once the node is registered, should it be there still.
    type: bool
    default: false
  format:
    description: What O(expanso.edge.bootstrap_token#module:format) was.
    type: str
    choices: [raw, env, encrypted]
    default: raw
  credential_name:
    description: What O(expanso.edge.bootstrap_token#module:credential_name) was.
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
    remove_token_file: true
    timeout: 60
"""

RETURN = r"""
registered:
  description: Whether the node is registered. V(false) in check mode where it is to be.
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
  description: What came about, in a sentence; after a failure with the unit's state and the last lines of its journal.
  type: str
  returned: always
unit_state:
  description: What C(systemctl show) says of the unit that is to blame.
  type: dict
  returned: failure
  sample: {"ActiveState": "failed", "ExecMainStatus": "11", "Result": "exit-code", "SubState": "failed"}
journal:
  description:
    - Last lines of that unit's journal since it was last started, with the token masked.
    - Without the program's own lines where nobody can tell the token.
  type: list
  elements: str
  returned: failure
"""

import os
import time
from typing import Any, Dict, Optional

from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._options import check_options
from ansible_collections.expanso.edge.plugins.module_utils._registration import ARGUMENT_SPEC, find_marker, markers
from ansible_collections.expanso.edge.plugins.module_utils._secrets import last_lines
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import SecureFileError, read, remove
from ansible_collections.expanso.edge.plugins.module_utils._token_file import ARGUMENT_SPEC as FILE_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._token_file import read_as_asked

POLL_SECONDS = 0.3
LONGEST = 7 * 24 * 3600
"""Seconds that may be asked for: more is a slip, and more than some calls of the system can take."""

SETTLED_SECONDS = 3.0
"""How long an agent has to run before it counts as running: one that dies of its configuration does so at once."""

SETTLED_AGAIN_SECONDS = 15.0
"""The same for one that systemd had to start again: it may die at every start."""

LAST_LINES = 12
SHOWN = ("ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus", "NRestarts", "LoadState", "AssertResult")

State = Dict[str, str]


class WaitError(EdgeError):
    """Why there is no running, registered agent, and which unit is to blame."""

    def __init__(self, msg: str, unit: str, state: State) -> None:
        super(WaitError, self).__init__(msg)
        self.unit = unit
        self.state = state


def show(module: EdgeModule, unit: str) -> State:
    """Return what systemd knows of a unit.

    :raises WaitError: it does not answer, or not as systemd does
    """
    properties = SHOWN + ("ActiveEnterTimestampMonotonic", "InvocationID")
    systemctl = module.get_bin_path("systemctl")
    if systemctl is None:
        raise WaitError("there is no systemctl on this node, so its units cannot be waited for", unit, {})
    code, out, err = module.run_command([systemctl, "show", "--property={0}".format(",".join(properties)), "--", unit])
    if code:
        said = last_lines(err.encode("utf-8", "replace"), 1)
        raise WaitError("systemctl cannot tell the state of {0}: {1}".format(unit, said[0] if said else "it said nothing"), unit, {})
    state = dict(line.partition("=")[::2] for line in out.splitlines() if "=" in line)
    if not state.get("ActiveState") or not state.get("SubState"):
        raise WaitError("systemctl show tells no state of {0}: is it systemd that answers?".format(unit), unit, state)
    return state


def number(state: State, name: str) -> int:
    """Return a number of a unit's state, 0 where there is none."""
    text = state.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def in_words(state: State) -> str:
    """Return what of a unit's state is worth a person's attention."""
    text = "{0}/{1}".format(state.get("ActiveState", "unknown"), state.get("SubState", "unknown"))
    if state.get("LoadState", "loaded") != "loaded":
        text += ", its unit file {0}".format(state["LoadState"])
    if state.get("Result", "success") != "success":
        text += ", result {0}".format(state["Result"])
    if state.get("ExecMainStatus", "0") != "0":
        text += ", exit status {0}".format(state["ExecMainStatus"])
    if state.get("NRestarts", "0") != "0":
        text += ", restarted {0} times".format(state["NRestarts"])
    return text


def not_registered(params: Dict[str, Any], state: State) -> Optional[str]:
    """Return why the node is not registered and will not be; None while that may still come."""
    if state["ActiveState"] in ("activating", "reloading", "deactivating"):
        return None
    if state["ActiveState"] == "failed":
        return "this node could not be registered"
    if state.get("AssertResult") == "no":
        return "this node could not be registered: {0} is not there".format(params["token_file"])
    return "{0} ran, but there is none of the registration markers {1}: is data_dir the one that the agent uses?".format(
        params["bootstrap_unit"], ", ".join(markers(params))
    )


def settled(state: State, now: float) -> bool:
    started = number(state, "ActiveEnterTimestampMonotonic") / 1e6
    needed = SETTLED_AGAIN_SECONDS if number(state, "NRestarts") else SETTLED_SECONDS
    return state["ActiveState"] == "active" and state["SubState"] == "running" and now - started >= needed


def wait(module: EdgeModule) -> str:
    """Return the marker of the node once the agent runs.

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
            reason = "this node is not {0} after {1} seconds".format("registered" if marker is None else "running its agent", params["timeout"])
            if number(state, "NRestarts"):
                reason += ": its agent ends again and again"
        # a marker that came in between makes the reason void
        if reason is not None and (marker is not None or find_marker(params) is None):
            raise WaitError(reason, unit, state)
        time.sleep(POLL_SECONDS)


def journal(module: EdgeModule, lines: int, *matches: str) -> bytes:
    """Return the last lines of the journal that match."""
    journalctl = module.get_bin_path("journalctl")
    if journalctl is None:
        return b""
    arguments = [journalctl, "--quiet", "--no-pager", "--output=cat", "--lines={0}".format(lines)]
    return module.run_command(arguments + list(matches))[1].encode("utf-8", "surrogateescape")


def explain(module: EdgeModule, fault: WaitError, token: str) -> EdgeError:
    """Return the fault with what the unit's journal says since it was last started, masked.

    Where nobody can tell which lines these are, or the token to mask in them, the service manager's own lines alone are shown.

    :param token: the one that the node held, an empty text where nobody knows it
    """
    unit, invocation = fault.unit, fault.state.get("InvocationID")
    if module.get_bin_path("journalctl"):
        module.run_command(["journalctl", "--sync"])
    said = b""
    which = ["_PID=1", "UNIT=" + unit]
    if number(fault.state, "NRestarts") and unit != module.params["bootstrap_unit"]:
        # the start that is at work has not said yet what the one before died of
        said = journal(module, 1, "_SYSTEMD_UNIT=" + unit)
        which = ["_SYSTEMD_UNIT=" + unit, "+"] + which
    elif invocation and (token or unit != module.params["bootstrap_unit"]):
        said = journal(module, 1, "_SYSTEMD_INVOCATION_ID=" + invocation)
        which = ["_SYSTEMD_INVOCATION_ID=" + invocation, "+", "INVOCATION_ID=" + invocation]
    lines = last_lines(journal(module, LAST_LINES, *which), LAST_LINES, token)
    reason = ": ".join([str(fault)] + last_lines(said, 1, token))
    return EdgeError(
        "{0} ({1} is {2}). Its journal:\n{3}".format(reason, unit, in_words(fault.state), "\n".join("  " + line for line in lines)),
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


def bring_about(module: EdgeModule) -> Dict[str, Any]:
    """Wait for the registration, let go of the token, and return the result."""
    check_options(module)
    params = module.params
    if not 0 <= params["timeout"] <= LONGEST:
        raise EdgeError("timeout is {0}, but has to be from 0 to {1} seconds".format(params["timeout"], LONGEST))
    if module.check_mode:
        marker = find_marker(params)
        msg = "registered already" if marker else "would be waited for"
    else:
        # before the wait: the unit removes the token once it is spent, and what it printed of it stays
        token = module.learn(stored_token(module))
        try:
            marker = wait(module)
        except WaitError as exc:
            raise explain(module, exc, token) from None
        msg = "registered, and {0} runs".format(params["unit"])
    token_removed = marker is not None and params["remove_token_file"] and os.path.lexists(params["token_file"])
    if token_removed and not module.check_mode:
        remove(params["token_file"])
    return {"changed": token_removed, "registered": marker is not None, "marker": marker, "token_removed": token_removed, "msg": msg}


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "bootstrap_unit": {"type": "str", "required": True},
            "unit": {"type": "str", "required": True},
            **ARGUMENT_SPEC,
            "timeout": {"type": "int", "default": 120},
            "token_file": {"type": "path", "required": True, "no_log": False},
            "remove_token_file": {"type": "bool", "default": False, "no_log": False},
            **FILE_OPTIONS,
        },
        supports_check_mode=True,
    )
    module.execute(bring_about, "tell whether this node is registered")


if __name__ == "__main__":
    main()
