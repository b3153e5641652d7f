# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch what a run leaves outside its own directory: processes, the system log, the machine's directories for temporary files and logs."""

from __future__ import annotations

import contextlib
import functools
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

from paths import SupportError

HERE = Path(__file__).resolve().parent
DEV_LOG = Path("/dev/log")
NAMESPACE = ["unshare", "--mount", "--propagation", "private"]
SHARED = [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/var/log")]
LARGEST = 1024 * 1024
YOUNG = 25
"""Looks at a process until it counts as an old one."""


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
        self._looks: dict[int, int] = {}

    def run(self) -> None:
        """Sample until told to stop. A process changes its command line soon or never: an old one is looked at now and then only."""
        while not self._done.wait(self._interval):
            for pid in _pids():
                if pid not in self._before:
                    looks = self._looks[pid] = self._looks.get(pid, 0) + 1
                    if looks <= YOUNG or looks % YOUNG == 0:
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
    """What of a run's syslog messages can be seen on this machine."""

    name: str

    def within(self, home: Path, command: list[str]) -> list[str]:
        """The command line that runs a command where it is listened to."""

    def listen(self, home: Path) -> contextlib.AbstractContextManager[list[bytes]]:
        """Collect messages until the end of the context, in a list."""


class PrivateSyslog:
    """A `/dev/log` for the run alone, in a mount namespace: nothing of the machine's own is touched, and runs do not hear each other."""

    name = "a /dev/log of each run's own"

    def within(self, home: Path, command: list[str]) -> list[str]:
        return [*NAMESPACE, str(HERE / "private-dev"), str(home / "dev"), *command]

    @contextlib.contextmanager
    def listen(self, home: Path) -> Iterator[list[bytes]]:
        path = str(home / "dev" / "log")
        os.mkdir(os.path.dirname(path))
        end = uuid.uuid4().bytes
        heard: list[bytes] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            server.bind(path)
            os.chmod(path, 0o666)
            thread = threading.Thread(target=lambda: heard.extend(iter(lambda: server.recv(LARGEST), end)), daemon=True)
            thread.start()
            try:
                yield heard
            finally:
                client.sendto(end, path)
                thread.join()


class Journal:
    """The journal of a machine that runs systemd: all that anybody said meanwhile."""

    name = "the systemd journal"

    def within(self, home: Path, command: list[str]) -> list[str]:
        return command

    @contextlib.contextmanager
    def listen(self, home: Path) -> Iterator[list[bytes]]:
        heard: list[bytes] = []
        started = time.time()
        yield heard
        subprocess.run(["journalctl", "--sync"], capture_output=True, check=False)  # needs root; without it messages may be late
        # export: all fields, those too that journald adds of the sender, such as its command line
        export = ["journalctl", "--no-pager", "--output=export", "--all", f"--since=@{started:.6f}"]
        heard.append(subprocess.run(export, capture_output=True, check=True).stdout)


class Nowhere:
    """No mount namespaces, and nobody who takes messages: what modules say to syslog reaches nobody."""

    name = f"NOT WATCHED: {DEV_LOG} is nobody's, and a private one needs root and mount namespaces"

    def within(self, home: Path, command: list[str]) -> list[str]:
        return command

    @contextlib.contextmanager
    def listen(self, home: Path) -> Iterator[list[bytes]]:
        yield []


@functools.cache
def syslog() -> Syslog:
    """Find out how syslog messages can be seen on this machine."""
    if os.geteuid() == 0 and subprocess.run([*NAMESPACE, "mount", "--bind", "/", "/"], capture_output=True, check=False).returncode == 0:
        return PrivateSyslog()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        if client.connect_ex(str(DEV_LOG)) != 0:
            return Nowhere()
    if not shutil.which("journalctl"):
        raise SupportError(f"{DEV_LOG} is served by something whose messages cannot be read, and this account can have no mount namespace")
    return Journal()


def newly_written(since: float) -> Iterator[tuple[Path, bytes]]:
    """Return files that were written below the machine's directories for temporary files and logs, down to one directory within: the end of each."""
    for root in SHARED:
        for path in [*root.glob("*"), *root.glob("*/*")]:
            with contextlib.suppress(OSError):  # gone, or another account's
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_mtime >= since - 1:
                    with path.open("rb") as handle:
                        handle.seek(max(0, status.st_size - LARGEST))
                        data = handle.read(LARGEST)
                    yield path, data
