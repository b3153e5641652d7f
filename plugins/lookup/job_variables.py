# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: job_variables
short_description: Get the collection's variables of all hosts of a job, as the play sees them
version_added: 1.1.0
author:
  - Expanso Edge collection contributors (@expanso-io)
description:
  - Returns the variables of each host that the playbook C(expanso.edge.provision) needs before it contacts any host, for the filters
    P(expanso.edge.token_problems#filter) and P(expanso.edge.provision_summary#filter).
  - C(hostvars) does not contain variables that were given to a play, for example by C(import_playbook) with C(vars). This lookup includes them.
  - A host's token is included if it is a text, or a variable that contains one, encrypted or not. Other templates, such as lookups, are not
    evaluated, because that could ask the source of the token. The token of such a host is empty here.
  - A variable that cannot be templated has a marker as its value, which the filters recognize.
options:
  _terms:
    description: Names of the hosts, or lists of names.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: Refuse to start with a token that cannot work
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('; ') }}"
  vars:
    job: "{{ lookup('expanso.edge.job_variables', ansible_play_hosts_all) }}"
    problems: "{{ ansible_play_hosts_all | expanso.edge.token_problems(hostvars, job=job) }}"
  run_once: true
"""

RETURN = r"""
_raw:
  description: One dictionary, with a dictionary of variables for each host.
  type: list
  elements: dict
"""

from collections.abc import Mapping
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.expanso.edge.plugins.plugin_utils._job import Job, host_names


class LookupModule(LookupBase):
    """Thin shell over :mod:`plugins.plugin_utils._job`."""

    def run(self, terms: list[Any], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[dict[str, dict[str, Any]]]:
        job = Job(variables or {}, self._templar)
        return [{host: job.variables(host) for host in host_names(terms)}]
