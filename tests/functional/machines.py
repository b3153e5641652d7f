# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers with systemd as PID 1, and with the stand-in agent where that is asked for."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import engine
import images

SUPPORT = Path(__file__).resolve().parents[1] / "support"
CONTROL_PLANE = "http://127.0.0.1:8080"
"""Of a machine with an agent, on this machine itself."""

ADMIN = """
import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.stdin.buffer.read() or None, {"Content-Type": "application/json"})
print(urllib.request.urlopen(request).read().decode())
"""


@dataclass(frozen=True)
class Machine:
    """A container of this project's engine."""

    name: str
    docker_host: str

    def docker(self, *arguments: str, given: str = "") -> str:
        """Run a command of the docker client, and return what it prints."""
        command = ["docker", "--host", self.docker_host, *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout

    def run(self, *arguments: str, given: str = "") -> str:
        """Run a command in the container, and return what it prints."""
        return self.docker("exec", "--interactive", self.name, *arguments, given=given)

    def know(self, token: str) -> None:
        """Make a token known to the machine's control plane."""
        self.run("python3", "-c", ADMIN, f"{CONTROL_PLANE}/admin/tokens", given=f'{{"token": "{token}"}}')


@contextlib.contextmanager
def machine(suite: str, number: int = 1) -> Iterator[Machine]:
    """Let a container run whose systemd is at work.

    :param number: tells it from others of this process
    """
    docker_host = engine.up()
    os.environ["DOCKER_HOST"] = docker_host  # of the images
    found = Machine(f"edge-functional-{suite}-{os.getpid()}-{number}", docker_host)
    options = ["--tty", "--cgroupns=private", "--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined"]
    options += [f"--tmpfs={directory}" for directory in ("/run", "/run/lock", "/tmp")]
    found.docker("run", "--detach", f"--name={found.name}", *options, images.build(f"systemd-{suite}"))
    try:
        found.run("sh", "-c", "until systemctl is-system-running --wait; do sleep 0.5; done")
        yield found
    finally:
        found.docker("rm", "--force", "--volumes", found.name)


@contextlib.contextmanager
def machine_with_agent(suite: str, number: int = 1) -> Iterator[Machine]:
    """Let a machine run that has the stand-in agent, and a control plane of its own."""
    with machine(suite, number) as found:
        found.docker("cp", str(SUPPORT / "expanso-edge"), f"{found.name}:/usr/local/bin/expanso-edge")
        found.docker("cp", str(SUPPORT / "control_plane.py"), f"{found.name}:/control_plane.py")
        found.run("systemd-run", "--unit=control-plane", "python3", "/control_plane.py", "--listen=127.0.0.1:8080")
        wait = f"until python3 -c \"import urllib.request; urllib.request.urlopen('{CONTROL_PLANE}/health')\" 2>/dev/null; do sleep 0.2; done"
        found.run("timeout", "30", "sh", "-c", wait)
        yield found
