# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role makes in a cluster, what it refuses, and what it leaves alone."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_runs import spellings
from cluster_view import Cluster
from conftest import Apply
from inventory import NAMESPACES, STATE, WORKLOAD
from kubernetes.client.exceptions import ApiException
from pod_security import violations

Json = dict[str, Any]

SITES = ("one", "two", "three")
NAME = "expanso-bootstrap-token"
FINGERPRINT = "expanso.edge/token-fingerprint"
ENROLMENT = "expanso.edge/enrolment"


def converged(site: str) -> str:
    """The token that the scenario gave to a site."""
    return (STATE / "tokens" / site).read_text(encoding="ascii")


def value(secret: Any, key: str = "bootstrap.token") -> str:
    return base64.b64decode(secret.data[key]).decode()


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    """A namespace that exists, and is the test's own."""
    name = NAMESPACES + secrets.token_hex(4)
    cluster.namespace(name)
    return name


@pytest.fixture
def missing(cluster: Cluster) -> str:
    """A namespace that does not exist."""
    return NAMESPACES + secrets.token_hex(4)


def test_where_the_cluster_comes_from(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{cluster.about['source']}")
    assert cluster.core.list_namespace().items


# What the playbook expanso.edge.provision made of the three sites.


@pytest.mark.parametrize(("site", "key"), [("one", "token"), ("two", "bootstrap.token")])
def test_secret(cluster: Cluster, site: str, key: str) -> None:
    token, secret = converged(site), cluster.secret(NAMESPACES + site)
    assert secret.type == "Opaque"
    assert secret.data == {key: base64.b64encode(token.encode()).decode()}, "the bytes of the token and nothing else"
    annotations = dict(secret.metadata.annotations)
    assert json.loads(annotations.pop(ENROLMENT))["fingerprint"] == fingerprint(token)
    assert annotations == {FINGERPRINT: fingerprint(token)}, "no copy of what was applied"
    assert secret.metadata.labels["app.kubernetes.io/managed-by"] == "expanso.edge"
    assert secret.metadata.labels.get("site") == ("one" if site == "one" else None)
    assert not secret.immutable
    assert {(each.manager, each.operation) for each in secret.metadata.managed_fields} == {("expanso.edge", "Apply")}


def test_secret_of_its_own_for_each_token(cluster: Cluster) -> None:
    token = converged("three")
    secret = cluster.secret(NAMESPACES + "three", f"{NAME}-{fingerprint(token)}")
    assert secret.immutable
    assert value(secret) == token
    assert cluster.secret(NAMESPACES + "three") is None


@pytest.fixture(scope="module")
def deployment(cluster: Cluster) -> Json:
    return cluster.read("deployments", NAMESPACES + "two", "expanso-edge")


def test_workload_is_restricted(deployment: Json) -> None:
    pod = deployment["spec"]["template"]["spec"]
    assert list(violations(pod)) == []
    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["fsGroup"]) == (1000, 1000)


def test_one_pod_one_volume(cluster: Cluster, deployment: Json) -> None:
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    claim = cluster.read("persistentvolumeclaims", NAMESPACES + "two", "expanso-edge-data")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["spec"]["storageClassName"] == "standard"
    [data] = [each for each in deployment["spec"]["template"]["spec"]["volumes"] if each["name"] == "data"]
    assert data["persistentVolumeClaim"]["claimName"] == "expanso-edge-data"


def test_only_the_container_that_registers_gets_the_token(deployment: Json) -> None:
    pod = deployment["spec"]["template"]["spec"]
    [register], [agent] = pod["initContainers"], pod["containers"]
    [volume] = [each for each in pod["volumes"] if "secret" in each]
    assert volume["secret"]["defaultMode"] == 0o400
    assert volume["secret"]["optional"] is True
    [mount] = [each for each in register["volumeMounts"] if each["name"] == volume["name"]]
    assert mount["readOnly"] is True
    others = [each["mountPath"] for each in register["volumeMounts"] if each is not mount]
    assert mount["mountPath"] not in others, "a directory of its own: it hides nothing"
    assert volume["name"] not in [each["name"] for each in agent["volumeMounts"]]
    assert NAME not in json.dumps(agent)


def test_what_was_asked_for_is_in_the_workload(cluster: Cluster, deployment: Json) -> None:
    template = deployment["spec"]["template"]
    pod, [agent] = template["spec"], template["spec"]["containers"]
    assert agent["image"] == WORKLOAD["k8s_secret_deployment_image"]
    assert agent["command"][:2] == ["expanso-edge", "run"]
    assert agent["command"][-2:] == ["--log-level", "debug"]
    assert agent["env"] == [{"name": "TZ", "value": "UTC"}]
    assert agent["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(agent)
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["tolerations"] == WORKLOAD["k8s_secret_deployment_tolerations"]
    assert pod["affinity"] == WORKLOAD["k8s_secret_deployment_affinity"]
    assert pod["nodeSelector"] == WORKLOAD["k8s_secret_deployment_node_selector"]
    assert template["metadata"]["labels"]["site"] == "two"
    assert template["metadata"]["annotations"]["example.org/owner"] == "edge"
    assert template["metadata"]["annotations"][FINGERPRINT] == fingerprint(converged("two"))
    config = cluster.read("configmaps", NAMESPACES + "two", "expanso-edge")
    assert config["data"] == {"edge-config.yaml": "labels:\n  site: two\n"}


@pytest.mark.parametrize("site", SITES)
def test_the_token_is_in_nothing_but_the_secret(cluster: Cluster, site: str) -> None:
    found = cluster.objects(NAMESPACES + site)
    assert fingerprint(converged("two")) in cluster.objects(NAMESPACES + "two")["deployments"], "the search finds what is there"
    for spelling in spellings(converged(site)):
        assert [kind for kind, text in found.items() if spelling in text] == []


def test_the_clusters_logs_hold_no_token(cluster: Cluster) -> None:
    audit = cluster.log("audit.jsonl")
    if audit is None:
        pytest.skip("the logs of this cluster's API server cannot be read")
    assert f"/namespaces/{NAMESPACES}two/deployments/expanso-edge" in audit
    for text in (audit, cluster.log("kube-apiserver.log") or ""):
        for site in SITES:
            assert [spelling for spelling in spellings(converged(site)) if spelling in text] == []


# The account with the least role.


def test_life_under_the_least_role(cluster: Cluster, namespace: str, apply: Apply, token: str) -> None:
    site = {
        "k8s_secret_kubeconfig": str(cluster.provisioner(namespace)),
        "k8s_secret_namespace": namespace,
        "k8s_secret_deployment_state": "present",
        "k8s_secret_deployment_wait": False,
        "k8s_secret_deployment_config": {"labels": {"site": "limited"}},
    }
    planned = apply("--check", "--diff", **site)
    assert planned.totals()["changed"] == 2, planned.output
    assert cluster.secret(namespace) is None, "check mode changes nothing"
    assert (made := apply(**site)).returncode == 0, made.output
    assert made.totals()["changed"] == 2
    first = cluster.read("deployments", namespace, "expanso-edge")["spec"]["template"]["metadata"]["annotations"]
    assert apply(**site).totals()["changed"] == 0

    rotated = f"exp_bk_{secrets.token_hex(20)}"
    run = apply("--diff", **site, expanso_edge_token=rotated)
    assert run.result("Apply the Secret")["action"] == "written"
    assert not any(spelling in run.output for spelling in spellings(rotated))
    assert value(cluster.secret(namespace)) == rotated
    second = cluster.read("deployments", namespace, "expanso-edge")["spec"]["template"]["metadata"]["annotations"]
    assert second == {**first, FINGERPRINT: fingerprint(rotated)}

    # a registered agent, which the scenario k8s_workload makes in earnest: only its volume says so
    claim = {"metadata": {"annotations": {FINGERPRINT: fingerprint(rotated)}}}
    cluster.core.patch_namespaced_persistent_volume_claim("expanso-edge-data", namespace, claim)
    run = apply(**site, expanso_edge_token=None)
    assert run.totals()["changed"] == 0, "a registered agent asks for no token"
    run = apply(**site, expanso_edge_token=None, k8s_secret_remove_after_registration=True)
    assert run.result("Apply the Secret")["action"] == "removed"
    assert cluster.secret(namespace) is None
    run = apply(**site, k8s_secret_remove_after_registration=True)
    assert run.totals()["changed"] == 0, "and gets none"
    assert run.result("Apply the Secret")["action"] == "not_needed"

    assert apply(**site, k8s_secret_state="absent").returncode == 0
    found = cluster.objects(namespace)
    assert json.loads(found["deployments"])["items"] == []
    assert "edge-config.yaml" not in found["configmaps"]
    assert "expanso-edge-data" in found["persistentvolumeclaims"], "the identity stays"
    run = apply(**site, k8s_secret_state="absent", k8s_secret_deployment_remove_claim=True)
    assert run.totals()["changed"] == 1
    gone = cluster.read("persistentvolumeclaims", namespace, "expanso-edge-data") if "expanso-edge-data" in cluster.objects(namespace) else None
    assert gone is None or gone["metadata"].get("deletionTimestamp")
    assert cluster.exists(namespace)


def test_an_account_without_rights(cluster: Cluster, namespace: str, apply: Apply) -> None:
    run = apply(
        k8s_secret_kubeconfig=str(cluster.account(namespace, "nobody")),
        k8s_secret_namespace=namespace,
        k8s_secret_deployment_state="present",
        k8s_secret_remove_after_registration=True,
    )
    message = run.result("Check that the cluster accepts what is planned")["msg"]
    for what in ("get secrets expanso-bootstrap-token", "create deployments.apps expanso-edge", "list events", "patch persistentvolumeclaims"):
        assert f"{what}" in message
    assert f"in namespace {namespace}" in message
    assert "ServiceAccount" not in message


def test_rights_that_are_taken_away_meanwhile(cluster: Cluster, namespace: str, apply: Apply, token: str, controller: Any) -> None:
    """Without the preflight, too, the message names verb and resource."""
    module = {"name": NAME, "namespace": namespace, "token": token, "kubeconfig": str(cluster.account(namespace, "nobody"))}
    play = {"connection": "local", "tasks": [{"name": "Put it", "expanso.edge.k8s_secret": module}]}
    run = controller.run([play], hosts={"localhost": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}}, secrets=[token])
    message = run.result("Put it")["msg"]
    assert message.startswith(f"the account is not allowed to get secrets {NAME} in namespace {namespace}: ")
    assert cluster.secret(namespace) is None


def test_a_namespace_that_may_not_be_created(cluster: Cluster, namespace: str, missing: str, apply: Apply) -> None:
    account = str(cluster.account(namespace, "nobody"))
    run = apply(k8s_secret_kubeconfig=account, k8s_secret_namespace=missing)
    message = run.result("Check that the cluster accepts what is planned")["msg"]
    assert f"get secrets {NAME} in namespace {missing}" in message
    assert not cluster.exists(missing)


# What is refused, and leaves nothing half-made.


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"expanso_edge_token": None}, "is not registered and no token was given for it: looked at variable expanso_edge_token"),
        ({"expanso_edge_token": "exp_ak_0123456789abcdef"}, "it is an API key"),
        ({"expanso_edge_token": "exp_bk_0123456789abcdef "}, "it has white space at its end"),
        ({"expanso_edge_token": "0123456789abcdef", "k8s_secret_strict": True}, "neither a bootstrap key"),
        ({"k8s_secret_create_namespace": False}, "does not exist: create it"),
        ({"k8s_secret_deployment_state": "present", "k8s_secret_deployment_resources": {"limitz": {"cpu": 1}}}, "'limitz' was unexpected"),
        ({"k8s_secret_deployment_state": "present", "k8s_secret_deployment_liveness_probe": {"httpGet": {"prot": 1}}}, "livenessProbe"),
        ({"k8s_secret_name": "Expanso"}, "'Expanso' cannot name a Secret"),
        ({"k8s_secret_key": "a b"}, "'a b' cannot be a key of a Secret"),
        ({"k8s_secret_deployment_state": "present", "k8s_secret_deployment_name": "Edge"}, "'Edge' cannot name a Deployment"),
        (
            {"k8s_secret_deployment_state": "present", "k8s_secret_deployment_config": {"a": 1}, "k8s_secret_config_file": "/edge.yaml"},
            "container register: nothing else can be mounted at /",
        ),
        (
            {"k8s_secret_deployment_state": "present", "k8s_secret_deployment_config": {"a": 1}, "k8s_secret_config_file": "/var/lib/expanso/edge/c.yaml"},
            "nothing else can be mounted at /var/lib/expanso/edge",
        ),
        ({"k8s_secret_host": "https://127.0.0.1:1", "k8s_secret_kubeconfig": None}, "no credentials for https://127.0.0.1:1"),
        ({"k8s_secret_host": "https://127.0.0.1:1", "k8s_secret_kubeconfig": None, "k8s_secret_api_key": "x"}, "cannot connect to the Kubernetes API"),
        ({"k8s_secret_kubeconfig": "/nowhere/kubeconfig"}, "cannot connect to the Kubernetes API"),
        ({"k8s_secret_context": "elsewhere"}, "elsewhere"),
    ],
    ids=[
        "no token", "API key", "white space", "strict", "no namespace", "field", "probe", "name", "key", "workload's name", "root mount",
        "two mounts", "no credentials", "unreachable", "no kubeconfig", "no context",
    ],  # fmt: skip
)
def test_refused_before_anything_is_made(cluster: Cluster, missing: str, apply: Apply, variables: Json, expected: str) -> None:
    run = apply(**{"k8s_secret_namespace": missing, **variables})
    assert run.returncode == 2
    [failed] = [each for each in run.events if each["outcome"] == "failed"]
    assert expected in failed["result"]["msg"]
    assert not cluster.exists(missing)


def test_credentials_that_are_not_accepted(cluster: Cluster, missing: str, apply: Apply) -> None:
    kubeconfig = cluster.kubeconfig_with({"token": "0123456789abcdef"}, "stranger")
    run = apply(k8s_secret_kubeconfig=str(kubeconfig), k8s_secret_namespace=missing)
    assert "the API does not accept the credentials" in run.result("Check that the cluster accepts what is planned")["msg"]


def test_client_library_is_missing(cluster: Cluster, apply: Apply, tmp_path: Path) -> None:
    """On a host of the inventory whose Python has none."""
    run = apply(k8s_secret_delegate_to="site", k8s_secret_namespace="default")
    message = run.result("Check that the cluster accepts what is planned")["msg"]
    assert "required Python library (kubernetes)" in message
    assert "/usr/bin/python3" in message


def test_another_type(cluster: Cluster, namespace: str, apply: Apply) -> None:
    foreign = {"username": "YQ==", "password": "Yg=="}
    body = {"metadata": {"name": NAME}, "type": "kubernetes.io/basic-auth", "data": foreign}
    cluster.core.create_namespaced_secret(namespace, body)
    for state in ("present", "absent"):
        run = apply(k8s_secret_namespace=namespace, k8s_secret_state=state)
        [failed] = [each for each in run.events if each["outcome"] == "failed"]
        assert "is of type kubernetes.io/basic-auth, not Opaque" in failed["result"]["msg"]
    assert cluster.secret(namespace).data == foreign


def test_another_manager(cluster: Cluster, namespace: str, apply: Apply, token: str) -> None:
    """Somebody has made the Secret by hand, with another value and a key more."""
    body = {"metadata": {"name": NAME, "labels": {"theirs": "yes"}}, "data": {"bootstrap.token": "b2xk", "other": "eA=="}}
    cluster.core.create_namespaced_secret(namespace, body, field_manager="kubectl-create")
    site = {"k8s_secret_namespace": namespace}
    run = apply(**site)
    message = run.result("Apply the Secret")["msg"]
    assert "another manager owns fields with other values" in message
    assert ".data.bootstrap.token" in message
    assert "kubectl-create" in message
    assert cluster.secret(namespace).data == body["data"]

    assert apply(**site, k8s_secret_force=True).returncode == 0
    secret = cluster.secret(namespace)
    assert value(secret) == token
    assert secret.data["other"] == "eA=="
    assert secret.metadata.labels["theirs"] == "yes"

    run = apply(**site, k8s_secret_state="absent")
    assert run.result("Remove the Secret")["action"] == "removed"
    assert cluster.secret(namespace).data == {"other": "eA=="}
    assert apply(**site, k8s_secret_state="absent").totals()["changed"] == 0


def test_what_others_made_is_not_removed(cluster: Cluster, namespace: str, apply: Apply) -> None:
    config = {"metadata": {"name": "expanso-edge"}, "data": {"theirs": "yes"}}
    cluster.core.create_namespaced_config_map(namespace, config)
    site = {"k8s_secret_namespace": namespace, "k8s_secret_deployment_state": "present", "k8s_secret_state": "absent"}
    message = apply(**site).result("Check that the cluster accepts what is planned")["msg"]
    assert f"ConfigMap expanso-edge in namespace {namespace} is not managed by this collection" in message
    assert cluster.read("configmaps", namespace, "expanso-edge")["data"] == config["data"]
    assert apply(**site, k8s_secret_force=True).returncode == 0
    assert '"theirs"' not in cluster.objects(namespace)["configmaps"]


@pytest.mark.parametrize("registered", [False, True])
def test_the_workload_is_removed_and_the_secret_stays(cluster: Cluster, namespace: str, apply: Apply, registered: bool) -> None:
    """The token that the Secret holds is enough, whether the agent has registered or not."""
    site = {"k8s_secret_namespace": namespace, "k8s_secret_deployment_wait": False}
    assert apply(**site, k8s_secret_deployment_state="present").returncode == 0
    if registered:
        claim = {"metadata": {"annotations": {FINGERPRINT: "0123456789ab"}}}
        cluster.core.patch_namespaced_persistent_volume_claim("expanso-edge-data", namespace, claim)
    run = apply(**site, k8s_secret_deployment_state="absent", expanso_edge_token=None)
    assert run.result("Apply the Secret")["action"] == "kept", run.output
    assert json.loads(cluster.objects(namespace)["deployments"])["items"] == []
    assert cluster.secret(namespace) is not None


def test_never_root_on_the_controller(namespace: str, apply: Apply) -> None:
    """Whatever the inventory says of becoming root on the sites."""
    environment = {"ANSIBLE_BECOME_EXE": "/bin/false", "ANSIBLE_BECOME_ALLOW_SAME_USER": "1"}
    assert apply(k8s_secret_namespace=namespace, ansible_become=True, environment=environment).returncode == 0


def test_text_that_is_json_stays_text(cluster: Cluster, namespace: str, apply: Apply) -> None:
    text = '{"a": true, "b": "1"}'
    site = {"k8s_secret_namespace": namespace, "k8s_secret_deployment_state": "present", "k8s_secret_deployment_wait": False}
    assert apply(**site, k8s_secret_deployment_config=text).returncode == 0
    assert cluster.read("configmaps", namespace, "expanso-edge")["data"] == {"edge-config.yaml": text}


def test_labels_are_corrected(cluster: Cluster, namespace: str, apply: Apply) -> None:
    apply(k8s_secret_namespace=namespace)
    run = apply(k8s_secret_namespace=namespace, k8s_secret_labels={"site": "x"})
    assert run.result("Apply the Secret")["action"] == "repaired"
    run = apply(k8s_secret_namespace=namespace)
    assert run.result("Apply the Secret")["action"] == "repaired", "what is no longer asked for is no longer there"
    assert "site" not in cluster.secret(namespace).metadata.labels


# The rest of a Secret's life.


def test_immutable_secrets_follow_each_other(cluster: Cluster, namespace: str, apply: Apply, token: str) -> None:
    site = {
        "k8s_secret_kubeconfig": str(
            cluster.provisioner(namespace, ("        resourceNames: [expanso-bootstrap-token]\n        verbs: [get,", "        verbs: [list, get,"))
        ),
        "k8s_secret_namespace": namespace,
        "k8s_secret_immutable": True,
    }
    new = f"exp_bk_{secrets.token_hex(20)}"
    for each in (token, new):
        assert (run := apply(**site, expanso_edge_token=each)).returncode == 0, run.output
        [secret] = cluster.core.list_namespaced_secret(namespace, label_selector=f"expanso.edge/secret={NAME}").items
        assert secret.metadata.name == f"{NAME}-{fingerprint(each)}"
        assert value(secret) == each
    assert apply(**site, expanso_edge_token=new).totals()["changed"] == 0
    assert apply(**site, expanso_edge_token=new, k8s_secret_labels={"expanso.edge/secret": "x"}).totals()["changed"] == 0, "our own labels win"
    with pytest.raises(ApiException):
        cluster.core.patch_namespaced_secret(secret.metadata.name, namespace, {"data": {"bootstrap.token": "eA=="}})
    assert apply(**site, k8s_secret_state="absent").totals()["changed"] == 1
    assert cluster.core.list_namespaced_secret(namespace, label_selector=f"expanso.edge/secret={NAME}").items == []


def test_an_immutable_secret_that_no_pod_has_seen_yet(cluster: Cluster, namespace: str, apply: Apply, token: str) -> None:
    """A registered agent gets a new token, and nobody waits for the pod: the Secret of the new token is the one that stays."""
    site = {"k8s_secret_namespace": namespace, "k8s_secret_immutable": True, "k8s_secret_deployment_state": "present", "k8s_secret_deployment_wait": False}
    assert apply(**site).returncode == 0
    claim = {"metadata": {"annotations": {FINGERPRINT: fingerprint(token)}}}
    cluster.core.patch_namespaced_persistent_volume_claim("expanso-edge-data", namespace, claim)
    new = f"exp_bk_{secrets.token_hex(20)}"
    assert apply(**site, expanso_edge_token=new).result("Apply the Secret")["action"] == "written"
    run = apply(**site, expanso_edge_token=new)
    assert run.totals()["changed"] == 0, run.output
    [secret] = cluster.core.list_namespaced_secret(namespace, label_selector=f"expanso.edge/secret={NAME}").items
    assert secret.metadata.name == f"{NAME}-{fingerprint(new)}"


def test_the_namespace_goes_on_request(cluster: Cluster, missing: str, apply: Apply) -> None:
    assert apply(k8s_secret_namespace=missing).result("Apply the Secret")["namespace_created"] is True
    run = apply("--check", k8s_secret_namespace=missing, k8s_secret_state="absent", k8s_secret_remove_namespace=True)
    assert run.totals()["changed"] == 2
    assert cluster.secret(missing) is not None
    assert apply(k8s_secret_namespace=missing, k8s_secret_state="absent", k8s_secret_remove_namespace=True).returncode == 0
    assert not cluster.exists(missing) or cluster.core.read_namespace(missing).status.phase == "Terminating"
    run = apply(k8s_secret_namespace=NAMESPACES + "never", k8s_secret_state="absent", k8s_secret_deployment_state="absent")
    assert run.totals()["changed"] == 0, run.output


@pytest.mark.parametrize("how", ["environment", "options"])
def test_connection_without_a_kubeconfig(cluster: Cluster, namespace: str, apply: Apply, tmp_path: Path, how: str) -> None:
    """As AWX's credential for Kubernetes gives it, and by the role's own variables."""
    configuration = cluster.api.configuration
    authority = tmp_path / "ca.crt"
    authority.write_bytes(Path(configuration.ssl_ca_cert).read_bytes())
    account = yaml.safe_load(cluster.provisioner(namespace).read_text(encoding="utf-8"))["users"][0]["user"]["token"]
    site: Json = {"k8s_secret_kubeconfig": None, "k8s_secret_namespace": namespace}
    environment = None
    if how == "environment":
        environment = {
            "K8S_AUTH_HOST": configuration.host,
            "K8S_AUTH_API_KEY": account,
            "K8S_AUTH_VERIFY_SSL": "True",
            "K8S_AUTH_SSL_CA_CERT": str(authority),
        }
    else:
        site.update(k8s_secret_host=configuration.host, k8s_secret_api_key=account, k8s_secret_ca_cert=str(authority), k8s_secret_validate_certs=True)
    run = apply("-vvv", **site, environment=environment)
    assert run.returncode == 0, run.output
    assert account not in run.output
    assert cluster.secret(namespace) is not None


# Audit and retirement.


def test_a_token_is_audited_and_retired(cluster: Cluster, namespace: str, token: str, controller: Any) -> None:
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "expanso-edge-data", "namespace": namespace, "annotations": {"expanso.edge/token-fingerprint": "0" * 12}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mistake", "namespace": namespace}, "data": {"a": f"token: {token}"}},
    )
    entries = ("main", "audit", "retire", "audit", "retire")
    states = {"main": "unmanaged"}
    tasks = [
        {
            "name": "Apply",
            "ansible.builtin.include_role": {"name": "expanso.edge.k8s_secret", "tasks_from": entry},
            "vars": {"k8s_secret_deployment_state": states.get(entry, "present")},
        }
        for entry in entries
    ]
    variables = {"expanso_edge_token": token, "k8s_secret_kubeconfig": str(cluster.kubeconfig), "k8s_secret_namespace": namespace}
    run = controller.run([{"tasks": tasks}], hosts={"site": variables}, environment={"ANSIBLE_DEPRECATION_WARNINGS": "0"}, secrets=[token])
    assert run.returncode == 0, run.output
    before, after = (event["result"] for event in run.events if event["task"].endswith("Audit the namespace"))
    assert [finding["code"] for finding in before["tokens"][0]["findings"]] == ["left_over"]
    assert sorted(finding["code"] for finding in before["node"]["findings"]) == ["deployment_not_found", "token_in_config"]
    assert before["node"]["registered"] and not after["tokens"][0]["exists"]
    assert cluster.secret(namespace) is None
    assert run.totals()["changed"] == 2
