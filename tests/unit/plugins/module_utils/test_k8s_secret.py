# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
from typing import Any, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._k8s_secret import (
    Plan,
    SecretContent,
    SecretError,
    annotations_of,
    check_secret,
    describe,
    entry_for,
    make_plan,
    read_secret,
    wanted_manifest,
)
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_ANNOTATION, Entry, parse_entry, render_entry
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, fingerprint
from ansible_collections.expanso.edge.plugins.module_utils._version import VERSION
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = "exp_bk_old0123456789", "exp_bk_new0123456789"
EXPIRED = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln"
API_KEY = "exp_ak_0123456789"


def params(**changes: Any) -> dict[str, Any]:
    return {
        "name": "tokens",
        "namespace": "edge",
        "key": "token",
        "token": NEW,
        "token_source": "somewhere",
        "strict": False,
        "immutable": False,
        "labels": {},
        "remove_when_registered": False,
        **changes,
    }


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(token: Optional[str] = OLD, name: str = "tokens", **fields: Any) -> dict[str, Any]:
    data = {} if token is None else {"token": encoded(token)}
    return {"kind": "Secret", "metadata": {"name": name, "labels": {"a": "b"}}, "type": "Opaque", "data": data, **fields}


def current(*arguments: Any, **fields: Any) -> SecretContent:
    found = read_secret(secret(*arguments, **fields), params())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("token", "there", "registered", "remove", "action", "value"),
    [
        # not registered: the token is needed
        (NEW, None, None, False, "written", NEW),
        (NEW, OLD, None, False, "written", NEW),
        (NEW, NEW, None, False, "kept", NEW),
        (NEW, NEW, None, True, "kept", NEW),
        # the one that is there serves as well
        (None, OLD, None, False, "kept", OLD),
        ("", OLD, None, True, "kept", OLD),
        # registered: none is needed, and a new one is a rotation
        (None, None, "f", False, "not_needed", None),
        (NEW, None, "f", False, "not_needed", None),
        (None, OLD, "f", False, "kept", OLD),
        (OLD, OLD, "f", False, "kept", OLD),
        (NEW, OLD, "f", False, "written", NEW),
        (EXPIRED, EXPIRED, "f", False, "kept", EXPIRED),
        (EXPIRED, None, "f", False, "not_needed", None),
        (EXPIRED, OLD, "f", False, "kept", OLD),
        (API_KEY, OLD, "f", False, "kept", OLD),
        (API_KEY, None, "f", False, "not_needed", None),
        # registered, and nobody shall keep it
        (None, OLD, "f", True, "removed", None),
        (NEW, OLD, "f", True, "removed", None),
        (EXPIRED, OLD, "f", True, "removed", None),
        (NEW, None, "f", True, "not_needed", None),
    ],
)
def test_plan(token: Optional[str], there: Optional[str], registered: Optional[str], remove: bool, action: str, value: Optional[str]) -> None:
    found = None if there is None else current(there)
    plan = make_plan(params(token=token, remove_when_registered=remove), found, registered)
    assert (plan.action, plan.value, plan.name) == (action, value, "tokens")
    assert "Secret tokens in namespace edge" in plan.msg
    assert not any(each in plan.msg or each in repr(plan) or each in repr(found) for each in (OLD, NEW, EXPIRED, API_KEY))


def test_what_is_wrong_with_a_token_that_is_not_needed_is_reported() -> None:
    plan = make_plan(params(token=API_KEY), current(OLD), "f")
    assert "; the token given cannot be used and is ignored: it is an API key" in plan.msg
    assert plan.msg.endswith("(source: somewhere)")


@pytest.mark.parametrize(
    ("token", "there", "registered", "fault", "expected"),
    [
        (None, None, None, "missing", "the agent is not registered and no token was given for it: somewhere"),
        ("", EXPIRED, None, "missing", "no token was given for it: somewhere; the token that is there cannot be used: it is a JWT"),
        (None, API_KEY, None, "missing", "the token that is there cannot be used: it is an API key"),
        (EXPIRED, EXPIRED, None, "expired", "(source: somewhere)"),
        (API_KEY, OLD, None, "api_key", "the token cannot be used: it is an API key"),
        (NEW + " ", None, None, "whitespace", "at its end"),
    ],
)
def test_plan_refuses(token: Optional[str], there: Optional[str], registered: Optional[str], fault: str, expected: str) -> None:
    found = None if there is None else current(there)
    with pytest.raises(TokenFault) as refusal:
        make_plan(params(token=token), found, registered)
    assert refusal.value.code == fault
    assert expected in refusal.value.message


def test_each_token_its_own_secret() -> None:
    options = params(immutable=True)
    assert make_plan(options, None, None).name == f"tokens-{fingerprint(NEW)}"
    rotated = make_plan(options, current(OLD, f"tokens-{fingerprint(OLD)}", immutable=True), fingerprint(OLD))
    assert (rotated.action, rotated.name) == ("written", f"tokens-{fingerprint(NEW)}")
    kept = make_plan(params(immutable=True, token=None), current(OLD, f"tokens-{fingerprint(OLD)}", immutable=True), fingerprint(OLD))
    assert (kept.action, kept.name) == ("kept", f"tokens-{fingerprint(OLD)}")


def test_an_immutable_secret_is_not_changed() -> None:
    with pytest.raises(SecretError, match="is immutable and holds another token"):
        make_plan(params(), current(OLD, immutable=True), None)
    plan = make_plan(params(), current(NEW, immutable=True), None)
    assert wanted_manifest(params(), plan, current(NEW, immutable=True))["immutable"] is True


def test_a_secret_of_another_type_is_foreign() -> None:
    with pytest.raises(SecretError, match=r"is of type kubernetes.io/tls, not Opaque"):
        read_secret(secret(type="kubernetes.io/tls"), params())


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_the_manifest_holds_exact_bytes(token: str) -> None:
    manifest = wanted_manifest(params(labels={"site": 1}), Plan("written", "", "tokens", token), None)
    assert set(manifest) == {"apiVersion", "kind", "metadata", "type", "data"}, "fields of our own only"
    assert base64.b64decode(manifest["data"]["token"]) == token.encode()
    assert manifest["metadata"]["labels"]["site"] == "1"
    assert manifest["metadata"]["annotations"] == {"expanso.edge/token-fingerprint": fingerprint(token)}
    again = read_secret(manifest, params())
    assert again is not None
    assert (again.value, again.others) == (token, [])


def test_what_is_shown_of_a_secret() -> None:
    manifest = secret(OLD, data={"token": encoded(OLD), "other": encoded("another secret")})
    shown = describe(read_secret(manifest, params()))
    assert shown == {"type": "Opaque", "immutable": False, "labels": {"a": "b"}, "size": len(OLD), "fingerprint": fingerprint(OLD), "record": None}
    assert set(describe(None).values()) == {None}
    assert describe(read_secret(secret(None), params()))["fingerprint"] is None


@pytest.mark.parametrize("data", [None, {}, {"token": "not base64!"}, {"token": "/w=="}])
def test_data_that_is_not_a_token(data: Optional[dict[str, str]]) -> None:
    found = read_secret(secret(data=data), params())
    assert found is not None
    assert make_plan(params(), found, None).action == "written"


@pytest.mark.parametrize("key", ["bootstrap.token", "a" * 253])
def test_a_name_for_a_secret(key: str) -> None:
    check_secret(params(state="present", name="a" * 63, key=key))
    # with immutable=true the name of a Secret has a fingerprint at its end, and that Secret has to be removable
    check_secret(params(state="absent", name="a" * 63 + "-0123456789ab", key=key))


def test_a_name_that_is_too_long_for_a_label() -> None:
    with pytest.raises(SecretError, match="at most 63 characters"):
        check_secret(params(state="present", name="a" * 64))


# Enrolment record


NOW = 1764496800.0  # 2025-11-30T10:00:00Z


def run(*secrets: str) -> dict[str, str]:
    return {"token_label": "the label" if not secrets else f"a label without {len(secrets)} secrets", "run_id": "this run", "job_id": ""}


def entry(token: str, **more: Any) -> Entry:
    return Entry(fingerprint(token), "jwt", None, "kubernetes", "2025-01-01T00:00:00Z", "an earlier run", None, "1.1.0")._replace(**more)


def recorded(token: str, text: Optional[str]) -> SecretContent:
    found = current(token)
    found.manifest["metadata"]["annotations"] = {} if text is None else {RECORD_ANNOTATION: text}
    return found


FRESH = Entry(fingerprint(NEW), "bootstrap_key", "a label without 1 secrets", "kubernetes", "2025-11-30T10:00:00Z", "this run", None, VERSION)


@pytest.mark.parametrize(
    ("action", "value", "found", "known", "expected"),
    [
        ("written", NEW, None, None, FRESH),
        ("written", NEW, recorded(OLD, render_entry(entry(OLD))), entry(OLD), FRESH),
        ("kept", NEW, recorded(NEW, render_entry(entry(NEW))), None, entry(NEW)),
        # the claim knows of a token whose Secret was removed
        ("written", NEW, None, entry(NEW), entry(NEW)),
        ("not_needed", None, None, entry(OLD), entry(OLD)),
        ("not_needed", None, None, None, None),
        ("removed", None, recorded(OLD, render_entry(entry(OLD))), None, entry(OLD)),
        # from before there were records, or damaged
        ("kept", NEW, recorded(NEW, None), None, FRESH),
        ("kept", NEW, recorded(NEW, "{"), entry(OLD), FRESH),
    ],
)
def test_entries(action: str, value: Optional[str], found: Optional[SecretContent], known: Optional[Entry], expected: Optional[Entry]) -> None:
    assert entry_for(run, Plan(action, "", "tokens", value), found, known, NOW) == expected


def test_an_earlier_secret_was_written_when_it_was_applied() -> None:
    found = recorded(NEW, None)
    found.manifest["metadata"]["managedFields"] = [
        {"manager": "expanso.edge", "time": "2024-01-02T03:04:05Z"},
        {"manager": "another", "time": "2024-09-09T09:09:09Z"},
        {"manager": "expanso.edge"},
    ]
    assert entry_for(run, Plan("kept", "", "tokens", NEW), found, None, NOW) == FRESH._replace(written_at="2024-01-02T03:04:05Z")
    assert entry_for(run, Plan("written", "", "tokens", NEW), found, None, NOW) == FRESH


def test_an_expired_token_has_no_kind() -> None:
    found = entry_for(run, Plan("kept", "", "tokens", EXPIRED), current(EXPIRED), None, NOW)
    assert found is not None and found.kind is None


def test_annotations() -> None:
    assert annotations_of(None) == {}
    manifest = wanted_manifest(params(), Plan("written", "", "tokens", NEW), None, FRESH)
    assert parse_entry(manifest["metadata"]["annotations"][RECORD_ANNOTATION]) == FRESH
    assert RECORD_ANNOTATION not in wanted_manifest(params(), Plan("written", "", "tokens", NEW), None)["metadata"]["annotations"]
    shown = describe(recorded(NEW, render_entry(FRESH)))["record"]
    assert shown["fingerprint"] == fingerprint(NEW) and NEW not in str(shown)
