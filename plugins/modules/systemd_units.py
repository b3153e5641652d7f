#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: systemd_units
short_description: Install a set of systemd units that belong together
version_added: 1.0.0
description:
  - Writes unit files, or removes them, in one remote command.
  - The whole set is verified with C(systemd-analyze verify) in a directory of its own before any unit in use is replaced.
    If any of them has a fault, nothing is changed.
  - A unit that loads a credential is refused where systemd is too old for it, because systemd would start the service without its secret.
    A sandboxing switch that systemd is too old for is left in the file as a comment, and reported.
  - Does not touch units that are not managed by this collection. Its units have the line C(# Managed by expanso.edge.), which this module writes, or
    that of the role P(expanso.edge.systemd_service#role).
  - Stops the units that it removes. Use M(ansible.builtin.systemd_service) to reload, enable and start units.
extends_documentation_fragment:
  - expanso.edge._attributes
attributes:
  check_mode:
    details:
      - Where O(executables), O(files) or O(user) are still missing, that is only a warning, because an earlier task may create them.
  idempotent:
    support: full
options:
  units:
    description: Unit files, name to content. Not secret, the content is shown.
    type: dict
    default: {}
  absent:
    description: Names of units to remove. A unit of this collection is disabled and stopped before it is removed. Drop-ins stay.
    type: list
    elements: str
    default: []
  directory:
    description: Directory of the unit files. Refused if others may write it, or a directory above it.
    type: path
    default: /etc/systemd/system
  adopt:
    description: Replace, and with O(absent) remove, a unit that is not managed by this collection, such as one that was made by hand. Otherwise it is refused.
    type: bool
    default: false
    version_added: 1.1.0
  executables:
    description: Programs that the units need. One that O(user) cannot execute is an error, and nothing is changed.
    type: list
    elements: path
    default: []
  files:
    description: Files that the units need. One that O(user) cannot read is an error, and nothing is changed.
    type: list
    elements: path
    default: []
  user:
    description: Account that the units run as, by name or number.
    type: str
    default: root
  group:
    description: Group that the units run as, by name or number. By default the primary group of O(user).
    type: str
    version_added: 1.1.0
  data_dir:
    description:
      - Data directory of the agent. It may be missing. Refused if it is a symbolic link, which C(StateDirectory=) does not follow, or if others may
        replace it.
    type: path
    version_added: 1.1.0
  running:
    description: Whether systemd has to run on the node. Without it, as while an image is built, units can be written and enabled, but not started.
    type: bool
    default: false
    version_added: 1.1.0
seealso:
  - module: ansible.builtin.systemd_service
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Install the units of the agent
  expanso.edge.systemd_units:
    units:
      expanso-edge-bootstrap.service: "{{ lookup('ansible.builtin.template', 'bootstrap.service.j2') }}"
      expanso-edge.service: "{{ lookup('ansible.builtin.template', 'agent.service.j2') }}"
    executables: [/usr/local/bin/expanso-edge]
  register: units

- name: Start the agent
  ansible.builtin.systemd_service:
    name: expanso-edge.service
    daemon_reload: "{{ units.reload_needed }}"
    enabled: true
    state: started
"""

RETURN = r"""
changed_units:
  description: Names of the units that were written or removed, or would be in check mode.
  type: list
  elements: str
  returned: success
installed:
  description: Whether all of O(units) existed before.
  type: bool
  returned: success
reload_needed:
  description: Whether the service manager has to reload its units, because of a change now or an earlier one.
  type: bool
  returned: success
running:
  description: Whether systemd runs on the node.
  type: bool
  returned: success
states:
  description:
    - C(SubState), C(UnitFileState) and C(NRestarts) of each unit before anything was done, as C(systemctl show) tells them. A unit that systemd does not
      know has empty values. An empty dictionary where systemd does not run.
  type: dict
  returned: success
  version_added: 1.1.0
  sample: {"expanso-edge.service": {"SubState": "running", "UnitFileState": "enabled", "NRestarts": "0"}}
systemd_version:
  description: Version of systemd on the node.
  type: int
  returned: success
  sample: 257
left_out:
  description: Settings that this version of systemd does not know, a list for each unit that has some.
  type: dict
  returned: success
  sample: {"expanso-edge.service": ["ProtectProc"]}
msg:
  description: Human-readable summary of the result.
  type: str
  returned: always
complaints:
  description: Output of C(systemd-analyze verify).
  type: list
  elements: str
  returned: when a unit is refused
"""

import grp
import os
import pwd
import stat
from typing import Any, Dict, List, Optional

from ansible_collections.expanso.edge.plugins.module_utils._archive import compile_once

compile_once()  # before the other imports, which it makes cheaper

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._account import Account, AccountError, find_account
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._process import may_access
from ansible_collections.expanso.edge.plugins.module_utils._program import unfit
from ansible_collections.expanso.edge.plugins.module_utils._secrets import mask
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import unsafe_directory
from ansible_collections.expanso.edge.plugins.module_utils._systemctl import ask_manager, stop, systemd_version, verify
from ansible_collections.expanso.edge.plugins.module_utils._unit_files import carry_out, changes
from ansible_collections.expanso.edge.plugins.module_utils._units import UnitError, adapt_to_version, check_name, check_units, marked


def missing(module: EdgeModule) -> List[str]:
    """Return what the units need and would not find, one sentence each."""
    params = module.params
    wanted = [(os.X_OK, "executable", path) for path in params["executables"]] + [(os.R_OK, "readable", path) for path in params["files"]]
    if not wanted:
        return []
    try:
        user = known_account(params["user"], params["group"])
    except AccountError as exc:
        return [str(exc)]
    found = []
    for test, quality, path in wanted:
        try:
            is_file = stat.S_ISREG(os.stat(path).st_mode)
            fault = unfit(path) if is_file and test == os.X_OK else None
        except (FileNotFoundError, NotADirectoryError):
            found.append(f"{path} is missing: install it first, or set another path (systemd_service_binary, systemd_service_config_file)")
            continue
        except OSError as exc:
            found.append(f"{path} cannot be looked at: {exc.strerror}")
            continue
        if not is_file:
            found.append(f"{path} is not a regular file: set another path (systemd_service_binary, systemd_service_config_file)")
        elif not may_access(user, path, test):
            found.append(f"{path} is not {quality} for {user.name}: correct its permissions or those of the directories above it")
        elif fault:
            found.append(f"{path} {fault}: install the one for this machine")
    return found


def known_account(user: str, group: Optional[str]) -> Account:
    """Return the account that the units run as. systemd starts nothing as a number that has no name.

    :raises AccountError: there is none
    """
    account = find_account(user, group, ("user", "group"))
    try:
        pwd.getpwuid(account.uid)
    except KeyError:
        raise AccountError(f"option user: there is no account with the number {account.uid} on this node: create it first, or name another account") from None
    try:
        grp.getgrgid(account.gid)
    except KeyError:
        raise AccountError(f"option group: there is no group with the number {account.gid} on this node: create it first, or name another group") from None
    return account


def check(params: Dict[str, Any]) -> None:
    """Look at the options before anything is done.

    :raises UnitError: one has an impossible value, or is dangerous
    """
    check_units(params["units"])
    for name in params["absent"]:
        check_name(name)
        if name in params["units"]:
            raise UnitError(f"{name} cannot be in units and in absent")
    params["directory"] = directory = os.path.normpath(params["directory"])
    data_dir = params["data_dir"] and os.path.normpath(params["data_dir"])
    unsafe = unsafe_directory(os.path.join(directory, "unit"), 0, 0)
    if unsafe:
        remedy = "correct its owner and permissions (chown root, chmod go-w), or set option directory"
        raise UnitError(f"{unsafe[1]} can write to the directory {unsafe[0]}, and so decides what the units are: {remedy}")
    if data_dir is not None:
        check_data_dir(data_dir, params["user"])


def check_data_dir(path: str, user: str) -> None:
    """Look at the data directory.

    :raises UnitError: systemd could not use it, or others may exchange it
    """
    if os.path.islink(path):
        target = os.readlink(path)
        raise UnitError(f"the data directory {path} is a symbolic link, to {target}: set the directory itself (systemd_service_data_dir)")
    try:
        account = find_account(user)
    except AccountError:  # an earlier task may create it
        return
    unsafe = unsafe_directory(path, account.uid, account.gid)
    if unsafe:
        remedy = "correct its owner and permissions (chown, chmod go-w), or set option data_dir"
        raise UnitError(f"{unsafe[1]} can write to the directory {unsafe[0]}, and so decides what the data directory is: {remedy}")


def apply_state(module: EdgeModule) -> Dict[str, Any]:
    """Bring the unit files to their state and return the result. The same before and after serve check mode, diff and the real run."""
    params = module.params
    _checks.plain_options(module.argument_spec, module.params)
    check(params)
    version = systemd_version(module)
    adapted = {name: adapt_to_version(name, text, version) for name, text in params["units"].items()}
    units = {name: marked(unit.text) for name, unit in adapted.items()}
    compared = changes(params, units)
    manager = ask_manager(module, list(units) + params["absent"])
    if params["running"] and not manager.running:
        raise UnitError(
            "systemd does not run on this node, so nothing can be started: while an image is built, set systemd_service_state to stopped "
            "(SYSTEMD_OFFLINE=1 tells other roles the same)"
        )
    unmet = missing(module)
    if unmet and not module.check_mode:
        raise UnitError("; ".join(unmet))
    for each in unmet:
        module.warn(each)

    needed = [change for change in compared if change.needed]
    if any(change.after is not None for change in needed):
        verify(module, units)
    if not module.check_mode:
        for change in needed:
            if change.after is None:
                stop(module, change.name, manager.running)
                if manager.running:
                    module.did(f"{change.name} stopped")
        for change in needed:
            carry_out(module, change)
    return {
        "changed": bool(needed),
        "changed_units": [change.name for change in needed],
        "installed": all(change.before is not None for change in compared if change.after is not None),
        "reload_needed": manager.running and bool(needed or (units and manager.outdated)),
        "running": manager.running,
        "states": manager.states,
        "systemd_version": version,
        "left_out": {name: unit.left_out for name, unit in adapted.items() if unit.left_out},
        "msg": f"units changed: {', '.join(change.name for change in needed)}" if needed else "the units are as asked for",
        "diff": [
            # a unit written by hand may contain the token
            {"before": mask(change.before or ""), "after": mask(change.after or ""), "before_header": change.path, "after_header": change.path}
            for change in needed
        ],
    }


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "units": {"type": "dict", "default": {}},
            "absent": {"type": "list", "elements": "str", "default": []},
            "directory": {"type": "path", "default": "/etc/systemd/system"},
            "executables": {"type": "list", "elements": "path", "default": []},
            "files": {"type": "list", "elements": "path", "default": []},
            "user": {"type": "str", "default": "root"},
            "group": {"type": "str"},
            "adopt": {"type": "bool", "default": False},
            "data_dir": {"type": "path"},
            "running": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    module.execute(apply_state, "manage units")


if __name__ == "__main__":
    main()
