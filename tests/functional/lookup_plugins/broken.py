# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source that fails, in the ways that sources fail."""

from __future__ import annotations

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    """`lookup('broken', how, text)`: the error says the text."""

    def run(self, terms, variables=None, **kwargs):
        how, text = terms
        if how == "lookup error":
            raise AnsibleLookupError(text)
        if how == "error":
            raise AnsibleError(text)
        if how == "chain":
            try:
                raise ConnectionRefusedError(111, "Connection refused")
            except OSError as exc:
                raise AnsibleError(text) from exc
        first, second = ValueError(text), ValueError(text)
        first.__cause__, second.__cause__ = second, first
        raise first
