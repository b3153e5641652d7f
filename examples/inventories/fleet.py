#!/usr/bin/env python
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same fleet from a script, as one that asks a database of machines. Ansible runs it with --list."""

import json

MACHINES = [
    {"name": "edge01", "groups": ["expanso_edge"]},
    {"name": "edge02", "groups": ["expanso_edge"], "variables": {"expanso_edge_token": "00482915736401"}},
    {"name": "edge03", "groups": ["expanso_edge"], "variables": {"ansible_host": "192.0.2.13", "ansible_port": 2204}},
    {"name": "web01", "groups": ["web"]},
]


def inventory():
    """Return the inventory in the form that Ansible reads. With the key _meta it does not run the script again for each host."""
    groups = {"plant": {"children": ["expanso_edge", "web"], "vars": {"ansible_user": "deploy"}}}
    groups["expanso_edge"] = {"hosts": [], "vars": {"expanso_edge_token_file": "~/secrets/bootstrap.token", "expanso_edge_token_label": "plant-7"}}
    for machine in MACHINES:
        for group in machine["groups"]:
            groups.setdefault(group, {}).setdefault("hosts", []).append(machine["name"])
    return {**groups, "_meta": {"hostvars": {machine["name"]: machine.get("variables", {}) for machine in MACHINES}}}


print(json.dumps(inventory()))
