# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The variable behind an option that a message names: who applies a role types its variables, and never sees the options of its modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_OPTION = re.compile(r"\b(?:option '?|argument '|value of )([a-z_]+(?:\.[a-z_]+)*)'?(?!['a-z_]| \()")
"""In messages of this collection, and in those of Ansible's own checks, such as ``argument 'mode' is of type`` and ``value of state must be one of``."""

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z]\w*)\s*(?:\||\}\}|(?:or|if)\b)")

_MOST_DEFAULTS = 5
"""Variables that may be each other's default, so that a variable that refers to itself is no endless loop."""


def written(task: Any) -> Mapping[str, Any]:
    """Return a task's options as its author wrote them, with their templates. It is empty where Ansible does not keep them."""
    source = getattr(task, "_ds", None)
    module = str(task.action).rpartition(".")[2]
    found = [options for key, options in source.items() if str(key).rpartition(".")[2] == module] if isinstance(source, Mapping) else []
    return found[0] if found and isinstance(found[0], Mapping) else {}


def named_as_typed(result: dict[str, Any], task: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's result. If it failed, its message names variables as well."""
    if not result.get("failed") or not isinstance(result.get("msg"), str):
        return result
    message = as_typed(result["msg"], written(task), variables)
    # since ansible-core 2.19 this holds the message once more, and is shown above the result
    return result if message == result["msg"] else {**{name: value for name, value in result.items() if name != "exception"}, "msg": message}


def as_typed(message: str, options: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    """Return a message with the variable behind each option that it names, such as ``option path (token_file_path)``.

    :param options: what :func:`written` returned
    :param variables: of the host, with their templates
    """

    def named(match: re.Match[str]) -> str:
        name = _variable(_value(options, match[1]), variables)
        return f"{match[0]} ({name})" if name else match[0]

    return _OPTION.sub(named, message)


def _value(options: Mapping[str, Any], name: str) -> Any:
    """Return how an option or suboption is written. A name alone may be that of a suboption, because another module has it as its option."""
    value: Any = options
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return next((each[name] for each in options.values() if isinstance(each, Mapping) and name in each), None) if value is None else value


def _variable(value: Any, variables: Mapping[str, Any]) -> str:
    """Return the variable that a template begins with or, as long as that is only another one's default, that one. Internal ones have no name for users.

    :param value: a template, or a list of one
    """
    name, value = "", value[0] if isinstance(value, list) and len(value) == 1 else value
    for _count in range(_MOST_DEFAULTS):
        found = _VARIABLE.match(value) if isinstance(value, str) else None
        if not found or found[1] not in variables:
            break
        name, value = found[1], variables[found[1]]
    return name
