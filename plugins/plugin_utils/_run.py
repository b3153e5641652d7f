# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Which run this is, and who started it."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

JOB_VARIABLES = ("awx_job_id", "tower_job_id")
USER_VARIABLES = ("awx_user_name", "tower_user_name")


def new_run_id() -> str:
    """Return an identifier for a run: when it began, in UTC, and a random part."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(4).hex()}"


# Ansible loads a plugin in its main process before it forks a worker for each host, so all of them have the same.
RUN_ID = new_run_id()
"""Identifies this run of Ansible."""

SLICED_VARIABLE = "expanso_edge_sliced"
PREFIXES = ("awx", "tower")


def job_id(variables: Mapping[str, Any]) -> str | None:
    """Return the number of the job of AWX or Automation Controller, None outside of one."""
    return _first(variables, JOB_VARIABLES)


def sliced(variables: Mapping[str, Any]) -> bool:
    """Return whether this run is one of several slices of a job, each of which knows only its own hosts.

    AWX gives a slice no number: it runs the slices of a job template as a workflow job that has the template's name. A workflow of a person may have
    that name by chance, so the variable ``expanso_edge_sliced`` decides where it is set.
    """
    said = _first(variables, (SLICED_VARIABLE,))
    if said is not None:
        return bool(boolean(said, strict=False))
    names = [(_first(variables, (f"{prefix}_workflow_job_name",)), _first(variables, (f"{prefix}_job_template_name",))) for prefix in PREFIXES]
    return any(workflow is not None and workflow == template for workflow, template in names)


def slices_of(variables: Mapping[str, Any]) -> str | None:
    """Return the number of the workflow job of AWX that a slice belongs to, None outside of one."""
    return _first(variables, tuple(f"{prefix}_workflow_job_id" for prefix in PREFIXES))


def user(variables: Mapping[str, Any]) -> str:
    """Return who started the run: the user of AWX or Automation Controller, else the account of this process."""
    found = _first(variables, USER_VARIABLES)
    if found is not None:
        return found
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container with an arbitrary user
        return str(os.getuid())


def _first(variables: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = variables.get(name)
        if value not in (None, "") and not isinstance(value, (dict, list)):
            return str(value)
    return None
