# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What systemd on a node is asked to tell and to do."""

import os
import shutil
import tempfile
from typing import Dict, List, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.expanso.edge.plugins.module_utils._secrets import last_lines
from ansible_collections.expanso.edge.plugins.module_utils._units import UnitError, complaints, parse_version
from ansible_collections.expanso.edge.plugins.module_utils._walk import naming


class VerifyError(UnitError):
    """Units that systemd does not understand."""


def systemd_version(module: AnsibleModule) -> int:
    """Return the version of systemd on the node.

    :raises UnitError: there is none
    """
    systemctl = module.get_bin_path("systemctl")
    if systemctl is None:
        raise UnitError("this node has no systemd: choose another delivery")
    _code, out, err = module.run_command([systemctl, "--version"])
    version = parse_version(out)
    if version is None:
        output = last_lines((err or out).encode("utf-8", "surrogateescape"), 1)
        raise UnitError(f"{systemctl} does not tell the version of systemd: {output[0] if output else 'it says nothing'}")
    return version


class Manager(NamedTuple):
    """What the service manager says: whether it runs, whether it works with older unit files than those on disk, and the state of each unit."""

    running: bool
    outdated: bool
    states: Dict[str, Dict[str, str]]


STATE = ("SubState", "UnitFileState", "NRestarts")
"""Properties of a unit that tell whether it is at work, enabled and well, see org.freedesktop.systemd1(5)."""


def ask_manager(module: AnsibleModule, names: List[str]) -> Manager:
    """Ask the service manager, one time for all units."""
    wanted = ",".join(("NeedDaemonReload",) + STATE)
    code, out, err = module.run_command([module.get_bin_path("systemctl", True), "show", f"--property={wanted}", "--"] + names)
    running = "NeedDaemonReload=" in out or not (code or "ignoring" in out + err)  # in a chroot it ignores what it is asked
    found = [dict(line.split("=", 1) for line in each.splitlines() if "=" in line) for each in out.split("\n\n")]
    outdated = any(each.get("NeedDaemonReload") == "yes" for each in found)
    states = {name: {key: each.get(key, "") for key in STATE} for name, each in zip(names, found)} if len(found) == len(names) else {}
    return Manager(running, outdated, states)


def verify(module: AnsibleModule, units: Dict[str, str]) -> None:
    """Let systemd check the units in a place where it would not use them.

    :raises VerifyError: it complains
    """
    scratch = tempfile.mkdtemp(prefix="units-", dir=module.tmpdir)
    try:
        paths = []
        for name, text in units.items():
            paths.append(os.path.join(scratch, name))
            with naming(paths[-1]), open(paths[-1], "w", encoding="utf-8") as handle:
                handle.write(text)
        _code, out, err = module.run_command([module.get_bin_path("systemd-analyze", True), "verify"] + paths)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    found = complaints(out + err, scratch, list(units))
    if found:
        raise VerifyError(f"systemd-analyze verify reports faults, and nothing was changed: {'; '.join(found)}", complaints=found)


def stop(module: AnsibleModule, name: str, running: bool) -> None:
    """Disable and stop a unit.

    :raises UnitError: it cannot be stopped
    """
    systemctl = module.get_bin_path("systemctl", True)
    module.run_command([systemctl, "disable", "--", name])  # a unit outside of systemd's own directories cannot be enabled
    code, _out, err = module.run_command([systemctl, "stop", "--", name]) if running else (0, "", "")
    if code and "not loaded" not in err:
        output = last_lines(err.encode("utf-8", "surrogateescape"), 1)
        raise UnitError(f"{name} cannot be stopped, so it is not removed: {output[0] if output else 'systemctl gives no reason'}")
