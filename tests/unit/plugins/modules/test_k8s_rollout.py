# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any, Optional

import pytest
from ansible_collections.expanso.edge.plugins.modules.k8s_rollout import deployment_reasons, event_reasons, pod_reasons, progress, selector


def deployment(generation: int = 2, wanted: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"generation": generation},
        "spec": {"replicas": wanted, "selector": {"matchLabels": {"b": "2", "a": "1"}}},
        "status": {"observedGeneration": 2, **status},
    }


DONE = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


@pytest.mark.parametrize(
    ("found", "done", "expected"),
    [
        (deployment(**DONE), True, "1 of 1 pods up to date, 1 available"),
        (deployment(generation=3, **DONE), False, "the cluster has not processed its latest change yet"),
        (deployment(), False, "0 of 1 pods up to date, 0 available"),
        (deployment(**{**DONE, "availableReplicas": 0}), False, "1 of 1 pods up to date, 0 available"),
        (deployment(**{**DONE, "updatedReplicas": 0}), False, "0 of 1 pods up to date, 1 available"),
        (deployment(**{**DONE, "replicas": 2}), False, "1 of 1 pods up to date, 1 available"),
        ({"metadata": {"generation": 1}, "spec": {}}, False, "the cluster has not processed its latest change yet"),
    ],
)
def test_progress(found: dict[str, Any], done: bool, expected: str) -> None:
    assert progress(found) == (done, expected)


def test_selector() -> None:
    assert selector(deployment()) == "a=1,b=2"


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"}, []),
        ({"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}, []),
        (
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"},
            ["ProgressDeadlineExceeded: timed out"],
        ),
        (
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: q"},
            ["FailedCreate: exceeded quota: q"],
        ),
        ({"type": "ReplicaFailure", "status": "False", "reason": "FailedCreate", "message": "over"}, []),
    ],
)
def test_deployment_reasons(condition: dict[str, str], found: list[str]) -> None:
    assert deployment_reasons(deployment(conditions=[condition])) == found


def container(**state: Any) -> dict[str, Any]:
    return {"name": "register", "ready": False, **state}


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({}, []),
        ({"initContainerStatuses": [container(state={"waiting": {"reason": "PodInitializing"}})]}, []),
        ({"containerStatuses": [container(state={"waiting": {"reason": "ContainerCreating"}})]}, []),
        ({"containerStatuses": [container(state={"waiting": {}})]}, []),
        (
            {"containerStatuses": [container(state={"waiting": {"reason": "ErrImagePull", "message": "no such image"}})]},
            ["pod p, container register: ErrImagePull: no such image"],
        ),
        (
            {
                "initContainerStatuses": [
                    container(
                        state={"waiting": {"reason": "CrashLoopBackOff"}},
                        lastState={"terminated": {"exitCode": 11, "message": "refused\n"}},
                    )
                ]
            },
            ["pod p, container register: CrashLoopBackOff", "pod p, container register: ended with exit code 11: refused"],
        ),
        ({"initContainerStatuses": [container(state={"terminated": {"exitCode": 0}})]}, []),
        ({"initContainerStatuses": [container(state={"terminated": {"exitCode": 1}})]}, ["pod p, container register: ended with exit code 1"]),
        ({"containerStatuses": [container(state={"running": {}})]}, ["pod p, container register: runs, but is not ready"]),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]},
            ["pod p: Unschedulable: 0/1 nodes"],
        ),
        ({"reason": "Evicted", "message": "disk"}, ["pod p: Evicted: disk"]),
    ],
)
def test_pod_reasons(status: dict[str, Any], found: list[str]) -> None:
    assert pod_reasons({"metadata": {"name": "p"}, "status": status}) == found


def event(name: str, message: str, when: Optional[str] = "2026-01-01T00:00:00Z", kind: str = "Warning") -> dict[str, Any]:
    return {
        "type": kind,
        "reason": "Failed",
        "message": message,
        "lastTimestamp": when,
        "involvedObject": {"kind": "Pod", "name": name},
        "metadata": {"creationTimestamp": "2025-01-01T00:00:00Z"},
    }


def test_events_of_the_workload_newest_first_and_once() -> None:
    events = [
        event("expanso-edge-1", "old"),
        event("expanso-edge-1", "new", "2026-01-02T00:00:00Z"),
        event("expanso-edge-1", "new", "2026-01-02T00:00:00Z"),
        event("expanso-edge-1", "fine", kind="Normal"),
        event("other", "theirs"),
        event("data", "no volume", None),
    ]
    assert event_reasons(events, ["expanso-edge", "data"]) == [
        "event of pod expanso-edge-1: Failed: new",
        "event of pod expanso-edge-1: Failed: old",
        "event of pod data: Failed: no volume",
    ]


def test_not_more_events_than_a_person_reads() -> None:
    assert len(event_reasons([event("p", str(number)) for number in range(100)], ["p"])) == 5
