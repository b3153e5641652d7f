# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
"""The node around the tokens: whether and since when it is registered, which tokens it was given, and the state of its units."""

import os
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Finding, Policy
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_NAME, Entry, RecordError, parse, seconds_of, utc
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import read

_HOUR = 3600
_SHOWN = ("Type", "LoadState", "ActiveState", "SubState", "UnitFileState")
_UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*")


class Unit(NamedTuple):
    """What systemd says of a unit."""

    name: str
    type: str
    load_state: str
    active_state: str
    sub_state: str
    enabled: Optional[bool]  # None where there is no such unit

    @property
    def shown(self) -> Dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if name != "type"}


def registered_at(marker: Optional[str]) -> Optional[str]:
    """Return when a marker was written, in ISO 8601 and UTC."""
    try:
        return None if marker is None else utc(os.stat(marker).st_mtime)
    except OSError:
        return None


def clock() -> str:
    """Return the time that this node's clock shows, in ISO 8601 and UTC."""
    now = time.time()
    return f"{utc(now)[:-1]}.{int(now % 1 * 1e6):06}Z"


def read_record(data_dir: str) -> Tuple[Optional[List[Entry]], List[Finding]]:
    """Return the enrolment record, None where there is none, and what is wrong with it."""
    path = os.path.join(data_dir, RECORD_NAME)
    try:
        found = read(path)
        return (None, []) if found is None else (parse(found.data.decode("utf-8", "replace")), [])
    except RecordError as exc:
        message = f"the enrolment record {path} is damaged: {exc}"
        remedy = "look into it, and remove it; the next run that writes a token here moves it aside, and begins a new one"
        return None, [Finding("record_damaged", "warning", message, remedy, path)]
    except OSError as exc:
        if isinstance(exc, NotADirectoryError):
            return None, []
        reason, remedy = exc.strerror, "correct that, and run this again" if os.geteuid() == 0 else "run this as root (become: true)"
    except EdgeError as exc:  # a link, or no file
        reason, remedy = str(exc), "put the file itself there, or remove what is there"
    message = f"the enrolment record {path} cannot be read, so it is unknown which tokens this node was given: {reason}"
    return None, [Finding("record_not_readable", "warning", message, remedy, path)]


def label_of(record: Optional[List[Entry]], fingerprint: Optional[str]) -> Optional[str]:
    """Return the label that a token had when it was written here last."""
    return next((each.label for each in reversed(record or []) if each.fingerprint == fingerprint), None)


def overdue(
    policy: Policy, hours: Optional[int], record: Optional[List[Entry]], place: str, fingerprint: Optional[str], modified: Optional[float]
) -> List[Finding]:
    """Return whether a token was placed too long ago on a node that is still not registered.

    :param hours: how many are too long, None for any number
    :param modified: when its file was written, in case that the record does not know
    """
    written = next((seconds_of(each.written_at) for each in reversed(record or []) if each.fingerprint == fingerprint), modified)
    if hours is None or policy.registered is not False or written is None or policy.now - written <= hours * _HOUR:
        return []
    message = f"{place} got its token at {utc(written)}, more than {hours} hours ago, and this node is still not registered"
    remedy = "look at the agent's log (journalctl -u expanso-edge); if the token was revoked, expired or used elsewhere, provision the node with a new one"
    return [Finding("not_registered_in_time", "warning", message, remedy, place, fingerprint)]


def unit_names(names: List[str]) -> List[str]:
    """Return names of units as systemd knows them.

    :raises OptionError: one is not the name of a unit
    """
    for name in names:
        if not _UNIT.fullmatch(name):
            raise _checks.OptionError(f"option units: {_checks.short(name)} is not the name of a unit: give it without patterns, slashes and blanks")
    return names


def ask_units(module: AnsibleModule, names: List[str]) -> Tuple[List[Unit], List[Finding]]:
    """Return the state of units, in one command for all; none where no unit is asked for."""
    if not names:
        return [], []
    systemctl = module.get_bin_path("systemctl")
    code, out, _err = (127, "", "") if systemctl is None else module.run_command([systemctl, "show", f"--property={','.join(_SHOWN)}", "--", *names])
    units = parse_units(names, out)
    if code or len(units) != len(names):
        message = f"systemd does not tell the state of {', '.join(names)}"
        return [], [Finding("units_unknown", "info", message, "nothing to do where systemd does not run, such as in an image that is being built", "units")]
    return units, []


def parse_units(names: List[str], output: str) -> List[Unit]:
    """Return what ``systemctl show`` prints of units: one block for each name, in their order."""
    found = []
    for name, block in zip(names, output.strip("\n").split("\n\n")):
        values = dict(line.partition("=")[::2] for line in block.split("\n"))
        if not values.get("ActiveState"):
            break
        enabled = values.get("UnitFileState", "").startswith("enabled") if values.get("UnitFileState") else None
        found.append(Unit(name, values.get("Type", ""), values.get("LoadState", ""), values["ActiveState"], values.get("SubState", ""), enabled))
    return found


def findings_of_units(units: List[Unit], registered: Optional[bool]) -> List[Finding]:
    """Return what is wrong with units. One that only runs once is not an agent, and where an agent is installed, no other unit has to be."""
    findings = []
    installed = [unit for unit in units if unit.load_state != "not-found"]
    for unit in installed if any(unit.type != "oneshot" for unit in installed) else units:
        state = f"{unit.active_state}/{unit.sub_state}"
        look = f"look at 'systemctl status {unit.name}' and 'journalctl -u {unit.name}'"
        if unit.type == "oneshot":
            if unit.active_state == "failed":
                message = f"{unit.name}, which runs once, failed"
                findings.append(Finding("bootstrap_failed", "warning", message, look + ", correct that, and provision the node again", unit.name))
        elif unit.active_state == "failed" or unit.sub_state == "auto-restart":
            message = f"the agent fails: {unit.name} is {state}"
            findings.append(Finding("agent_not_running", "warning", message, look, unit.name))
        elif registered and unit.active_state in ("inactive", "deactivating"):
            message = f"this node is registered, but its agent does not run: {unit.name} is {'not installed' if unit.load_state == 'not-found' else state}"
            findings.append(Finding("agent_not_running", "warning", message, f"start it, or {look}", unit.name))
    return findings
