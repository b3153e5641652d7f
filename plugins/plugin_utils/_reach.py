# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Hosts that cannot be reached. Ansible removes them from the play at once, and a play without hosts ends before its summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure

VARIABLE = "expanso_edge_tell_unreachable"
"""Set by the playbooks, which show such hosts in their summary or report and fail at their end."""

UNREACHABLE = "the host cannot be reached"
"""Begins the message of such a result."""


def failure(fault: AnsibleConnectionFailure, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a task whose host cannot be reached.

    :param variables: of the host that the task is for
    :raises AnsibleConnectionFailure: the playbook did not request a result, so Ansible handles the fault itself
    """
    if not variables.get(VARIABLE):
        raise fault
    reason = "\n".join(line.rstrip() for line in str(fault).splitlines()).strip()  # ssh ends lines with a carriage return, too
    return {"failed": True, "msg": f"{UNREACHABLE}: {reason}"}
