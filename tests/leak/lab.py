# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a case is made of: nodes, which are directories, with their canaries, agents and variables."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import canary
from ansible.parsing.vault import VaultLib, VaultSecret
from api_server import ApiServer
from canary import Canary
from control_plane import ControlPlane
from paths import REPOSITORY

HERE = Path(__file__).resolve().parent
STAND_IN = REPOSITORY / "tests" / "support" / "expanso-edge"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PLACES = Path("/var/lib") if os.geteuid() == 0 else Path.home()
"""Where labs are: where nobody else can write, as everybody can in /tmp."""

KEPT = tempfile.TemporaryDirectory(prefix=".expanso-edge-kept-", dir=PLACES)
QUICK = {"PYTHONPATH": str(REPOSITORY / "tests" / "support"), "KEPT_BYTECODE": KEPT.name}
"""Lets Python keep the code that it compiles of files of the collection and of Ansible, see `support/kept_bytecode.py`."""

Variables = dict[str, Any]
LABEL = "io.expanso.edge.fingerprint"
PASSWORD = "the job's own password"


def vaulted(text: str, password: str = PASSWORD) -> str:
    """Encrypt a text as `ansible-vault` does."""
    return str(VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text).decode())


def unsafe(value: Any) -> str:
    """Return variables as AWX writes them: YAML in which each text is marked as one that is not a template."""
    if isinstance(value, str):
        return f"!unsafe {json.dumps(value)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {unsafe(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(unsafe, value)) + "]"
    return json.dumps(value)


class Lab:
    """The nodes of one job, and what the whole job is given.

    :ivar private: AWX's private data directory of the job
    :ivar seen_as: the path that the job itself sees of it: another one where a worker of the mesh unpacks it
    :ivar arguments: what AWX gives to ansible-playbook besides the mode
    """

    def __init__(self, home: Path, plane: ControlPlane) -> None:
        self.home = home
        self.private = home / "awx"
        self.seen_as = self.private
        self.arguments: list[str] = []
        self.plane = plane
        self.api = ApiServer()
        self.nodes: dict[str, Node] = {}
        self.canaries: dict[str, Canary] = {}
        self.extra_vars: Variables = {}
        self.environment: dict[str, str] = {}
        self.settings = {"ANSIBLE_VAULT_PASSWORD_FILE": str(home / "vault-password")}
        (home / "vault-password").write_text(PASSWORD)
        for name in ("nodes", "home", "remote_tmp", "local_tmp", "tmp", "log", "awx/env"):
            (home / name).mkdir(parents=True)

    def node(self, name: str) -> Node:
        """A new node."""
        self.nodes[name] = Node(self, name)
        return self.nodes[name]

    def canary(self, made: Canary, name: str) -> str:
        """Remember a canary under a name, and return its text."""
        assert name not in self.canaries, name
        self.canaries[name] = made
        return made.text

    def credential(self, content: str, label: str = "site-7") -> None:
        """Give the job a token as AWX's credential type does: in a file of the private data directory, and another one with a variable that names it."""
        variables = unsafe({"expanso_edge_token_file": str(self.seen_as / "env" / "tmptoken"), "expanso_edge_token_label": label})
        (self.private / "env").mkdir(parents=True, exist_ok=True)
        for name, text in (("tmptoken", content), ("tmpvariables", variables)):
            path = self.private / "env" / name
            path.write_bytes(text.encode())  # with its line breaks as they are
            path.chmod(0o600)
        self.arguments += ["-e", f"@{self.seen_as}/env/tmpvariables"]

    def inventory(self) -> Variables:
        """What the inventory says."""
        return {name: node.variables for name, node in self.nodes.items()}

    def close(self) -> None:
        """Stop what runs, and undo what would keep the directory from being removed."""
        self.api.close()
        if shutil.which("chattr"):
            subprocess.run(["chattr", "-R", "-f", "-i", str(self.home / "nodes")], capture_output=True, check=False)


class Node:
    """A node, and the variables of its host.

    :ivar will_hold: name of the canary that is in its token file after a whole job, empty if there is no token
    """

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name
        self.root = lab.home / "nodes" / name
        self.etc = self.root / "etc"
        self.token_file = self.etc / "bootstrap.token"
        self.data_dir = self.root / "data"
        self.will_hold = ""
        self.etc.mkdir(parents=True)
        self.environment = {"PATH": SYSTEM_PATH, "HOME": str(lab.home / "home"), "TMPDIR": str(lab.home / "tmp"), "LANG": "C.UTF-8", **QUICK}
        self.variables: Variables = {
            "token_file_path": str(self.token_file),
            "token_file_owner": pwd.getpwuid(os.geteuid()).pw_name,
            "token_file_group": grp.getgrgid(os.getegid()).gr_name,
            "token_file_data_dir": str(self.data_dir),
            "node_environment": self.environment,
            # two formats, of which `direct.yml` makes both on every second node
            "direct_environment_file": len(lab.nodes) % 2 == 0,
        }

    @property
    def may_hold(self) -> list[Path]:
        """The files that a token may be in, with mode 0600."""
        return [self.token_file, self.etc / "bootstrap.env", self.root / "credstore" / "token"]

    def key(self, label: str = "token") -> str:
        """A fresh bootstrap key."""
        return self.lab.canary(canary.key(), f"{self.name}/{label}")

    def api_key(self, label: str = "token") -> str:
        """A fresh API key."""
        return self.lab.canary(canary.api_key(), f"{self.name}/{label}")

    def jwt(self, label: str = "token", lifetime: float = 3600) -> str:
        """A fresh single-use token."""
        return self.lab.canary(canary.jwt(lifetime), f"{self.name}/{label}")

    def opaque(self, label: str = "token") -> str:
        """A fresh token with special characters."""
        return self.lab.canary(canary.opaque(), f"{self.name}/{label}")

    def token(self, value: Any) -> None:
        """Let the inventory give this node a token, or what someone takes for one."""
        self.variables["expanso_edge_token"] = value

    def put(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write a file that was there before the run."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def registered(self) -> None:
        """Let the node be already registered."""
        self.put("data/auth/credentials.creds", "-----BEGIN NATS USER JWT-----\n")

    def registers(self, agent: Path = STAND_IN, *, hostile: bool = False, **variables: Any) -> None:
        """Let the role register the node, with an agent that is in its place."""
        binary = self.root / "bin" / agent.name
        binary.parent.mkdir()
        binary.symlink_to(agent)
        # the stand-in reads its switches from a file beside it
        Path(f"{binary}.standin").write_text("EXPANSO_EDGE_STANDIN_HOSTILE=1\n" if hostile else "")
        self.variables |= {
            "token_file_register": True,
            "token_file_register_user": self.variables["token_file_owner"],
            "token_file_binary": str(binary),
            "token_file_bootstrap_url": self.lab.plane.url,
            "token_file_register_timeout": 60,
            **variables,
        }

    def runs_systemd(self, delivery: str, *, hostile: bool = False, **variables: Any) -> None:
        """Let the node have as much of systemd as the role needs, see `agents/systemd`, and get its token by a delivery."""
        self.registers(hostile=hostile)
        for program in ("systemctl", "journalctl", "systemd-analyze", "systemd-creds"):
            (self.root / "bin" / program).symlink_to(HERE / "agents" / "systemd")
        (self.root / "units").mkdir(exist_ok=True)
        self.environment["PATH"] = f"{self.root / 'bin'}:{SYSTEM_PATH}"
        self.variables |= {
            "expanso_edge_delivery": "systemd_service",
            "systemd_service_delivery": delivery,
            "systemd_service_unit_directory": str(self.root / "units"),
            "systemd_service_environment_file": str(self.etc / "bootstrap.env"),
            "systemd_service_credential_file": str(self.root / "credstore" / "token"),
            "systemd_service_encrypted_credential_file": str(self.root / "credstore.encrypted" / "token"),
            "systemd_service_binary": self.variables["token_file_binary"],
            "systemd_service_config_file": "",
            "systemd_service_data_dir": str(self.data_dir),
            "systemd_service_bootstrap_url": self.lab.plane.url,
            "systemd_service_timeout": 60,
            **variables,
        }

    def talks(self, ending: str, **variables: Any) -> None:
        """Let the agent be one that says far too much: it ends as said in `agents/talkative`."""
        self.registers(HERE / "agents" / "talkative", **variables)
        binary = self.root / "bin" / f"talkative-{ending}"
        (self.root / "bin" / "talkative").rename(binary)
        self.variables["token_file_binary"] = str(binary)

    def sabotaged(self, where: str) -> None:
        """Let a function fail where it is called, see `sabotage/sitecustomize.py`."""
        self.environment |= {"PYTHONPATH": str(HERE / "sabotage"), "SABOTAGE": where}

    def swarm(self, engine: str = "", versions: dict[str, str] | None = None, **variables: Any) -> None:
        """Let the node be the manager of a swarm, whose engine is a file with these secrets: names and labels. See `sdk/docker`."""
        secrets = [{"ID": f"id-of-{name}", "Spec": {"Name": name, "Labels": {LABEL: text}}} for name, text in (versions or {}).items()]
        state = self.put("etc/swarm.json", json.dumps({"secrets": secrets}))
        self.environment |= {"PYTHONPATH": f"{HERE / 'sdk'}:{QUICK['PYTHONPATH']}", "FAKE_ENGINE_STATE": str(state), "FAKE_ENGINE": engine}
        self.variables |= {
            "expanso_edge_delivery": "swarm_secret",
            "swarm_secret_manager": self.name,
            # the service gets no token, and is not the collection's own module's work
            "swarm_secret_service_state": "unmanaged",
            **variables,
        }

    def kubernetes(self, behaviour: str = "", held: str | None = None, **variables: Any) -> None:
        """Let the node stand for a site whose cluster behaves like this, see `api_server.py`, and may hold a token already."""
        metadata = {"name": "expanso-bootstrap-token", "namespace": "expanso-system", "uid": "1"}
        secret = {"kind": "Secret", "type": "Opaque", "metadata": metadata, "data": {"bootstrap.token": base64.b64encode((held or "").encode()).decode()}}
        self.variables |= {
            "expanso_edge_delivery": "k8s_secret",
            "k8s_secret_host": self.lab.api.cluster(self.name, behaviour, *[secret] if held else []),
            "k8s_secret_api_key": "not-looked-at",
            **variables,
        }
