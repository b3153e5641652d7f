# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.filter.unit_word import unit_word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("/usr/local/bin/expanso-edge", "/usr/local/bin/expanso-edge"),
        ("https://network.us2.cloud.expanso.io:9010/a%20b", "https://network.us2.cloud.expanso.io:9010/a%%20b"),
        ("--log-level=debug", "--log-level=debug"),
        ("100%", "100%%"),
        ("user@domain", "user@domain"),
    ],
)
def test_word(text: str, word: str) -> None:
    assert unit_word(text) == word


@pytest.mark.parametrize("text", ["", "a b", "a\nExecStart=/bin/sh", '"a"', "'a'", "$HOME", "a\\b", "a;b", "a*", "ä", "a\n", None, 7])
def test_a_text_that_is_not_a_word_is_refused(text: object) -> None:
    with pytest.raises(AnsibleFilterError, match="^the_path: .* cannot be used in a systemd unit"):
        unit_word(text, "the_path")


@pytest.mark.parametrize("kind", ["word", "number", "line"])
@pytest.mark.parametrize("token", ["exp_bk_Zq81mKx02LwPd7", "k3F9sQxZt8cRk29x\"'\\$&;|P0mN4zQ7wRt5Yu8Lk2\n", "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJub2RlIn0.c2ln\n"])
def test_a_message_shows_no_token(token: str, kind: str) -> None:
    for text in (token + "\n", f"/opt/{token} \n", [token]):
        with pytest.raises(AnsibleFilterError) as caught:
            unit_word(text, "the_path", kind)
        assert not any(token[start : start + 8] in str(caught.value) for start in range(7, len(token) - 8))


def test_a_message_is_short_whatever_the_value() -> None:
    deep: object = "x"
    for _each in range(2000):
        deep = [deep]
    for value in (deep, "x y" * 1_000_000, b"\0" * 1_000_000):
        with pytest.raises(AnsibleFilterError) as caught:
            unit_word(value, "the_path")
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (300, "300"), ("10", "10")])
def test_number(number: object, text: str) -> None:
    assert unit_word(number, "delay", "number") == text


@pytest.mark.parametrize("number", [-1, 1.5, 1e308, float("inf"), True, None, "", "1d", "\u0661\u0662", "5\nExecStart=/bin/sh", [5], 10**30])
def test_what_is_no_whole_number(number: object) -> None:
    with pytest.raises(AnsibleFilterError, match="^delay(: .* is not a whole number from 0 to| is (not a text but a list|a number of too many digits))"):
        unit_word(number, "delay", "number")


def test_line() -> None:
    assert unit_word("@system-service ~@debug", "filter", "line") == "@system-service ~@debug" and unit_word("", "filter", "line") == ""
    for text in ("a\nb", "a\0", "a\u2028b", "\ud800"):
        with pytest.raises(AnsibleFilterError, match="^filter: .* give it as one line of text"):
            unit_word(text, "filter", "line")
