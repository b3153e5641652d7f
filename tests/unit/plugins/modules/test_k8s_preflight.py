# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.modules.k8s_preflight import forbidden, invalid, malformed, numbers, of_others, phrase

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}


def deployment(**fields: Any) -> dict[str, Any]:
    return {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], **fields}}


@pytest.mark.parametrize("version", ["v1.20.2", "v1.32.5+k3s1", "v1.30.1-gke.100", "v1.99.0"])
def test_valid_for_every_version(version: str) -> None:
    """Versions without a schema, too old or too new, are validated by the nearest."""
    assert invalid([DEPLOYMENT], version) == []


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (deployment(replcas=1), "Deployment d: spec: Additional properties are not allowed ('replcas' was unexpected)"),
        (deployment(replicas="one"), "Deployment d: spec.replicas: 'one' is not of type"),
    ],
)
def test_invalid(manifest: dict[str, Any], said: str) -> None:
    [fault] = invalid([manifest], "v1.32.0")
    assert said in fault


def mounted(*places: str) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": place} for place in places]}
    return deployment(template={"spec": {"initContainers": [], "containers": [container]}})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"manifests": [mounted("/a", "/b"), {"kind": "ConfigMap"}]}, []),
        ({"manifests": [mounted("/a", "/a/", "/b")]}, ["container c: nothing else can be mounted at /a"]),
        ({"manifests": [mounted("/")]}, ["container c: nothing else can be mounted at /"]),
        ({"namespace": "Edge"}, ["Namespace 'Edge'"]),
        ({"permissions": [{"kind": "Secret", "name": "a b"}, {"kind": "Pod", "name": None}]}, ["Secret 'a b'"]),
        ({"permissions": [{"kind": "Secret", "name": "-a"}, {"kind": "Secret", "name": "a" * 254}]}, ["Secret '-a'", "Secret 'aaa"]),
    ],
)
def test_malformed(changes: dict[str, Any], said: list[str]) -> None:
    faults = malformed({"namespace": "edge", "permissions": [{"kind": "Secret", "name": "a.b-c"}], "manifests": [], **changes})
    assert len(faults) == len(said)
    assert all(fault.startswith(beginning) for fault, beginning in zip(faults, said))


class Objects:
    """An API that holds some objects."""

    def __init__(self, *found: dict[str, Any]) -> None:
        self.found = {(each["kind"], each["metadata"]["name"]): each for each in found}

    def get(self, kind: str, _namespace: str, name: str) -> Any:
        return self.found.get((kind, name))


def thing(kind: str, manager: str = "", type: str = "Opaque", **metadata: Any) -> dict[str, Any]:
    return {"kind": kind, "type": type, "metadata": {"name": "x", "labels": {"app.kubernetes.io/managed-by": manager}, **metadata}}


@pytest.mark.parametrize(
    ("found", "removals", "manifests", "said"),
    [
        ([], ["Deployment", "Secret"], ["Deployment"], ""),
        ([thing("Deployment", "expanso.edge"), thing("Secret")], ["Deployment", "Secret"], [], ""),
        ([thing("Deployment", "helm")], ["Deployment"], [], "Deployment x in namespace y is somebody else's"),
        ([{"kind": "ConfigMap", "metadata": {"name": "x"}}], ["ConfigMap"], [], "ConfigMap x in namespace y is somebody else's"),
        ([thing("Secret", type="kubernetes.io/tls")], ["Secret"], [], "is of type kubernetes.io/tls, not Opaque"),
        ([thing("Deployment", "helm")], [], ["Deployment"], ""),
        ([thing("Deployment", deletionTimestamp="now")], [], ["Deployment"], "Deployment x in namespace y is being removed"),
    ],
)
def test_what_stands_in_the_way(found: list[dict[str, Any]], removals: list[str], manifests: list[str], said: str) -> None:
    params = {
        "namespace": "y",
        "force": False,
        "removals": [{"kind": kind, "name": "x"} for kind in removals],
        "manifests": [{"kind": kind, "metadata": {"name": "x"}} for kind in manifests],
    }
    api: Any = Objects(*found)
    assert said in "; ".join(of_others(api, params))
    assert bool(said) == bool(of_others(api, params))


def test_numbers() -> None:
    assert numbers("v1.9.0") < numbers("1.32.5+k3s1") < numbers("v1.100.0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("get", "Secret", "y", "x"), "get secrets x in namespace y"),
        (("list", "Pod", "y", ""), "list pods in namespace y"),
        (("patch", "Deployment", "y", "x"), "patch deployments.apps x in namespace y"),
        (("create", "Namespace", None, "y"), "create namespaces y"),
    ],
)
def test_phrase(arguments: tuple[str, str, str, str], said: str) -> None:
    assert phrase(*arguments) == said


class Account:
    """An API that allows only some things."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def may(self, *wanted: Any) -> bool:
        return phrase(*wanted) in self.allowed


PERMISSIONS = [
    {"kind": "Secret", "name": "x", "verbs": ["get", "patch"]},
    {"kind": "Event", "name": None, "verbs": ["list"]},
    {"kind": "Namespace", "name": "y", "verbs": ["delete"]},
]


def test_everything_that_lacks_is_named_at_once() -> None:
    params = {"namespace": "y", "permissions": PERMISSIONS, "missing_namespace": "create"}
    some: Any = Account("get secrets x in namespace y", "list events in namespace y")
    assert forbidden(some, params, True) == ["patch secrets x in namespace y", "delete namespaces y"]
    assert forbidden(some, params, None) == forbidden(some, params, True)
    assert forbidden(some, params, False)[0] == "create namespaces y"
    assert "create namespaces y" not in forbidden(some, {**params, "missing_namespace": "ignore"}, False)
