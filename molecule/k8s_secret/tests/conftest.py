# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster of the scenario, and runs of the role on it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

_AnsibleCollectionFinder(paths=os.environ["ANSIBLE_COLLECTIONS_PATH"].split(os.pathsep))._install()
SCENARIO = Path(__file__).resolve().parents[1]
TESTS = SCENARIO.parents[1] / "tests"
sys.path[:0] = [str(SCENARIO), str(TESTS / "support"), str(TESTS / "functional"), str(TESTS.parent / "tools")]

from ansible_runs import Controller, Run
from cluster_view import Cluster
from inventory import CLUSTER

Apply = Callable[..., Run]


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster(CLUSTER)


@pytest.fixture(scope="session")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Controller:
    return Controller("test", tmp_path_factory.mktemp("controller"))


@pytest.fixture
def token() -> str:
    """A token that nobody has seen."""
    return f"exp_bk_{secrets.token_hex(20)}"


@pytest.fixture
def apply(controller: Controller, cluster: Cluster, token: str) -> Apply:
    """Apply the role to one site, with variables. Nothing that any run prints may hold the token."""

    def run(*arguments: str, environment: dict[str, str] | None = None, **variables: Any) -> Run:
        known = {"expanso_edge_token": token, "k8s_secret_kubeconfig": str(cluster.kubeconfig), **variables}
        site = {name: value for name, value in known.items() if value is not None}
        play = {"become": True, "roles": ["expanso.edge.k8s_secret"]}
        # kubernetes.core's own, on the newest ansible-core
        settings = {"ANSIBLE_DEPRECATION_WARNINGS": "0", **(environment or {})}
        return controller.run([play], *arguments, hosts={"site": site}, environment=settings, secrets=[token])

    return run
