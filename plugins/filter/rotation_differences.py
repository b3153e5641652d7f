# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._rotation import second_look
from ansible_collections.expanso.edge.plugins.plugin_utils._summary import together


def rotation_differences(host: str, hostvars: Mapping[str, Mapping[str, Any]], job: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return in what the audit of a host differs from what its roles reported, one sentence for each difference."""
    return second_look(together([host], hostvars, job)[host])  # a copy would template all variables, and so ask the source of the token


class FilterModule:
    """The check after each batch of a rotation."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"rotation_differences": rotation_differences}
