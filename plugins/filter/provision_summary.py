# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import OUTCOMES, waits_for_registration
from ansible_collections.expanso.edge.plugins.plugin_utils._job import some_of
from ansible_collections.expanso.edge.plugins.plugin_utils._outcomes import FAILED, NO_RESULT, provisioned
from ansible_collections.expanso.edge.plugins.plugin_utils._summary import first_line, label, reasons, together

TEXTS = {**OUTCOMES, FAILED: "failed", NO_RESULT: "no result (unreachable, in a later batch, or skipped by tags)"}

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
    known = together(hosts, hostvars, job)
    outcomes = {host: provisioned(variables, failures) for host, variables in known.items()}
    labels = sorted(set(filter(None, map(label, known.values()))))
    lines = [f"{len(hosts)} node{'' if len(hosts) == 1 else 's'}" + (f", token label {', '.join(labels)}" if labels else "")]
    if check:
        lines[0] += "; check mode: this is what would be done"
    for outcome, text in TEXTS.items():
        names = [host for host in hosts if outcomes[host] == outcome]
        if names:
            lines.append(f"  {text}: {len(names)} ({some_of(names)})")
        if outcome == FAILED:
            lines += reasons({host: first_line(known[host][failures]) for host in names})
    waiting = [host for host in hosts if outcomes[host] != FAILED and waits_for_registration(known[host])]
    if waiting and not check:
        lines.append(
            f"next: {len(waiting)} node{' holds' if len(waiting) == 1 else 's hold'} a token and {'is' if len(waiting) == 1 else 'are'} not registered "
            f"({some_of(waiting)}): start the agent there, or let the role do it (token_file_register, systemd_service_state)"
        )
    return lines


class FilterModule:
    """The result of a job, for people."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"provision_summary": provision_summary}
