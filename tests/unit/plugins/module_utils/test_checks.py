# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import time
from typing import Any, Dict, Union

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError

SPEC: Dict[str, Dict[str, Any]] = {
    "token": {"type": "str", "no_log": True},
    "path": {"type": "path", "required": True},
    "owner": {"type": "str"},
    "variables": {"type": "dict", "default": {}},
    "strict": {"type": "bool", "default": False},
}
SOUND: Dict[str, Any] = {"token": None, "path": "/a", "owner": None, "variables": {}, "strict": False}


def brief(value: object) -> str:
    """A test's name, which Python would not print of a very large number."""
    return "a huge number" if isinstance(value, int) and value > 1 << 64 else repr(value)[:40].encode("ascii", "backslashreplace").decode()


@pytest.mark.parametrize(
    "given", [{}, {"owner": "ü ✓\n"}, {"token": "\0\ud800"}, {"variables": {"A": [1, None, {"b": True}]}}, {"path": "x" * _checks.LONGEST}], ids=brief
)
def test_options_that_can_be_worked_with(given: Dict[str, Any]) -> None:
    _checks.options(SPEC, {**SOUND, **given})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"strict": None}, "option strict is null: give it a value, or leave it out for its default"),
        ({"variables": None}, "option variables is null"),
        ({"path": None}, "option path is null, but it is needed"),
        ({"owner": "a\0"}, r"option owner has a NUL character \(character 2\)"),
        ({"owner": "\udcff"}, r"option owner has a character that UTF-8 cannot hold \(character 1\)"),
        ({"variables": {"A": [{"B": "\0"}]}}, "option variables has a NUL character"),
        ({"variables": {"\ud800": 1}}, "option variables has a character that UTF-8 cannot hold"),
        ({"path": "x" * 10_000_000}, "option path has 10000000 characters, more than 1048576: give it a shorter one"),
        ({"token": "x" * 10_000_000}, "option token has 10000000 characters"),
    ],
    ids=brief,
)
def test_options_that_cannot(given: Dict[str, Any], says: str) -> None:
    started = time.process_time()
    with pytest.raises(OptionError, match=says):
        _checks.options(SPEC, {**SOUND, **given})
    assert time.process_time() - started < 1


PLAIN: Dict[str, Dict[str, Any]] = {
    "name": {"type": "str"},
    "path": {"type": "path", "default": "/etc/expanso"},
    "paths": {"type": "list", "elements": "path", "default": []},
    "token": {"type": "str", "no_log": True},
    "units": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 120},
}


@pytest.mark.parametrize("given", [{}, {"name": "b\u00f6rse"}, {"paths": ["/a", "/b c", 7]}, {"token": "a\nb"}, {"units": {"a": "b\nc"}}, {"path": None}])
def test_plain_options(given: Dict[str, Any]) -> None:
    _checks.plain_options(PLAIN, given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"paths": ["/a", ""]}, "option paths: element 2 is empty: leave it out"),
        ({"paths": [None]}, "option paths: element 1 is empty: leave it out"),
        ({"path": ""}, "option path: the path is not absolute: ''"),
        ({"path": "etc/expanso"}, "option path: the path is not absolute: etc/expanso"),
        ({"path": "/a\0b"}, "option path has a NUL character (character 3): remove it"),
        ({"name": "a\n"}, "option name has a line break at character 2: give it as one line of text"),
        ({"paths": ["/a", "/b\x1b[1m"]}, "option paths (element 2) has a control character (U+001B) at character 3: give it as one line of text"),
        ({"path": "/a\udcff"}, "option path has a character that UTF-8 cannot hold (character 3): remove it"),
        ({"name": "x" * 10_000_000}, "option name has 10000000 characters, more than 4096"),
    ],
    ids=brief,
)
def test_options_that_are_not_plain(given: Dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as fault:
        _checks.plain_options(PLAIN, given)
    assert str(fault.value) == message


@pytest.mark.parametrize(("value", "plain"), [("/a//b/../c/", "/a/c"), ("//a", "/a"), ("/ü", "/ü"), ("/" + "n" * 255, "/" + "n" * 255)])
def test_path(value: str, plain: str) -> None:
    assert _checks.path(value, "path") == plain


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "option path: the path is not absolute: ''"),
        ("a/b", "option path: the path is not absolute: a/b"),
        ("/", "option path: / is the root directory"),
        ("/a/..", "option path: / is the root directory"),
        ("/\U0001f511" * 10 + "\U0001f511" * 63, "option path: File name too long: a name in it has 256 bytes"),
        ("/abc" * 1024, "option path: File name too long: the path has 4096 bytes"),
        ("/a\0", "option path has a NUL character"),
        ("/etc/token\n", "option path has a line break at character 11: give it as one line of text"),
        ("/etc/\x1b[1mtoken", r"option path has a control character \(U\+001B\) at character 6: give it as one line"),
    ],
    ids=brief,
)
def test_path_refuses(value: str, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        _checks.path(value, "path")


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a\n", "n" * 256, "\udcff", "a\0"], ids=brief)
def test_name_refuses(value: str) -> None:
    assert _checks.name("expanso-edge.service", "unit") == "expanso-edge.service"
    with pytest.raises(OptionError, match="^option unit"):
        _checks.name(value, "unit")


@pytest.mark.parametrize(
    ("value", "number"),
    [("0", 0), ("4294967294", 4294967294), ("4294967295", None), ("٠", None), ("9" * 10000, None), ("-1", None)],
    ids=brief,
)
def test_number(value: str, number: Any) -> None:
    assert _checks.number(value) == number


@pytest.mark.parametrize("value", [0, -1, 10**12, 10**5000], ids=brief)
def test_seconds(value: int) -> None:
    assert _checks.seconds(120, "timeout") == 120 and _checks.seconds(0, "interval", least=0) == 0
    with pytest.raises(OptionError, match="^option timeout is .*, but has to be 1 to "):
        _checks.seconds(value, "timeout")


@pytest.mark.parametrize(("value", "text"), [(None, ""), (True, "true"), (False, "false"), (4711, "4711"), ("x", "x"), (1.5, "1.5")])
def test_scalar(value: Any, text: str) -> None:
    assert _checks.scalar(value, "the value of A") == text


@pytest.mark.parametrize(
    ("value", "says"),
    [({"a": 1}, "not a text but a dictionary"), ([1], "not a text but a list"), (10**5000, "of too many digits")],
    ids=brief,
)
def test_scalar_refuses(value: Any, says: str) -> None:
    with pytest.raises(OptionError, match=f"^the value of A is .*{says}"):
        _checks.scalar(value, "the value of A")


def test_a_node_without_a_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsencode", lambda text: text.encode("ascii", "surrogateescape"))
    assert _checks.path("/etc/token", "path") == "/etc/token"
    for check in (_checks.path, _checks.name):
        with pytest.raises(OptionError, match="^option path has a character that this node's locale cannot hold"):
            check("/ü" if check is _checks.path else "ü", "path")


@pytest.mark.parametrize(
    ("text", "mode"), [("0600", 0o600), ("600", 0o600), ("0400", 0o400), ("0640", 0o640), ("0440", 0o440), (384, 0o600), ("0000", 0), ("0o600", 0o600)]
)
def test_mode(text: Union[str, int], mode: int) -> None:
    assert _checks.mode(text, 0o640) == mode


NO_MODES = ["0644", "0660", "0700", "0601", "4600", "u=rw", "", "384", "-600", "rw-------", 420, 600, -1, " 06 00"]
NO_MODES += [False, True, 0, "0", " 0600", "0600\n", "0_600", "٠٦٠٠", "0" * 10000, 10**5000]


@pytest.mark.parametrize("text", NO_MODES, ids=brief)
def test_what_is_not_a_mode(text: Union[str, int]) -> None:
    with pytest.raises(OptionError, match="octal"):
        _checks.mode(text, 0o640)
