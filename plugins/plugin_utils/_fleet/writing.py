# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Writes files on the controller, such as those of a report: all of them or none, each whole, and to no other place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils import _files
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError


class File(NamedTuple):
    """A file with its permissions."""

    path: str
    content: bytes
    mode: int
    sign: bytes = b""  # what a file contains that it may replace, empty for any
    what: str = "report"  # word for it in messages


def check(path: str, sign: bytes = b"", what: str = "report") -> None:
    """Check, before any node is asked, that a file can be written to a path. Creates nothing.

    :param sign: what a file contains that it may replace, empty for any
    :param what: word for it in messages
    :raises DataError: it cannot
    """
    try:
        _files.refuse_to_replace(path, sign)
    except OSError as exc:
        raise _fault(what, path, exc.strerror) from None
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise _fault(what, path, f"{folder} is not a directory")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _fault(what, path, f"this account may not write to the directory {folder}, or it is read-only")


def write(files: Iterable[File]) -> None:
    """Write files. Whatever fails, such as a full disk, every path has its old file or its new one. A link is replaced, not followed.

    :raises DataError: a file cannot be written
    """
    staged: list[tuple[str, File]] = []
    try:
        for file in files:
            staged.append((_stage(file), file))
        while staged:
            temporary, file = staged[0]
            try:
                _files.refuse_to_replace(file.path, file.sign)
                os.replace(temporary, file.path)
            except OSError as exc:
                raise _fault(file.what, file.path, exc.strerror) from None
            staged.pop(0)
            _persist(os.path.dirname(file.path))
    finally:
        for temporary, _file in staged:
            _discard(temporary)


def _stage(file: File) -> str:
    """Write a temporary file beside the path, and return its name."""
    folder = os.path.dirname(file.path)
    try:
        _make(folder)
        descriptor, temporary = _files.temporary(folder)
    except OSError as exc:
        raise _fault(file.what, file.path, exc.strerror) from None
    try:
        with open(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), file.mode)
            stream.write(file.content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as exc:
        _discard(temporary)
        raise _fault(file.what, file.path, exc.strerror) from None
    return temporary


def _discard(temporary: str) -> None:
    with contextlib.suppress(OSError):  # why it is not needed any more is what people have to know
        os.unlink(temporary)


def _make(folder: str) -> None:
    """Create a directory, and those above it, that only its owner may enter."""
    if folder and not os.path.isdir(folder):
        _make(os.path.dirname(folder))
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:  # another slice has made it meanwhile
            if not os.path.isdir(folder):
                raise


def _persist(folder: str) -> None:
    with contextlib.suppress(OSError):  # the file is there already, and some file systems or permissions allow no more
        descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _fault(what: str, path: str, reason: str | None) -> DataError:
    return DataError(f"the {what} {path} cannot be written: {reason}")
