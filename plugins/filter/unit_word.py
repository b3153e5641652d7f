# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

# A word of such characters means the same in every setting of a unit file, quoted or not, but for the percent sign.
_WORD = re.compile(r"[A-Za-z0-9@%+=:,./_~-]+")


def unit_word(text: str) -> str:
    """Return a path, a name or a URL as one word of a systemd unit file, where a percent sign has to be doubled."""
    if not isinstance(text, str) or not _WORD.fullmatch(text):
        raise AnsibleFilterError(f"{text!r} cannot stand in a systemd unit: it may have letters, digits and @%+=:,./_~- only")
    return text.replace("%", "%%")


class FilterModule:
    """Words of systemd unit files."""

    def filters(self) -> dict[str, Callable[[str], str]]:
        return {"unit_word": unit_word}
