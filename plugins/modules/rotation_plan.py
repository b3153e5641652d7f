#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: rotation_plan
short_description: Write the plan of a rotation on the controller, or read it
version_added: 1.1.0
description:
  - The playbook C(expanso.edge.rotate) writes its plan in check mode, and does what a plan says and nothing else when it is given one.
  - The plan is a JSON file. It holds the names of nodes, the places of their tokens, and fingerprints, never a token.
  - It runs on the controller, one time for all hosts. No host is contacted.
attributes:
  action:
    support: full
    description: The whole work is done on the controller.
  bypass_host_loop:
    support: full
    description: Runs one time for all hosts.
  check_mode:
    support: full
    description: Works in check mode as well, because that is when a plan is made.
  diff_mode:
    support: none
    description: Shows no difference.
options:
  path:
    description:
      - The file on the controller. Required with O(state=written).
      - Without it, O(state=read) reads the plan that the variable C(expanso_edge_plan) holds. Both at once are refused. Without both there is no plan.
    type: path
  state:
    description:
      - V(read) reads a plan, and refuses one that is damaged, more than seven days old, or of another layout.
      - V(written) makes a plan of what check mode predicted. The file is replaced at once, with mode V(0600). A missing directory is created with mode V(0700).
    type: str
    choices: [read, written]
    default: read
  hosts:
    description: Names of the hosts, for O(state=written).
    type: list
    elements: str
  only_check:
    description: With O(state=written), only check that the file can be written, before any host is asked.
    type: bool
    default: false
  reregister:
    description: Whether registered nodes are registered anew. A plan that was made otherwise is refused.
    type: bool
    default: false
  return_plan:
    description:
      - With O(state=written), also return the plan as data, which M(ansible.builtin.set_stats) can publish for the next node of a workflow.
      - It is refused where a name or a place in it contains C({{), C({%) or C({#).
    type: bool
    default: false
seealso:
  - plugin: expanso.edge.rotation_summary
    plugin_type: filter
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Read the plan
  expanso.edge.rotation_plan:
    path: ./expanso-edge-rotation.json
  register: plan
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: success, with a file
planned:
  description: What is planned, by node and delivery.
  type: dict
  returned: success, with O(state=read) and a plan
  sample:
    edge01:
      token_file:
        action: rotate
        delivery: token_file
        new: 5d41402abc4b
        node: edge01
        note: gets the new token
        old: 0a4d55a8d778
        place: /etc/expanso/bootstrap.token
        registered: false
plan:
  description: The content of the file, without the reasons why nodes failed.
  type: dict
  returned: success, with O(return_plan)
msg:
  description: Human-readable summary of the result.
  type: str
  returned: always
"""
