# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module systemd_units on a node without a systemd at work, as while an image is built."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_runs import Controller, Json
from files import tree

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whom units belong to"),
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the programs of systemd"),
    pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="needs a machine where systemd does not run"),
]

UNIT = "edge-test.service"
TEXT = "[Service]\nExecStart=/bin/true\n"
MARKED = f"# Managed by expanso.edge.\n{TEXT}"
OF_ROLE = f"# Ansible manages this file (expanso.edge.systemd_service). Changes of yours belong into a drop-in.\n\n{TEXT}"
OTHER = "[Unit]\nDescription=Another\n[Service]\nExecStart=/bin/false\n"


@dataclass(frozen=True)
class Case:
    """What lies there, what is asked for, and what comes of it."""

    name: str
    args: Json = field(default_factory=lambda: {"units": {UNIT: TEXT}})
    there: str | None = None
    after: str | None = MARKED
    changed: bool = True
    says: str = ""  # of one that is refused


ABSENT: Json = {"absent": [UNIT]}
NOT_OURS = "is not managed by this collection (it has no line '# Managed by expanso.edge.'), so it is not "

CASES = [
    Case("new"),
    Case("there already", there=MARKED, changed=False),
    Case("text of the role", args={"units": {UNIT: OF_ROLE}}, there=OF_ROLE, after=OF_ROLE, changed=False),
    Case("written by 1.0.0", there=OF_ROLE),
    Case("written by 1.0.0 without the role", there=TEXT),
    Case("changed by hand", there=MARKED.replace("true", "false")),
    Case("unmanaged", there=OTHER, after=OTHER, says=f"/{UNIT} {NOT_OURS}replaced"),
    Case("unmanaged, adopted", {"units": {UNIT: TEXT}, "adopt": True}, there=OTHER),
    Case("empty, which masks it", there="", after="", says=f"{NOT_OURS}replaced"),
    Case("removed", ABSENT, there=MARKED, after=None),
    Case("removed, written by 1.0.0", ABSENT, there=OF_ROLE, after=None),
    Case("removed already", ABSENT, after=None, changed=False),
    Case("not removed", ABSENT, there=OTHER, after=OTHER, says=f"{NOT_OURS}removed"),
    Case("removed, adopted", {**ABSENT, "adopt": True}, there=OTHER, after=None),
    Case("a link", {"units": {UNIT: TEXT}}, there="-> /etc/hostname", says="is a symbolic link"),
    Case("masked", there="-> /dev/null", says=f"the unit {UNIT} is masked, so it cannot be started: run 'systemctl unmask {UNIT}' to allow it"),
    Case("masked, not removed", ABSENT, there="-> /dev/null", changed=False),
    # what cannot be meant
    Case("nested", {"units": {UNIT: {"Service": {"ExecStart": "/bin/true"}}}}, after=None, says=f"the content of {UNIT} is not a text, but of type dict"),
    Case("numeric", {"units": {UNIT: 5}}, after=None, says="is not a text, but of type int"),
    Case("no name", {"units": {"../edge": TEXT}}, after=None, says="'../edge' is not the name of a unit"),
    Case("control character", {"units": {"edge\n.service": TEXT}}, after=None, says="'edge?.service' is not the name of a unit"),
    Case("both", {"units": {UNIT: TEXT}, "absent": [UNIT]}, after=None, says="cannot be in units and in absent"),
    Case("null", {"absent": [UNIT], "directory": None}, after=None, says="option directory"),
    Case("no directory", {"units": {UNIT: TEXT}, "directory": ""}, after=None, says="option directory: the path is not absolute: ''"),
    Case("open directory", {"units": {UNIT: TEXT}, "directory": "/tmp"}, after=None, says="every account can write to the directory /tmp"),
    Case("must run", {"units": {UNIT: TEXT}, "running": True}, after=None, says="systemd does not run on this node"),
    Case(
        "number without an account",
        {"units": {UNIT: TEXT}, "executables": ["/bin/true"], "user": "47110815"},
        after=None,
        says="there is no account with the number 47110815",
    ),
    Case("page for a program", {"units": {UNIT: TEXT}, "executables": ["{place}/page"]}, after=None, says="is neither a program nor a script"),
    Case("pipe for a program", {"units": {UNIT: TEXT}, "executables": ["{place}/pipe"]}, after=None, says="is not a regular file"),
    Case("data directory is a link", {"units": {UNIT: TEXT}, "data_dir": "{place}/link"}, after=None, says="is a symbolic link, to /srv"),
    Case("data directory in an open one", {"units": {UNIT: TEXT}, "data_dir": "/tmp/data"}, after=None, says="every account can write to the directory /tmp"),
]

WARNED = ("number without an account", "page for a program", "pipe for a program")
"""What an earlier task may create does not fail check mode."""


@pytest.fixture(scope="module")
def outcomes(controller: Controller, place: Path) -> dict[str, tuple[Path, Json, Json, Json]]:
    """The results of check mode, of the real run and of one more."""
    tasks = []
    for number, case in enumerate(CASES):
        folder = place / f"units{number}"
        folder.mkdir()
        (folder / "page").write_text("<html>")
        (folder / "page").chmod(0o755)
        os.mkfifo(folder / "pipe", 0o755)
        (folder / "link").symlink_to("/srv")
        units = folder / "units"
        units.mkdir()
        if case.there is not None and case.there.startswith("-> "):
            (units / UNIT).symlink_to(case.there[3:])
        elif case.there is not None:
            (units / UNIT).write_text(case.there)
        args = {"directory": str(units), **case.args}
        args = {key: [each.replace("{place}", str(folder)) for each in value] if isinstance(value, list) else value for key, value in args.items()}
        args = {key: value.replace("{place}", str(folder)) if isinstance(value, str) else value for key, value in args.items()}
        tasks.append({"name": case.name, "expanso.edge.systemd_units": args, "ignore_errors": True})

    def run(*arguments: str) -> dict[str, Json]:
        done = controller.run([{"tasks": tasks}], *arguments)
        return {event["task"]: {**event["result"], "failed": event["outcome"] == "failed"} for event in done.events}

    before = tree(place)
    check = run("--check", "--diff")
    after = tree(place)
    assert {path: each for path, each in before.items() if "/units" in path} == {path: each for path, each in after.items() if "/units" in path}
    real, again = run("--diff"), run()
    return {case.name: (place / f"units{number}" / "units" / UNIT, check[case.name], real[case.name], again[case.name]) for number, case in enumerate(CASES)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_units(case: Case, outcomes: dict[str, tuple[Path, Json, Json, Json]]) -> None:
    path, check, real, again = outcomes[case.name]
    for result in (check, real, again):
        if case.says and not (result is check and case.name in WARNED):
            assert result["failed"] and case.says in result["msg"], result
            assert "unexpected" not in result["msg"]
        else:
            assert not result["failed"], result["msg"]
    if not case.says:
        assert (check["changed"], real["changed"], again["changed"]) == (case.changed, case.changed, False)
        assert not real["running"] and not real["reload_needed"]
    if case.there is not None and case.there.startswith("-> "):
        assert os.readlink(path) == case.there[3:]
    else:
        assert (path.read_text() if path.exists() else None) == case.after


def test_a_unit_of_another_directory_is_not_overridden(controller: Controller, place: Path) -> None:
    """As where another role's variables make the service that of a package."""
    directory = place / "own"
    directory.mkdir()
    foreign = next(Path("/lib/systemd/system").glob("systemd-*.service"))
    args = {"directory": str(directory), "units": {foreign.name: TEXT}}
    tasks = [
        {"name": "refused", "expanso.edge.systemd_units": args, "ignore_errors": True},
        {"name": "adopted", "expanso.edge.systemd_units": {**args, "adopt": True}},
        {"name": "removed", "expanso.edge.systemd_units": {"directory": str(directory), "absent": [foreign.name]}},
    ]
    run = controller.run([{"tasks": tasks}])
    assert f"/{foreign.name} {NOT_OURS}overridden" in run.result("refused")["msg"]
    assert run.result("adopted")["changed"] and run.result("removed")["changed"] and not list(directory.iterdir())


def test_the_role_builds_an_image(controller: Controller, place: Path) -> None:
    for name in ("image", "image/units", "image/etc"):
        (place / name).mkdir()
    token = "exp_bk_Zq81mKx02LwPd7"
    variables = {
        "expanso_edge_token": token,
        "systemd_service_state": "stopped",
        "systemd_service_enabled": False,  # this machine keeps its own links
        "systemd_service_name": "edge-test-image",
        "systemd_service_unit_directory": str(place / "image/units"),
        "systemd_service_environment_file": str(place / "image/etc/bootstrap.env"),
        "systemd_service_credential_file": str(place / "image/etc/credstore"),
        "systemd_service_encrypted_credential_file": str(place / "image/etc/encrypted"),
        "systemd_service_data_dir": str(place / "image/data"),
    }
    role = [{"vars": variables, "roles": ["expanso.edge.systemd_service"]}]
    paths = {"SYSTEMD_UNIT_PATH": f"{place / 'image/units'}:"}
    first, second = (controller.run(role, secrets=[token], environment=paths) for _each in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.output + second.output
    assert sorted(path.name for path in (place / "image/units").iterdir()) == ["edge-test-image-bootstrap.service", "edge-test-image.service"]
    assert (place / "image/etc/bootstrap.env").exists()
    assert second.recap("node")["changed"] == 0

    started = controller.run([{"vars": {**variables, "systemd_service_state": "started"}, "roles": ["expanso.edge.systemd_service"]}], secrets=[token])
    assert "systemd does not run on this node" in started.result("Install the units")["msg"]

    gone = controller.run([{"vars": {**variables, "systemd_service_state": "absent"}, "roles": ["expanso.edge.systemd_service"]}])
    assert gone.returncode == 0, gone.output
    assert not list((place / "image/units").iterdir()) and not (place / "image/etc/bootstrap.env").exists()


def test_an_agent_that_crashes_at_every_start_fails_every_run(controller: Controller, place: Path, agent: Path) -> None:
    """On a node with as much of systemd as the role talks to."""
    home = place / "crash"
    for name in ("bin", "units", "etc", "data/auth"):
        (home / name).mkdir(parents=True)
    for program in ("systemctl", "journalctl", "systemd-analyze", "systemd-creds"):
        (home / "bin" / program).symlink_to(Path(__file__).resolve().parents[1] / "leak/agents/systemd")
    (home / "data/auth/credentials.creds").touch()
    variables = {
        "systemd_service_enabled": False,
        "systemd_service_name": "edge",
        "systemd_service_unit_directory": str(home / "units"),
        "systemd_service_environment_file": str(home / "etc/bootstrap.env"),
        "systemd_service_credential_file": str(home / "etc/credstore"),
        "systemd_service_encrypted_credential_file": str(home / "etc/encrypted"),
        "systemd_service_data_dir": str(home / "data"),
        "systemd_service_binary": str(agent),
        "systemd_service_config_file": "",
        "systemd_service_timeout": 2,
    }
    play = {"vars": variables, "roles": ["expanso.edge.systemd_service"], "environment": {"PATH": f"{home / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"}}
    states = home / "states.json"
    waited = "Wait until the node is registered and its agent runs"

    assert controller.run([play]).returncode == 0
    running = json.loads(states.read_text())
    state = running["edge.service"]
    for changes in (
        {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "NRestarts": "3"},
        {"ActiveEnterTimestampMonotonic": str(int((time.monotonic() + 60) * 1e6)), "NRestarts": "3"},  # started just now
    ):
        states.write_text(json.dumps({**running, "edge.service": {**state, **changes}}))
        run = controller.run([play])
        assert run.returncode == 2 and "this node is not running its agent after 2 seconds: its agent ends again and again" in run.result(waited)["msg"]

    states.write_text(json.dumps({**running, "edge.service": {**state, "NRestarts": "1"}}))  # it crashed once, long ago
    run = controller.run([play])
    assert run.returncode == 0 and run.recap("node")["changed"] == 0, run.output
