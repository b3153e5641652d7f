# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook as AWX does, and collect everything that comes out.

AWX's layout: `env/{extravars,cmdline,settings,envvars}`, an executable `inventory/hosts` that prints JSON, `project/`, which is
the project of `examples/awx`, `artifacts/ID/`, and `ansible-runner run` over it, or its three programs of the mesh.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import environments
from canary import Finder, Hit
from cases import ENVIRONMENT
from lab import HERE, QUICK, Lab, unsafe
from observers import Process, ProcessWatch, Syslog, newly_written
from paths import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "awx"
SYSTEM_PYTHON = "/usr/bin/python3"
SECONDS = 900
NEVER_STARTED = -1
EVENTS, PARTIAL = "artifacts/1/job_events/*.json", "artifacts/1/job_events/*-partial.json"
RESULT = "expanso_edge_result"
PLAIN = re.compile("[A-Za-z0-9._:-]+")


class Mode(NamedTuple):
    """A way to run a playbook."""

    arguments: str
    pipelining: bool

    @property
    def check(self) -> bool:
        """Whether nothing may change."""
        return "--check" in self.arguments


MODES = {
    "run": Mode("", True),
    "check": Mode("--check", False),
    "diff": Mode("--diff", False),
    "vvv": Mode("-vvv", True),
    "diff-vvv": Mode("--diff -vvv", False),
    "check-diff-vvv": Mode("--check --diff -vvv", True),
}


def about(**facts: Any) -> dict[str, Any]:
    """Return variables in which AWX tells something about a job, by both of the names that it gives them."""
    return {f"{prefix}_{name}": value for prefix in ("awx", "tower") for name, value in facts.items()}


TEMPLATE = "Bootstrap tokens"
JOB = about(job_id=42, job_template_id=7, job_template_name=TEMPLATE, user_name="operator")
"""What AWX tells each job."""

SLICE = about(workflow_job_id=41, workflow_job_name=TEMPLATE)
"""What AWX tells a slice of a job as well."""


class Evidence(NamedTuple):
    """Something that came out of a run."""

    place: str
    where: str
    data: bytes
    process: Optional[Process] = None


class Finding(NamedTuple):
    """A canary where it must not be."""

    place: str
    where: str
    hit: Hit

    def __str__(self) -> str:
        return f"{self.place}: {self.where}: {self.hit}"


class Outcome(NamedTuple):
    """What a run was, and all that came out of it.

    :ivar code: exit code of ansible-playbook: AWX shows a job as successful if it is 0, and as failed otherwise
    """

    code: int
    stdout: str
    events: list[dict[str, Any]]
    syslog: bytes
    processes: list[Process]
    findings: list[Finding]

    def leaks(self, host: str = "") -> list[str]:
        """Where canaries are that must not be there: one line for each canary and place. Those of one host, or all."""
        found = {(each.hit.canary, each.place): str(each) for each in reversed(self.findings) if each.hit.canary.startswith(host)}
        return [found[each] for each in sorted(found)]

    def said(self, host: str | None = None) -> str:
        """The results of one host, or of all."""
        found = [each["event_data"] for each in self.events if "res" in each.get("event_data", {})]
        return "\n".join(json.dumps(each["res"], ensure_ascii=False) for each in found if host in (None, each.get("host")))

    @property
    def artifacts(self) -> list[dict[str, Any]]:
        """What AWX shows as the job's artifacts, and gives to the next node of a workflow. Empty if ansible-playbook ran no play."""
        return [each["event_data"].get("artifact_data") or {} for each in self.events if each["event"] == "playbook_on_stats"]


MESH = """
"$1" transmit "$2" --playbook "$3" --ident 1 | "$1" worker --private-data-dir "$4" --delete | tee "$5" | "$1" process "$2" --ident 1
"""
"""What AWX's mesh does with a job. The first stream is what goes to the worker, the second what comes back."""


def run(core: str, playbook: str, mode: Mode, lab: Lab, syslog: Syslog, settings: dict[str, str] | None = None) -> Outcome:
    """Run a playbook on the nodes of a lab with one ansible-core, and search what comes out.

    It is run by a worker of the mesh if the lab's private data directory is seen as another one.
    """
    home, private = lab.home, lab.private
    programs = environments.make(core) / "bin"
    lay_out(programs, mode, lab, settings or {})
    before = {path: _identity(path) for path in _files(home)}
    started = time.time()
    runner = str(programs / "ansible-runner")
    command = [runner, "run", str(private), "--playbook", playbook, "--ident", "1"]
    if lab.seen_as != private:
        command = ["sh", "-c", MESH, "mesh", runner, str(private), playbook, str(lab.seen_as), str(home / "returned")]
    # AWX's own process has none of the job's variables in its environment: they are in env/envvars
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(home / "home"), "TMPDIR": str(home / "tmp"), "LANG": "C.UTF-8"}
    with syslog.listen(private.parent) as messages, ProcessWatch() as watch:
        command = syslog.within(private.parent, command)
        done = subprocess.run(command, env=environment, cwd=private, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    processes = watch.processes()

    def everything() -> Iterator[Evidence]:
        yield Evidence("runner's output", "", done.stdout + done.stderr)
        for path in _files(home):
            if before.get(path) != _identity(path):
                yield _evidence(path, home)
        for path, data in newly_written(started):
            yield Evidence("machine's directories", str(path), str(path).encode() + b"\0" + data)
        for process in processes:
            yield Evidence("command line", str(process), "\0".join(process.arguments).encode(), process)
            yield Evidence("environment", str(process), process.environment, process)
        yield Evidence("syslog", syslog.name, b"\n".join(messages))

    find = functools.cache(Finder(lab.canaries))  # many processes have the same environment
    findings = [Finding(each.place, each.where, hit) for each in everything() for hit in find(each.data) if not allowed(each, hit.canary, lab)]
    events = [json.loads(path.read_bytes()) for path in sorted(private.glob(EVENTS)) if not path.match(PARTIAL)]
    code, stdout = private / "artifacts/1/rc", done.stdout.decode(errors="replace")
    return Outcome(int(code.read_text()) if code.is_file() else NEVER_STARTED, stdout, events, b"\n".join(messages), processes, findings)


def check_observers(outcome: Outcome, lab: Lab) -> None:
    """Assert that the run was one, and that it was watched: nothing is found where nothing is looked at."""
    assert outcome.events, outcome.stdout
    assert not list(lab.private.glob(PARTIAL)), "the run was cut off"
    assert (lab.home / "log" / "ansible.log").stat().st_size > 0
    assert outcome.processes


def check_result(outcome: Outcome, names: Collection[str] = (RESULT,)) -> None:
    """Assert that a job has these artifacts and no other, and that its result is made of numbers, truth values and plain words."""
    published = [each for each in outcome.artifacts if each]
    assert [set(each) for each in published] == ([set(names)] if names else [])
    values = list(_values([each[RESULT] for each in published]))
    assert [each for each in values if not (each is None or isinstance(each, int) or (isinstance(each, str) and PLAIN.fullmatch(each)))] == []


def _values(data: Any) -> Iterator[Any]:
    if isinstance(data, (dict, list)):
        for each in [*data, *data.values()] if isinstance(data, dict) else data:
            yield from _values(each)
    else:
        yield data


def lay_out(programs: Path, mode: Mode, lab: Lab, settings: dict[str, str]) -> None:
    """Write AWX's private data directory."""
    home, private = lab.home, lab.private
    (private / "inventory").mkdir(parents=True)
    shutil.copytree(EXAMPLE, private / "project")
    shutil.copytree(HERE / "project", private / "project", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    link = home / "collections" / "ansible_collections" / "expanso" / "edge"
    if not link.is_symlink():  # there is one from a job before
        link.parent.mkdir(parents=True)
        link.symlink_to(REPOSITORY)

    python = SYSTEM_PYTHON if os.access(SYSTEM_PYTHON, os.X_OK) else str(programs / "python")
    common = {"ansible_connection": "node", "ansible_python_interpreter": python, "expanso_edge_become": os.geteuid() == 0}
    hosts = private / "inventory" / "hosts"
    if lab.environment:
        # AWX has no such jobs. A script would inherit the token from ansible-playbook.
        hosts.write_text(json.dumps({"expanso_edge": {"hosts": lab.inventory(), "vars": common}}))
    else:
        groups = {"_meta": {"hostvars": lab.inventory()}, "expanso_edge": {"hosts": list(lab.nodes), "vars": common}}
        hosts.write_text(f"#!{programs}/python\nprint({json.dumps(groups)!r})\n")
        hosts.chmod(0o700)
    (private / "env" / "cmdline").write_text(shlex.join(["--forks", "8", *mode.arguments.split(), *lab.arguments]))
    (private / "env" / "extravars").write_text(unsafe({**JOB, **lab.extra_vars}))
    (private / "env" / "settings").write_text(json.dumps({"idle_timeout": SECONDS, "job_timeout": SECONDS}))
    variables = {
        "ANSIBLE_COLLECTIONS_PATH": f"{home / 'collections'}:{environments.dependencies()}",
        "ANSIBLE_HOME": str(home / "home" / ".ansible"),
        "ANSIBLE_LOCAL_TEMP": str(home / "local_tmp"),
        "ANSIBLE_LOG_PATH": str(home / "log" / "ansible.log"),
        "ANSIBLE_PIPELINING": str(mode.pipelining),
        "ANSIBLE_REMOTE_TEMP": str(home / "remote_tmp"),
        **QUICK,
        **settings,
        **lab.settings,
        **lab.environment,
    }
    (private / "env" / "envvars").write_text(json.dumps(variables))
    for path in (private / "env").iterdir():
        path.chmod(0o600)


def allowed(evidence: Evidence, canary: str, lab: Lab) -> bool:
    """Whether a canary may be where it is. All that is ever allowed stands here."""
    node = lab.nodes.get(canary.split("/")[0])
    nodes = [node] if node else list(lab.nodes.values())  # a token of the whole job may go to all nodes
    if evidence.place == "node":
        # The token is in its file, and nobody else can read that.
        return any(lab.home / evidence.where == path and is_private(path) for each in nodes for path in each.may_hold)
    if evidence.process and evidence.place == "environment":
        # The agent has it in its environment: `... bootstrap --data-dir DIR`.
        command = "\0".join(evidence.process.arguments)
        if any(f"\0bootstrap\0--data-dir\0{each.data_dir}" in command for each in nodes):
            return True
        # Where the job's token comes from the environment, that of ansible-playbook itself has it. Nothing that it starts does.
        return canary == ENVIRONMENT and [Path(word).name for word in evidence.process.arguments[1:2]] == ["ansible-playbook"]
    if evidence.place == "artifacts/command" and canary == ENVIRONMENT:
        # For the same reason: ansible-runner records the environment that it gave to ansible-playbook. Only there, in that one variable.
        record = json.loads(evidence.data)
        return lab.canaries[canary].text == record["env"].pop(ENVIRONMENT) and not Finder(lab.canaries)(json.dumps(record).encode())
    return False


def is_private(path: Path) -> bool:
    """Whether only its owner, who is the account of this test, gets at a file."""
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600 and status.st_uid == os.geteuid() and status.st_nlink == 1


def _evidence(path: Path, home: Path) -> Evidence:
    """A file that a run left: what it holds, and its name, which may be telling as well."""
    relative = path.relative_to(home)
    place = relative.parts[0]
    if place == "awx":
        place = "/".join(part for part in relative.parts[1:4] if part != "1")
    data = b"" if path.is_dir() else str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
    if place != "artifacts/command":
        data = str(relative).encode() + b"\0" + data
    return Evidence({"nodes": "node"}.get(place, place), str(relative), data)


def _files(home: Path) -> Iterator[Path]:
    """All that is below a directory, links not followed."""
    for directory, folders, files in os.walk(home):
        yield from (Path(directory, name) for name in folders + files)


def _identity(path: Path) -> tuple[int, ...]:
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        return (status.st_ino,)
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns
