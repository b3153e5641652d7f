# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""A host's variables, rendered exactly as they were given. They are rendered at each request, so two requests ask a source twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._reasons import why
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import TOKEN_VARIABLE, SourceError

try:  # up to ansible-core 2.18
    from ansible.template import AnsibleEnvironment
except ImportError:
    AnsibleEnvironment = None

MOST_TEXTS = 50
"""Templates of a variable that are looked at to explain a failure."""


def reader(templar: Any, variables: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return a function that returns a variable's value, :data:`None` if the variable is not defined.

    The function raises :class:`SourceError` if the variable cannot be templated.

    :param templar: the templar of the calling plugin
    :param variables: of the host that the task is for
    """
    exact = _exact(templar, variables)

    def variable(name: str) -> Any:
        raw = variables.get(name)
        if raw is None:
            return None
        # Jinja would turn it into a number, and then 0x1f2e and 1_000 into different texts
        if isinstance(raw, str) and re.fullmatch(r"\s*\{\{\s*[0-9][0-9A-Za-z_.+-]*\s*\}\}\s*", raw):
            raise SourceError(f"variable {name} is a number in braces, not a text: give the token in quotation marks, without braces", False)
        try:
            value = exact.template(raw)
            return str(value) if hasattr(value, "__ENCRYPTED__") else value  # a vaulted value is decrypted only here
        except Exception as exc:
            reason = why(exc, _texts(raw, variables), name == TOKEN_VARIABLE)
        # outside the handler, so that nothing is chained: Ansible's own message quotes the template and the lines around it
        raise SourceError(f"variable {name} {reason}", job_wide=name != TOKEN_VARIABLE)

    return variable


def _exact(templar: Any, variables: Mapping[str, Any]) -> Any:
    """Return a templar that does not change texts.

    Up to ansible-core 2.18, the usual one turns texts that look like Python's numbers, lists and so on into these: with jinja2_native all such texts,
    including 0x1f2e and 1_000_000, otherwise some of them.
    """
    if AnsibleEnvironment is None:
        return templar.copy_with_new_env(available_variables=variables)

    class ExactEnvironment(AnsibleEnvironment):
        concat = staticmethod(_one_value)

    return templar.copy_with_new_env(environment_class=ExactEnvironment, available_variables=variables)


def _one_value(nodes: Iterable[Any]) -> Any:
    """Return the result of a template: its only value unchanged, or all values as one text."""
    values = list(nodes)
    value = values[0] if len(values) == 1 else "".join(str(each) for each in values)
    if isinstance(value, str) and (value.startswith(("[", "{")) or value in ("True", "False")):
        return AnsibleEnvironment.concat([value])  # Jinja turned a constant of another type into text; its type is then named in the message
    return value


def _texts(raw: Any, variables: Mapping[str, Any]) -> list[str]:
    """Return a template and the templates that it refers to, directly or indirectly."""
    texts: list[str] = []
    waiting: list[Any] = [raw]
    seen: set[str] = set()
    while waiting and len(texts) < MOST_TEXTS:
        text = waiting.pop(0)
        if not isinstance(text, str):
            continue
        texts.append(text)
        if "{{" in text or "{%" in text:
            names = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text[:10000])) - seen
            seen |= names
            waiting += [variables[name] for name in sorted(names) if name in variables]
    return texts
