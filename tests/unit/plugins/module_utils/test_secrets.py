# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import hashlib
import json
from urllib.parse import quote

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._secrets import encodings, mask
from hypothesis import given
from hypothesis import strategies as st

TOKENS = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60)


@given(TOKENS, st.binary(max_size=7), st.binary(max_size=7))
def test_base64_at_any_offset_is_masked(token: str, before: bytes, after: bytes) -> None:
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        text = encode(before + token.encode() + after).decode()
        masked = mask(text, token)
        # what is left at the edges depends on at most two of the token's characters on each side
        assert "********" in masked
        assert len(masked.replace("********", "")) <= len(text) - (len(token) - 4) * 4 // 3


@given(TOKENS)
def test_other_encodings_are_masked(token: str) -> None:
    for text in (token, quote(token, safe=""), token.encode().hex()):
        assert mask(f"say {text} twice {text}", token) == "say ******** twice ********"


@given(TOKENS)
def test_go_json_is_masked(token: str) -> None:
    text = json.dumps(token)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    assert mask(f"say {text} twice", token) == "say ******** twice"


@pytest.mark.parametrize("token", ["exp_bk_Zq81mKx02LwPd7", "eyJh.eyJleHAi." + "kX3v" * 40])
def test_pieces_and_digests_are_masked(token: str) -> None:
    lines = base64.encodebytes(token.encode()).decode().splitlines()
    digests = [hashlib.new(name, token.encode()).hexdigest() for name in ("md5", "sha1", "sha256")]
    for text in (token[:15] + "...", "..." + token[-8:], *(line.rstrip("=") for line in lines if len(line) > 12), *digests, digests[0][:12]):
        masked = mask(f"<{text}>", token)
        assert "********" in masked
        assert len(masked.replace("********", "")) <= len("<...>"), masked


def test_what_is_no_piece_of_the_token_stays() -> None:
    assert mask("Error: invalid bootstrap token exp_bk_ at /etc/expanso/bootstrap.token", "exp_bk_Zq81mKx02LwPd7") == (
        "Error: invalid bootstrap token exp_bk_ at /etc/expanso/bootstrap.token"
    )


def test_a_short_token_is_masked_as_a_whole_only() -> None:
    assert mask("abc, ab, abcabc", "abc") == "********, ab, ********"


def test_an_empty_token_masks_nothing() -> None:
    assert mask("text", "") == "text"


def test_a_short_token_masks_no_base64_by_chance() -> None:
    assert all(len(form) >= 8 for form in encodings("ab") if form not in ("ab", "6162"))


@pytest.mark.parametrize(
    "secret",
    ["exp_bk_Zq81mKx02LwPd7", "exp_ak_Zq81mKx02LwPd7", "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.kX3vkX3vkX3vkX3vkX3v"],
)
def test_what_has_the_shape_of_a_token_is_masked(secret: str) -> None:
    assert mask(f"config: token={secret}; url=https://example.com") == "config: token=********; url=https://example.com"


@pytest.mark.parametrize(
    "text",
    ["exp_bk_...", "expanso-edge-bootstrap.service", "registry.example.com/expanso/edge:1.2.3", "exp_ak_", "config.d/50-connection.yaml", "io.expanso.edge"],
)
def test_what_only_resembles_a_token_stays(text: str) -> None:
    assert mask(text) == text


def test_several_secrets_are_masked() -> None:
    assert mask("first-secret and second-secret", "first-secret", "second-secret") == "******** and ********"
