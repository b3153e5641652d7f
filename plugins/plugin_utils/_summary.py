# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What the summaries of the playbooks have in common."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.module_utils._secrets import mask, visible
from ansible_collections.expanso.edge.plugins.plugin_utils._job import LABEL_VARIABLE, NOT_TEMPLATED, some_of

Variables = Mapping[str, Any]


def together(hosts: list[str], hostvars: Mapping[str, Variables], job: Mapping[str, Variables] | None) -> dict[str, Variables]:
    """Return the variables of each host. Those that the play sees take precedence over ``hostvars``."""
    return {host: ChainMap(dict((job or {}).get(host, {})), hostvars[host]) for host in hosts}  # type: ignore[arg-type]


def reasons(by_host: Mapping[str, str]) -> list[str]:
    """Return a line for each reason, with the hosts that failed for it."""
    hosts: dict[str, list[str]] = {}
    for host, reason in by_host.items():
        hosts.setdefault(reason, []).append(host)
    return [f"    {some_of(names)}: {reason}" for reason, names in hosts.items()]


def label(variables: Variables) -> str:
    """Return the token's label, empty where there is none."""
    try:
        text = str(variables.get(LABEL_VARIABLE) or "")
    except Exception:  # it uses an undefined variable; the summary is shown nevertheless
        return ""
    return "" if text == NOT_TEMPLATED or "{{" in text else mask(text)


_FILTER = re.compile(r".*(?:The filter plugin 'expanso\.edge\.\w+' failed|<class 'ansible\.errors\.AnsibleFilterError'>, original message): ")
"""What Ansible puts before the message of a filter of this collection."""


def first_line(text: Any) -> str:
    """Return the first line of a message, with the last line of a program's output if Ansible quotes that.

    What is wrong with the options of a role is in the lines below, and what is wrong with a value is behind the names of what was templated.
    ansible-core < 2.19 appends an excerpt of the playbook to the message of a failed template.
    A node may answer anything, so nothing of it reaches a terminal as a control sequence.
    """
    first, _newline, rest = str(text).strip().partition("\n")
    output = [line.strip() for line in rest.splitlines() if line.strip()]
    if first == "Validation of arguments failed:":
        return visible(mask(f"{first} {'; '.join(output)}"))
    if ">>> Standard Error" in output:
        return visible(f"{first} {output[-1]}")
    return visible(re.sub(r"^(.+)\. \1$", r"\1", _FILTER.sub("", first)))  # ansible-core < 2.19 says it two times
