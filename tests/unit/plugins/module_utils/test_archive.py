# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that is imported from an archive, as it arrives on a node."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Dict

import ansible
import pytest
from ansible_collections.expanso.edge.plugins.modules import bootstrap_token

EDGE = "ansible_collections/expanso/edge/plugins"
IMPORT = """
import collections, importlib, json, sys, zipimport
count, compiled = collections.Counter(), zipimport._compile_source
def counting(path, source):
    count[path.partition(".zip/")[2]] += 1
    return compiled(path, source)
zipimport._compile_source = counting
sys.path.insert(0, sys.argv[1])
importlib.import_module("ansible_collections.expanso.edge.plugins.modules." + sys.argv[2])
print(json.dumps(count))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("payload") / "payload.zip"
    plugins, core = Path(bootstrap_token.__file__).parents[1], Path(ansible.__file__).parent
    packages = ["ansible", *(EDGE[:end] for end, char in enumerate(EDGE) if char == "/"), EDGE, f"{EDGE}/modules", f"{EDGE}/module_utils"]
    with zipfile.ZipFile(path, "w") as packed:
        for package in packages:
            packed.writestr(f"{package}/__init__.py", "")
        for root, place in ((plugins / "modules", plugins), (plugins / "module_utils", plugins), (core / "module_utils", core)):
            for file in root.rglob("*.py"):
                packed.write(file, f"{EDGE if place == plugins else 'ansible'}/{file.relative_to(place)}")
    return path


@pytest.mark.skipif(sys.version_info < (3, 8), reason="its zipimport is written in C")
@pytest.mark.parametrize("name", ["bootstrap_token", "bootstrap_token_info", "edge_registration", "systemd_units", "wait_for_registration"])
def test_each_file_is_compiled_once(name: str, archive: Path) -> None:
    """But those that come before, which are small."""
    run = subprocess.run([sys.executable, "-I", "-S", "-c", IMPORT, str(archive), name], stdout=subprocess.PIPE, check=True)
    count: Dict[str, int] = json.loads(run.stdout)
    before = [file for file in count if file.endswith("/__init__.py")] + [f"{EDGE}/modules/{name}.py", f"{EDGE}/module_utils/_archive.py"]
    assert "ansible/module_utils/basic.py" in count and f"{EDGE}/module_utils/_secrets.py" in count
    assert {file: times for file, times in count.items() if times > 1 and file not in before} == {}
