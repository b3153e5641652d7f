# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example execution environment: built without a network, and at work, by itself and through ansible-navigator."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine
import environments
import execution_environment
import pytest
import yaml
from ansible_runs import spellings
from control_plane import new_key
from paths import REPOSITORY

EXAMPLE = execution_environment.EXAMPLE
TOKEN = new_key()
TOKEN_PATH = "/run/secrets/bootstrap.token"
NOWHERE = "127.0.0.1:1"
INVENTORY = {
    "file": {"expanso_edge_delivery": "token_file"},
    "systemd": {"expanso_edge_delivery": "systemd_service"},
    "swarm": {
        "expanso_edge_delivery": "swarm_secret",
        "swarm_secret_manager": "swarm",
        "swarm_secret_engine": {"docker_host": f"tcp://{NOWHERE}"},
    },
    "cluster": {"expanso_edge_delivery": "k8s_secret", "k8s_secret_host": f"https://{NOWHERE}", "k8s_secret_api_key": "none"},
}
LOOK = """
import importlib.metadata, json, pathlib
found = pathlib.Path("/usr/share/ansible/collections/ansible_collections").glob("*/*/MANIFEST.json")
infos = [json.loads(path.read_text())["collection_info"] for path in found]
collections = {"%s.%s" % (info["namespace"], info["name"]): info["version"] for info in infos}
packages = {each.metadata["Name"].lower(): each.version for each in importlib.metadata.distributions()}
left = [path for path in ("/etc/pip.conf", "/opt/wheels", "/output") if pathlib.Path(path).exists()]
print(json.dumps({"collections": collections, "packages": packages, "left": left}))
"""


@pytest.fixture(scope="module", autouse=True)
def host() -> Iterator[None]:
    """The engine that the docker client talks to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.up())
        yield


@pytest.fixture(scope="module")
def image(host: None) -> str:
    """The execution environment, built where the collection has changed since."""
    return execution_environment.build()


@pytest.fixture
def project(home: Path) -> Path:
    """A project of a user: playbook, inventory, navigator's settings, and a token file that only the user can read."""
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "expanso_edge_become": False,
    }
    made = home / "project"
    made.mkdir()
    shutil.copy(REPOSITORY / "examples" / "awx" / "provision.yml", made)
    shutil.copy(EXAMPLE / "inventory.yml", made)  # with the token's path
    (made / "nodes.yml").write_text(json.dumps({"expanso_edge": {"hosts": INVENTORY, "vars": common}}))
    token = home / ".config" / "expanso" / "bootstrap.token"
    token.parent.mkdir(parents=True)
    token.write_text(TOKEN)
    token.chmod(0o600)
    return made


def run(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a command whose output must not hold the token."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False, **how)
    assert not any(spelling in done.stdout + done.stderr for spelling in spellings(TOKEN)), "the output holds the token"
    return done


def in_container(image: str, project: Path, *command: str, user: int = 0) -> str:
    """Run a command in the environment, without a network; the token's file can be read, not written."""
    token = project.parent / ".config" / "expanso" / "bootstrap.token"
    if os.geteuid() == 0:
        os.chown(token, user, user)
    mounts = ["--volume", f"{token}:{TOKEN_PATH}:ro", "--volume", f"{project}:/runner/project:ro"]
    docker = ["docker", "run", "--rm", "--network", "none", "--user", f"{user}:0", "--workdir", "/runner/project", *mounts, image]
    done = run([*docker, *command])
    return done.stdout + done.stderr


def pins(file: Path) -> dict[str, str]:
    """Return the packages that a file of requirements pins, with their versions."""
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_what_is_in_it(image: str, project: Path) -> None:
    found = json.loads(in_container(image, project, "python3", "-c", LOOK))
    wanted = yaml.safe_load((EXAMPLE / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    # a unit test compares the versions: for old Pythons there is only an older `ansible` package to take collections from
    assert set(found["collections"]) == {each["name"] for each in wanted}
    packages = pins(EXAMPLE / "requirements.txt") | pins(EXAMPLE / "wheels.txt")
    assert {name: found["packages"].get(name) for name in packages} == packages
    tools = {name for name in ("test", "lint") for name in pins(environments.REQUIREMENTS / f"{name}.txt")}
    tools -= {*packages, "jsonschema"}
    assert "pytest" in tools
    assert not tools & set(found["packages"]), "tools of the tests"
    assert found["left"] == [], "what was only there for the build"


def test_all_deliveries_find_what_they_need(image: str, project: Path) -> None:
    """As an account that is not root, as in AWX."""
    command = ["ansible-playbook", "-i", "inventory.yml", "-i", "nodes.yml", "expanso.edge.provision", "--check", "--diff"]
    output = in_container(image, project, *command, user=os.geteuid() or 1000)
    assert "received a token: 1 (file)" in output, output
    # the three others come as far as a machine without systemd, engine and cluster lets them
    assert "systemd: this node has no systemd" in output, output
    assert re.search(rf"swarm: the Docker engine tcp://{NOWHERE} cannot be reached", output), output
    assert re.search(rf"cluster: cannot connect to the Kubernetes API \(https://{NOWHERE}\)", output), output


def test_a_token_is_delivered(image: str, project: Path) -> None:
    script = "set -e; ansible-playbook -i inventory.yml -i nodes.yml provision.yml --limit file"
    script += "; cd /etc/expanso; cmp bootstrap.token $0; stat -c '%a %u' bootstrap.token"
    output = in_container(image, project, "sh", "-c", script, TOKEN_PATH)
    assert output.splitlines()[-1] == "600 0", output


def navigate(project: Path, image: str, *arguments: str) -> tuple[str, set[str]]:
    """Run the playbook through ansible-navigator; return its output and the files that the run has left."""
    home = project.parent
    temporary = home / "tmp"
    temporary.mkdir(exist_ok=True)
    before = set(home.rglob("*"))
    command = ["ansible-navigator", "run", "provision.yml", "-i", "inventory.yml", "-i", "nodes.yml", "--check", "--limit", "file"]
    command += ["--execution-environment-image", image, "--pull-policy", "never", "--container-engine", "docker", *arguments]
    variables = environments.activated("lint", HOME=str(home), TMPDIR=str(temporary), NO_COLOR="1")
    del variables["ANSIBLE_COLLECTIONS_PATH"]  # navigator passes it on, and in the environment the path is another one
    done = run(command, cwd=project, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    new = {path for path in set(home.rglob("*")) - before if path.is_file()}
    for path in new:
        text = path.read_bytes().decode(errors="replace")
        assert not any(spelling in text for spelling in spellings(TOKEN)), f"{path} holds the token"
    return done.stdout + done.stderr, {str(path.relative_to(home)) for path in new}


def test_navigator_leaves_nothing_behind(image: str, project: Path) -> None:
    shutil.copy(EXAMPLE / "ansible-navigator.yml", project)
    output, left = navigate(project, image)
    assert "received a token: 1 (file)" in output, output
    assert {path for path in left if not path.startswith(".cache/ansible-navigator/")} == {".ansible-navigator.log"}, left
    assert (project.parent / ".ansible-navigator.log").read_text() == ""
    dummy, left = navigate(project, image, "--playbook-artifact-enable", "true")
    assert any(re.fullmatch(r"project/provision-artifact-.*\.json", path) for path in left), f"by default there is an artifact: {left}"
