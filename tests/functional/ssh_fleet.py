# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes over real SSH, in one container of the project's engine (fleet.sh)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import debian
import engine
import images
import pytest
from paths import REPOSITORY, SupportError, digest

FIRST = 2200
"""Node i listens on this port plus i."""


def name(number: int) -> str:
    return f"node{number:02}"


@dataclass(frozen=True)
class Fleet:
    """A running container with the nodes, and the ports of this machine that lead to them."""

    container: str
    key: Path
    ports: dict[str, int]

    def docker(self, *arguments: str) -> str:
        """Run the docker client."""
        done = subprocess.run(["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def prepare(self, commands: Mapping[int, str], functions: str = "") -> None:
        """Run shell commands in the root directories of nodes, by number."""
        script = [f"cd /nodes/{number}/root; {before}" for number, before in commands.items()]
        self.docker("exec", self.container, "sh", "-euc", "\n".join([functions, *script]))

    def commands(self) -> Counter[str]:
        """How many commands each node has received until now, according to sshd's log."""
        log = self.docker("logs", self.container)
        nodes = {peer: name(int(port) - FIRST) for peer, port in re.findall(r"^Connection from (\S+ port \d+) on \S+ port (\d+)", log, re.MULTILINE)}
        sessions = re.findall(r"^Starting session: (\w+).* from (\S+ port \d+) id", log, re.MULTILINE)
        assert {kind for kind, _peer in sessions} <= {"command"}, "something other than a command was started"
        return Counter(nodes[peer] for _kind, peer in sessions)


@contextmanager
def started(place: Path, nodes: int) -> Iterator[Fleet]:
    """Start a fleet of that many nodes, and remove it at the end."""
    try:
        os.environ["DOCKER_HOST"] = engine.up()
        image = images.build("ssh-bookworm")
        if shutil.which("ssh") is None:
            debian.install(["openssh-client"], "A fleet over SSH")
    except SupportError as fault:
        pytest.skip(f"no fleet: {fault}")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / "key")], check=True)
    checkout = digest(REPOSITORY)
    container = f"edge-fleet-{checkout[:6]}-{place.name[-8:]}-{os.getpid()}"
    running = Fleet(container, place / "key", {})
    command = ["run", "--detach", "--name", container, "--label", f"expanso-edge-tests={checkout}"]
    command += ["--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined", "--volume", "/nodes"]
    command += ["--publish", f"127.0.0.1::{FIRST + 1}-{FIRST + nodes}"]
    script = Path(__file__).with_name("fleet.sh").read_text()
    try:
        running.docker(*command, image, "sh", "-c", script, "fleet.sh", str(nodes), (place / "key.pub").read_text().strip())
        for _attempt in range(100):
            if running.docker("logs", container).count("Server listening on 0.0.0.0") == nodes:
                break
            time.sleep(0.2)
        else:
            raise AssertionError(running.docker("logs", container))
        published = re.findall(r"^(\d+)/tcp -> 127\.0\.0\.1:(\d+)$", running.docker("port", container), re.MULTILINE)
        running.ports.update({name(int(inside) - FIRST): int(outside) for inside, outside in published})
        yield running
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True, check=False)
