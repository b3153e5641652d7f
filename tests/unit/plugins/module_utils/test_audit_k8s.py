# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an audit finds in a Kubernetes namespace: one that is clean, and one fault at a time."""

import base64
import copy
import json
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._audit.cluster import Limits, result, seconds
from ansible_collections.expanso.edge.plugins.module_utils._audit.k8s import Found, Subject, audit
from ansible_collections.expanso.edge.plugins.module_utils._audit.k8s_places import findings_elsewhere, search_for
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint

Json = Dict[str, Any]
Told = List[Tuple[str, str]]

KEY = "exp_bk_Zq81mKx02LwPd7Rt5"
OTHER = "exp_bk_9f8e7d6c5b4a3210"
OPAQUE = "k3F/9sQx+Zt8cV7w"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJub2RlIn0.c2lnbmF0dXJl"
EXPIRED = "eyJhbGciOiJFZERTQSJ9.eyJleHAiOjF9.c2lnbmF0dXJl"
CREATED = "2026-11-18T10:00:00Z"
NOW = (seconds(CREATED) or 0) + 3600
MARK = "expanso.edge/token-fingerprint"
REVISION = "deployment.kubernetes.io/revision"
ENTRY = {
    "fingerprint": fingerprint(KEY),
    "kind": "bootstrap_key",
    "label": "site 7",
    "delivery": "kubernetes",
    "written_at": "2026-11-18T10:00:00Z",
    "run_id": "20261118T100000Z-1a2b3c4d",
    "job_id": None,
    "collection_version": "1.1.0",
}


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(name: str = "token", value: Optional[str] = KEY, **metadata: Any) -> Json:
    own = {
        "name": name,
        "creationTimestamp": CREATED,
        "labels": {"app.kubernetes.io/managed-by": "expanso.edge", "expanso.edge/secret": "token"},
        "annotations": {MARK: fingerprint(value or "")},
        "managedFields": [{"manager": "expanso.edge", "time": CREATED, "fieldsV1": {"f:data": {"f:bootstrap.token": {}}}}],
    }
    return {"metadata": dict(own, **metadata), "type": "Opaque", "data": {} if value is None else {"bootstrap.token": base64_of(value)}}


def pod(name: str, owner: Optional[str] = None, mode: Optional[int] = 0o400, **container: Any) -> Json:
    volume = {"name": "token", "secret": {"secretName": "token", "defaultMode": mode, "items": [{"key": "bootstrap.token", "path": "t"}]}}
    owners = [{"kind": "ReplicaSet", "name": owner}] if owner else []
    spec = {"containers": [dict({"name": "agent", "image": "agent"}, **container)], "volumes": [volume]}
    return {"metadata": {"name": name, "ownerReferences": owners}, "spec": spec}


def replicaset(name: str, revision: str, template: Json, owner: str = "edge") -> Json:
    metadata = {"name": name, "annotations": {REVISION: revision}, "ownerReferences": [{"kind": "Deployment", "name": owner}]}
    return {"metadata": metadata, "spec": {"template": template}}


def clean() -> Json:
    """A namespace as the role leaves it where the agent still has to register."""
    env = [{"name": "EXPANSO_EDGE_BOOTSTRAP_TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "bootstrap.token"}}}]
    template = pod("", args=["--example", "exp_bk_your_key_here"], env=env)
    return {
        "secrets": [secret(), {"metadata": {"name": "account"}, "type": "kubernetes.io/service-account-token", "data": {"token": base64_of(JWT)}}],
        "claim": {"metadata": {"name": "data", "annotations": {}}},
        "deployment": {
            "metadata": {"name": "edge", "annotations": {REVISION: "3"}},
            "spec": {"replicas": 1, "template": template},
            "status": {"availableReplicas": 1},
        },
        "configmaps": [{"metadata": {"name": "settings"}, "data": {"a": f"jwt: {JWT}"}}],
        "pods": [pod("edge-5d8f-x1", "edge-5d8f")],
        "unseen": {},
        "replicasets": [
            replicaset("edge-5d8f", "3", template),
            replicaset("edge-4c7e", "2", copy.deepcopy(template)),
            replicaset("web-1", "1", pod(""), owner="web"),
        ],
        "now": NOW,
        "immutable": False,
    }


def look(state: Json, deployment: Optional[str] = "edge", claim: Optional[str] = "data", fingerprints: Tuple[str, ...] = ()) -> Json:
    subject = Subject("edge", "token", "bootstrap.token", state["immutable"], claim, deployment)
    found = Found(*(state[name] for name in Found._fields))
    search = search_for(subject, found, fingerprints, state["now"])
    return result(audit(subject, found, search, findings_elsewhere(subject, found, search), Limits(state["now"], 30, 24)), "Secret edge/token")


def findings(answer: Json) -> List[Json]:
    return [finding for each in [*answer["tokens"], answer["node"]] for finding in each["findings"]]


def told(answer: Json) -> Told:
    return [(finding["code"], finding["place"]) for finding in findings(answer)]


def register(state: Json) -> None:
    state["claim"]["metadata"].update(
        annotations={MARK: fingerprint(KEY), "expanso.edge/enrolment": json.dumps(ENTRY)},
        managedFields=[{"manager": "expanso.edge-identity", "time": "2026-11-18T10:01:00Z"}],
    )


def test_a_clean_namespace() -> None:
    state = clean()
    waiting = look(state)
    assert told(waiting) == []
    [entry] = waiting["tokens"]
    assert (entry["place"], entry["exists"], entry["size"], entry["token_kind"]) == ("Secret edge/token", True, len(KEY), "bootstrap_key")
    assert (entry["fingerprint"], entry["age_days"], entry["registered"], entry["label"]) == (fingerprint(KEY), 0, False, None)
    [unit] = waiting["node"]["units"]
    assert (unit["name"], unit["active_state"], unit["sub_state"]) == ("edge", "active", "1 of 1 available")

    register(state)
    registered = look(state)
    assert told(registered) == [("left_over", "Secret edge/token")]
    assert (registered["node"]["registered_at"], registered["node"]["record"]) == ("2026-11-18T10:01:00Z", [ENTRY])
    assert registered["tokens"][0]["label"] == "site 7"

    state["secrets"] = state["secrets"][1:]
    retired = look(state)
    assert (told(retired), retired["error_count"], retired["warning_count"]) == ([("token_not_found", "Secret edge/token")], 0, 0)


def test_a_token_in_a_former_template() -> None:
    """The Deployment is mended, but kubectl rollout undo would bring it back, and who may list ReplicaSets can read it."""
    state = clean()
    current, former, _foreign = state["replicasets"]
    env = [{"name": "EXPANSO_EDGE_BOOTSTRAP_TOKEN", "value": OPAQUE}]
    former["spec"]["template"] = pod("", mode=0o644, env=env, args=["--token", KEY])
    assert sorted(told(look(state))) == [("token_in_arguments", "ReplicaSet edge/edge-4c7e"), ("token_in_environment", "ReplicaSet edge/edge-4c7e")]
    assert "kubectl rollout undo" in findings(look(state))[0]["remedy"]
    # what the Deployment has now is told of the Deployment
    state["deployment"]["spec"]["template"] = current["spec"]["template"] = pod("", args=["--token", KEY])
    former["spec"]["template"] = pod("")
    assert told(look(state)) == [("token_in_arguments", "Deployment edge/edge")]


def template(state: Json) -> Json:
    found: Json = state["deployment"]["spec"]["template"]
    return found


def container(state: Json) -> Json:
    found: Json = template(state)["spec"]["containers"][0]
    return found


def volume(state: Json) -> Json:
    found: Json = template(state)["spec"]["volumes"][0]
    return found


def put(state: Json, value: Optional[str]) -> None:
    state["secrets"][0] = secret(value=value)


def annotate(found: Json, **texts: str) -> None:
    found["metadata"].setdefault("annotations", {}).update({key.replace("_", "-"): text for key, text in texts.items()})


def projected(state: Json) -> None:
    template(state)["spec"]["volumes"] = [{"projected": {"defaultMode": 0o640, "sources": [{"secret": {"name": "token"}}]}}]


def expired(state: Json) -> None:
    put(state, EXPIRED)
    register(state)


APPLIED = json.dumps({"data": {"bootstrap.token": base64_of(KEY)}})
S, D = "Secret edge/token", "Deployment edge/edge"
MANY: List[Json] = [{"manager": manager, "fieldsV1": {"f:data": {"f:bootstrap.token": {}}}} for manager in ("expanso.edge", "kubectl-edit")]

FAULTS: Dict[str, Tuple[Callable[[Json], Any], str, Told]] = {
    "malformed": (lambda s: put(s, KEY + "!"), "error", [("malformed_key", S)]),
    "API key": (lambda s: put(s, "exp_ak_9f8e7d6c5b4a"), "error", [("api_key", S)]),
    "expired": (lambda s: put(s, EXPIRED), "error", [("expired", S)]),
    "line feed": (lambda s: put(s, KEY + "\n"), "warning", [("trailing_newline", S), ("foreign_secret", S)]),
    "two line feeds": (lambda s: put(s, OPAQUE + "\n\n"), "", [("trailing_newline", S), ("line_break", S), ("foreign_secret", S)]),
    "opaque": (lambda s: put(s, OPAQUE), "info", [("unknown_shape", S)]),
    "no token": (lambda s: s.update(secrets=[]), "error", [("token_not_found", S)]),
    "no key": (lambda s: put(s, None), "error", [("key_missing", S)]),
    "type": (lambda s: s["secrets"][0].update(type="kubernetes.io/tls"), "error", [("wrong_type", S)]),
    "foreign": (lambda s: s["secrets"][0]["metadata"].update(labels={}), "warning", [("foreign_secret", S)]),
    "edited": (lambda s: s["secrets"][0]["metadata"].update(managedFields=MANY), "warning", [("foreign_secret", S)]),
    "exchanged": (lambda s: s["secrets"][0]["data"].update({"bootstrap.token": base64_of(OTHER)}), "warning", [("foreign_secret", S)]),
    "held": (lambda s: s["secrets"][0]["metadata"].update(deletionTimestamp=CREATED, finalizers=["a/b"]), "warning", [("being_removed", S)]),
    "applied": (lambda s: annotate(s["secrets"][0], kubectl=APPLIED), "error", [("token_in_annotation", S)]),
    "of a former token": (
        lambda s: s["secrets"].append(secret(f"token-{fingerprint(OTHER)}", OTHER)),
        "warning",
        [("left_over", f"Secret edge/token-{fingerprint(OTHER)}")],
    ),
    "copy": (lambda s: s["secrets"].append({"metadata": {"name": "mine"}, "data": {"a": base64_of("b=" + KEY)}}), "warning", [("copy", "Secret edge/mine")]),
    "another token": (lambda s: s["secrets"].append({"metadata": {"name": "mine"}, "data": {"a": base64_of(OTHER)}}), "", []),
    "asked for": (lambda s: s["secrets"].append({"metadata": {"name": "mine"}, "data": {"a": base64_of(OPAQUE)}}), "warning", [("copy", "Secret edge/mine")]),
    "ConfigMap": (lambda s: s["configmaps"][0]["data"].update(b=f"token: {OTHER}"), "error", [("token_in_config", "ConfigMap edge/settings")]),
    "binary": (lambda s: s["configmaps"][0].update(binaryData={"b": base64_of(KEY)}), "error", [("token_in_config", "ConfigMap edge/settings")]),
    "its annotation": (lambda s: annotate(s["configmaps"][0], a=APPLIED), "error", [("token_in_config", "ConfigMap edge/settings")]),
    "variable": (lambda s: container(s)["env"].append({"name": "A", "value": f"{JWT} "}), "error", [("token_in_environment", D)]),
    "variable of tokens": (
        lambda s: container(s)["env"].append({"name": "EXPANSO_EDGE_BOOTSTRAP_TOKEN", "value": "x1y2"}),
        "error",
        [("token_in_environment", D)],
    ),
    "argument": (lambda s: container(s)["args"].append(f"--token={KEY}"), "error", [("token_in_arguments", D)]),
    "command of another": (lambda s: template(s)["spec"].update(initContainers=[{"command": [KEY]}]), "error", [("token_in_arguments", D)]),
    "annotation": (lambda s: annotate(s["deployment"], a=JWT), "error", [("token_in_annotation", D)]),
    "annotation of pods": (lambda s: annotate(template(s), a=KEY), "error", [("token_in_annotation", D)]),
    "mode": (lambda s: volume(s)["secret"].update(defaultMode=0o444), "error", [("mode_too_wide", D)]),
    "no mode": (lambda s: volume(s)["secret"].update(defaultMode=None), "error", [("mode_too_wide", D)]),
    "mode of an item": (lambda s: volume(s)["secret"]["items"][0].update(mode=0o440), "", []),
    "wide mode of an item": (lambda s: volume(s)["secret"]["items"][0].update(mode=0o604), "error", [("mode_too_wide", D)]),
    "another item": (lambda s: volume(s)["secret"].update(defaultMode=0o444, items=[{"key": "a", "path": "a"}]), "", []),
    "projected": (projected, "", []),
    "pod": (lambda s: s["pods"].append(pod("web", mode=0o444)), "", [("mode_too_wide", "Pod edge/web"), ("used_by_others", "Pod edge/web")]),
    "pods": (
        lambda s: s["pods"].extend(pod(f"web-7-{number}", "web-7", command=[OTHER]) for number in range(3)),
        "",
        [("token_in_arguments", "ReplicaSet edge/web-7"), ("used_by_others", "ReplicaSet edge/web-7")],
    ),
    "Deployment": (lambda s: s.update(deployment=None), "warning", [("deployment_not_found", D)]),
    "unavailable": (lambda s: s["deployment"].update(status={}), "warning", [("deployment_unavailable", D)]),
    "scaled": (lambda s: s["deployment"]["spec"].update(replicas=0), "", []),
    "old": (lambda s: s.update(now=NOW + 40 * 86400), "warning", [("too_old", S), ("not_registered_in_time", S)]),
    "spent": (expired, "", [("expired", S), ("left_over", S)]),
    "damaged": (lambda s: annotate(s["claim"], **{"expanso.edge/enrolment": "7"}), "warning", [("record_damaged", "PersistentVolumeClaim edge/data")]),
    "no right": (lambda s: s.update(unseen={"Pod": "no"}), "info", [("exposure_incomplete", "Pods of namespace edge")]),
    "no right to the claim": (
        lambda s: s.update(unseen={"PersistentVolumeClaim": "no"}),
        "info",
        [("registration_unknown", "PersistentVolumeClaim edge/data")],
    ),
}


@pytest.mark.parametrize(("plant", "severity", "expected"), list(FAULTS.values()), ids=list(FAULTS))
def test_a_fault_is_found_and_nothing_else(plant: Callable[[Json], Any], severity: str, expected: Told) -> None:
    state = clean()
    plant(state)
    answer = look(state, fingerprints=(fingerprint(OPAQUE),))
    assert sorted(told(answer)) == sorted(expected)
    if severity:
        assert {finding["severity"] for finding in findings(answer)} == {severity}
    printed = json.dumps(answer)
    assert not [each for each in (KEY, OTHER, OPAQUE, JWT, EXPIRED, "x1y2") for each in (each, base64_of(each)) if each in printed]


def test_why_a_deployment_is_not_available() -> None:
    state = clean()
    conditions = [
        {"type": "Available", "status": "False", "message": "no minimum"},
        {"type": "Progressing", "status": "True", "message": "on its way"},
        {"type": "ReplicaFailure", "status": "True", "message": f"cannot create pods with {KEY}"},
    ]
    state["deployment"]["status"] = {"conditions": conditions}
    [finding] = look(state)["node"]["findings"]
    assert finding["message"] == f"{D} has 0 of 1 pods available: no minimum; cannot create pods with ********"


def test_where_each_token_has_a_secret_the_newest_is_used_until_the_agent_is_registered() -> None:
    state = clean()
    names = [f"token-{fingerprint(OTHER)}", f"token-{fingerprint(KEY)}"]
    state["secrets"] = [secret(names[1]), secret(names[0], OTHER, creationTimestamp="2026-11-17T00:00:00Z")]
    state["immutable"] = True
    answer = look(state)
    assert [entry["place"] for entry in answer["tokens"]] == [f"Secret edge/{name}" for name in names]
    assert told(answer) == [("left_over", f"Secret edge/{names[0]}")]
    register(state)
    assert [code for code, _place in told(look(state))] == ["left_over", "left_over"]


def test_without_claim_and_deployment_little_is_known() -> None:
    state = clean()
    state["pods"].append(copy.deepcopy(pod("web", mode=0o440)))
    answer = look(state, deployment=None, claim=None)
    assert (told(answer), answer["node"]["registered"], answer["node"]["units"]) == ([], None, [])
