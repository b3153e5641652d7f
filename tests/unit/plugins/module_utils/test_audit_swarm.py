# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an audit finds in a swarm: one clean swarm, and one fault at a time."""

import base64
import copy
import json
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._audit import sightings, swarm
from ansible_collections.expanso.edge.plugins.module_utils._audit.cluster import Limits, iso, result, seconds
from ansible_collections.expanso.edge.plugins.module_utils._audit.sightings import Search
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from hypothesis import given
from hypothesis import strategies as st

Json = Dict[str, Any]

KEY = "exp_bk_Zq81mKx02LwPd7Rt5"
OTHER = "exp_bk_9f8e7d6c5b4a3210"
OPAQUE = "k3F/9sQx+Zt8cV7w"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJub2RlIn0.c2lnbmF0dXJl"
CREATED = "2026-11-18T10:00:00.123456789Z"
ENTRY = {
    "fingerprint": fingerprint(KEY),
    "kind": "bootstrap_key",
    "label": "site 7",
    "delivery": "swarm",
    "written_at": "2026-11-18T10:00:00Z",
    "run_id": "20261118T100000Z-1a2b3c4d",
    "job_id": None,
    "collection_version": "1.1.0",
}


def clean() -> Json:
    """A swarm as the role leaves it where a node still has to register: its token is an hour old."""
    labels = {"io.expanso.edge.fingerprint": fingerprint(KEY), "io.expanso.edge.enrolment": json.dumps(ENTRY)}
    container = {
        "Image": "registry-mirror.example-company.internal-network/agent:1",
        "Env": ["EXPANSO_EDGE_BOOTSTRAP_URL=https://start.cloud.expanso.io", "EXPANSO_EDGE_BOOTSTRAP_TOKEN="],
        "Command": ["/bin/sh", "-c", "exec", "/run/secrets/expanso_bootstrap_token"],
        "Args": ["--example", "exp_bk_your_key_here"],
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10},
        "Labels": {"note": "a container"},
        "Secrets": [{"SecretID": "i1", "SecretName": "token_v1", "File": {"Name": "token", "UID": "1000", "GID": "1000", "Mode": 0o400}}],
        "Configs": [{"ConfigID": "c1", "ConfigName": "agent"}],
    }
    spec = {
        "Name": "edge",
        "Labels": {"io.expanso.edge.managed-by": "expanso.edge.swarm_secret"},
        "Mode": {"Replicated": {"Replicas": 1}},
        "TaskTemplate": {"ContainerSpec": container},
    }
    return {
        "secrets": [{"ID": "i1", "CreatedAt": CREATED, "Spec": {"Name": "token_v1", "Labels": labels}}],
        "services": [{"ID": "s", "Spec": spec}],
        "configs": [config("agent", "name: edge\n"), config("web", f"jwt: {JWT}\n")],
        "tasks": [],
        "hostnames": {"n1": "worker1"},
        "now": seconds(CREATED) + 3600,  # type: ignore[operator]
    }


def config(name: str, data: str) -> Json:
    return {"ID": name, "Spec": {"Name": name, "Data": base64.b64encode(data.encode()).decode()}}


def task(swarm_state: Json, **more: Any) -> Json:
    spec = copy.deepcopy(swarm_state["services"][0]["Spec"]["TaskTemplate"])
    return dict({"Slot": 1, "NodeID": "n1", "DesiredState": "running", "Spec": spec, "Status": {"State": "running"}}, **more)


def look(state: Json, service: Optional[str] = "edge", fingerprints: Tuple[str, ...] = (), max_age: Optional[int] = 30) -> Json:
    found = swarm.Found(*(state[name] for name in swarm.Found._fields))
    audit = swarm.audit("token", service, fingerprints, found, Limits(state["now"], max_age, 24))
    return result(audit, "swarm secret token")


def told(answer: Json) -> List[Tuple[str, str]]:
    """Code and place of all findings but of the service that does not run yet."""
    findings = [finding for each in [*answer["tokens"], answer["node"]] for finding in each["findings"]]
    return [(finding["code"], finding["place"]) for finding in findings if finding["code"] != "service_not_running"]


def test_a_clean_swarm() -> None:
    state = clean()
    waiting = look(state)
    assert told(waiting) == []
    [entry] = waiting["tokens"]
    assert (entry["place"], entry["path"], entry["exists"], entry["mode"], entry["owner"]) == ("swarm secret token_v1", None, True, "0400", "1000")
    assert (entry["fingerprint"], entry["token_kind"], entry["label"], entry["registered"]) == (fingerprint(KEY), "bootstrap_key", "site 7", False)
    assert waiting["node"]["record"] == [ENTRY]
    assert waiting["node"]["units"][0]["active_state"] == "activating"
    assert waiting["node"]["time"] == iso(state["now"]) == "2026-11-18T11:00:00.123Z"

    state["tasks"] = [task(state)]
    registered = look(state)
    assert told(registered) == [("left_over", "swarm secret token_v1")]
    assert registered["node"]["registered"] and registered["node"]["units"][0]["active_state"] == "active"

    state["secrets"], state["services"][0]["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"] = [], []
    state["tasks"] = [task(state)]
    retired = look(state)
    assert (retired["error_count"], retired["warning_count"]) == (0, 0)
    assert told(retired) == [("token_not_found", "swarm secret token")] and not retired["tokens"][0]["exists"]
    assert retired["msg"] == "swarm secret token audited: tokens 0, errors 0, warnings 0"


def spec(state: Json) -> Json:
    found: Json = state["services"][0]["Spec"]
    return found


def container(state: Json) -> Json:
    found: Json = spec(state)["TaskTemplate"]["ContainerSpec"]
    return found


def version(state: Json, name: str, created: str = CREATED, **labels: str) -> None:
    state["secrets"].append({"ID": "i-" + name, "CreatedAt": created, "Spec": {"Name": name, "Labels": labels}})


def former(state: Json) -> None:
    version(state, "token_v2", **{"io.expanso.edge.fingerprint": fingerprint(OTHER)})


def moved(state: Json) -> None:
    former(state)
    container(state)["Secrets"][0].update(SecretID="i-token_v2", SecretName="token_v2")


def another_service(state: Json, **found: Any) -> None:
    state["services"].append({"ID": "s2", "Spec": {"Name": "web", "Mode": {"Global": {}}, "TaskTemplate": {"ContainerSpec": found}}})


def update(state: Json) -> None:
    state["services"][0]["UpdateStatus"] = {"State": "rollback_completed", "Message": "too many failures"}


V1, V2, SERVICE = "swarm secret token_v1", "swarm secret token_v2", "service edge"
ENCODED = base64.b64encode(f"token: {OPAQUE}".encode()).decode()

FAULTS: Dict[str, Tuple[Callable[[Json], Any], str, List[Tuple[str, str]]]] = {
    "foreign": (lambda s: version(s, "token"), "warning", [("foreign_secret", "swarm secret token"), ("left_over", "swarm secret token")]),
    "old version": (moved, "warning", [("left_over", V1)]),
    "old version in use": (former, "warning", [("old_version_in_use", V1)]),
    "mode": (lambda s: container(s)["Secrets"][0]["File"].update(Mode=0o444), "error", [("mode_too_wide", V1)]),
    "mode of a group": (lambda s: container(s)["Secrets"][0]["File"].update(Mode=0o440), "", []),
    "mode that a group writes": (lambda s: container(s)["Secrets"][0]["File"].update(Mode=0o460), "error", [("mode_too_wide", V1)]),
    "root": (lambda s: container(s)["Secrets"][0]["File"].update(UID="0"), "warning", [("wrong_owner", V1)]),
    "other user": (lambda s: another_service(s, Secrets=copy.deepcopy(container(s)["Secrets"])), "warning", [("used_by_others", V1)]),
    "variable": (lambda s: container(s)["Env"].append(f"A={KEY}"), "error", [("token_in_environment", SERVICE)]),
    "variable of tokens": (lambda s: container(s)["Env"].append("EXPANSO_EDGE_BOOTSTRAP_TOKEN=opaque"), "error", [("token_in_environment", SERVICE)]),
    "another's variable": (lambda s: another_service(s, Env=["EXPANSO_EDGE_BOOTSTRAP_TOKEN=x1y2"]), "error", [("token_in_environment", "service web")]),
    "path in it": (lambda s: container(s)["Env"].append("EXPANSO_EDGE_BOOTSTRAP_TOKEN=/run/secrets/expanso_bootstrap_token"), "", []),
    "another's JWT": (lambda s: another_service(s, Env=[f"A={JWT}"]), "", []),
    "JWT": (lambda s: container(s)["Env"].append(f"A={JWT}"), "error", [("token_in_environment", SERVICE)]),
    "API key": (lambda s: container(s)["Env"].append("A=exp_ak_9f8e7d6c5b4a"), "error", [("token_in_environment", SERVICE)]),
    "argument": (lambda s: container(s)["Args"].append(f"--token={KEY}."), "error", [("token_in_arguments", SERVICE)]),
    "command": (lambda s: container(s)["Command"].append(f"echo {KEY}"), "error", [("token_in_arguments", SERVICE)]),
    "health check": (lambda s: container(s)["Healthcheck"]["Test"].append(KEY), "error", [("token_in_arguments", SERVICE)]),
    "label": (lambda s: spec(s)["Labels"].update(token=KEY), "error", [("token_in_labels", SERVICE)]),
    "container label": (lambda s: container(s)["Labels"].update({KEY: "x"}), "error", [("token_in_labels", SERVICE)]),
    "config": (lambda s: s["configs"].append(config("agent", f"token: {JWT}")), "error", [("token_in_config", "config agent")]),
    "another's config": (lambda s: s["configs"].append(config("web", f"token: {KEY}")), "error", [("token_in_config", "config web")]),
    "asked for": (lambda s: s["configs"].append(config("web", f"a={OPAQUE};")), "error", [("token_in_config", "config web")]),
    "encoded": (lambda s: s["configs"].append(config("web", ENCODED)), "error", [("token_in_config", "config web")]),
    "no configs": (lambda s: s.update(configs=None), "info", [("exposure_incomplete", "configs of the swarm")]),
    "before": (
        lambda s: s["services"][0].update(PreviousSpec={"TaskTemplate": {"ContainerSpec": {"Env": [f"A={KEY}"]}}}),
        "error",
        [("token_in_environment", "service edge, in its previous specification")],
    ),
    "task": (
        lambda s: s["tasks"].append(task(s, DesiredState="shutdown", Spec={"ContainerSpec": {"Env": [f"A={KEY}"]}})),
        "error",
        [("token_in_environment", "a task of service edge")],
    ),
    "copy": (lambda s: version(s, "mine", **{"io.expanso.edge.fingerprint": fingerprint(KEY)}), "warning", [("copy", "swarm secret mine")]),
    "too old": (lambda s: s.update(now=s["now"] + 40 * 86400), "warning", [("too_old", V1), ("not_registered_in_time", V1)]),
    "stuck": (lambda s: s.update(now=s["now"] + 86400), "warning", [("not_registered_in_time", V1)]),
    "no token": (lambda s: (s.update(secrets=[]), container(s).update(Secrets=[])), "error", [("token_not_found", "swarm secret token")]),
    "no service": (lambda s: s.update(services=[]), "warning", [("service_not_found", SERVICE)]),
    "foreign service": (lambda s: spec(s).update(Labels={}), "warning", [("foreign_service", SERVICE)]),
    "failed update": (update, "error", [("service_update_failed", SERVICE)]),
    "damaged": (lambda s: s["secrets"][0]["Spec"]["Labels"].update({"io.expanso.edge.enrolment": "{"}), "warning", [("record_damaged", V1)]),
}


@pytest.mark.parametrize(("plant", "severity", "expected"), list(FAULTS.values()), ids=list(FAULTS))
def test_a_fault_is_found_and_nothing_else(plant: Callable[[Json], Any], severity: str, expected: List[Tuple[str, str]]) -> None:
    state = clean()
    plant(state)
    answer = look(state, fingerprints=(fingerprint(OPAQUE),))
    assert sorted(told(answer)) == sorted(expected)
    findings = [finding for each in [*answer["tokens"], answer["node"]] for finding in each["findings"]]
    assert {finding["severity"] for finding in findings if finding["code"] != "service_not_running"} == ({severity} if severity else set())
    printed = json.dumps(answer)
    assert not [secret for secret in (KEY, OTHER, OPAQUE, JWT, "x1y2") if secret in printed]


def test_the_search_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "MOST", 2000)
    state = clean()
    state["configs"].append(config("web", " " * 2000 + KEY))
    assert told(look(state)) == [("exposure_incomplete", "the swarm")]


def test_a_finding_names_the_token() -> None:
    state = clean()
    container(state)["Env"].append(f"A={OTHER}")
    [finding] = [each for each in look(state)["node"]["findings"] if each["code"] == "token_in_environment"]
    assert finding["fingerprint"] == fingerprint(OTHER) and fingerprint(OTHER) in finding["message"]


def test_without_a_service_nothing_is_said_of_one() -> None:
    answer = look(clean(), service=None)
    assert answer["node"]["registered"] is None and answer["node"]["units"] == []
    assert told(answer) == []


def test_a_name_that_holds_a_token_is_masked() -> None:
    state = clean()
    state["configs"] = [config(f"a-{KEY}", KEY), config("b\x1b[31m", KEY)]
    answer = look(state)
    assert [place for code, place in told(answer)] == ["config a-********", "config b?[31m"]


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from([KEY, JWT, OPAQUE]))
def test_a_token_in_any_text_is_found(before: str, after: str, token: str) -> None:
    search = Search([fingerprint(token)])
    assert fingerprint(token) in search.look(f"{before} {token} {after}")
    assert token in search.secrets


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCXYZ0123456789.-_/=+ \n", max_size=400))
def test_text_without_a_token_is_no_finding(text: str) -> None:
    assert Search(["0" * 12]).look(text.replace("exp_", "").replace("eyJ", "")) == []


def test_a_token_across_the_border_of_two_parts() -> None:
    search = Search([fingerprint(OPAQUE)])
    for length in (16370, 16384, 32760, 40000):
        assert search.look("\u00e4 " * (length // 2) + OPAQUE) == [fingerprint(OPAQUE)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00.5+01:00", 60.5),
        ("1969-12-31T23:01:00-01:00", 60.0),
        ("1970-13-01T00:00:00Z", None),
        ("yesterday", None),
        (None, None),
        (7, None),
    ],
)
def test_times_of_an_api(text: Any, expected: Optional[float]) -> None:
    assert seconds(text) == expected
