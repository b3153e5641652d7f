# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

# Every setting of a unit file takes a word of these characters literally, quoted or not, except for the percent sign.
_WORD = re.compile(r"[A-Za-z0-9@%+=:,./_~-]+")


def unit_word(text: str) -> str:
    """Return a path, a name or a URL as one word of a systemd unit file, with percent signs doubled.

    :raises AnsibleFilterError: the text contains a character that has a special meaning in some settings
    """
    if not isinstance(text, str) or not _WORD.fullmatch(text):
        raise AnsibleFilterError(f"{text!r} cannot be used in a systemd unit: only letters, digits and @%+=:,./_~- are allowed")
    return text.replace("%", "%%")


class FilterModule:
    """Words of systemd unit files."""

    def filters(self) -> dict[str, Callable[[str], str]]:
        return {"unit_word": unit_word}
