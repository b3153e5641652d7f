# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `bootstrap_token`, killed and failed at each system call that touches the place of its token.

The calls are those of an undisturbed run below the place; strace(1) tampers with one of them at a time. At each of them the file
holds the old token, the new one, or is absent as before, and is never open to others. Afterwards a run without a fault finishes.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import debian
import environments
import pytest
from ansible_runs import PLACES
from conftest import AT_HAND
from control_plane import new_key
from paths import REPOSITORY, collections

OLD, NEW = new_key(), new_key()
KILL = "KILL"
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

CALL = re.compile(r"^(\w+)\((.*)\) += ", re.MULTILINE)


class Story(NamedTuple):
    """What a run begins with, and what it is to do."""

    name: str
    files: dict[str, str]
    arguments: dict[str, Any]
    finished: dict[str, str]
    """The files that hold a token afterwards."""


STORIES = (
    Story("new", {}, {"token": NEW}, {"etc/token": NEW}),
    Story("replaced", {"etc/token": OLD}, {"token": NEW}, {"etc/token": NEW}),
    Story("left by a killed run", {"etc/token": OLD, "etc/.token.abcdefgh.expanso-edge.tmp": OLD}, {"token": NEW}, {"etc/token": NEW}),
    Story("moved", {"etc/earlier": OLD}, {"token": NEW, "obsolete_paths": ["etc/earlier"]}, {"etc/token": NEW}),
    Story("removed", {"etc/token": OLD, MARKER: "identity"}, {"remove_when_registered": True}, {}),
)


class Result(NamedTuple):
    """What came of a run."""

    output: str
    killed: bool
    calls: list[tuple[str, str]]

    @property
    def answer(self) -> dict[str, Any]:
        """What the module returned to Ansible."""
        return dict(json.loads(self.output))


class Module:
    """The module, which is run with a fault wherever one is asked for."""

    def __init__(self, place: Path) -> None:
        self.place = place
        python = environments.make(AT_HAND[-1]) / "bin" / "python"
        program = REPOSITORY / "tests" / "support" / "module_under_faults.py"
        name = "ansible_collections.expanso.edge.plugins.modules.bootstrap_token"
        environment = {**os.environ, "PYTHONPATH": str(collections())}
        self.process = subprocess.Popen(
            [python, program, name, place / "calls"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, story: Story, inject: str = "") -> Result:
        """Run the module once."""
        arguments = dict(story.arguments, path=str(self.root / "etc/token"), data_dir=str(self.root / "data"))
        arguments["obsolete_paths"] = [str(self.root / path) for path in arguments.get("obsolete_paths", [])]
        assert self.process.stdin and self.process.stdout
        print(json.dumps({"arguments": arguments, "inject": inject}), file=self.process.stdin, flush=True)
        done = json.loads(self.process.stdout.readline())
        return Result(done["output"], os.WIFSIGNALED(done["status"]), CALL.findall(done["calls"]))

    @property
    def root(self) -> Path:
        return self.place / "node"

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
def module() -> Iterator[Module]:
    """The module in a place of its own, under the umask that would show most."""
    if shutil.which("strace") is None:
        debian.install(["strace"], "The test of faults in system calls")
    place = Path(tempfile.mkdtemp(prefix=".expanso-edge-test-", dir=PLACES))
    before = os.umask(0)
    running = Module(place)
    os.umask(before)
    yield running
    assert running.process.stdin
    running.process.stdin.close()
    assert running.process.wait() == 0
    shutil.rmtree(place)


def points(module: Module, story: Story) -> list[tuple[str, int, str]]:
    """Each call of an undisturbed run that touches the node: its name, its number among those of that name, and what it was told."""
    module.begin(story)
    result = module.run(story)
    assert not result.answer.get("failed"), result.output
    counts: dict[str, int] = {}
    found = []
    for name, arguments in result.calls:
        counts[name] = counts.get(name, 0) + 1
        if str(module.root) in arguments:
            found.append((name, counts[name], arguments))
    return found


def check(module: Module, story: Story, result: Result, fault: str) -> Optional[str]:
    """Return what is wrong after a run with a fault."""
    held = module.tokens()
    named = {name: text for name, text in held.items() if not name.endswith(".tmp")}
    for name in {*named, "etc/token"}:
        if named.get(name) not in (story.files.get(name), story.finished.get(name)):
            return f"{name} is neither as before nor as asked for"
    for name in held:
        if stat.S_IMODE((module.root / name).stat().st_mode) != 0o600:
            return f"{name} is open to others"
    if fault == KILL:
        return None if result.killed else "it was not killed"
    if OLD[7:] in result.output or NEW[7:] in result.output or "Traceback" in result.output:
        return f"it printed what it must not: {result.output.replace(OLD, '***').replace(NEW, '***')}"
    answer = result.answer
    if not answer.get("failed"):
        return None if named == story.finished else "it succeeded, and is not finished"
    reason = os.strerror(getattr(errno, fault))
    return None if str(module.root) in answer["msg"] and reason in answer["msg"] else f"it does not say where and why ({reason}): {answer['msg']}"


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_each_fault_leaves_a_whole_token_and_the_next_run_finishes(story: Story, module: Module) -> None:
    found = points(module, story)
    assert len(found) > 5
    wrong = []
    for name, number, arguments in found:
        creates = FULL if "O_CREAT" in arguments else ()
        for fault in (KILL, *FAULTS[name], *creates):
            module.begin(story)
            inject = f"{name}:signal={KILL}:when={number}" if fault == KILL else f"{name}:error={fault}:when={number}"
            problem = check(module, story, module.run(story, inject), fault)
            if not problem:
                again = module.run(story)
                if again.answer.get("failed"):
                    problem = f"the next run fails: {again.answer['msg']}"
                elif module.tokens() != story.finished:
                    problem = f"after the next run there are tokens in {sorted(module.tokens())}"
            if problem:
                wrong.append(f"{fault} at {name}({arguments}): {problem}")
    assert not wrong, "\n".join(wrong)
