# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_plan import Right, invalid_names_and_mounts, read_plan, rights


def plan(**changes: Any) -> dict[str, Any]:
    return {"namespace": "edge", "missing_namespace": "refuse", "permissions": [], "manifests": [], "removals": [], "secret": None, "wait": False, **changes}


def needed(exists: Optional[bool] = True, **changes: Any) -> dict[str, list[str]]:
    """The verbs that a plan takes, by the objects that they are for."""
    found: dict[str, list[str]] = {}
    for right in rights(read_plan(plan(**changes)), exists):
        found.setdefault(f"{right.kind} {right.name or '*'}", []).append(right.verb)
    return found


def mounted(*places: str) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": place} for place in places]}
    return {"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": {"spec": {"initContainers": [], "containers": [container]}}}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"manifests": [mounted("/a", "/b"), {"kind": "ConfigMap", "metadata": {"name": "c"}}]}, []),
        ({"manifests": [mounted("/a", "/a/", "/b")]}, ["container c: nothing else can be mounted at /a"]),
        ({"manifests": [mounted("/")]}, ["container c: nothing else can be mounted at /"]),
        ({"namespace": "Edge"}, ["'Edge' cannot name a Namespace"]),
        ({"permissions": [{"kind": "Secret", "name": "a b", "verbs": []}, {"kind": "Pod", "name": None, "verbs": []}]}, ["'a b' cannot name a Secret"]),
        ({"removals": [{"kind": "Secret", "name": "-a"}, {"kind": "Secret", "name": "a" * 254}]}, ["'-a' cannot name a Secret", "'aaa"]),
        (
            {"manifests": [{"kind": "ConfigMap", "metadata": {"name": "A"}}], "secret": {"name": "B"}},
            ["'B' cannot name a Secret", "'A' cannot name a ConfigMap"],
        ),
    ],
)
def test_invalid_names_and_mounts(changes: dict[str, Any], expected: list[str]) -> None:
    faults = invalid_names_and_mounts(plan(**changes))
    assert len(faults) == len(expected)
    assert all(fault.startswith(beginning) for fault, beginning in zip(faults, expected))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("get", "Secret", "y", "x"), "get secrets x in namespace y"),
        (("list", "Pod", "y", ""), "list pods in namespace y"),
        (("patch", "Deployment", "y", "x"), "patch deployments.apps x in namespace y"),
        (("create", "Namespace", None, "y"), "create namespaces y"),
    ],
)
def test_how_a_right_is_named(arguments: tuple[str, str, str, str], expected: str) -> None:
    assert str(Right(*arguments)) == expected


DEPLOYMENT = {"kind": "Deployment", "metadata": {"name": "d"}}
CLAIM = {"kind": "PersistentVolumeClaim", "metadata": {"name": "c"}}

APPLY, REMOVE = ["get", "create", "patch"], ["get", "delete"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"manifests": [DEPLOYMENT, CLAIM]}, {"Deployment d": APPLY, "PersistentVolumeClaim c": APPLY}),
        ({"removals": [{"kind": "ConfigMap", "name": "d"}, {"kind": "Namespace", "name": "edge"}]}, {"ConfigMap d": REMOVE, "Namespace edge": REMOVE}),
        ({"wait": True}, {"Pod *": ["list"], "Event *": ["list"]}),
        ({"permissions": [{"kind": "Pod", "verbs": "get,watch"}]}, {"Pod *": ["get", "watch"]}),
        ({"secret": {"name": "s"}}, {"Secret s": APPLY}),
        ({"secret": {"name": "s", "claim": "c"}}, {"Secret s": APPLY, "PersistentVolumeClaim c": ["get"]}),
        ({"secret": {"name": "s", "claim": "c", "state": "absent"}}, {"Secret s": REMOVE}),
        ({"secret": {"name": "s", "remove_when_registered": "true"}}, {"Secret s": [*APPLY, "delete"]}),
        ({"secret": {"name": "s", "immutable": True}}, {"Secret *": [*APPLY, "list", "delete"]}),
        ({"secret": {"name": "s", "immutable": False, "state": "absent"}}, {"Secret s": REMOVE}),
        ({"secret": {"name": "s", "immutable": True, "state": "absent"}}, {"Secret *": [*REMOVE, "list"]}),
        (
            {"secret": {"name": "s", "claim": "c"}, "wait": True},
            {"Secret s": APPLY, "PersistentVolumeClaim c": ["get", "patch"], "Pod *": ["list"], "Event *": ["list"]},
        ),
        ({"secret": {"name": "s", "claim": "c"}, "manifests": [CLAIM]}, {"PersistentVolumeClaim c": APPLY, "Secret s": APPLY}),
    ],
)
def test_the_rights_follow_from_the_plan(changes: dict[str, Any], expected: dict[str, list[str]]) -> None:
    assert needed(**changes) == expected
    assert len(rights(read_plan(plan(**changes)), True)) == len(set(rights(read_plan(plan(**changes)), True)))


@pytest.mark.parametrize(("exists", "missing", "create"), [(False, "create", True), (False, "ignore", False), (True, "create", False), (None, "create", False)])
def test_a_missing_namespace_is_created_on_request(exists: Optional[bool], missing: str, create: bool) -> None:
    assert ("Namespace edge" in needed(exists, missing_namespace=missing)) is create


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ({"immutable": True}, "option secret: missing name"),
        ({"name": "s", "state": "gone"}, "option secret: state has to be present or absent"),
        ({"name": "s", "immutable": "maybe"}, "option secret: immutable has to be true or false"),
        ({"name": "s", "immutable": [1]}, "option secret: immutable has to be true or false"),
        ({"name": "s", "token": "exp_bk_x"}, "option secret has an unknown key"),
        ({"name": 1}, "option secret: name has to be text"),
    ],
)
def test_a_secret_that_cannot_be_planned(secret: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        read_plan(plan(secret=secret))


def test_a_secret_that_is_going_to_be_removed_is_checked_like_other_removals() -> None:
    assert read_plan(plan(secret={"name": "s", "state": "absent"}))["removals"] == [{"kind": "Secret", "name": "s"}]
    assert read_plan(plan(secret={"name": "s", "state": "absent", "immutable": True}))["removals"] == []
