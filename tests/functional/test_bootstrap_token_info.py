# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module bootstrap_token_info: what it finds on a node, which it leaves as it is."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import Controller, Json
from control_plane import new_jwt, new_key
from files import NOBODY, grant, tree

KEY, OTHER_KEY, JWT, EXPIRED_JWT = new_key(), new_key(), new_jwt(), new_jwt(-60)
API_KEY = new_key().replace("exp_bk_", "exp_ak_")
SECRETS = (KEY, OTHER_KEY, JWT, EXPIRED_JWT, API_KEY)
ENV = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"
DAY = 86400

NEAR = ["processes", "units", "neighbours"]  # not the logs of this machine

Step = Callable[[Path], Any]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for files and processes of other accounts")


def fingerprint(token: str) -> str:
    return hashlib.sha256(f"expanso.edge bootstrap token\0{token}".encode()).hexdigest()[:12]


def put(content: str | bytes = KEY, mode: int = 0o600, name: str = "token", owner: int = -1, group: int = -1, age: float = 0) -> Step:
    """A file in the place."""

    def step(place: Path) -> None:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.chown(path, owner, group)
        path.chmod(mode)
        os.utime(path, (time.time() - age,) * 2)

    return step


def open_directory(place: Path) -> None:
    (place / "open").mkdir()
    (place / "open").chmod(0o1777)
    put(name="open/token")(place)


def closed_directory(place: Path) -> None:
    (place / "closed").mkdir()
    put(name="closed/token", owner=NOBODY, group=NOBODY)(place)
    (place / "closed").chmod(0o700)


@dataclass(frozen=True)
class Case:
    """A node, what is asked of it, and the findings for the first path: severity and code."""

    name: str
    given: tuple[Step, ...] = (put(),)
    args: Json = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    entry: Json = field(default_factory=dict)  # what else the entry says
    node: tuple[str, ...] = ()  # codes of findings about tokens that are in none of the paths
    says: str = ""  # in the messages and remedies
    root: bool = False  # whether making it needs root

    def parameters(self, place: Path) -> Json:
        def below(value: Any) -> Any:
            return value.replace("{place}", str(place)) if isinstance(value, str) else value

        given = {"paths": ["{place}/token"], "data_dir": "{place}/data", "exposure": False, "places": NEAR, **self.args}
        return {name: [below(each) for each in value] if isinstance(value, list) else below(value) for name, value in given.items()}


def invalid(name: str, content: str | bytes, code: str, *more: str, **rest: Any) -> Case:
    """A file with something else than a token."""
    entry = {"token_kind": None, "fingerprint": None, "expires_at": None}
    return Case(name, (put(content),), findings=(f"error {code}", *more), entry=entry, says="invalid bootstrap token: {place}/token: ", **rest)


REGISTERED = put("", name="data/auth/credentials.creds")
AGENTS = {"owner": "nobody", "group": "nogroup"}
CASES = [
    Case("good key", entry={"exists": True, "state": "file", "mode": "0600", "format": "raw", "token_kind": "bootstrap_key", "registered": False}),
    Case("good JWT", (put(JWT),), entry={"token_kind": "jwt", "expires_at": re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "size": len(JWT)}),
    Case("opaque", (put("an-opaque-token"),), findings=("info unknown_shape",), entry={"token_kind": "opaque"}),
    Case("stricter than asked", (put(mode=0o400),)),
    Case("environment file", (put(f"# x\n{ENV}='{KEY}'\nA=b\n"),), entry={"format": "env", "token_kind": "bootstrap_key"}),
    # nothing, or something else
    Case("missing", (), findings=("error token_not_found",), entry={"exists": False, "state": "absent", "size": None}, says="bootstrap token file not found: "),
    Case(
        "missing and registered", (REGISTERED,), findings=("info token_not_found",), entry={"registered": True, "marker": "{place}/data/auth/credentials.creds"}
    ),
    Case("missing, another one there", (put(name="env"),), {"paths": ["{place}/token", "{place}/env"]}, ("info token_not_found",)),
    Case("no directory", args={"paths": ["{place}/token/token"]}, findings=("error token_not_found",)),
    Case("symbolic link", (put(name="t"), lambda place: (place / "token").symlink_to("t")), findings=("error symbolic_link",), entry={"state": "link"}),
    Case("dangling link", (lambda place: (place / "token").symlink_to("t"),), findings=("error symbolic_link",), entry={"exists": True}),
    Case("directory", (lambda place: (place / "token").mkdir(),), findings=("error not_regular_file",), entry={"state": "directory"}),
    Case("pipe", (lambda place: os.mkfifo(place / "token"),), findings=("error not_regular_file",), entry={"state": "other"}),
    # permissions
    Case("hard link", (put(), lambda place: os.link(place / "token", place / "t")), findings=("error hard_link",)),
    Case("readable by all", (put(mode=0o644),), findings=("error mode_too_wide",), entry={"mode": "0644"}, says="wider than 0600"),
    Case("readable by its group", (put(mode=0o640),), findings=("error mode_too_wide",)),
    Case("readable by its group, as asked", (put(mode=0o640),), {"mode": "0640"}),
    Case("mode as a number", (put(mode=0o640),), {"mode": 0o640}),
    Case("set user id", (put(mode=0o4600),), findings=("error mode_too_wide",), entry={"mode": "4600"}),
    Case("wrong owner", (put(owner=NOBODY),), findings=("error wrong_owner",), entry={"owner": "nobody"}, root=True),
    Case("wrong group", (put(group=NOBODY),), {"group": "root"}, ("error wrong_group",), entry={"group": "nogroup"}, root=True),
    Case("a group that gets nothing", (put(group=NOBODY),), root=True),
    Case("the agent's", (put(owner=NOBODY, group=NOBODY),), AGENTS, root=True),
    Case("the agent's, by numbers", (put(owner=4711, group=4712),), {"owner": "4711", "group": "4712"}, entry={"owner": "4711", "group": "4712"}, root=True),
    Case(
        "root's, where the agent is none",
        args={"owner": "nobody"},
        findings=("error permission_denied", "error wrong_owner"),
        says=r"permission denied reading bootstrap token: the account nobody cannot read {place}/token, which is root:root 0600.*"
        "chown root:root would lock that account out",
        root=True,
    ),
    Case(
        "directory closed to the agent",
        (closed_directory,),
        {**AGENTS, "paths": ["{place}/closed/token"]},
        ("error permission_denied",),
        says="the account nobody cannot pass the directory {place}/closed to read",
        root=True,
    ),
    Case("for the agent's group", (put(group=NOBODY, mode=0o640),), {"owner": "root", "group": "nogroup", "mode": "0640"}, root=True),
    Case(
        "not for the agent's group",
        (put(mode=0o640),),
        {"owner": "root", "group": "nogroup", "mode": "0640"},
        ("error permission_denied", "error wrong_group"),
        says="the group nogroup cannot read",
        root=True,
    ),
    Case("no such account", args={"owner": "no-such-account"}, findings=("error account_missing",), says="there is no account 'no-such-account' on this node"),
    Case("no such group", args={"group": "no-such-group"}, findings=("error account_missing",)),
    Case(
        "access control list",
        (put(), lambda place: grant(place / "token", "user", NOBODY, 4)),
        # the mask of the list shows as the group's permissions
        findings=("error mode_too_wide", "error acl_grants_access"),
        says="the access control list of {place}/token gives access to user nobody",
    ),
    Case("masked access control list", (put(), lambda place: grant(place / "token", "user", NOBODY, 4, mask=0))),
    Case(
        "open directory",
        (open_directory,),
        {"paths": ["{place}/open/token"]},
        ("error directory_writable",),
        says="every account can write to the directory {place}/open",
    ),
    # content
    invalid("empty", "", "empty"),
    invalid("blank at the end", KEY + " ", "whitespace"),
    invalid("blank inside", KEY[:20] + " " + KEY[20:], "whitespace"),
    invalid("tab at the start", "\t" + KEY, "whitespace"),
    Case("line feed", (put(KEY + "\n"),), findings=("warning trailing_newline",), entry={"token_kind": "bootstrap_key"}, says="ends with a line feed"),
    invalid("two line feeds", KEY + "\n\n", "line_break", "warning trailing_newline"),
    invalid("carriage return", KEY + "\r\n", "line_break", "warning trailing_newline"),
    invalid("NUL", KEY + "\0", "control_character"),
    invalid("byte order mark", "\ufeff" + KEY, "bom"),
    invalid("UTF-16", KEY.encode("utf-16"), "bom"),
    invalid("not ASCII", KEY + "é", "not_ascii"),
    invalid("API key", API_KEY, "api_key"),
    invalid("placeholder", "YOUR_BOOTSTRAP_TOKEN", "placeholder"),
    invalid("documented placeholder", "exp_bk_CHANGE_ME\n", "placeholder", "warning trailing_newline"),
    invalid("mask", "$encrypted$", "masked"),
    invalid("vault text", "$ANSIBLE_VAULT;1.1;AES256\n3132\n", "vault_text", "warning trailing_newline"),
    invalid("shell expression", "${EXPANSO_TOKEN}", "template"),
    invalid("path", "/etc/expanso/bootstrap.token", "path"),
    invalid("URL", "https://start.cloud.expanso.io", "url"),
    invalid("quoted", f'"{KEY}"', "quoted"),
    invalid("another variable", f"API_TOKEN={KEY}", "assignment"),
    invalid("truncated", "exp_bk_", "truncated"),
    invalid("too long", "exp_bk_" + "x" * 17000, "too_long"),
    Case("far too long", (put("exp_bk_" + "x" * 200000),), findings=("error too_long",), entry={"size": 200007}),
    Case("expired", (put(EXPIRED_JWT),), findings=("error expired",), entry={"token_kind": "jwt"}, says="it is a JWT that expired at 20"),
    Case(
        "raw in an environment file",
        (put(name="bootstrap.env"),),
        {"paths": ["{place}/bootstrap.env"]},
        ("error variable_missing",),
        entry={"format": "env", "token_kind": None},
    ),
    # life
    Case("left over", (put(), REGISTERED), findings=("warning left_over",), says="the node is registered \\({place}/data/auth/credentials.creds exists\\)"),
    Case("expired and left over", (put(EXPIRED_JWT), REGISTERED), findings=("warning left_over", "info expired")),
    Case("other marker", (put(), put("", name="m")), {"registration_markers": ["{place}/none", "{place}/m"]}, ("warning left_over",), {"marker": "{place}/m"}),
    Case("no markers", (put(), REGISTERED), {"registration_markers": []}, entry={"registered": False}),
    Case("too old", (put(age=31.5 * DAY),), {"max_age": 30}, ("warning too_old",), {"age_days": 31}),
    Case("old enough", (put(age=29.5 * DAY),), {"max_age": 30}, entry={"age_days": 29}),
    Case("pipeline secret", (put(), put(f"a: {KEY}", name="p")), {"pipeline_secret_files": ["{place}/p"]}, ("error pipeline_secret",)),
    Case("other pipeline secret", (put(), put(f"a: {OTHER_KEY}", name="p")), {"pipeline_secret_files": ["{place}/p"]}, node=("pipeline_secret",)),
    Case("no bootstrap token", (put(), put("a: secret-of-a-pipeline", name="p")), {"pipeline_secret_files": ["{place}/p"]}),
    Case("no pipeline file", args={"pipeline_secret_files": ["{place}/p"]}, findings=("info pipeline_unknown",)),
    Case("interrupted write", (put(), put(name=".token.x.expanso-edge.tmp", age=DAY)), findings=("warning temporary_file",)),
    Case("interrupted just now", (put(), put(name=".token.x.expanso-edge.tmp")), findings=("warning temporary_file",)),
    # exposure, on disk
    Case("no exposure", args={"exposure": True}),
    Case("open copy", (put(), put(name="token.bak", mode=0o644)), {"exposure": True}, ("error copy_readable",), says="{place}/token.bak holds the token too"),
    Case("closed copy", (put(), put(f"x {KEY}", name="notes")), {"exposure": True}, ("warning copy",), says="{place}/notes holds the token too"),
    Case("open backup of another", (put(), put(OTHER_KEY, name=".token.swp", mode=0o644)), {"exposure": True}, ("error copy_readable",), says="former token"),
    Case("backup without its file", (put(name="token~"), REGISTERED), {"exposure": True}, ("warning copy", "info token_not_found")),
    Case("not looked for", (put(), put(name="token.bak", mode=0o644))),
    Case("a name that tells the token", (put(), put(name=KEY, mode=0o644)), {"exposure": True}, ("error copy_readable",), says=r"{place}/\*{8} holds"),
    Case(
        "a name that is not text",
        (put(), put(name="copy\x1b[1m\n\udcff", mode=0o644)),
        {"exposure": True},
        ("error copy_readable",),
        says=r"{place}/copy\?\[1m\?\? holds the token too",
    ),
    Case(
        "pipes for the agent",
        (put(), lambda place: os.mkfifo(place / "pipe")),
        {"exposure": True, "agent_binary": ["{place}/pipe", "/proc/kmsg"]},
    ),
    Case(
        "a copy far into a file",
        (put(), put("x" * 5_000_000 + KEY, name="log")),
        {"exposure": True},
        ("warning copy",),
        says="{place}/log holds the token too",
    ),
    Case(
        "units",
        (put(), put(f"[Service]\nEnvironment=T={KEY}\n", name="u/a.service"), put(base64.b64encode(KEY.encode()), name="u/b.service.d/b.conf")),
        {"exposure": True, "systemd_unit_directories": ["{place}/u", "{place}/none"]},
        ("error token_in_unit", "error token_in_unit"),
        says="{place}/u/b.service.d/b.conf",
    ),
    Case("too short to look for", (put("abcdefg"), put("abcdefg", name="notes")), {"exposure": True}, ("info unknown_shape", "info exposure_incomplete")),
    Case("too short for a token", (put("abc"),), {"exposure": True}, ("error too_short",)),
]


@pytest.fixture(scope="module")
def entries(controller: Controller, place: Path) -> dict[str, tuple[Path, Json]]:
    """Where each case is, and what the module returns. Check mode, which the module does not ask for, is tried with a few."""
    cases = [case for case in CASES if os.geteuid() == 0 or not case.root]
    tasks = []
    for number, case in enumerate(cases):
        home = place / "cases" / f"{number:03}"
        home.mkdir(parents=True)
        for step in case.given:
            step(home)
        tasks.append({"name": case.name, "expanso.edge.bootstrap_token_info": case.parameters(home)})
    before = tree(place / "cases")
    real = controller.run([{"tasks": tasks}], "-v", secrets=SECRETS)
    check = controller.run([{"tasks": tasks[::10]}], "--check", "--diff", secrets=SECRETS)
    assert real.returncode == check.returncode == 0, real.output + check.output
    assert tree(place / "cases") == before
    for case in cases[::10]:
        assert real.result(case.name)["tokens"] == check.result(case.name)["tokens"]
    return {case.name: (place / "cases" / f"{number:03}", real.result(case.name)) for number, case in enumerate(cases)}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=[as_root] if case.root else []) for case in CASES])
def test_case(case: Case, entries: dict[str, tuple[Path, Json]]) -> None:
    place, result = entries[case.name]
    entry, findings = result["tokens"][0], result["tokens"][0]["findings"]
    assert result["changed"] is False
    assert entry["path"] == case.parameters(place)["paths"][0]
    assert [f"{finding['severity']} {finding['code']}" for finding in findings] == list(case.findings)
    assert all(finding["message"] and finding["remedy"] for finding in findings)
    severities = [finding["severity"] for each in [*result["tokens"], result["node"]] for finding in each["findings"]]
    assert (result["error_count"], result["warning_count"]) == (severities.count("error"), severities.count("warning"))
    others = [finding for finding in result["node"]["findings"] if finding["place"] not in ("arguments", "environment")]  # of tests beside this one
    assert [finding["code"] for finding in others] == list(case.node) and result["node"]["registered"] == entry["registered"]
    for name, value in case.entry.items():
        if isinstance(value, re.Pattern):
            assert value.fullmatch(entry[name])
        else:
            assert entry[name] == (value.replace("{place}", str(place)) if isinstance(value, str) else value)
    said = " ".join(finding["message"] + " " + finding["remedy"] for finding in findings)
    assert re.search(case.says.replace("{place}", re.escape(str(place))), said), said


# Processes


@contextmanager
def running(*arguments: str | Path, account: int | None = None, **environment: str) -> Iterator[str]:
    """A program that waits for its standard input to end, as the module names it."""
    process = subprocess.Popen([str(each) for each in arguments], env={"PATH": os.environ["PATH"], **environment}, stdin=subprocess.PIPE, user=account)
    try:
        yield f"{process.pid} ({Path(arguments[0]).name})"
    finally:
        process.communicate(timeout=30)


def codes(entry: Json) -> list[str]:
    return [finding["code"] for finding in entry["findings"]]


@as_root
def test_processes(controller: Controller, place: Path) -> None:
    home = place / "processes"
    put(name="processes/token")(place)
    agent = home / "expanso-edge"
    shutil.copy(os.path.realpath("/bin/sh"), agent)
    arguments = {"paths": [str(home / "token")], "data_dir": str(home / "data"), "agent_binary": [str(agent)], "places": NEAR}
    with (
        running("/bin/sh", "-c", "read x", f"--token={KEY}", account=NOBODY) as other,
        running(agent, "-c", "read x", KEY) as careless,
        running("/bin/cat", TOKEN=KEY) as holder,
        running(agent, "-c", "read x", **{ENV: KEY}) as right,
    ):
        run = controller.run([{"tasks": [{"name": "audit", "expanso.edge.bootstrap_token_info": arguments}]}], "-vvv", secrets=SECRETS)
    (entry,) = run.result("audit")["tokens"]
    assert codes(entry) == ["token_in_arguments", "token_in_environment"]
    in_arguments, in_environment = (finding["message"] for finding in entry["findings"])
    assert other in in_arguments and careless in in_arguments
    assert holder in in_environment
    assert right not in in_arguments + in_environment


def test_a_token_that_no_file_holds(controller: Controller, place: Path) -> None:
    """The former token after a rotation. Giving it to the module exposes it nowhere that the module then finds."""
    put(name="former/token")(place)
    put(OTHER_KEY, name="former/token.old", mode=0o644)(place)
    arguments = {"paths": [str(place / "former" / "token")], "data_dir": str(place / "former" / "data"), "places": NEAR}
    tasks = [
        {"name": "former", "expanso.edge.bootstrap_token_info": {**arguments, "token": OTHER_KEY}},
        {"name": "nowhere", "expanso.edge.bootstrap_token_info": {**arguments, "token": JWT}},
        {"name": "held", "expanso.edge.bootstrap_token_info": {**arguments, "token": KEY}},
        {"name": "placeholder", "expanso.edge.bootstrap_token_info": {**arguments, "token": "YOUR_TOKEN"}},
    ]
    with running("/bin/sh", "-c", "read x", OTHER_KEY) as process:
        run = controller.run([{"tasks": tasks}], "-vvv", secrets=SECRETS, environment={ENV: OTHER_KEY, "ANSIBLE_PIPELINING": "0"})
    own, given = run.result("former")["tokens"]
    assert (own["path"], codes(own)) == (str(place / "former" / "token"), ["copy_readable"])
    assert "former token" in own["findings"][0]["message"]
    assert (given["path"], given["state"], given["token_kind"], codes(given)) == (None, None, "bootstrap_key", ["token_in_arguments", "copy_readable"])
    # not ansible-playbook, which has the token in its environment
    assert f"command line of process {process}," in given["findings"][0]["message"]
    assert [codes(entry) for entry in run.result("nowhere")["tokens"]] == [["copy_readable"], []]
    assert [entry["path"] for entry in run.result("held")["tokens"]] == [str(place / "former" / "token")]
    assert [codes(entry) for entry in run.result("placeholder")["tokens"]] == [["copy_readable"], ["placeholder"]]


@as_root
def test_an_account_that_sees_a_part_only(controller: Controller, place: Path) -> None:
    """Not a failure: what it cannot see is told."""
    put(name="part/root")(place)
    put(name="part/own", owner=NOBODY)(place)
    put("", name="part/data/auth/credentials.creds")(place)
    (place / "part" / "data").chmod(0o700)
    closed_directory(place / "part")
    os.chown(place / "part" / "closed", 0, 0)
    paths = [str(place / "part" / name) for name in ("root", "own", "closed/token")]
    arguments = {"paths": paths, "data_dir": str(place / "part" / "data"), "places": NEAR}
    become = {"become": True, "become_user": "nobody", "become_method": "su", "become_flags": "-s /bin/sh"}
    run = controller.run([{**become, "tasks": [{"name": "audit", "expanso.edge.bootstrap_token_info": arguments}]}], secrets=SECRETS)
    roots, own, closed = run.result("audit")["tokens"]
    assert (codes(roots), roots["exists"], roots["mode"], roots["format"]) == (["not_readable", "registration_unknown"], True, "0600", None)
    assert roots["findings"][0]["message"] == f"permission denied reading bootstrap token: the account nobody cannot read {roots['path']}"
    assert (codes(closed), closed["exists"], closed["state"]) == (["not_readable", "registration_unknown"], None, "unknown")
    assert codes(own) == ["registration_unknown", "exposure_incomplete"]
    assert own["registered"] is None
    assert re.search(r"could not look everywhere for the token \(processes: [1-9]\d*, files: [1-9]\d*\)", own["findings"][-1]["message"])


def test_options_that_make_no_sense(controller: Controller) -> None:
    refused = {
        "option mode: 0644 is not possible here: write it as a quoted octal string": {"mode": "0644"},
        "option mode: rw is not possible here": {"mode": "rw"},
        "option paths: the path is not absolute: etc/token": {"paths": ["etc/token"]},
        "option fingerprints: this is not the fingerprint of a token": {"fingerprints": [KEY]},
        "option units: * is not the name of a unit": {"units": ["*"]},
    }
    run = controller.run([{"ignore_errors": True, "tasks": [{"name": says, "expanso.edge.bootstrap_token_info": refused[says]} for says in refused]}])
    for says in refused:
        assert run.event(says)["outcome"] == "failed"
        assert says in run.result(says)["msg"]


def test_every_core(every_core: Controller, place: Path) -> None:
    """With its defaults, which look all over this machine, and in one remote command."""
    put(f"{KEY}\n", name=f"{every_core.core}/token")(place)
    arguments = {"paths": [str(place / every_core.core / "token")], "data_dir": str(place / every_core.core / "data"), "places": NEAR[1:]}
    tasks = [
        {"name": "defaults", "expanso.edge.bootstrap_token_info": {}},
        {"name": "audit", "expanso.edge.bootstrap_token_info": {**arguments, "token": OTHER_KEY}, "register": "audit"},
        {"name": "show", "ansible.builtin.debug": {"var": "audit"}},
        {"name": "judge", "ansible.builtin.assert": {"that": ["audit.error_count == 0", "audit.warning_count == 1"]}},
    ]
    run = every_core.run([{"tasks": tasks}], "-vvv", secrets=SECRETS)
    assert run.returncode == 0, run.output
    assert len(run.result("defaults")["tokens"]) == 2
    assert [codes(entry) for entry in run.result("audit")["tokens"]] == [["trailing_newline"], []]
    assert "warnings" not in run.result("audit")
    assert run.remote_commands("node") == 2


@as_root
def test_the_tasks_of_roles(controller: Controller, place: Path) -> None:
    """In check mode, without facts, on a node that is stuck, where a token is left in a file that anybody can read, and on one that has nothing."""
    home = place / "roles"
    put(name="roles/token", age=2 * DAY)(place)
    put(f"{ENV}={OTHER_KEY}\n", name="roles/env", age=2 * DAY)(place)
    left = Path(f"/tmp/{home.parent.name}-{os.getpid()}.txt")
    left.write_text(f"expanso-edge bootstrap --token {JWT}\n")
    left.chmod(0o644)
    common = {"expanso_edge_audit_places": ["processes", "neighbours", "temporary"], "expanso_edge_fingerprint": fingerprint(JWT)}
    stuck = {
        "token_file_path": str(home / "token"),
        "token_file_data_dir": str(home / "data"),
        "systemd_service_environment_file": str(home / "env"),
        "systemd_service_data_dir": str(home / "data"),
        "systemd_service_name": "expanso-edge-test",
    }
    blank = {name: value.replace("roles", "none") for name, value in stuck.items()}
    tasks: list[Json] = []
    for role in ("token_file", "systemd_service"):
        tasks.append({"ansible.builtin.include_role": {"name": f"expanso.edge.{role}", "tasks_from": "audit"}})
        tasks.append({"name": role, "ansible.builtin.debug": {"var": f"{role}_audit"}})
    try:
        run = controller.run([{"tasks": tasks}], "--check", "-vvv", hosts={"stuck": {**common, **stuck}, "blank": {**common, **blank}}, secrets=SECRETS)
    finally:
        left.unlink()
    assert run.returncode == 0, run.output
    file, service = (run.result(role, "stuck")[f"{role}_audit"] for role in ("token_file", "systemd_service"))
    assert codes(file["tokens"][0]) == ["not_registered_in_time"]
    (leaked,) = [finding for finding in file["node"]["findings"] if finding["place"] == str(left)]
    assert (leaked["code"], leaked["severity"], leaked["fingerprint"]) == ("token_in_temporary_file", "error", fingerprint(JWT))
    assert "which is asked for" in leaked["message"] and "revoke" in leaked["remedy"]
    assert service["tokens"][0]["fingerprint"] == fingerprint(OTHER_KEY) and "not_registered_in_time" in codes(service["tokens"][0])
    assert [entry["state"] for entry in service["tokens"]] == ["file", "absent", "absent"]
    for role in ("token_file", "systemd_service"):
        nothing = run.result(role, "blank")[f"{role}_audit"]
        assert [codes(entry)[0] for entry in nothing["tokens"]] == ["token_not_found"] * len(nothing["tokens"])
        assert nothing["error_count"] == 1 + sum(finding["severity"] == "error" for finding in nothing["node"]["findings"])
        assert (nothing["node"]["registered"], nothing["node"]["record"]) == (False, None)
    assert run.remote_commands("stuck") == run.remote_commands("blank") == 2
