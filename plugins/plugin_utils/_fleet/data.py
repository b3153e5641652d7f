# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Lists that people write: registry and waivers. A mistake is named by entry and key, never with a value that may be a token."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import looks_like_token, plain_name
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import FINGERPRINT, Json

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST = 1000


class DataError(ValueError):
    """What is wrong with something that a person gave, and what to do."""


def entries(value: Any, what: str, fields: Mapping[str, Callable[[Any], Any]], required: tuple[str, ...]) -> list[Json]:
    """Return the entries of a list with all fields, those that are not given as None.

    :param what: what the list is, for messages
    :param fields: for each key, what checks and returns its value
    :raises DataError: an entry is not as it must be
    """
    if value is None:
        return []
    if not isinstance(value, (list, tuple)):
        raise DataError(f"{what}: it must be a list of entries, each with {_list(required)}")
    return [_entry(each, f"{what}, entry {count}", fields, required) for count, each in enumerate(value, 1)]


def _entry(given: Any, where: str, fields: Mapping[str, Callable[[Any], Any]], required: tuple[str, ...]) -> Json:
    if not isinstance(given, Mapping):
        raise DataError(f"{where}: it must consist of keys with values: {_list(fields)}")
    for key in given:
        if key not in fields:
            raise DataError(f"{where}: it has an {unknown(key, 'key', fields)}; known are {_list(fields)}")
    result: Json = dict.fromkeys(fields)
    for key, check in fields.items():
        if given.get(key) is not None:
            try:
                result[key] = check(given[key])
            except DataError as exc:
                raise DataError(f"{where}: {key} {exc}") from None
        elif key in required:
            raise DataError(f"{where}: {key} is missing")
    return result


def unknown(name: Any, what: str, known: Iterable[str]) -> str:
    """Return that a name is unknown, in words, with the one that may be meant. It is not shown where it may be a token."""
    if not isinstance(name, str) or not plain_name(name):
        return f"unknown {what}"
    near = get_close_matches(name, known, 1)
    return f"unknown {what} '{name}'" + (f" (did you mean '{near[0]}'?)" if near else "")


def _list(names: Any) -> str:
    return ", ".join(names)


def text(value: Any) -> str:
    """Return a text of a person."""
    if not isinstance(value, str) or not value.strip():
        raise DataError("must be a text that is not empty (put it in quotation marks)")
    if looks_like_token(value):
        raise DataError("seems to contain a token: remove it from there, and use the token's fingerprint where one is needed")
    if len(value) > _LONGEST or not value.isprintable():
        raise DataError(f"must be one line of printable characters, at most {_LONGEST}")
    return str(value)


def texts(value: Any) -> list[str]:
    """Return a list of texts. A single text is a list of one."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values:
        raise DataError("must not be an empty list: leave it out, or name something")
    return [text(each) for each in values]


def fingerprint(value: Any) -> str:
    """Return a fingerprint. Anything else may be a token, and is not shown."""
    if isinstance(value, str) and FINGERPRINT.fullmatch(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and FINGERPRINT.fullmatch(str(value)):
        return str(value)  # twelve digits, without quotation marks
    raise DataError(
        "must be 12 hexadecimal digits in quotation marks, as the filter expanso.edge.token_fingerprint and all reports show them; a token must never be here"
    )


def count(value: Any) -> int:
    """Return a number of nodes."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DataError("must be a whole number, 0 or more")
    return int(value)


def day(value: Any) -> date:
    """Return a date. YAML may have made one already."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            pass
    raise DataError("must be a date such as 2027-01-31")
