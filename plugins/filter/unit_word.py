# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.module_utils._checks import A_YEAR, OptionError, scalar, short
from ansible_collections.expanso.edge.plugins.module_utils._secrets import visible
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import quoted

# Every setting of a unit file takes a word of these characters literally, quoted or not, except for the percent sign.
_WORD = re.compile(r"[A-Za-z0-9@%+=:,./_~-]+")
_NUMBER = re.compile(r"[0-9]{1,9}")
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*")


def unit_word(text: Any, what: str = "", kind: str = "word") -> str:
    """Return a path, a name or a URL as one word of a systemd unit file, with percent signs doubled.

    :param what: names the text in a message
    :param kind: ``word``; ``number`` for a whole number, and ``line`` for a setting of several words, which are returned as they are
    :raises AnsibleFilterError: the text contains a character that has a special meaning in some settings
    """
    try:
        given = short(quoted(visible(scalar(text, what or "the text"))))
    except OptionError as exc:
        raise AnsibleFilterError(f"{exc}; it cannot be used in a systemd unit") from None
    shown = (f"{what}: " if what else "") + (given if given.startswith("'") else f"'{given}'")
    if kind == "number":
        if isinstance(text, bool) or not _NUMBER.fullmatch(str(text)) or int(text) > A_YEAR:
            raise AnsibleFilterError(f"{shown} is not a whole number from 0 to {A_YEAR}")
        return str(text)
    if kind == "line":
        if not isinstance(text, str) or not _LINE.fullmatch(text):
            raise AnsibleFilterError(f"{shown} cannot be used in a systemd unit: give it as one line of text")
        return text
    if not isinstance(text, str) or not _WORD.fullmatch(text):
        raise AnsibleFilterError(f"{shown} cannot be used in a systemd unit: only letters, digits and @%+=:,./_~- are allowed")
    return text.replace("%", "%%")


class FilterModule:
    """Words of systemd unit files."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"unit_word": unit_word}
