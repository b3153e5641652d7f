# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Writes the files of a report: all of them or none, each whole, and to no other place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError


class File(NamedTuple):
    """A file with its permissions."""

    path: str
    content: bytes
    mode: int


def check(path: str) -> None:
    """Check, before any node is asked, that a report can be written to a path. Creates nothing.

    :raises DataError: it cannot
    """
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise DataError(f"the report {path} cannot be written: {folder} is not a directory")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"the report {path} cannot be written: this account may not write to the directory {folder}, or it is read-only")


def write(files: Iterable[File]) -> None:
    """Write files. Whatever fails, such as a full disk, every path has its old file or its new one. A link is replaced, not followed.

    :raises DataError: a file cannot be written
    """
    staged: list[tuple[str, str]] = []
    try:
        for file in files:
            staged.append((_stage(file), file.path))
        while staged:
            temporary, path = staged[0]
            try:
                os.replace(temporary, path)
            except OSError as exc:
                raise _fault(path, exc) from None
            staged.pop(0)
            _persist(os.path.dirname(path))
    finally:
        for temporary, _path in staged:
            os.unlink(temporary)


def _stage(file: File) -> str:
    """Write a temporary file beside the path, and return its name."""
    folder = os.path.dirname(file.path)
    try:
        _make(folder)
        descriptor, temporary = tempfile.mkstemp(prefix=".audit-", dir=folder)
    except OSError as exc:
        raise _fault(file.path, exc) from None
    try:
        with open(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), file.mode)
            stream.write(file.content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as exc:
        os.unlink(temporary)
        raise _fault(file.path, exc) from None
    return temporary


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
    descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:  # some file systems cannot
        pass
    finally:
        os.close(descriptor)


def _fault(path: str, exc: OSError) -> DataError:
    return DataError(f"the report {path} cannot be written: {exc.strerror}")
