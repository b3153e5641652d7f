# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on the way to a fleet: each fault ends in a message that says why, and the same command finishes when its cause is gone."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ansible_runs import TOKEN_VARIABLE, Controller, Json, Run, local_node
from control_plane import ControlPlane, new_jwt, new_key
from ssh_fleet import Fleet, name, started

TIMEOUT = 5


def told(run: Run) -> dict[str, str]:
    """What the summary says of each host that failed."""
    lines = [line.strip().partition(": ") for line in run.result("Show the summary")["msg"] if line.startswith("    ")]
    return {host: reason for names, _colon, reason in lines for host in names.split(", ")}


def test_a_control_plane_that_fails_first(controller: Controller, home: Path, agent: Path) -> None:
    """Each node has one of its own. The token stays on the node until it is registered."""
    modes = {"refuses": "unavailable", "silent": "hang", "slow": "slow", "nonsense": "normal", "lost": "lost"}
    tokens = {name: new_jwt() if name == "lost" else new_key() for name in modes}
    says = {
        "refuses": "exit code 13",
        "silent": f"the agent did not finish within {TIMEOUT} seconds and was stopped",
        "slow": f"the agent did not finish within {TIMEOUT} seconds and was stopped",
        "nonsense": "there is none of the registration markers",
        "lost": "exit code 13",
    }
    page = home / "page"
    page.write_text(f'#!/bin/sh\n[ -e {home}/mended ] && exec {agent} "$@"\necho "<html>you sent $EXPANSO_EDGE_BOOTSTRAP_TOKEN</html>"\n')
    page.chmod(0o755)
    with contextlib.ExitStack() as stack:
        planes = {name: stack.enter_context(ControlPlane()) for name in modes}
        hosts: dict[str, Json] = {}
        for name, plane in planes.items():
            plane.client.add_token(tokens[name], single_use=True)
            plane.client.set_mode(modes[name], seconds=60)
            own = {"expanso_edge_token": tokens[name], "expanso_edge_bootstrap_url": plane.url, "token_file_register": True}
            program = page if name == "nonsense" else agent
            hosts[name] = local_node(home, name, expanso_edge_binary=str(program), token_file_register_timeout=TIMEOUT, **own)

        def provision() -> Run:
            return controller.run("expanso.edge.provision", hosts=hosts, secrets=tokens.values())

        run = provision()
        assert run.returncode == 2 and run.totals()["failed"] == len(modes), run.output
        for name, reason in told(run).items():
            assert says.pop(name) in reason
            held = home / name / "bootstrap.token"
            assert held.read_text() == tokens[name] and held.stat().st_mode & 0o777 == 0o600
        assert not says

        (home / "mended").touch()
        for plane in planes.values():
            plane.client.set_mode("normal")
        run = provision()
        assert run.returncode == 2, run.output
        # those control planes spent the token, but their answer was lost, or came when the agent had been stopped
        assert told(run).keys() == {"slow", "lost"} and all("already spent" in reason for reason in told(run).values())
        assert all(planes[name].client.nodes(tokens[name]) == {"node": 1} for name in modes)
        assert all((home / name / "data" / "auth" / "credentials.creds").exists() for name in modes if name not in told(run))


CUTS = """
import os, signal
def cut(moment, path):
    try:
        os.rename_before("/root/cut-" + moment, "/root/was-cut")
    except OSError:
        return
    if os.path.basename(str(path)) != "bootstrap.token":
        return os.rename_before("/root/was-cut", "/root/cut-" + moment)
    process = os.getpid()
    while open("/proc/%d/comm" % process).read() != "sshd\\n":
        process = int(open("/proc/%d/stat" % process).read().rpartition(")")[2].split()[1])
    os.kill(process, signal.SIGKILL)
    if moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
def rename(old, new, **directories):
    cut("before", new)
    os.rename_before(old, new, **directories)
    cut("after", new)
os.rename_before, os.rename = os.rename, rename
"""
"""Where a node has a file cut-before or cut-after, it loses its connection when the token file is put in place: with the module, or without it."""


def script(*lines: str) -> str:
    """A shell command that prints a script."""
    return "printf '%s\\n' '#!/bin/sh' " + " ".join(f"'{line}'" for line in lines)


PASSWORD = "password-of-ops"
OPS = f"chroot . useradd --create-home --shell /bin/bash ops; echo ops:{PASSWORD} | chroot . chpasswd; echo 'ops ALL=(ALL) ALL' > etc/sudoers.d/ops"
CUTTING = script('PYTHONPATH=/opt/cut exec /usr/bin/python3 "$@"')
CUT = f"mkdir -m 755 -p opt/cut; cp /opt/cut.py opt/cut/sitecustomize.py; {CUTTING} > opt/cut/python; chmod 755 opt/cut/python; touch root/cut-"
MOUNT = "mkdir -p etc/expanso; mount -t tmpfs -o mode=755"
LOST = "the host cannot be reached: the connection was lost, and ssh does not say why"
NO_SPACE = "cannot manage /etc/expanso/bootstrap.token: No space left on device; free space or inodes there"

NODES: dict[str, tuple[str, Json, str, str]] = {
    "cut-before": (f"{CUT}before", {}, LOST, ""),
    "cut-after": (f"{CUT}after", {}, LOST, ""),
    "password": (f"{OPS}; echo 'Defaults lecture=always' >> etc/sudoers.d/ops", {"ansible_user": "ops"}, "Incorrect sudo password: check", ""),
    "reader": (
        f"{OPS}; mv usr/bin/sudo usr/bin/asks; {script('echo Place your finger on the reader >&2', 'sleep 60')} > usr/bin/sudo; chmod 755 usr/bin/sudo",
        {"ansible_user": "ops", "ansible_become_password": PASSWORD},
        "waiting for privilege escalation prompt: check ansible_become_method",
        "mv usr/bin/asks usr/bin/sudo",
    ),
    "inodes": (f"{MOUNT},nr_inodes=2 tmpfs etc/expanso; touch etc/expanso/a", {}, NO_SPACE, "rm etc/expanso/a; mount -o remount,nr_inodes=0 etc/expanso"),
    "full": (f"{MOUNT},size=4k tmpfs etc/expanso; head -c 4096 /dev/zero > etc/expanso/a", {}, NO_SPACE, "rm etc/expanso/a"),
    "other": (f"{MOUNT} tmpfs etc/expanso; mount -t tmpfs tmpfs var/lib", {}, "", ""),
}
"""How a node is prepared, its variables, what the summary says of it, and what mends it."""


def held(fleet: Fleet) -> dict[str, str]:
    """Mode and content of the nodes' token files, and what is beside them."""
    found = {}
    for number, node in enumerate(NODES, 1):
        shell = f"cd /nodes/{number}/root/etc/expanso 2>/dev/null && ls -A | grep -v ^a$ | xargs -r stat -c '%n %a' && cat bootstrap.token || true"
        found[node] = fleet.docker("exec", fleet.container, "sh", "-c", shell)
    return found


def test_nodes_that_fail_in_the_middle(controller: Controller, place: Path) -> None:
    """Over real SSH. A connection that was cut takes the module with it, or the module finishes without anybody who hears of it."""
    key = new_key()
    with started(place, len(NODES)) as fleet:
        fleet.docker("exec", fleet.container, "sh", "-c", f"cat > /opt/cut.py <<'END'\n{CUTS}END")
        fleet.prepare({number: before for number, (before, *_rest) in enumerate(NODES.values(), 1)})
        common = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_user": "root", "ansible_ssh_private_key_file": str(fleet.key)}
        hosts: dict[str, Json] = {
            node: {**common, "ansible_port": fleet.ports[name(number)], "ansible_become_password": "wrong", **own}
            for number, (node, (_before, own, _says, _mended)) in enumerate(NODES.items(), 1)
        }
        for node in ("cut-before", "cut-after"):
            hosts[node]["ansible_python_interpreter"] = "/opt/cut/python"
        environment = {
            TOKEN_VARIABLE: key,
            "ANSIBLE_FORKS": "10",
            "ANSIBLE_TIMEOUT": "15",
            "ANSIBLE_HOST_KEY_CHECKING": "0",
            "ANSIBLE_SSH_ARGS": "-F none -o UserKnownHostsFile=/dev/null -o ControlMaster=auto -o ControlPersist=60s",
        }

        def provision() -> Run:
            return controller.run("expanso.edge.provision", hosts=hosts, environment=environment, secrets=[key, PASSWORD])

        run = provision()
        assert run.returncode == 2
        reasons = told(run)
        assert reasons.keys() == NODES.keys() - {"other"}, run.output
        for node, reason in reasons.items():
            assert NODES[node][2] in reason, (node, reason)
        done = f"bootstrap.token 600\n{key}"
        assert [node for node, found in held(fleet).items() if found == done] == ["cut-after", "other"]
        fleet.prepare({number: mended for number, (*_rest, mended) in enumerate(NODES.values(), 1) if mended})
        hosts["password"]["ansible_become_password"] = PASSWORD
        run = provision()
        assert run.returncode == 0, run.output
        found = held(fleet)
        # what a module that was killed left stays closed, and goes when it is an hour old
        left = found.pop("cut-before").splitlines()
        assert left[-2:] == done.splitlines() and all(line.startswith(".bootstrap.token") and line.endswith(" 600") for line in left[:-2])
        assert found == dict.fromkeys(found, done)
