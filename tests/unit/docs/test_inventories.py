# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories of the examples are read as the guide says. That they work is tested by tests/functional/test_inventories.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from guides import command, here
from paths import REPOSITORY, collections

INVENTORIES = REPOSITORY / "examples" / "inventories"
PASSWORD = "vault-of-the-inventories"


@pytest.fixture
def listed(tmp_path: Path) -> Any:
    """A function that returns an inventory as `ansible-inventory` does."""

    def run(*words: str) -> dict[str, Any]:
        (tmp_path / ".vault-password").write_text(PASSWORD + "\n")
        environment = {
            "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ["PATH"],
            "ANSIBLE_COLLECTIONS_PATH": str(collections()),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(tmp_path / ".vault-password"),
        }
        program = Path(sys.executable).with_name("ansible-inventory")
        done = subprocess.run([str(program), *words], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


def test_the_fleet_is_the_same_in_every_form(listed: Any) -> None:
    _program, *words = command("guide_inventories", "ansible-inventory", "examples/inventories/fleet.py")
    script = listed(*map(here, words))
    ini, yaml = (listed("-i", str(INVENTORIES / file), "--list") for file in ("fleet.ini", "fleet.yml"))
    assert script["_meta"]["hostvars"] == ini["_meta"]["hostvars"] == yaml["_meta"]["hostvars"]
    assert ini["_meta"]["hostvars"]["edge02"]["expanso_edge_token"] == "00482915736401"
    for each in (script, ini, yaml):
        assert each["expanso_edge"]["hosts"] == ["edge01", "edge02", "edge03"]
        assert each["web"]["hosts"] == ["web01"]


def test_groups_and_deliveries_are_constructed(listed: Any) -> None:
    _program, *words = command("guide_inventories", "ansible-inventory", "examples/inventories/constructed")
    found = listed(*map(here, words))
    assert found["expanso_edge"]["hosts"] == ["press01", "press02", "swarm01"]
    deliveries = {host: found["_meta"]["hostvars"][host]["expanso_edge_delivery"] for host in found["expanso_edge"]["hosts"]}
    plain = {host: each["__ansible_unsafe"] if isinstance(each, dict) else each for host, each in deliveries.items()}
    assert plain == {"press01": "systemd_service", "press02": "token_file", "swarm01": "swarm_secret"}


def test_the_other_inventories_are_read(listed: Any) -> None:
    hosts = {
        "all.yml": ["node1", "node2"],
        "accounts.yml": ["bastion.example.com", "plain01", "nopass01", "sudo01", "su01", "doas01"],
        "devices.yml": ["gateway01", "sensor-a", "sensor-b"],
        "mixed.yml": ["laptop", "kühlhaus-1", "gateway", "old01", "lean01", "auto01", "switch01"],
        "tokens/hosts.yml": ["edge06", "edge07", "edge08", "edge09", "edge10"],
        "vaulted": ["edge04", "edge05"],
    }
    sources = [word for inventory in hosts for word in ("-i", str(INVENTORIES / inventory))]
    assert sorted(listed(*sources, "--list")["_meta"]["hostvars"]) == sorted(name for names in hosts.values() for name in names)
