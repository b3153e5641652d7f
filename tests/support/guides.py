# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides of the documentation site show: files, and commands."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from paths import REPOSITORY

GUIDES = REPOSITORY / "docs" / "docsite" / "rst"
EXAMPLES = REPOSITORY / "examples" / "docs"
"""What the guides show whole; of other examples they show parts."""
BLOCK = re.compile(r"^( *)\.\. code-block:: *(\S+)\n(?:\1   :caption: *(\S+)\n)?\n((?:\1 +\S.*\n|\n)+)", re.MULTILINE)


class Block(NamedTuple):
    """A block of code: on which page, in which language, under which file name ("" for none), and its text."""

    page: str
    language: str
    name: str
    text: str

    def is_as_in_its_file(self) -> bool:
        """Return whether the block is the example of its name or, if the name has a folder, a part of it at whatever indentation."""
        if "/" not in self.name:
            return self.text == example(EXAMPLES / self.name)
        # a tag that only Ansible needs, where the page shows what is typed elsewhere
        lines = (EXAMPLES.parent / self.name).read_text(encoding="utf-8").replace("!unsafe ", "").splitlines()
        length = self.text.count("\n")
        parts = ("\n".join(lines[start : start + length]) + "\n" for start in range(len(lines)))
        return any(textwrap.dedent(part) == self.text for part in parts)


def blocks() -> Iterator[Block]:
    """All blocks of all guides."""
    for path in sorted(GUIDES.glob("*.rst")):
        for _indent, language, name, text in BLOCK.findall(path.read_text(encoding="utf-8") + "\n"):
            yield Block(path.stem, language, name, textwrap.dedent(text).strip("\n") + "\n")


def commands(*pages: str) -> list[str]:
    """Each command that these guides show, once and without its comment; of all guides where none is named."""
    shown = [block.text.replace("\\\n", "") for block in blocks() if block.language == "console" and block.page in (pages or block.page)]
    return sorted({line[2:].partition("  #")[0].rstrip() for text in shown for line in text.splitlines() if line.startswith("$ ")})


def command(page: str, *words: str, without: str = "") -> list[str]:
    """Return the words of the one command of a guide that has all these words, and not that one."""
    found = [each.split() for each in commands(page) if set(words) <= set(each.split()) and without not in each.split()]
    assert len(found) == 1, f"{len(found)} commands of {page} have the words {words}"
    return found[0]


def here(word: str) -> str:
    """Return a word of a command with the path of an example as an absolute one."""
    return str(REPOSITORY / word) if word.startswith("examples/") else word


def example(path: Path) -> str:
    """The text of an example without its header."""
    return path.read_text(encoding="utf-8").partition("\n\n")[2]
