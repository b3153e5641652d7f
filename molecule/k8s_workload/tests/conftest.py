# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster of the scenario, its control plane, and sites that tests make for themselves."""

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
from cluster import NAMESPACES
from cluster_view import Cluster
from control_plane_pod import ControlPlanePod
from inventory import CLUSTER, SITE, STATE, workload


class Site:
    """A namespace with an account of the least role, and a token that the control plane knows. Applies the role to it."""

    def __init__(self, controller: Controller, cluster: Cluster, plane: ControlPlanePod, namespace: str, token: str, kubeconfig: Path) -> None:
        self.controller = controller
        self.cluster = cluster
        self.plane = plane
        self.namespace = namespace
        self.token = token
        self.kubeconfig = kubeconfig

    def apply(self, *arguments: str, **variables: Any) -> Run:
        """One run of the role. Nothing that it prints may hold the token."""
        known = {
            **workload(self.namespace, self.plane.url),
            "expanso_edge_token": self.token,
            "k8s_secret_kubeconfig": str(self.kubeconfig),
            **variables,
        }
        site = {name: value for name, value in known.items() if value is not None}
        play = {"become": True, "roles": ["expanso.edge.k8s_secret"]}
        # deprecations of kubernetes.core's own, on the newest ansible-core
        settings = {"ANSIBLE_DEPRECATION_WARNINGS": "0"}
        secret = {self.token, str(known["expanso_edge_token"])} - {"None"}
        return self.controller.run([play], *arguments, hosts={"site": site}, environment=settings, secrets=secret)

    def applied(self, **variables: Any) -> Run:
        """One run that has to succeed."""
        run = self.apply(**variables)
        assert run.returncode == 0, run.output
        return run

    def refused(self, **variables: Any) -> str:
        """One run that has to fail; its message."""
        run = self.apply(**variables)
        [failed] = [each for each in run.events if each["outcome"] == "failed"]
        message: str = failed["result"]["msg"]
        return message


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster(CLUSTER)


@pytest.fixture(scope="session")
def plane(cluster: Cluster) -> ControlPlanePod:
    return ControlPlanePod(cluster)


@pytest.fixture(scope="session")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Controller:
    return Controller("test", tmp_path_factory.mktemp("controller"))


@pytest.fixture(scope="session")
def make_site(controller: Controller, cluster: Cluster, plane: ControlPlanePod) -> Callable[[], Site]:
    def make() -> Site:
        namespace, token = NAMESPACES + secrets.token_hex(4), f"exp_bk_{secrets.token_hex(20)}"
        plane.add_token(token)
        cluster.namespace(namespace)
        cluster.volume(namespace)
        return Site(controller, cluster, plane, namespace, token, cluster.provisioner(namespace))

    return make


@pytest.fixture
def site(make_site: Callable[[], Site]) -> Site:
    """A site of the test's own."""
    return make_site()


@pytest.fixture(scope="session")
def converged(controller: Controller, cluster: Cluster, plane: ControlPlanePod) -> Site:
    """The site that the scenario has provisioned."""
    token = (STATE / "tokens" / SITE).read_text(encoding="ascii")
    return Site(controller, cluster, plane, SITE, token, CLUSTER / f"{SITE}-expanso-edge-provisioner.conf")
