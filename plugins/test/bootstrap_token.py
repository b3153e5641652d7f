# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, judge


def bootstrap_token(value: Any, strict: bool = False) -> bool:
    """Return whether a value has the form of a bootstrap token. Only Expanso Cloud knows whether it is accepted."""
    try:
        return isinstance(value, str) and bool(judge(value, strict=strict))
    except TokenFault:
        return False


class TestModule:
    """Whether a value is a well-formed bootstrap token."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        return {"bootstrap_token": bootstrap_token}
