# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._rotation import problems


def rotation_problems(hosts: list[str], job: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return why a rotation cannot be what is asked for, one sentence for each problem, before any host is contacted."""
    return problems(hosts, job)


class FilterModule:
    """What prevents a rotation."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"rotation_problems": rotation_problems}
