# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that change files of a node, killed and failed at each system call that touches them.

The calls are those of an undisturbed run below the place; strace(1) tampers with one of them at a time. At each of them a file
is the old one, the new one, or absent as before, and is never open to others. Afterwards a run without a fault finishes.
"""

from __future__ import annotations

import errno
import os
import re
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
PATHS = ("etc/token", "etc/earlier", "data", "units", "agent")
MARKER = "data/auth/credentials.creds"

MANAGED = "# Managed by expanso.edge.\n"
OLD_UNIT, NEW_UNIT = ("[Service]\nType=oneshot\nExecStart=/bin/" + program for program in ("false\n", "true\n"))

AGENT = """#!/bin/sh
[ ! -e "$0.spent" ] || exit 12
: >"$0.spent"
mkdir -p "$3/auth"
: >"$3/auth/new"
mv "$3/auth/new" "$3/auth/credentials.creds"
"""
"""Registers a node one time only."""

SYSTEMCTL = """#!/bin/sh
echo 'systemd 252'
echo NeedDaemonReload=no
printf 'ActiveState=active\nSubState=running\nActiveEnterTimestampMonotonic=1\n'
"""
"""The same for all that it is asked: its version, and the state of a unit that has run for long."""

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
    "utimensat": ("EPERM", "EROFS", "EIO"),
}
"""How each call can fail, see the page of its manual. What creates a file can fail like a write as well."""

LOOKS = dict.fromkeys(("newfstatat", "fstat", "stat", "lstat", "readlinkat", "read", "getdents64", "close"), ("EIO",))
"""The same for calls that change nothing, so that to be killed there is like being killed at the next one."""


NAMED = re.compile(r'\d+<(?P<directory>[^>]*)>, "(?P<name>[^"]*)"')
"""A file as a call names it, by its directory."""


class Story(NamedTuple):
    """What a run begins with, and what it is to do."""

    name: str
    files: dict[str, str]
    arguments: dict[str, Any]
    finished: dict[str, str]
    """The files that hold a token afterwards."""
    module: str = "bootstrap_token"
    looks: bool = False
    """Whether calls fail that change nothing."""
    brief: bool = False
    """Whether a call fails in one way only, because a run takes long."""


STORIES = (
    Story("new", {}, {"path": "etc/token", "token": NEW}, {"etc/token": NEW}),
    Story("replaced", {"etc/token": OLD}, {"path": "etc/token", "token": NEW}, {"etc/token": NEW}),
    Story("left by a killed run", {"etc/token": OLD, "etc/.token.abcdefgh.expanso-edge.tmp": OLD}, {"path": "etc/token", "token": NEW}, {"etc/token": NEW}),
    Story("moved", {"etc/earlier": OLD}, {"path": "etc/token", "token": NEW, "obsolete_paths": ["etc/earlier"]}, {"etc/token": NEW}),
    Story("removed", {"etc/token": OLD, MARKER: "identity"}, {"path": "etc/token", "remove_when_registered": True}, {}),
    Story("spent", {"etc/token": OLD, MARKER: "identity"}, {"token_file": "etc/token", "remove_token_file": True}, {}, "edge_registration", looks=True),
    Story("registered", {"etc/token": OLD}, {"token_file": "etc/token", "remove_token_file": True, "binary": "agent"}, {}, "edge_registration", brief=True),
    Story(
        "waited for",
        {"etc/token": OLD, MARKER: "identity"},
        {"token_file": "etc/token", "remove_token_file": True, "unit": "edge.service", "bootstrap_unit": "bootstrap.service"},
        {},
        "wait_for_registration",
        looks=True,
    ),
    Story(
        "units",
        {"units/a.service": MANAGED + OLD_UNIT, "units/b.service": MANAGED + OLD_UNIT},
        {"directory": "units", "units": {"a.service": NEW_UNIT}, "absent": ["b.service"], "data_dir": "data", "files": ["agent"]},
        {"units/a.service": MANAGED + NEW_UNIT},
        "systemd_units",
        looks=True,
        brief=True,
    ),
)


class Node:
    """The place of the files, and the modules that work on them."""

    def __init__(self, place: Path) -> None:
        self.root = place / "node"
        programs = place / "programs"
        programs.mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("systemd-analyze", "#!/bin/sh\n")):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.modules = Modules(place / "calls", *{story.module for story in STORIES}, programs=programs)

    def run(self, story: Story, inject: Optional[str] = "") -> Result:
        """Run the module once, see :meth:`Modules.run`."""
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
            (self.root / name).chmod(widest(name))
        (self.root / "agent").write_text(AGENT)
        (self.root / "agent").chmod(0o755)

    def files(self) -> dict[str, str]:
        """All files below the node."""
        return {str(path.relative_to(self.root)): path.read_text() for path in self.root.rglob("*") if path.is_file()}

    def held(self) -> dict[str, str]:
        """Those that hold a token or a unit, or the beginning of one."""
        return {name: text for name, text in self.files().items() if text.startswith(("exp", MANAGED[:3]))}


def widest(name: str) -> int:
    """The permissions of a file that is no temporary one."""
    return 0o644 if name.startswith("units/") else 0o600


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
    varying = set()  # names of calls whose numbers differ from run to run: they look at other processes, or read from them
    found = []
    for name, arguments in result.calls:
        counts[name] = counts.get(name, 0) + 1
        if "pipe:" in arguments or ("/proc" in arguments and "/proc/self" not in arguments):
            varying.add(name)
        if str(node.root) in arguments and name not in varying and (name not in LOOKS or story.looks):
            found.append((name, counts[name], arguments))
    return found


def check(node: Node, story: Story, result: Result, fault: str) -> Optional[str]:
    """Return what is wrong after a run with a fault."""
    held = node.held()
    begun = {name: text for name, text in story.files.items() if name != MARKER and not name.endswith(".tmp")}
    named = {name: text for name, text in held.items() if not name.endswith(".tmp")}
    for name in {*named, *story.finished}:
        if named.get(name) not in (story.files.get(name), story.finished.get(name)):
            return f"{name} is neither as before nor as asked for"
    for name in held:
        if stat.S_IMODE((node.root / name).stat().st_mode) & ~widest(name):
            return f"{name} is open to others"
    if fault == KILL:
        return None if result.killed else "it was not killed"
    if OLD[7:] in result.output or NEW[7:] in result.output or "Traceback" in result.output:
        return f"it printed what it must not: {result.output.replace(OLD, '***').replace(NEW, '***')}"
    answer = result.answer
    if not answer.get("failed"):
        return None if named == story.finished else "it succeeded, and is not finished"
    if named != begun and not (answer.get("changed") and "; already done: " in answer["msg"]):
        return f"it does not tell what it has changed: {answer}"
    reason = os.strerror(getattr(errno, fault))
    return None if str(node.root) in answer["msg"] and reason in answer["msg"] else f"it does not say where and why ({reason}): {answer['msg']}"


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_each_fault_leaves_whole_files_and_the_next_run_finishes(story: Story, node: Node) -> None:
    found = points(node, story)
    assert len(found) > 5
    wrong = []
    after: dict[str, Optional[str]] = {}
    for name, number, arguments in found:
        creates = FULL if "O_CREAT" in arguments else ()
        faults = LOOKS[name] if name in LOOKS else (KILL, *FAULTS[name], *creates)
        for fault in faults[:2] if story.brief else faults:
            node.begin(story)
            inject = f"{name}:signal={KILL}:when={number}" if fault == KILL else f"{name}:error={fault}:when={number}"
            problem = check(node, story, node.run(story, inject), fault)
            if not problem:
                left = re.sub(r"\w{8}\.expanso-edge", "", repr(sorted(node.files().items())))
                if left not in after:
                    after[left] = next_run(node, story)
                problem = after[left]
            if problem:
                wrong.append(f"{fault} at {name}({arguments}): {problem}")
    assert not wrong, "\n".join(wrong)


def next_run(node: Node, story: Story) -> Optional[str]:
    """Run the module without a fault; return what is wrong afterwards."""
    answer = node.run(story, None).answer
    if answer.get("failed"):
        return f"the next run fails: {answer['msg']}"
    if node.held() != story.finished:
        return f"after the next run there are {sorted(node.held())}"
    return None if story.finished or (node.root / MARKER).exists() else "after the next run there is neither a token nor an identity"


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_what_was_done_survives_a_power_failure(story: Story, node: Node) -> None:
    """A file is on the disk before it gets its name, and each name before the module ends."""
    node.begin(story)
    calls = node.run(story).calls
    assert not [each for each in calls if each[0] in ("linkat", "renameat2")], "the test does not know what they do"
    wrong = []
    for number, (name, arguments) in enumerate(calls):
        found = NAMED.match(arguments)
        if name not in ("renameat", "unlinkat") or not found or not found["directory"].startswith(str(node.root)):
            continue
        file = f"<{found['directory']}/{found['name']}>"
        done = [call for call, what in calls[:number] if file in what and call in ("write", "fchmod", "fchown", "fsync")]
        if name == "renameat" and "write" in done and done[-1] != "fsync":
            wrong.append(f"{name}({arguments}): it is not on the disk before")
        if not any(call == "fsync" and what.endswith(f"<{found['directory']}>") for call, what in calls[number:]):
            wrong.append(f"{name}({arguments}): it is not on the disk afterwards")
    assert not wrong, "\n".join(wrong)
