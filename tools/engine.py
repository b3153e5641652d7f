# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker engine for the tests: the one that is there and answers, otherwise one of the project's own.

    python3 engine.py up        make sure that an engine answers, and print its DOCKER_HOST
    python3 engine.py down      stop the engine that `up` started from this cache, if it did; never touches any other
    python3 engine.py status    print the DOCKER_HOST of the engine that `up` would use without starting anything, or fail

DOCKER_HOST, or else docker's current context, says which engine is looked for first. The project's own engine is
started only as root; on Debian and Ubuntu its packages are installed if they are missing. All checkouts on a machine
share it: its socket is at one fixed place. Its data lie below the cache.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import debian
from paths import CACHE, SupportError, locked, program, say, tail

RUN = Path("/run/expanso-edge-tests")  # short: a socket's path holds 107 characters at most
SOCKET = RUN / "docker.sock"
PID_FILE = RUN / "docker.pid"
OWNER = RUN / "cache"  # the cache that the running engine was started from
OWN_HOST = f"unix://{SOCKET}"
DATA = CACHE / "docker"
LOG = CACHE / "log" / "dockerd.log"
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
BEFORE = RUN / "forwarding-before"  # what the machine did with packets of others, before the engine changed it


def answers(host):
    """Does a Docker engine answer there? Needs the docker client."""
    command = ["docker", "--host", host, "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def configured():
    """The engine that this user's docker client talks to."""
    done = subprocess.run(
        ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return os.environ.get("DOCKER_HOST") or done.stdout.strip() or "unix:///var/run/docker.sock"


def running():
    """The DOCKER_HOST of an engine that answers now, or None."""
    if shutil.which("docker") is None:
        return None
    return next((host for host in (configured(), OWN_HOST) if answers(host)), None)


def install_missing():
    # Debian 12 has the client inside docker.io, later releases in a package of its own
    if any(shutil.which(tool) is None for tool in ("docker", "dockerd", "iptables", "ip")):
        debian.install(["docker.io", "iptables", "iproute2"], "Docker engine", if_known=["docker-cli"])


def own_process():
    """The process ID of the project's own engine, or None. A stale PID file never leads to another process."""
    try:
        pid = int(PID_FILE.read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if OWN_HOST.encode() in command else None


def start():
    say(f"Starting a Docker engine of the project's own at {OWN_HOST} (about 5 s) ...")
    if not BEFORE.exists():  # it does where an engine of ours was killed: then what is set now is what that one has set
        BEFORE.write_text(f"{iptables('filter', '-S', 'FORWARD').split()[2]} {FORWARDING.read_text()}", encoding="ascii")
    PID_FILE.unlink(missing_ok=True)
    SOCKET.unlink(missing_ok=True)
    DATA.mkdir(parents=True, exist_ok=True)
    OWNER.write_text(str(CACHE), encoding="utf-8")
    LOG.parent.mkdir(parents=True, exist_ok=True)
    command = ["dockerd", "--host", OWN_HOST, "--data-root", str(DATA), "--exec-root", str(RUN / "exec"), "--pidfile", str(PID_FILE)]
    with open(LOG, "wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    for dummy in range(120):
        if answers(OWN_HOST):
            say(f"Docker engine is up; its log is {LOG}.")
            return
        if daemon.poll() is not None:
            break
        time.sleep(0.5)
    else:
        daemon.terminate()
    raise SupportError(f"the Docker engine did not come up (whole log: {LOG}):\n{tail(LOG)}")


def up():
    """The DOCKER_HOST of an engine that answers; starts one where none does. Raises SupportError."""
    host = running()
    if host:
        return host
    if os.environ.get("DOCKER_HOST") not in (None, "", OWN_HOST):
        raise SupportError(f"no Docker engine answers at DOCKER_HOST={os.environ['DOCKER_HOST']}. Start it, or unset DOCKER_HOST.")
    if os.geteuid() != 0:
        raise SupportError(
            "no Docker engine answers, and only root may start one. Install Docker (on Debian or Ubuntu: apt-get install"
            " docker.io), start it, and give this user access to it; or name an engine in DOCKER_HOST."
        )
    RUN.mkdir(mode=0o700, exist_ok=True)
    with locked(RUN / "lock"):
        install_missing()
        host = running()  # another process was faster, or the package has started the machine's own engine
        if host is None:
            start()
            host = OWN_HOST
    return host


def down():
    """Stop the engine that was started from this cache, and remove what it leaves on the machine."""
    pid = own_process()
    if pid is None:
        return
    owner = OWNER.read_text(encoding="utf-8")
    if owner != str(CACHE):
        say(f"The Docker engine at {OWN_HOST} belongs to {owner}: it is left running.")
        return
    say("Stopping the project's own Docker engine ...")
    containers = docker("ps", "--all", "--quiet").split()
    if containers:
        docker("rm", "--force", "--volumes", *containers)
    docker("network", "prune", "--force")
    os.kill(pid, signal.SIGTERM)
    for dummy in range(120):
        if own_process() is None:
            break
        time.sleep(0.5)
    else:
        raise SupportError(f"the Docker engine (process {pid}) does not stop. Its log: {LOG}")
    forget_network()
    shutil.rmtree(RUN, ignore_errors=True)


def docker(*arguments):
    done = subprocess.run(
        ["docker", "--host", OWN_HOST, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.stdout


def iptables(table, *arguments):
    command = ["iptables", "--wait", "--table", table, *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout


def forget_network():
    """Undo what a stopped engine leaves: its bridge, its packet filter chains, and that the machine forwards packets."""
    if running():
        return
    subprocess.run(["ip", "link", "delete", "docker0"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    for table in ("filter", "nat"):
        rules = [line.split() for line in iptables(table, "-S").splitlines()]
        chains = [rule[1] for rule in rules if rule[0] == "-N" and rule[1].startswith("DOCKER")]
        for rule in rules:
            if rule[0] == "-A" and rule[1] not in chains and ("docker0" in rule or rule[-1] in chains):
                iptables(table, "-D", *rule[1:])
        for option in ("-F", "-X"):
            for chain in chains:
                iptables(table, option, chain)
    policy, forwarding = BEFORE.read_text(encoding="ascii").split()
    iptables("filter", "-P", "FORWARD", policy)
    FORWARDING.write_text(forwarding, encoding="ascii")


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in ("up", "down", "status"):
        raise SupportError(__doc__)
    if sys.argv[1] == "up":
        print(up())
    elif sys.argv[1] == "down":
        down()
    else:
        host = running()
        if host is None:
            raise SupportError("no Docker engine answers.")
        print(host)


if __name__ == "__main__":
    sys.exit(program(main))
