# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint


def token_fingerprint(token: str) -> str:
    """Return the fingerprint of a token, which shows whether two nodes hold the same token, and is useless for anything else.

    :raises AnsibleFilterError: the value is not a text
    """
    if not isinstance(token, str):
        raise AnsibleFilterError("expanso.edge.token_fingerprint takes the text of a token")
    return fingerprint(token)


class FilterModule:
    """Fingerprint of a bootstrap token."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"token_fingerprint": token_fingerprint}
