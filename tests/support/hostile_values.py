# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that nobody should give to an option or a variable."""

from __future__ import annotations

from typing import Any


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = "x"
    for _each in range(depth):
        value = [value]
    return value


def values(token: str) -> tuple[Any, ...]:
    """All of them; a token is in some."""
    return (
        *(None, True, 0, -1, 10**30, 1.5, 1e308, float("inf"), float("nan")),
        *("", " ", "\0", "a\0b", "two\nlines", "\ud800", "\u0661\u0662\u0663", "\u202egnp.exe", "a\u2028b", "\ufeffx", "x" * 5000),
        *("{{ 7 * 7 }}", "{{ nowhere_defined }}", "{{ broken", "{% raw %}", "{# comment", "!unsafe x", "-rf", "$(id)", "`id`", "%s%n"),
        *("../../etc/passwd", "/", "/dev/zero", "/proc/self/mem", "/proc/self/fd/0", "/nowhere/file", "/" + "a" * 300, "/a" * 3000, "~nobody/x"),
        *("https://user:secret@127.0.0.1:9/", "http://127.0.0.1:9", "tcp://127.0.0.1:9", "unix:///nowhere", "9" * 400, "0x1F", "1d", "1e5", "-3", "0o600"),
        *("u=rwX,g=,o=", "0%", "200%", "yes", "maybe", "*", "all:!all", "a,b", "[", "(?x", "2027-02-30"),
        *([], {}, [None], [[]], [1, 2, "3"], {"a": {"b": []}}, {"": ""}, {1: 2}, {None: None}, {"a\nb": "c"}, {(): {}}, b"\xff", {1, 2}, object()),
        *(token, f" {token} ", [token], {"token": token}, {token: 1}, [[token]], nested(300), nested(700), nested(5000)),
    )
