# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The enrolment record in an agent's data directory.

That directory often belongs to the agent's own account, and this is no reason to refuse it: it is held open, no link in it is followed,
and nothing in the record is secret. A fault of the record is a warning, because the token matters more.
"""

import os
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._account import find_account, group_id
from ansible_collections.expanso.edge.plugins.module_utils._directory import Directory
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._new_directories import NewDirectories
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_NAME, Entry, RecordError, parse, render, with_entry
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import (
    Attributes,
    SecureFileError,
    leftovers_in,
    not_short_text,
    read_in,
    write_in,
)

ARGUMENT_SPEC: Dict[str, Any] = {
    "record": {"type": "bool", "default": True},
}
"""The option that the documentation fragment ``_record.file`` describes."""

DATA_DIR_MODE = 0o700
FILE_MODE = 0o600
DAMAGED_NAME = f"{RECORD_NAME}.damaged"

Owner = Callable[[], Tuple[int, int]]
"""Returns user and group of a data directory that has to be made."""


class Kept(NamedTuple):
    """What became of a record: its last entry before and after, and whether something was written, or would be in check mode."""

    changed: bool = False
    before: Optional[Entry] = None
    after: Optional[Entry] = None


def data_dir_owner(params: Dict[str, Any], attributes: Attributes) -> Tuple[int, int]:
    """Return user and group of a data directory that has to be made.

    :param attributes: of the token file, which the agent reads
    :raises AccountError: there is no account or group of that name
    """
    user, group = params["data_dir_owner"], params["data_dir_group"]
    if user is None:
        return attributes.uid, attributes.gid if group is None else group_id(group)
    account = find_account(user, group)
    return account.uid, account.gid


def keep(module: AnsibleModule, entry: Optional[Entry], owner: Owner, locked: bool = False) -> Kept:
    """Add an entry to the node's record, unless its last one is of the same token.

    :param entry: None where the record is only to be read
    :param locked: whether the caller has the data directory locked
    """
    params = module.params
    if not params["record"]:
        return Kept()
    place, fault = "", ""
    try:
        data_dir = _checks.path(params["data_dir"], "data_dir")
        place = os.path.join(data_dir, RECORD_NAME)
        with Directory.hold(data_dir) as directory:
            directory.locked = locked
            return _keep_in(module, directory, entry, owner)
    except EdgeError as exc:
        fault = str(exc)
    except OSError as exc:
        fault = f"{exc.filename or place}: {exc.strerror or type(exc).__name__}"
    if entry is not None:
        was_not, was = ("would not be", "would be") if module.check_mode else ("was not", "was")
        module.warn(f"the enrolment record {place} {was_not} written: {fault}; the token {was} delivered nevertheless")
    return Kept()


def _keep_in(module: AnsibleModule, directory: Directory, entry: Optional[Entry], owner: Owner) -> Kept:
    entries = [] if directory.missing else _read(module, directory, entry is not None)
    before = entries[-1] if entries else None
    if entry is None:
        return Kept(False, before, before)
    wanted = with_entry(entries, entry, time.time())
    if wanted == entries:
        return Kept(False, before, before)
    # to predict what writing would tell: root may write where the mode forbids it, but not on a file system that is read-only
    if module.check_mode and not os.access(directory.reach("."), os.W_OK):
        raise SecureFileError(f"{directory.path} is not writable for this account, or lies on a read-only file system")
    if not module.check_mode:
        _write(module, directory, render(wanted).encode("utf-8"), owner)
    return Kept(True, before, entry)


def _read(module: AnsibleModule, directory: Directory, may_move: bool) -> List[Entry]:
    """Return the entries. A damaged record is moved aside where another takes its place.

    :raises SecureFileError: it is not a regular file, or an earlier damaged one is still there
    """
    found = read_in(directory, RECORD_NAME)
    if found is None:
        return []
    fault = not_short_text(found.data)
    try:
        if fault is None:
            return parse(found.data.decode("utf-8"))
    except RecordError as exc:
        fault = str(exc)
    place = os.path.join(directory.path, RECORD_NAME)
    if not may_move:
        module.warn(f"the enrolment record {place} is damaged: {fault}")
        return []
    if directory.stat(DAMAGED_NAME) is not None:
        raise SecureFileError(f"it is damaged ({fault}), and so was an earlier one: look at {place} and {DAMAGED_NAME} beside it, and remove one of them")
    done = "would be kept" if module.check_mode else "was kept"
    if not module.check_mode:
        directory.rename(RECORD_NAME, DAMAGED_NAME)
    module.warn(f"the enrolment record {place} is damaged: {fault}; it {done} as {DAMAGED_NAME}, and a new one begun")
    return []


def _write(module: AnsibleModule, directory: Directory, data: bytes, owner: Owner) -> None:
    def label(new: str, final: str) -> None:
        """Give a new directory its security context; the file has that of its directory."""
        module.set_context_if_different(new, module.selinux_default_context(final), False)

    with NewDirectories(directory) as new:
        if directory.missing:
            new.make(DATA_DIR_MODE, label, owner())
        status = new.directory.status()
        done: List[str] = []
        try:
            attributes = Attributes(status.st_uid, status.st_gid, FILE_MODE)
            write_in(new.directory, RECORD_NAME, data, attributes, lambda _new, _final: None, lambda: done.append(RECORD_NAME))
            for each in leftovers_in(new.directory, RECORD_NAME):  # of runs that were killed
                new.directory.unlink(each)
        except (OSError, SecureFileError) as exc:
            new.undo()
            if not done or not isinstance(exc, OSError):
                raise
            place = os.path.join(new.directory.path, RECORD_NAME)
            module.warn(f"the enrolment record {place} was written, but afterwards there was a fault: {exc.filename}: {exc.strerror}")
