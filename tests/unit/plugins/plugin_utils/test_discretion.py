# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._secrets import MASK, SHAPES
from ansible_collections.expanso.edge.plugins.plugin_utils import _discretion
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import LONGEST, looks_like_token, plain_name, plugin_name, quoted, shown_name, shown_path
from hypothesis import given
from hypothesis import strategies as st
from paths import REPOSITORY

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


@pytest.mark.parametrize("name", ["vault_edge_token", "nobody", "nothing_of_that_name", "TOKEN_OF_SITE", "secrets"])
def test_names_that_are_shown(name: str) -> None:
    assert plain_name(name)


@pytest.mark.parametrize(
    "name", ["exp_bk_abc", "EXP_BK_abc", "exp_ak_abc", "a1b2c3", "edge-token", "abcdefghijklmnopqrst", "qwhzkxjv", "kXbQzT", "", "edge01"]
)
def test_names_that_may_be_tokens(name: str) -> None:
    assert not plain_name(name)


@given(st.text(alphabet=LETTERS, min_size=16, max_size=64))
def test_a_random_name_is_not_shown(random: str) -> None:
    if any(char.isdigit() for char in random):
        assert not plain_name(random)


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("nobody", "{{ nobody }}", True),
        ("secrets", "{{ secrets.edge.token }}", True),
        ("abcdef", "{{ abcdef-1234 }}", False),
        ("abcdef", "{{ abcdef.k3f9a8 }}", False),
        ("abcdef", "{{ abcdef/xyz+1= }}", False),
        ("elsewhere", "{{ nobody }}", False),
    ],
)
def test_a_piece_of_a_token_is_not_shown_as_a_name(name: str, text: str, shown: bool) -> None:
    assert bool(shown_name(name, [text])) == shown


@pytest.mark.parametrize("name", ["community.hashi_vault.vault_kv2_get", "ansible.builtin.file", "once"])
def test_plugins_are_named(name: str) -> None:
    assert plugin_name(name) == name


@pytest.mark.parametrize("name", ["exp_bk_abc", "k3f9a8b7", "a b", "eyJhbGciOiJ.eyJhbGciOiJ.abc", ""])
def test_what_is_not_the_name_of_a_plugin(name: str) -> None:
    assert plugin_name(name) == ""


def test_parts_of_a_path_that_may_be_a_token_are_masked(tmp_path: Path) -> None:
    odd = tmp_path / "x7f3k2q9z8"
    odd.mkdir()
    assert shown_path(f"{odd}/bootstrap.token") == f"{odd}/bootstrap.token"
    assert shown_path(f"{odd}/k3f9a8b7c6d5") == f"{odd}/{MASK}"
    assert shown_path("/nowhere/exp_bk_abc/token") == f"/nowhere/{MASK}/token"


@pytest.mark.parametrize(
    ("message", "hide", "shown"),
    [
        ("the vault is sealed\nsecond line", "", "the vault is sealed"),
        ("\n  \n permission denied", "", "permission denied"),
        ("", "", ""),
        ("bad token exp_bk_a1b2", "", f"bad token {MASK}"),
        ("EXP_AK_a1b2 is not a token", "", f"{MASK} is not a token"),
        ("got eyJhbGciOiJF.eyJleHAiOjF9.c2lnbmF0", "", f"got {MASK}"),
        ("no answer from vault.example.com:8200", "", "no answer from vault.example.com:8200"),
        ("no lookup community.hashi_vault.vault_kv2_get", "lookup('community.hashi_vault.vault_kv2_get')", "no lookup community.hashi_vault.vault_kv2_get"),
        ("cannot find k3f9a8b7", "{{ lookup('file', 'k3f9a8b7') }}", f"cannot find {MASK}"),
        ("cannot find '/etc/k3f9a8b7.txt'", "{{ lookup('file', '/etc/k3f9a8b7.txt') }}", f"cannot find '/etc/{MASK}'"),
        ("cannot find '/etc/token'", "{{ lookup('file', '/etc/token') }}", "cannot find '/etc/token'"),
        ("no answer of http://vault/k3f9a8b7?x=1", "{{ lookup('url', 'http://vault/' ~ 'k3f9a8b7') }}", f"no answer of http://vault/{MASK}?x=1"),
        ("error in {{ secret }} here", "", f"error in {MASK}"),
        ("header X-Token: 9f8e7d6c5b4a39281706f5e4", "", f"header X-Token: {MASK}"),
        ("bell \a and escape \x1b", "", "bell ? and escape ?"),
    ],
)
def test_messages_of_other_plugins(message: str, hide: str, shown: str) -> None:
    assert quoted(message, [hide]) == shown


def test_messages_of_other_plugins_are_shortened() -> None:
    assert len(quoted("ab " * 10_000_000)) <= LONGEST + 4


@pytest.mark.parametrize("before", ["", "x", "xy"])
def test_a_key_in_base64_is_masked_like_in_modules(before: str) -> None:
    """Also with slashes, which no other shape of the controller has."""
    encoded = base64.b64encode(f"{before}exp_bk_???>>>???>>>".encode()).decode()
    assert "/" in encoded
    shown = quoted(f"cannot read {encoded}", [])
    # the first characters are those of the text before the key
    assert shown.endswith(MASK) and len(shown) <= len("cannot read ") + 2 * len(before) + len(MASK)


@given(st.from_regex(SHAPES, fullmatch=True))
def test_what_modules_mask_by_its_shape_is_masked_here(token: str) -> None:
    assert MASK in quoted(f"cannot read {token} there", [])


@pytest.mark.parametrize("text", ["eyJ", "eyJ.", "exp_bk_.", "a"])
def test_looking_for_a_token_in_megabytes_takes_no_minutes(text: str) -> None:
    before = time.process_time()
    assert not looks_like_token(text * 1_000_000)
    assert time.process_time() - before < 5


@pytest.mark.parametrize("text", ["eyJhbGciOiJF.eyJ", "token_eyJhbGciOiJF.", "/tmp/exp_bk_a1b2c3d4", "EXP_AK_a1b2c3d4", "eyJ.eyJhbGciOiJF.x"])
def test_what_contains_a_token(text: str) -> None:
    assert looks_like_token(text)


def test_the_playbooks_know_a_pasted_token_by_the_same_shape() -> None:
    assert f"select('search', '{_discretion._TOKEN.pattern}')" in (REPOSITORY / "playbooks" / "shared" / "pattern.yml").read_text(encoding="utf-8")
