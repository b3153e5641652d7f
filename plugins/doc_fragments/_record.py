# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later


class ModuleDocFragment:
    """What the enrolment record and the node's log tell of a run: the options of :data:`_record.ARGUMENT_SPEC`."""

    DOCUMENTATION = r"""
options:
  token_label:
    description:
      - Name of the token for your records, not secret. It is noted in the enrolment record, the audit trail and the node's log.
      - If not given, the module's action on the controller takes the variable C(expanso_edge_token_label).
      - A label that is not made of plain words is left out where the task has no token, because it may be the token by mistake.
    type: str
    version_added: 1.1.0
  run_id:
    description:
      - Identifier of the run, noted in the enrolment record, the audit trail and the node's log.
      - If not given, the module's action makes one, the same for all hosts and tasks of a run.
    type: str
    version_added: 1.1.0
  job_id:
    description:
      - Identifier of the job that the run is part of, noted in the enrolment record, the audit trail and the node's log.
      - If not given, the module's action takes the variable C(awx_job_id) or C(tower_job_id) of AWX and Automation Controller.
    type: str
    version_added: 1.1.0
"""

    FILE = r"""
options:
  record:
    description:
      - Keep an enrolment record, the file C(enrolment.json) in O(data_dir). It says which tokens the node was given, when, and by which run, and stays
        when the token is removed. Nothing in it is secret, and no token can be computed from it.
      - Each token is entered one time, when it is in place. The record of a registered node is not changed.
      - It has mode V(0600), and the owner and group of O(data_dir).
      - A record that cannot be written is a warning, not a failure. A damaged one is kept as C(enrolment.json.damaged).
    type: bool
    default: true
    version_added: 1.1.0
"""
