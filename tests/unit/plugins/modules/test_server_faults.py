# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each kind of request that a role sends to a swarm or a cluster fails one time, in each manner. Then the same modules finish, as without a fault."""

import base64
import copy
import json
import re
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _engine, _k8s_connection, _k8s_transport, _swarm_view
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_collections.expanso.edge.plugins.modules import (
    k8s_apply,
    k8s_preflight,
    k8s_removal,
    k8s_rollout,
    k8s_secret,
    k8s_secret_info,
    swarm_secret,
    swarm_secret_info,
)
from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client as k8s_client
from server_faults import MANNERS, Fault, kind_of

PATIENT = 60  # s; a busy machine answers late
IMPATIENT = 1  # s; where the server is silent
TOKEN = "exp_bk_Zq81mKx02LwPd7Rt5"
API_KEY = "Kq7vN2pX9rT4wY6z-cluster-account"
MARK = fingerprint(TOKEN)
Json = Dict[str, Any]
Run = Callable[..., Json]
Step = Tuple[Any, Json]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(_k8s_transport, "ANSWER_SECONDS", PATIENT)
    monkeypatch.setattr(_k8s_transport, "LONGEST_PAUSE", 0)
    monkeypatch.setattr(_engine, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(_swarm_view, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(k8s_removal, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(_k8s_connection.kubernetes.client.Configuration, "_default", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the client keeps what it has learned of a server


def unclear(message: str) -> Optional[str]:
    """Why a message is not one for people, None for one that is."""
    found = re.search(r"unexpected [A-Z]\w+ at|object at 0x|Error\(|Traceback|<html|\('|ConnectionPool", message)
    return found.group() if found else "too long" if len(message) > 1600 else "no reason" if re.search(r"status \d+$|: *$", message) else None


def leaks(printed: str) -> bool:
    encoded = [base64.b64encode(b"-" * before + secret.encode()).decode()[4:20] for secret in (TOKEN, API_KEY) for before in range(3)]
    return any(each in printed for each in [TOKEN[7:], API_KEY[4:16], *encoded])


class Story:
    """Modules that a role runs one after another, on a server that may fail."""

    def __init__(self, run: Run, server: Any, steps: List[Step], held: Tuple[str, ...]) -> None:
        self.run, self.server, self.steps, self.held = run, server, steps, held
        self._finished: Dict[str, Tuple[Json, str]] = {}
        self.requests: List[Tuple[int, Tuple[str, str], Json]] = []
        for number, step in enumerate(steps):
            before, asked = self.state(), len(server.asked)
            answer = self.play([step])
            assert not answer.get("failed"), answer["msg"]
            for request in {kind_of(*each): None for each in server.asked[asked:]}:
                self.requests.append((number, request, before))
        self.good = self.shown()

    def play(self, steps: List[Step], patience: int = PATIENT) -> Json:
        """Run modules until one fails, each with `patience` seconds for an answer of the server; return the last answer."""
        answer: Json = {}
        _k8s_transport.ANSWER_SECONDS = patience
        for each in Path(tempfile.gettempdir()).glob("k8srcp-*"):
            each.unlink()
        for module, options in steps:
            k8s_client._pool.clear()  # it is one of the process
            answer = self.run(module, **{**options, **({"timeout": patience} if "docker_host" in options else {})})
            if answer.get("failed"):
                break
        return answer

    def state(self) -> Json:
        return copy.deepcopy({name: getattr(self.server, name) for name in self.held})

    def shown(self) -> str:
        """The state without times and counts of changes."""
        return re.sub(r"written_at[^,}]*|\"Index\": \d+", "", json.dumps(self.state(), sort_keys=True))

    def again(self) -> Tuple[Json, str]:
        """Run everything once more; return the last answer and the state."""
        left = self.shown()
        if left not in self._finished:
            self._finished[left] = self.play(self.steps), self.shown()
        return self._finished[left]

    def check(self, manner: str) -> int:
        """Let each request fail in a manner; return how many runs failed."""
        failed = 0
        for number, request, before in self.requests:
            for name, value in copy.deepcopy(before).items():
                setattr(self.server, name, value)
            fault = Fault(self.server, request, MANNERS[manner])
            answer = self.play(self.steps[number:], IMPATIENT if manner == "silence" else PATIENT)
            self.server.rules.remove(fault)
            where = f"{manner} at {request}: {answer.get('msg')}"
            assert fault.happened and not leaks(answer["printed"]), where
            if answer.get("failed"):
                failed += 1
                assert not unclear(answer["msg"]), where
            again, state = self.again()
            assert not again.get("failed"), f"{where}; then {again['msg']}"
            assert state == self.good, where
        return failed


MANAGED = {"app.kubernetes.io/managed-by": "expanso.edge"}


def manifest(kind: str, name: str, **more: Any) -> Json:
    version = "apps/v1" if kind == "Deployment" else "v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "edge", "labels": dict(MANAGED)}, **more}


def workload() -> List[Json]:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    labels = {"matchLabels": {"a": "b"}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "agent", "image": "i"}]}}
    spec = {"replicas": 0, "selector": labels, "template": template}
    return [manifest("ConfigMap", "c", data={}), manifest("PersistentVolumeClaim", "data", spec=claim), manifest("Deployment", "d", spec=spec)]


@pytest.fixture
def roll_out(run: Run, cluster: Any) -> Story:
    """The token comes, the agent registers with it, and the token goes."""
    cluster.hold("Namespace", "edge")
    common = {"host": cluster.url, "api_key": API_KEY, "namespace": "edge"}
    mark = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "annotations": {"expanso.edge/token-fingerprint": MARK}}}
    secret = {"name": "s", "state": "present", "immutable": False, "remove_when_registered": False, "claim": "data"}
    steps: List[Step] = [
        (k8s_preflight, {"secret": secret, "manifests": workload(), "wait": True, "missing_namespace": "create"}),
        (k8s_secret, {"name": "s", "token": TOKEN, "claim": "data", "create_namespace": True}),
        (k8s_apply, {"manifests": workload()}),
        (k8s_rollout, {"name": "d", "timeout": 20, "interval": 0}),
        (k8s_apply, {"manifests": [mark], "field_manager": "expanso.edge-identity", "force": True}),
        (k8s_secret_info, {"name": "s", "claim": "data", "deployment": "d"}),
    ]
    return Story(run, cluster, [(module, {**common, **options}) for module, options in steps], ("objects",))


@pytest.fixture
def removal(run: Run, cluster: Any) -> Story:
    cluster.hold("Namespace", "edge")
    for each in workload():
        cluster.hold(each["kind"], each["metadata"]["name"], metadata={"labels": dict(MANAGED)})
    cluster.hold("Secret", "s", type="Opaque", data={"bootstrap.token": base64.b64encode(TOKEN.encode()).decode()})
    common = {"host": cluster.url, "api_key": API_KEY, "namespace": "edge"}
    objects = [{"kind": each["kind"], "name": each["metadata"]["name"]} for each in workload()]
    steps: List[Step] = [(k8s_removal, {"objects": objects, "timeout": 20}), (k8s_secret, {"name": "s", "state": "absent"})]
    return Story(run, cluster, [(module, {**common, **options}) for module, options in steps], ("objects",))


@pytest.fixture
def swarm(run: Run, engine: Any) -> Story:
    """The token comes, the service that uses it runs, and the token goes."""
    engine.obedient = True
    reference = {"SecretID": "id-of-token_v1", "SecretName": "token_v1", "File": {"Name": "expanso_bootstrap_token"}}
    engine.run_service("edge", TaskTemplate={"ContainerSpec": {"Image": "agent", "Secrets": [reference]}})
    engine.services[-1]["Version"] = {"Index": 1}
    common = {"docker_host": engine.url, "name": "token", "service": "edge"}
    steps: List[Step] = [
        (swarm_secret, {"state": "checked", "service_plan": {"image": "agent"}}),
        (swarm_secret, {"token": TOKEN}),
        (swarm_secret, {"state": "pruned", "wait_timeout": 20}),
        (swarm_secret_info, {}),
        (swarm_secret, {"state": "retired", "fingerprint": MARK, "wait_timeout": 20}),
    ]
    return Story(run, engine, [(module, {**common, **options}) for module, options in steps], ("secrets", "services"))


CASES = [(name, manner) for name in ("roll_out", "removal", "swarm") for manner in MANNERS if (name, manner) != ("swarm", "404")]
"""Where an engine does not know a service, there is none."""


@pytest.mark.parametrize(("name", "manner"), CASES, ids=[f"{name}: {manner}" for name, manner in CASES])
def test_a_request_that_fails_one_time(request: pytest.FixtureRequest, name: str, manner: str) -> None:
    story: Story = request.getfixturevalue(name)
    assert len(story.requests) >= 8
    # in a removal all requests are such that the client repeats them by itself
    assert story.check(manner) >= (0 if name == "removal" else 3)
