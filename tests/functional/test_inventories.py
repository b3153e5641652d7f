# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the guide to inventories on the examples' inventories as they are, over real SSH, by real accounts, and through a real bastion host.

The configuration of ssh leads the names of the inventories to nodes of a fleet (fleet.sh). Where an inventory names a port itself, the fleet's node of that
port is meant, and only the bastion host leads there. Testinfra looks at the nodes from outside.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from ansible_runs import Controller, Json, Run
from control_plane import new_key
from guides import command, commands, here
from ssh_fleet import FIRST, Fleet, name, started

JOB = new_key()
OLD = new_key()
ALL, OWN = "exp_bk_of-all-nodes-vaulted-x7c3", "exp_bk_of-edge05-alone-vaulted-p9t2"
CSV, INI = "exp_bk_of-the-table-edge06-k2v8", "exp_bk_of-the-file-edge08-m4q7"
STORE = "exp_bk_of-the-store-edge09-q5z8"
PASSWORDS = {account: f"password-of-{account}" for account in ("ops", "root", "dora")}
SECRETS = [JOB, OLD, ALL, OWN, CSV, INI, STORE, *PASSWORDS.values()]

TURKISH = "echo export LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8"


def account(user: str, password: str = "") -> str:
    """A shell command that makes an account, which logs in with the fleet's key."""
    made = f"chroot . useradd --create-home --shell /bin/bash --password '*' {user}; {TURKISH} > home/{user}/.bashrc"
    return f"{made}; {set_password(user, password)}" if password else made


def set_password(user: str, password: str) -> str:
    return f"echo {user}:{password} | chroot . chpasswd"


BANNER = """echo 'echo "Welcome to {edge}; \\"last\\": [login]"' | tee root/.bashrc > home/deploy/.bashrc; echo '{motd}' > etc/motd"""
HOLDS = f"mkdir -p etc/expanso; printf %s {OLD} > etc/expanso/bootstrap.token; chmod 0644 etc/expanso/bootstrap.token"

# The host of each node, by number, and how it is prepared.
NODES: list[tuple[str, str]] = [
    ("bastion.example.com", ""),
    ("edge01", BANNER),
    ("edge02", ""),
    ("edge03", ""),  # port 2204
    ("web01", ""),
    ("kühlhaus-1", f"{TURKISH} > home/deploy/.bashrc"),  # port 2206
    ("gateway", "mount -t tmpfs -o noexec tmpfs tmp; mount -t tmpfs -o noexec tmpfs var/tmp"),  # port 2207
    ("old01", "echo Defaults requiretty >> etc/sudoers.d/deploy"),
    ("lean01", "mkdir -p opt/python/bin; mv usr/bin/python3.11 opt/python/bin/python3; rm usr/bin/python3; mount -t tmpfs -o ro tmpfs home/deploy"),
    ("auto01", f"{BANNER}; {TURKISH} >> home/deploy/.bashrc"),
    ("edge04", ""),
    ("edge05", HOLDS),
    ("edge06", ""),
    ("edge07", ""),
    ("edge08", ""),
    ("edge09", ""),
    ("edge10", ""),
    ("press02", ""),
    ("node1", "cp /etc/resolv.conf etc; chroot . apt-get -qq --yes purge python3-minimal 2>&1"),
    ("node2", ""),
    ("gateway01", ""),
    ("plain01", ""),
    ("nopass01", ""),
    ("sudo01", f"{account('ops', PASSWORDS['ops'])}; echo 'ops ALL=(ALL) ALL' > etc/sudoers.d/ops"),
    ("su01", f"{account('walker')}; {set_password('root', PASSWORDS['root'])}"),
    ("doas01", f"{account('dora', PASSWORDS['dora'])}; echo 'permit dora as root' > etc/doas.conf"),
]
FAILING: dict[str, tuple[str, Json, str]] = {
    "blank": ("rm usr/bin/python3*", {}, "there is no /usr/bin/python3 on it: install Python"),
    "locked": ("mount -t tmpfs -o ro tmpfs tmp; mount -t tmpfs -o ro tmpfs var/tmp; mount -t tmpfs -o ro tmpfs root", {}, "No usable temporary directory"),
    "homeless": ("mount -t tmpfs -o ro tmpfs root", {"ansible_pipelining": False}, "its account has no temporary directory: "),
    "full": (
        "mount -t tmpfs -o size=16k tmpfs root; mkdir root/tmp; dd if=/dev/zero of=root/all bs=4096 count=9 2>&1 || true",
        {"ansible_remote_tmp": "/root/tmp", "ansible_pipelining": False},
        "No space left on device: free or mount a file system",
    ),
    "terminal": ("echo Defaults requiretty >> etc/sudoers.d/deploy", {"ansible_user": "deploy"}, "set ansible_pipelining to false for this host"),
    "nosudo": ("rm usr/bin/sudo", {"ansible_user": "deploy"}, "sudo: not found: install sudo on it"),
    "nologin": ("chroot . usermod --shell /usr/sbin/nologin root", {}, "This account is currently not available: give the account a login shell"),
    "leaves": ("echo exit 0 > root/.bashrc", {"ansible_pipelining": False}, "its login shell does not run commands: look at the account's login shell"),
    "nobody": ("", {"ansible_user": "deploy", "ansible_become_user": "nosuch"}, "sudo: unknown user nosuch: create that account"),
    "asks": ("rm etc/sudoers.d/deploy", {"ansible_user": "deploy"}, "Missing sudo password: check ansible_become_method and ansible_become_password"),
    "readonly": ("mkdir etc/expanso; mount -t tmpfs -o ro,mode=755 tmpfs etc/expanso", {}, "/etc/expanso/bootstrap.token: Read-only file system"),
    "stranger": ("", {"ansible_user": "nobody-here"}, "the host cannot be reached: nobody-here@127.0.0.1: Permission denied (publickey"),
}
"""Hosts that nothing can be done on, how their nodes are prepared, their variables, and what the summary says of them."""

NODES += [(host, before) for host, (before, _own, _says) in FAILING.items()]
BEHIND_THE_BASTION = ("edge03", "kühlhaus-1", "gateway", "plain01", "nopass01", "sudo01", "su01", "doas01")
ADDRESSES = {"edge03": "192.0.2.13", "kühlhaus-1": "192.0.2.21", "gateway": ""}  # the latter has the same address
TOKEN_FILE = "etc/expanso/bootstrap.token"


class Site:
    """The fleet under the names of the inventories, and a controller whose home directory has what they refer to."""

    def __init__(self, fleet: Fleet, controller: Controller) -> None:
        self.fleet = fleet
        self.controller = controller
        self.home = controller.home
        self._outside = testinfra.get_host(f"docker://{fleet.container}")
        self._ran: list[list[str]] = []
        (self.home / "secrets").mkdir(parents=True)
        for path, text in {"secrets/bootstrap.token": JOB, ".vault-password": "vault-of-the-inventories\n"}.items():
            (self.home / path).write_text(text)
            (self.home / path).chmod(0o600)
        self.home.joinpath("ssh_config").write_text(self._ssh_config())

    def _ssh_config(self) -> str:
        lines = []
        for number, (host, _before) in enumerate(NODES, 1):
            direct = f"Port {self.fleet.ports[name(number)]}"
            inside = "ProxyJump deploy@bastion.example.com" if host in ADDRESSES else f"Port {FIRST + number}"
            address = ADDRESSES.get(host, host)
            if address:
                lines += [f"Host {address}", inside if host in BEHIND_THE_BASTION else direct]
        common = ["Host *", "HostName 127.0.0.1", f"IdentityFile {self.fleet.key}", "IdentitiesOnly yes", "StrictHostKeyChecking no"]
        return "\n".join([*lines, *common, "UserKnownHostsFile /dev/null", "ControlMaster auto", "ControlPersist 60", ""])

    def run(self, *words: str, without: str = "", controller: Controller | None = None, **environment: str) -> Run:
        """Run the one command of the page that has all these words, and not that one."""
        arguments = command("guide_inventories", "ansible-playbook", *words, without=without)
        self._ran.append(arguments)
        playbook = next(word for word in arguments if word.startswith(("expanso.edge.", "examples/playbooks/")))
        given = [f"{self.home}{word[1:]}" if word.startswith("~/") else here(word) for word in arguments[1:] if word != playbook]
        return (controller or self.controller).run(here(playbook), *given, hosts={}, environment={**self.environment(), **environment}, secrets=SECRETS)

    def environment(self) -> dict[str, str]:
        """What a run needs to find the nodes."""
        return {
            "HOME": str(self.home),
            "USER": "root",
            "ANSIBLE_FORKS": "8",
            "ANSIBLE_TIMEOUT": "60",
            "ANSIBLE_HOST_KEY_CHECKING": "0",
            "ANSIBLE_SSH_ARGS": f"-F {self.home}/ssh_config",
        }

    def held(self, host: str, file: str = TOKEN_FILE) -> tuple[str, str]:
        """Mode and owner of a node's file, and what is in it."""
        number = [each for each, _before in NODES].index(host) + 1
        path = f"/nodes/{number}/root/{file}"
        found = self._outside.run("stat --format '%%a %%U:%%G' %s && cat %s", path, path)
        status, _newline, content = found.stdout.partition("\n")
        return (status, content) if found.rc == 0 else ("", "")

    def forgotten(self) -> list[list[str]]:
        """Commands of the page that were not run. A unit test runs those of ansible-inventory."""
        page = [each.split() for each in commands("guide_inventories")]
        return [each for each in page if each[0] == "ansible-playbook" and each not in self._ran]

    def left(self, host: str, folder: str) -> list[str]:
        """Names of the files in a node's directory."""
        number = [each for each, _before in NODES].index(host) + 1
        listing: str = self._outside.check_output("ls -A %s", f"/nodes/{number}/root/{folder}")
        return listing.split()


@pytest.fixture(scope="module")
def site(controller: Controller, place: Path) -> Iterator[Site]:
    with started(place, len(NODES)) as fleet:
        fleet.prepare({number: before for number, (_host, before) in enumerate(NODES, 1) if before})
        yield Site(fleet, controller)


def closed(token: str) -> tuple[str, str]:
    return "600 root:root", token


def summary(run: Run) -> list[str]:
    lines: list[str] = run.result("Show the summary")["msg"]
    return lines


def test_a_play_of_others_with_the_role_in_it(site: Site) -> None:
    run = site.run("examples/playbooks/site.yml", without="--tags")
    assert run.returncode == 0, run.output
    assert [site.held(host) for host in ("edge01", "edge02", "edge03", "web01")] == [closed(JOB), closed("00482915736401"), closed(JOB), ("", "")]
    for host in ("edge01", "edge02", "edge03"):
        fingerprint = run.result("Bring the token file to its state", host)["fingerprint"]
        assert site.held(host, "srv/plant/token-is-new") == ("644 root:root", f"{fingerprint}\n")
        assert site.held(host, "srv/plant/note") == ("644 daemon:daemon", "plant 7, Debian\n")
    assert site.held("web01", "srv/plant/token-is-new") == ("", "")
    assert site.held("web01", "srv/plant/note")[1] == "plant 7, Debian\n"

    again = site.run("examples/playbooks/site.yml", "--tags")
    assert again.returncode == 0 and again.totals()["changed"] == 0, again.output
    assert again.result("Bring the token file to its state", "edge01")["action"] == "kept"
    assert not {"Leave a note as another account", "Make the plant's directory"} & {event["task"] for event in again.events}


def test_vault_and_directories_of_variables(site: Site) -> None:
    run = site.run("examples/inventories/vaulted")
    assert run.returncode == 0, run.output
    assert [site.held(host) for host in ("edge04", "edge05")] == [closed(ALL), closed(OWN)]


def test_a_constructed_group(site: Site) -> None:
    run = site.run("examples/inventories/constructed")
    assert run.returncode == 0, run.output
    assert summary(run)[:2] == ["1 node", "  received a token: 1 (press02)"]
    assert site.held("press02") == closed(JOB)


def test_a_token_for_each_node(site: Site) -> None:
    """The password store is a program that answers one time."""
    store = site.home / "bin" / "pass"
    store.parent.mkdir()
    store.write_text(f"#!/bin/sh\n[ \"$1 $2\" = 'show edge/edge09' ] && mkdir {site.home}/asked && echo {STORE}\n")
    store.chmod(store.stat().st_mode | stat.S_IXUSR)
    given = {"PATH": f"{store.parent}:{os.environ['PATH']}"}

    run = site.run("examples/inventories/tokens/hosts.yml", **given)
    assert [site.held(host) for host in ("edge06", "edge08", "edge09")] == [closed(CSV), closed(INI), closed(STORE)]
    lines = summary(run)
    assert lines[1:3] == ["  received a token: 3 (edge06, edge08, edge09)", "  failed: 2 (edge07, edge10)"]
    assert any(line.startswith("    edge07: ") and "variable expanso_edge_token is an empty list" in line for line in lines), lines
    assert any(
        line.startswith("    edge10: ") and "there is no lookup community.hashi_vault.vault_kv2_get on the controller; install the collection" in line
        for line in lines
    ), lines

    again = site.run("examples/inventories/tokens/hosts.yml", **given)  # the store would answer no more
    assert summary(again)[1:3] == ["  held the token already: 3 (edge06, edge08, edge09)", "  failed: 2 (edge07, edge10)"]


def test_a_bastion_host_and_ways_to_become_root(site: Site, place: Path) -> None:
    """With the collections of the ansible package, because doas is in one of them."""
    controller = Controller("test", place / "with-collections")
    run = site.run("examples/inventories/accounts.yml", controller=controller)
    assert run.returncode == 0, run.output
    hosts = ["plain01", "nopass01", "sudo01", "su01", "doas01"]
    assert [site.held(host) for host in hosts] == [closed(JOB)] * 5
    assert run.totals()["failed"] == 0
    # nothing of the module that held the token stays where pipelining was not possible
    for host, user in {"su01": "walker", "doas01": "dora"}.items():
        assert site.left(host, f"home/{user}/.ansible/tmp") == []


def test_unusual_hosts(site: Site) -> None:
    run = site.run("examples/inventories/mixed.yml")
    assert run.returncode == 0, run.output
    assert summary(run)[:2] == ["6 nodes", "  received a token: 6 (laptop, kühlhaus-1, gateway, old01, lean01, auto01)"]
    assert [site.held(host) for host in ("kühlhaus-1", "gateway", "old01", "lean01", "auto01")] == [closed(JOB)] * 5
    laptop = site.home / "expanso" / "bootstrap.token"
    assert (laptop.read_text(), stat.S_IMODE(laptop.stat().st_mode)) == (JOB, 0o600)
    assert site.left("lean01", "var/tmp/ansible") == []
    assert "[WARNING]: Host 'auto01'" not in run.output
    # a host that is no node is not contacted, although the plugin of its connection is missing
    assert not [event for event in run.events if event["host"] == "switch01" and event["outcome"] in ("failed", "unreachable")]


def test_what_the_summary_says_of_hosts_that_cannot_run_modules(site: Site) -> None:
    defaults = {"ansible_connection": "ssh", "ansible_user": "root", "ansible_python_interpreter": "/usr/bin/python3", "expanso_edge_token": JOB}
    run = site.controller.run(
        "expanso.edge.provision",
        hosts={host: {**defaults, **own} for host, (_before, own, _says) in FAILING.items()},
        environment=site.environment(),
        secrets=SECRETS,
    )
    lines = summary(run)
    assert lines[1] == f"  failed: {len(FAILING)} ({', '.join(list(FAILING)[:10])} and {len(FAILING) - 10} more)", lines
    for host, (_before, _own, says) in FAILING.items():
        assert any(host in line.partition(":")[0].split() and says in line for line in lines[2:]), (host, lines)
    assert run.totals()["failed"] == len(FAILING)


def test_devices_behind_a_gateway(site: Site) -> None:
    run = site.run("examples/playbooks/gateway.yml")
    assert run.returncode == 0, run.output
    for device, token in {"sensor-a": "exp_bk_of-sensor-a-h3d8", "sensor-b": "exp_bk_of-sensor-b-w6n1"}.items():
        assert site.held("gateway01", f"srv/devices/{device}/bootstrap.token") == closed(token)


def test_python_is_installed_where_there_is_none(site: Site) -> None:
    """From Debian's packages."""
    run = site.run("examples/playbooks/bootstrap_python.yml")
    assert run.returncode == 0, run.output
    assert {event["host"]: event["outcome"] for event in run.events if event["task"] == "Install it"} == {"node1": "ok", "node2": "skipped"}
    assert [site.held(host) for host in ("node1", "node2")] == [closed(JOB)] * 2


def test_every_command_of_the_page_was_run(site: Site) -> None:
    """Runs after the other tests of this file."""
    assert site.forgotten() == []
