# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that change a token file, killed and failed at each system call that touches the place of the token.

The calls are those of an undisturbed run below the place; strace(1) tampers with one of them at a time. At each of them the file
holds the old token, the new one, or is absent as before, and is never open to others. Afterwards a run without a fault finishes.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import debian
import pytest
from control_plane import new_key
from modules import Modules, Result

OLD, NEW = new_key(), new_key()
KILL = "KILL"
PATHS = ("etc/token", "etc/earlier", "data")
MARKER = "data/auth/credentials.creds"

REFUSED = ("EACCES", "EPERM", "EROFS", "EIO")
FULL = ("ENOSPC", "EDQUOT")
FAULTS = {
    "openat": ("EACCES", "EIO"),
    "mkdirat": REFUSED + FULL,
    "renameat": REFUSED + FULL,
    "unlinkat": REFUSED,
    "fchmod": ("EPERM", "EROFS", "EIO"),
    "fchown": ("EPERM", "EROFS", "EDQUOT"),
    "write": (*FULL, "EIO"),
    "fsync": (*FULL, "EIO"),
    "fremovexattr": ("EPERM", "EROFS", "EIO"),
    "flock": ("ENOLCK", "EIO"),
}
"""How each call can fail, see the page of its manual. What creates a file can fail like a write as well."""


class Story(NamedTuple):
    """What a run begins with, and what it is to do."""

    name: str
    files: dict[str, str]
    arguments: dict[str, Any]
    finished: dict[str, str]
    """The files that hold a token afterwards."""
    module: str = "bootstrap_token"


STORIES = (
    Story("new", {}, {"path": "etc/token", "token": NEW}, {"etc/token": NEW}),
    Story("replaced", {"etc/token": OLD}, {"path": "etc/token", "token": NEW}, {"etc/token": NEW}),
    Story("left by a killed run", {"etc/token": OLD, "etc/.token.abcdefgh.expanso-edge.tmp": OLD}, {"path": "etc/token", "token": NEW}, {"etc/token": NEW}),
    Story("moved", {"etc/earlier": OLD}, {"path": "etc/token", "token": NEW, "obsolete_paths": ["etc/earlier"]}, {"etc/token": NEW}),
    Story("removed", {"etc/token": OLD, MARKER: "identity"}, {"path": "etc/token", "remove_when_registered": True}, {}),
    Story("spent", {"etc/token": OLD, MARKER: "identity"}, {"token_file": "etc/token", "remove_token_file": True}, {}, "edge_registration"),
)


class Node:
    """The place of a token, and the module that works on it."""

    def __init__(self, place: Path) -> None:
        self.root = place / "node"
        self.modules = Modules(place / "calls", *{story.module for story in STORIES})

    def run(self, story: Story, inject: str = "") -> Result:
        """Run the module once."""
        return self.modules.run(story.module, self.placed({"data_dir": "data", **story.arguments}), inject)

    def placed(self, value: Any) -> Any:
        """Arguments whose paths lead to this node."""
        if isinstance(value, dict):
            return {name: self.placed(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.placed(inner) for inner in value]
        return str(self.root / value) if value in PATHS else value

    def begin(self, story: Story) -> None:
        """Make the node what it was at the beginning."""
        if self.root.exists():
            shutil.rmtree(self.root)
        self.root.mkdir()
        for name, text in story.files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
            (self.root / name).chmod(0o600)

    def tokens(self) -> dict[str, str]:
        """The files below the node that hold a token or the beginning of one."""
        found = {str(path.relative_to(self.root)): path.read_text() for path in self.root.rglob("*") if path.is_file()}
        return {name: text for name, text in found.items() if text.startswith("exp")}


@pytest.fixture(scope="module")
def node(place: Path) -> Iterator[Node]:
    """A node."""
    if shutil.which("strace") is None:
        debian.install(["strace"], "The test of faults in system calls")
    made = Node(place)
    yield made
    made.modules.close()


def points(node: Node, story: Story) -> list[tuple[str, int, str]]:
    """Each call of an undisturbed run that touches the node: its name, its number among those of that name, and what it was told."""
    node.begin(story)
    result = node.run(story)
    assert not result.answer.get("failed"), result.output
    counts: dict[str, int] = {}
    found = []
    for name, arguments in result.calls:
        counts[name] = counts.get(name, 0) + 1
        if str(node.root) in arguments:
            found.append((name, counts[name], arguments))
    return found


def check(node: Node, story: Story, result: Result, fault: str) -> Optional[str]:
    """Return what is wrong after a run with a fault."""
    held = node.tokens()
    named = {name: text for name, text in held.items() if not name.endswith(".tmp")}
    for name in {*named, "etc/token"}:
        if named.get(name) not in (story.files.get(name), story.finished.get(name)):
            return f"{name} is neither as before nor as asked for"
    for name in held:
        if stat.S_IMODE((node.root / name).stat().st_mode) != 0o600:
            return f"{name} is open to others"
    if fault == KILL:
        return None if result.killed else "it was not killed"
    if OLD[7:] in result.output or NEW[7:] in result.output or "Traceback" in result.output:
        return f"it printed what it must not: {result.output.replace(OLD, '***').replace(NEW, '***')}"
    answer = result.answer
    if not answer.get("failed"):
        return None if named == story.finished else "it succeeded, and is not finished"
    reason = os.strerror(getattr(errno, fault))
    return None if str(node.root) in answer["msg"] and reason in answer["msg"] else f"it does not say where and why ({reason}): {answer['msg']}"


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_each_fault_leaves_a_whole_token_and_the_next_run_finishes(story: Story, node: Node) -> None:
    found = points(node, story)
    assert len(found) > 5
    wrong = []
    for name, number, arguments in found:
        creates = FULL if "O_CREAT" in arguments else ()
        for fault in (KILL, *FAULTS[name], *creates):
            node.begin(story)
            inject = f"{name}:signal={KILL}:when={number}" if fault == KILL else f"{name}:error={fault}:when={number}"
            problem = check(node, story, node.run(story, inject), fault)
            if not problem:
                again = node.run(story)
                if again.answer.get("failed"):
                    problem = f"the next run fails: {again.answer['msg']}"
                elif node.tokens() != story.finished:
                    problem = f"after the next run there are tokens in {sorted(node.tokens())}"
            if problem:
                wrong.append(f"{fault} at {name}({arguments}): {problem}")
    assert not wrong, "\n".join(wrong)
