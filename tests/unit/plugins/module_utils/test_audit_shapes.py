# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import json
import time

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._audit.reading import CHUNK
from ansible_collections.expanso.edge.plugins.module_utils._audit.shapes import Shape, tokens_in
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, fingerprint
from hypothesis import given
from hypothesis import strategies as st

KEY = "exp_bk_9f8e7d6c5b4a39281706"


def jwt(claims: dict[str, object]) -> str:
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in ('{"alg":"ES256","typ":"JWT"}', json.dumps(claims), "signature"))


JWT, EXPIRED = jwt({"exp": 4102444800, "n": 1}), jwt({"exp": 1, "n": 2})
OPAQUE = "k3F+9sQx/Zt8c"


def values(text: object, *wanted: str) -> set[str]:
    data = text if isinstance(text, bytes) else str(text).encode()
    return {shape.value for shape in tokens_in(data, frozenset(fingerprint(each) for each in wanted))}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (KEY, {KEY}),
        (f"The key is {KEY}.", {KEY}),
        (f'{{"token":"{KEY}\\n"}}', {KEY}),
        (f"a=%22{KEY}%0A", {KEY}),
        (f"x={KEY}&y={KEY}2", {KEY, KEY + "2"}),
        (f"{ENV_NAME}={KEY}\0HOME=/root\0", {KEY}),
        (base64.b64encode(f"{KEY}\n".encode()).decode(), {KEY}),
        (base64.b64encode(f"x{KEY}".encode()).decode(), {KEY}),
        (base64.b64encode(f"T={KEY}\n".encode()).decode(), {KEY}),
        (base64.encodebytes(f"#!/bin/sh\nexpanso-edge bootstrap --token {KEY} --data-dir /var/lib/expanso/edge\n".encode()).decode(), {KEY}),
        (f"a2={KEY.encode().hex()}", {KEY}),
        (f"a2={KEY.encode().hex().upper()}", {KEY}),
        # in place of a token
        ("exp_bk_example", set()),
        ("exp_bk_example_1234567890", set()),
        ("exp_bk_CHANGE_ME", set()),
        ("exp_bk_YOUR_KEY_HERE_1234", set()),
        ("exp_bk_xxxxxxxxxxxxxxxx", set()),
        ("exp_bk_********", set()),
        ("exp_bk_...", set()),
        ("grep -r 'exp_bk_[A-Za-z0-9]' /etc", set()),
        ("exp_bk_ is the prefix", set()),
        ("keys (exp_bk_abc)", set()),
        ("exp_ak_9f8e7d6c5b4a39281706", set()),
        ("exp_bk_" + "x" * 20000, set()),
        # a JWT, where a bootstrap token belongs
        (f"{ENV_NAME}={JWT}", {JWT}),
        (f'export {ENV_NAME}="{JWT}"', {JWT}),
        (f"set -gx {ENV_NAME} {JWT}", {JWT}),
        (f"{ENV_NAME}: '{JWT}'", {JWT}),
        (f'"{ENV_NAME}": "{JWT}"', {JWT}),
        (f"expanso-edge bootstrap --token {JWT}", {JWT}),
        (f"/usr/local/bin/expanso-edge\0bootstrap\0--data-dir\0/x\0--token={JWT}\0", {JWT}),
        (f"sudo expanso-edge bootstrap \\\n  --url https://a \\\n  --token '{JWT}'", {JWT}),
        (f'["expanso-edge", "bootstrap", "--token", "{JWT}"]', {JWT}),
        (f"echo -n {JWT} | sudo tee /etc/expanso/bootstrap.token", {JWT}),
        (f"printf %s {JWT} | docker secret create expanso_bootstrap_token -", {JWT}),
        (f"kubectl create secret generic expanso-bootstrap-token --from-literal=bootstrap.token={JWT}", {JWT}),
        # and elsewhere
        (JWT, set()),
        (f"Authorization: Bearer {JWT}", set()),
        (f"kubectl --token {JWT} get nodes", set()),
        (f"expanso-edge run\ncurl --token {JWT}", set()),
        (f"cat /etc/expanso/bootstrap.token\ncurl -H {JWT}", set()),
        (f"PATH=/etc/expanso/bootstrap.token\0OTHER={JWT}\0", set()),
        (f"{ENV_NAME} must be set\nuse {JWT}", set()),
        (f"{ENV_NAME}={EXPIRED}", set()),
        (f"{ENV_NAME}=eyJhbGciOiJ...", set()),
        (f"{ENV_NAME}={OPAQUE}", set()),
        ("", set()),
    ],
)
def test_tokens_in_texts(text: str, found: set[str]) -> None:
    assert values(text) == found


@pytest.mark.parametrize(
    ("text", "token"),
    [
        (f"Authorization: Bearer {JWT}", JWT),
        (f"{ENV_NAME}={EXPIRED}", EXPIRED),
        (f"x {EXPIRED} y", EXPIRED),
        (f"{ENV_NAME}='{OPAQUE}'", OPAQUE),
        (f"--token {OPAQUE};", OPAQUE),
        (f"[--token={OPAQUE}]", OPAQUE),
        ("keys (exp_bk_abc)", "exp_bk_abc"),
        ("key exp_bk_abc...", "exp_bk_abc"),
        (f"{KEY}.", KEY),
        (f"{KEY}..", KEY + ".."),
        (base64.b64encode(b"exp_bk_abc").decode(), "exp_bk_abc"),
    ],
)
def test_tokens_that_are_asked_for(text: str, token: str) -> None:
    assert values(text, token) >= {token}
    if not token.startswith(KEY):
        assert token not in values(text, "another")


def test_what_goes_on_elsewhere_is_not_cut_short() -> None:
    for text in (KEY, f"{ENV_NAME}={JWT}", base64.b64encode(KEY.encode()).decode(), KEY.encode().hex()):
        assert tokens_in(text.encode()) and not tokens_in(text.encode(), cut=True)
        assert tokens_in(text.encode() + b"\n", cut=True)


def test_no_representation_shows_a_token() -> None:
    (shape,) = tokens_in(KEY.encode())
    assert shape == Shape(KEY, "bootstrap_key", fingerprint(KEY))
    assert KEY not in repr(shape)


@pytest.mark.parametrize("unit", [b"exp_bk_", b"eyJhbGci", b"ey.", b"ZXhwX2JrX2", b"6578705f626b5f", b"--token ", b"expanso-edge --token ", b"A" * 50 + b"."])
def test_hostile_bytes_take_no_time(unit: bytes) -> None:
    begin = time.process_time()
    tokens_in(unit * (CHUNK // len(unit)), frozenset(("0" * 12,)))
    assert time.process_time() - begin < 5


keys = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=12, max_size=60).map(lambda text: "exp_bk_q" + text)
around = st.binary(max_size=30).map(lambda data: data + b" ")


@given(keys, around, around, st.integers(min_value=0, max_value=2))
def test_a_key_is_found_whatever_is_around_it(key: str, before: bytes, after: bytes, offset: int) -> None:
    if "exp_bk_" in key[7:]:
        return
    inside = b"\n" * offset + key.encode() + b"\n"
    for data in (before + key.encode() + b" " + after, before + base64.b64encode(inside) + b" " + after, before + key.encode().hex().encode() + b" " + after):
        assert key in values(data)


@given(st.binary(max_size=300))
def test_no_bytes_are_a_fault(data: bytes) -> None:
    tokens_in(data, frozenset((fingerprint(KEY),)))
    tokens_in(b"ZXhwX2JrX" + data + b"exp_bk_" + data + b"eyJ" + data + b"--token=" + data + b"6578705f626b5f" + data, frozenset((fingerprint(KEY),)))
