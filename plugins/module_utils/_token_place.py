# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The files of a token on a node: the one that is managed and those of earlier deliveries, each in a directory that is held open."""

import contextlib
import os
import stat
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._directory import NEW_DIRECTORY_MODE, Directory
from ansible_collections.expanso.edge.plugins.module_utils._new_directories import NewDirectories
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import (
    Attributes,
    Done,
    SecretFile,
    SecureFileError,
    home,
    leftovers_in,
    read_in,
    write_in,
)
from ansible_collections.expanso.edge.plugins.module_utils._token_file import refuse_what_is_not_a_token


class Place(NamedTuple):
    """A file in a directory that is held, as it was found there, and what killed runs left beside it."""

    path: str
    directory: Directory
    name: str
    found: Optional[SecretFile]
    stale: List[str]


@contextlib.contextmanager
def holding(params: Dict[str, Any]) -> Iterator[Tuple[Place, List[Place]]]:
    """Hold the directory of the file and those of files from an earlier way of delivery, and look at what is there."""
    with contextlib.ExitStack() as stack:

        def look(path: str, lenient: bool) -> Place:
            directory, name = home(path, lenient)
            stack.enter_context(directory)
            return Place(path, directory, name, read_in(directory, name), leftovers_in(directory, name))

        place = look(params["path"], params["state"] == "absent")
        others = [look(each, True) for each in params["obsolete_paths"]]
        yield place, [each for each in others if not same(each, place)]


def same(one: Place, other: Place) -> bool:
    """Whether two paths lead to one file, even through a link above it."""
    return (one.name, one.directory.missing) == (other.name, other.directory.missing) and os.path.samestat(one.directory.status(), other.directory.status())


def judge_directory_mode(mode: int, directory: Directory) -> None:
    """Check that no directory is closed that programs of other accounts need, such as ``/etc`` or ``/tmp``, because of a path that is a mistake.

    :param mode: other permissions than it has, which it is to get
    :raises SecureFileError: it is such a directory
    """
    status = directory.status()
    if status.st_mode & stat.S_ISVTX or any(_is(status, path) for path in _checks.SYSTEM_DIRECTORIES):
        raise SecureFileError(f"other programs need the directory {directory.path}, so it does not get mode {mode:04o}: name a path in a directory of its own")


def _is(status: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(status, os.stat(path))
    except OSError:
        return False


def judge_directory(mode: Optional[int], directory: Directory, attributes: Attributes) -> None:
    """Check that nobody but the file's owner can replace what is in its directory.

    :param mode: the permissions that the directory is to have, None where they are to stay
    :raises SecureFileError: others may replace what is in it
    """
    unsafe = directory.other_writer(attributes.uid, attributes.gid, mode)
    if unsafe:
        remedy = "name a path in a directory that only root can write, or correct its owner and permissions (chown root, chmod go-w)"
        raise SecureFileError(f"{unsafe[1]} can write to the directory {unsafe[0]}, and so replace what is in it: {remedy}")


def obsolete_among(others: List[Place]) -> List[Place]:
    """Return the files of an earlier delivery that exist.

    :raises SecureFileError: one of them is certainly not a token
    """
    existing = []
    for each in others:
        if each.found is not None:
            refuse_what_is_not_a_token(each.path, each.found)
            existing.append(each)
    return existing


def write(module: AnsibleModule, place: Place, data: bytes, attributes: Attributes, directory_mode: Optional[int], done: Done) -> None:
    """Write the file, in the directory that was judged.

    :param done: called as soon as it is there
    """

    def label(new: str, final: str) -> None:
        """Give a new file or directory the security context that belongs to its final place."""
        module.set_context_if_different(new, module.selinux_default_context(final), False)

    with NewDirectories(place.directory) as new:
        new.make(NEW_DIRECTORY_MODE if directory_mode is None else directory_mode, label)
        try:
            write_in(new.directory, place.name, data, attributes, label, done)
        except (OSError, SecureFileError):
            new.undo()
            raise
