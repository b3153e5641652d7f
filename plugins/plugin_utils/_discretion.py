# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What may be shown of texts in which a token may stand by mistake: names, paths, and what other plugins say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

MASK = "********"
LONGEST = 300
"""Characters shown of what another plugin says."""

# Keys of either kind, JSON Web Tokens, and longer texts of letters and digits mixed, as random ones are.
_SHAPES = re.compile(
    r"exp_[A-Za-z]{2}_?\S*"
    r"|\b[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}"
    r"|(?<![A-Za-z0-9+_=-])(?=[A-Za-z+_=-]*[0-9])(?=[0-9+_=-]*[A-Za-z])[A-Za-z0-9+_=-]{16,}",
    re.IGNORECASE,
)
# "lowercase", "Capital", "UPPER", "kv2", "2027"
_WORD = re.compile(r"(?:[A-Z]?[a-z]{1,14}|[A-Z]{1,14})[0-9]{0,2}|[0-9]{1,4}")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_]{1,60}")
_PLUGIN = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*){0,3}")


def plain(text: str) -> bool:
    """Whether a text is made of a few words as people write them, so that it cannot be a token."""
    if len(text) > 120 or text.lower().startswith("exp_"):
        return False
    parts = re.split(r"[^A-Za-z0-9]+", text)
    return all(_WORD.fullmatch(part) and not _CONSONANTS.search(part) for part in parts if part)


def plain_name(text: str) -> bool:
    """Whether the name of a variable or key may be shown: words of letters, and not one long word alone."""
    return bool(_NAME.fullmatch(text)) and plain(text) and (len(text) <= 12 or "_" in text.strip("_"))


def shown_name(name: str, texts: Iterable[str]) -> str:
    """Return the name of a variable or key that stands in one of the texts, nothing where it may be a piece of a token."""
    around = [run for text in texts for run in re.findall(r"[A-Za-z0-9_.+/=~:@-]+", text) if name in run]
    return name if around and all(plain_name(part) for run in around for part in run.split(".")) else ""


def plugin_name(text: str, exists: bool = False) -> str:
    """Return the name of a plugin, nothing where it may be something else: what exists may have any name."""
    return text if _PLUGIN.fullmatch(text) and (exists or plain(text)) else ""


def shown_path(path: str) -> str:
    """Return a path with those parts masked that may be a token: what is a directory on this machine is none."""
    shown, walked = [], ""
    for part in path.split("/"):
        walked = f"{walked}{part}/"
        shown.append(part if plain(part) or os.path.isdir(walked) else MASK)
    return "/".join(shown)


def quoted(text: str, hide: Iterable[str] = ()) -> str:
    """Return the first line of what somebody else says, bounded, without what may be a token.

    :param hide: texts of templates. Nothing that stands in them is shown, unless it cannot be a token
    """
    lines = [line.strip() for line in text[: 20 * LONGEST].splitlines() if line.strip()]
    if not lines:
        return ""
    # what stands there between braces is a template
    line = re.sub(r"\{[{%#].*", MASK, lines[0])
    hidden = "\0".join(hide)
    line = re.sub(r"[^\s'\"`()<>,;/:?&=]{4,}", lambda word: _unless_hidden(word[0], hidden), line)
    line = _SHAPES.sub(lambda found: found[0] if plugin_name(found[0]) else MASK, line)
    line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(line) <= LONGEST else line[:LONGEST] + " ..."


def _unless_hidden(word: str, hidden: str) -> str:
    bare = word.strip(".!")
    return word if not bare or bare not in hidden or plain(bare) else word.replace(bare, MASK)
