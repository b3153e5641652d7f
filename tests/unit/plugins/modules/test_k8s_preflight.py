# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.modules.k8s_preflight import forbidden, invalid, numbers, phrase

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
