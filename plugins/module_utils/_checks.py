# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Whether options have possible values, before anything is done with them.

Pure: looks at nothing but the values. Every fault names its option, and tells what is wrong rather than show a value that may be anything.
"""

import os
import re
from typing import Any, Dict, Iterator, Optional, Union

from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError

LONGEST = 1 << 20
"""Characters that a text may have. A unit, a certificate or a manifest has far less; more than this takes long only to be looked through."""

LONGEST_LINE = 4096
"""Characters that a path, a name or a URL may have: PATH_MAX of Linux."""

LONGEST_NAME = 255
"""Bytes that the name of a file may have, on all of Linux's file systems."""

LONGEST_PATH = 4095
"""Bytes that a path may have: PATH_MAX without the NUL at its end."""

SYSTEM_DIRECTORIES = (
    "/", "/bin", "/boot", "/dev", "/etc", "/etc/systemd", "/etc/systemd/system", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run",
    "/sbin", "/srv", "/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/local", "/usr/local/bin", "/usr/local/etc", "/usr/sbin", "/usr/share",
    "/var", "/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp",
)  # fmt: skip
"""Programs of other accounts need them as the system made them, so none is a place for the agent alone."""

A_WEEK = 7 * 24 * 3600
"""Seconds that an agent may be waited for: more is a slip, and more than some calls of the system can take."""

A_YEAR = 366 * 24 * 3600

_LARGEST = 1 << 64

_JUDGED_ELSEWHERE = ("token", "api_key", "token_source")
"""Texts for a server that have rules and messages of their own, or are only ever shown."""

_MODE = re.compile("(?:0o)?([0-7]{3,5})")
_NUMBER = re.compile("[0-9]{1,10}")
_FINGERPRINT = re.compile("[0-9a-f]{12}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
SURROGATE = re.compile("[\ud800-\udfff]")


class OptionError(EdgeError):
    """An option with an impossible value."""


def options(spec: Dict[str, Dict[str, Any]], params: Dict[str, Any]) -> None:
    """Check that all options have values that can be worked with.

    The characters of a token are judged elsewhere; its length is not, because searching so much takes long.

    :param spec: the argument spec of a module
    :raises OptionError: one of them has not
    """
    for name, option in spec.items():
        value = params.get(name)
        if value is None:
            _check_null(name, option)
        for each in _texts(value):
            if len(each) > LONGEST:
                fault = {"fault": "too_long"} if name == "token" else {}
                raise OptionError(f"option {name} has {len(each)} characters, more than {LONGEST}: give it a shorter one", **fault)
            if name != "token":
                text(each, name)


def _check_null(name: str, option: Dict[str, Any]) -> None:
    if option.get("default") is not None:
        raise OptionError(f"option {name} is null: give it a value, or leave it out for its default")
    if option.get("required"):
        raise OptionError(f"option {name} is null, but it is needed: give it a value")


def plain_options(spec: Dict[str, Dict[str, Any]], params: Dict[str, Any]) -> None:
    """Check that paths are absolute, that texts have one line, and that no element of a list is empty.

    What is secret or has a structure is checked where it is used.

    :param spec: the argument spec of a module
    :raises OptionError: one of them is not so
    """
    for name, option in spec.items():
        value = params.get(name)
        if option.get("no_log") or option.get("type") == "dict":
            continue
        if isinstance(value, list):
            for count, each in enumerate(value, 1):
                if each is None or each == "":
                    raise OptionError(f"option {name}: element {count} is empty: leave it out")
                if isinstance(each, str):
                    line(each, f"option {name} (element {count})")
        elif isinstance(value, str):
            line(value, f"option {name}")
            if option.get("type") == "path":
                absolute(value, name)


def server_options(spec: Dict[str, Dict[str, Any]], params: Dict[str, Any]) -> None:
    """Check what goes to a server: that texts have one line, and that numbers are in range.

    Unlike with :func:`plain_options` a path may be relative, and a password is looked at as well.

    :param spec: the argument spec of a module
    :raises OptionError: one of them is not so
    """
    for name, option in spec.items():
        value = params.get(name)
        if option.get("type") == "int":
            number_of(value, name)
        elif name not in _JUDGED_ELSEWHERE and option.get("type") != "dict":
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str):
                    line(each, f"option {name}")


def number_of(value: Optional[int], option: str) -> None:
    """Check how many seconds, hours, days or things an option asks for; None where it does not.

    :raises OptionError: it is negative, or beyond what can be calculated with
    """
    if value is not None and not 0 <= value <= A_YEAR:
        raise OptionError(f"option {option} is out of range: 0 to {A_YEAR} are possible")


def line(value: str, what: str) -> str:
    """Return a text of one line, such as a name, a path or a URL.

    :param what: names the value in the message, such as ``option name``
    :raises OptionError: it is too long, or has control characters
    """
    if len(value) > LONGEST_LINE:
        raise OptionError(f"{what} has {len(value)} characters, more than {LONGEST_LINE}")
    return _without_controls(value, what)


def _without_controls(value: str, what: str) -> str:
    found = _CONTROL.search(_holdable(value, what))
    if found:
        kind = "a line break" if found.group() in "\r\n" else f"a control character (U+{ord(found.group()):04X})"
        raise OptionError(f"{what} has {kind} at character {found.start() + 1}: give it as one line of text")
    return value


def text(value: str, option: str) -> str:
    """Return a text that files and programs can hold.

    :raises OptionError: it has a character that they cannot
    """
    return _holdable(value, f"option {option}")


def _holdable(value: str, what: str) -> str:
    found = re.search("\0", value)
    if found:
        raise OptionError(f"{what} has a NUL character (character {found.start() + 1}): remove it")
    found = SURROGATE.search(value)
    if found:
        raise OptionError(f"{what} has a character that UTF-8 cannot hold (character {found.start() + 1}): remove it")
    return value


def absolute(value: str, option: str) -> str:
    """Return an absolute path as it is.

    :raises OptionError: it is not absolute
    """
    if not os.path.isabs(text(value, option)):
        raise OptionError(f"option {option}: the path is not absolute: {short(value)}")
    return value


def path(value: str, option: str) -> str:
    """Return an absolute path in its plainest form.

    :raises OptionError: it is not absolute, is the root, is too long, or has control characters
    """
    plain = "/" + os.path.normpath(_without_controls(absolute(value, option), f"option {option}")).lstrip("/")
    if plain == "/":
        raise OptionError(f"option {option}: / is the root directory: name a file below it")
    size = _size(plain, option)
    if size > LONGEST_PATH:
        raise OptionError(f"option {option}: File name too long: the path has {size} bytes, and {LONGEST_PATH} is the most")
    longest = max(_size(part, option) for part in plain.split("/"))
    if longest > LONGEST_NAME:
        raise OptionError(f"option {option}: File name too long: a name in it has {longest} bytes, and {LONGEST_NAME} is the most")
    return plain


def name(value: str, option: str) -> str:
    """Return what can be the name of a file in a directory, as that of a credential or unit is.

    :raises OptionError: it cannot
    """
    if value in ("", ".", "..") or "/" in value or _CONTROL.search(value):
        raise OptionError(f"option {option}: {short(value)} cannot be the name of a file: give it without slashes and control characters")
    size = _size(text(value, option), option)
    if size > LONGEST_NAME:
        raise OptionError(f"option {option}: the name has {size} bytes, and {LONGEST_NAME} is the most")
    return value


def _size(value: str, option: str) -> int:
    """Return how many bytes a name has on the node. Python 3.6 takes a node without a locale for one that knows ASCII alone."""
    try:
        return len(os.fsencode(value))
    except UnicodeEncodeError:
        remedy = "give the node one with UTF-8, such as C.UTF-8, or name another path"
        raise OptionError(f"option {option} has a character that this node's locale cannot hold: {remedy}") from None


def mode(value: Union[str, int], allowed: int, option: str = "mode") -> int:
    """Return the permission bits of an octal text such as ``0600``.

    :param allowed: the bits that it may have
    :raises OptionError: it is not an octal number, or has other bits
    """
    bits = -1
    if isinstance(value, str):
        found = _MODE.fullmatch(value)
        bits = int(found.group(1), 8) if found else -1
    elif isinstance(value, int) and not isinstance(value, bool) and value:  # YAML makes a number of 0600 without quotation marks
        bits = value
    if bits < 0 or bits & ~allowed:
        given = short(value) if isinstance(value, str) else f"{_shown(value)} without quotation marks"
        raise OptionError(f"option {option}: {given} is not possible here: write it as a quoted octal string, which gives no more rights than '{allowed:04o}'")
    return bits


def number(value: str) -> Optional[int]:
    """Return the number of an account or group, None where a text is not such a number; the largest that 32 bits hold means "none" to the kernel."""
    found = int(value) if _NUMBER.fullmatch(value) else 0xFFFFFFFF
    return found if found < 0xFFFFFFFF else None


def fingerprint(value: str, option: str) -> str:
    """Return the fingerprint of a token, as the collection's results show it.

    :raises OptionError: it is something else
    """
    plain = value.strip().lower()
    if not _FINGERPRINT.fullmatch(plain):  # not shown: it may be a token by mistake
        raise OptionError(f"option {option}: this is not the fingerprint of a token, which has twelve hexadecimal digits, such as 5d41402abc4b")
    return plain


def seconds(value: int, option: str, least: int = 1, most: int = A_YEAR) -> int:
    """Return a time in seconds.

    :raises OptionError: it is too short or too long
    """
    if not least <= value <= most:
        raise OptionError(f"option {option} is {_shown(value)}, but has to be {least} to {most} seconds")
    return value


def scalar(value: Any, what: str) -> str:
    """Return a single value of YAML as the text that is meant by it.

    :param what: names the value in the message
    :raises OptionError: it is a list or a dictionary
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise OptionError(f"{what} is {_shown(value)}: give it as a quoted text")
    if isinstance(value, (str, int, float)):
        return str(value)
    raise OptionError(f"{what} is not a text but a {'dictionary' if isinstance(value, dict) else 'list'}: give it as one text")


def _shown(value: Any) -> str:
    """Return a value that is not a text as a message can hold it. Python refuses to print a number of more than 4300 digits."""
    return "a number of too many digits" if isinstance(value, int) and abs(value) > _LARGEST else short(str(value))


def short(value: str) -> str:
    """Return a value as a message can hold it: all of it where it is short and plain."""
    shown = value[:60].encode("utf-8", "replace").decode("utf-8")
    shown = "".join(each if each.isprintable() else "?" for each in shown)
    if value != value.strip() or not value:
        shown = f"'{shown}'"
    return shown if len(value) <= 60 else f"{shown}... ({len(value)} characters)"


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
