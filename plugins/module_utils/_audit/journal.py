# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
"""Read the journal of systemd. Its files may be compressed, so journalctl prints what is in them, the latest first, and nothing of it is kept."""

import os
import select
import subprocess
import time
from typing import Iterable, Iterator, Optional, Sequence

from ansible_collections.expanso.edge.plugins.module_utils._audit.reading import CHUNK, OVERLAP, Place

NAME = "the journal"

FILES = ("/var/log/journal", "/run/log/journal")
"""A node where neither of these has anything in it has no journal."""

_ARGUMENTS = ("--no-pager", "--quiet", "--all", "--reverse", "--output=export")
_FIELDS = "--output-fields=MESSAGE,_CMDLINE"  # the others repeat what processes and units say; systemd 236 and newer
_MOST_BYTES = 256 * 1024 * 1024
_MOST_SECONDS = 20.0


def journal(journalctl: Optional[str], deadline: float, directories: Iterable[str] = FILES) -> Iterator[Place]:
    """Yield what is in the journal, in pieces.

    :param journalctl: the program, None where there is none
    :param deadline: in seconds of the monotonic clock
    """
    if not any(_has_something(directory) for directory in directories):
        return
    if journalctl is None:
        yield Place("journal", NAME, None)
        return
    deadline = min(deadline, time.monotonic() + _MOST_SECONDS)
    output = _Output([journalctl, *_ARGUMENTS, _FIELDS], deadline)
    yield from output.places()
    if output.failed and not output.total:  # an older one, which prints all fields
        output = _Output([journalctl, *_ARGUMENTS], deadline)
        yield from output.places()
    if output.failed or os.geteuid() != 0:  # other accounts are shown their own messages, and no more
        yield Place("journal", NAME, None)
    elif output.stopped:
        yield Place("rest", f"the older entries of the journal, after {output.total // 1024 ** 2} MiB and {_MOST_SECONDS:.0f} seconds at most", None)


def _has_something(directory: str) -> bool:
    try:
        return bool(os.listdir(directory))
    except OSError:
        return False


class _Output:
    """What a program prints, bounded."""

    def __init__(self, command: Sequence[str], deadline: float) -> None:
        self._command = command
        self._deadline = deadline
        self.total = 0
        self.failed = False
        self.stopped = False

    def places(self) -> Iterator[Place]:
        """Yield what is printed, in pieces that overlap, the last one shorter than the others."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        try:
            # run_command would keep all that is printed in memory
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, close_fds=True
            )
        except OSError:
            self.failed = True
            return
        try:
            yield from self._pieces(process.stdout.fileno() if process.stdout else -1)
        finally:
            if process.stdout:
                process.stdout.close()
            if self.stopped:
                process.kill()
            code = process.wait()
        self.failed = code != 0 and not self.stopped

    def _pieces(self, descriptor: int) -> Iterator[Place]:
        before, data = b"", bytearray()
        while True:
            if self.total >= _MOST_BYTES or not select.select([descriptor], [], [], max(0.0, self._deadline - time.monotonic()))[0]:
                self.stopped = True
                break
            more = os.read(descriptor, 64 * 1024)
            self.total += len(more)
            data += more
            if not more:
                break
            if len(data) >= CHUNK:
                yield Place("journal", NAME, before + bytes(data), exposed=True)
                before, data = bytes(data[-OVERLAP:]), bytearray()
        yield Place("journal", NAME, before + bytes(data), exposed=True)
