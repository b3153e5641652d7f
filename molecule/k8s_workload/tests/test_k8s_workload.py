# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a token in a cluster that runs the agent: seen from inside of pods, from the API and from the control plane."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_runs import spellings
from cluster_view import Cluster, wait_for
from conftest import Site
from control_plane_pod import ControlPlanePod

FINGERPRINT = "expanso.edge/token-fingerprint"
ENROLMENT = "expanso.edge/enrolment"
MARKER = "/var/lib/expanso/edge/auth/credentials.creds"
CONNECTION = "/var/lib/expanso/edge/config.d/50-connection.yaml"


def identity(site: Site) -> str:
    """The identity that the running agent has."""
    pod = site.cluster.pod(site.namespace)
    return site.cluster.execute(site.namespace, pod.metadata.name, "expanso-edge", "cat", CONNECTION)


def leaks(texts: dict[str, str], token: str) -> list[str]:
    return [name for name, text in texts.items() for spelling in spellings(token) if spelling in text]


# The site that the playbook expanso.edge.provision has provisioned, twice.


def test_where_the_cluster_comes_from(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{cluster.about['source']}")
    assert cluster.core.list_node().items


def test_registered_once(converged: Site, plane: ControlPlanePod) -> None:
    assert plane.spent(converged.token) == 1
    pod = converged.cluster.pod(converged.namespace)
    assert pod.status.qos_class == "Burstable"
    assert [each.restart_count for each in pod.status.container_statuses + pod.status.init_container_statuses] == [0, 0]
    claim = converged.cluster.read("persistentvolumeclaims", converged.namespace, "expanso-edge-data")
    assert claim["metadata"]["annotations"][FINGERPRINT] == fingerprint(converged.token)
    record = json.loads(claim["metadata"]["annotations"][ENROLMENT])
    assert (record["fingerprint"], record["delivery"]) == (fingerprint(converged.token), "kubernetes")


def test_no_process_of_the_agent_knows_the_token(converged: Site) -> None:
    pod = converged.cluster.pod(converged.namespace).metadata.name
    script = "for file in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do cat $file 2>/dev/null; done; ls -R /run/secrets /var/run/secrets 2>&1; true"
    found = converged.cluster.execute(converged.namespace, pod, "expanso-edge", "sh", "-c", script)
    assert "expanso-edge" in found, "the search sees the agent"
    assert leaks({"processes": found}, converged.token) == []
    assert "EXPANSO_EDGE_BOOTSTRAP_TOKEN" not in found
    assert "serviceaccount" not in found


def test_no_process_of_the_node_shows_the_token(converged: Site) -> None:
    if "container" not in converged.cluster.about:
        pytest.skip("the node of this cluster cannot be entered")
    script = "cat /proc/[0-9]*/cmdline 2>/dev/null; true"
    command = ["docker", "exec", converged.cluster.about["container"], "sh", "-c", script]
    found = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=True).stdout
    assert "expanso-edge" in found
    assert leaks({"processes": found}, converged.token) == []


def test_files_of_the_identity_are_the_agents_own(converged: Site) -> None:
    pod = converged.cluster.pod(converged.namespace).metadata.name
    assert converged.cluster.execute(converged.namespace, pod, "expanso-edge", "stat", "-c", "%a %u", MARKER).split() == ["600", "1000"]


# Sites of the tests' own.


def test_the_file_seen_from_inside(site: Site, plane: ControlPlanePod) -> None:
    """While the agent registers: the bytes, mode and owner of the file, and who knows the token."""
    plane.set_mode("hang")
    try:
        message = site.refused(k8s_secret_deployment_timeout=8, k8s_secret_deployment_environment={"EXPANSO_EDGE_STANDIN_TIMEOUT": "120"})
        assert "has not rolled out after 8 seconds: 1 of 1 pods up to date, 0 available" in message
        pod = site.cluster.pod(site.namespace, condition="PodScheduled").metadata.name

        def inside(script: str) -> str:
            return site.cluster.execute(site.namespace, pod, "register", "sh", "-c", script)

        wait_for(lambda: "bootstrap" in inside("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), 30, "the agent that registers")
        file = "/run/secrets/expanso-edge/bootstrap.token"
        assert inside(f"sha256sum < {file}").split()[0] == hashlib.sha256(site.token.encode()).hexdigest()
        assert inside(f"stat -L -c '%a %u %g' {file}").split() == ["440", "0", "1000"]
        assert inside(f"touch {file} 2>/dev/null || echo refused").strip() == "refused"
        assert leaks({"command lines": inside("cat /proc/[0-9]*/cmdline")}, site.token) == []
        assert inside("ls /etc/expanso").split() == ["edge-config.yaml"]
        assert inside("id -u; id -g").split() == ["1000", "1000"]
    finally:
        plane.set_mode("normal")
    site.applied()
    assert plane.spent(site.token) == 1


def test_an_api_server_that_is_killed_during_a_roll_out(site: Site, plane: ControlPlanePod) -> None:
    """It starts again, as one in a static pod does, and the wait goes on."""
    if "container" not in site.cluster.about or site.cluster.log("kube-apiserver.log") is None:
        pytest.skip("the API server of this cluster is not a program of its own that can be killed")
    kill = ["docker", "exec", site.cluster.about["container"], "sh", "-c", "kill -KILL $(pidof kube-apiserver)"]

    def trouble() -> None:
        site.cluster.pod(site.namespace, condition="PodScheduled")
        subprocess.run(kill, stdin=subprocess.DEVNULL, capture_output=True, check=True)

    plane.set_mode("slow", seconds=5)
    with ThreadPoolExecutor() as beside:
        killed = beside.submit(trouble)
        site.applied()
        killed.result()
    plane.set_mode("normal")
    assert site.applied().totals()["changed"] == 0
    assert plane.spent(site.token) == 1


@pytest.mark.parametrize("way", ["environment", "token_file"])
def test_other_ways_of_the_token(site: Site, plane: ControlPlanePod, way: str) -> None:
    site.applied(k8s_secret_deployment_token_from=way, k8s_secret_deployment_environment={"EXPANSO_EDGE_STANDIN_TOKEN_FILE": "1"})
    assert plane.spent(site.token) == 1
    assert leaks(site.cluster.objects(site.namespace), site.token) == []
    pod = site.cluster.pod(site.namespace)
    assert "EXPANSO_EDGE_BOOTSTRAP_TOKEN" not in site.cluster.execute(site.namespace, pod.metadata.name, "expanso-edge", "env")


def test_a_life(site: Site, plane: ControlPlanePod) -> None:
    """Registered, killed, rotated, without its Secret, retired: one identity, one token spent."""
    assert site.applied().totals()["changed"] > 0
    mine = identity(site)
    assert "node_id" in mine

    pod = site.cluster.pod(site.namespace).metadata.name
    site.cluster.core.delete_namespaced_pod(pod, site.namespace, grace_period_seconds=0)
    wait_for(lambda: site.cluster.pod(site.namespace).metadata.name != pod, 60, "a new pod")
    assert identity(site) == mine
    assert site.applied().totals()["changed"] == 0

    first, site.token = site.token, f"exp_bk_{secrets.token_hex(20)}"
    plane.add_token(site.token)
    before = site.cluster.pod(site.namespace).metadata.name
    run = site.applied()
    assert run.result("Apply the Secret")["action"] == "written"
    after = site.cluster.pod(site.namespace)
    assert after.metadata.name != before, "the pod is replaced"
    assert after.metadata.annotations[FINGERPRINT] == fingerprint(site.token)
    assert identity(site) == mine
    assert site.applied().totals()["changed"] == 0

    run = site.applied(k8s_secret_remove_after_registration=True)
    assert run.result("Apply the Secret")["action"] == "removed"
    assert site.cluster.secret(site.namespace) is None
    assert site.cluster.pod(site.namespace).metadata.name == after.metadata.name, "nothing is restarted for it"
    assert site.applied(k8s_secret_remove_after_registration=True, expanso_edge_token=None).totals()["changed"] == 0
    site.cluster.core.delete_namespaced_pod(after.metadata.name, site.namespace, grace_period_seconds=0)
    wait_for(lambda: site.cluster.pod(site.namespace).metadata.name != after.metadata.name, 60, "a pod without the Secret")
    assert identity(site) == mine

    assert (plane.spent(first), plane.spent(site.token)) == (1, 0)
    site.applied(k8s_secret_state="absent")
    assert json.loads(site.cluster.objects(site.namespace)["deployments"])["items"] == []


def test_registered_and_removed_in_one_run(site: Site, plane: ControlPlanePod) -> None:
    site.applied(k8s_secret_remove_after_registration=True, k8s_secret_immutable=False)
    assert site.cluster.secret(site.namespace) is None
    assert plane.spent(site.token) == 1
    assert site.applied(k8s_secret_remove_after_registration=True).totals()["changed"] == 0


def test_removed_with_its_identity_and_provisioned_again(site: Site, plane: ControlPlanePod) -> None:
    site.applied()
    site.applied(k8s_secret_state="absent", k8s_secret_deployment_remove_claim=True)
    assert json.loads(site.cluster.objects(site.namespace)["pods"])["items"] == [], "removed means that the agent has ended"
    site.cluster.volume(site.namespace)
    site.applied()
    assert plane.spent(site.token) == 2


def test_a_token_that_is_refused(site: Site, plane: ControlPlanePod) -> None:
    good, site.token = site.token, f"exp_bk_{secrets.token_hex(20)}"
    message = site.refused(k8s_secret_deployment_timeout=15)
    assert "container register: ended with exit code 11: expanso-edge bootstrap ended with exit code 11" in message
    assert FINGERPRINT not in site.cluster.objects(site.namespace)["persistentvolumeclaims"]
    site.token = good
    site.applied()
    assert plane.spent(good) == 1


def quota(site: Site) -> Any:
    body = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    site.cluster.core.create_namespaced_resource_quota(site.namespace, body)
    return wait_for(lambda: site.cluster.core.read_namespaced_resource_quota("none", site.namespace).status.hard, 30, "the quota")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"k8s_secret_deployment_image": "expanso-edge-tests/none:1", "k8s_secret_deployment_image_pull_policy": "Never"}, "ErrImageNeverPull"),
        ({"k8s_secret_deployment_image": "not a name"}, "InvalidImageName"),
        ({"k8s_secret_deployment_claim": "none", "k8s_secret_deployment_claim_create": False}, 'persistentvolumeclaim "none" not found'),
        ({"k8s_secret_deployment_node_selector": {"no": "such"}}, "1 node(s) didn't match"),
        ({"k8s_secret_deployment_binary": "/no/agent"}, "expanso-edge bootstrap ended with exit code 127"),
        ({"quota": True}, "exceeded quota: none"),
    ],
    ids=["image", "image name", "volume", "node", "binary", "quota"],
)
def test_why_it_does_not_roll_out(site: Site, variables: dict[str, Any], expected: str) -> None:
    if variables.pop("quota", False):
        quota(site)
    if "k8s_secret_deployment_claim" in variables:  # the role allows one claim, by name
        site.kubeconfig = site.cluster.kubeconfig
    message = site.refused(**variables, k8s_secret_deployment_timeout=12)
    assert "has not rolled out after 12 seconds" in message
    assert expected in message


def test_the_clusters_logs_hold_no_token(converged: Site, cluster: Cluster) -> None:
    """At the end, when all has happened that is going to."""
    assert leaks(cluster.objects(converged.namespace), converged.token) == []
    audit = cluster.log("audit.jsonl")
    if audit is None:
        pytest.skip("the logs of this cluster's programs cannot be read")
    assert f"/namespaces/{converged.namespace}/deployments/expanso-edge" in audit
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "containerd")
    texts = {"audit": audit, **{name: cluster.log(f"{name}.log") or "" for name in names}}
    assert leaks(texts, converged.token) == []
