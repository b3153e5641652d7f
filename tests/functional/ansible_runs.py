# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real runs of `ansible-playbook`, of any ansible-core, and what came of them."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environments
from paths import collections, digest
from processes import processes

HERE = Path(__file__).resolve().parent
SYSTEM_PYTHON = "/usr/bin/python3"
TOKEN_VARIABLE = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"
PLACES = Path("/var/lib") if os.geteuid() == 0 else Path.home()
"""Where tests make directories that nobody else can write, which those below /tmp are not: there the modules refuse to work."""

KEPT = tempfile.TemporaryDirectory(prefix=".expanso-edge-kept-", dir=PLACES)
"""What runs need not make anew: compiled code (`support/kept_bytecode.py`), and modules packed for their nodes (`callback_plugins/events.py`)."""

QUIET = "[defaults]\ninternal_poll_interval = 0.01\n"
"""Ansible's configuration. By default it looks for results a thousand times a second, which costs a tenth of the processor time of a run."""

Json = dict[str, Any]
Plays = list[Json]


def spellings(token: str) -> Iterable[str]:
    """A token as it must never be seen, plain and inside of something in base64."""
    data = token.encode()
    inside = [base64.b64encode(b"-" * before + data).decode()[4 if before else 0 : -4] for before in range(3)]
    return token, data.hex(), *inside


def local_node(home: Path, name: str, **own: Any) -> dict[str, Any]:
    """Return the variables of a node on this machine; its files are below the home."""
    return {
        "token_file_path": f"{home}/{name}/bootstrap.token",
        "token_file_owner": str(os.geteuid()),
        "token_file_group": str(os.getegid()),
        "expanso_edge_data_dir": f"{home}/{name}/data",
        "expanso_edge_become": False,
        **own,
    }


@dataclass(frozen=True)
class Run:
    """One run of `ansible-playbook`."""

    returncode: int
    output: str
    events: list[Json]

    def event(self, task: str, host: str | None = None) -> Json:
        """The one event of a task, on the one host or on a given one."""
        found = [each for each in self.events if each["task"].split(" : ")[-1] == task and host in (None, each["host"])]
        assert len(found) == 1, f"{len(found)} results of task {task!r} on host {host or 'any'}:\n{self.output}"
        return found[0]

    def result(self, task: str, host: str | None = None) -> Json:
        """What a task returned."""
        result: Json = self.event(task, host)["result"]
        return result

    @property
    def artifacts(self) -> Json:
        """What `set_stats` published, as AWX keeps it in a job's artifacts."""
        [event] = [each for each in self.events if each["outcome"] == "published"]
        found: Json = event["result"]
        return found

    @property
    def published(self) -> Json:
        """What the playbook published as its result."""
        found: Json = self.artifacts["expanso_edge_result"]
        return found

    def remote_commands(self, host: str) -> int:
        """How often the host was sent a command or a file. Needs verbosity 3."""
        return len(re.findall(rf"^<{re.escape(host)}> (?:EXEC|PUT|FETCH|SSH: EXEC)\b", self.output, re.MULTILINE))

    def recap(self, host: str) -> dict[str, int]:
        """The host's line of the recap."""
        line = re.search(rf"^{re.escape(host)}\s*:\s*(ok=.*)$", self.output, re.MULTILINE)
        assert line, f"no recap for {host}:\n{self.output}"
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line.group(1))}

    def totals(self) -> dict[str, int]:
        """The recap, summed up over all hosts."""
        total: dict[str, int] = {}
        for counts in re.findall(r"^\S+\s*:\s*(ok=\d.*)$", self.output, re.MULTILINE):
            for name, count in re.findall(r"(\w+)=(\d+)", counts):
                total[name] = total.get(name, 0) + int(count)
        return total


HANGS = 1800
"""Seconds after which a run is taken for one that hangs. A busy machine needs minutes for the larger ones."""


class Controller:
    """An ansible-core on this machine, with a home directory of its own."""

    def __init__(self, core: str, home: Path) -> None:
        self.core = core
        self.home = home
        self._programs = environments.make(core) / "bin"
        self._runs = 0

    @property
    def version(self) -> tuple[int, ...]:
        """The version of ansible-core, as 2 and 21 for instance."""
        return tuple(int(part) for part in self.core.partition("-")[2].split("."))

    def write(self, name: str, data: Any) -> Path:
        """Write a file of tasks or variables that runs can use."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))
        return path

    def encrypt(self, text: str, password_file: Path) -> str:
        """Encrypt with Ansible Vault."""
        command = [str(self._programs / "ansible-vault"), "encrypt", "--vault-password-file", str(password_file), "-"]
        done = subprocess.run(command, input=text, env={"HOME": str(self.home), "LC_ALL": "C.UTF-8"}, capture_output=True, text=True, check=True)
        return done.stdout

    def _settings(self, folder: Path, events: Path) -> dict[str, str]:
        """The whole environment of a run: nothing of this process's own reaches it."""
        configuration = folder / "ansible.cfg"
        configuration.write_text(QUIET)
        return {
            "HOME": str(self.home),
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(configuration),
            "ANSIBLE_HOME": str(self.home / ".ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(collections()),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "connection_plugins"),
            "ANSIBLE_LOOKUP_PLUGINS": str(HERE / "lookup_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "events",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_FORKS": "4",
            "ANSIBLE_INJECT_FACT_VARS": "0",
            "TEST_EVENTS": str(events),
            "KEPT_BYTECODE": str(Path(KEPT.name, "bytecode")),
            "PYTHONPATH": str(HERE.parent / "support"),
        }

    def _with_packed_modules(self, variables: dict[str, str]) -> dict[str, str]:
        """Let a run share packed modules with others. What they are packed with depends on the collections at hand."""
        packed = Path(KEPT.name, "packed", digest(self._programs, variables["ANSIBLE_COLLECTIONS_PATH"]))
        packed.mkdir(parents=True, exist_ok=True)
        return {**variables, "TEST_PACKED": str(packed)}

    def command(self, line: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command of Ansible as it is typed, in a folder with all that it needs, and programs in `bin`."""
        settings = self._settings(folder, folder / "events.jsonl")
        return subprocess.run(
            shlex.split(line),
            env=self._with_packed_modules({**settings, "PATH": f"{folder / 'bin'}:{settings['PATH']}", **environment}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANGS,
            check=False,
        )

    def run(
        self,
        plays: Plays | str,
        *arguments: str,
        hosts: Mapping[str, Json] | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        umask: int = 0o022,
        group: str = "expanso_edge",
        until: Callable[[str], bool] | None = None,
    ) -> Run:
        """Run plays, or the playbook of a name, on hosts given with their variables, which are in one group.

        No output of any run may hold a token, a stack trace or a word of deprecation.

        :param until: when the run is killed, with all its processes, as where the controller loses power; it is given the events so far
        """
        self._runs += 1
        folder = self.home / f"run{self._runs}"
        folder.mkdir(parents=True)
        inventory, events = folder / "inventory.json", folder / "events.jsonl"
        events.touch()
        defaults = {"ansible_connection": "local", "ansible_python_interpreter": SYSTEM_PYTHON}
        known = {name: {**defaults, **own} for name, own in ({"node": {}} if hosts is None else hosts).items()}
        inventory.write_text(json.dumps({"all": {"hosts": known, "children": {group: {"hosts": dict.fromkeys(known, {})}}}}))
        if not isinstance(plays, str):
            # JSON is YAML; each play of a test says what it wants, not what everybody wants
            common = {"hosts": "all", "gather_facts": False}
            playbook = folder / "playbook.yml"
            playbook.write_text(json.dumps([play if "import_playbook" in play else {**common, **play} for play in plays]))
            plays = str(playbook)
        variables = {**self._settings(folder, events), **(environment or {})}
        command = [str(self._programs / "ansible-playbook"), "--inventory", str(inventory), plays, *arguments]
        output = folder / "output"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                command, env=self._with_packed_modules(variables), cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, umask=umask
            )
            returncode = ended(process, until, events)
        text = output.read_text(encoding="utf-8", errors="replace")
        lines = events.read_text(encoding="utf-8")
        for token in secrets:
            for spelling in spellings(token):
                assert spelling not in text and spelling not in lines, "the output of ansible-playbook holds a token"
        for word in ("Traceback (most recent call last)", "[DEPRECATION WARNING]", "MODULE FAILURE"):
            assert word not in text, text
        # one that was killed may have left half a line
        return Run(returncode, text, [json.loads(line) for line in lines.splitlines(keepends=True) if line.endswith("\n")])


def ended(process: subprocess.Popen[bytes], until: Callable[[str], bool] | None, events: Path) -> int:
    """Wait for a run, and return its exit code.

    :param until: when it is killed
    :param events: its file of events, which only its processes have in their environment. Those of Ansible's workers are in groups of their own
    """
    deadline = time.monotonic() + HANGS
    try:
        if until is None:
            return process.wait(HANGS)
        while process.poll() is None and not until(events.read_text(encoding="utf-8")):
            assert time.monotonic() < deadline, f"it hangs: {process.args!r}"
            time.sleep(0.05)
    finally:
        alive = process.poll() is None
        mark = str(events).encode()
        while alive and (found := [each.pid for each in processes() if mark in each.environment]):  # more than once: they have children meanwhile
            for each in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
    return process.wait()
