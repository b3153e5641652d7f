# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""How texts, times and numbers of a report are shown."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timezone

ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _seen(character: str) -> str:
    # spaces of other widths are harmless, and names in some languages have them
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    return ESCAPES.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def visible(text: str) -> str:
    """The text with every character that cannot be seen, or that changes how others are shown, written as an escape such as \\u202e."""
    return text if text.isprintable() else "".join(map(_seen, text))


def when(text: str | None, nothing: str = "unknown") -> str:
    """A time in UTC to the minute, or a date as it is. Anything else is shown as it is."""
    if not text:
        return nothing
    if len(text) == 10:
        return text
    try:
        time = datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
    except ValueError:
        return text
    return f"{time.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def number(value: float) -> str:
    """A number with commas, and without a useless fraction."""
    return f"{int(value):,}" if value == int(value) else f"{value:,.2f}".rstrip("0").rstrip(".")


def plural(count: int, one: str, many: str = "") -> str:
    """`1 node`, `1,000 nodes`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def words(code: str) -> str:
    """A code as words: `token_too_old` is `Token too old`."""
    text = code.replace("_", " ")
    return text[:1].upper() + text[1:]
