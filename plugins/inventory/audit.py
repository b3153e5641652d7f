# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the report of an audit, on the controller."""
from __future__ import annotations

DOCUMENTATION = r"""
name: audit
short_description: Groups of nodes by what the last audit found
version_added: 1.1.0
author:
  - Expanso Edge collection contributors (@expanso-io)
description:
  - Reads the JSON report of the playbook C(expanso.edge.audit), and puts its nodes into groups, so that the next run can be limited to them.
  - Use it together with your own inventory, named after it. It only knows the names of nodes, not how to reach them.
  - "The groups are V(expanso_edge_registered), V(expanso_edge_unregistered), V(expanso_edge_unreachable) (no answer), V(expanso_edge_failed)
    (the audit failed), V(expanso_edge_left_over) (a token that is no longer needed), V(expanso_edge_stale_token) (a token that is too old, has
    expired, or soon will), V(expanso_edge_findings_error) and V(expanso_edge_findings_warning). Waived findings do not count. All groups exist, even
    if they are empty."
options:
  plugin:
    description: Name of this plugin.
    type: str
    required: true
    choices: [expanso.edge.audit]
  path:
    description: The JSON report. A relative path is relative to the file of this inventory.
    type: str # a path would be made relative to the working directory
    default: expanso-edge-audit/audit.json
  max_age:
    description: Days after which a report is too old to act upon, and refused. By default a report may be of any age.
    type: int
notes:
  - The name of the file has to end with V(audit.yml) or V(audit.yaml).
seealso:
  - module: expanso.edge.audit_report
"""

EXAMPLES = r"""
# inventory/expanso_edge_audit.yml
plugin: expanso.edge.audit
path: /var/lib/expanso-audit/audit.json

# then
# ansible-playbook -i inventory/production.yml -i inventory/expanso_edge_audit.yml expanso.edge.retire -e expanso_edge_hosts=expanso_edge_left_over
"""

import os
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible_collections.expanso.edge.plugins.plugin_utils._files import content
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.compare import load
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.groups import GROUPS, members
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import moment_now


class InventoryModule(BaseInventoryPlugin):
    """Thin shell over :mod:`plugins.plugin_utils._fleet.groups`."""

    NAME = "expanso.edge.audit"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("audit.yml", "audit.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        report = os.path.join(os.path.dirname(os.path.abspath(path)), os.path.expanduser(self.get_option("path")))
        try:
            found = members(load(content(report), report), report, self.get_option("max_age"), moment_now())
        except OSError as exc:
            raise AnsibleParserError(f"the report {report} cannot be read: {exc.strerror}; run expanso.edge.audit, or correct option path") from None
        except DataError as exc:
            raise AnsibleParserError(str(exc)) from None
        for group in GROUPS:
            inventory.add_group(group)
        for group, names in found.items():
            for name in names:
                inventory.add_host(name, group=group)
