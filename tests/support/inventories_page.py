# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of docs/inventories.md, and its blocks with the files of examples that they are taken from."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "inventories.md"
_BLOCK = re.compile(r"^([^\n]*)\n\n?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(\.\./(examples/[^)]+)\)")


class Block(NamedTuple):
    """A block of the page, and the last file that the line before it links to."""

    file: Path | None
    language: str
    text: str

    def is_in_its_file(self) -> bool:
        """Return whether the file contains the block, at whatever indentation."""
        if self.file is None:
            return False
        lines, wanted = self.file.read_text().splitlines(), self.text.splitlines()
        parts = ("\n".join(lines[start : start + len(wanted)]) for start in range(len(lines)))
        return any(textwrap.dedent(part) == textwrap.dedent("\n".join(wanted)) for part in parts)


def blocks() -> list[Block]:
    """Return the blocks that are not commands."""
    found = []
    for before, language, text in _BLOCK.findall(PAGE.read_text()):
        links = _LINK.findall(before)
        if language != "console":
            found.append(Block(REPOSITORY / links[-1] if links else None, language, text))
    return found


def commands() -> list[list[str]]:
    """Return the commands, each as its words, without comments."""
    consoles = [text for _before, language, text in _BLOCK.findall(PAGE.read_text()) if language == "console"]
    return [line.partition("  #")[0].split() for text in consoles for line in text.splitlines()]


def command(*words: str, without: str = "") -> list[str]:
    """Return the one command that has all these words, and not that one."""
    found = [each for each in commands() if set(words) <= set(each) and without not in each]
    assert len(found) == 1, f"{len(found)} commands of {PAGE.name} have the words {words}"
    return found[0]


def here(word: str) -> str:
    """Return a word of a command with the path of an example as an absolute one."""
    return str(REPOSITORY / word) if word.startswith("examples/") else word
