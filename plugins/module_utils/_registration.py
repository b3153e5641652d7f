# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Whether a node is registered: the files that the agent leaves when it is."""

import errno
import os
import stat
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._permissions import SecureFileError
from ansible_collections.expanso.edge.plugins.module_utils._walk import shown

Identity = Tuple[Tuple[str, int, int], ...]
"""The files of an identity that exist: path, number and time of writing in nanoseconds."""

MARKERS = ("auth/credentials.creds", "config.d/50-connection.yaml", "config.d/50-registration.yaml", "identity")
"""What versions of the agent are known to leave below their data directory."""

ARGUMENT_SPEC: Dict[str, Any] = {
    "data_dir": {"type": "path", "default": "/var/lib/expanso/edge"},
    "registration_markers": {"type": "list", "elements": "path"},
}
"""The options that the documentation fragment ``_registration`` describes."""


def markers(params: Dict[str, Any]) -> List[str]:
    """Return the registration markers that a module's options ask for.

    :raises OptionError: one is not an absolute path, so it would depend on where the module is run, or cannot be a file; or the data directory is shared
    """
    data_dir = os.path.normpath(params["data_dir"])
    if "/" + data_dir.lstrip("/") in _checks.SYSTEM_DIRECTORIES:
        raise _checks.OptionError(f"option data_dir: {data_dir} belongs to the system: name a directory that is the agent's own, such as /var/lib/expanso/edge")
    wanted = params["registration_markers"]
    if wanted is None:
        wanted = [os.path.join(params["data_dir"], marker) for marker in MARKERS]
    for each in wanted:
        if not os.path.isabs(each):
            remedy = "correct option data_dir or option registration_markers"
            raise _checks.OptionError(f"the registration marker {_checks.short(each)} is not an absolute path: {remedy}")
        _checks.path(each, "registration_markers" if params["registration_markers"] else "data_dir")
    return wanted


def find_marker(params: Dict[str, Any]) -> Optional[str]:
    """Return the first registration marker that exists, None on a node that is not registered.

    A marker is a regular file, or a link to one. Of the markers that agents are known to leave, something else does not count; a marker that
    was named may not be something else.

    :raises OptionError: one is not an absolute path
    :raises SecureFileError: one was named and is not a regular file
    :raises OSError: it is unknown, because a directory above a marker cannot be searched, or is a link that leads nowhere
    """
    for marker in markers(params):
        try:
            status = os.stat(marker)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTDIR):
                _refuse_broken_link(marker)
                continue
            raise
        if stat.S_ISREG(status.st_mode):
            return marker
        if params["registration_markers"]:
            raise SecureFileError(f"the registration marker {shown(marker)} is not a regular file: correct option registration_markers")
    return None


def _refuse_broken_link(marker: str) -> None:
    """Raise where a directory above is a link that leads nowhere: its disk may be missing, and the marker be on it."""
    directory = os.path.dirname(marker)
    while directory != os.path.dirname(directory):
        if os.path.islink(directory) and not os.path.exists(directory):
            raise OSError(errno.ENOLINK, "it is a symbolic link that leads nowhere: mount or create what it leads to first, or remove it", shown(directory))
        directory = os.path.dirname(directory)


def identity(params: Dict[str, Any]) -> Identity:
    """Return what tells one identity from another: which files of it there are, and when each was written.

    :raises OSError: it is unknown, see :func:`find_marker`
    """
    found = []
    for each in markers(params):
        try:
            status = os.stat(each)
        except (FileNotFoundError, NotADirectoryError):
            continue
        found.append((each, status.st_ino, status.st_mtime_ns))
    return tuple(found)


def new_marker(params: Dict[str, Any], before: Identity) -> Optional[str]:
    """Return the marker of a node that was registered anew, None as long as it is the one from before."""
    marker = find_marker(params)
    return None if any(each[0] == marker and each in before for each in identity(params)) else marker


def what_is_left(params: Dict[str, Any], before: Identity) -> str:
    """Return what became of a former identity, where the agent failed to replace it."""
    now = identity(params)
    paths = [each[0] for each in now]
    gone = [path for path, _number, _time in before if path not in paths]
    changed = [each[0] for each in before if each[0] in paths and each not in now]
    if gone:
        return f"of the former identity these files are gone: {', '.join(gone)}; this node may have to be registered from the beginning"
    if changed:
        return f"the files of the former identity are still there, but the agent has changed {', '.join(changed)}"
    return f"the files of the former identity are still there, unchanged ({', '.join(path for path, _number, _time in before)})"
