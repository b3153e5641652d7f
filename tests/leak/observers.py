# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch what a run leaves outside its own directory: processes, the system log, the machine's temporary directories."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import stat
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from paths import SupportError, locked

DEV_LOG = Path("/dev/log")
TEMPORARY = [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]
LARGEST = 1024 * 1024


class Process(NamedTuple):
    """What other accounts (arguments), or the same account (environment), could see of a process."""

    pid: int
    arguments: tuple[str, ...]
    environment: bytes

    def __str__(self) -> str:
        return f"{self.pid} {' '.join(self.arguments)[:200]}"


class ProcessWatch(threading.Thread):
    """Samples all processes that appear while it runs: what `ps` or a curious neighbour would see.

    A process that lives shorter than the interval may be missed, so the cases make those that matter live longer.
    """

    def __init__(self, interval: float = 0.02) -> None:
        super().__init__(daemon=True)
        self._interval = interval
        self._before = set(_pids())
        self._done = threading.Event()
        self._found: dict[tuple[int, bytes], Process] = {}

    def run(self) -> None:
        """Sample until told to stop."""
        while not self._done.wait(self._interval):
            for pid in _pids():
                if pid not in self._before:
                    self._look(pid)

    def _look(self, pid: int) -> None:
        directory = f"/proc/{pid}"
        with contextlib.suppress(OSError, ValueError):  # it is gone
            arguments = _read(f"{directory}/cmdline")
            if arguments and (pid, arguments) not in self._found:
                environment = _read(f"{directory}/environ")
                # in the middle of an exec, one may be the old program's and the other the new one's: look again next time
                if _read(f"{directory}/cmdline") == arguments:
                    words = tuple(word.decode(errors="replace") for word in arguments.split(b"\0"))
                    self._found[pid, arguments] = Process(pid, words, environment)

    def __enter__(self) -> ProcessWatch:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        self.join()

    def processes(self) -> list[Process]:
        """All that was seen; one process several times where it changed its command line, as `exec` does."""
        return list(self._found.values())


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _read(path: str) -> bytes:
    with open(path, "rb") as handle:
        return handle.read()


class Syslog(Protocol):
    """Where this machine's syslog messages can be read."""

    name: str

    def position(self) -> str:
        """Now, to be given to `since`."""

    def since(self, position: str) -> bytes:
        """All messages that came after a position."""


class Tap:
    """`/dev/log` of a machine that has none, as containers and minimal systems are: every message goes to a file of ours."""

    def __init__(self, record: Path) -> None:
        self.name = f"{DEV_LOG}, served by this test"
        self.record = record

    @classmethod
    @contextlib.contextmanager
    def serve(cls, record: Path) -> Iterator[Tap]:
        """Be the machine's syslog daemon."""
        _remove_dead_socket()
        end = uuid.uuid4().bytes
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server, open(record, "ab", buffering=0) as log:

            def receive() -> None:
                while (message := server.recv(LARGEST)) != end:
                    log.write(message + b"\n")

            server.bind(str(DEV_LOG))
            try:
                DEV_LOG.chmod(0o666)
                thread = threading.Thread(target=receive, daemon=True)
                thread.start()
                yield cls(record)
                _send(end)
                thread.join()
            finally:
                DEV_LOG.unlink()

    def position(self) -> str:
        return str(self.record.stat().st_size)

    def since(self, position: str) -> bytes:
        # what was sent before this message was written before it
        mark = f"<14>leak gate: {uuid.uuid4()}".encode()
        _send(mark)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            data = self.record.read_bytes()[int(position) :]
            if mark in data:
                return data
            time.sleep(0.01)
        raise TimeoutError(f"{DEV_LOG} does not answer")


class Journal:
    """The journal of a machine that runs systemd."""

    def __init__(self) -> None:
        self.name = "the systemd journal"

    def position(self) -> str:
        return f"@{time.time():.6f}"

    def since(self, position: str) -> bytes:
        subprocess.run(["journalctl", "--sync"], capture_output=True, check=False)  # needs root; without it messages may be late
        # export: all fields, those too that journald adds of the sender, such as its command line
        return subprocess.run(["journalctl", "--no-pager", "--output=export", "--all", f"--since={position}"], capture_output=True, check=True).stdout


class Nowhere:
    """No log socket, and no right to make one: what modules say to syslog reaches nobody."""

    def __init__(self) -> None:
        self.name = f"nowhere: there is no {DEV_LOG}, and only root can make it"

    def position(self) -> str:
        return ""

    def since(self, position: str) -> bytes:
        return b""


@contextlib.contextmanager
def syslog(record: Path) -> Iterator[Syslog]:
    """Find out where syslog messages go on this machine; serve them where nobody does."""
    with contextlib.ExitStack() as stack:
        if os.geteuid() == 0:
            # one at a time: a gate of another checkout, which serves it for its own time, is no syslog daemon
            stack.enter_context(locked(Path("/var/lock/expanso-edge-dev-log")))
        if not _answers():
            yield stack.enter_context(Tap.serve(record)) if os.geteuid() == 0 else Nowhere()
        elif shutil.which("journalctl"):
            stack.close()
            yield Journal()
        else:
            raise SupportError(f"{DEV_LOG} is served by something whose messages cannot be read: neither journald nor this test")


def without_serving() -> Syslog:
    """The same, for a process that need not serve."""
    return Journal() if _answers() else Nowhere()


def _answers() -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        return client.connect_ex(str(DEV_LOG)) == 0


def _remove_dead_socket() -> None:
    """Remove a socket that nobody serves, left by a process that was killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        if client.connect_ex(str(DEV_LOG)) == errno.ECONNREFUSED:
            DEV_LOG.unlink()


def _send(message: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.connect(str(DEV_LOG))
        client.send(message)


def new_temporary_files(since: float) -> Iterator[tuple[Path, bytes]]:
    """Return files that were written below the machine's temporary directories, down to one directory within."""
    for root in TEMPORARY:
        for path in [*root.glob("*"), *root.glob("*/*")]:
            with contextlib.suppress(OSError):  # gone, or another account's
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_mtime >= since - 1 and status.st_size <= LARGEST:
                    yield path, path.read_bytes()
