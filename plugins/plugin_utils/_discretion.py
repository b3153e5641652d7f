# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What may be shown of texts that may contain a token by mistake: names, paths, and messages of other plugins."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from ansible_collections.expanso.edge.plugins.module_utils._secrets import MASK, SHAPES

PASTED = "contains a token: revoke it, because it is stored with the variables of this job"
"""Of a variable that is for something else."""

LONGEST = 300
"""Characters of another plugin's message that are shown."""

# What modules mask by its shape, and more: on the controller the token itself is not known yet, so nothing else would hide it.
_SHAPES = re.compile(
    r"(?i:exp_[a-z]{2}_?\S*)"  # keys of every kind, of every length, with whatever is attached to them
    r"|\b[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}"  # also short JWTs
    rf"|{SHAPES.pattern}"
    # long texts of mixed letters and digits, as random ones are
    r"|(?<![A-Za-z0-9+_=-])(?=[A-Za-z+_=-]*[0-9])(?=[0-9+_=-]*[A-Za-z])[A-Za-z0-9+_=-]{16,}"
)
# playbooks/shared/pattern.yml has the same, because a pattern of hosts is used before any plugin of ours is asked
_TOKEN = re.compile(r"(?i)exp_[ab]k_[a-z0-9_-]{8}|(?<![a-z0-9_-])(?=[a-z0-9_-]+[.])[a-z0-9_-]*?eyJ[a-z0-9_-]{8,}[.]")
# "lowercase", "Capital", "UPPER", "kv2", "2027"
_WORD = re.compile(r"(?:[A-Z]?[a-z]{1,14}|[A-Z]{1,14})[0-9]{0,2}|[0-9]{1,4}")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_]{1,60}")
_PLUGIN = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*){0,3}")


def looks_like_token(text: str) -> bool:
    """Return whether a text certainly contains a token, so that it must not be shown as a name or a path."""
    return _TOKEN.search(text) is not None


def plain(text: str) -> bool:
    """Return whether a text consists of a few words as people write them, so that it cannot be a token."""
    if len(text) > 120 or text.lower().startswith("exp_"):
        return False
    parts = re.split(r"[^A-Za-z0-9]+", text)
    return all(_WORD.fullmatch(part) and not _CONSONANTS.search(part) for part in parts if part)


def plain_name(text: str) -> bool:
    """Return whether the name of a variable or key may be shown: words of letters, but not a single long word."""
    return bool(_NAME.fullmatch(text)) and plain(text) and (len(text) <= 12 or "_" in text.strip("_"))


def shown_name(name: str, texts: Iterable[str]) -> str:
    """Return the name of a variable or key that occurs in one of the texts, or an empty text if it may be a piece of a token."""
    around = [run for text in texts for run in re.findall(r"[A-Za-z0-9_.+/=~:@-]+", text) if name in run]
    return name if around and all(plain_name(part) for run in around for part in run.split(".")) else ""


def plugin_name(text: str, exists: bool = False) -> str:
    """Return the name of a plugin, or an empty text if it may be something else. A plugin that exists may have any name."""
    return text if _PLUGIN.fullmatch(text) and (exists or plain(text)) else ""


def shown_path(path: str) -> str:
    """Return a path with the parts masked that may be a token, shortened. An existing directory of this machine is not a token."""
    shown, walked = [], ""
    for part in path.split("/"):
        walked = f"{walked}{part}/"
        shown.append(part if plain(part) or os.path.isdir(walked) else MASK)
    text = "/".join(shown)
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."


def quoted(text: str, hide: Iterable[str] = ()) -> str:
    """Return the first line of another plugin's message, shortened, and with everything masked that may be a token.

    :param hide: texts of templates. Nothing that they contain is shown, unless it cannot be a token
    """
    lines = [line.strip() for line in text[: 20 * LONGEST].splitlines() if line.strip()]
    if not lines:
        return ""
    # the text in braces is a template
    line = re.sub(r"\{[{%#].*", MASK, lines[0])
    hidden = "\0".join(hide)
    line = re.sub(r"[^\s'\"`()<>,;/:?&=]{4,}", lambda word: _unless_hidden(word[0], hidden), line)
    line = _SHAPES.sub(lambda found: found[0] if plugin_name(found[0]) else MASK, line)
    line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(line) <= LONGEST else line[:LONGEST] + " ..."


def _unless_hidden(word: str, hidden: str) -> str:
    bare = word.strip(".!")
    return word if not bare or bare not in hidden or plain(bare) else word.replace(bare, MASK)
