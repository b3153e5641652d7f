# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Files on the controller that people name: any of them may turn out to be a pipe, a device, or far too large. And files that are to take their place."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import tempfile

MOST_BYTES = 64 << 20
"""Of a file that people write, or that a run of ours wrote: a report on 10,000 nodes has less than 20 MiB."""

LEFT_SECONDS = 24 * 3600
"""Age of a temporary file from which on the run that made it cannot be at work any more. It needs seconds."""

_TEMPORARY = re.compile(r"\.expanso-edge-[a-z0-9_]{8}\.tmp")


def refuse_what_is_no_file(path: str, most: int) -> None:
    """Refuse what must not even be opened: it may be a pipe that is waited for, or a device that wakes.

    :param most: bytes that a file may have
    :raises OSError: it is no regular file, too large, or cannot be reached
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if status.st_size > most:
        raise _too_large(most)


def beginning(path: str, size: int, most: int = sys.maxsize) -> tuple[bytes, os.stat_result]:
    """Return the first bytes of a regular file, and what it is.

    :param most: bytes that it may have
    :raises OSError: it is something else, larger, or cannot be read
    """
    refuse_what_is_no_file(path, most)
    # it may be exchanged in between
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_NOCTTY)) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return stream.read(size), status


def content(path: str, most: int = MOST_BYTES) -> bytes:
    """Return what is in a regular file.

    :param most: bytes that it may have
    :raises OSError: it is something else, larger, or cannot be read
    """
    data = beginning(path, most + 1, most)[0]
    if len(data) > most:  # some tell a size of 0, and some grow
        raise _too_large(most)
    return data


def refuse_to_replace(path: str, sign: bytes = b"") -> None:
    """Refuse a path whose place a new file must not take. Without ``/dev/null``, which people name for what they do not want, a machine does not work.

    :param sign: what every file of the kind contains that is written there. Without it, any file is replaced
    :raises OSError: there is something that is neither a file nor a link to one, or a file of another kind, such as an inventory
    """
    if os.path.exists(path) and not os.path.isfile(path):
        code = errno.EISDIR if os.path.isdir(path) else errno.EINVAL
        raise OSError(code, os.strerror(code) if code == errno.EISDIR else "it is not a regular file")
    if sign and os.path.isfile(path) and sign not in (content(path) or sign):
        raise OSError(errno.EEXIST, "there is a file that something else wrote: remove it, or name another path")


def temporary(folder: str) -> tuple[int, str]:
    """Make a file that is to take the place of another one in a directory; return its descriptor and path. Only its owner may read it.

    What runs left there that were killed is removed.

    :raises OSError: it cannot be made
    """
    descriptor, made = tempfile.mkstemp(prefix=".expanso-edge-", suffix=".tmp", dir=folder)
    # a file server has a clock of its own
    for path in _left(folder, os.fstat(descriptor).st_mtime):
        with contextlib.suppress(OSError):  # another run was faster
            os.unlink(path)
    return descriptor, made


def _left(folder: str, now: float) -> list[str]:
    """Return the temporary files of this account that no run needs any more.

    :param now: what the clock of their file system shows
    """
    found = []
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_mtime < now - LEFT_SECONDS:
                    found.append(entry.path)
    return found


def _too_large(most: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB")
