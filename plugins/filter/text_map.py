# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.module_utils._cluster import texts
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError


def text_map(value: Any, what: str = "the dictionary") -> dict[str, str]:
    """Return a dictionary whose values are texts, as they were written: ``true`` and not ``True``."""
    if not isinstance(value, dict):
        raise AnsibleFilterError(f"{what} has to be a dictionary of texts")
    try:
        return texts(what, value)
    except EdgeError as exc:
        message = str(exc)
    raise AnsibleFilterError(message)


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., dict[str, str]]]:
        """Return the filters by their names."""
        return {"text_map": text_map}
