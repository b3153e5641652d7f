# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as they are, told by the kernel alone."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import NamedTuple

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"
NOBODY = 65534


class File(NamedTuple):
    """Everything of a file that a program can change, but the time of its last status change."""

    mode: int
    owner: int
    group: int
    links: int
    inode: int
    modified: int
    acl: bytes
    content: bytes


def file(path: Path) -> File:
    """What is at a path; a symbolic link's content is where it leads."""
    status = path.lstat()
    content = b""
    if stat.S_ISREG(status.st_mode):
        content = path.read_bytes()
    elif stat.S_ISLNK(status.st_mode):
        content = os.fsencode(os.readlink(path))
    return File(status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_ino, status.st_mtime_ns, acl(path), content)


def tree(root: Path) -> dict[str, File]:
    """All that is below a directory, and the directory itself."""
    found = [root]
    for folder, directories, names in os.walk(root):
        found += [Path(folder, name) for name in directories + names]
    return {str(path): file(path) for path in found}


def acl(path: Path) -> bytes:
    """The raw access control list of a path, empty where it has none."""
    try:
        return os.getxattr(path, ACCESS, follow_symlinks=False)
    except OSError:
        return b""


def grant(path: Path, kind: str, number: int, permissions: int, mask: int = 7, attribute: str = ACCESS) -> None:
    """Give a user or group an entry in a path's access control list; acl(5) without its tools."""
    nobody = 0xFFFFFFFF
    mode = path.stat().st_mode
    tag = {"user": 0x02, "group": 0x08}[kind]
    entries = [
        (0x01, mode >> 6 & 7, nobody),
        (0x02, permissions, number) if kind == "user" else (0x04, mode >> 3 & 7, nobody),
        (0x04, mode >> 3 & 7, nobody) if kind == "user" else (tag, permissions, number),
        (0x10, mask, nobody),
        (0x20, mode & 7, nobody),
    ]
    os.setxattr(path, attribute, struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries))
