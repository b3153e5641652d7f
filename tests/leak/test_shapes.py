# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An option of the wrong shape fails inside of Ansible's own checks, before it knows what is secret."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from typing import Any

import environments
import pytest
from conftest import CORES
from lab import Lab
from observers import Syslog
from runner import MODES, run

MODULES = ("bootstrap_token", "bootstrap_token_info", "edge_registration", "swarm_secret", "k8s_secret")
"""Those that get a token as an option."""

OTHER_SECRETS = ("api_key", "password")

SHAPES: dict[str, Callable[[str], Any]] = {
    "dictionary": lambda secret: {"a": secret},
    "nested": lambda secret: [[{"a": [secret]}]],
    "text": lambda secret: secret,
}


def options(module: str) -> dict[str, Any]:
    """The options of a module, from its documentation."""
    command = ["ansible-doc", "--json", f"expanso.edge.{module}"]
    done = subprocess.run(command, env=environments.activated("test"), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)[f"expanso.edge.{module}"]["doc"]["options"]
    return found


def wrong_shapes(lab: Lab, module: str, shapes: Iterable[str]) -> None:
    """A node for a module: for each of its options, and each shape, arguments that are wrong in that."""
    node = lab.node(module.replace("_", "-"))
    known = options(module)
    required: dict[str, Any] = {name: "x" for name, option in known.items() if option.get("required")}
    if "exposure" in known:
        required["exposure"] = False  # a search of all of this machine, for every option that may be a text
    arguments = []
    for name in sorted(known):
        for shape in shapes:
            secrets = {secret: node.key(f"{name}-{shape}-{secret}") for secret in ("token", *OTHER_SECRETS) if secret in known}
            wrong = secrets.get(name, f"no-secret-of-{name}")
            arguments.append({**required, **secrets, name: SHAPES[shape](wrong)})
    node.variables["arguments"] = arguments


# The oldest shows what it was given. The newest, which does not, is tried with what is farthest from right.
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(("core", "shapes"), [("core-2.16", list(SHAPES)), ("core-2.22", ["nested"])], ids=["core-2.16", "core-2.22"])
def test_every_option_of_a_wrong_shape(core: str, shapes: list[str], module: str, make_lab: Callable[[], Lab], syslog: Syslog) -> None:
    if CORES[core]:
        pytest.skip(str(CORES[core]))
    lab = make_lab()
    wrong_shapes(lab, module, shapes)
    outcome = run(core, "shapes.yml", MODES["vvv"], lab, syslog, {"ANSIBLE_ASYNC_DIR": str(lab.home / "home" / "async")})
    assert outcome.leaks() == []
    answered = [event for event in outcome.events if event["event"] in ("runner_item_on_ok", "runner_item_on_failed")]
    (node,) = lab.nodes.values()
    assert len(answered) == len(node.variables["arguments"]), outcome.stdout[-3000:]
    assert "unable to convert to" in outcome.said()
    assert "text is withheld" not in outcome.said()
    if module == "edge_registration":
        assert list((lab.home / "home" / "async").glob("*")), "no asynchronous result was looked at"
