#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: audit_report
short_description: Make the report of a fleet's audit
version_added: 1.1.0
description:
  - Collects what the modules M(expanso.edge.bootstrap_token_info), C(swarm_secret_info) and C(k8s_secret_info) returned on the hosts of a play, adds what
    only all nodes together can tell, and writes the report on the controller. The playbook C(expanso.edge.audit) uses it.
  - Runs one time for all hosts, and contacts none of them. A host that did not answer is in the report as unknown.
  - The files are complete and have mode 0600, except for V(prometheus). Either all of them are written or none.
  - In check mode no file is written. What O(registry), O(waivers), O(nodes) and O(previous) contain is checked nevertheless.
extends_documentation_fragment:
  - expanso.edge._attributes
attributes:
  check_mode:
    details:
      - The result is that of a real run, but no file is written.
  diff_mode:
    support: none
  idempotent:
    support: N/A
    details:
      - Each run writes a new report, which has a new time. RV(ignore:changed) is V(false), because nothing on a node changes.
options:
  hosts:
    description: Names of the hosts that were asked. By default all hosts of the play.
    type: list
    elements: str
  directory:
    description: Directory on the controller for the report. It is created with mode 0700 if it does not exist.
    type: path
    default: expanso-edge-audit
  formats:
    description: Formats of the report. V(json) is always written.
    type: list
    elements: str
    choices: [json, html, csv, junit, prometheus, ocsf]
    default: [json, html]
  fail_on:
    description:
      - The task fails if there is a finding of this severity or a higher one that is not waived, and if no node answered. The report is written before.
    type: str
    choices: [error, warning, never]
    default: error
  fingerprints:
    description:
      - Fingerprints of tokens that the hosts were asked to look for. A report about them has file names of its own, such as C(audit-5d41402abc4b.json),
        so it neither replaces the regular report nor is compared with it, and leaves O(prometheus_file) as it is.
      - Of several tokens the name has their number and a checksum, such as C(audit-2-tokens-1f3c5e7a.json).
    type: list
    elements: str
  registry:
    description:
      - Your register of tokens, or the path of a YAML or JSON file on the controller with it. By default the variable C(expanso_edge_audit_registry).
      - Each entry has a C(fingerprint) and, optionally, C(label), C(owner), C(purpose), C(groups), C(most_nodes), C(issued) and C(expires).
    type: raw
  waivers:
    description:
      - Findings that somebody has accepted, or the path of a YAML or JSON file on the controller with them. By default the variable
        C(expanso_edge_audit_waivers).
      - Each entry has C(finding) (a code or a list of codes), C(node) (a pattern such as V(edge1*)), C(owner), C(reason) and C(expires) (the last day).
    type: raw
  nodes:
    description: A list of nodes exported from Expanso Cloud, as CSV or JSON, to compare the inventory with.
    type: path
  previous:
    description: An earlier JSON report to compare this one with. By default the one of the same name in O(directory).
    type: path
  max_age:
    description: Days after which a token has to be rotated, for the report. The modules judge it.
    type: int
  stuck_hours:
    description: Hours after which a node that holds a token has to be registered, for the report. The modules judge it.
    type: float
    default: 24
  expires_within:
    description: A token that expires within so many days is a finding.
    type: int
    default: 14
  trail_file:
    description: The audit trail on the controller, which is verified.
    type: path
  prometheus_file:
    description:
      - File for the format V(prometheus), in the directory of the textfile collector. By default it is in O(directory), which only its owner may enter.
    type: path
  merge:
    description:
      - Make one report of the reports of slices, instead of asking what the hosts of this play answered. AWX runs a large job in slices.
      - Findings that need all nodes, such as a single-use token on several of them, are found anew.
      - A host of O(hosts) that no slice reported on is in the report as unknown.
      - Needs the same O(registry) and O(trail_file) as the slices had. O(waivers) and O(nodes) count here.
    type: bool
    default: false
  slices:
    description: How many slices there were, for O(merge). A finding says if reports of some of them are missing.
    type: int
  slices_of:
    description:
      - Name of the set of slices. A slice writes its report to C(slices/NAME/JOB) in O(directory), and compares it with no earlier report.
      - By default, in a slice, the number of AWX's workflow job. For O(merge), what a slice published in C(expanso_edge_result), or the only set.
    type: str
  only_check:
    description: Only check the options, the data and the deliveries of the hosts, before any host is asked.
    type: bool
    default: false
seealso:
  - module: expanso.edge.bootstrap_token_info
  - plugin: expanso.edge.audit
    plugin_type: inventory
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Ask the nodes
  expanso.edge.bootstrap_token_info:
  become: true
  register: token_file_audit

- name: Make the report
  expanso.edge.audit_report:
    directory: /var/lib/expanso-audit
    formats: [json, html, prometheus]
    prometheus_file: /var/lib/prometheus/node-exporter/expanso_edge.prom
    registry: "{{ playbook_dir }}/tokens.yml"
    fail_on: warning
"""

RETURN = r"""
summary:
  description: The report in a few lines for people.
  type: list
  elements: str
  returned: when a report was made
totals:
  description: Findings by severity without the waived ones, and nodes by registration.
  type: dict
  returned: when a report was made
scope:
  description: How many nodes were asked, answered, were unreachable, and failed.
  type: dict
  returned: when a report was made
mended:
  description: How many findings of the earlier report are gone.
  type: int
  returned: when a report was made
exceeded:
  description: Whether there are findings that O(fail_on) is about, or no node answered although it is not V(never).
  type: bool
  returned: when a report was made
paths:
  description: The files by format, empty in check mode.
  type: dict
  returned: when a report was made
result:
  description: The result for programs, which the playbooks publish as C(expanso_edge_result).
  type: dict
  returned: when a report was made
sha256:
  description: Checksum of the JSON report.
  type: str
  returned: when a report was made
msg:
  description: Human-readable summary of the result.
  type: str
  returned: always
"""
