# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The file that systemd reads through ``EnvironmentFile=``, written and read by the rules of systemd.exec(5).

Pure. :func:`parse` follows what systemd does (``src/basic/env-file.c``), which is not quite what a shell does. Where its versions differ,
which is for a comment that ends with a backslash alone, the newer ones count.
"""

import re
from typing import Dict, cast

from ansible_collections.expanso.edge.plugins.module_utils._checks import short
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_-]*")
_NEEDS_ESCAPE = re.compile(r'(["\\`$])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

# The parts of a file, in the order in which they are tried at a position.
_GAP = re.compile(r"[ \t\r\n]+|[#;](?:[^\\\r\n]|\\[^\r\n]|\\(?=[\r\n]|\Z))*")
_KEY = re.compile(r"([^\r\n][^=\r\n]*)(=|[\r\n]|\Z)")  # an equals sign at its beginning belongs to it
_QUOTED = re.compile(r"""[ \t]*(?:'([^']*)(?:'|\Z)|"((?:[^"\\]|\\.)*)(?:"|\\?\Z))""", re.DOTALL)
_UNQUOTED = re.compile(r"[ \t]*((?:[^\\\r\n]|\\.)*)", re.DOTALL)


class EnvFileError(EdgeError):
    """A variable that such a file cannot hold. The message names it, never its value."""


def render(variables: Dict[str, str]) -> str:
    """Return the text of an environment file, one variable a line, in the order given.

    :raises EnvFileError: a name is not the name of a variable, or a value has a control character
    """
    return "".join(f"{_checked(name, value)}={_quote(value)}\n" for name, value in variables.items())


def parse(text: str) -> Dict[str, str]:
    """Return the variables as systemd sets them: comments, quotation marks, escapes and continued lines understood."""
    found: Dict[str, str] = {}
    position = 0
    while position < len(text):
        gap = _GAP.match(text, position)
        if gap:
            position = gap.end()
            continue
        key = cast("re.Match[str]", _KEY.match(text, position))  # matches wherever there is no gap
        position = key.end()
        if key.group(2) != "=":
            continue
        value = ""
        quoted = _QUOTED.match(text, position)
        while quoted:
            single, double = quoted.groups()
            value += single if single is not None else re.sub(r'(?s)\\(["\\`$])|\\\n', lambda m: m.group(1) or "", double)
            position = quoted.end()
            quoted = _QUOTED.match(text, position)
        rest = cast("re.Match[str]", _UNQUOTED.match(text, position))
        position = rest.end()
        # an escaped character stands for itself, an escaped line break for nothing; blanks at the end go
        value += re.sub(r"(?s)\\([\r\n]|(.))|[ \t]+\Z", lambda m: m.group(2) or "", rest.group(1))
        name = key.group(1).rstrip(" \t")
        if _NAME.fullmatch(name):
            found[name] = value
    return found


def _checked(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise EnvFileError(f"'{short(name)}' is not the name of a variable: use letters, digits and underscores only, and no digit first")
    if _CONTROL.search(value):
        raise EnvFileError(f"the value of {name} has a line break or another control character, which an environment file cannot hold")
    return name


def _quote(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = _NEEDS_ESCAPE.sub(r"\\\1", value)
    return f'"{escaped}"'
