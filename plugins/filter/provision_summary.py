# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.module_utils._secrets import mask
from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import OUTCOMES, results, waits_for_registration
from ansible_collections.expanso.edge.plugins.plugin_utils._job import LABEL_VARIABLE, NOT_TEMPLATED, some_of

FAILED = "failed"
NO_RESULT = "no result (unreachable, in a later batch, or skipped by tags)"

Variables = Mapping[str, Any]


def provision_summary(
    hosts: list[str],
    hostvars: Mapping[str, Variables],
    failures: str = "expanso_edge_failure",
    check: bool = False,
    job: Mapping[str, Variables] | None = None,
) -> list[str]:
    """Return lines for people: how many nodes had which outcome, why nodes failed, and what to do next.

    :param failures: name of the variable that holds why a host failed
    :param check: whether this was a run in check mode
    :param job: variables of the hosts as the play sees them; they take precedence over ``hostvars``
    """
    known: dict[str, Variables] = {host: ChainMap(dict((job or {}).get(host, {})), hostvars[host]) for host in hosts}  # type: ignore[arg-type]
    outcomes = {host: _outcome(variables, failures) for host, variables in known.items()}
    labels = sorted({label for label in map(_label, known.values()) if label})
    lines = [f"{len(hosts)} node{'' if len(hosts) == 1 else 's'}" + (f", token label {', '.join(labels)}" if labels else "")]
    if check:
        lines[0] += "; check mode: this is what would be done"
    for outcome in [*OUTCOMES.values(), FAILED, NO_RESULT]:
        names = [host for host in hosts if outcomes[host] == outcome]
        if names:
            lines.append(f"  {outcome}: {len(names)} ({some_of(names)})")
        if outcome == FAILED:
            lines += _reasons({host: _first_line(known[host][failures]) for host in names})
    waiting = [host for host in hosts if outcomes[host] != FAILED and waits_for_registration(known[host])]
    if waiting and not check:
        lines.append(
            f"next: {len(waiting)} node{' holds' if len(waiting) == 1 else 's hold'} a token and {'is' if len(waiting) == 1 else 'are'} not registered "
            f"({some_of(waiting)}): start the agent there, or let the role do it (token_file_register, systemd_service_state)"
        )
    return lines


def _reasons(by_host: Mapping[str, str]) -> list[str]:
    """Return a line for each reason, with the hosts that failed for it."""
    hosts: dict[str, list[str]] = {}
    for host, reason in by_host.items():
        hosts.setdefault(reason, []).append(host)
    return [f"    {some_of(names)}: {reason}" for reason, names in hosts.items()]


def _label(variables: Variables) -> str:
    try:
        label = str(variables.get(LABEL_VARIABLE) or "")
    except Exception:  # it uses an undefined variable; the summary is shown nevertheless
        return ""
    return "" if label == NOT_TEMPLATED or "{{" in label else mask(label)


def _first_line(text: Any) -> str:
    """Return the first line of a message, with the last line of a program's output if Ansible quotes that.

    ansible-core < 2.19 appends an excerpt of the playbook to the message of a failed template.
    """
    first, _newline, rest = str(text).strip().partition("\n")
    output = [line.strip() for line in rest.splitlines() if line.strip()]
    return f"{first} {output[-1]}" if ">>> Standard Error" in output else first


def _outcome(variables: Variables, failures: str) -> str:
    if variables.get(failures) is not None:
        return FAILED
    actions = {result.get("action") for result in results(variables).values()}
    return next((text for action, text in OUTCOMES.items() if action in actions), NO_RESULT)


class FilterModule:
    """The result of a job, for people."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"provision_summary": provision_summary}
