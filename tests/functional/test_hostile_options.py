# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of every module with values that nobody should give it.

Each run ends soon with an answer in JSON, never with a stack trace; the answer holds no token; a module that may write nothing but
its own directory changes nothing. EXPANSO_EDGE_EXAMPLES says how many random combinations a module is given besides, 40 by default.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import environments
import pytest
from control_plane import new_key
from files import NOBODY, tree
from hostile_values import values
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from modules import Modules
from paths import REPOSITORY

ON_THE_CONTROLLER = ("audit_report", "rotation_plan")
"""Those whose work is done by their action plugins: as modules they do nothing."""

NAMES = sorted(path.stem for path in (REPOSITORY / "plugins" / "modules").glob("*.py") if path.stem not in ON_THE_CONTROLLER)
SECONDS = 20
EXAMPLES = int(os.environ.get("EXPANSO_EDGE_EXAMPLES", "40"))
TOKEN = new_key()


STEP = 20
"""Each option is given one of so many of the values."""


def can_be_sent(value: Any) -> bool:
    """Whether Ansible can send a value to a node."""
    try:
        json.dumps(value)
    except (TypeError, RecursionError):
        return False
    return True


VALUES = [*filter(can_be_sent, values(TOKEN))]
LARGE = "x" * 10_000_000


@pytest.fixture(scope="module")
def documented() -> dict[str, dict[str, Any]]:
    """The options of each module, from its documentation."""
    command = ["ansible-doc", "--json", *(f"expanso.edge.{name}" for name in NAMES)]
    done = subprocess.run(command, env=environments.activated("test"), capture_output=True, text=True, check=True)
    return {name: json.loads(done.stdout)[f"expanso.edge.{name}"]["doc"]["options"] for name in NAMES}


@pytest.fixture(scope="module")
def modules(place: Path) -> Iterator[Modules]:
    """All modules, each run as an account that may write nothing but `node`."""
    (place / "node").mkdir()
    os.chown(place / "node", NOBODY, NOBODY)
    os.mkfifo(place / "pipe")
    (place / "pipe").chmod(0o666)
    running = Modules(place / "calls", *NAMES)
    yield running
    running.close()


def sound(options: dict[str, Any], node: Path) -> dict[str, Any]:
    """Arguments that a module accepts: what is required, and nothing that takes long or leaves this machine."""
    texts = {"path": f"{node}/token", "name": "edge", "namespace": "edge", "binary": "/bin/false", "state": "present"}
    found: dict[str, Any] = {}
    for name, option in options.items():
        kind = option.get("type", "str")
        if option.get("required"):
            found[name] = texts.get(name, {"list": [], "dict": {}, "int": 1, "bool": False}.get(kind, f"{node}/x"))
        elif name.endswith("timeout") or name == "delay":
            found[name] = 1
    known = {"token": TOKEN, "data_dir": f"{node}/data", "host": "https://127.0.0.1:9", "docker_host": "tcp://127.0.0.1:9", "exposure": False}
    return {**found, **{name: value for name, value in known.items() if name in options}}


def check(modules: Modules, name: str, arguments: dict[str, Any]) -> None:
    """Run a module and look at what it says."""
    result = modules.run(name, arguments, account=NOBODY if os.geteuid() == 0 else None, seconds=SECONDS)
    assert not result.killed, f"no answer within {SECONDS} s, or ended by a signal: {result.status}"
    assert "Traceback" not in result.output, result.output[-3000:]
    assert TOKEN[7:] not in result.output, result.output.replace(TOKEN[7:], "***")[-3000:]
    answer = result.answer
    assert not answer.get("failed") or answer["msg"], result.output
    assert len(result.output) < 100_000, f"an answer of {len(result.output)} characters"


@pytest.mark.parametrize("name", NAMES)
def test_each_option_alone(name: str, modules: Modules, documented: dict[str, dict[str, Any]], place: Path) -> None:
    """Each option is given other values than its neighbours, so that each kind of option meets each value."""
    before = tree(place)
    options = documented[name]
    wrong = []
    for number, option in enumerate(sorted(options)):
        pipe = [str(place / "pipe")] if options[option].get("type") in ("path", "raw") or options[option].get("elements") == "path" else []
        for value in [*VALUES[number % STEP :: STEP], *([LARGE] if number % 10 == 0 else []), *pipe]:
            try:
                check(modules, name, {**sound(options, place / "node"), option: value})
            except AssertionError as exc:
                wrong.append(f"{option}: {str(value)[:100]!r}: {str(exc)[:1500]}")
    assert not wrong, "\n".join(wrong)
    assert [path for path in tree(place) if path not in before and not path.startswith(f"{place}/node/")] == []


@pytest.mark.parametrize("name", NAMES)
def test_several_options_together(name: str, modules: Modules, documented: dict[str, dict[str, Any]], place: Path) -> None:
    options = documented[name]

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(sorted(options)), st.sampled_from(VALUES) | st.text(max_size=30), min_size=2, max_size=5))
    def together(hostile: dict[str, Any]) -> None:
        check(modules, name, {**sound(options, place / "node"), **hostile})

    together()
