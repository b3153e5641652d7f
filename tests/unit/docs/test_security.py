# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests that the security policy names as proof."""

from __future__ import annotations

import re

import pytest
from paths import REPOSITORY

PROOFS = re.findall(r"`(\S+\.py)::(\w+)`", (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8"))


def test_promises_are_proven() -> None:
    """Each row of the table names a test, or the reader below would have nothing to check."""
    rows = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8").split("| promise | tests |\n")[1].splitlines()[1:]
    assert rows
    assert [row for row in rows if ".py::" not in row] == []


@pytest.mark.parametrize(("file", "name"), PROOFS, ids=[f"{file}-{name}" for file, name in PROOFS])
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    assert re.search(rf"^ *def {name}\(", (REPOSITORY / file).read_text(encoding="utf-8"), re.MULTILINE)
