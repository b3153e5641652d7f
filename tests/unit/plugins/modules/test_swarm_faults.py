# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users of a swarm run into. The whole module, with the real SDK, against an engine on loopback."""

import json
import time
from typing import Any, Callable, Dict

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _engine, _swarm_view
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_collections.expanso.edge.plugins.modules import swarm_secret

pytest.importorskip("docker")

TOKEN = "exp_bk_Zq81mKx02LwPd7Rt5"
NAME = "edge_token"
Json = Dict[str, Any]
Run = Callable[..., Json]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_swarm_view, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(_engine, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(_engine, "RESTART_SECONDS", 2)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"docker_host": "tcp://a\0b"}, "option docker_host has a NUL character"),
        ({"docker_host": "tcp://" + "a" * 10000000}, "option docker_host has 10000006 characters, more than"),
        ({"docker_host": "tcp://[::1"}, "is not an address"),
        ({"docker_host": "swarm.example.com:2375"}, "does not begin with one of unix://"),
        ({"docker_host": "192.0.2.1:2375"}, "does not begin with one of unix://"),
        ({"docker_host": {"a": 1}}, "does not begin with one of unix://"),
        ({"docker_host": "tcp://192.0.2.1:2375"}, "would cross the network unencrypted"),
        ({"api_version": "new"}, "option api_version: new is not a version: give auto, or one such as '1.41'"),
        ({"tls": True, "client_cert": "/nowhere/cert.pem"}, "option client_cert: there is no file /nowhere/cert.pem: correct it"),
        ({"validate_certs": True, "ca_path": "/nowhere/ca.pem"}, "option ca_path: there is no file /nowhere/ca.pem: correct it"),
        ({"name": "a" * 10000000}, "option name has 10000000 characters, more than"),
        ({"name": {"a": 1}}, "cannot name a secret"),
        ({"name": "a\nb"}, "option name has a line break at character 2"),
        ({"service": "a.b"}, "cannot name a service"),
        ({"uid": {"a": 1}}, "is not a number: give that of the image's user"),
        ({"uid": "\u0661"}, "is not a number: give that of the image's user"),
        ({"gid": "9" * 4000}, "is not a number: give that of the image's user"),
        ({"gid": "4294967295"}, "is not a number: give that of the image's user"),
        ({"mode": " 0400"}, "option mode does not hold permissions"),
        ({"mode": "0_400"}, "option mode does not hold permissions"),
        ({"mode": False}, "option mode does not hold permissions"),
        ({"mode": {"a": 1}}, "option mode does not hold permissions"),
        ({"mode": "0644"}, "write it as a quoted octal string"),
        ({"timeout": -1}, "option timeout is out of range"),
        ({"timeout": 0}, "option timeout"),
        ({"wait_timeout": 10**30}, "option wait_timeout is out of range"),
        ({"versions_to_keep": -1}, "option versions_to_keep is out of range"),
        ({"labels": {"site": {"a": 1}}}, "option labels: the value of site is a dictionary"),
        ({"service_plan": {"environment": {"A": [1]}}}, "the service's environment: the value of A is a list"),
        ({"service_plan": {"environment": {"A=B": "c"}}}, "'A=B' cannot be a variable of a service"),
        ({"service_plan": {"environment": {"": "c"}}}, "a key has to be text, and not empty"),
        ({"service_plan": {"environment": {"A": "b\0"}}}, "option service_plan has a NUL character"),
        ({"service_plan": {"constraints": ["node.role"]}}, "'node.role' is not a constraint of a service"),
        ({"service_plan": {"constraints": [{"a": 1}]}}, "is not a constraint of a service"),
        ({"service_plan": {"image": "Agent Image"}}, "'Agent Image' is not an image"),
        ({"service_plan": {"environment": {"EXPANSO_EDGE_BOOTSTRAP_TOKEN": "k3F9sQx+Zt8cRk29"}}}, "environment contains a bootstrap token, which"),
        ({"service_plan": {"environment": {"A": f"x {TOKEN}"}}}, "option service_plan: environment contains a bootstrap token"),
        ({"service_plan": {"arguments": ["run", "--token", TOKEN]}}, "option service_plan: arguments contains a bootstrap token"),
        ({"service_plan": {"container_labels": {"a": TOKEN}}}, "option service_plan: container_labels contains a bootstrap token"),
        ({"labels": {"a": TOKEN}}, "option labels contains a bootstrap token"),
        ({"service_plan": {"labels": {"a": None}}}, "the service's labels: the value of a is empty"),
    ],
)
@pytest.mark.parametrize("state", ["present", "checked"])
def test_an_option_that_cannot_be_used_is_named_at_once(run: Run, engine: Any, state: str, wrong: Json, expected: str) -> None:
    started = time.monotonic()
    answer = run(swarm_secret, **dict({"docker_host": engine.url, "name": NAME, "token": TOKEN, "state": state}, **wrong))
    assert answer["failed"]
    assert expected in answer["msg"]
    assert TOKEN[7:] not in answer["printed"]
    assert len(answer["msg"]) < 1000
    assert time.monotonic() - started < 40
    assert not engine.asked


def test_a_variable_of_the_environment_that_is_empty_counts_as_not_set(run: Run, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_TIMEOUT", "DOCKER_API_VERSION"):
        monkeypatch.setenv(name, "")
    assert run(swarm_secret, docker_host=engine.url, name=NAME, state="checked")["action"] == "checked"
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    assert run(swarm_secret, name=NAME, state="checked")["action"] == "checked"


def test_a_directory_of_certificates_that_has_none(run: Run, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CERT_PATH", "/nowhere")
    answer = run(swarm_secret, docker_host=engine.url, name=NAME, state="checked", tls=True)
    assert answer["msg"] == "option client_cert: there is no file /nowhere/cert.pem: correct the environment variable DOCKER_CERT_PATH"


@pytest.mark.parametrize(
    "plan",
    [
        {"environment": {"A": True, "B": 1, "C": "a\nb", "D": ""}, "labels": {"a": False}},
        {"constraints": ["node.labels.edge == true", "node.role!=manager", "node.platform.arch==x86_64"]},
        {"image": "ghcr.io/expanso-io/expanso-edge@sha256:" + "0" * 64},
        {"image": "registry.Example.com:5000/a/b:1.2_3"},
        {"image": "expanso-edge-agent:trixie"},
        {},
    ],
)
def test_a_plan_that_the_engine_accepts(run: Run, engine: Any, plan: Json) -> None:
    answer = run(swarm_secret, docker_host=engine.url, name=NAME, state="checked", service="edge", service_plan=plan)
    assert (answer["changed"], answer["action"]) == (False, "checked")
    assert all(method == "GET" for method, _path in engine.asked)


def test_a_check_finds_what_prevents_the_plan(run: Run, engine: Any) -> None:
    engine.run_service(Labels={})
    answer = run(swarm_secret, docker_host=engine.url, name=NAME, state="checked", service="edge")
    assert "service edge already exists and was not created by this collection" in answer["msg"]
    engine.info = {"Swarm": {"LocalNodeState": "inactive"}}
    assert "is not in a swarm: initialise one" in run(swarm_secret, docker_host=engine.url, name=NAME, state="checked")["msg"]


def test_a_label_is_what_it_was_written_as(run: Run, engine: Any) -> None:
    assert run(swarm_secret, docker_host=engine.url, name=NAME, token=TOKEN, labels={"no-backup": True, "n": 1, "t": "True"})["changed"]
    labels = engine.secrets[0]["Spec"]["Labels"]
    assert (labels["no-backup"], labels["n"], labels["t"]) == ("true", "1", "True")


@pytest.mark.parametrize(
    ("what", "odd"),
    [
        ("secrets", [{}]),
        ("secrets", [{"ID": "a", "Spec": None}]),
        ("secrets", {"message": "hello"}),
        ("secrets", "text"),
        ("services", [{"ID": "a"}]),
        ("services", [{"ID": "a", "Spec": {"Name": "x", "TaskTemplate": {"ContainerSpec": {"Secrets": [{}]}}}}]),
        ("services/edge", {}),
        ("services/edge", []),
        ("services/edge", {"Spec": {"Name": "edge"}}),
        ("tasks", [{}]),
        ("tasks", {"a": 1}),
        ("nodes", [{}]),
        ("info", []),
        ("info", {"Swarm": "yes"}),
        ("secrets/create", {}),
    ],
)
def test_an_answer_of_another_shape(run: Run, engine: Any, what: str, odd: Any) -> None:
    engine.run_service()
    engine.rules.append(lambda method, path, body: (200, odd) if path.endswith("/" + what) else None)
    answer = run(swarm_secret, docker_host=engine.url, name=NAME, token=TOKEN, service="edge")
    assert answer["failed"]
    assert "answers, but not as" in answer["msg"]
    assert engine.url in answer["msg"]
    assert TOKEN[7:] not in answer["printed"]


NOT_A_MANAGER = 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
AWAY: Dict[str, Any] = {
    "hangs up": (0, None),
    "is not a manager yet": (503, {"message": NOT_A_MANAGER}),
    "has no leader": (500, {"message": "rpc error: The swarm does not have a leader."}),
    "a proxy": (502, b"<html>bad gateway</html>"),
    "an odd answer": (200, [{}]),
}


class Away:
    """An engine that is being restarted, for some requests of one kind."""

    def __init__(self, engine: Any, path: str, how: Any, times: int) -> None:
        self.path, self.how, self.left = path, how, times
        engine.rules.append(self)

    def __call__(self, method: str, path: str, body: Json) -> Any:
        if path.endswith(self.path) and self.left > 0:
            self.left -= 1
            return self.how
        return None


PRUNED: Json = {"name": NAME, "state": "pruned", "service": "edge"}


@pytest.mark.parametrize("how", list(AWAY.values()), ids=list(AWAY))
@pytest.mark.parametrize("path", ["/tasks", "/secrets"])
def test_a_wait_goes_on_over_a_restart_of_the_engine(run: Run, engine: Any, path: str, how: Any) -> None:
    engine.run_service()
    Away(engine, path, how, 3)
    answer = run(swarm_secret, docker_host=engine.url, wait_timeout=20, **PRUNED)
    assert answer.get("registered"), answer["msg"]


def test_a_wait_goes_on_where_the_engine_is_not_back_yet(run: Run, engine: Any) -> None:
    engine.run_service()
    Away(engine, "/info", (200, {"Swarm": {"LocalNodeState": "inactive"}}), 3)
    assert run(swarm_secret, docker_host=engine.url, wait_timeout=20, **PRUNED)["registered"]


@pytest.mark.parametrize("path", ["/tasks", "/info"])
def test_the_advice_is_never_to_make_another_swarm(run: Run, engine: Any, path: str) -> None:
    engine.run_service()
    inactive = {"Swarm": {"LocalNodeState": "inactive"}}
    Away(engine, path, (503, {"message": NOT_A_MANAGER}) if path == "/tasks" else (200, inactive), 10**6)
    message = run(swarm_secret, docker_host=engine.url, wait_timeout=1, **PRUNED)["msg"]
    assert "swarm init" not in message
    assert "not yet after a restart: check docker info" in message


def test_a_removal_that_got_no_answer_is_done_all_the_same(run: Run, engine: Any) -> None:
    for number in (1, 2):
        engine.secrets.append({"ID": f"i{number}", "Spec": {"Name": f"{NAME}_v{number}", "Labels": {"io.expanso.edge.fingerprint": "f"}}})
    gone = []

    def rule(method: str, path: str, body: Json) -> Any:
        if method == "DELETE":
            gone.append(path)
            engine.secrets = engine.secrets[1:]
            return (0, None) if len(gone) == 1 else (404, {"message": "no such secret"})
        return None

    engine.rules.append(rule)
    engine.run_service()
    answer = run(swarm_secret, docker_host=engine.url, wait_timeout=20, **PRUNED)
    assert answer["removed"] == [NAME + "_v1"]
    assert len(gone) == 2


def test_what_the_engine_refuses_for_good_is_not_waited_for(run: Run, engine: Any) -> None:
    engine.run_service()
    Away(engine, "/tasks", (400, {"message": "invalid filter"}), 10**6)
    started = time.monotonic()
    assert "the Docker engine refused: invalid filter" in run(swarm_secret, docker_host=engine.url, wait_timeout=60, **PRUNED)["msg"]
    assert time.monotonic() - started < 40


def test_what_the_sdk_raises_by_mistake_is_withheld(run: Run, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_self: Any, _name: str, data: bytes, **_options: Any) -> Any:
        raise ValueError(f"cannot make sense of {data!r}")

    monkeypatch.setattr(_engine.docker.APIClient, "create_secret", failing)
    answer = run(swarm_secret, docker_host=engine.url, name=NAME, token=TOKEN)
    assert "unexpected ValueError" in answer["msg"]
    assert TOKEN[7:] not in answer["printed"]


# Retirement


MARK = fingerprint(TOKEN)


def store(engine: Any, number: int, mark: Any = MARK, name: str = NAME) -> None:
    labels = {} if mark is None else {"io.expanso.edge.fingerprint": mark}
    engine.secrets.append({"ID": f"{name}{number}", "Spec": {"Name": f"{name}_v{number}", "Labels": labels}})


def run_with(engine: Any, *identifiers: str, service: str = "edge", registered: bool = True) -> None:
    """Let a service use secrets. It runs only if it is registered."""
    engine.obedient = registered
    secrets = [{"SecretID": each, "SecretName": each, "File": {"Name": "token"}} for each in identifiers]
    engine.run_service(service, TaskTemplate={"ContainerSpec": {"Image": "agent", "Env": ["A=b"], "Secrets": secrets}})
    engine.services[-1].update(ID="id-of-" + service, Version={"Index": 7})
    if not registered:
        engine.tasks = []


def retire(run: Run, engine: Any, check: bool = False, **options: Any) -> Json:
    return run(swarm_secret, check, **dict({"docker_host": engine.url, "name": NAME, "state": "retired", "service": "edge", "wait_timeout": 20}, **options))


def secrets_of(engine: Any, number: int = 0) -> Any:
    return [each["SecretID"] for each in engine.services[number]["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]]


@pytest.mark.parametrize("check", [False, True])
def test_a_registered_service_runs_on_without_the_token(run: Run, engine: Any, check: bool) -> None:
    store(engine, 1, "0" * 12)
    store(engine, 2)
    run_with(engine, f"{NAME}2", "other")
    answer = retire(run, engine, check, only_registered=True)
    assert (answer["changed"], answer["action"], answer["versions"]) == (True, "removed", [])
    assert answer["removed"] == [f"{NAME}_v1", f"{NAME}_v2"]
    assert "taken from service edge, whose tasks are replaced" in answer["msg"]
    if check:
        assert secrets_of(engine) == [f"{NAME}2", "other"] and len(engine.secrets) == 2 and not engine.sent
        return
    assert secrets_of(engine) == ["other"] and engine.secrets == []
    spec = engine.services[0]["Spec"]
    assert spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=b"] and not spec.get("UpdateConfig")
    again = retire(run, engine, only_registered=True)
    assert (again["changed"], again["action"], again["msg"]) == (False, "absent", "there is nothing to remove")


def test_the_enrolment_record_outlives_the_token(run: Run, engine: Any) -> None:
    """With a service that was made before it had the label."""
    stored = run(swarm_secret, docker_host=engine.url, name=NAME, token=TOKEN, run_id="first")
    run_with(engine, stored["secret_id"])
    assert retire(run, engine, only_registered=True)["action"] == "removed"
    labels = engine.services[0]["Spec"]["Labels"]
    assert json.loads(labels["io.expanso.edge.enrolment"]) == stored["record"]
    assert labels["io.expanso.edge.managed-by"] == "expanso.edge.swarm_secret"


@pytest.mark.parametrize("everything", [False, True])
def test_a_service_that_still_has_to_register_loses_its_token_only_on_request(run: Run, engine: Any, everything: bool) -> None:
    store(engine, 1)
    run_with(engine, f"{NAME}1", registered=False)
    answer = retire(run, engine, only_registered=not everything)
    assert answer["action"] == ("removed" if everything else "kept")
    assert ("need a new token" if everything else "not registered yet, so it is still needed") in answer["msg"]
    assert secrets_of(engine) == ([] if everything else [f"{NAME}1"])


def test_a_named_token_is_taken_from_all_services_at_once(run: Run, engine: Any) -> None:
    store(engine, 1)
    store(engine, 2, "0" * 12)
    store(engine, 1, name="mine")
    run_with(engine, f"{NAME}1", f"{NAME}2", registered=False)
    run_with(engine, "mine1", service="web", registered=False)
    answer = retire(run, engine, fingerprint=MARK)
    assert sorted(answer["removed"]) == ["edge_token_v1", "mine_v1"] and answer["versions"] == [f"{NAME}_v2"]
    assert (secrets_of(engine, 0), secrets_of(engine, 1)) == ([f"{NAME}2"], [])
    assert all(each["Spec"]["UpdateConfig"] == {"Parallelism": 0, "FailureAction": "continue"} for each in engine.services)
    again = retire(run, engine, fingerprint=MARK)
    assert (again["changed"], again["action"]) == (False, "kept")
    assert "stays: it holds another token" in again["msg"]


def test_what_a_foreign_secret_holds_is_unknown(run: Run, engine: Any) -> None:
    store(engine, 1, None)
    store(engine, 2)
    answer = retire(run, engine, fingerprint=MARK)
    assert answer["failed"] and f"{NAME}_v1 was not created by this collection, so whether it holds the token is unknown" in answer["msg"]
    assert [each["ID"] for each in engine.secrets] == [f"{NAME}1"]


def test_a_token_that_another_service_uses_is_not_retired(run: Run, engine: Any) -> None:
    store(engine, 1)
    run_with(engine)
    run_with(engine, f"{NAME}1", service="web", registered=False)
    engine.tasks = [engine.task(engine.services[0])]
    answer = retire(run, engine, only_registered=True)
    assert answer["failed"] and "in use: edge_token_v1 (by service web)" in answer["msg"] and not engine.sent


def test_an_update_that_fails_leaves_the_token(run: Run, engine: Any) -> None:
    store(engine, 1)
    run_with(engine, f"{NAME}1")

    def rule(method: str, path: str, body: Json) -> Any:
        if path.endswith("/update"):
            engine.services[0].update(UpdateStatus={"State": "rollback_completed", "Message": "no"}, Version={"Index": 9})
            return 200, {}
        return None

    engine.rules.append(rule)
    answer = retire(run, engine, only_registered=True)
    assert answer["failed"] and "no version of the secret was removed" in answer["msg"] and len(engine.secrets) == 1


# Enrolment record


def test_record_of_a_service(run: Run, engine: Any) -> None:
    """On each secret, and for a label of the service, where it stays."""
    other = "exp_bk_9fTn3RbVx5YcHj21kQ"
    options = {"docker_host": engine.url, "name": NAME, "service": "edge", "token_label": "spring", "run_id": "first"}
    predicted = run(swarm_secret, check=True, token=TOKEN, **options)
    assert not engine.secrets and predicted["record"]["label"] == "spring"
    stored = run(swarm_secret, token=TOKEN, **options)
    assert (stored["record"]["run_id"], stored["record"]["kind"], stored["record"]["delivery"]) == ("first", "bootstrap_key", "swarm")
    label = stored["service_labels"]["io.expanso.edge.enrolment"]
    assert json.loads(label) == stored["record"]
    assert engine.secrets[0]["Spec"]["Labels"]["io.expanso.edge.enrolment"] == label

    again = run(swarm_secret, token=TOKEN, **dict(options, run_id="second"))
    assert (again["changed"], again["service_labels"]) == (False, stored["service_labels"])

    engine.run_service(Labels={"io.expanso.edge.managed-by": "expanso.edge.swarm_secret", "io.expanso.edge.enrolment": label})
    assert run(swarm_secret, state="checked", **options)["service_labels"] == stored["service_labels"]
    engine.secrets.clear()
    for state in ("present", "pruned"):
        later = run(swarm_secret, state=state, remove_when_registered=True, **dict(options, run_id="third"))
        assert (later["changed"], later["service_labels"], later["record"]) == (False, stored["service_labels"], stored["record"])
    # the same token, stored again
    assert run(swarm_secret, token=TOKEN, **dict(options, run_id="fourth"))["record"] == stored["record"]
    changed = run(swarm_secret, token=other, **dict(options, run_id="fifth"))
    assert (changed["action"], changed["record"]["run_id"]) == ("written", "fifth")


def test_a_version_from_before_there_were_records(run: Run, engine: Any) -> None:
    run(swarm_secret, docker_host=engine.url, name=NAME, token=TOKEN)
    del engine.secrets[0]["Spec"]["Labels"]["io.expanso.edge.enrolment"]
    engine.secrets[0]["CreatedAt"] = "2024-05-06T07:08:09.5Z"
    upgraded = run(swarm_secret, docker_host=engine.url, name=NAME)
    assert not upgraded["changed"]
    assert (upgraded["record"]["written_at"], upgraded["record"]["kind"]) == ("2024-05-06T07:08:09Z", None)


def test_nothing_to_record(run: Run, engine: Any) -> None:
    engine.run_service()
    answer = run(swarm_secret, docker_host=engine.url, name=NAME, service="edge", state="checked")
    assert (answer["record"], answer["service_labels"]) == (None, {})


def test_a_label_that_is_the_token_is_masked(run: Run, engine: Any) -> None:
    answer = run(swarm_secret, docker_host=engine.url, name=NAME, token=TOKEN, token_label=f"my {TOKEN}")
    assert answer["record"]["label"] == "my ********" and TOKEN not in str(engine.secrets)


def test_only_the_token_that_was_planned_is_replaced(run: Run, engine: Any) -> None:
    first = run(swarm_secret, docker_host=engine.url, name=NAME, token=TOKEN)
    other = "exp_bk_another0123456789"
    assert first["previous_fingerprint"] is None
    for replaces in ("none", "0123456789ab"):
        refused = run(swarm_secret, docker_host=engine.url, name=NAME, token=other, replaces=replaces)
        assert refused["fault"] == "held_differs" and len(engine.secrets) == 1
    done = run(swarm_secret, docker_host=engine.url, name=NAME, token=other, replaces=first["fingerprint"])
    assert (done["action"], done["previous_fingerprint"]) == ("written", first["fingerprint"])
    assert run(swarm_secret, docker_host=engine.url, name=NAME, token=other, replaces=first["fingerprint"])["action"] == "kept"
