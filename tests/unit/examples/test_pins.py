# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions that the example execution environment names are those that the collection is tested with."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from paths import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "execution-environment"
TESTED = REPOSITORY / "tests" / "requirements"


def load(name: str) -> Any:
    return yaml.safe_load((EXAMPLE / name).read_text(encoding="utf-8"))


def pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_python_packages() -> None:
    tested = pins(TESTED / "core-2.21.txt") | pins(TESTED / "core.txt") | pins(TESTED / "provision.txt") | pins(TESTED / "test.txt")
    dependencies = load("execution-environment.yml")["dependencies"]
    named = dict([dependencies[part]["package_pip"].split("==") for part in ("ansible_core", "ansible_runner")])
    named |= pins(EXAMPLE / "requirements.txt")
    assert named == {name: tested[name] for name in named}
    assert {name: version for name, version in pins(EXAMPLE / "wheels.txt").items() if name in tested} == {
        name: named[name] for name in ("ansible-core", "ansible-runner")
    }


@pytest.mark.skipif(sys.version_info < (3, 12), reason="for this Python there is only an older ansible package, with older collections")
def test_collections() -> None:
    """Those of the `ansible` package that the tests run with, and this version of this collection."""
    import ansible_collections

    own = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text(encoding="utf-8"))
    for each in load("requirements.yml")["collections"]:
        namespace, name = each["name"].split(".")
        if (namespace, name) == (own["namespace"], own["name"]):
            assert each["version"] == own["version"]
            continue
        (manifest,) = [path for folder in ansible_collections.__path__ for path in Path(folder, namespace, name).glob("MANIFEST.json")]
        assert json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"] == each["version"]


def test_the_disconnected_one_differs_only_in_where_things_come_from() -> None:
    connected, disconnected = load("execution-environment.yml"), load("disconnected.yml")
    for name in ("additional_build_files", "additional_build_steps", "build_arg_defaults"):
        del disconnected[name]
    for definition in (connected, disconnected):
        del definition["images"], definition["dependencies"]["galaxy"]
    # what a package manager would have to fetch is in the base image already
    del connected["dependencies"]["system"], connected["dependencies"]["python_interpreter"]["package_system"]
    assert disconnected == connected
