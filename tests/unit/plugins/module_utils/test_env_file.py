# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._env_file import EnvFileError, parse, render
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,12}\Z")
VALUES = st.text(st.characters(blacklist_categories=["Cc", "Cs"]), max_size=40)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_is_written_is_read_back(variables: dict[str, str]) -> None:
    assert parse(render(variables)) == variables


@given(st.dictionaries(NAMES, st.text(alphabet="ab \"'\\$`#;=%", max_size=12), max_size=3))
def test_what_quoting_is_about_is_read_back(variables: dict[str, str]) -> None:
    assert parse(render(variables)) == variables


@given(st.text())
def test_any_text_is_read_without_a_surprise(text: str) -> None:
    parse(text)


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"A": "exp_bk_a.b-c"}, "A=exp_bk_a.b-c\n"),  # bare, so that a shell can read it too
        ({"A": ""}, "A=\n"),
        ({"A": "x y"}, 'A="x y"\n'),
        ({"A": 'a"b\\c$d`e'}, 'A="a\\"b\\\\c\\$d\\`e"\n'),
        ({"B": "1", "A": "2"}, "B=1\nA=2\n"),
    ],
)
def test_render(variables: dict[str, str], text: str) -> None:
    assert render(variables) == text


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "\u00c4", "A\n"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(EnvFileError):
        render({name: "x"})


@pytest.mark.parametrize("value", ["secret\n", "secret\0", "\x1bsecret", "secret\x7f", "secret\ud800"])
def test_a_bad_value_is_refused_and_not_quoted(value: str) -> None:
    with pytest.raises(EnvFileError) as caught:
        render({"NAME": value})
    assert "NAME" in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("A=1", {"A": "1"}),
        ("  A = 1  \n", {"A": "1"}),
        ("# A=1\n; B=2\nC=3", {"C": "3"}),
        ("# comment \\\nA=1", {"A": "1"}),
        ("A='x \"y'", {"A": 'x "y'}),
        ("A='a' \"b\"c ", {"A": "abc"}),
        ('A="x\\n\\"\\$"', {"A": 'x\\n"$'}),
        ('A="one\\\ntwo"', {"A": "onetwo"}),
        ("A=one\\\ntwo", {"A": "onetwo"}),
        ("A=one\\ \nB=2", {"A": "one ", "B": "2"}),
        ("A=x'y'", {"A": "x'y'"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A='open\nB=1", {"A": "open\nB=1"}),
        ("export A=1", {}),
        ("nothing\nA=1\r\nB=2", {"A": "1", "B": "2"}),
        ("=1\n", {}),
        ("='x\nA=1", {"A": "1"}),
        ("=='x\nA=1", {}),
    ],
)
def test_parse_as_systemd_does(text: str, variables: dict[str, str]) -> None:
    assert parse(text) == variables
