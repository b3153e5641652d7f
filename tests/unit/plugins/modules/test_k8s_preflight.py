# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._k8s_plan import Right
from ansible_collections.expanso.edge.plugins.modules.k8s_preflight import foreign_objects, missing_permissions, numbers, schema_faults

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
    assert schema_faults([DEPLOYMENT], version) == []


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (deployment(replcas=1), "Deployment d: spec: Additional properties are not allowed ('replcas' was unexpected)"),
        (deployment(replicas="one"), "Deployment d: spec.replicas: 'one' is not of type"),
    ],
)
def test_invalid(manifest: dict[str, Any], expected: str) -> None:
    [fault] = schema_faults([manifest], "v1.32.0")
    assert expected in fault


class Objects:
    """An API that holds some objects."""

    def __init__(self, *found: dict[str, Any]) -> None:
        self.found = {(each["kind"], each["metadata"]["name"]): each for each in found}

    def get(self, kind: str, _namespace: str, name: str) -> Any:
        return self.found.get((kind, name))


def thing(kind: str, manager: str = "", type: str = "Opaque", **metadata: Any) -> dict[str, Any]:
    return {"kind": kind, "type": type, "metadata": {"name": "x", "labels": {"app.kubernetes.io/managed-by": manager}, **metadata}}


@pytest.mark.parametrize(
    ("found", "removals", "manifests", "expected"),
    [
        ([], ["Deployment", "Secret"], ["Deployment"], ""),
        ([thing("Deployment", "expanso.edge"), thing("Secret")], ["Deployment", "Secret"], [], ""),
        ([thing("Deployment", "helm")], ["Deployment"], [], "Deployment x in namespace y is not managed by this collection"),
        ([{"kind": "ConfigMap", "metadata": {"name": "x"}}], ["ConfigMap"], [], "ConfigMap x in namespace y is not managed by this collection"),
        ([thing("Secret", type="kubernetes.io/tls")], ["Secret"], [], "is of type kubernetes.io/tls, not Opaque"),
        ([thing("Deployment", "helm")], [], ["Deployment"], ""),
        ([thing("Deployment", deletionTimestamp="now")], [], ["Deployment"], "Deployment x in namespace y is being removed"),
    ],
)
def test_what_prevents_the_plan(found: list[dict[str, Any]], removals: list[str], manifests: list[str], expected: str) -> None:
    params = {
        "namespace": "y",
        "force": False,
        "removals": [{"kind": kind, "name": "x"} for kind in removals],
        "manifests": [{"kind": kind, "metadata": {"name": "x"}} for kind in manifests],
    }
    api: Any = Objects(*found)
    assert expected in "; ".join(foreign_objects(api, params))
    assert bool(expected) == bool(foreign_objects(api, params))


def test_numbers() -> None:
    assert numbers("v1.9.0") < numbers("1.32.5+k3s1") < numbers("v1.100.0")


class Account:
    """An API that allows only some things."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def may(self, *wanted: Any) -> bool:
        return str(Right(*wanted)) in self.allowed


def test_all_missing_permissions_are_named_at_once() -> None:
    permissions = [
        {"kind": "Secret", "name": "x", "verbs": ["get", "patch"]},
        {"kind": "Event", "name": None, "verbs": ["list"]},
        {"kind": "Namespace", "name": "y", "verbs": ["delete"]},
    ]
    plan = {"namespace": "y", "permissions": permissions, "missing_namespace": "create", "manifests": [], "removals": [], "secret": None, "wait": False}
    some: Any = Account("get secrets x in namespace y", "list events in namespace y")
    assert missing_permissions(some, plan, True) == ["patch secrets x in namespace y", "delete namespaces y"]
    assert missing_permissions(some, plan, None) == missing_permissions(some, plan, True)
    assert missing_permissions(some, plan, False)[0] == "create namespaces y"
    assert "create namespaces y" not in missing_permissions(some, {**plan, "missing_namespace": "ignore"}, False)
