# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python each environment gets, and when an environment is made anew."""

from __future__ import annotations

import environments
import pytest
from environments import Interpreter


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two Pythons, one of which cannot make environments."""
    pythons = (Interpreter("/usr/bin/python3.12", (3, 12, 3), False), Interpreter("/usr/bin/python3.11", (3, 11, 2), True))
    monkeypatch.setattr(environments, "interpreters", lambda: pythons)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("name", "version"), [("provision", (3, 12)), ("core-2.16", (3, 11)), ("core-2.18", (3, 12)), ("core-2.19", (3, 12)), ("core-2.21", (3, 12))]
)
def test_the_preferred_python_is_chosen(name: str, version: tuple[int, int]) -> None:
    assert environments.choose(name).version[:2] == version


@pytest.mark.usefixtures("machine")
def test_what_cannot_be_had_says_why() -> None:
    reason = environments.available("core-")["core-2.22"]
    assert reason is not None and "3.13, 3.14" in reason and "3.12.3, 3.11.2" in reason


@pytest.mark.usefixtures("machine")
def test_a_python_that_can_make_environments_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = Interpreter("/opt/bin/python3.12", (3, 12, 1), True)
    found = (*environments.interpreters(), complete)
    monkeypatch.setattr(environments, "interpreters", lambda: found)
    assert environments.choose("provision") == complete


@pytest.mark.usefixtures("machine")
def test_an_environment_is_made_anew_when_what_it_is_made_from_changes(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    (tmp_path / "core-2.16.txt").write_text("-r core.txt\nansible-core==2.16.19\n")
    (tmp_path / "core.txt").write_text("-c constraints.txt\nansible-runner==2.4.3\n")
    (tmp_path / "constraints.txt").write_text("pyyaml==6.0.2\n")
    before = environments.path("core-2.16")
    assert environments.path("core-2.16") == before
    (tmp_path / "constraints.txt").write_text("pyyaml==6.0.3\n")
    assert environments.path("core-2.16") != before


def test_this_python_is_found() -> None:
    assert any(found.version[:2] >= (3, 11) for found in environments.interpreters())


def test_every_environment_has_its_requirements() -> None:
    for name in environments.ENVIRONMENTS:
        assert all(file.is_file() for file in environments.requirements(name))
