# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What the modules for clusters and swarms have in common: they check their options, and what a server answers, before they use it."""

import contextlib
from typing import Any, Callable, Dict, Iterator, Optional
from urllib.parse import urlsplit

from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError

LONGEST = 4096
"""Longest text of an option that is not a document, in characters: more than any name, path or URL has."""

LONGEST_VALUE = 262144
"""Longest value of an annotation or a variable, in characters."""

LONGEST_TIME = 365 * 24 * 60 * 60
"""In seconds."""

JUDGED_ELSEWHERE = ("token", "api_key", "token_source")
"""Texts that have rules and messages of their own, or are only ever shown."""


class OddAnswer(EdgeError):
    """A server that answers, but not as it should."""


def check_options(params: Dict[str, Any], spec: Dict[str, Any]) -> None:
    """Check what servers require of options, beyond :func:`_checks.options`: texts of one line, and numbers in range.

    :raises OptionError: an option cannot be used
    """
    for name in sorted(spec):
        value = params.get(name)
        if spec[name].get("type") == "int":
            if value is not None:
                check_number(name, value)
        elif name not in JUDGED_ELSEWHERE and spec[name].get("type") != "dict":
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str):
                    check_text(f"option {name}", text)


def check_text(what: str, text: str) -> None:
    """Check that a text can stand in a name, a path, a URL or a header.

    :raises OptionError: it cannot
    """
    if len(text) > LONGEST:
        raise OptionError(f"{what} has {len(text)} characters: at most {LONGEST} are possible")
    for position, character in enumerate(text, 1):
        if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 or 0xD800 <= ord(character) < 0xE000:
            fault = "a line break" if character in "\r\n" else "a control character" if ord(character) < 0xA0 else "an invalid character"
            raise OptionError(f"{what} has {fault} at character {position}: it has to be text of one line")


def check_number(name: str, value: int) -> None:
    """Check a number of seconds or of things.

    :raises OptionError: it is negative or too large
    """
    if not 0 <= value <= LONGEST_TIME:
        raise OptionError(f"option {name} is out of range: 0 to {LONGEST_TIME} are possible")


def texts(what: str, found: Optional[Dict[Any, Any]]) -> Dict[str, str]:
    """Return a map whose values are all texts: YAML makes a boolean of ``true``, but the reader of a label looks for ``true``.

    :raises OptionError: a value is not a text, a number or a boolean
    """
    answer = {}
    for key, value in (found or {}).items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, (int, float)):
            value = str(value)
        if isinstance(key, bool) or not isinstance(key, (str, int)) or not str(key):
            raise OptionError(f"{what}: a key has to be text, and not empty: put it in quotation marks")
        check_text(f"a key of {what}", str(key)[: LONGEST + 1])
        if not isinstance(value, str):
            kind = "a dictionary" if isinstance(value, dict) else "a list" if isinstance(value, list) else "empty" if value is None else "not text"
            raise OptionError(f"{what}: the value of {key} is {kind}: it has to be text")
        if len(value) > LONGEST_VALUE or any(each == "\0" or "\ud800" <= each <= "\udfff" for each in value):
            raise OptionError(f"{what}: the value of {key} is too long, or has an invalid character")
        answer[str(key)] = value
    return answer


def record(where: str, found: Any, required: Dict[str, type], optional: Dict[str, type]) -> Dict[str, Any]:
    """Return a dictionary with all keys that it may have, None for those that are missing.

    Not done by the argument specification: where that finds a fault in sub-options, older ansible-core shows all options before it knows
    which are secret.

    :raises OptionError: a required key is missing, or there is an unknown one
    """
    if not isinstance(found, dict):
        raise OptionError(f"{where} has to be a dictionary")
    known = {**required, **optional}
    missing = sorted(key for key in required if found.get(key) is None)
    if missing:
        raise OptionError(f"{where}: missing {', '.join(missing)}")
    unknown = len([key for key in found if key not in known])
    if unknown:
        raise OptionError(f"{where} has {'an unknown key' if unknown == 1 else 'unknown keys'}: {', '.join(sorted(known))} are possible")
    for key in sorted(known):
        value = found.get(key)
        if value is None:
            continue
        if not isinstance(value, known[key]):
            raise OptionError(f"{where}: {key} has to be {'a list' if known[key] is list else 'text'}")
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                raise OptionError(f"{where}: {key} has to hold texts")
            check_text(f"{where}: {key}", text)
    return {key: found.get(key) for key in known}


def learn_url(learn: Callable[[str], Any], url: Any) -> None:
    """Keep a password that stands in a URL out of all output."""
    try:
        password = urlsplit(url).password if isinstance(url, str) else None
    except ValueError:  # not a URL; whoever uses it reports that
        return
    if password:
        learn(password)


@contextlib.contextmanager
def reading(who: str, what: str) -> Iterator[None]:
    """Turn faults of code that reads a server's answer into one that says who answered, and what is wrong with it.

    :raises OddAnswer: the answer is not as every server of this kind gives it
    """
    fault = None
    try:
        yield
    except KeyError as exc:  # the key is one that we asked for
        key = exc.args[0] if exc.args and isinstance(exc.args[0], str) else "something"
        fault = f"{what}: missing {key}"
    except (AttributeError, IndexError, TypeError, ValueError):
        fault = f"{what}: unexpected structure"
    if fault is not None:
        raise OddAnswer(f"{who} answers, but not as it should ({fault}): check the address, and any proxy in between")
