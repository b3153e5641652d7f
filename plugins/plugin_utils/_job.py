# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What the controller knows about all hosts of a job before it contacts any of them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import DELIVERIES, DELIVERY_VARIABLE, named
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import plain
from ansible_collections.expanso.edge.plugins.plugin_utils._run import SLICED_VARIABLE
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import FILE_VARIABLE, TOKEN_VARIABLE
from jinja2.exceptions import UndefinedError

LABEL_VARIABLE = "expanso_edge_token_label"
REREGISTER_VARIABLE = "expanso_edge_reregister"
BECOME_VARIABLE = "expanso_edge_become"
NAMES = (
    BECOME_VARIABLE, FILE_VARIABLE, LABEL_VARIABLE, DELIVERY_VARIABLE, REREGISTER_VARIABLE, SLICED_VARIABLE,
    *(each.variable for each in DELIVERIES.values() if each.variable),
)  # fmt: skip

PLAY_VARIABLES = ("expanso_edge_hosts", "expanso_edge_canary", "expanso_edge_serial", "expanso_edge_max_fail_percentage")
"""What a play needs to know before it has any host, so that a value in the inventory has no effect."""

NOT_TEMPLATED = "{{ not templated }}"
"""Stands for a value that cannot be templated."""

NAMES_SHOWN = 10

_TEMPLATE = re.compile(r"\{[{%#]")
_REFERENCE = re.compile(r"\s*\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}\s*")
_DEEPEST = 10  # references to references

_SHOWN = re.compile(r"[a-z_., ]{1,80}")
"""An unknown delivery that may be shown if it is plain: words, and not a token that was put into the wrong variable."""


class Job:
    """The hosts of a job with their variables.

    :param variables: of the running task, not templated, including ``hostvars``
    :param templar: the templar of that task
    """

    def __init__(self, variables: Mapping[str, Any], templar: Any) -> None:
        self._hostvars = variables["hostvars"]
        self._templar = templar
        own = self._hostvars.raw_get(variables["inventory_hostname"])
        # Variables of the task that its host does not have were given to the play. They take precedence over every host's inventory.
        self._play = {name: value for name, value in variables.items() if name not in own or own[name] is not value and not _equal(own[name], value)}

    def variables(self, host: str) -> dict[str, Any]:
        """Return the variables of a host that are set. Its token is empty if only evaluating a template would give it."""
        own = self._hostvars.raw_get(host)
        found = {name: self.value(host, own, name) for name in NAMES if name in self._play or name in own}
        if TOKEN_VARIABLE in self._play or TOKEN_VARIABLE in own:
            found[TOKEN_VARIABLE] = self._plain(own, TOKEN_VARIABLE)
        return found

    def without_effect(self, host: str, extra: Container[str]) -> list[str]:
        """Return which of :data:`PLAY_VARIABLES` only the inventory sets.

        :param extra: names of the variables that were given with ``-e``
        """
        own = self._hostvars.raw_get(host)
        return [name for name in PLAY_VARIABLES if name in own and name not in extra and name not in self._play]

    def value(self, host: str, own: Mapping[str, Any], name: str) -> Any:
        """Return one variable of a host, :data:`None` if it is not set. It must not be one whose template asks for a token.

        :param own: the variables of the host, not templated
        """
        raw = self._play.get(name, own.get(name))
        parts = raw if isinstance(raw, list) else [raw]
        if all(part is None or isinstance(part, (bool, int)) or (isinstance(part, str) and not _TEMPLATE.search(part)) for part in parts):
            return raw  # templating takes long: Ansible gathers all variables of a host for each value
        try:
            value = self._templar.template(raw) if name in self._play else self._hostvars[host][name]
            text = str(value)  # an undefined or encrypted value raises only here
        except Exception:  # of Jinja, of Ansible and of whatever plugin the template calls
            return NOT_TEMPLATED
        return NOT_TEMPLATED if _TEMPLATE.search(text) else value

    def _plain(self, own: Mapping[str, Any], name: str) -> Any:
        """Return a value if it can be had without evaluating a lookup, otherwise an empty text."""
        for _step in range(_DEEPEST):
            raw = self._play.get(name, own.get(name))
            if not isinstance(raw, str) and not hasattr(raw, "_ciphertext"):
                return raw
            try:
                text = str(raw)
            except Exception:  # it cannot be decrypted, which is reported when the token is needed
                return ""
            reference = _REFERENCE.fullmatch(text)
            if reference is None:
                return "" if _TEMPLATE.search(text) else text
            name = reference[1]
            if name not in self._play and name not in own:
                return ""
        return ""


def host_names(terms: Iterable[Any]) -> list[str]:
    """Return the hosts that a lookup is asked about by their names, or by lists of names."""
    return [str(name) for term in terms for name in (term if isinstance(term, (list, tuple)) else [term])]


def delivery_problem(variables: Mapping[str, Any]) -> str:
    """Return what is wrong with the deliveries that a host names, or an empty text."""
    try:
        names = named(variables)
    except (AnsibleError, UndefinedError):
        names = [NOT_TEMPLATED]
    if names == [NOT_TEMPLATED]:
        return f"variable {DELIVERY_VARIABLE} cannot be templated: does it use a variable that is not defined?"
    if names and all(isinstance(name, str) and name in DELIVERIES for name in names):
        return ""
    text = ", ".join("" if name is None else str(name) for name in names)
    value = "is empty, but" if not text else f"is {text!r}, but" if _SHOWN.fullmatch(text) and plain(text) else "has a value that is not shown, but"
    return f"variable {DELIVERY_VARIABLE} {value} must name one or more of {', '.join(DELIVERIES)}"


def become_problem(variables: Mapping[str, Any]) -> str:
    """Return what is wrong with whether a host's tasks become root, or an empty text. Ansible would show what it is instead."""
    value = variables.get(BECOME_VARIABLE)
    try:
        if value is not None and value != "":
            boolean(value)
    except TypeError:
        return f"variable {BECOME_VARIABLE} must be true or false"
    return ""


def by_problem(found: Iterable[tuple[str, str]]) -> list[str]:
    """Return a sentence for each problem, with the hosts that have it: a variable of the job can be wrong for a thousand.

    :param found: pairs of a host and its problem, which is empty where there is none
    """
    hosts: dict[str, list[str]] = {}
    for host, problem in found:
        if problem:
            hosts.setdefault(problem, []).append(host)
    return [f"{some_of(names)}: {problem}" for problem, names in hosts.items()]


def some_of(names: Sequence[str]) -> str:
    """Return the first of many names, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # comparing encrypted values decrypts them
        return False
