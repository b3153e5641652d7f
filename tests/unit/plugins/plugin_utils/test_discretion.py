# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import LONGEST, MASK, plain_name, plugin_name, quoted, shown_name, shown_path
from hypothesis import given
from hypothesis import strategies as st

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
def test_no_piece_of_a_token_is_shown_as_a_name(name: str, text: str, shown: bool) -> None:
    assert bool(shown_name(name, [text])) == shown


@pytest.mark.parametrize("name", ["community.hashi_vault.vault_kv2_get", "ansible.builtin.file", "once"])
def test_plugins_are_named(name: str) -> None:
    assert plugin_name(name) == name


@pytest.mark.parametrize("name", ["exp_bk_abc", "k3f9a8b7", "a b", "eyJhbGciOiJ.eyJhbGciOiJ.abc", ""])
def test_what_is_no_name_of_a_plugin(name: str) -> None:
    assert plugin_name(name) == ""


def test_a_path_loses_what_may_be_a_token(tmp_path: Path) -> None:
    odd = tmp_path / "x7f3k2q9z8"
    odd.mkdir()
    assert shown_path(f"{odd}/bootstrap.token") == f"{odd}/bootstrap.token"
    assert shown_path(f"{odd}/k3f9a8b7c6d5") == f"{odd}/{MASK}"
    assert shown_path("/nowhere/exp_bk_abc/token") == f"/nowhere/{MASK}/token"


@pytest.mark.parametrize(
    ("said", "hide", "shown"),
    [
        ("the vault is sealed\nsecond line", "", "the vault is sealed"),
        ("\n  \n permission denied", "", "permission denied"),
        ("", "", ""),
        ("bad token exp_bk_a1b2", "", f"bad token {MASK}"),
        ("EXP_AK_a1b2 is no token", "", f"{MASK} is no token"),
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
def test_what_others_say(said: str, hide: str, shown: str) -> None:
    assert quoted(said, [hide]) == shown


def test_what_others_say_is_bounded() -> None:
    assert len(quoted("ab " * 10_000_000)) <= LONGEST + 4
