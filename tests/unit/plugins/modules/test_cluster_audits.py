# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audits of a swarm and of a cluster: whole modules against an engine and an API on loopback."""

import base64
from typing import Any, Callable, Dict, List

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _k8s_connection
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_collections.expanso.edge.plugins.modules import k8s_secret_info, swarm_secret_info

TOKEN = "exp_bk_Zq81mKx02LwPd7Rt5"
OPAQUE = "k3F9sQx+Zt8cV7w"
NAME = "edge_token"
ANNOTATED = {"annotations": {"expanso.edge/token-fingerprint": fingerprint(TOKEN)}}
Json = Dict[str, Any]
Run = Callable[..., Json]


@pytest.fixture(autouse=True)
def kubeconfig_of_an_earlier_test_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_k8s_connection.kubernetes.client.Configuration, "_default", None)


def codes(answer: Json) -> List[str]:
    assert not answer.get("failed"), answer["msg"]
    return sorted(finding["code"] for each in [*answer["tokens"], answer["node"]] for finding in each["findings"])


def read_only(server: Any) -> bool:
    return {method for method, _path in server.asked} == {"GET"}


class TestSwarm:
    pytest.importorskip("docker")

    @pytest.fixture
    def audit(self, run: Run, engine: Any) -> Run:
        def call(**options: Any) -> Json:
            return run(swarm_secret_info, **dict({"docker_host": engine.url, "name": NAME, "service": "edge"}, **options))

        return call

    @pytest.fixture(autouse=True)
    def version(self, engine: Any) -> Json:
        labels = {"io.expanso.edge.fingerprint": fingerprint(TOKEN)}
        engine.secrets.append({"ID": "i1", "CreatedAt": "2020-01-01T00:00:00Z", "Spec": {"Name": NAME + "_v1", "Labels": labels}})
        found: Json = engine.secrets[0]
        return found

    @pytest.mark.parametrize("check", [False, True])
    def test_nothing_is_changed(self, run: Run, engine: Any, check: bool) -> None:
        engine.run_service()
        answer = run(swarm_secret_info, check, docker_host=engine.url, name=NAME, service="edge", max_age=30)
        assert codes(answer) == ["left_over", "too_old"]
        assert (answer["changed"], answer["error_count"], answer["warning_count"]) == (False, 0, 2)
        assert answer["tokens"][0]["fingerprint"] == fingerprint(TOKEN) and answer["node"]["registered"]
        assert read_only(engine)

    def test_no_token_is_printed(self, audit: Run, engine: Any) -> None:
        engine.run_service(TaskTemplate={"ContainerSpec": {"Env": [f"A={TOKEN}", f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={OPAQUE}"]}})
        engine.configs.append({"ID": "c", "Spec": {"Name": f"c-{OPAQUE}", "Data": base64.b64encode(OPAQUE.encode()).decode()}})
        answer = audit(fingerprints=[fingerprint(OPAQUE)])
        assert codes(answer) == ["left_over", "token_in_config", "token_in_environment", "token_in_environment"]
        assert TOKEN[7:] not in answer["printed"] and OPAQUE not in answer["printed"]

    def test_an_engine_that_is_too_old_for_configs(self, audit: Run, engine: Any) -> None:
        engine.run_service()
        assert codes(audit(api_version="1.29")) == ["exposure_incomplete", "left_over"]

    @pytest.mark.parametrize(
        ("wrong", "expected"),
        [
            ({"fingerprints": [TOKEN]}, "option fingerprints, entry 1: this is not the fingerprint of a token"),
            ({"fingerprints": [fingerprint(TOKEN), "5d41402abc4"]}, "option fingerprints, entry 2"),
            ({"stuck_hours": -1}, "option stuck_hours is out of range"),
            ({"max_age": 10**30}, "option max_age is out of range"),
            ({"service": "a.b"}, "cannot name a service"),
            ({"name": "a\nb"}, "option name has a line break"),
            ({"timeout": 0}, "option timeout"),
            ({"docker_host": "tcp://192.0.2.1:2375"}, "would cross the network unencrypted"),
        ],
    )
    def test_an_option_that_cannot_be_used(self, audit: Run, engine: Any, wrong: Json, expected: str) -> None:
        answer = audit(**wrong)
        assert answer["failed"] and expected in answer["msg"]
        assert TOKEN[7:] not in answer["printed"] and not engine.asked

    @pytest.mark.parametrize("what", ["secrets", "services", "configs", "tasks", "nodes"])
    @pytest.mark.parametrize("odd", [[{}], {"message": "hello"}, "text"])
    def test_an_answer_of_another_shape(self, audit: Run, engine: Any, what: str, odd: Any) -> None:
        engine.run_service()
        engine.rules.append(lambda method, path, body: (200, odd) if path.endswith("/" + what) else None)
        answer = audit()
        assert answer["failed"] and "answers, but not as it should" in answer["msg"] and engine.url in answer["msg"]

    def test_an_engine_that_is_away(self, audit: Run, engine: Any) -> None:
        engine.rules.append(lambda method, path, body: (0, None) if path.endswith("/services") else None)
        assert "cannot be reached" in audit()["msg"]


class TestCluster:
    @pytest.fixture
    def audit(self, run: Run, connection: Json) -> Run:
        def call(check: bool = False, **options: Any) -> Json:
            return run(k8s_secret_info, check, **dict(connection, **dict({"name": "token", "claim": "data", "deployment": "edge"}, **options)))

        return call

    @pytest.fixture(autouse=True)
    def agent(self, cluster: Any) -> None:
        data = {"bootstrap.token": base64.b64encode(TOKEN.encode()).decode()}
        metadata = {"labels": {"app.kubernetes.io/managed-by": "expanso.edge", "expanso.edge/secret": "token"}, "creationTimestamp": "2020-01-01T00:00:00Z"}
        cluster.hold("Secret", "token", type="Opaque", data=data, metadata=metadata)
        cluster.hold("PersistentVolumeClaim", "data", metadata=dict(ANNOTATED))
        cluster.hold("Deployment", "edge", spec={"replicas": 1, "template": {}}, status={"availableReplicas": 1})

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize("immutable", [False, True])
    def test_nothing_is_changed(self, audit: Run, cluster: Any, check: bool, immutable: bool) -> None:
        answer = audit(check, immutable=immutable, max_age=30)
        assert codes(answer) == ["left_over", "too_old"]
        assert answer["tokens"][0]["fingerprint"] == fingerprint(TOKEN) and answer["node"]["registered"]
        assert read_only(cluster)

    def test_no_token_is_printed(self, audit: Run, cluster: Any) -> None:
        data = {"bootstrap.token": base64.b64encode(f"{OPAQUE} {OPAQUE}".encode()).decode()}
        metadata = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": str(data)}}
        cluster.hold("Secret", "token", type="Opaque", data=data, metadata=metadata)
        answer = audit()
        assert "whitespace" in codes(answer) and "token_in_annotation" in codes(answer)
        assert OPAQUE not in answer["printed"] and data["bootstrap.token"][4:] not in answer["printed"]

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/secrets", ["exposure_incomplete", "left_over"]),
            ("/configmaps", ["exposure_incomplete", "left_over"]),
            ("/pods", ["exposure_incomplete", "left_over"]),
            ("/replicasets", ["exposure_incomplete", "left_over"]),
            ("/deployments/edge", ["exposure_incomplete", "left_over"]),
            ("/persistentvolumeclaims/data", ["registration_unknown"]),
        ],
    )
    def test_a_missing_right_is_a_finding(self, audit: Run, cluster: Any, path: str, expected: List[str]) -> None:
        refusal = {"kind": "Status", "message": 'forbidden: User "audit" cannot', "reason": "Forbidden", "code": 403}
        cluster.rules.append(lambda method, asked, body: (403, refusal) if asked.partition("?")[0].endswith(path) else None)
        assert codes(audit()) == expected

    @pytest.mark.parametrize(("immutable", "path"), [(False, "/secrets/token"), (True, "/secrets")])
    def test_without_the_right_to_see_the_secret_it_fails(self, audit: Run, cluster: Any, immutable: bool, path: str) -> None:
        refusal = {"kind": "Status", "message": 'forbidden: User "audit" cannot', "reason": "Forbidden", "code": 403}
        cluster.rules.append(lambda method, asked, body: (403, refusal) if asked.partition("?")[0].endswith(path) else None)
        assert "the account is not allowed to" in audit(immutable=immutable)["msg"]

    def test_many_objects(self, audit: Run, cluster: Any) -> None:
        def rule(method: str, asked: str, body: Json) -> Any:
            assert "/configmaps" not in asked or "limit=500" in asked
            return (200, {"kind": "List", "metadata": {"continue": "x"}, "items": []}) if "/configmaps" in asked else None

        cluster.rules.append(rule)
        answer = audit()
        assert codes(answer) == ["exposure_incomplete", "left_over"]
        assert "there are more than 500" in answer["node"]["findings"][0]["message"]

    @pytest.mark.parametrize("path", ["/secrets/token", "/deployments/edge", "/persistentvolumeclaims/data"])
    def test_an_answer_of_another_shape(self, audit: Run, cluster: Any, path: str) -> None:
        odd = {"kind": "Odd", "metadata": {"name": "x", "annotations": [1], "managedFields": 7}, "spec": [], "data": "text"}
        cluster.rules.append(lambda method, asked, body: (200, odd) if asked.endswith(path) else None)
        answer = audit()
        assert answer["failed"] and "answers, but not as it should" in answer["msg"]
