# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import hashlib
import json
from typing import Union

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._token import (
    MAX_LENGTH,
    REFUSED,
    REFUSED_PRINTABLE,
    Refusal,
    TokenFault,
    fingerprint,
    judge,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_800_000_000  # 2027-01-15


def b64(data: Union[bytes, str]) -> str:
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).decode().rstrip("=")


def jwt(payload: object, header: str = '{"alg": "EdDSA"}', signature: str = "c2lnbmF0dXJl") -> str:
    return f"{b64(header)}.{b64(json.dumps(payload))}.{signature}"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("exp_bk_a", "bootstrap_key"),
        ("exp_bk_Ab9._-Z", "bootstrap_key"),
        ("exp_bk_live_9f8e7d6c5b4a", "bootstrap_key"),
        ("exp_bk_env.token", "bootstrap_key"),  # a key's form wins over that of a file name
        (jwt({}), "jwt"),
        (jwt({"exp": NOW + 1}), "jwt"),
        (jwt({"exp": "1"}), "jwt"),  # no number: no expiry
        (jwt({"exp": True}), "jwt"),
        (jwt({"exp": None, "nbf": NOW + 9}), "jwt"),
        (jwt({"exp": 1e300}), "jwt"),
        (jwt([]), "opaque"),
        (jwt({}, header="[]"), "opaque"),
        (jwt({}, signature=""), "opaque"),
        (jwt({}) + ".more", "opaque"),
        (jwt({}) + "=", "opaque"),
        (f"{b64(b'no json')}.{b64('{}')}.sig", "opaque"),
        (f"{b64('{}')}.{b64(bytes([255, 254]))}.sig", "opaque"),
        (f"{b64('{}')}.{b64('[' * 5000)}.sig", "opaque"),
        ("a.b.c", "opaque"),
        ("9f8e7d6c5b4a", "opaque"),
        ("abc/def+ghi==", "opaque"),
        ("/abc+def/ghi=", "opaque"),  # base64 may begin like a path
        ("/k3F/9sQx+Zt8c==", "opaque"),
        ("/9j/4AAQSkZJRgABAQEASABIAAD", "opaque"),
        ("/kQ/abc/def/Gh1", "opaque"),
        ("/R4ndom/xYz0123456789abcdefGHIJ", "opaque"),
        ("exp_bk_trueexample", "bootstrap_key"),
        ("abcd", "opaque"),
        ("#;$`\"'\\|&x", "opaque"),
        ("-leading-dash", "opaque"),
        ("k" * MAX_LENGTH, "opaque"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    token = judge(text, now=NOW)
    assert (token.kind, token.value, token.fingerprint) == (kind, text, fingerprint(text))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" ", "whitespace"),
        (" exp_bk_secret", "whitespace"),
        ("exp_bk_secret ", "whitespace"),
        ("exp_bk_sec ret", "whitespace"),
        ("\texp_bk_secret", "whitespace"),
        ("exp_bk_secret\u00a0", "whitespace"),
        ("exp_bk_secret\u2003x", "whitespace"),
        ("exp_bk_secret\n", "line_break"),
        ("exp_bk_secret\r\n", "line_break"),
        ("exp_bk_secret\r", "line_break"),
        ("exp_bk_\nsecret", "line_break"),
        ("exp_bk_secret\u2028", "line_break"),
        ("exp_bk_secret\x0c", "line_break"),
        ("exp_bk_secret\0", "control_character"),
        ("exp_bk_\x1b[0msecret", "control_character"),
        ("exp_bk_secret\x7f", "control_character"),
        ("exp_bk_secret\x1c", "control_character"),
        ("\ufeffexp_bk_secret", "bom"),
        ("exp_bk_s\u00e9cret", "not_ascii"),
        ("\u0435xp_bk_secret", "not_ascii"),  # a Cyrillic letter that looks like e
        ("exp_bk_secret\u200b", "not_ascii"),
        ("exp_bk_\U0001f511", "not_ascii"),
        ("exp_bk_\udcff", "not_ascii"),
        ("exp_ak_secret", "api_key"),
        ("EXP_AK_secret", "api_key"),
        ("exp_bk_", "truncated"),
        ("exp_bk", "truncated"),
        ("exp_bk_a1b2...", "truncated"),
        ("exp_bk_abc/def0123", "malformed_key"),
        ("exp_bk_abc;rm", "malformed_key"),
        ("exp_bk_abc,exp_bk_def", "malformed_key"),
        ("exp_bk_abc=", "malformed_key"),
        ("exp_bk_abc/secret", "malformed_key"),
        ("EXP_BK_abc", "malformed_key"),
        ("Exp_Bk_abc/def", "malformed_key"),
        ("exp_bk_abcexp_bk_abc", "malformed_key"),
        ("Bearer:exp_bk_abc", "malformed_key"),
        (":exp_bk_abc", "malformed_key"),
        ("exp_bk_\ud800", "not_ascii"),
        ("\udc80\ud800", "not_ascii"),
        ("exp_bk_a\0", "control_character"),
        ("x" * 10_000_000, "too_long"),
        ("\0" * 10_000_000, "too_long"),
        ("/etc/passwd", "path"),
        ("/data/tokens/edge01", "path"),
        ("/Volumes/Stick/token", "path"),
        ("/mnt/k3F9sQxZt8c", "path"),
        ("/nowhere/to/go", "path"),
        ("abc", "too_short"),
        ("None", "no_text"),
        ("true", "no_text"),
        ("{}", "no_text"),
        ("group_vars/all/vault", "path"),
        ("/", "path"),
        ("ENC[AES256_GCM,data:abc]", "vault_text"),
        ("vault:v1:abc", "vault_text"),
        ("exp_bk_s****", "masked"),
        ("REPLACE_WITH_TOKEN", "placeholder"),
        ("exp_bk_REPLACE_WITH_REAL", "placeholder"),
        ("exp_bk_YOURKEY", "placeholder"),
        ("YOURTOKEN", "placeholder"),
        ("TODO", "placeholder"),
        ("example", "placeholder"),
        ("__TOKEN__", "placeholder"),
        ("{token}", "placeholder"),
        ("/etc/expanso/bootstrap.token", "path"),
        ("/run/secrets/expanso_bootstrap_token", "path"),
        ("./token", "path"),
        ("../token", "path"),
        ("~/token", "path"),
        ("~root/token", "path"),
        ("@/etc/token", "path"),
        ("file:///etc/token", "path"),
        ("C:\\token", "path"),
        ("bootstrap.token", "path"),
        ("secrets/bootstrap_token", "path"),
        ("group_vars/all.yml", "path"),
        ("https://start.cloud.expanso.io", "url"),
        ("YOUR_BOOTSTRAP_TOKEN", "placeholder"),
        ("YOUR_TOKEN", "placeholder"),
        ("your-bootstrap-token", "placeholder"),
        ("your_token_here", "placeholder"),
        ("TOKEN", "placeholder"),
        ("BOOTSTRAP_TOKEN", "placeholder"),
        ("<token>", "placeholder"),
        ("<your token>", "placeholder"),
        ("exp_bk_<token>", "placeholder"),
        ("exp_bk_CHANGE_ME", "placeholder"),
        ("exp_bk_change-me", "placeholder"),
        ("exp_bk_example", "placeholder"),
        ("exp_bk_example_123", "placeholder"),
        ("exp_bk_YOUR_KEY", "placeholder"),
        ("exp_bk_xxxxxxxx", "placeholder"),
        ("exp_bk_...", "placeholder"),
        ("eyJhbGciOi...", "placeholder"),
        ("changeme", "placeholder"),
        ("$encrypted$", "masked"),
        ("**********", "masked"),
        ("********", "masked"),
        ("$REDACTED$", "masked"),
        ("[REDACTED]", "masked"),
        ("(sensitive value)", "masked"),
        ("VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", "masked"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6530", "vault_text"),
        ("{{ vault_token }}", "template"),
        ("${TOKEN}", "template"),
        ("$EXPANSO_EDGE_BOOTSTRAP_TOKEN", "template"),
        ("$(cat token)", "template"),
        ("%TOKEN%", "template"),
        ("'exp_bk_secret'", "quoted"),
        ('"exp_bk_secret', "quoted"),
        ("EXPANSO_EDGE_BOOTSTRAP_TOKEN=exp_bk_secret", "assignment"),
        ("export EXPANSO_EDGE_BOOTSTRAP_TOKEN=exp_bk_secret", "assignment"),
        ("x" * (MAX_LENGTH + 1), "too_long"),
        (jwt({"exp": NOW}), "expired"),
        (jwt({"exp": NOW - 0.5}), "expired"),
        (jwt({"exp": -1}), "expired"),
        (jwt({"exp": -1e300}), "expired"),
    ],
)
def test_refused(text: str, code: str) -> None:
    with pytest.raises(TokenFault) as caught:
        judge(text, now=NOW)
    assert caught.value.code == code
    assert str(caught.value) == caught.value.message
    assert "secret" not in caught.value.message or code == "masked"


RULES = REFUSED + REFUSED_PRINTABLE


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.code} {rule.example[:40]}")
def test_each_rule_refuses_its_example(rule: Refusal) -> None:
    assert next(each for each in RULES if each.pattern.match(rule.example)) == rule, "an earlier rule takes it"
    with pytest.raises(TokenFault) as caught:
        judge(rule.example)
    assert caught.value.code == rule.code


@pytest.mark.parametrize(
    ("text", "position"),
    [(" exp_bk_a", 1), ("exp_bk_a ", 9), ("exp_bk_a\n", 9), ("exp_bk\0a", 7), ("ab\u00e9", 3), ("\ufeffa", 1), ("ab\ufeff", 3)],
)
def test_the_position_is_named(text: str, position: int) -> None:
    with pytest.raises(TokenFault, match=rf"character {position}\b"):
        judge(text)


@pytest.mark.parametrize(
    ("text", "position"),
    [("exp_bk_abc/def", 11), ("exp_bk_/", 8), ("exp_bk_abc;rm", 11), ("EXP_BK_abc", 1), ("exp_Bk_a", 5), ("exp_bk_aexp_bk_b", 9), ("::exp_bk_b", 3)],
)
def test_the_position_in_a_malformed_key_is_named(text: str, position: int) -> None:
    with pytest.raises(TokenFault, match=rf"character {position}\b") as caught:
        judge(text)
    assert caught.value.code == "malformed_key"


def test_strict_refuses_an_unknown_shape_only() -> None:
    assert judge("exp_bk_a", strict=True).kind == "bootstrap_key"
    assert judge(jwt({}), strict=True).kind == "jwt"
    with pytest.raises(TokenFault) as caught:
        judge("9f8e7d6c5b4a", strict=True)
    assert caught.value.code == "unknown_shape"


def test_the_expiry_is_told() -> None:
    assert judge(jwt({"exp": 1_801_440_000}), now=NOW).expires_at == "2027-02-01T00:00:00Z"
    assert judge(jwt({}), now=NOW).expires_at is None
    assert judge("exp_bk_a").expires_at is None


def test_fingerprint() -> None:
    assert fingerprint("exp_bk_a") == fingerprint("exp_bk_a") != fingerprint("exp_bk_b")
    assert len(fingerprint("x")) == 12 and int(fingerprint("x"), 16) >= 0


@given(st.text())
def test_any_text_is_judged_without_a_surprise(text: str) -> None:
    try:
        token = judge(text, now=NOW)
    except TokenFault:
        return
    assert token.value == text and all("!" <= char <= "~" for char in text)


@given(
    st.text(alphabet="ABCDEFGHKLMNPQRSTUVWXYZ0123456789", min_size=12, max_size=40),
    st.sampled_from(["{} ", " {}", "{}\n", "exp_ak_{}", "/{}/x.y", "exp_bk_{}/", "'{}'", "{}\0", "{}\u00e9"]),
)
def test_no_message_quotes_the_token(secret: str, fault: str) -> None:
    with pytest.raises(TokenFault) as caught:
        judge(fault.format(secret), now=NOW)
    assert not any(secret[start : start + 4] in caught.value.message for start in range(len(secret) - 3))


# Of these letters no placeholder is made; the marks that make one of anything are left out.
@given(st.text(alphabet="abcVYZ019._-", min_size=1, max_size=60).filter(lambda text: text.strip("._-") and text[-3:] != "..." and text[:2] != "__"))
def test_a_key_is_a_key(rest: str) -> None:
    assert judge("exp_bk_" + rest).kind == "bootstrap_key"


KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"


@given(st.text(alphabet=KEY_ALPHABET, min_size=20, max_size=80), st.text(alphabet="!#$%&*+,/:;<=>?@^|~", min_size=1, max_size=1), st.text(max_size=9))
def test_a_key_with_something_stuck_to_it_is_never_taken(rest: str, wrong: str, more: str) -> None:
    with pytest.raises(TokenFault):
        judge("exp_bk_" + rest + wrong + more, now=NOW)


@given(st.binary(min_size=9, max_size=96), st.sampled_from(["", "/", "+"]), st.booleans())
def test_random_base64_is_a_token(random: bytes, first: str, padded: bool) -> None:
    text = first + base64.b64encode(hashlib.sha256(random).digest() + random).decode()[len(first) :]
    assert judge(text if padded else text.rstrip("="), now=NOW).kind == "opaque"


@given(st.binary(min_size=9, max_size=96))
def test_random_base64url_and_hexadecimal_are_tokens(random: bytes) -> None:
    mixed = hashlib.sha256(random).digest() + random
    assert judge(base64.urlsafe_b64encode(mixed).decode(), now=NOW).kind == "opaque"
    assert judge(mixed.hex(), now=NOW).kind == "opaque"


@given(st.text())
def test_any_text_has_a_fingerprint(text: str) -> None:
    assert len(fingerprint(text)) == 12


def test_repr_shows_no_value() -> None:
    assert "exp_bk_abcdef" not in repr(judge("exp_bk_abcdef"))


def test_an_expired_token_names_the_clock() -> None:
    """It may be years ahead, and then a new token would be of no use."""
    with pytest.raises(TokenFault) as fault:
        judge(jwt({"exp": 1700000000}), now=1900000000)
    assert fault.value.message == (
        "it is a JWT that expired at 2023-11-14T22:13:20Z, and the clock of this machine says 2030-03-17: get a new one, or correct that clock"
    )
    with pytest.raises(TokenFault, match="expired at 2023-11-14T22:13:20Z, and the clock of this machine says it is later that day: get a new one"):
        judge(jwt({"exp": 1700000000}), now=1700005600)  # an hour fast
