# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users run into: unusable options, credentials, and clusters that misbehave. Whole modules against an API on loopback."""

import base64
import json
import time
from typing import Any, Callable, Dict, List

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _checks, _k8s_connection, _k8s_states
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_collections.expanso.edge.plugins.modules import k8s_apply, k8s_preflight, k8s_removal, k8s_rollout, k8s_secret, k8s_secret_info

TOKEN = "exp_bk_Zq81mKx02LwPd7Rt5"
API_KEY = "Kq7vN2pX9rT4wY6z-cluster-account"
Json = Dict[str, Any]
Run = Callable[..., Json]

MODULES: Dict[str, Any] = {
    "k8s_secret": (k8s_secret, {"name": "s", "token": TOKEN}),
    "k8s_preflight": (k8s_preflight, {"permissions": [{"kind": "Secret", "verbs": ["get"]}]}),
    "k8s_rollout": (k8s_rollout, {"name": "d", "timeout": 0}),
    "k8s_apply": (k8s_apply, {"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}]}),
    "k8s_removal": (k8s_removal, {"objects": [{"kind": "ConfigMap", "name": "c"}]}),
    "k8s_secret_info": (k8s_secret_info, {"name": "s"}),
}
MODULE = pytest.mark.parametrize(("module", "options"), list(MODULES.values()), ids=list(MODULES))


def leaks(answer: Json, *secrets: str) -> bool:
    encoded = [base64.b64encode(secret.encode()).decode()[4:20] for secret in secrets]
    return any(secret[4:16] in answer["printed"] for secret in secrets) or any(each in answer["printed"] for each in encoded)


@pytest.fixture(autouse=True)
def kubeconfig_of_an_earlier_test_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client keeps it for the whole process, and puts its server in the place of another one."""
    monkeypatch.setattr(_k8s_connection.kubernetes.client.Configuration, "_default", None)


# Options


@MODULE
@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"proxy_headers": "bob:Very-Secret-9071"}, "proxy_headers"),
        ({"proxy_headers": ["bob:Very-Secret-9071"]}, "proxy_headers"),
        ({"proxy_headers": {"basic_auth": {"bob": "Very-Secret-9071"}}}, "option proxy_headers: basic_auth has to be text"),
        ({"proxy_headers": {"basic_auth": "Very-Secret-9071"}}, "option proxy_headers: basic_auth has to be name and password"),
        ({"proxy_headers": {"Very-Secret-9071": "a"}}, "option proxy_headers has an unknown key: basic_auth, proxy_basic_auth, user_agent are possible"),
        ({"host": "http://a\0b"}, "option host has a NUL character (character 9)"),
        ({"host": "http://" + "a" * 10000000}, "option host has 10000007 characters, more than"),
        ({"context": "a\nb"}, "option context has a line break at character 2"),
        ({"impersonate_groups": ["a", "b\r"]}, "option impersonate_groups has a line break"),
        ({"namespace": "a/../b"}, "option namespace (k8s_secret_namespace): 'a/../b' is not a name in Kubernetes"),
        ({"namespace": None}, "namespace"),
        ({"namespace": {"a": 1}}, "is not a name in Kubernetes"),
        ({"api_key": API_KEY + "\nX-Other: 1"}, "option api_key has a blank, a line break or another character that a bearer token cannot have, at position"),
        ({"api_key": API_KEY + "\n\n"}, "option api_key has a blank, a line break"),
        ({"api_key": API_KEY + "\u0661"}, "option api_key has a blank, a line break"),
        ({"api_key": {"a": API_KEY}}, "option api_key has a blank, a line break"),
    ],
)
def test_an_unusable_option_is_named_at_once(run: Run, cluster: Any, connection: Json, module: Any, options: Json, wrong: Json, expected: str) -> None:
    started = time.monotonic()
    answer = run(module, **dict(connection, **dict(options, **wrong)))
    assert answer["failed"]
    assert expected in answer["msg"]
    assert "unexpected" not in answer["msg"]
    assert not leaks(answer, API_KEY, "Very-Secret-9071", TOKEN)
    assert len(answer["msg"]) < 1000
    assert time.monotonic() - started < 40
    assert not cluster.asked


@pytest.mark.parametrize("text", ["a\ud800", "a\x9b", "a\x7f", "a\t", "a\u0000"])
def test_text_that_is_invalid(text: str) -> None:
    with pytest.raises(OptionError, match="option x has .* (at character 2:|\\(character 2\\))"):
        _checks.line(text, "option x")


@pytest.mark.parametrize(
    ("name", "wrong", "expected"),
    [
        ("k8s_rollout", {"timeout": -1}, "option timeout is out of range"),
        ("k8s_rollout", {"timeout": 10**30}, "option timeout is out of range"),
        ("k8s_rollout", {"interval": None}, "interval"),
        ("k8s_removal", {"timeout": 10**30}, "option timeout is out of range"),
        ("k8s_removal", {"objects": [{"kind": "Node", "name": "a"}]}, "kind 'Node' is not supported"),
        ("k8s_removal", {"objects": [{"kind": "ConfigMap"}]}, "option objects, entry 1: missing name"),
        ("k8s_removal", {"objects": [{"kind": "ConfigMap", "name": "../x"}]}, "'../x' is not a name in Kubernetes"),
        ("k8s_secret", {"labels": None}, "labels"),
        ("k8s_secret", {"name": "a" * 64}, "becomes the value of a label as well"),
        ("k8s_secret", {"labels": {"site": {"a": 1}}}, "option labels: the value of site is a dictionary"),
        ("k8s_secret", {"labels": {"site": [1]}}, "option labels: the value of site is a list"),
        ("k8s_secret", {"labels": {"site": None}}, "option labels: the value of site is empty"),
        ("k8s_secret", {"labels": {"site": "a b"}}, "'a b' cannot be the value of label site"),
        ("k8s_secret", {"labels": {"site": "a" * 64}}, "cannot be the value of label site"),
        ("k8s_secret", {"labels": {"si te": "a"}}, "'si te' is not a label key"),
        ("k8s_secret", {"claim": "A"}, "option claim (k8s_secret_deployment_claim): 'A' is not a name in Kubernetes"),
        ("k8s_secret", {"key": "a/b"}, "cannot be a key of a Secret"),
        ("k8s_preflight", {"permissions": [{"kind": "Secret"}]}, "option permissions, entry 1: missing verbs"),
        ("k8s_preflight", {"permissions": [{"kind": "Node", "verbs": ["get"]}]}, "kind 'Node' is not supported"),
        ("k8s_preflight", {"permissions": [{"kind": "Secret", "verbs": [{"a": 1}]}]}, "option permissions, entry 1: verbs has to hold texts"),
        ("k8s_preflight", {"removals": [{"kind": "Secret", "name": "a", "x": 1}]}, "option removals, entry 1 has an unknown key"),
        ("k8s_preflight", {"manifests": [{"kind": "Secret"}]}, "option manifests, entry 1: it needs a kind"),
        ("k8s_preflight", {"manifests": [{"a": 1}]}, "option manifests, entry 1: it needs a kind"),
    ],
)
def test_what_one_module_alone_refuses(run: Run, cluster: Any, connection: Json, name: str, wrong: Json, expected: str) -> None:
    module, options = MODULES[name]
    answer = run(module, **dict(connection, **dict(options, **wrong)))
    assert answer["failed"]
    assert expected in answer["msg"]
    assert not cluster.changes()


def test_a_label_is_what_it_was_written_as(run: Run, cluster: Any, connection: Json) -> None:
    """A backup tool that looks for "true" has to find it."""
    labels = {"velero.io/exclude-from-backup": True, "b": False, "c": 1, "d": 1.5, "e": "True"}
    assert run(k8s_secret, name="s", token=TOKEN, labels=labels, **connection)["changed"]
    found = cluster.find("Secret", "s")["metadata"]["labels"]
    assert {key: found[key] for key in labels} == {"velero.io/exclude-from-backup": "true", "b": "false", "c": "1", "d": "1.5", "e": "True"}
    assert not run(k8s_secret, name="s", token=TOKEN, labels=labels, **connection)["changed"]


# Credentials


@MODULE
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("variable", [False, True])
def test_a_line_break_at_the_end_of_the_account_s_token_is_not_part_of_it(
    run: Run, cluster: Any, connection: Json, monkeypatch: pytest.MonkeyPatch, module: Any, options: Json, end: str, variable: bool
) -> None:
    cluster.hold("Namespace", "edge")
    if variable:
        monkeypatch.setenv("K8S_AUTH_API_KEY", API_KEY + end)
        del connection["api_key"]
    else:
        connection["api_key"] = API_KEY + end
    answer = run(module, check=True, **dict(connection, **options))
    assert not answer.get("failed"), answer["msg"]
    assert cluster.headers[-1]["authorization"] == "Bearer " + API_KEY
    assert not leaks(answer, API_KEY)


@MODULE
def test_a_server_that_quotes_the_account_s_token(
    run: Run, cluster: Any, connection: Json, monkeypatch: pytest.MonkeyPatch, module: Any, options: Json
) -> None:
    """One that comes from the environment is not an option, so only we mask it."""
    monkeypatch.setenv("K8S_AUTH_API_KEY", API_KEY)
    del connection["api_key"]
    encoded = base64.b64encode(API_KEY.encode()).decode()

    def quoting(method: str, path: str, body: Json) -> Any:
        if "namespaces" in path or "selfsubject" in path:
            return 403, {"kind": "Status", "message": f"no: Bearer {API_KEY} ({encoded})", "reason": "Forbidden", "code": 403}
        return None

    cluster.rules.append(quoting)
    answer = run(module, **dict(connection, **options))
    assert answer["failed"]
    assert not leaks(answer, API_KEY)


def kubeconfig(cluster: Any, user: Json) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": cluster.url}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }


@MODULE
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize("token_file", [False, True])
def test_a_line_break_at_the_end_of_a_kubeconfig_s_token_is_not_part_of_it(
    run: Run, cluster: Any, tmp_path: Any, module: Any, options: Json, end: str, content: bool, token_file: bool
) -> None:
    cluster.hold("Namespace", "edge")
    (tmp_path / "token").write_bytes((API_KEY + end).encode())
    given = kubeconfig(cluster, {"tokenFile": str(tmp_path / "token")} if token_file else {"token": API_KEY + end})
    (tmp_path / "kubeconfig").write_text(json.dumps(given))
    answer = run(module, check=True, namespace="edge", kubeconfig=given if content else str(tmp_path / "kubeconfig"), **options)
    assert "cannot connect" not in answer.get("msg", ""), answer["msg"]
    assert cluster.headers[-1]["authorization"] == "Bearer " + API_KEY
    assert not leaks(answer, API_KEY)


@MODULE
@pytest.mark.parametrize("expected", ["Invalid header value b'Bearer {0}\\n'", "cannot send {{'authorization': 'Bearer {0}'}}", "basic {0}"])
def test_what_the_client_says_shows_no_credentials(
    run: Run, connection: Json, monkeypatch: pytest.MonkeyPatch, module: Any, options: Json, expected: str
) -> None:
    """Those of a kubeconfig are known to the client alone, where it fails."""

    def failing(**_options: Any) -> Any:
        raise ValueError(expected.format(API_KEY))

    monkeypatch.setattr(_k8s_connection, "get_api_client", failing)
    answer = run(module, **dict(connection, **dict(options, api_key=None)))
    assert answer["failed"]
    assert "cannot connect to the Kubernetes API" in answer["msg"]
    assert not leaks(answer, API_KEY)


@MODULE
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "the kubeconfig {0} does not exist on the host that the module runs on: set kubeconfig (k8s_secret_kubeconfig) to one"),
        ("- hosts: all\n", "{0} is not a kubeconfig: set kubeconfig"),
    ],
)
def test_a_kubeconfig_that_is_none(run: Run, tmp_path: Any, module: Any, options: Json, text: Any, expected: str) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    answer = run(module, namespace="edge", kubeconfig=str(path), **options)
    assert answer["failed"]
    assert answer["msg"].startswith("cannot connect to the Kubernetes API: " + expected.format(path)), answer["msg"]


@MODULE
def test_a_credential_plugin_that_is_missing(run: Run, cluster: Any, tmp_path: Any, module: Any, options: Json) -> None:
    """The client goes on without credentials, and the API says that permissions are missing."""
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "args": [], "interactiveMode": "Never"}
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(kubeconfig(cluster, {"exec": plugin})))
    answer = run(module, namespace="edge", kubeconfig=str(file), **options)
    assert answer["failed"]
    assert answer["msg"].startswith("the credential plugin of the kubeconfig does not work, so there are no credentials")
    assert "no-such-plugin" in answer["msg"]


def test_a_credential_plugin_that_does_not_end(run: Run, cluster: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits for a person who logs in."""
    monkeypatch.setattr(_k8s_connection, "PLUGIN_SECONDS", 0.2)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", "exec sleep 600", API_KEY], "interactiveMode": "Never"}
    started = time.monotonic()
    answer = run(k8s_secret, name="s", token=TOKEN, namespace="edge", kubeconfig=kubeconfig(cluster, {"exec": plugin}))
    assert time.monotonic() - started < 300
    assert "sh has not ended within 0.2 seconds: does it wait for a person who logs in?" in answer["msg"]
    assert not leaks(answer, API_KEY)


def test_what_a_credential_plugin_says_may_be_a_credential(run: Run, cluster: Any, tmp_path: Any) -> None:
    program = tmp_path / "plugin"
    program.write_text(f"#!/bin/sh\necho 'profile edge-admin of eu-central-1: {API_KEY} is refused' >&2; exit 1\n")
    program.chmod(0o755)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "args": [], "interactiveMode": "Never"}
    answer = run(k8s_secret, name="s", token=TOKEN, namespace="edge", kubeconfig=kubeconfig(cluster, {"exec": plugin}))
    assert "(exec: process returned 1. profile edge-admin of eu-central-1: ******** is refused)" in answer["msg"]
    assert not leaks(answer, API_KEY)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfe\0\x80", "{0} is not a kubeconfig"),
        (b"a: [b\n  c: {", "{0} is not a kubeconfig"),
        (b"", "Invalid kube-config. {0} file is empty"),
        (b"clusters: []\nusers: []\ncontexts: []\n", "the kubeconfig has no current context: name one with context (k8s_secret_context)"),
    ],
)
def test_a_kubeconfig_of_another_content(run: Run, cluster: Any, tmp_path: Any, content: bytes, expected: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(content)
    answer = run(k8s_secret, name="s", token=TOKEN, namespace="edge", kubeconfig=str(path))
    assert answer["msg"].startswith("cannot connect to the Kubernetes API")
    assert expected.format(path) in answer["msg"]
    assert "\n" not in answer["msg"]


def test_a_request_without_an_account() -> None:
    body = json.dumps({"message": 'secrets "x" is forbidden: User "system:anonymous" cannot get resource', "reason": "Forbidden"})
    assert "the request had no credentials" in _k8s_connection.explain(403, body, "get secrets x")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (ModuleNotFoundError("No module named 'kubernetes'", name="kubernetes"), "Failed to import the required Python library (kubernetes)"),
        (ModuleNotFoundError("No module named 'dateutil'", name="dateutil"), "kubernetes is installed, but dateutil, which it needs, is missing"),
        (AttributeError("module 'x' has no attribute 'y'"), "kubernetes cannot be used by"),
    ],
)
def test_a_missing_library_is_reported(
    run: Run, connection: Json, monkeypatch: pytest.MonkeyPatch, fault: Exception, expected: str
) -> None:
    monkeypatch.setattr(_k8s_connection, "KUBERNETES_FAULT", fault)
    assert expected in run(k8s_secret, name="s", token=TOKEN, **connection)["msg"]


# Answers of an odd shape


@MODULE
@pytest.mark.parametrize("odd", [{}, [], {"kind": "Secret"}, {"kind": "Secret", "metadata": {}}, {"kind": "Secret", "metadata": []}, "text", None])
def test_an_answer_of_another_shape(run: Run, cluster: Any, connection: Json, module: Any, options: Json, odd: Any) -> None:
    cluster.rules.append(lambda method, path, body: (200, odd) if "/namespaces/" in path or "selfsubject" in path else None)
    answer = run(module, **dict(connection, **options))
    assert answer["failed"]
    assert "answers, but not as a Kubernetes API does" in answer["msg"]
    assert cluster.url in answer["msg"]


@pytest.mark.parametrize("odd", [{"metadata": {"name": "d"}}, {"metadata": {"name": "d"}, "spec": None}, {"metadata": {"name": "d"}, "spec": [], "status": 1}])
def test_a_deployment_of_another_shape(run: Run, cluster: Any, connection: Json, odd: Json) -> None:
    cluster.hold("Deployment", "d")
    cluster.objects = {key: dict(odd, kind="Deployment") for key in cluster.objects}
    answer = run(k8s_rollout, name="d", timeout=0, **connection)
    assert "answers, but not as it should" in answer["msg"]


# What is being removed

HELD: Json = {"finalizers": ["example.com/keep"]}
GOING = dict(HELD, deletionTimestamp="2026-01-01T00:00:00Z")


def data(token: str = TOKEN) -> Json:
    return {"data": {"bootstrap.token": base64.b64encode(token.encode()).decode()}, "type": "Opaque"}


@pytest.mark.parametrize("metadata", [HELD, GOING])
def test_a_secret_that_is_held_is_not_called_removed(
    run: Run, cluster: Any, connection: Json, monkeypatch: pytest.MonkeyPatch, metadata: Json
) -> None:
    monkeypatch.setattr(_k8s_states, "REMOVAL_SECONDS", 0)
    cluster.hold("Secret", "s", metadata=metadata, **data())
    for _round in range(2):
        answer = run(k8s_secret, name="s", state="absent", **connection)
        assert answer["failed"]
        assert "held by finalizers (example.com/keep), so the token in it can still be read" in answer["msg"]


def test_a_secret_that_is_gone_a_little_later(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Secret", "s", metadata=dict(HELD), **data())

    def soon(method: str, path: str, body: Json) -> Any:
        if method == "GET" and path.endswith("/s") and len(cluster.asked) > 8:
            cluster.objects.clear()

    cluster.rules.append(soon)
    assert run(k8s_secret, name="s", state="absent", **connection)["action"] == "removed"


def test_a_secret_that_is_being_removed_cannot_be_used(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Secret", "s", metadata=dict(GOING), **data())
    answer = run(k8s_secret, name="s", token=TOKEN, **connection)
    assert "is being removed since 2026-01-01T00:00:00Z, and held by finalizers (example.com/keep): try again when it is gone" in answer["msg"]
    assert not cluster.changes()


def test_the_secret_of_an_earlier_token_that_is_being_removed_does_not_count(run: Run, cluster: Any, connection: Json) -> None:
    first = run(k8s_secret, name="s", token="exp_bk_another0123456789", immutable=True, **connection)
    cluster.find("Secret", first["name"])["metadata"].update(GOING)
    cluster.hold("PersistentVolumeClaim", "c", metadata={"annotations": {"expanso.edge/token-fingerprint": first["fingerprint"]}})
    assert run(k8s_secret, name="s", token=TOKEN, immutable=True, claim="c", **connection)["action"] == "not_needed"


def test_record_of_an_agent(run: Run, cluster: Any, connection: Json) -> None:
    """On the Secret, and for the claim, where it stays."""
    name, options = "expanso.edge/enrolment", dict(connection, name="s", claim="c", token_label="spring")
    stored = run(k8s_secret, token=TOKEN, run_id="first", **options)
    text = stored["claim_annotations"][name]
    assert json.loads(text) == stored["record"] and cluster.find("Secret", "s")["metadata"]["annotations"][name] == text
    assert (stored["record"]["delivery"], stored["record"]["label"], stored["record"]["run_id"]) == ("kubernetes", "spring", "first")
    again = run(k8s_secret, token=TOKEN, run_id="second", **options)
    assert (again["changed"], again["record"]) == (False, stored["record"])

    cluster.hold("PersistentVolumeClaim", "c", metadata={"annotations": {"expanso.edge/token-fingerprint": stored["fingerprint"], name: text}})
    removed = run(k8s_secret, remove_when_registered=True, run_id="third", **options)
    assert (removed["action"], removed["claim_annotations"]) == ("removed", stored["claim_annotations"])
    later = run(k8s_secret, remove_when_registered=True, run_id="fourth", **options)
    assert (later["action"], later["record"]) == ("not_needed", stored["record"])


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_secret_from_before_there_were_records(run: Run, cluster: Any, connection: Json, text: Any) -> None:
    run(k8s_secret, name="s", token=TOKEN, **connection)
    annotations = cluster.find("Secret", "s")["metadata"]["annotations"]
    del annotations["expanso.edge/enrolment"]
    if text is not None:
        annotations["expanso.edge/enrolment"] = text
    upgraded = run(k8s_secret, name="s", **connection)
    assert (upgraded["action"], upgraded["record"]["kind"], upgraded["record"]["run_id"]) == ("repaired", "bootstrap_key", "unknown")
    assert not run(k8s_secret, name="s", **connection)["changed"]


MARK = "expanso.edge/token-fingerprint"
OTHER = "exp_bk_another0123456789"


def family(cluster: Any, number: int, token: str, created: str, **metadata: Any) -> str:
    """Hold an immutable Secret of a token in the family "s"; return its name."""
    name = f"s-{number}"
    labels = {"expanso.edge/secret": "s"}
    cluster.hold("Secret", name, metadata=dict({"creationTimestamp": created, "labels": labels}, **metadata), immutable=True, **data(token))
    return name


@pytest.mark.parametrize("check", [True, False])
def test_a_token_that_is_held_serves_where_none_is_given(run: Run, cluster: Any, connection: Json, check: bool) -> None:
    cluster.hold("Secret", "s", **data())
    answer = run(k8s_secret, check=check, name="s", **connection)
    assert (answer["action"], answer["name"], answer["token_kind"]) == ("repaired", "s", "bootstrap_key")
    assert answer["fingerprint"] == fingerprint(TOKEN)
    assert not leaks(answer, TOKEN)


@pytest.mark.parametrize("check", [True, False])
def test_the_newest_of_several_secrets_serves_where_no_token_is_given(run: Run, cluster: Any, connection: Json, check: bool) -> None:
    family(cluster, 1, OTHER, "2026-01-01T00:00:00Z")
    newest = family(cluster, 2, TOKEN, "2026-01-03T00:00:00Z")
    family(cluster, 3, OTHER, "2026-01-04T00:00:00Z", **GOING)
    family(cluster, 0, OTHER, "2026-01-02T00:00:00Z")
    cluster.hold("Secret", "unrelated", metadata={"creationTimestamp": "2026-01-05T00:00:00Z"}, **data(OTHER))
    answer = run(k8s_secret, check=check, name="s", immutable=True, **connection)
    assert (answer["action"], answer["name"], answer["fingerprint"]) == ("repaired", newest, fingerprint(TOKEN))
    assert [path for method, path in cluster.changes() if method != "PATCH" or newest not in path] == []


def test_a_token_is_missing_where_no_secret_can_serve(run: Run, cluster: Any, connection: Json) -> None:
    family(cluster, 1, OTHER, "2026-01-01T00:00:00Z", **GOING)
    assert run(k8s_secret, name="s", immutable=True, **connection)["fault"] == "missing"
    assert run(k8s_secret, name="s", **connection)["fault"] == "missing"
    family(cluster, 2, "exp_ak_0123456789", "2026-01-01T00:00:00Z")
    answer = run(k8s_secret, name="s", immutable=True, **connection)
    assert (answer["fault"], "the token that is there cannot be used: it is an API key" in answer["msg"]) == ("missing", True)
    assert not cluster.changes()


@pytest.mark.parametrize("immutable", [False, True])
def test_a_registered_agent_does_not_fail_for_its_token(run: Run, cluster: Any, connection: Json, immutable: bool) -> None:
    cluster.hold("PersistentVolumeClaim", "c", metadata={"annotations": {MARK: fingerprint(TOKEN)}})
    options = dict(connection, name="s", claim="c", immutable=immutable, token="exp_ak_0123456789")
    assert run(k8s_secret, **options)["action"] == "not_needed"
    assert run(k8s_secret, **dict(options, token=TOKEN, claim=None))["action"] == "written"
    answer = run(k8s_secret, **options)
    assert (answer["action"], answer["changed"]) == ("kept", False)
    assert "the token given cannot be used and is ignored: it is an API key" in answer["msg"]


def test_an_identity_on_a_volume_that_is_being_removed_does_not_count(run: Run, cluster: Any, connection: Json) -> None:
    mark = {"expanso.edge/token-fingerprint": "0123456789ab"}
    cluster.hold("PersistentVolumeClaim", "c", metadata=dict(GOING, annotations=mark))
    assert run(k8s_secret, name="s", token=TOKEN, claim="c", **connection)["action"] == "written"


def test_a_namespace_that_is_being_removed(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Namespace", "edge", metadata=dict(GOING))
    assert "namespace edge is being removed since 2026-01-01T00:00:00Z" in run(k8s_preflight, **connection)["msg"]


@pytest.mark.parametrize("kind", ["Event", "Pod", "Namespace"])
def test_a_kind_that_is_not_applied_is_not_planned(run: Run, cluster: Any, connection: Json, kind: str) -> None:
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "m"}}
    assert "option manifests, entry 1: it needs a kind, one of " in run(k8s_preflight, manifests=[manifest], **connection)["msg"]


def test_a_version_with_braces_is_quoted_as_it_is(run: Run, cluster: Any, connection: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(k8s_preflight, "VALIDATE_FAULT", None)
    monkeypatch.setattr(k8s_preflight, "schema_faults", lambda manifests, version: ["a field is unknown"])
    monkeypatch.setattr(k8s_preflight.Api, "version", lambda api: "v1.32.5+{vendor}")
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}}
    answer = run(k8s_preflight, manifests=[manifest], missing_namespace="create", **connection)
    assert answer["msg"] == "the manifests are not valid for Kubernetes v1.32.5+{vendor}: a field is unknown"


OURS: Json = {"labels": {"app.kubernetes.io/managed-by": "expanso.edge"}}
OBJECTS: List[Json] = [
    {"kind": "Deployment", "name": "d"},
    {"kind": "ConfigMap", "name": "d"},
    {"kind": "PersistentVolumeClaim", "name": "c"},
    {"kind": "Namespace", "name": "edge"},
]


def test_check_mode_removes_nothing_and_says_what_would_be_removed(run: Run, cluster: Any, connection: Json) -> None:
    """Whatever version of kubernetes.core there is."""
    for each in OBJECTS[:3]:
        cluster.hold(each["kind"], each["name"], metadata=dict(OURS))
    answer = run(k8s_removal, check=True, objects=OBJECTS, **connection)
    assert (answer["changed"], answer["removed"]) == (True, ["Deployment d", "ConfigMap d", "PersistentVolumeClaim c"])
    assert not cluster.changes()
    assert run(k8s_removal, objects=OBJECTS, **connection)["removed"] == answer["removed"]
    assert not cluster.objects
    assert [method for method, _path in cluster.changes()] == ["DELETE"] * 3
    assert not run(k8s_removal, objects=OBJECTS, **connection)["changed"]


def test_nothing_is_removed_where_a_later_object_is_not_managed(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Deployment", "d", metadata=dict(OURS))
    cluster.hold("ConfigMap", "d")
    assert "ConfigMap d in namespace edge is not managed by this collection" in run(k8s_removal, objects=OBJECTS, **connection)["msg"]
    assert not cluster.changes()


def test_what_this_collection_does_not_manage_is_not_removed(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Deployment", "d")
    for check in (True, False):
        assert "Deployment d in namespace edge is not managed by this collection" in run(k8s_removal, check=check, objects=OBJECTS, **connection)["msg"]
    assert cluster.find("Deployment", "d")
    assert run(k8s_removal, objects=OBJECTS, force=True, **connection)["changed"]
    assert not cluster.objects


def test_what_is_still_there_is_reported_as_held(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("PersistentVolumeClaim", "c", metadata=dict(OURS, finalizers=["kubernetes.io/pvc-protection"]))
    answer = run(k8s_removal, objects=OBJECTS, timeout=0, **connection)
    assert answer["msg"] == (
        "PersistentVolumeClaim c in namespace edge is not gone after 0 seconds: "
        "being removed since 2026-01-01T00:00:00Z, and held by finalizers (kubernetes.io/pvc-protection)"
    )
    remaining = [{"type": "NamespaceContentRemaining", "status": "True", "message": "Some resources are remaining: pods. has 1 resource instances"}]
    cluster.objects.clear()
    cluster.hold("Namespace", "edge", metadata=dict(HELD), status={"conditions": remaining})
    assert "Some resources are remaining: pods" in run(k8s_removal, objects=OBJECTS, timeout=0, **connection)["msg"]


# Waits


class Away:
    """An API server that does not answer for some requests, in one of several ways."""

    def __init__(self, cluster: Any, how: Any, until: int, path: str = "/d") -> None:
        self.left, self.how, self.path = until, how, path
        cluster.rules.append(self)

    def __call__(self, method: str, path: str, body: Json) -> Any:
        if path.split("?")[0].endswith(self.path) and method == "GET":
            self.left -= 1
            if self.left >= 0:
                return self.how
        return None


NOT_READY = (503, {"kind": "Status", "message": "apiserver not ready"})
AWAY: List[Any] = [(0, None), NOT_READY, (200, b"<html>login</html>"), (200, {"kind": "Deployment"}), (429, {})]
ROLLED_OUT: Json = {
    "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {}}},
    "status": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
}


FORBIDDEN = (403, {"kind": "Status", "message": "forbidden: User u", "reason": "Forbidden"})


@pytest.mark.parametrize("how", AWAY)
def test_a_wait_goes_on_while_the_api_server_is_away(run: Run, cluster: Any, connection: Json, how: Any) -> None:
    cluster.hold("Deployment", "d", **ROLLED_OUT)
    Away(cluster, how, 2)
    answer = run(k8s_rollout, name="d", timeout=20, interval=0, **connection)
    assert answer["available"], answer["msg"]


def test_a_wait_goes_on_where_the_api_server_is_away_at_its_start(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Deployment", "d", **ROLLED_OUT)
    Away(cluster, NOT_READY, 2, "/apis")
    assert run(k8s_rollout, name="d", timeout=20, interval=0, **connection)["available"]


def test_a_wait_that_ends_with_a_fault_reports_it(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Deployment", "d", **ROLLED_OUT)
    Away(cluster, NOT_READY, 10**6)
    answer = run(k8s_rollout, name="d", timeout=1, interval=0, **connection)
    assert "Deployment d in namespace edge has not rolled out after 1 seconds: cannot get deployments d in namespace edge: apiserver not ready" in answer["msg"]


def test_a_wait_goes_on_while_an_api_server_has_not_read_its_roles(run: Run, cluster: Any, connection: Json) -> None:
    """It refuses everyone for moments after its start."""
    cluster.hold("Deployment", "d", **ROLLED_OUT)
    Away(cluster, FORBIDDEN, 2)
    answer = run(k8s_rollout, name="d", timeout=20, interval=0, **connection)
    assert answer["available"], answer["msg"]


def test_missing_permissions_are_not_a_reason_to_wait_for_long(run: Run, cluster: Any, connection: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(k8s_rollout, "REFUSED_SECONDS", 0.5)
    Away(cluster, FORBIDDEN, 10**6)
    started = time.monotonic()
    assert "the account is not allowed to get deployments" in run(k8s_rollout, name="d", timeout=60, **connection)["msg"]
    assert time.monotonic() - started < 40


def test_a_removal_goes_on_while_the_api_server_is_away(run: Run, cluster: Any, connection: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(k8s_removal, "POLL_SECONDS", 0)
    cluster.hold("Deployment", "d", metadata=dict(OURS))
    seen: List[str] = []

    def away(method: str, path: str, body: Json) -> Any:
        seen.append(method)
        return (503, {}) if "DELETE" in seen and method == "GET" and len(seen) < seen.index("DELETE") + 4 else None

    cluster.rules.append(away)
    assert run(k8s_removal, objects=OBJECTS[:1], timeout=20, **connection)["changed"]


# Webhooks


NO_DRY_RUN = 'admission webhook "policy.test" does not support dry run'


def no_dry_run(method: str, path: str, body: Json) -> Any:
    dry = "dryRun" in path or body.get("dryRun")
    return (400, {"kind": "Status", "message": NO_DRY_RUN, "reason": "BadRequest", "code": 400}) if dry else None


def test_a_webhook_that_does_not_support_dry_runs(run: Run, cluster: Any, connection: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: List[str] = []
    monkeypatch.setattr(EdgeModule, "warn", lambda _self, text: warnings.append(text))
    cluster.rules.append(no_dry_run)
    cluster.hold("Namespace", "edge")
    answer = run(k8s_secret, check=True, name="s", token=TOKEN, **connection)
    assert (answer["changed"], answer["action"]) == (True, "written")
    assert NO_DRY_RUN in warnings.pop()
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "edge"}, "data": {}}
    preflight = run(k8s_preflight, manifests=[manifest], **connection)
    assert preflight["dry_run"] is False
    assert NO_DRY_RUN in warnings.pop()
    assert run(k8s_secret, name="s", token=TOKEN, **connection)["changed"]
    assert not warnings
    answer = run(k8s_secret, check=True, name="s", state="absent", **connection)
    assert (answer["changed"], answer["action"]) == (True, "removed")
    assert cluster.find("Secret", "s")


def test_what_a_policy_adds_at_each_run_is_not_a_change_of_ours(run: Run, cluster: Any, connection: Json) -> None:
    seen: List[str] = []

    def policy(method: str, path: str, body: Json) -> Any:
        if method == "PATCH":
            seen.append(path)
            body["metadata"].setdefault("labels", {})["policy/at"] = str(len(seen))
            body["metadata"]["name"] = "s"
        return None

    cluster.rules.append(policy)
    assert run(k8s_secret, name="s", token=TOKEN, **connection)["changed"]
    answer = run(k8s_secret, name="s", token=TOKEN, **connection)
    assert (answer["changed"], answer["action"]) == (False, "kept")
    cluster.find("Secret", "s")["metadata"]["labels"]["app.kubernetes.io/name"] = "other"
    assert run(k8s_secret, name="s", token=TOKEN, **connection)["action"] == "repaired"


# Reasons of a roll-out


def test_a_deployment_that_is_paused(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Deployment", "d", spec=dict(ROLLED_OUT["spec"], paused=True), status={})
    answer = run(k8s_rollout, name="d", timeout=0, **connection)
    assert "it is paused, so changes wait: kubectl rollout resume deployment d --namespace edge" in answer["msg"]


def test_a_pod_on_a_lost_node(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Deployment", "d", spec=ROLLED_OUT["spec"], status={})
    cluster.hold("Pod", "d-1", metadata={"labels": {"a": "b"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}, spec={"nodeName": "n7"}, status={})
    answer = run(k8s_rollout, name="d", timeout=0, **connection)
    assert "pod d-1 is being removed since 2026-01-01T00:00:00Z, but still there on node n7" in answer["msg"]


def test_a_deployment_that_is_being_removed(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Deployment", "d", metadata=dict(GOING), **ROLLED_OUT)
    answer = run(k8s_rollout, name="d", timeout=0, **connection)
    assert "it is being removed since 2026-01-01T00:00:00Z, and held by finalizers (example.com/keep)" in answer["msg"]


@pytest.mark.parametrize("marked", [False, True])
def test_the_way_out_where_a_marked_volume_is_empty(run: Run, cluster: Any, connection: Json, marked: bool) -> None:
    claim = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]}
    cluster.hold("Deployment", "d", spec=dict(ROLLED_OUT["spec"], template={"spec": claim}), status={})
    cluster.hold("PersistentVolumeClaim", "c", metadata={"annotations": {"expanso.edge/token-fingerprint": "f"}} if marked else {})
    ended = {"exitCode": 1, "message": "no token: Secret s has no key k, and the agent is not registered"}
    cluster.hold("Pod", "d-1", metadata={"labels": {"a": "b"}}, status={"initContainerStatuses": [{"name": "register", "state": {"terminated": ended}}]})
    answer = run(k8s_rollout, name="d", timeout=0, **connection)
    assert "and the agent is not registered" in answer["msg"]
    assert ("kubectl annotate persistentvolumeclaim c --namespace edge expanso.edge/token-fingerprint-" in answer["msg"]) is marked


# Applying


def workload(**labels: Any) -> Json:
    container = {"name": "agent", "image": "i", "env": [{"name": "A", "value": "b"}]}
    spec = {"replicas": 1, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], "dnsPolicy": "Default"}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": labels}, "spec": spec}


def test_applying_is_a_change_where_something_of_ours_differs(run: Run, cluster: Any, connection: Json) -> None:
    seen: List[str] = []

    def policy(method: str, path: str, body: Json) -> Any:
        """A sidecar, a default and an annotation that is another one at each run."""
        if method == "PATCH":
            seen.append(path)
            body["metadata"]["annotations"] = {"policy/at": str(len(seen))}
            body["spec"]["template"]["spec"]["containers"].insert(0, {"name": "sidecar", "image": str(len(seen))})
            body["spec"]["strategy"] = {"type": "Recreate"}
        return None

    cluster.rules.append(policy)
    first = run(k8s_apply, check=True, manifests=[workload(a="b")], **connection)
    assert first["applied"] == ["Deployment d"]
    assert not cluster.objects
    assert run(k8s_apply, manifests=[workload(a="b")], **connection)["changed"]
    assert not run(k8s_apply, manifests=[workload(a="b")], **connection)["changed"]
    changed = run(k8s_apply, manifests=[workload(a="c")], **connection)
    assert changed["changed"]
    assert changed["diff"]["before"]["Deployment d"]["metadata"]["labels"] == {"a": "b"}
    assert "sidecar" not in json.dumps(changed["diff"])


def test_a_token_in_an_object_made_by_hand_is_not_in_the_diff(run: Run, cluster: Any, connection: Json) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"config.yaml": "a: b"}}
    cluster.hold("ConfigMap", "c", data={"config.yaml": f"args: [run, --token, {TOKEN}]"})
    answer = run(k8s_apply, manifests=[made], **connection)
    assert answer["diff"]["before"]["ConfigMap c"]["data"] == {"config.yaml": "args: [run, --token, ********]"}
    assert answer["changed"] and not leaks(answer, TOKEN)


@pytest.mark.parametrize(
    "container",
    [
        {"env": [{"name": "EXPANSO_EDGE_BOOTSTRAP_TOKEN", "value": "k3F9sQx+Zt8cRk29"}]},
        {"args": ["bootstrap", "--token", TOKEN]},
        {"env": [{"name": "A", "value": TOKEN}]},
        {"env": [{"name": "A", "value": base64.b64encode(TOKEN.encode()).decode()}]},
    ],
)
def test_an_object_that_many_can_read_holds_no_token(run: Run, cluster: Any, connection: Json, container: Json) -> None:
    manifest = workload()
    manifest["spec"]["template"]["spec"]["containers"][0].update(container)
    for module in (k8s_preflight, k8s_apply):
        answer = run(module, manifests=[manifest], **connection)
        assert "option manifests: entry 1 contains a bootstrap token, which whoever may read a Deployment could read" in answer["msg"]
        assert not leaks(answer, TOKEN) and not cluster.objects
    manifest["spec"]["template"]["spec"]["containers"][0] = {
        "name": "agent", "env": [{"name": "EXPANSO_EDGE_BOOTSTRAP_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    }  # fmt: skip
    assert run(k8s_apply, manifests=[manifest], **connection)["changed"]


def test_a_field_that_is_no_longer_set_is_a_change(run: Run, cluster: Any, connection: Json) -> None:
    def managing(method: str, path: str, body: Json) -> Any:
        if method == "PATCH":
            assert "fieldManager=expanso.edge" in path
            fields: Json = {"f:spec": dict.fromkeys(body["spec"], {})}
            body["metadata"]["managedFields"] = [{"manager": "expanso.edge", "operation": "Apply", "time": str(time.time()), "fieldsV1": fields}]
        return None

    cluster.rules.append(managing)
    manifest = workload()
    for changed in (True, False):
        assert run(k8s_apply, manifests=[manifest], **connection)["changed"] is changed
    del manifest["spec"]["replicas"]
    for changed in (True, False):
        assert run(k8s_apply, manifests=[manifest], **connection)["changed"] is changed


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"manifests": [{"kind": "Secret", "metadata": {"name": "a"}}]}, "it needs a kind"),
        ({"manifests": [{"kind": "ConfigMap", "metadata": {"name": "../a"}}]}, "it needs a kind"),
        ({"manifests": [{"kind": "ConfigMap", "metadata": {"name": "a", "namespace": "other"}}]}, "its namespace is not that of option namespace"),
        ({"manifests": [workload()], "field_manager": "a b"}, "option field_manager"),
    ],
)
def test_what_cannot_be_applied(run: Run, cluster: Any, connection: Json, wrong: Json, expected: str) -> None:
    assert expected in run(k8s_apply, **dict(connection, **wrong))["msg"]
    assert not cluster.changes()


def test_what_is_being_removed_is_not_applied(run: Run, cluster: Any, connection: Json) -> None:
    cluster.hold("Deployment", "d", metadata=dict(GOING))
    assert "Deployment d in namespace edge is being removed since" in run(k8s_apply, manifests=[workload()], **connection)["msg"]
    assert not cluster.changes()


# Retirement


OTHER = "exp_bk_9f8e7d6c5b4a3210"
FAMILY = {"labels": {"app.kubernetes.io/managed-by": "expanso.edge", "expanso.edge/secret": "s"}}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("held", "registered", "options", "action"),
    [
        (TOKEN, True, {"only_registered": True}, "removed"),
        (TOKEN, False, {"only_registered": True}, "kept"),
        (None, False, {"only_registered": True}, "absent"),
        (TOKEN, False, {}, "removed"),
        (TOKEN, False, {"fingerprint": fingerprint(TOKEN)}, "removed"),
        (TOKEN + "\n", True, {"fingerprint": fingerprint(TOKEN)}, "removed"),
        (OTHER, True, {"fingerprint": fingerprint(TOKEN)}, "kept"),
        (None, True, {"fingerprint": fingerprint(TOKEN)}, "absent"),
    ],
)
def test_a_removal_of_some_tokens(
    run: Run, cluster: Any, connection: Json, check: bool, held: Any, registered: bool, options: Json, action: str
) -> None:
    if held:
        cluster.hold("Secret", "s", type="Opaque", data={"bootstrap.token": encoded(held)}, metadata=dict(FAMILY))
    cluster.hold("PersistentVolumeClaim", "data", metadata={"annotations": {"expanso.edge/token-fingerprint": "f"}} if registered else {})

    def remove(check: bool = False) -> Json:
        return run(k8s_secret, check, **dict(connection, name="s", state="absent", claim="data", **options))

    answer = remove(check)
    assert (answer["action"], answer["changed"], answer["registered"]) == (action, action == "removed", registered)
    assert bool(cluster.find("Secret", "s")) == (action == "kept" or (check and held is not None))
    assert answer["fingerprint"] == (fingerprint(held) if action == "kept" else None)
    assert check or not remove()["changed"]


@pytest.mark.parametrize("immutable", [False, True])
def test_a_named_token_is_removed_wherever_it_is(run: Run, cluster: Any, connection: Json, immutable: bool) -> None:
    for name, token in (("s", TOKEN), ("s-former", TOKEN), ("s-other", OTHER)):
        cluster.hold("Secret", name, type="Opaque", data={"bootstrap.token": encoded(token)}, metadata=dict(FAMILY))
    cluster.hold("Secret", "s-shared", type="Opaque", data={"bootstrap.token": encoded(TOKEN), "more": "YQ=="}, metadata=dict(FAMILY))
    answer = run(k8s_secret, **dict(connection, name="s", state="absent", immutable=immutable, fingerprint=fingerprint(TOKEN)))
    assert answer["action"] == "removed" and "s-former" in answer["msg"]
    assert [name for name in ("s", "s-former", "s-other", "s-shared") if cluster.find("Secret", name)] == ["s-other", "s-shared"]
    assert cluster.find("Secret", "s-shared")["data"] == {"more": "YQ=="}


def test_what_could_not_be_listed_is_said(run: Run, cluster: Any, connection: Json) -> None:
    cluster.rules.append(lambda method, path, body: (403, {"kind": "Status", "message": "no"}) if "/secrets?" in path else None)
    answer = run(k8s_secret, **dict(connection, name="s", state="absent", fingerprint=fingerprint(TOKEN)))
    assert answer["action"] == "absent" and "is not allowed to list Secrets" in answer["msg"]


@pytest.mark.parametrize("immutable", [False, True])
def test_only_the_token_that_was_planned_is_replaced(run: Run, cluster: Any, connection: Json, immutable: bool) -> None:
    options = dict(connection, name="s", immutable=immutable)
    first = run(k8s_secret, token="exp_bk_another0123456789", **options)
    assert first["previous_fingerprint"] is None
    refused = run(k8s_secret, token=TOKEN, replaces="0123456789ab", **options)
    assert refused["fault"] == "held_differs" and f"token {first['fingerprint']} is held here now" in refused["msg"]
    assert run(k8s_secret, token=TOKEN, replaces="none", **options)["fault"] == "held_differs"
    done = run(k8s_secret, token=TOKEN, replaces=first["fingerprint"], **options)
    assert (done["action"], done["previous_fingerprint"]) == ("written", first["fingerprint"])
    assert run(k8s_secret, token=TOKEN, replaces=first["fingerprint"], **options)["action"] == "kept"  # as after an interruption
