# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge_registration, with the stand-in agent, at a control plane that counts how often each token is spent."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import Controller, Json
from control_plane import ControlPlane, new_jwt, new_key
from files import NOBODY, File, file, tree
from processes import processes

MARKER = "data/auth/credentials.creds"
TOKEN_VARIABLE, URL_VARIABLE = "EXPANSO_EDGE_BOOTSTRAP_TOKEN", "EXPANSO_EDGE_BOOTSTRAP_URL"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run the agent as another account")

Step = Callable[[Path, str], Any]


def write(name: str, content: str = "{token}", mode: int = 0o600) -> Step:
    """A file in the place."""

    def step(place: Path, token: str) -> None:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("{token}", token))
        path.chmod(mode)

    return step


def script(*lines: str) -> Step:
    """An agent in the place that does what it is told."""
    return write("agent", "\n".join(["#!/bin/sh", *lines, ""]), 0o755)


def directory(name: str, mode: int = 0o755) -> Step:
    """A directory in the place."""

    def step(place: Path, token: str) -> None:
        (place / name).mkdir()
        (place / name).chmod(mode)

    return step


TOKEN_FILE = write("token")
REGISTERED = write(MARKER, "")


@dataclass(frozen=True)
class Case:
    """A node that is to be registered."""

    name: str
    given: tuple[Step, ...] = (TOKEN_FILE,)
    args: Json = field(default_factory=dict)
    token: Callable[[], str] = new_key
    known: bool = True  # whether the control plane knows the token
    spent_before: bool = False  # by another node
    mode: str = "normal"  # of the control plane
    spent: int = 0
    says: str = ""
    root: bool = False

    def parameters(self, place: Path, token: str, agent: Path, url: str) -> Json:
        """The module's options."""

        def filled(value: Any) -> Any:
            return value.replace("{place}", str(place)).replace("{token}", token) if isinstance(value, str) else value

        args = {
            "binary": str(agent),
            "data_dir": "{place}/data",
            "bootstrap_url": url,
            "token_file": "{place}/token",
            "timeout": 20,
            **self.args,
        }
        args = {name: [filled(each) for each in value] if isinstance(value, list) else filled(value) for name, value in args.items()}
        return {name: value for name, value in args.items() if value is not None}


@dataclass(frozen=True)
class Done(Case):
    """Afterwards the node is registered."""

    spent: int = 1
    changed: bool = True
    marker: str = MARKER
    removed: bool = False
    then: Callable[[Path], Any] = lambda place: True


@dataclass(frozen=True)
class Refused(Case):
    """It is not, and the message says why."""

    fault: str | None = None
    output: bool = False  # whether the agent was run and heard
    hears: str = ""  # what it said


def owned_by(uid: int, gid: int) -> Callable[[Path], bool]:
    def check(place: Path) -> bool:
        data, marker = file(place / "data"), file(place / MARKER)
        return (data.owner, data.group, stat.S_IMODE(data.mode)) == (uid, gid, 0o700) and (marker.owner, marker.group) == (uid, gid)

    return check


def environment_of(place: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (place / "seen").read_text().splitlines())


def foreign(place: Path, token: str) -> None:
    """A program for no processor that there is, which a shell would read."""
    (place / "agent").write_bytes(b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\xf0\xf0\ntouch data\n")
    (place / "agent").chmod(0o755)


RECORD = script('mkdir -p "$3/auth"', 'env > "$3/../seen"', 'echo "$*" > "$3/../arguments"', ': > "$3/auth/credentials.creds"')

DONE = [
    Done("token file"),
    Done("environment file", (write("token", f"{TOKEN_VARIABLE}={{token}}\n{URL_VARIABLE}=https://nowhere.invalid\n"),)),
    Done("line feed after the token", (write("token", "{token}\n"),)),
    Done("token as an option", (), {"token": "{token}", "token_file": None}),
    Done("single-use token", token=new_jwt),
    Done("data directory is there", (TOKEN_FILE, lambda place, token: (place / "data").mkdir(mode=0o755))),
    Done("data directory below others that are missing", args={"data_dir": "{place}/a/b"}, marker="a/b/auth/credentials.creds"),
    Done("configuration", (TOKEN_FILE, write("edge-config.yaml", "")), {"config_file": "{place}/edge-config.yaml"}),
    Done(
        "another marker",
        args={"registration_markers": ["{place}/none", "{place}/data/config.d/50-connection.yaml"]},
        marker="data/config.d/50-connection.yaml",
    ),
    Done("token file removed", args={"remove_token_file": True}, removed=True),
    Done("as another account", args={"user": "nobody"}, root=True, then=owned_by(NOBODY, NOBODY)),
    Done("as another account, by number", args={"user": "4711", "group": "4712"}, root=True, then=owned_by(4711, 4712)),
    Done("as another group", args={"group": "4712"}, root=True, then=owned_by(0, 4712)),
    Done("hostile agent", args={"binary": "{place}/hostile"}, then=lambda place: True, given=(TOKEN_FILE, lambda place, token: hostile(place))),
    Done(
        "helper that keeps the output open",
        (TOKEN_FILE, script('touch "$3/identity"', '(setsid sh -c "trap : TERM; while :; do sleep 300; done" "$3" &)')),
        {"binary": "{place}/agent"},
        spent=0,
        marker="data/identity",
    ),
    Done(
        "data directory is a link",
        (TOKEN_FILE, directory("disk"), lambda place, token: (place / "data").symlink_to("disk")),
    ),
    # nothing to do
    Done("registered", (REGISTERED,), {"binary": "/nowhere", "token_file": "/nowhere"}, spent=0, changed=False, says="already registered"),
    Done("registered, token left", (REGISTERED, TOKEN_FILE), spent=0, changed=False),
    Done("registered, token removed", (REGISTERED, TOKEN_FILE), {"remove_token_file": True}, spent=0, removed=True),
    Done("registered, token removed already", (REGISTERED,), {"remove_token_file": True}, spent=0, changed=False),
    Done(
        "registered long ago",
        (TOKEN_FILE, write("data/config.d/50-registration.yaml", "")),
        spent=0,
        changed=False,
        marker="data/config.d/50-registration.yaml",
    ),
    # how the agent is run
    Done(
        "the agent's surroundings",
        (TOKEN_FILE, RECORD),
        {"binary": "{place}/agent", "bootstrap_url": "https://here.invalid"},
        spent=0,
        then=lambda place: (
            environment_of(place)[TOKEN_VARIABLE] == (place / "token").read_text()
            and environment_of(place)[URL_VARIABLE] == "https://here.invalid"
            and environment_of(place)["HOME"] == pwd.getpwuid(os.geteuid()).pw_dir
            and (place / "arguments").read_text() == f"bootstrap --data-dir {place}/data\n"
        ),
    ),
    Done(
        "marker comes late",
        (TOKEN_FILE, script('(sleep 1; touch "$3/identity") > /dev/null 2>&1 &')),
        {"binary": "{place}/agent"},
        spent=0,
        marker="data/identity",
    ),
]

REFUSED = [
    # by the control plane
    Refused("unknown token", known=False, says=r"exit code 11: Error: invalid bootstrap token", output=True),
    Refused("single-use token spent", token=new_jwt, spent_before=True, spent=1, says="exit code 12: .*already spent", output=True),
    Refused("control plane unavailable", mode="unavailable", says=r"exit code 13: .*HTTP status 503", output=True),
    Refused("control plane silent", mode="hang", args={"timeout": 2}, says="the agent did not finish within 2 seconds and was stopped", output=True),
    Refused("answer lost", mode="lost", spent=1, says="exit code 13: ", output=True),
    Refused("nobody listens", args={"bootstrap_url": "http://127.0.0.1:1"}, says="exit code 13: .*refused", output=True),
    Refused("no URL", args={"bootstrap_url": None}, says="no URL given", output=True),
    # by the agent
    Refused(
        "data directory of another account",
        (TOKEN_FILE, lambda place, token: (place / "data").mkdir(0o700)),
        {"user": "nobody"},
        root=True,
        says="exit code 15: .*cannot write data directory",
        output=True,
    ),
    Refused("no configuration", args={"config_file": "{place}/nowhere"}, says="exit code 16: .*cannot read configuration", output=True),
    Refused("silent agent", (TOKEN_FILE, script("exit 3")), {"binary": "{place}/agent"}, says="exit code 3: without any output", output=True),
    Refused(
        "agent that speaks no text", (TOKEN_FILE, script(r"printf 'a\377b'", "exit 4")), {"binary": "{place}/agent"}, says="exit code 4: a\ufffdb", output=True
    ),
    Refused("talkative agent", (TOKEN_FILE, script("seq 1000", "exit 5")), {"binary": "{place}/agent"}, says="exit code 5: 1000", output=True, hears="986 987"),
    Refused(
        "agent that is killed",
        (TOKEN_FILE, script("kill -KILL $$")),
        {"binary": "{place}/agent"},
        says="was ended by signal 9: without any output",
        output=True,
    ),
    Refused(
        "agent that will not stop",
        (TOKEN_FILE, script("trap '' TERM", "sleep 60")),
        {"binary": "{place}/agent", "timeout": 1},
        says="did not finish within 1 seconds",
        output=True,
    ),
    Refused(
        "agent whose children will not stop",
        (
            TOKEN_FILE,
            script(
                "(setsid sh -c \"trap '' TERM; sleep 60; exit\" \"$3\" &)",
                "setsid sh -c 'sleep 61; exit' \"$3\" > /dev/null &",
                "trap '' TERM",
                "sleep 62",
            ),
        ),
        {"binary": "{place}/agent", "timeout": 1},
        says="did not finish within 1 seconds",
        output=True,
    ),
    Refused(
        "agent that fails once it is registered",
        (TOKEN_FILE, script('touch "$3/identity"', "exit 6")),
        {"binary": "{place}/agent"},
        says="failed with exit code 6: without any output; this node is registered nevertheless: {place}/data/identity exists",
        output=True,
    ),
    Refused(
        "agent that is stopped once it is registered",
        (TOKEN_FILE, script('touch "$3/identity"', "sleep 60")),
        {"binary": "{place}/agent", "timeout": 1},
        says="did not finish within 1 seconds and was stopped; this node is registered nevertheless",
        output=True,
    ),
    Refused(
        "agent that paints",
        (TOKEN_FILE, script(r"printf '\033[31mred\033[0m \033]0;title\007\r\nlast\010\000line'", "exit 4")),
        {"binary": "{place}/agent"},
        says="exit code 4: lastline$",
        hears="^red lastline$",
        output=True,
    ),
    Refused(
        "no marker",
        args={"registration_markers": ["{place}/none"], "timeout": 5},
        spent=1,
        says="succeeded, but after 5 seconds there is none of the registration markers {place}/none",
        output=True,
    ),
    # before the agent is run
    Refused("no agent", args={"binary": "{place}/nowhere"}, says="the agent {place}/nowhere is missing or not executable: install it first"),
    Refused("agent not executable", (TOKEN_FILE, write("agent", mode=0o644)), {"binary": "{place}/agent"}, says="missing or not executable"),
    Refused("directory for an agent", args={"binary": "{place}"}, says="missing or not executable"),
    Refused("agent for another machine", (TOKEN_FILE, foreign), {"binary": "{place}/agent"}, says="the agent {place}/agent is for another machine"),
    Refused("page for an agent", (TOKEN_FILE, write("agent", "<html>", 0o755)), {"binary": "{place}/agent"}, says="is neither a program nor a script"),
    Refused(
        "page for an agent, as another account",
        (TOKEN_FILE, write("agent", "touch $3/identity", 0o755)),
        {"binary": "{place}/agent", "user": "nobody"},
        root=True,
        says="is neither a program nor a script",
    ),
    Refused(
        "pipe for an agent",
        (TOKEN_FILE, lambda place, token: os.mkfifo(place / "agent", 0o755)),
        {"binary": "{place}/agent"},
        says="{place}/agent is not a regular file",
    ),
    Refused(
        "data directory below one that others may write",
        (TOKEN_FILE, directory("open", 0o1777)),
        {"data_dir": "{place}/open/data"},
        says="every account can write to the directory {place}/open, and so decides what the data directory is",
    ),
    Refused(
        "data directory that others may write",
        (TOKEN_FILE, directory("data", 0o777)),
        says="every account can write to the directory {place}/data",
    ),
    Refused(
        "data directory is a link that leads nowhere",
        (TOKEN_FILE, lambda place, token: (place / "data").symlink_to("/nowhere/disk")),
        says="{place}/data:? (it )?is a symbolic link that leads nowhere",
    ),
    Refused("agent by a relative path", args={"binary": "expanso-edge"}, says="^option binary: the path is not absolute: expanso-edge$"),
    Refused("no data directory", args={"data_dir": ""}, says="^option data_dir: the path is not absolute: ''$"),
    Refused("URL with a line break", args={"bootstrap_url": "https://a\nb"}, says=r"^option bootstrap_url has a line break at character 10: "),
    Refused("account with a line break", args={"user": "root\n"}, says=r"^option user has a line break at character 5: "),
    Refused("much time", args={"timeout": 10**15}, says="timeout is 1000000000000000, but has to be"),
    Refused("no such user", args={"user": "no-such-account"}, says="option user: there is no account 'no-such-account'"),
    Refused("no such group", args={"group": "no-such-group"}, says="there is no group 'no-such-group'"),
    Refused("no token", (), {"token_file": None}, says="no token was given to register it with", fault="missing"),
    Refused("no token file", (), says="bootstrap token file not found: {place}/token; provision the token first", fault="missing"),
    Refused("two tokens", args={"token": "{token}"}, says="mutually exclusive"),
    Refused(
        "blank after the token",
        (write("token", "{token} "),),
        says="invalid bootstrap token in {place}/token: it has white space at its end",
        fault="whitespace",
    ),
    Refused("empty token file", (write("token", ""),), says="invalid bootstrap token in {place}/token: it is empty", fault="empty"),
    Refused("API key", token=lambda: new_key().replace("_bk_", "_ak_"), says="it is an API key", fault="api_key"),
    Refused("expired JWT", token=lambda: new_jwt(-60), says="it is a JWT that expired at", fault="expired"),
    Refused("path for a token", (), {"token": "/etc/expanso/bootstrap.token", "token_file": None}, says="it is the path of a file", fault="path"),
    Refused("token file is a link", (write("real"), lambda place, token: (place / "token").symlink_to("real")), says="{place}/token is a symbolic link"),
    Refused("token file is a directory", (lambda place, token: (place / "token").mkdir(),), says="{place}/token is a directory"),
    Refused("file in the place of the data directory", (TOKEN_FILE, write("data")), says="{place}/data"),
    Refused("no time", args={"timeout": 0}, says="^option timeout is 0, but has to be 1 to 604800 seconds$"),
]

CASES: list[Done | Refused] = [*DONE, *REFUSED]


def hostile(place: Path) -> None:
    """A stand-in agent that prints the token in every form in which tokens leak."""
    program = Path(__file__).resolve().parents[1] / "support" / "expanso-edge"
    shutil.copy(program, place / "hostile")
    (place / "hostile").chmod(0o755)
    (place / "hostile.standin").write_text("EXPANSO_EDGE_STANDIN_NODE_NAME=node\nEXPANSO_EDGE_STANDIN_HOSTILE=1\n")


# All cases go through three runs together, as nodes of one fleet.

SHARDS = ("one", "two")


@dataclass(frozen=True)
class Outcome:
    """What the runs made of a case. A case that is refused runs once only."""

    place: Path
    token: str
    before: dict[str, File]
    after_check: dict[str, File]
    after: dict[str, File]
    after_again: dict[str, File]
    check: Json
    real: Json
    again: Json
    spent: tuple[int, int, int]


def prepare(case: Case, number: str, place: Path, token: str, agent: Path, plane: ControlPlane) -> None:
    """Create what a case begins with: its files, and what the control plane knows of its token."""
    place.mkdir(parents=True)
    for step in case.given:
        step(place, token)
    plane.client.add_token(token if case.known else new_key(), label=number, single_use=case.token is new_jwt)
    if case.spent_before:
        variables = {TOKEN_VARIABLE: token, URL_VARIABLE: plane.url}
        other = place.parents[1] / "another"
        subprocess.run([str(agent), "bootstrap", "--data-dir", str(other)], env=variables, check=True, capture_output=True)


@pytest.fixture(scope="module")
def outcomes(controller: Controller, place: Path, agent: Path) -> dict[str, Outcome]:
    assert len({case.name for case in CASES}) == len(CASES)
    cases = {f"{number:03}": case for number, case in enumerate(CASES) if os.geteuid() == 0 or not case.root}
    places = {number: place / "cases" / number for number in cases}
    tokens = {number: case.token() for number, case in cases.items()}

    with contextlib.ExitStack() as stack:
        planes = {mode: stack.enter_context(ControlPlane()) for mode in {case.mode for case in cases.values()}}
        for number, case in cases.items():
            prepare(case, number, places[number], tokens[number], agent, planes[case.mode])
        for mode, plane in planes.items():
            plane.client.set_mode(mode)

        def run(chosen: Callable[[Case], bool], *arguments: str) -> dict[str, Json]:
            for shard, name in enumerate(SHARDS):
                tasks = [
                    {
                        "name": number,
                        "expanso.edge.edge_registration": case.parameters(places[number], tokens[number], agent, planes[case.mode].url),
                        "ignore_errors": True,
                    }
                    for number, case in list(cases.items())[shard :: len(SHARDS)]
                    if chosen(case)
                ]
                controller.write(f"{name}.json", tasks)
            plays = [{"strategy": "free", "tasks": [{"include_tasks": f"{controller.home}/{{{{ inventory_hostname }}}}.json"}]}]
            done = controller.run(plays, *arguments, hosts={name: {} for name in SHARDS}, secrets=tokens.values())
            assert done.returncode == 0, done.output
            return {event["task"]: {**event["result"], "failed": event["outcome"] == "failed"} for event in done.events}

        def trees() -> dict[str, dict[str, File]]:
            return {number: tree(path) for number, path in places.items()}

        def spent() -> dict[str, int]:
            known = [plane.client.state()["tokens"].items() for plane in planes.values()]
            return {label: token["spent"] for tokens in known for label, token in tokens}

        before = trees()
        check, spent_by_check, after_check = run(lambda case: isinstance(case, Done), "--check", "--diff"), spent(), trees()
        real, spent_really, after = run(lambda case: True, "-vvv"), spent(), trees()
        again, spent_again, after_again = run(lambda case: isinstance(case, Done) and case.changed), spent(), trees()
    return {
        case.name: Outcome(
            places[n],
            tokens[n],
            before[n],
            after_check[n],
            after[n],
            after_again[n],
            check.get(n, {}),
            real[n],
            again.get(n, {}),
            (spent_by_check[n], spent_really[n], spent_again[n]),
        )
        for n, case in cases.items()
    }


def parameters(cases: list[Any]) -> list[Any]:
    return [pytest.param(case, id=case.name, marks=[as_root] if case.root else []) for case in cases]


def assert_says(text: str, pattern: str, place: Path) -> None:
    assert re.search(pattern.replace("{place}", re.escape(str(place))), text), text


@pytest.mark.parametrize("case", parameters(DONE))
def test_done(case: Done, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[case.name]
    for result in (outcome.check, outcome.real, outcome.again) if case.changed else (outcome.check, outcome.real):
        assert not result["failed"], result["msg"]

    # check mode says so, and neither runs the agent nor touches a file
    assert outcome.check["changed"] == case.changed
    assert outcome.after_check == outcome.before

    # for real
    assert (outcome.real["changed"], outcome.real["registered"]) == (case.changed, True)
    assert outcome.real["marker"] == f"{outcome.place}/{case.marker}"
    assert os.path.exists(outcome.real["marker"])
    assert outcome.real["token_removed"] == outcome.check["token_removed"] == case.removed
    had_token = str(outcome.place / "token") in outcome.before
    assert (outcome.place / "token").exists() == (had_token and not case.removed)
    assert_says(outcome.real["msg"], case.says, outcome.place)
    assert case.then(outcome.place)

    # once more, there is nothing to do
    if case.changed:
        assert not outcome.again["changed"] and outcome.again["registered"]
    assert outcome.after_again == outcome.after

    # and the token was spent once at most
    assert outcome.spent == (0, case.spent, case.spent)


@pytest.mark.parametrize("case", parameters(REFUSED))
def test_refused(case: Refused, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[case.name]
    assert outcome.real["failed"], outcome.real
    assert_says(outcome.real["msg"], case.says, outcome.place)
    assert "unexpected" not in outcome.real["msg"]
    assert outcome.real.get("fault") == case.fault
    assert ("agent_output" in outcome.real) == case.output
    assert_says(" ".join(outcome.real.get("agent_output", [])), case.hears, outcome.place)
    assert len(outcome.real.get("agent_output", [])) <= 15
    assert outcome.spent[1] == case.spent
    if not case.output:
        assert outcome.after == outcome.before


def test_hostile_output_is_masked(outcomes: dict[str, Outcome]) -> None:
    """That it holds no spelling of the token is what every run is searched for; here, that there was something to find."""
    line = outcomes["hostile agent"].real["agent_output"][0]
    assert re.fullmatch(r"debug: token=(\S+) base64=(\S+) percent=(\S+) authorization='Basic \S+'", line), line
    assert "*" * 8 in line


@pytest.mark.parametrize(
    "name", ["control plane silent", "agent that will not stop", "agent whose children will not stop", "helper that keeps the output open"]
)
def test_an_agent_that_ran_out_of_time_is_gone(name: str, outcomes: dict[str, Outcome]) -> None:
    data = str(outcomes[name].place / "data").encode()
    assert [each.command for each in processes() if data in each.command] == []


@pytest.mark.parametrize("pipelining", ["1", "0"])
def test_the_token_is_seen_in_the_environment_of_the_agent_only(pipelining: str, controller: Controller, place: Path, agent: Path, plane: ControlPlane) -> None:
    """While the agent waits for an answer, every process of the machine is looked at."""
    token = new_key()
    plane.client.add_token(token)
    plane.client.set_mode("slow", seconds=2)
    holders: set[bytes] = set()
    tellers: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            seen = list(processes())
            tellers.update(each.command for each in seen if token.encode() in each.command)
            holders.update(each.command for each in seen if token.encode() in each.environment)

    # by file, which puts the token into no payload
    write(f"seen{pipelining}/token")(place, token)
    data = place / f"seen{pipelining}" / "data"
    task = {
        "name": "register",
        "expanso.edge.edge_registration": {
            "binary": str(agent),
            "data_dir": str(data),
            "bootstrap_url": plane.url,
            "token_file": str(data.parent / "token"),
        },
    }
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run = controller.run([{"tasks": [task]}], "-vvv", secrets=[token], environment={"ANSIBLE_PIPELINING": pipelining})
    finally:
        over.set()
        watcher.join()
    assert run.result("register")["registered"], run.output
    assert plane.client.nodes(token) == {"node": 1}
    assert tellers == set()
    assert holders and all(b"\0bootstrap\0--data-dir\0" + bytes(data) in command for command in holders), holders


def test_two_runs_at_once_spend_one_token(controller: Controller, place: Path, agent: Path, plane: ControlPlane) -> None:
    token = new_key()
    plane.client.add_token(token)
    plane.client.set_mode("slow", seconds=2)
    write("both/token")(place, token)
    (place / "both" / "data").mkdir()
    options = {"binary": str(agent), "data_dir": str(place / "both/data"), "bootstrap_url": plane.url, "token_file": str(place / "both/token")}
    hosts: dict[str, Json] = {name: {} for name in ("one", "two", "three")}
    run = controller.run([{"tasks": [{"name": "register", "expanso.edge.edge_registration": options}]}], hosts=hosts, secrets=[token])
    results = [run.result("register", host) for host in hosts]
    assert [result["registered"] for result in results] == [True] * 3, run.output
    assert sorted(result["msg"] for result in results) == ["registered", *["registered by another run at the same time"] * 2]
    assert plane.client.nodes(token) == {"node": 1}


AT_WORK = """
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
open(sys.argv[1] + "/identity", "w").close()
"""


@pytest.mark.parametrize(
    ("seconds", "timeout", "says"), [("12", 90, "registered by another run"), ("300", 2, "another registration is at work in .*/data and did not end")]
)
def test_an_agent_that_a_killed_run_left_at_work_is_waited_for(
    seconds: str, timeout: int, says: str, controller: Controller, place: Path, agent: Path, plane: ControlPlane
) -> None:
    token = new_key()
    plane.client.add_token(token)
    write(f"left{seconds}/token")(place, token)
    data = place / f"left{seconds}" / "data"
    data.mkdir()
    options = {"binary": str(agent), "data_dir": str(data), "bootstrap_url": plane.url, "token_file": str(data.parent / "token"), "timeout": timeout}
    with subprocess.Popen(["python3", "-c", AT_WORK, str(data), seconds], stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"locked\n"
        run = controller.run([{"tasks": [{"name": "register", "expanso.edge.edge_registration": options}]}], secrets=[token])
        other.kill()
    assert_says(run.result("register")["msg"], says, place)
    assert plane.client.state()["tokens"] and plane.client.nodes(token) == {}
