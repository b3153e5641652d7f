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
    One complaint about any of them, and nothing is changed.
  - A unit that loads a credential is refused where systemd is too old for it, because systemd would start the service without its secret.
    A sandboxing switch that systemd is too old for is left in the file as a comment, and reported.
  - Does not talk to the service manager. Reload, enable and start with M(ansible.builtin.systemd_service).
extends_documentation_fragment:
  - expanso.edge.attributes
attributes:
  check_mode:
    support: full
    details:
      - On a host where O(executables), O(files) or O(user) are still missing that is a warning, because something before may be about to bring them.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  units:
    description: Unit files, name to content. Not secret, the content is shown.
    type: dict
    default: {}
  absent:
    description: Names of units that must not be there. Drop-ins stay.
    type: list
    elements: str
    default: []
  directory:
    description: Where the unit files lie.
    type: path
    default: /etc/systemd/system
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
notes:
  - To look at O(executables) and O(files) as another account than its own it needs C(setpriv) of util-linux on the node.
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
  description: Whether all of O(units) lay there before.
  type: bool
  returned: success
reload_needed:
  description: Whether the service manager has to be told, because of a change now or of an earlier one that it was never told of.
  type: bool
  returned: success
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
  description: What was done, in a sentence.
  type: str
  returned: always
complaints:
  description: What C(systemd-analyze verify) says.
  type: list
  elements: str
  returned: when a unit is refused
"""

import os
import shutil
import tempfile
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils._account import find_account
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import Attributes, SecureFileError, read, remove, write
from ansible_collections.expanso.edge.plugins.module_utils._units import UnitError, complaints, fit, parse_version

UNIT_FILE = Attributes(0, 0, 0o644)


class VerifyError(UnitError):
    """Units that systemd does not understand."""


class Change(NamedTuple):
    """A unit file before and after; None where there is none."""

    name: str
    path: str
    before: Optional[str]
    after: Optional[str]
    sound: bool  # whether owner and permissions were right before

    @property
    def needed(self) -> bool:
        return self.before != self.after or not self.sound


def systemd_version(module: EdgeModule) -> int:
    systemctl = module.get_bin_path("systemctl")
    version = parse_version(module.run_command([systemctl, "--version"])[1]) if systemctl else None
    if version is None:
        raise UnitError("this node has no systemd: choose another delivery")
    return version


def reload_pending(module: EdgeModule, names: List[str]) -> bool:
    """Whether the service manager works with older unit files than those on disk. Without one running, it does not."""
    out = module.run_command([module.get_bin_path("systemctl", True), "show", "--property=NeedDaemonReload", "--"] + names)[1]
    return "NeedDaemonReload=yes" in out.split()


def verify(module: EdgeModule, units: Dict[str, str]) -> None:
    """Have systemd judge the units, before they are anywhere where it would use them.

    :raises VerifyError: it complains
    """
    scratch = tempfile.mkdtemp(prefix="units-", dir=module.tmpdir)
    try:
        paths = []
        for name, text in units.items():
            paths.append(os.path.join(scratch, name))
            with open(paths[-1], "w", encoding="utf-8") as handle:
                handle.write(text)
        _code, out, err = module.run_command([module.get_bin_path("systemd-analyze", True), "verify"] + paths)
    finally:
        shutil.rmtree(scratch)
    found = complaints(out + err, scratch, list(units))
    if found:
        raise VerifyError("systemd-analyze verify complains, and nothing was changed: {0}".format("; ".join(found)), complaints=found)


def missing(module: EdgeModule) -> List[str]:
    """Return, a sentence each, what the units need and would not find."""
    params = module.params
    wanted = [("-x", "executable", path) for path in params["executables"]] + [("-r", "readable", path) for path in params["files"]]
    if not wanted:
        return []
    try:
        user = find_account(params["user"])
    except SecureFileError as exc:
        return [str(exc)]
    found = []
    for test, quality, path in wanted:
        if not os.path.exists(path):
            found.append("{0} is missing: install it first, or name another path".format(path))
        elif not os.path.isfile(path):
            found.append("{0} is not a regular file: name another path".format(path))
        elif module.run_command(user.prefix() + ["test", test, path])[0]:
            found.append("{0} is not {1} for {2}: correct its permissions or those of the directories above it".format(path, quality, user.name))
    return found


def changes(params: Dict[str, Any], units: Dict[str, str]) -> List[Change]:
    """Compare what is there with what shall be. Changes nothing."""
    result = []
    for name, after in list(units.items()) + [(name, None) for name in params["absent"]]:
        if "/" in name or "." not in name.strip("."):
            raise UnitError("{0!r} is no name of a unit, such as expanso-edge.service".format(name))
        path = os.path.join(params["directory"], name)
        found = read(path)
        before = found.data.decode("utf-8", "replace") if found else None
        sound = found is None or after is None or found.attributes == UNIT_FILE
        result.append(Change(name, path, before, after, sound))
    return result


def carry_out(module: EdgeModule, change: Change) -> None:
    def label(temporary: str) -> None:
        module.set_context_if_different(temporary, module.selinux_default_context(change.path), False)

    if change.after is None:
        remove(change.path)
    else:
        write(change.path, change.after.encode("utf-8"), UNIT_FILE, label)


def bring_about(module: EdgeModule) -> Dict[str, Any]:
    """Bring the unit files to their state and return the result. The same before and after serve check mode, diff and the real run."""
    params = module.params
    version = systemd_version(module)
    fitted = {name: fit(name, text, version) for name, text in params["units"].items()}
    units = {name: unit.text for name, unit in fitted.items()}
    lacking = missing(module)
    if lacking and not module.check_mode:
        raise UnitError("; ".join(lacking))
    for each in lacking:
        module.warn(each)

    compared = changes(params, units)
    needed = [change for change in compared if change.needed]
    if any(change.after is not None for change in needed):
        verify(module, units)
    reload_needed = bool(needed) or (bool(units) and reload_pending(module, list(units)))
    if not module.check_mode:
        for change in needed:
            carry_out(module, change)
    return {
        "changed": bool(needed),
        "changed_units": [change.name for change in needed],
        "installed": all(change.before is not None for change in compared if change.after is not None),
        "reload_needed": reload_needed,
        "systemd_version": version,
        "left_out": {name: unit.left_out for name, unit in fitted.items() if unit.left_out},
        "msg": "units changed: {0}".format(", ".join(change.name for change in needed)) if needed else "the units are as asked for",
        "diff": [
            {"before": change.before or "", "after": change.after or "", "before_header": change.path, "after_header": change.path} for change in needed
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
        },
        supports_check_mode=True,
    )
    module.execute(bring_about, "manage units")


if __name__ == "__main__":
    main()
