# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make bench` runs: what roles and playbooks cost, beside the cheapest play there is, and beside what a user would write instead.

    ARGS="--nodes 20 --rounds 3"    see --help

Processor time is that of the whole tree of processes: ansible-playbook, its workers, and the modules of nodes on this machine. Of nodes in a container,
the time of its processes is added. The cases of a round follow one another, so ratios are right on a busy machine, too; wall times are not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "functional"), str(TESTS / "support")]

import bench_report
import bench_systemd
import environments
import pytest
import ssh_fleet
from ansible_runs import PLACES, SYSTEM_PYTHON, TOKEN_VARIABLE, local_node
from bench_report import FLOOR, Cost
from control_plane import new_key
from fake_servers import Cluster, Engine, serve
from paths import CACHE, REPOSITORY, SupportError, collections, program, say

Json = dict[str, Any]
ENVIRONMENT = "test"
"""Has the newest ansible-core that users are given, and the collections and libraries for swarms and clusters."""

MOST_MACHINES = 5
"""Containers with systemd: each is a whole system."""

FILE, DATA = "{{ token_file_path }}", "{{ expanso_edge_data_dir }}"
PING: list[Json] = [{"tasks": [{"ansible.builtin.ping": {}}]}]
ROLE: list[Json] = [{"roles": ["expanso.edge.token_file"]}]
BY_HAND: list[Json] = [
    {
        "tasks": [
            {"ansible.builtin.file": {"path": "{{ token_file_path | dirname }}", "state": "directory", "mode": "0755"}},
            {"ansible.builtin.stat": {"path": f"{DATA}/auth/credentials.creds"}, "register": "marker"},
            {
                "ansible.builtin.copy": {"content": f"{{{{ lookup('env', '{TOKEN_VARIABLE}') }}}}", "dest": FILE, "mode": "0600"},
                "when": "not marker.stat.exists",
                "no_log": True,
            },
            {"ansible.builtin.stat": {"path": FILE}, "register": "written"},
            {"ansible.builtin.assert": {"that": "marker.stat.exists or written.stat.mode == '0600'", "quiet": True}},
        ]
    }
]
"""What a user would write instead of the role. It judges no token, follows links, and has no check mode on a blank node."""


@dataclass(frozen=True)
class Nodes:
    """Nodes that plays can be run on."""

    hosts: Callable[[int], dict[str, Json]]
    blank: Callable[[], None]
    """Make them new again."""
    seconds: Callable[[], float] = lambda: 0.0
    """Processor time that they have used so far, if it is not that of children of this process."""
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    name: str
    plays: list[Json] | str
    blank: bool = False
    arguments: tuple[str, ...] = ()


COMPARED = (
    Case(FLOOR, PING),
    Case("role token_file, new node", ROLE, blank=True),
    Case("role token_file, unchanged", ROLE),
    Case("file, stat, copy, assert, new node", BY_HAND, blank=True),
    Case("file, stat, copy, assert, unchanged", BY_HAND),
)
PLAYBOOKS = (
    Case(FLOOR, PING),
    Case("provision, new node", "expanso.edge.provision", blank=True),
    Case("provision, unchanged", "expanso.edge.provision"),
    Case("audit", "expanso.edge.audit"),
)


class Bench:
    """Runs cases, and keeps what they cost."""

    def __init__(self, home: Path, rounds: int) -> None:
        self.home, self.rounds = home, rounds
        self.programs = environments.make(ENVIRONMENT) / "bin"
        self.token = new_key()
        self.measured: dict[str, dict[str, list[Cost]]] = {}
        self.tables: dict[str, list[bench_report.Row]] = {}

    def compare(self, title: str, cases: tuple[Case, ...], nodes: Nodes, count: int, **setting: Any) -> None:
        """Run each case in each round, in turn."""
        costs: dict[str, list[Cost]] = {case.name: [] for case in cases}
        for number in range(self.rounds):
            for case in cases:
                if case.blank:
                    nodes.blank()
                cost = self.run(case, nodes, count, **setting)
                say(f"{title}, round {number + 1} of {self.rounds}: {case.name}: {cost.processor:.2f} s of processor time")
                costs[case.name].append(cost)
        self.measured[title] = costs
        self.tables[title] = bench_report.rows(costs, count)

    def run(self, case: Case, nodes: Nodes, count: int, forks: int = 5, pipelining: bool = True) -> Cost:
        """Run a case one time. Raises SupportError if it fails: then its cost tells nothing."""
        inventory, traffic, output = self.home / "inventory.json", self.home / "traffic", self.home / "output"
        hosts = nodes.hosts(count)
        inventory.write_text(json.dumps({"all": {"hosts": hosts, "children": {"expanso_edge": {"hosts": dict.fromkeys(hosts, {})}}}}))
        playbook = self.home / "playbook.json"
        if not isinstance(case.plays, str):
            playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, **play} for play in case.plays]))
        named = case.plays if isinstance(case.plays, str) else str(playbook)
        traffic.write_text("")
        variables = {**self.environment(traffic, forks, pipelining), **nodes.environment}
        before, began = nodes.seconds(), time.monotonic()
        with output.open("wb") as stream:
            command = [str(self.programs / "ansible-playbook"), "--inventory", str(inventory), named, *case.arguments]
            process = subprocess.Popen(command, env=variables, cwd=self.home, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
            _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        if process.returncode:
            raise SupportError(f"{case.name} failed: its cost would tell nothing.\n{output.read_text(errors='replace')[-3000:]}")
        notes = [json.loads(line) for line in traffic.read_text().splitlines()]
        sent = [each["bytes"] for each in notes if "bytes" in each]
        processor = used.ru_utime + used.ru_stime + nodes.seconds() - before
        return Cost(processor, wall, used.ru_maxrss // 1024, sum("worker" in each for each in notes), len(sent), sum(sent))

    def environment(self, traffic: Path, forks: int, pipelining: bool) -> dict[str, str]:
        """The whole environment of a run: nothing of this process's own reaches it."""
        return {
            "HOME": str(self.home),
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_HOME": str(self.home / ".ansible"),
            "ANSIBLE_COLLECTIONS_PATH": f"{collections()}:{environments.dependencies()}",
            "ANSIBLE_CALLBACK_PLUGINS": str(TESTS / "support" / "traffic"),
            "ANSIBLE_CALLBACKS_ENABLED": "traffic",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": str(int(pipelining)),
            "ANSIBLE_FORKS": str(forks),
            "ANSIBLE_TIMEOUT": "60",
            "TEST_TRAFFIC": str(traffic),
            TOKEN_VARIABLE: self.token,
        }


def local(home: Path) -> Nodes:
    """Nodes that are directories of this machine."""

    def hosts(count: int) -> dict[str, Json]:
        common = {"ansible_connection": "local", "ansible_python_interpreter": SYSTEM_PYTHON}
        return {f"node{number}": local_node(home / "nodes", f"node{number}", **common) for number in range(1, count + 1)}

    return Nodes(hosts, lambda: shutil.rmtree(home / "nodes", ignore_errors=True))


def container_seconds(docker: Callable[..., str], container: str) -> float:
    """Processor time of a container's processes so far, with the ended ones that they have waited for, see proc_pid_stat(5)."""
    text = docker("exec", container, "sh", "-c", "cat /proc/[0-9]*/stat || true")  # one of them may have ended meanwhile
    times = [line.rpartition(")")[2].split()[11:15] for line in text.splitlines() if ")" in line]
    return sum(int(ticks) for each in times for ticks in each) / os.sysconf("SC_CLK_TCK")


@contextmanager
def over_ssh(home: Path, count: int) -> Iterator[Nodes]:
    """Nodes over real SSH, in one container."""
    (home / "ssh").mkdir()
    with ssh_fleet.started(home / "ssh", count) as fleet:

        def hosts(wanted: int) -> dict[str, Json]:
            common = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_user": "root", "ansible_ssh_private_key_file": str(fleet.key)}
            common["ansible_python_interpreter"] = SYSTEM_PYTHON
            place = {"token_file_path": "/etc/expanso/bootstrap.token", "expanso_edge_data_dir": "/var/lib/expanso/edge", "expanso_edge_become": False}
            return {each: {**common, **place, "ansible_port": fleet.ports[each]} for each in map(ssh_fleet.name, range(1, wanted + 1))}

        def blank() -> None:
            fleet.prepare(dict.fromkeys(range(1, count + 1), "rm -rf etc/expanso var/lib/expanso"))

        ssh_args = "-F none -o UserKnownHostsFile=/dev/null -o ControlMaster=auto -o ControlPersist=60s"
        settings = {"ANSIBLE_HOST_KEY_CHECKING": "0", "ANSIBLE_SSH_ARGS": ssh_args}
        yield Nodes(hosts, blank, lambda: container_seconds(fleet.docker, fleet.container), settings)


def with_clients(**variables: Any) -> Nodes:
    """Hosts of this machine with the libraries for swarms and clusters. All stand for the same swarm or cluster."""
    python = str(environments.make(ENVIRONMENT) / "bin" / "python")
    own = {"ansible_connection": "local", "ansible_python_interpreter": python, **variables}
    return Nodes(lambda count: {f"site{number}": own for number in range(1, count + 1)}, lambda: None)


def clusters(bench: Bench, count: int) -> None:
    """The roles for swarms and clusters, against servers that answer at once and do nothing: what is measured is this side alone."""
    engine, cluster = Engine(), Cluster()
    engine.obedient = True
    cluster.hold("Namespace", "edge")
    with ExitStack() as stack:
        ports = []
        for made in (engine, cluster):
            server = serve(made)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            ports.append(server.server_port)
        swarm = with_clients(swarm_secret_engine={"docker_host": f"tcp://127.0.0.1:{ports[0]}"}, swarm_secret_manager="{{ inventory_hostname }}")
        site = with_clients(k8s_secret_host=f"http://127.0.0.1:{ports[1]}", k8s_secret_api_key="any", k8s_secret_namespace="edge")
        for role, nodes in (("swarm_secret", swarm), ("k8s_secret", site)):
            case = Case(f"role {role}, unchanged", [{"roles": [f"expanso.edge.{role}"]}])
            bench.run(case, nodes, 1)  # the first run makes what the others leave unchanged
            bench.compare(f"Role {role}", (Case(FLOOR, PING), case), nodes, count)


def playbooks(bench: Bench, nodes: Nodes, options: argparse.Namespace) -> None:
    """The playbooks: by size, then one setting changed at a time."""
    for count in (10, 100, 1000) if options.full else (10, 100):
        bench.compare(f"Playbooks, {count} local nodes, 5 forks", PLAYBOOKS, nodes, count)
    for forks in (25, 50):
        bench.compare(f"Playbooks, 100 local nodes, {forks} forks", PLAYBOOKS, nodes, 100, forks=forks)
    bench.compare(f"Playbooks, {options.nodes} local nodes, without pipelining", PLAYBOOKS, nodes, options.nodes, pipelining=False)


def systemd(bench: Bench, count: int) -> None:
    """The role for systemd, and what a user would write instead."""
    with bench_systemd.started(count, bench.token) as machines:
        nodes = Nodes(machines.hosts, machines.blank, machines.seconds, {"DOCKER_HOST": os.environ["DOCKER_HOST"]})
        hand = bench_systemd.by_hand(TOKEN_VARIABLE)
        cases = (
            Case(FLOOR, PING),
            Case("role systemd_service, new node", bench_systemd.ROLE, blank=True),
            Case("role systemd_service, unchanged", bench_systemd.ROLE),
            Case("file, copy, systemd_service, stat, assert, new node", hand, blank=True),
            Case("file, copy, systemd_service, stat, assert, unchanged", hand),
        )
        bench.compare(f"Role systemd_service, {count} containers with systemd", cases, nodes, count)


def measure(bench: Bench, options: argparse.Namespace) -> list[str]:
    """Run all that was asked for; return what was left out, and why."""
    left_out = []
    machine = local(bench.home)
    if "roles" in options.only:
        bench.compare(f"Role token_file, {options.nodes} local nodes", COMPARED, machine, options.nodes)
    if "clusters" in options.only:
        clusters(bench, options.nodes)
    if "playbooks" in options.only:
        playbooks(bench, machine, options)
    if "systemd" in options.only:
        systemd(bench, min(options.nodes, MOST_MACHINES))
    if "ssh" in options.only:
        try:
            with over_ssh(bench.home, options.nodes) as fleet:
                bench.compare(f"Role token_file, {options.nodes} nodes over SSH", COMPARED, fleet, options.nodes)
                bench.compare(f"Role token_file, {options.nodes} nodes over SSH, without pipelining", COMPARED, fleet, options.nodes, pipelining=False)
                bench.compare(f"Playbooks, {options.nodes} nodes over SSH", PLAYBOOKS, fleet, options.nodes)
        except pytest.skip.Exception as fault:
            left_out.append(f"nodes over SSH: {fault}")
    return left_out


def write(bench: Bench, folder: Path, about: Json, head: list[str]) -> None:
    """Write the results as JSON, as a page with tables, and a plot of the first table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(bench_report.document(about, bench.measured), indent=2) + "\n")
    (folder / "bench.md").write_text(bench_report.page(head, bench.tables))
    title, found = next(iter(bench.tables.items()))
    (folder / "bench.svg").write_text(bench_report.plot(f"{title}: processor time for each node", found))


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure what roles and playbooks cost. Options are given in ARGS.")
    parser.add_argument("--nodes", type=int, default=20, help="nodes of the comparisons, 20 by default")
    parser.add_argument("--rounds", type=int, default=3, help="how often each case is run; the medians are reported. 3 by default")
    parser.add_argument("--full", action="store_true", help="also 1,000 nodes, which takes an hour or more")
    parser.add_argument("--only", action="append", choices=PARTS, help="a part to measure, all by default; can be given several times")
    parser.add_argument("--output", type=Path, default=CACHE / "bench", help="where the results are written; below the cache by default")
    options = parser.parse_args(arguments)
    if min(options.nodes, options.rounds) < 1:
        parser.error("--nodes and --rounds are at least 1")
    options.only = options.only or list(PARTS)
    return options


PARTS = ("roles", "clusters", "playbooks", "systemd", "ssh")


def main() -> None:
    given = os.environ.get("ARGS", "")
    options = parsed(shlex.split(given))
    core = subprocess.run([environments.make(ENVIRONMENT) / "bin" / "ansible", "--version"], capture_output=True, text=True, check=True).stdout
    node = subprocess.run([SYSTEM_PYTHON, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False).stdout.strip()
    about = {
        "command": "make bench" + (f" ARGS={shlex.quote(given)}" if given else ""),
        "core": core.splitlines()[0],
        "python": platform.python_version(),
        "node": node,
        "commit": commit,
        "processors": os.cpu_count(),
    }
    say(", ".join(f"{name}: {value}" for name, value in about.items()))
    with tempfile.TemporaryDirectory(prefix=".expanso-edge-bench-", dir=PLACES) as folder:
        os.chmod(folder, 0o755)
        bench = Bench(Path(folder), options.rounds)
        left_out = measure(bench, options)
    head = [f"`{about['command']}`: medians of {options.rounds} rounds. {about['core']}, Python {about['python']} on the controller, {node} on the nodes,"]
    head += [f"{about['processors']} processors, commit {commit}.", *(f"Left out: {each}." for each in left_out)]
    write(bench, options.output, about, head)
    print((options.output / "bench.md").read_text())
    say(f"Written: bench.json, bench.md and bench.svg in {options.output}")


if __name__ == "__main__":
    sys.exit(program(main))
