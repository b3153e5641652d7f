# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
from typing import Any, Optional

import pytest
import yaml
from ansible_collections.expanso.edge.plugins.doc_fragments._k8s import ModuleDocFragment
from ansible_collections.expanso.edge.plugins.module_utils._k8s_connection import ARGUMENT_SPEC, PROXY_HEADERS, explain
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import KINDS
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC

TRIED = "patch secrets x in namespace y"


def status(message: str, reason: str = "", causes: Optional[list[dict[str, str]]] = None) -> str:
    return json.dumps({"kind": "Status", "message": message, "reason": reason, "details": {"causes": causes or []}})


BY_A_PROXY = "and not as an API server gives it: check any proxy in between"
FORBIDDEN = 'secrets "x" is forbidden: User "u" cannot patch resource "secrets" in API group "" in the namespace "y"'
CONFLICT = {"reason": "FieldManagerConflict", "field": ".data.token", "message": 'conflict with "kubectl-create" using v1'}


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (401, status("Unauthorized", "Unauthorized"), f"cannot {TRIED}: the API does not accept the credentials (Unauthorized)"),
        (403, status(FORBIDDEN, "Forbidden"), f"the account is not allowed to {TRIED}: {FORBIDDEN}"),
        (403, status('pods "x" is forbidden: exceeded quota: q', "Forbidden"), f'cannot {TRIED}: pods "x" is forbidden: exceeded quota: q'),
        (404, status('namespaces "y" not found', "NotFound"), f'cannot {TRIED}: namespaces "y" not found'),
        (
            409,
            status("Apply failed with 1 conflict", "Conflict", [CONFLICT]),
            f'cannot {TRIED}: another manager owns fields with other values: .data.token (conflict with "kubectl-create" using v1); '
            "take them over with force, or choose another name",
        ),
        (409, status("it was modified", "Conflict"), f"cannot {TRIED}: it was modified; something else changed it at the same moment: run this again"),
        (422, status("a" * 9999), f"cannot {TRIED}: {'a' * 1000}"),
        (500, json.dumps({"message": "m", "details": ["a"]}), f"cannot {TRIED}: m; run this again later"),
        (502, "<html>bad gateway</html>", f"cannot {TRIED}: status 502, {BY_A_PROXY}; run this again later"),
        (403, b"\xff", f"cannot {TRIED}: status 403, {BY_A_PROXY}"),
        (413, None, f"cannot {TRIED}: status 413, {BY_A_PROXY}"),
        (404, "[]", f"cannot {TRIED}: status 404, {BY_A_PROXY}"),
        (302, "{}", f"cannot {TRIED}: it redirects to another address (status 302): is there a proxy in between that wants a login?"),
    ],
)
def test_explain(code: int, body: Any, expected: str) -> None:
    assert explain(code, body, TRIED) == expected
    if isinstance(body, str):
        assert explain(code, body.encode(), TRIED) == expected


@pytest.mark.parametrize(
    ("kind", "arguments", "path"),
    [
        ("Secret", ("y", "x"), "/api/v1/namespaces/y/secrets/x"),
        ("Deployment", ("y", "x"), "/apis/apps/v1/namespaces/y/deployments/x"),
        ("Pod", ("y", None), "/api/v1/namespaces/y/pods"),
        ("Namespace", (None, "y"), "/api/v1/namespaces/y"),
        ("SelfSubjectAccessReview", (None, None), "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        ("Secret", ("y/../z", "x?a=b"), "/api/v1/namespaces/y%2F..%2Fz/secrets/x%3Fa%3Db"),
    ],
)
def test_path(kind: str, arguments: tuple[str, str], path: str) -> None:
    assert KINDS[kind].path(*arguments) == path


def shape(options: dict[str, Any]) -> dict[str, Any]:
    """What of options of a module matters to whoever sets them for a whole group of modules."""
    return {
        name: (option.get("type", "str"), option.get("aliases", []), option.get("no_log", False), option.get("elements"), shape(option.get("options", {})))
        for name, option in options.items()
    }


def test_options_are_those_of_kubernetes_core() -> None:
    """Ours may be set as module_defaults of one group together with theirs."""
    ours, theirs = shape(ARGUMENT_SPEC), shape(AUTH_ARG_SPEC)
    # checked by ourselves: what fails in sub-options is shown with all other options by older ansible-core
    assert sorted(theirs["proxy_headers"][-1]) == sorted(PROXY_HEADERS)
    theirs["proxy_headers"] = (*theirs["proxy_headers"][:-1], {})
    assert ours == theirs


def test_options_are_documented() -> None:
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert {name: option["type"] for name, option in documented.items()} == {name: option["type"] for name, option in ARGUMENT_SPEC.items()}
