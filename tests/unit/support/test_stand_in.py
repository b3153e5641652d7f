# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in agent: what the other tests rely on when they run it in place of the real one."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import control_plane
import pytest
from control_plane import ControlPlane, new_jwt, new_key

SUPPORT = Path(control_plane.__file__).parent
USAGE, NO_TOKEN, INVALID, SPENT, UNREACHABLE, REGISTERED, DATA_DIR, UNUSABLE, CRASH = 2, 10, 11, 12, 13, 14, 15, 16, 70


class Agent:
    """The stand-in agent on a node of its own: one data directory, one environment."""

    binary = SUPPORT / "expanso-edge"
    # Not by its first line, which is tried once, but with the Python of the tests.
    command: tuple[str, ...] = (sys.executable, str(binary))
    user: int | None = None

    def __init__(self, root: Path, url: str) -> None:
        self.data_dir = root / "edge"
        self.marker = self.data_dir / "auth" / "credentials.creds"
        self.connection = self.data_dir / "config.d" / "50-connection.yaml"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "EXPANSO_EDGE_BOOTSTRAP_URL": url,
            "EXPANSO_EDGE_STANDIN_NODE_NAME": "node-a",
        }

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*self.command, *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            user=self.user,
        )

    def bootstrap(self, token: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Register, the token in the environment."""
        return self(
            "bootstrap", "--data-dir", str(self.data_dir), *flags, EXPANSO_EDGE_BOOTSTRAP_TOKEN=token, **environment
        )

    def start(self, *flags: str, **environment: str) -> subprocess.Popen[str]:
        """Leave `run` in the background."""
        return subprocess.Popen(
            [*self.command, "run", "--data-dir", str(self.data_dir), *flags],
            env={**self.environment, "EXPANSO_EDGE_STANDIN_HEARTBEAT": "0.05", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def agent(tmp_path: Path, plane: ControlPlane) -> Agent:
    """A node that is not registered."""
    return Agent(tmp_path, plane.url)


@pytest.fixture
def token(plane: ControlPlane) -> str:
    """A reusable key that the control plane knows."""
    key = new_key()
    plane.client.add_token(key)
    return key


@pytest.fixture
def background(agent: Agent) -> Iterator[list[subprocess.Popen[str]]]:
    """Agents to end, whatever the test came to."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def wait_for_line(process: subprocess.Popen[str], words: str) -> str:
    """Read the agent's log up to a line with these words."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return line
    raise AssertionError(f"the agent ended without {words!r}: {lines}")


def lives(process: Path) -> bool:
    """Whether a process, by its directory below /proc, has not ended; one that waits to be reaped has."""
    try:
        return "State:\tZ" not in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# bootstrap


def test_bootstrap_registers_once(agent: Agent, plane: ControlPlane, token: str) -> None:
    result = agent.bootstrap(token)
    assert result.returncode == 0, result.stderr
    [registration] = plane.client.registrations("node-a")
    assert registration["data_dir"] == str(agent.data_dir)
    assert registration["node_id"] in result.stderr
    assert plane.client.nodes(token) == {"node-a": 1}
    assert token not in result.stdout + result.stderr


def test_identity_is_complete_and_private(agent: Agent, plane: ControlPlane, token: str) -> None:
    agent.bootstrap(token)
    [registration] = plane.client.registrations()
    credentials, connection = agent.marker.read_text(), agent.connection.read_text()
    assert "-----BEGIN NATS USER JWT-----\neyJ" in credentials
    assert "-----BEGIN USER NKEY SEED-----\nSU" in credentials
    assert f'node_id: "{registration["node_id"]}"\n' in connection
    assert f'credentials_path: "{agent.marker}"\n' in connection
    assert token not in credentials + connection
    for directory in (agent.data_dir, agent.marker.parent, agent.connection.parent):
        assert mode_of(directory) == 0o700
    assert sorted(path for path in agent.data_dir.rglob("*") if path.is_file()) == [agent.marker, agent.connection]
    assert mode_of(agent.marker) == mode_of(agent.connection) == 0o600


def test_a_registered_node_refuses_unless_forced(agent: Agent, plane: ControlPlane, token: str) -> None:
    agent.bootstrap(token)
    before = agent.marker.read_text()
    result = agent.bootstrap(token)
    assert result.returncode == REGISTERED
    assert result.stderr == f"Error: already registered: {agent.marker} exists (see --force)\n"
    assert (agent.marker.read_text(), plane.client.spent(token)) == (before, 1)
    assert agent.bootstrap(token, "--force").returncode == 0
    assert agent.marker.read_text() != before
    assert plane.client.nodes(token) == {"node-a": 2}


@pytest.mark.parametrize("flags", [(), ("--token", "")], ids=["unset", "empty flag wins over the variable"])
def test_no_token(agent: Agent, plane: ControlPlane, token: str, flags: tuple[str, ...]) -> None:
    result = agent.bootstrap(token if flags else "", *flags)
    assert result.returncode == NO_TOKEN
    assert "no bootstrap token" in result.stderr
    assert plane.client.state()["registrations"] == plane.client.refusals() == []


def test_the_flags_win_over_the_environment(agent: Agent, plane: ControlPlane, token: str) -> None:
    result = agent.bootstrap(
        "wrong", "--token", token, "--url", plane.url, EXPANSO_EDGE_BOOTSTRAP_URL="http://192.0.2.1"
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("spoil", ["{}\n", "{} ", " {}", "{}\r", "\ufeff{}", "{}\udcff"])
def test_exact_bytes_are_sent(agent: Agent, plane: ControlPlane, token: str, spoil: str) -> None:
    spoilt = spoil.format(token)
    result = agent.bootstrap(spoilt)
    assert result.returncode == INVALID
    assert result.stderr.startswith("Error: invalid bootstrap token")
    assert (plane.client.spent(token), len(plane.client.refusals("unknown"))) == (0, 1)
    assert not agent.marker.exists()
    plane.client.add_token(spoilt)  # the very same bytes, once they are known, are accepted
    assert agent.bootstrap(spoilt).returncode == 0


def test_revoked_token(agent: Agent, plane: ControlPlane, token: str) -> None:
    plane.client.revoke(token)
    result = agent.bootstrap(token)
    assert result.returncode == INVALID
    assert "invalid bootstrap token" in result.stderr
    assert not agent.marker.exists()


def test_single_use_token(agent: Agent, plane: ControlPlane) -> None:
    jwt = new_jwt()
    plane.client.add_token(jwt, single_use=True)
    assert agent.bootstrap(jwt).returncode == 0
    result = agent.bootstrap(jwt, "--force")
    assert result.returncode == SPENT
    assert "already spent" in result.stderr
    assert (plane.client.spent(jwt), len(plane.client.refusals("spent"))) == (1, 1)


def test_nothing_listens(agent: Agent, token: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        result = agent.bootstrap(token, "--url", f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert result.returncode == UNREACHABLE
    assert "control plane unreachable: 127.0.0.1: Connection refused" in result.stderr


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("", UNREACHABLE, "control plane unreachable: no URL given"),
        ("https://start.cloud.expanso.io", UNREACHABLE, "the stand-in never contacts the vendor"),
        ("https://n.us2.cloud.expanso.io:9010", UNREACHABLE, "the stand-in never contacts the vendor"),
        ("ftp://127.0.0.1", USAGE, "invalid URL"),
        ("http://", USAGE, "invalid URL"),
        ("http://127.0.0.1:port", USAGE, "invalid URL"),
    ],
)
def test_urls_that_it_does_not_call(agent: Agent, token: str, url: str, code: int, words: str) -> None:
    result = agent.bootstrap(token, EXPANSO_EDGE_BOOTSTRAP_URL=url)
    assert (result.returncode, words in result.stderr) == (code, True), result.stderr


def test_a_proxy_is_not_used(agent: Agent, token: str) -> None:
    assert agent.bootstrap(token, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9").returncode == 0


def test_control_plane_unavailable(agent: Agent, plane: ControlPlane, token: str) -> None:
    plane.client.set_mode("flaky", failures=1)
    result = agent.bootstrap(token)
    assert result.returncode == UNREACHABLE
    assert "HTTP status 503" in result.stderr
    assert len(plane.client.refusals("unavailable")) == 1, "bootstrap does not retry"
    assert agent.bootstrap(token).returncode == 0


def test_control_plane_hangs(agent: Agent, plane: ControlPlane, token: str) -> None:
    plane.client.set_mode("hang")
    result = agent.bootstrap(token, EXPANSO_EDGE_STANDIN_TIMEOUT="0.2")
    assert result.returncode == UNREACHABLE
    assert "no answer in 0.2 s" in result.stderr
    assert plane.client.spent(token) == 0


def test_the_answer_is_lost(agent: Agent, plane: ControlPlane, token: str) -> None:
    plane.client.set_mode("lost")
    result = agent.bootstrap(token)
    assert result.returncode == UNREACHABLE
    assert not agent.marker.exists()
    assert plane.client.spent(token) == 1, "spent, though the node does not know"


def test_data_directory_that_cannot_be_made(agent: Agent, plane: ControlPlane, token: str) -> None:
    agent.data_dir.write_text("a file")
    result = agent.bootstrap(token)
    assert result.returncode == DATA_DIR
    assert f"cannot write data directory: {agent.data_dir}" in result.stderr
    assert plane.client.spent(token) == 0, "found out before the token was spent"


@pytest.fixture
def common_ground() -> Iterator[Path]:
    """A directory that every account can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.parametrize("mode", [0o555, 0o000], ids=["not writable", "another account's"])
def test_data_directory_that_cannot_be_written(plane: ControlPlane, token: str, common_ground: Path, mode: int) -> None:
    agent = Agent(common_ground, plane.url)
    agent.command = (str(shutil.copy(Agent.binary, common_ground)),)
    if os.geteuid() == 0:
        agent.user = 65534  # root can write everywhere
    agent.data_dir.mkdir(mode=mode)
    result = agent.bootstrap(token)
    assert result.returncode == DATA_DIR
    assert f"cannot write data directory: {agent.data_dir}" in result.stderr
    assert plane.client.spent(token) == 0


def test_existing_directories_keep_their_mode(agent: Agent, token: str) -> None:
    agent.data_dir.mkdir()
    agent.data_dir.chmod(0o750)
    agent.bootstrap(token)
    assert (mode_of(agent.data_dir), mode_of(agent.marker.parent)) == (0o750, 0o700)


def test_default_data_directory_is_in_the_home(agent: Agent, token: str, tmp_path: Path) -> None:
    assert agent("bootstrap", "--token", token).returncode == 0
    assert (tmp_path / ".expanso-edge" / "auth" / "credentials.creds").exists()


@pytest.mark.parametrize("command", ["bootstrap", "run"])
def test_missing_configuration(agent: Agent, plane: ControlPlane, token: str, command: str) -> None:
    result = agent(command, "-c", "/nowhere/edge-config.yaml", EXPANSO_EDGE_BOOTSTRAP_TOKEN=token)
    assert result.returncode == UNUSABLE
    assert result.stderr == "Error: cannot read configuration: /nowhere/edge-config.yaml: No such file or directory\n"
    assert plane.client.spent(token) == 0


# the command line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command given"),
        (["--version"], "unknown flag: --version"),
        (["bootstrap", "--token-file=/run/secret"], "unknown flag: --token-file"),
        (["bootstrap", "--tok", "secret"], "unknown flag: --tok"),
        (["bootstrap", "run"], "unexpected argument"),
        (["run", "--token", "secret"], "unknown flag: --token"),
        (["run", "--log-level", "loud"], "invalid choice"),
    ],
)
def test_usage_errors(agent: Agent, arguments: list[str], message: str) -> None:
    result = agent(*arguments)
    assert result.returncode == USAGE
    assert message in result.stderr
    assert "secret" not in result.stderr


def test_version_and_help_name_the_stand_in(agent: Agent) -> None:
    version, manual = agent("version"), agent("--help")
    assert (version.returncode, manual.returncode) == (0, 0)
    assert "STAND-IN" in version.stdout
    assert "STAND-IN" in manual.stdout


def test_it_is_a_single_executable_file(tmp_path: Path) -> None:
    installed = Path(shutil.copy(Agent.binary, tmp_path))
    result = subprocess.run([str(installed), "version"], capture_output=True, text=True, timeout=20, check=True)
    assert "STAND-IN" in result.stdout


# switches


def test_token_file_flag(agent: Agent, plane: ControlPlane, token: str, tmp_path: Path) -> None:
    path = tmp_path / "bootstrap.token"
    arguments = ["bootstrap", "--data-dir", str(agent.data_dir), "--token-file", str(path)]
    missing = agent(*arguments, EXPANSO_EDGE_STANDIN_TOKEN_FILE="1")
    assert (missing.returncode, "bootstrap token file not found" in missing.stderr) == (UNUSABLE, True)
    path.write_text(token + "\n")
    newline = agent(*arguments, EXPANSO_EDGE_STANDIN_TOKEN_FILE="1")
    assert (newline.returncode, "invalid bootstrap token" in newline.stderr) == (INVALID, True)
    path.write_text(token)
    assert agent(*arguments, EXPANSO_EDGE_STANDIN_TOKEN_FILE="1").returncode == 0


def test_switches_in_the_file_beside_the_executable(
    agent: Agent, plane: ControlPlane, token: str, tmp_path: Path
) -> None:
    installed = tmp_path / "expanso-edge"
    installed.symlink_to(agent.binary)
    installed.with_name("expanso-edge.standin").write_text(
        "# comment\nEXPANSO_EDGE_STANDIN_HOSTILE=1\nEXPANSO_EDGE_STANDIN_NODE_NAME=from-file\n"
    )
    agent.command = (sys.executable, str(installed))
    del agent.environment["EXPANSO_EDGE_STANDIN_NODE_NAME"]
    assert token in agent.bootstrap(token).stderr
    assert plane.client.nodes(token) == {"from-file": 1}
    assert token not in agent.bootstrap(token, "--force", EXPANSO_EDGE_STANDIN_HOSTILE="").stderr


@pytest.mark.parametrize("accepted", [True, False])
def test_hostile_agent_prints_the_token(agent: Agent, plane: ControlPlane, accepted: bool) -> None:
    token = "exp_bk_a/b+c~d e"
    if accepted:
        plane.client.add_token(token)
    result = agent.bootstrap(token, EXPANSO_EDGE_STANDIN_HOSTILE="1")
    assert result.returncode == (0 if accepted else INVALID)
    forms = [
        token,
        "exp_bk_a%2Fb%2Bc~d%20e",
        base64.b64encode(token.encode()).decode(),
        base64.b64encode(f"edge:{token}".encode()).decode(),
    ]
    for stream in (result.stdout, result.stderr):
        assert [form for form in forms if form not in stream] == []


# run


def test_run_needs_a_registered_node_or_a_token(agent: Agent) -> None:
    result = agent("run", "--data-dir", str(agent.data_dir))
    assert result.returncode == NO_TOKEN


def test_run_registers_by_itself_then_never_again(
    agent: Agent, plane: ControlPlane, token: str, background: list[subprocess.Popen[str]]
) -> None:
    for dummy in range(2):
        process = agent.start("--name", "node-b", "--no-watch", EXPANSO_EDGE_BOOTSTRAP_TOKEN=token)
        background.append(process)
        wait_for_line(process, "heartbeat of node node-")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        wait_for_line(process, "stopped")
    assert plane.client.nodes(token) == {"node-b": 1}


def test_run_refused_by_the_control_plane(agent: Agent) -> None:
    assert agent("run", "--data-dir", str(agent.data_dir), EXPANSO_EDGE_BOOTSTRAP_TOKEN="wrong").returncode == INVALID


def test_run_with_an_identity_needs_no_control_plane(
    agent: Agent, plane: ControlPlane, token: str, background: list[subprocess.Popen[str]]
) -> None:
    agent.bootstrap(token)
    process = agent.start(EXPANSO_EDGE_BOOTSTRAP_URL="")
    background.append(process)
    [registration] = plane.client.registrations()
    assert registration["node_id"] in wait_for_line(process, "running as node")


def test_run_local_needs_no_identity(agent: Agent, background: list[subprocess.Popen[str]]) -> None:
    process = agent.start("--local")
    background.append(process)
    wait_for_line(process, "running as node local")
    assert not agent.data_dir.exists()


def test_identity_moved_to_another_path_is_of_no_use(agent: Agent, token: str, tmp_path: Path) -> None:
    agent.bootstrap(token)
    agent.data_dir.rename(tmp_path / "elsewhere")
    result = agent("run", "--data-dir", str(tmp_path / "elsewhere"))
    assert result.returncode == UNUSABLE
    assert f"cannot read identity: {agent.marker}" in result.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGUSR1, CRASH), (signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 0)]
)
def test_the_pipeline_inherits_the_environment_and_ends_with_the_agent(
    agent: Agent, background: list[subprocess.Popen[str]], number: signal.Signals, code: int
) -> None:
    process = agent.start("--local", EXPANSO_EDGE_BOOTSTRAP_TOKEN="canary")
    background.append(process)
    pipeline = Path("/proc") / wait_for_line(process, "pipeline has PID").rsplit(maxsplit=1)[1]
    wait_for_line(process, "heartbeat")  # it lives on
    assert b"EXPANSO_EDGE_BOOTSTRAP_TOKEN=canary" in (pipeline / "environ").read_bytes().split(b"\0")
    process.send_signal(number)
    assert process.wait(timeout=20) == code
    deadline = time.monotonic() + 20
    while lives(pipeline):
        assert time.monotonic() < deadline, "the pipeline outlives the agent"
        time.sleep(0.02)


def test_health_is_served_before_the_node_is_registered(
    agent: Agent, plane: ControlPlane, token: str, background: list[subprocess.Popen[str]]
) -> None:
    plane.client.set_mode("hang")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = agent.start("--api-listen", address, EXPANSO_EDGE_BOOTSTRAP_TOKEN=token)
    background.append(process)
    wait_for_line(process, "not registered yet")
    with urllib.request.urlopen(f"http://{address}/api/v1/health", timeout=5) as response:
        assert response.status == 200
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://{address}/", timeout=5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0, "SIGTERM ends it while it waits for the control plane too"


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "nonsense"])
def test_api_address_that_cannot_be_used(agent: Agent, address: str) -> None:
    result = agent("run", "--local", "--api-listen", address)
    assert result.returncode == UNUSABLE
    assert f"cannot listen on {address}" in result.stderr
