# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole modules, run in this process, and servers on loopback for them."""

import json
from typing import Any, Callable, Dict, Iterator

import pytest
from ansible.module_utils import basic
from fake_servers import Cluster, Engine, serve

Json = Dict[str, Any]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    made = Engine()
    server = serve(made)
    made.url = f"tcp://127.0.0.1:{server.server_port}"
    for name in ("DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_TIMEOUT", "DOCKER_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    made = Cluster()
    server = serve(made)
    made.url = f"http://127.0.0.1:{server.server_port}"
    for name in ("KUBECONFIG", "K8S_AUTH_API_KEY", "K8S_AUTH_HOST", "K8S_AUTH_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., Json]:
    """Run a module's main() with options as an old ansible-core would, which returns them; return what it printed."""

    def call(module: Any, check: bool = False, **options: Any) -> Json:
        given = json.dumps({"ANSIBLE_MODULE_ARGS": dict(options, _ansible_check_mode=check, _ansible_remote_tmp="/tmp")})
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", given.encode("utf-8"))
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        capsys.readouterr()
        with pytest.raises(SystemExit):
            module.main()
        captured = capsys.readouterr()
        answer = json.loads(captured.out.strip().splitlines()[-1])  # type: Json
        answer["printed"] = captured.out + captured.err
        return answer

    return call


@pytest.fixture
def connection(cluster: Cluster) -> Json:
    """The options with which modules reach the cluster."""
    return {"host": cluster.url, "api_key": "not-looked-at", "namespace": "edge"}
