# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source that gives its answer once, as a wrapped secret or a one-time password does, and whose questions can be counted."""

from __future__ import annotations

import os

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    """`lookup('once', file, answer)`: the file gets a line for each question."""

    def run(self, terms, variables=None, **kwargs):
        file, answer = terms
        asked = os.path.exists(file)
        with open(file, "a", encoding="ascii") as handle:
            handle.write("asked\n")
        if asked:
            raise AnsibleLookupError("wrapping token is not valid or does not exist")
        return [answer]
