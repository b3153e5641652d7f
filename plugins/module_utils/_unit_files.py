# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Unit files on a node: what is there, what is to be there, and whether it may be changed."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import Attributes, leftovers, read, remove, write
from ansible_collections.expanso.edge.plugins.module_utils._units import MARKER, UnitError, is_ours, marked

UNIT_FILE = Attributes(0, 0, 0o644)

DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""Where systemd finds units; systemd.unit(5). A unit in one of them takes the place of that in another."""


class Change(NamedTuple):
    """A unit file before and after; None where there is none."""

    name: str
    path: str
    before: Optional[str]
    after: Optional[str]
    permissions_ok: bool  # whether owner and permissions were right before

    @property
    def needed(self) -> bool:
        return self.before != self.after or not self.permissions_ok


def before(params: Dict[str, Any], name: str, after: Optional[str]) -> Tuple[Optional[str], bool]:
    """Return what a unit file holds, None where there is none or none to remove, and whether owner and permissions are right.

    :raises UnitError: it is not managed by this collection
    """
    path = os.path.join(params["directory"], name)
    if os.path.islink(path) and os.path.realpath(path) == "/dev/null":
        if after is None:
            return None, True
        raise UnitError(f"the unit {name} is masked, so it cannot be started: run 'systemctl unmask {name}' to allow it")
    found = read(path)
    if found is None:
        if after is not None and not params["adopt"]:
            check_elsewhere(params["directory"], name)
        return None, True
    text = found.data.decode("utf-8", "replace")
    if not (params["adopt"] or is_ours(text) or (after is not None and after == marked(text))):
        raise UnitError(not_ours(path, "removed" if after is None else "replaced"))
    return text, after is None or found.attributes == UNIT_FILE


def check_elsewhere(own: str, name: str) -> None:
    """Check that no unit in another directory would be overridden that is not managed by this collection.

    :raises UnitError: one would
    """
    for directory in DIRECTORIES:
        path = os.path.join(directory, name)
        if os.path.realpath(directory) == os.path.realpath(own) or not os.path.isfile(path):
            continue
        with open(path, "rb") as handle:
            if not is_ours(handle.read(65536).decode("utf-8", "replace")):
                raise UnitError(not_ours(path, "overridden"))


def not_ours(path: str, what: str) -> str:
    """Return why a unit that is not managed by this collection is left alone.

    :param what: would have been done to it: removed, replaced or overridden
    """
    return (
        f"the unit {path} is not managed by this collection (it has no line '{MARKER}'), so it is not {what}: choose another name (systemd_service_name), "
        "or set adopt (systemd_service_adopt) to let this collection manage it"
    )


def changes(params: Dict[str, Any], units: Dict[str, str]) -> List[Change]:
    """Compare the unit files with those that are wanted. Changes nothing.

    :raises UnitError: one is not managed by this collection
    """
    result = []
    for name, after in list(units.items()) + [(name, None) for name in params["absent"]]:
        text, permissions_ok = before(params, name, after)
        result.append(Change(name, os.path.join(params["directory"], name), text, after, permissions_ok))
    return result


def carry_out(module: EdgeModule, change: Change) -> None:
    """Write or remove one unit file."""

    def label(temporary: str) -> None:
        module.set_context_if_different(temporary, module.selinux_default_context(change.path), False)

    if change.after is None:
        remove(change.path, lambda: module.did(f"{change.path} removed"))
    else:
        write(change.path, change.after.encode("utf-8"), UNIT_FILE, label, lambda: module.did(f"{change.path} written"))
        for each in leftovers(change.path):  # of runs that were killed
            remove(each)
