# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mixed fleet as a verifier sees it: through the engine, Docker's client and Kubernetes' own, never through the collection."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "tests" / "support"), str(HERE.parents[2] / "tools")]

from cluster_view import Cluster
from inventory import CLUSTER, SITE, STATE, container, control_plane_url

TOKEN_FILE = "/etc/expanso/bootstrap.token"
ENVIRONMENT_FILE = "/etc/expanso/bootstrap.env"
RECORD = "/var/lib/expanso/edge/enrolment.json"


def token(label: str) -> str:
    return (STATE / label).read_text(encoding="ascii")


def on(node: str, *command: str) -> str:
    """Run a command on a node; return what it prints."""
    done = subprocess.run(["docker", "exec", container(node), *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{node}: {command[0]}: {done.stderr}"
    return done.stdout


def there(node: str, path: str) -> bool:
    return on(node, "sh", "-c", f"test -e {path} && echo yes || echo no").strip() == "yes"


def secrets_of_swarm() -> dict[str, dict[str, str]]:
    """Return the labels of the swarm's secrets by name."""
    names = on("manager", "docker", "secret", "ls", "--format", "{{.Name}}").split()
    return {name: json.loads(on("manager", "docker", "secret", "inspect", "--format", "{{json .Spec.Labels}}", name)) for name in names}


def secret_of_site() -> str | None:
    """Return the token in the namespace, None where there is none."""
    found = Cluster(CLUSTER).secret(SITE)
    return None if found is None else base64.b64decode(found.data["bootstrap.token"]).decode()


def control_plane() -> Any:
    """Return all that the control plane knows."""
    with urllib.request.urlopen(f"{control_plane_url()}/admin/state", timeout=30) as answer:
        return json.load(answer)
