# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later


class ModuleDocFragment:
    """What audits of a swarm and of a cluster are asked: the options of :data:`_audit.cluster.ARGUMENT_SPEC`."""

    DOCUMENTATION = r"""
options:
  max_age:
    description:
      - Days after which a token has to be rotated.
      - By default a token may be of any age.
    type: int
  stuck_hours:
    description: Hours after which it is a finding that the token is there and the agent is still not registered.
    type: int
    default: 24
  fingerprints:
    description: Fingerprints of further tokens to look for, such as one that leaked. Other results of this collection show them.
    type: list
    elements: str
    default: []
"""
