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
BLOCK = re.compile(r"^( *)\.\. code-block:: *(\S+)\n(?:\1   :caption: *(\S+)\n)?\n((?:\1 +\S.*\n|\n)+)", re.MULTILINE)


class Block(NamedTuple):
    """A block of code: on which page, in which language, under which file name ("" for none), and its text."""

    page: str
    language: str
    name: str
    text: str


def blocks() -> Iterator[Block]:
    """All blocks of all guides."""
    for path in sorted(GUIDES.glob("*.rst")):
        for _indent, language, name, text in BLOCK.findall(path.read_text(encoding="utf-8") + "\n"):
            yield Block(path.stem, language, name, textwrap.dedent(text).strip("\n") + "\n")


def commands() -> list[str]:
    """Each command that the guides show, once."""
    found = [line[2:] for block in blocks() if block.language == "console" for line in block.text.splitlines() if line.startswith("$ ")]
    return sorted(set(found))


def example(path: Path) -> str:
    """The text of an example without its header."""
    return path.read_text(encoding="utf-8").partition("\n\n")[2]
