# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.module_utils._registration import MARKERS

OWN = "the role's own variable, such as systemd_service"


def registration_markers(markers: Any, data_dir: Any) -> list[str]:
    """Return the files that tell that an agent is registered: those given or, if there are none, those that agents are known to leave."""
    if isinstance(markers, str):
        markers = [each.strip() for each in markers.split(",") if each.strip()]  # as Ansible reads a list from text
    if not markers:
        if not isinstance(data_dir, str) or not posixpath.isabs(data_dir):
            raise AnsibleFilterError(f"the data directory must be an absolute path: correct expanso_edge_data_dir, or {OWN}_data_dir")
        return [posixpath.join(data_dir, marker) for marker in MARKERS]
    if not isinstance(markers, list) or not all(isinstance(each, str) and posixpath.isabs(each) for each in markers):
        raise AnsibleFilterError(
            f"registration markers must be a list of absolute paths: correct expanso_edge_registration_markers, or {OWN}_registration_markers"
        )
    return [str(each) for each in markers]


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by their names."""
        return {"registration_markers": registration_markers}
