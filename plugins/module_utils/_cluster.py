# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What the modules for clusters and swarms have in common: they look at their options, and at what a server answers, before they use it."""

import contextlib
from typing import Any, Callable, Dict, Iterator, Optional
from urllib.parse import urlsplit

from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError

LONGEST = 4096
"""Longest text of an option that is no document, in characters: more than any name, path or URL has."""

LONGEST_VALUE = 262144
"""Longest value of an annotation or a variable."""

LONGEST_TIME = 365 * 24 * 60 * 60

JUDGED_ELSEWHERE = ("token", "api_key", "token_source")
"""Texts that have rules and messages of their own, or are only ever shown."""


class OddAnswer(EdgeError):
    """A server that answers, but not as it should."""


def check_options(params: Dict[str, Any], spec: Dict[str, Any]) -> None:
    """See that the options hold what can be used at all, before anything is done with them.

    :raises OptionError: one does not
    """
    for name in sorted(spec):
        value = params.get(name)
        if value is None:
            if spec[name].get("required") or spec[name].get("default") is not None:
                raise OptionError("option {0} is null: give it a value{1}".format(name, "" if spec[name].get("required") else ", or leave it out"))
        elif spec[name].get("type") == "int":
            check_number(name, value)
        elif name not in JUDGED_ELSEWHERE and spec[name].get("type") != "dict":
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str):
                    check_text("option {0}".format(name), text)


def check_text(what: str, text: str) -> None:
    """See that a text can stand in a name, a path, a URL or a header.

    :raises OptionError: it cannot
    """
    if len(text) > LONGEST:
        raise OptionError("{0} is {1} characters long, {2} are possible".format(what, len(text), LONGEST))
    for position, character in enumerate(text):
        if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 or 0xD800 <= ord(character) < 0xE000:
            raise OptionError(
                "{0} has {1} at character {2}: it has to be text of one line".format(
                    what, "a line break" if character in "\r\n" else "a control character" if ord(character) < 0xA0 else "what is no character", position + 1
                )
            )


def check_number(name: str, value: int) -> None:
    """See that a number of seconds, or of things, is one.

    :raises OptionError: it is not
    """
    if not 0 <= value <= LONGEST_TIME:
        raise OptionError("option {0} is out of range: 0 to {1} are possible".format(name, LONGEST_TIME))


def texts(what: str, found: Optional[Dict[Any, Any]]) -> Dict[str, str]:
    """Return a map whose values are all texts: YAML makes a boolean of ``true``, and whoever reads the label looks for ``true``.

    :raises OptionError: a value is none, such as a list
    """
    answer = {}
    for key, value in (found or {}).items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, (int, float)):
            value = str(value)
        if isinstance(key, bool) or not isinstance(key, (str, int)) or not str(key):
            raise OptionError("{0}: a key has to be text, and not empty: put it in quotation marks".format(what))
        check_text("a key of {0}".format(what), str(key)[: LONGEST + 1])
        if not isinstance(value, str):
            kind = "a dictionary" if isinstance(value, dict) else "a list" if isinstance(value, list) else "empty" if value is None else "no text"
            raise OptionError("{0}: the value of {1} is {2}: it has to be text".format(what, key, kind))
        if len(value) > LONGEST_VALUE or any(each == "\0" or "\ud800" <= each <= "\udfff" for each in value):
            raise OptionError("{0}: the value of {1} is too long, or holds what is no character".format(what, key))
        answer[str(key)] = value
    return answer


def record(where: str, found: Any, required: Dict[str, type], optional: Dict[str, type]) -> Dict[str, Any]:
    """Return a dictionary with all that it may have, None where it has it not.

    Not a matter of the argument specification: where that finds a fault in sub-options, older ansible-core shows all options before it knows
    which are secret.

    :raises OptionError: it lacks something, or has something else
    """
    if not isinstance(found, dict):
        raise OptionError("{0} has to be a dictionary".format(where))
    known = dict(required, **optional)
    lacking = sorted(key for key in required if found.get(key) is None)
    if lacking:
        raise OptionError("{0} lacks {1}".format(where, ", ".join(lacking)))
    unknown = len([key for key in found if key not in known])
    if unknown:
        raise OptionError("{0} has {1}: {2} are possible".format(where, "an unknown key" if unknown == 1 else "unknown keys", ", ".join(sorted(known))))
    for key in sorted(known):
        value = found.get(key)
        if value is None:
            continue
        if not isinstance(value, known[key]):
            raise OptionError("{0}: {1} has to be {2}".format(where, key, "a list" if known[key] is list else "text"))
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                raise OptionError("{0}: {1} has to hold texts".format(where, key))
            check_text("{0}: {1}".format(where, key), text)
    return {key: found.get(key) for key in known}


def learn_url(learn: Callable[[str], Any], url: Any) -> None:
    """Keep a password that stands in a URL out of all that is said."""
    try:
        password = urlsplit(url).password if isinstance(url, str) else None
    except ValueError:  # no URL; what it is for says so
        return
    if password:
        learn(password)


@contextlib.contextmanager
def reading(who: str, what: str) -> Iterator[None]:
    """Say of an answer that lacks what every server of this kind gives that it does, and who answered.

    :raises OddAnswer: it does
    """
    fault = None
    try:
        yield
    except KeyError as exc:  # the key is one that we asked for
        fault = "{0} lacks {1}".format(what, exc.args[0] if exc.args and isinstance(exc.args[0], str) else "something")
    except (AttributeError, IndexError, TypeError, ValueError):
        fault = "{0} is of another shape".format(what)
    if fault is not None:
        raise OddAnswer("{0} answers, but not as it should: {1}; is that the right address, and nothing in between that answers itself?".format(who, fault))
