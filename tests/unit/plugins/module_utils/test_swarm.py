# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import json
from typing import Any, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._decision import Request
from ansible_collections.expanso.edge.plugins.module_utils._errors import SwarmError
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_LABEL, Entry, render_entry
from ansible_collections.expanso.edge.plugins.module_utils._swarm import (
    FINGERPRINT_LABEL,
    MANAGED_BY,
    MANAGED_LABEL,
    NAME_LENGTH,
    Version,
    check_foreign,
    check_name,
    check_service_name,
    entry_for,
    find_versions,
    next_name,
    plan_present,
    plan_prune,
    service_state,
)
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, fingerprint
from ansible_collections.expanso.edge.plugins.module_utils._version import VERSION
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = "exp_bk_Zq81mKx02LwPd7", "exp_bk_9fTn3RbVx5YcHj"
NAME = "edge_token"


def jwt(expiry: int) -> str:
    def part(content: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part({'exp': expiry})}.c2lnbmF0dXJl"


def version(number: int, token: Optional[str] = OLD, *users: str) -> Version:
    name = f"{NAME}_v{number}" if number else NAME
    return Version(name, f"id{number}", number, fingerprint(token) if token else None, users)


def secret(name: str, labels: Optional[dict[str, str]] = None) -> dict[str, Any]:
    return {"ID": f"id of {name}", "Spec": {"Name": name, **({} if labels is None else {"Labels": labels})}}


def service(name: str = "edge", *secrets: str, labels: Optional[dict[str, str]] = None, mode: Any = None, **more: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"Image": "agent"}
    if secrets:
        spec["Secrets"] = [{"SecretID": f"id of {each}", "SecretName": each} for each in secrets]
    if labels is None:
        labels = {MANAGED_LABEL: MANAGED_BY}
    mode = {"Replicated": {"Replicas": 1}} if mode is None else mode
    return {"ID": "s", "Spec": {"Name": name, "Labels": labels, "Mode": mode, "TaskTemplate": {"ContainerSpec": spec}}, **more}


def task(state: str = "running", desired: str = "running", slot: int = 1, spec: Any = None, **status: Any) -> dict[str, Any]:
    return {
        "Slot": slot,
        "NodeID": f"n{slot}",
        "DesiredState": desired,
        "Spec": {"ContainerSpec": {"Image": "agent"} if spec is None else spec},
        "Status": {"State": state, "Timestamp": "2026-01-01T00:00:00Z", **status},
    }


@pytest.mark.parametrize("name", ["expanso_bootstrap_token", "a", "a.b-c_d", "x" * (NAME_LENGTH - 8)])
def test_names_that_the_engine_takes(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "_a", "a_", "a b", "a/b", "a\n", "ä", "x" * (NAME_LENGTH - 7)])
def test_names_that_it_does_not_take(name: str) -> None:
    with pytest.raises(SwarmError, match="cannot name a secret"):
        check_name(name)


# Versions


def test_versions_are_found_in_the_order_of_their_numbers() -> None:
    ours = {FINGERPRINT_LABEL: "0123456789ab"}
    names = ["t_v10", "t_v9", "t_v1", "t", "t_v", "t_vx", "t_v2_old", "tt_v1", "other_t_v1", "t_v1\n", "T_v3"]
    secrets = [secret(name, ours) for name in names]
    assert [(each.name, each.number) for each in find_versions("t", secrets, [])] == [("t", 0), ("t_v1", 1), ("t_v9", 9), ("t_v10", 10)]


@pytest.mark.parametrize("labels", [None, {}, {"ansible_key": "ab" * 28, "ansible_version": "1"}, {FINGERPRINT_LABEL: ""}])
def test_a_secret_without_our_label_is_foreign(labels: Optional[dict[str, str]]) -> None:
    (found,) = find_versions("t", [secret("t_v1", labels)], [])
    assert found.fingerprint is None
    with pytest.raises(SwarmError, match="secret t_v1 already exists and was not created by this collection"):
        check_foreign([found], adopt=False)
    check_foreign([found], adopt=True)


def test_a_version_knows_who_uses_it() -> None:
    services = [service("b", "t_v1", "x"), service("a", "t_v1"), service("c"), service("d", "t_v2")]
    found = find_versions("t", [secret("t_v1"), secret("t_v2"), secret("t_v3")], services)
    assert [each.users for each in found] == [("a", "b"), ("d",), ()]


def test_dots_in_a_name_are_no_pattern() -> None:
    assert find_versions("a.b", [secret("axb_v1")], []) == []


@given(st.lists(st.integers(0, 999_999), unique=True))
def test_a_new_name_is_never_taken_and_becomes_the_newest(numbers: list[int]) -> None:
    secrets = [secret(f"{NAME}_v{number}", {FINGERPRINT_LABEL: "f"}) for number in numbers]
    new = next_name(NAME, find_versions(NAME, secrets, []))
    assert new not in [each["Spec"]["Name"] for each in secrets]
    found = find_versions(NAME, [*secrets, secret(new, {FINGERPRINT_LABEL: "f"})], [])
    assert found[-1].name == new


# What to do for a token: (versions, token, registered, remove_when_registered) -> (action, current, made)

PRESENT = {
    "blank": ([], OLD, False, False, "written", "edge_token_v1", True),
    "blank, the secret is to go once it is spent": ([], OLD, False, True, "written", "edge_token_v1", True),
    "the same token": ([version(1)], OLD, False, False, "kept", "edge_token_v1", False),
    "the same token, registered": ([version(1)], OLD, True, False, "kept", "edge_token_v1", False),
    "a new token": ([version(1)], NEW, False, False, "written", "edge_token_v2", True),
    "a new token, registered": ([version(1)], NEW, True, False, "written", "edge_token_v2", True),
    "a gap in the numbers": ([version(2), version(7)], NEW, False, False, "written", "edge_token_v8", True),
    "back to the token before": ([version(1, OLD), version(2, NEW)], OLD, False, False, "written", "edge_token_v3", True),
    "no token, but a version": ([version(3)], None, False, False, "kept", "edge_token_v3", False),
    "no token, registered": ([], None, True, False, "not_needed", None, False),
    "no token, registered, a version": ([version(3)], None, True, False, "kept", "edge_token_v3", False),
    "spent": ([version(1)], None, True, True, "removed", None, False),
    "spent, though a new token is given": ([version(1)], NEW, True, True, "removed", None, False),
    "spent and gone": ([], None, True, True, "not_needed", None, False),
    "spent and gone, though a token is given": ([], NEW, True, True, "not_needed", None, False),
    "spent and gone, but to be kept again": ([], OLD, True, False, "written", "edge_token_v1", True),
    "not spent yet": ([version(1)], OLD, False, True, "kept", "edge_token_v1", False),
    "adopted without a number": ([version(0, None)], OLD, False, False, "written", "edge_token_v1", True),
    "adopted with a number": ([version(1), version(4, None)], OLD, False, False, "written", "edge_token_v5", True),
    "adopted before ours": ([version(0, None), version(1)], OLD, False, False, "kept", "edge_token_v1", False),
    "an empty token does not count": ([version(1)], "", False, False, "kept", "edge_token_v1", False),
}


def plan(versions: list[Version], token: Optional[str], source: Optional[str] = "a file", **options: Any) -> Any:
    """A plan for tasks that are not registered and do not change, unless options say so."""
    how = {"strict": False, "remove": False, "registered": False, "changing": False, "now": None, **options}
    request = Request(token, source, strict=how.pop("strict"), remove=how.pop("remove"))
    return plan_present(NAME, versions, request, **how)


@pytest.mark.parametrize("case", PRESENT.values(), ids=PRESENT.keys())
def test_what_is_done_for_a_token(case: tuple[list[Version], Optional[str], bool, bool, str, Optional[str], bool]) -> None:
    versions, token, registered, remove, action, current, made = case
    found = plan(versions, token, registered=registered, remove=remove)
    assert (found.action, found.current, found.create is not None) == (action, current, made)
    assert found.create is None or found.create.value == token
    assert token is None or not token or token not in found.msg


@pytest.mark.parametrize(
    ("versions", "token", "action", "current"),
    [
        ([version(1)], OLD, "kept", "edge_token_v1"),
        ([version(1)], None, "kept", "edge_token_v1"),
        ([], OLD, "written", "edge_token_v1"),
        ([], None, "not_needed", None),
        ([], jwt(1), "not_needed", None),  # it has been spent, so it may have expired
    ],
)
def test_a_service_that_is_going_to_change_keeps_its_token_until_it_has(
    versions: list[Version], token: Optional[str], action: str, current: Optional[str]
) -> None:
    """On another volume, nobody is registered."""
    found = plan(versions, token, registered=True, remove=True, changing=True, now=100)
    assert (found.action, found.current) == (action, current)


@pytest.mark.parametrize("name", ["expanso-edge", "a", "Edge_1", "a" * 63])
def test_names_of_services(name: str) -> None:
    check_service_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a.b", "a b", "a" * 64, "ä"])
def test_what_cannot_name_a_service(name: str) -> None:
    with pytest.raises(SwarmError, match="cannot name a service"):
        check_service_name(name)


@pytest.mark.parametrize("versions", [[], [version(0, None)]], ids=["blank", "adopted"])
def test_a_missing_token_is_reported_with_its_sources(versions: list[Version]) -> None:
    with pytest.raises(TokenFault, match="looked at nothing") as fault:
        plan(versions, None, "looked at nothing")
    assert fault.value.code == "missing"


BAD = [("exp_ak_Zq81mKx02LwPd7", "api_key"), (OLD + "\n", "line_break"), (jwt(1), "expired"), ("/etc/expanso/t", "path")]


@pytest.mark.parametrize(("token", "code"), BAD)
def test_what_is_not_a_token_is_refused_with_its_source(token: str, code: str) -> None:
    with pytest.raises(TokenFault, match=r"cannot be used: .*\(source: a file\)") as fault:
        plan([version(1)], token, now=100)
    assert fault.value.code == code
    assert token not in fault.value.message


@pytest.mark.parametrize(("token", "_code"), BAD)
@pytest.mark.parametrize(("versions", "action"), [([version(1)], "kept"), ([], "not_needed")])
def test_registered_tasks_never_fail_for_their_token(token: str, _code: str, versions: list[Version], action: str) -> None:
    found = plan(versions, token, registered=True, now=100)
    assert (found.action, found.create) == (action, None)
    assert "; the token given cannot be used and is ignored: " in found.msg
    assert found.msg.endswith("(source: a file)")
    assert token not in found.msg


def test_a_secret_of_unknown_content_is_not_offered_to_the_service() -> None:
    found = plan([version(3, None)], None, registered=True)
    assert (found.action, found.current, found.create) == ("kept", None, None)


def test_a_token_that_expired_since_is_not_a_fault_where_all_are_registered() -> None:
    token = jwt(100)
    versions = [version(1, token)]
    assert plan(versions, token, registered=True, now=200).action == "kept"
    with pytest.raises(TokenFault) as fault:
        plan(versions, token, registered=False, now=200)
    assert fault.value.code == "expired"


def test_strict_judgement_is_passed_on() -> None:
    assert plan([], "an-opaque-token-of-old").action == "written"
    with pytest.raises(TokenFault) as fault:
        plan([], "an-opaque-token-of-old", strict=True)
    assert fault.value.code == "unknown_shape"


@given(st.integers(0, 8), st.integers(0, 8), st.sets(st.integers(1, 8)))
def test_pruning_leaves_the_newest_and_what_is_in_use(count: int, keep: int, used: set[int]) -> None:
    versions = [version(number, OLD, *(["edge"] if number in used else [])) for number in range(1, count + 1)]
    goes, stays = plan_prune(versions, keep)
    left = [each for each in versions if each not in goes]
    assert not any(each.users for each in goes)
    assert versions[len(versions) - min(keep, count) :] == left[len(left) - min(keep, count) :]
    assert len(left) - len(stays) == min(keep, count)


# The service

CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], tuple[bool, bool, bool]]] = {
    # service, tasks -> settled, registered, failed
    "its task runs": (service(), [task()], (True, True, False)),
    "and an older one is gone": (service(), [task(), task("shutdown", "shutdown"), task("failed", "shutdown")], (True, True, False)),
    "no task yet": (service(), [], (False, False, False)),
    "it starts, so it is not healthy yet": (service(), [task("starting")], (False, False, False)),
    "it waits for its next attempt": (service(), [task("ready", "ready"), task("failed", "shutdown")], (False, False, False)),
    "no node fits": (service(), [task("pending")], (False, False, False)),
    "one of two": (service(mode={"Replicated": {"Replicas": 2}}), [task()], (False, False, False)),
    "two of two": (service(mode={"Replicated": {"Replicas": 2}}), [task(), task(slot=2)], (True, True, False)),
    "two of one, so one has to go": (service(), [task(), task(slot=2)], (False, False, False)),
    "none of none": (service(mode={"Replicated": {"Replicas": 0}}), [], (True, False, False)),
    "global": (service(mode={"Global": {}}), [task(slot=0), task(slot=0)], (True, True, False)),
    "global without a node": (service(mode={"Global": {}}), [], (False, False, False)),
    "it runs as it was told before": (service(), [task(spec={"Image": "older"})], (False, False, False)),
    "the update is under way": (service(UpdateStatus={"State": "updating"}), [task()], (False, False, False)),
    "the update is through": (service(UpdateStatus={"State": "completed"}), [task()], (True, True, False)),
    "it is being rolled back": (service(UpdateStatus={"State": "rollback_started"}), [task()], (False, False, False)),
    "it was rolled back": (service(UpdateStatus={"State": "rollback_completed"}), [task()], (True, True, True)),
    "even that failed": (service(UpdateStatus={"State": "rollback_paused"}), [task("failed", "shutdown")], (False, False, True)),
    "the update is paused": (service(UpdateStatus={"State": "paused"}), [task("pending")], (False, False, True)),
    "it was paused, and came about all the same": (service(UpdateStatus={"State": "paused"}), [task()], (True, True, False)),
    "one of another program proves nothing": (service(labels={}), [task()], (True, False, False)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_how_far_a_service_is(case: tuple[dict[str, Any], list[dict[str, Any]], tuple[bool, bool, bool]]) -> None:
    given_service, tasks, expected = case
    state = service_state(given_service, tasks, {"n1": "worker1", "n2": "worker2"})
    assert (state.settled, state.registered, state.failed is not None) == expected


def test_a_report_tells_nothing_of_what_is_mended() -> None:
    mended = task("rejected", "shutdown", spec={"Image": "older"}, Err="No such image: older")
    assert "No such image" not in service_state(service(), [task("pending"), mended], {}).report
    failed = dict(task("failed", "shutdown", spec={"Image": "newer"}, Err="No such image: newer"), CreatedAt="2026-01-02T00:00:00Z")
    update = {"State": "rollback_completed", "StartedAt": "2026-01-01T00:00:00Z"}
    report = service_state(service(UpdateStatus=update), [task(), failed, dict(mended, CreatedAt="2025-01-01T00:00:00Z")], {}).report
    assert "newer" in report and "older" not in report


def test_a_report_says_what_is_waited_for_and_why() -> None:
    tasks = [
        task("ready", "ready", slot=2),
        task("failed", "shutdown", Err="task: non-zero exit (77)", ContainerStatus={"ExitCode": 77}),
        task("rejected", "shutdown", slot=2, Err="No such image: agent", Timestamp="2026-01-01T00:00:09Z"),
        task("rejected", "shutdown", slot=2, Err="No such image: agent"),
    ]
    state = service_state(service(mode={"Replicated": {"Replicas": 2}}), tasks, {"n1": "worker1", "n2": "worker2"})
    assert state.report == (
        "task edge.2 on worker2: ready; 1 of 2 tasks; task edge.2 on worker2 failed: No such image: agent; "
        "task edge.1 on worker1 failed: the image's user cannot read the secret: its uid, gid and mode do not fit"
    )
    assert state.nodes == ("worker1", "worker2")


@pytest.mark.parametrize(
    ("placement", "reason"),
    [
        ({}, "no node of the swarm is active"),
        ({"Placement": {"Constraints": ["node.labels.edge == true"]}}, "no active node of the swarm meets its constraints (node.labels.edge == true): label"),
    ],
)
def test_a_report_says_why_no_node_has_a_task(placement: dict[str, Any], reason: str) -> None:
    everywhere = service(mode={"Global": {}})
    everywhere["Spec"]["TaskTemplate"].update(placement)
    assert service_state(everywhere, [], {}).report.startswith(reason)


# Enrolment record


NOW = 1764496800.0  # 2025-11-30T10:00:00Z
RUN = {"token_label": "spring", "run_id": "this run", "job_id": "17"}


def entry(token: str, **more: Any) -> Entry:
    return Entry(fingerprint(token), "bootstrap_key", None, "swarm", "2025-01-01T00:00:00Z", "an earlier run", None, "1.1.0")._replace(**more)


@pytest.mark.parametrize(
    ("known", "newest", "expected"),
    [
        (None, None, None),
        # the secret was removed, the service knows still
        (entry(OLD), None, entry(OLD)),
        # made by another program
        (entry(OLD), version(1, None), entry(OLD)),
        (entry(OLD), version(1, OLD), entry(OLD)),
        (None, version(1, OLD)._replace(record=entry(OLD)), entry(OLD)),
        # stored again: the service has the earlier time
        (entry(OLD, run_id="first"), version(2, OLD)._replace(record=entry(OLD)), entry(OLD, run_id="first")),
        (entry(OLD), version(2, NEW)._replace(record=entry(NEW)), entry(NEW)),
    ],
)
def test_a_record_that_is_known(known: Optional[Entry], newest: Optional[Version], expected: Optional[Entry]) -> None:
    assert entry_for(RUN, known, newest, "jwt", NOW) == expected


@pytest.mark.parametrize(
    ("created", "written_at"),
    [("2024-05-06T07:08:09.123456789Z", "2024-05-06T07:08:09Z"), ("", "2025-11-30T10:00:00Z"), ("yesterday", "2025-11-30T10:00:00Z")],
)
@pytest.mark.parametrize("kind", [None, "jwt"])
def test_a_version_without_a_record(created: str, written_at: str, kind: Optional[str]) -> None:
    newest = version(2, NEW)._replace(created=created, record=entry(OLD))
    assert entry_for(RUN, entry(OLD), newest, kind, NOW) == Entry(fingerprint(NEW), kind, "spring", "swarm", written_at, "this run", "17", VERSION)


@pytest.mark.parametrize(("label", "expected"), [(None, None), ("", None), ("{", None), (render_entry(entry(OLD)), entry(OLD))])
def test_records_are_read_from_labels(label: Optional[str], expected: Optional[Entry]) -> None:
    labels = {} if label is None else {RECORD_LABEL: label}
    found = find_versions(NAME, [dict(secret(f"{NAME}_v1", {FINGERPRINT_LABEL: "f", **labels}), CreatedAt="then")], [])
    assert (found[0].record, found[0].created) == (expected, "then")
    state = service_state(service(labels={MANAGED_LABEL: MANAGED_BY, **labels}), [], {})
    assert (state.record, state.entry) == (label or "", expected)


def test_the_kind_of_a_token_that_is_kept() -> None:
    assert plan_present(NAME, [version(1)], Request(OLD)).kind == "bootstrap_key"
    assert plan_present(NAME, [version(1)], Request(None)).kind is None
    assert plan_present(NAME, [], Request(NEW)).kind == "bootstrap_key"
