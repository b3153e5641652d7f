# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import waits_for_registration
from ansible_collections.expanso.edge.plugins.plugin_utils._outcomes import FAILED, FAILURE, SINCE, provisioned, retired, rotated
from ansible_collections.expanso.edge.plugins.plugin_utils._reach import UNREACHABLE
from ansible_collections.expanso.edge.plugins.plugin_utils._result import of_nodes
from ansible_collections.expanso.edge.plugins.plugin_utils._summary import label, together

Variables = Mapping[str, Any]
Planned = Mapping[str, Mapping[str, Mapping[str, Any]]]


def job_result(
    hosts: list[str],
    hostvars: Mapping[str, Variables],
    playbook: str,
    check: bool = False,
    job: Mapping[str, Variables] | None = None,
    planned: Planned | None = None,
) -> dict[str, Any]:
    """Return the result of a playbook for programs: numbers, codes, labels and plain names of hosts.

    :param playbook: ``provision``, ``rotate`` or ``retire``
    :param check: whether this was a run in check mode
    :param job: variables of the hosts as the play sees them; they take precedence over ``hostvars``
    :param planned: the plan that was carried out, by node and delivery
    """
    known = together(hosts, hostvars, job)
    outcomes = {host: _outcome(playbook, known[host], None if planned is None else planned.get(host, {})) for host in hosts}
    unreachable = [host for host in hosts if str(known[host].get(FAILURE) or "").startswith(UNREACHABLE)]
    fine = [host for host in hosts if outcomes[host] not in (FAILED, SINCE)]
    waiting = [host for host in fine if (outcomes[host] == "kept" if playbook == "retire" else waits_for_registration(known[host]))]
    return of_nodes(playbook, outcomes, unreachable, len(waiting), map(label, known.values()), check)


def _outcome(playbook: str, variables: Variables, planned: Mapping[str, Mapping[str, Any]] | None) -> str:
    if playbook == "rotate":
        return rotated(variables, planned)
    return retired(variables) if playbook == "retire" else provisioned(variables)


class FilterModule:
    """The result of a job, for programs."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"job_result": job_result}
