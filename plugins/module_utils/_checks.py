# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Whether the values of options can be meant, before anything is done with them.

Pure: looks at nothing but the values. Every fault names its option, and says what is wrong rather than show a value that may be anything.
"""

import os
import re
from typing import Any, Dict, Iterator, Optional, Union

from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError

LONGEST = 1 << 20
"""Characters that a text may have. A unit, a certificate or a manifest has far less; more than this takes long only to be looked through."""

LONGEST_NAME = 255
"""Bytes that the name of a file may have, on all of Linux's file systems."""

LONGEST_PATH = 4095
"""Bytes that a path may have: PATH_MAX without the NUL at its end."""

A_YEAR = 366 * 24 * 3600

_LARGEST = 1 << 64

_MODE = re.compile("(?:0o)?([0-7]{3,5})")
_NUMBER = re.compile("[0-9]{1,10}")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
SURROGATE = re.compile("[\ud800-\udfff]")


class OptionError(EdgeError):
    """An option whose value cannot be meant."""


def options(spec: Dict[str, Dict[str, Any]], params: Dict[str, Any]) -> None:
    """See that all options have values that can be worked with.

    A token's characters are left to those who judge tokens; its length is not, for nobody is to look through so much.

    :param spec: the argument spec of a module
    :raises OptionError: one has not
    """
    for name, option in spec.items():
        value = params.get(name)
        if value is None:
            _check_null(name, option)
        for each in _texts(value):
            if len(each) > LONGEST:
                fault = {"fault": "too_long"} if name == "token" else {}
                raise OptionError("option {0} has {1} characters, more than {2}: that cannot be meant".format(name, len(each), LONGEST), **fault)
            if name != "token":
                text(each, name)


def _check_null(name: str, option: Dict[str, Any]) -> None:
    if option.get("default") is not None:
        raise OptionError("option {0} is null: give it a value, or leave it out for its default".format(name))
    if option.get("required"):
        raise OptionError("option {0} is null, but it is needed: give it a value".format(name))


def text(value: str, option: str) -> str:
    """Return a text that files and programs can hold.

    :raises OptionError: it has a character that they cannot
    """
    found = re.search("\0", value)
    if found:
        raise OptionError("option {0} has a NUL character (character {1}): remove it".format(option, found.start() + 1))
    found = SURROGATE.search(value)
    if found:
        raise OptionError("option {0} has a character that UTF-8 cannot hold (character {1}): remove it".format(option, found.start() + 1))
    return value


def path(value: str, option: str) -> str:
    """Return an absolute path in its plainest form.

    :raises OptionError: it is not absolute, is the root, or is too long
    """
    if not os.path.isabs(text(value, option)):
        raise OptionError("option {0}: the path is not absolute: {1}".format(option, short(value)))
    plain = "/" + os.path.normpath(value).lstrip("/")
    if plain == "/":
        raise OptionError("option {0}: / is the root directory: name a file below it".format(option))
    size = _size(plain, option)
    if size > LONGEST_PATH:
        raise OptionError("option {0}: File name too long: the path has {1} bytes, and {2} is the most".format(option, size, LONGEST_PATH))
    longest = max(_size(part, option) for part in plain.split("/"))
    if longest > LONGEST_NAME:
        raise OptionError("option {0}: File name too long: a name in it has {1} bytes, and {2} is the most".format(option, longest, LONGEST_NAME))
    return plain


def name(value: str, option: str) -> str:
    """Return what can be the name of a file in a directory, as that of a credential or unit is.

    :raises OptionError: it cannot
    """
    if value in ("", ".", "..") or "/" in value or _CONTROL.search(value):
        raise OptionError("option {0}: {1} cannot be the name of a file: give it without slashes and control characters".format(option, short(value)))
    size = _size(text(value, option), option)
    if size > LONGEST_NAME:
        raise OptionError("option {0}: the name has {1} bytes, and {2} is the most".format(option, size, LONGEST_NAME))
    return value


def _size(value: str, option: str) -> int:
    """Return how many bytes a name has on the node. Python 3.6 takes a node without a locale for one that knows ASCII alone."""
    try:
        return len(os.fsencode(value))
    except UnicodeEncodeError:
        message = "option {0} has a character that this node's locale cannot hold: give the node one with UTF-8, such as C.UTF-8, or name another path"
        raise OptionError(message.format(option)) from None


def mode(value: Union[str, int], allowed: int, option: str = "mode") -> int:
    """Return the permission bits of an octal text such as ``0600``.

    :param allowed: the bits that it may have
    :raises OptionError: it is no octal number, or has other bits
    """
    bits = -1
    if isinstance(value, str):
        found = _MODE.fullmatch(value)
        bits = int(found.group(1), 8) if found else -1
    elif isinstance(value, int) and not isinstance(value, bool) and value:  # YAML makes a number of 0600 without quotation marks
        bits = value
    if bits < 0 or bits & ~allowed:
        given = short(value) if isinstance(value, str) else "{0} without quotation marks".format(_shown(value))
        message = "{0} {1} is not possible here: write it as a quoted octal string, with no bits but those of '{2:04o}'"
        raise OptionError(message.format(option, given, allowed))
    return bits


def number(value: str) -> Optional[int]:
    """Return the number of an account or group, None where a text is no such number; the largest that 32 bits hold means "none" to the kernel."""
    found = int(value) if _NUMBER.fullmatch(value) else 0xFFFFFFFF
    return found if found < 0xFFFFFFFF else None


def seconds(value: int, option: str, least: int = 1, most: int = A_YEAR) -> int:
    """Return a time in seconds.

    :raises OptionError: it is too short or too long
    """
    if not least <= value <= most:
        raise OptionError("{0} is {1}, but has to be {2} to {3} seconds".format(option, _shown(value), least, most))
    return value


def scalar(value: Any, what: str) -> str:
    """Return a single value of YAML as the text that is meant by it.

    :param what: it is, for the message
    :raises OptionError: it is a list or a dictionary
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise OptionError("{0} is {1}: give it as a quoted text".format(what, _shown(value)))
    if isinstance(value, (str, int, float)):
        return str(value)
    raise OptionError("{0} is not a text but a {1}: give it as one text".format(what, "dictionary" if isinstance(value, dict) else "list"))


def _shown(value: Any) -> str:
    """Return a value that is no text as a message can hold it. Python refuses to print a number of more than 4300 digits."""
    return "a number of too many digits" if isinstance(value, int) and abs(value) > _LARGEST else short(str(value))


def short(value: str) -> str:
    """Return a value as a message can hold it: all of it where it is short and plain."""
    shown = value[:60].encode("utf-8", "replace").decode("utf-8")
    shown = "".join(each if each.isprintable() else "?" for each in shown)
    if value != value.strip() or not value:
        shown = "'{0}'".format(shown)
    return shown if len(value) <= 60 else "{0}... ({1} characters)".format(shown, len(value))


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts of a value, names in dictionaries included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in list(value) + list(value.values()):
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
