# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: variables_without_effect
short_description: Find variables of a play that only the inventory sets
version_added: 1.1.0
author:
  - Expanso Edge collection contributors (@expanso-io)
description:
  - Returns which of C(expanso_edge_hosts), C(expanso_edge_canary), C(expanso_edge_serial) and C(expanso_edge_max_fail_percentage) have a value in the
    inventory alone. A play needs them before it has any host, so Ansible does not look at the inventory for them, and they would have no effect.
  - Variables that are given with C(-e), or by C(import_playbook) with C(vars), have one.
options:
  _terms:
    description: Names of the hosts whose variables are looked at, or lists of names.
    type: list
    elements: raw
    required: true
seealso:
  - name: Variable precedence
    description: Where Ansible takes variables from.
    link: https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html
"""

EXAMPLES = r"""
- name: Refuse variables that have no effect
  ansible.builtin.assert:
    that: names | length == 0
    fail_msg: "{{ names | join(', ') }}: give this with -e"
  vars:
    names: "{{ query('expanso.edge.variables_without_effect', ansible_play_hosts_all) }}"
  run_once: true
"""

RETURN = r"""
_raw:
  description: Names of variables.
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars
from ansible_collections.expanso.edge.plugins.plugin_utils._job import PLAY_VARIABLES, Job, host_names


class LookupModule(LookupBase):
    """Thin shell over :mod:`plugins.plugin_utils._job`."""

    def run(self, terms: list[Any], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[str]:
        job = Job(variables or {}, self._templar)
        extra = load_extra_vars(self._loader)
        found = {name for host in host_names(terms) for name in job.without_effect(host, extra)}
        return [name for name in PLAY_VARIABLES if name in found]
