# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles for clusters and swarms against servers that hold what real ones seldom hold.

With the oldest ansible-core and the oldest client libraries that are supported, and with the newest of both.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import environments
import pytest
from ansible_runs import Controller, Json, Run
from conftest import AT_HAND
from control_plane import new_key
from fake_servers import Cluster, Engine, Rule, serve
from paths import collections
from server_faults import raw

MARKERS = ("auth/credentials.creds", "config.d/50-connection.yaml", "config.d/50-registration.yaml", "identity")
ENROLMENT = "io.expanso.edge.enrolment"
Served = TypeVar("Served", Cluster, Engine)
OURS = {"labels": {"app.kubernetes.io/managed-by": "expanso.edge"}}


class Core(Controller):
    """An ansible-core, and the Python with the client libraries that the modules use."""

    def __init__(self, core: str, clients: str, home: Path) -> None:
        super().__init__(core, home)
        self.python = str(environments.make(clients) / "bin" / "python")


@pytest.fixture(scope="module", params=[(AT_HAND[0], "oldest-clients"), (AT_HAND[-1], "test")], ids="-".join)
def core(request: pytest.FixtureRequest, place: Path) -> Core:
    name, clients = request.param
    fault = environments.available()[clients]
    if fault:
        pytest.skip(fault)
    return Core(name, clients, place / name)


@contextlib.contextmanager
def serving(made: Served, scheme: str) -> Iterator[Served]:
    """Let a cluster or an engine answer on loopback."""
    server = serve(made)
    made.url = f"{scheme}://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with serving(Cluster(), "http") as made:
        yield made


@pytest.fixture
def other_cluster() -> Iterator[Cluster]:
    with serving(Cluster(), "http") as made:
        yield made


@pytest.fixture
def engine() -> Iterator[Engine]:
    with serving(Engine(), "tcp") as made:
        yield made


@pytest.fixture
def other_engine() -> Iterator[Engine]:
    with serving(Engine(), "tcp") as made:
        yield made


def play(core: Core, role: str, hosts: dict[str, Json], *arguments: str, roles: Sequence[Json] = ({},), entries: Sequence[str] = ("main",)) -> Run:
    """Apply a role to hosts, once for each of the dictionaries of variables, and each of its files of tasks."""
    token = new_key()
    known = {name: {"ansible_python_interpreter": core.python, "expanso_edge_token": token, **own} for name, own in hosts.items()}
    name = f"expanso.edge.{role}"
    steps = [
        {"name": "Apply", "ansible.builtin.include_role": {"name": name, "tasks_from": entry}, "vars": own} for own in roles for entry in entries
    ]
    path = f"{collections()}:{environments.dependencies()}"
    return core.run([{"tasks": steps}], *arguments, hosts=known, environment={"ANSIBLE_COLLECTIONS_PATH": path}, secrets=[token])


def site(cluster: Cluster, **variables: Any) -> Json:
    """The variables of a host that stands for a cluster."""
    connection = {"k8s_secret_host": cluster.url, "k8s_secret_api_key": "not-looked-at\n", "k8s_secret_namespace": "edge"}
    return {**connection, "k8s_secret_deployment_state": "present", **variables}


def k8s(core: Core, cluster: Cluster, *arguments: str, roles: Sequence[Json] = ({},), entries: Sequence[str] = ("main",), **variables: Any) -> Run:
    return play(core, "k8s_secret", {"localhost": site(cluster, **variables)}, *arguments, roles=roles, entries=entries)


def failure(run: Run, host: str = "localhost") -> str:
    """The message of the one task that failed on a host."""
    [failed] = [each for each in run.events if (each["outcome"], each["host"]) == ("failed", host)]
    message: str = failed["result"]["msg"]
    return message


def test_check_mode_removes_nothing(core: Core, cluster: Cluster) -> None:
    """Whichever kubernetes.core there is."""
    for kind, name in (("Deployment", "expanso-edge"), ("ConfigMap", "expanso-edge"), ("PersistentVolumeClaim", "expanso-edge-data")):
        cluster.hold(kind, name, metadata=dict(OURS))
    cluster.hold("Namespace", "edge")
    cluster.hold("Secret", "expanso-bootstrap-token", type="Opaque", data={"bootstrap.token": "YQ=="})
    variables = {"k8s_secret_state": "absent", "k8s_secret_deployment_remove_claim": True, "k8s_secret_remove_namespace": True}
    held = json.dumps(cluster.objects, sort_keys=True)
    check = k8s(core, cluster, "--check", **variables)
    assert check.returncode == 0, check.output
    assert json.dumps(cluster.objects, sort_keys=True) == held
    assert not [path for method, path in cluster.changes() if "secrets" not in path]
    real = k8s(core, cluster, **variables)
    assert real.returncode == 0, real.output
    assert cluster.objects == {}
    assert check.recap("localhost")["changed"] == real.recap("localhost")["changed"] == 3
    assert k8s(core, cluster, **variables).recap("localhost")["changed"] == 0


def pod(run: Run, cluster: Cluster) -> Json:
    """The pod of the Deployment that a run asked the cluster to take, in a dry run."""
    assert run.returncode == 0, run.output
    template: Json = [each for each in cluster.sent if each["kind"] == "Deployment"][-1]["spec"]["template"]
    return template


@pytest.mark.parametrize("arguments", [["--check"], []])
def test_the_workload_uses_the_token_that_is_held_where_none_is_given(
    core: Core, cluster: Cluster, other_cluster: Cluster, arguments: list[str]
) -> None:
    """Its Secret's name cannot be derived from a token that was not given, where each token has a Secret of its own."""
    held = new_key()
    names = {"usual": (cluster, "expanso-bootstrap-token"), "immutable": (other_cluster, "expanso-bootstrap-token-former")}
    data = {"bootstrap.token": base64.b64encode(held.encode()).decode()}
    for host, (each, name) in names.items():
        metadata = {"labels": {"expanso.edge/secret": "expanso-bootstrap-token"}}
        each.hold("Secret", name, metadata=metadata, type="Opaque", immutable=host == "immutable", data=data)
        each.hold("Namespace", "edge")
    variables = {"k8s_secret_deployment_wait": False, "expanso_edge_token": None}
    hosts = {host: site(each, k8s_secret_immutable=host == "immutable", **variables) for host, (each, _name) in names.items()}
    run = play(core, "k8s_secret", hosts, *arguments)
    for host, (each, name) in names.items():
        template = pod(run, each)
        [volume] = [volume["secret"] for volume in template["spec"]["volumes"] if volume["name"] == "token"]
        assert volume["secretName"] == name
        result = run.result("Apply the Secret", host)
        assert result["action"] == "repaired"  # it had neither annotation nor labels
        assert template["metadata"]["annotations"]["expanso.edge/token-fingerprint"] == result["fingerprint"]
        secret = each.find("Secret", name)
        assert secret is not None
        assert secret["data"] == data
    assert held not in run.output


def test_a_second_application_in_one_play_does_not_see_the_first_ones_secret(core: Core, cluster: Cluster) -> None:
    cluster.hold("Namespace", "edge")
    variables = {"k8s_secret_deployment_wait": False}
    names = [{"k8s_secret_name": "first", "k8s_secret_immutable": True}, {"k8s_secret_name": "second", "k8s_secret_deployment_claim": "other"}]
    run = k8s(core, cluster, roles=names, **variables)
    assert run.returncode == 0, run.output
    used = []
    for each in cluster.sent:  # each time in a dry run first
        if each["kind"] == "Deployment":
            template = each["spec"]["template"]
            [volume] = [volume["secret"] for volume in template["spec"]["volumes"] if volume["name"] == "token"]
            used.append((volume["secretName"].split("-")[0], "expanso.edge/token-fingerprint" in template["metadata"].get("annotations", {})))
    assert used == [("first", False), ("first", True), ("second", False), ("second", True)]


def test_what_the_cluster_is_to_choose_is_left_out(core: Core, cluster: Cluster, other_cluster: Cluster) -> None:
    hosts = {
        "null": site(cluster, k8s_secret_deployment_user=None, k8s_secret_deployment_group=None),
        "omitted": site(other_cluster, k8s_secret_deployment_user="{{ omit }}", k8s_secret_deployment_group="{{ omit }}"),
    }
    run = play(core, "k8s_secret", hosts, "--check")
    for each in (cluster, other_cluster):
        security = pod(run, each)["spec"]["securityContext"]
        assert not set(security) & {"runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy"}
        assert security["runAsNonRoot"] is True


def test_labels_annotations_and_variables_are_what_they_were_written_as(core: Core, cluster: Cluster) -> None:
    values = {"a": True, "b": 1, "c": "True"}
    names = ("labels", "annotations", "environment", "node_selector")
    found = pod(k8s(core, cluster, "--check", **{f"k8s_secret_deployment_{name}": values for name in names}), cluster)
    texts = {"a": "true", "b": "1", "c": "True"}
    [variables] = [each["env"] for each in found["spec"]["containers"]]
    environment = {each["name"]: each["value"] for each in variables}
    for written in (found["metadata"]["labels"], found["metadata"]["annotations"], found["spec"]["nodeSelector"], environment):
        assert {key: written[key] for key in texts} == texts
    assert found["spec"]["securityContext"]["fsGroup"] == 1000


REFUSED_BY_A_CLUSTER: dict[str, tuple[Json, str]] = {
    "environment": (
        {"k8s_secret_deployment_environment": {"A": {"b": 1}}},
        "k8s_secret_deployment_environment: the value of A is a dictionary",
    ),
    "labels": ({"k8s_secret_deployment_labels": {"a": [1]}}, "k8s_secret_deployment_labels: the value of a is a list"),
    "secret_labels": ({"k8s_secret_labels": {"a": {"b": 1}}}, "option labels (k8s_secret_labels): the value of a is a dictionary"),
    "long_name": ({"k8s_secret_deployment_name": "a" * 64}, "cannot be the value of label app.kubernetes.io/instance"),
    "long_secret_name": ({"k8s_secret_name": "a" * 64}, "becomes the value of a label as well"),
}


def test_what_a_cluster_refuses_is_found_before_anything_is_created(core: Core, cluster: Cluster) -> None:
    run = play(core, "k8s_secret", {host: site(cluster, **variables) for host, (variables, _expected) in REFUSED_BY_A_CLUSTER.items()})
    assert run.returncode == 2
    for host, (_variables, expected) in REFUSED_BY_A_CLUSTER.items():
        assert expected in failure(run, host), host
    assert cluster.changes() == []


def manager(engine: Engine, **variables: Any) -> Json:
    """The variables of a host that stands for a swarm of its own."""
    return {"swarm_secret_engine": {"docker_host": engine.url}, "swarm_secret_manager": "{{ inventory_hostname }}", **variables}


def swarm(core: Core, engine: Engine, *arguments: str, entries: Sequence[str] = ("main",), **variables: Any) -> Run:
    return play(core, "swarm_secret", {"localhost": manager(engine, **variables)}, *arguments, entries=entries)


def test_a_collection_that_is_not_installed_is_named_before_anything_is_changed(core: Core, cluster: Cluster, engine: Engine) -> None:
    """community.docker and kubernetes.core are installed only by those who need them."""
    absent = {"swarm_secret_state": "absent", "swarm_secret_remove_volume": True}
    hosts = {
        "swarm": manager(engine, role="swarm_secret"),
        "volume": manager(engine, role="swarm_secret", **absent, swarm_secret_manager="swarm"),
        "cluster": site(cluster, role="k8s_secret"),
        "alone": manager(engine, role="swarm_secret", swarm_secret_service_state="unmanaged"),
    }
    token = new_key()
    known = {name: {"ansible_python_interpreter": core.python, "expanso_edge_token": token, **own} for name, own in hosts.items()}
    apply = {"name": "Apply", "ansible.builtin.include_role": {"name": "expanso.edge.{{ role }}"}}
    for arguments in (["--check"], []):
        run = core.run([{"tasks": [apply]}], *arguments, hosts=known, secrets=[token])
        for host, name in (("swarm", "community.docker"), ("volume", "community.docker"), ("cluster", "kubernetes.core")):
            expected = f"the collection {name} is not installed on the controller: install it with ansible-galaxy collection install {name}"
            assert failure(run, host) == expected
        assert run.result("Report what was done", "alone")["ansible_facts"]["swarm_secret_result"]["action"] == "written"
        assert cluster.changes() == []
    assert [path for path, _body in engine.sent] == ["secrets/create"]


def test_an_unusable_engine_is_reported_by_our_own_module(core: Core, engine: Engine, other_engine: Engine) -> None:
    engine.info = {"Swarm": {"LocalNodeState": "inactive"}}
    other_engine.info = {"Swarm": {"LocalNodeState": "active", "ControlAvailable": False, "RemoteManagers": [{"Addr": "a:1"}]}}
    hosts = {"alone": engine, "worker": other_engine}
    run = play(core, "swarm_secret", {host: manager(each, swarm_secret_remove_after_registration=True) for host, each in hosts.items()})
    assert "is not in a swarm: initialise one" in failure(run, "alone")
    assert "name a manager (they are a:1)" in failure(run, "worker")


def test_a_redirection_is_not_followed_with_the_token(core: Core, cluster: Cluster, other_cluster: Cluster, engine: Engine, other_engine: Engine) -> None:
    """Whichever client library there is: they all would."""
    cluster.hold("Namespace", "edge")
    cluster.rules.append(leading(other_cluster.url, "/secrets/"))
    engine.rules.append(leading(other_engine.url.replace("tcp:", "http:"), "/secrets/create"))
    hosts = {
        "site": site(cluster, role="k8s_secret", k8s_secret_deployment_wait=False),
        "swarm": manager(engine, role="swarm_secret", swarm_secret_service_state="unmanaged"),
    }
    run = play(core, "{{ role }}", hosts)
    assert all("it redirects to another address" in failure(run, host) for host in hosts), run.output
    assert other_cluster.asked == other_engine.asked == []


def leading(url: str, part: str) -> Rule:
    """A rule that leads changes to another server, as a proxy does that wants a login."""
    return lambda method, path, _body: raw(307, b"", ("Location", url + path)) if part in path and method != "GET" else None


REFUSED_BY_A_SWARM: dict[str, tuple[Json, str]] = {
    "environment": ({"swarm_secret_service_environment": {"A": {"b": 1}}}, "swarm_secret_service_environment: the value of A is a dictionary"),
    "variable": ({"swarm_secret_service_environment": {"A=B": "c"}}, "'A=B' cannot be a variable of a service"),
    "constraints": ({"swarm_secret_service_constraints": ["node.role"]}, "'node.role' is not a constraint of a service"),
    "labels": ({"swarm_secret_service_labels": {"a": [1]}}, "the value of a is a list"),
    "volume": (
        {"swarm_secret_service_volume_driver": {"name": "local", "options": {"o": None}}},
        "swarm_secret_service_volume_driver.options: the value of o is empty",
    ),
    "grace_period": ({"swarm_secret_service_stop_grace_period": "soon"}, "soon"),
    "networks": ({"swarm_secret_service_networks": ["nowhere"]}, "nowhere"),
}


def test_what_a_swarm_refuses_is_found_before_the_token_is_stored(core: Core, engine: Engine) -> None:
    run = play(core, "swarm_secret", {host: manager(engine, **variables) for host, (variables, _expected) in REFUSED_BY_A_SWARM.items()})
    for host, (_variables, expected) in REFUSED_BY_A_SWARM.items():
        assert expected in failure(run, host), host
    assert engine.secrets == []


def test_a_swarm_s_life_in_three_runs(core: Core, engine: Engine) -> None:
    """The token is stored, the service gets it, and on request both lose it when the task is registered."""
    engine.obedient = True
    first = swarm(core, engine, swarm_secret_service_limits={"memory": "512M"})
    assert first.returncode == 0, first.output
    result = first.result("Report what was done")["ansible_facts"]["swarm_secret_result"]
    assert (result["action"], result["secret_name"], result["registered"]) == ("written", "expanso_bootstrap_token_v1", True)
    assert [each["secret_name"] for each in result["references"]] == result["versions"] == ["expanso_bootstrap_token_v1"]
    [service] = engine.services
    container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert [each["SecretName"] for each in container["Secrets"]] == ["expanso_bootstrap_token_v1"]
    assert container["Hostname"] == "{{.Node.Hostname}}"
    assert "User" not in container
    label = service["Spec"]["Labels"][ENROLMENT]
    assert json.loads(label) == result["record"] and result["record"]["fingerprint"] == result["fingerprint"]
    assert engine.secrets[0]["Spec"]["Labels"][ENROLMENT] == label
    assert "DriverConfig" not in container["Mounts"][0].get("VolumeOptions", {})
    assert container["Healthcheck"]["Test"][-4:] == [f"/var/lib/expanso/edge/{marker}" for marker in MARKERS]
    again = swarm(core, engine, swarm_secret_service_limits={"memory": "512M"}, expanso_edge_token=None)
    assert again.returncode == 0, again.output
    assert again.recap("localhost")["changed"] == 0
    assert service["Version"]["Index"] == 1
    # stored by a version that kept no record: that its label is missing is no reason to keep the token
    for each in (service, *engine.secrets):
        del each["Spec"]["Labels"][ENROLMENT]
    spent = {"swarm_secret_service_limits": {"memory": "512M"}, "expanso_edge_token": None, "swarm_secret_remove_after_registration": True}
    last = swarm(core, engine, **spent)
    assert last.returncode == 0, last.output
    result = last.result("Report what was done")["ansible_facts"]["swarm_secret_result"]
    assert (result["action"], result["removed"], result["versions"], result["registered"]) == ("removed", ["expanso_bootstrap_token_v1"], [], True)
    assert not engine.services[0]["Spec"]["TaskTemplate"]["ContainerSpec"].get("Secrets")
    assert engine.secrets == []
    record = json.loads(engine.services[0]["Spec"]["Labels"][ENROLMENT])
    assert (record["fingerprint"], record["kind"]) == (json.loads(label)["fingerprint"], None), "it stays when the secret has gone"
    assert swarm(core, engine, **spent).recap("localhost")["changed"] == 0


def test_a_token_is_stored_used_and_removed_in_one_run(core: Core, engine: Engine) -> None:
    engine.obedient = True
    run = swarm(core, engine, swarm_secret_remove_after_registration=True)
    assert run.returncode == 0, run.output
    result = run.result("Report what was done")["ansible_facts"]["swarm_secret_result"]
    assert (result["action"], result["removed"], result["versions"]) == ("written", ["expanso_bootstrap_token_v1"], [])
    assert (result["references"], result["secret_name"]) == ([], None)
    assert [what for what, _body in engine.sent] == ["secrets/create", "services/create", "services/s/update"]
    assert engine.secrets == []


def test_options_of_a_volume_driver_are_what_they_were_written_as(core: Core, engine: Engine) -> None:
    engine.obedient = True
    driver = {"name": "local", "options": {"nocopy": True, "size": 10, "o": "bind"}}
    run = swarm(core, engine, swarm_secret_service_volume_driver=driver)
    assert run.returncode == 0, run.output
    [mount] = engine.services[0]["Spec"]["TaskTemplate"]["ContainerSpec"]["Mounts"]
    assert mount["VolumeOptions"]["DriverConfig"] == {"name": "local", "options": {"nocopy": "true", "size": "10", "o": "bind"}}


def test_a_swarm_in_check_mode(core: Core, engine: Engine) -> None:
    values = {"A": True, "B": 1}
    run = swarm(core, engine, "--check", "--diff", swarm_secret_service_environment=values, swarm_secret_service_labels=values, swarm_secret_labels=values)
    assert run.returncode == 0, run.output
    assert engine.secrets == []
    assert all(method == "GET" for method, _path in engine.asked)
    result = run.result("Report what was done")["ansible_facts"]["swarm_secret_result"]
    assert (result["action"], result["versions"], result["removed"]) == ("written", ["expanso_bootstrap_token_v1"], [])


LIFE = ("audit", "retire", "audit", "retire")


def audits(run: Run, task: str) -> list[Json]:
    assert run.returncode == 0, run.output
    found = [event["result"] for event in run.events if event["task"].split(" : ")[-1] == task]
    assert len(found) == 2
    return found


def test_a_swarm_s_token_is_audited_and_retired(core: Core, engine: Engine) -> None:
    engine.obedient = True
    assert swarm(core, engine).returncode == 0
    run = swarm(core, engine, entries=LIFE)
    before, after = audits(run, "Audit the swarm, through one manager")
    assert [(token["place"], [each["code"] for each in token["findings"]]) for token in before["tokens"]] == [
        ("swarm secret expanso_bootstrap_token_v1", ["left_over"])
    ]
    assert before["node"]["registered"] and not after["tokens"][0]["exists"] and after["error_count"] == after["warning_count"] == 0
    assert engine.secrets == [] and len(engine.services) == 1
    assert run.recap("localhost")["changed"] == 1


def test_a_cluster_s_token_is_audited_and_retired(core: Core, cluster: Cluster) -> None:
    held = new_key()
    data = {"bootstrap.token": base64.b64encode(held.encode()).decode()}
    cluster.hold("Secret", "expanso-bootstrap-token", type="Opaque", data=data, metadata=dict(OURS))
    cluster.hold("PersistentVolumeClaim", "expanso-edge-data", metadata={"annotations": {"expanso.edge/token-fingerprint": "f"}})
    cluster.hold("Deployment", "expanso-edge", spec={"replicas": 1, "template": {}}, status={"availableReplicas": 1})
    run = k8s(core, cluster, entries=LIFE)
    before, after = audits(run, "Audit the namespace")
    assert [each["code"] for each in before["tokens"][0]["findings"]] == ["left_over"]
    assert before["node"]["units"][0]["active_state"] == "active"
    assert not after["tokens"][0]["exists"] and after["error_count"] == after["warning_count"] == 0
    assert cluster.find("Secret", "expanso-bootstrap-token") is None and cluster.find("Deployment", "expanso-edge") is not None
    assert run.recap("localhost")["changed"] == 1 and held not in run.output


def test_a_rotation_by_plan_of_a_swarm_and_a_cluster(core: Core, cluster: Cluster, engine: Engine) -> None:
    """The worker comes before its manager. The second run finds that the swarm's token is another one than planned."""
    engine.obedient = True
    old, new, foreign = new_key(), new_key(), new_key()
    own = {"ansible_python_interpreter": core.python, "expanso_edge_become": False}
    edge = {**own, "expanso_edge_delivery": "swarm_secret", "swarm_secret_engine": {"docker_host": engine.url}, "swarm_secret_manager": "manager"}
    namespace = {"k8s_secret_host": cluster.url, "k8s_secret_api_key": "not-looked-at\n", "k8s_secret_namespace": "edge"}
    hosts = {"worker": edge, "manager": edge, "site": {**own, **namespace, "expanso_edge_delivery": "k8s_secret"}}
    plan = core.home / f"{engine.url.rpartition(':')[2]}.json"
    path = f"{collections()}:{environments.dependencies()}"

    def rotate(token: str, *arguments: str) -> Run:
        environment = {"ANSIBLE_COLLECTIONS_PATH": path, "EXPANSO_EDGE_BOOTSTRAP_TOKEN": token}
        return core.run("expanso.edge.rotate", *arguments, hosts=hosts, environment=environment, secrets=[old, new, foreign])

    assert rotate(old).returncode == 0
    assert rotate(new, "--check", "-e", f"expanso_edge_plan_file={plan}").returncode == 0
    made = {each["node"]: each for each in json.loads(plan.read_text())["nodes"]}
    assert {name: (each["action"], each["place"]) for name, each in made.items()} == {
        "manager": ("rotate", "swarm secret expanso_bootstrap_token"),
        "site": ("rotate", "Secret edge/expanso-bootstrap-token"),
        "worker": ("keep", "swarm secret"),
    }
    assert made["manager"]["old"] == made["site"]["old"] != made["manager"]["new"] == made["site"]["new"]

    engine.secrets[0]["Spec"]["Labels"]["io.expanso.edge.fingerprint"] = "0123456789ab"
    versions = list(engine.secrets)
    changed = rotate(new, "-e", f"expanso_edge_plan_file={plan}", "-e", "expanso_edge_serial=1", "-e", "expanso_edge_max_fail_percentage=100")
    assert changed.returncode == 2 and engine.secrets == versions
    assert "changed since the plan, left untouched: 1 (manager)" in changed.output
