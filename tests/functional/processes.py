# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of this machine, while they come and go."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process as proc_pid_cmdline(5) and proc_pid_environ(5) show it."""

    pid: int
    command: bytes
    environment: bytes


def processes() -> Iterator[Process]:
    """Those that can be read, which leaves out what ends in the middle and what belongs to another account."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            earlier = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes() or earlier  # one that ends has an empty one
            yield Process(int(process.name), command, environment)
