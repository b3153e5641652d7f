# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules without Ansible around them, for tests that run them very often; see `tests/support/module_forks.py`."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, Optional

import environments
from paths import REPOSITORY, collections

CALL = re.compile(r"^(\w+)\((.*)\) += ", re.MULTILINE)


class Result(NamedTuple):
    """What came of a run."""

    output: str
    status: int
    calls: list[tuple[str, str]]
    """System calls: name and arguments."""

    @property
    def killed(self) -> bool:
        return os.WIFSIGNALED(self.status)

    @property
    def answer(self) -> dict[str, Any]:
        """What the module returned to Ansible."""
        return dict(json.loads(self.output))


class Modules:
    """Modules that are ready to run."""

    def __init__(self, log: Path, *names: str, programs: Optional[Path] = None) -> None:
        """Import the modules of these names.

        :param programs: a directory of programs that take the place of the machine's own ones
        """
        program = REPOSITORY / "tests" / "support" / "module_forks.py"
        command = [str(environments.make("test") / "bin" / "python"), str(program), str(log), *names]
        # an umask that shows what a module leaves to it
        environment = {**os.environ, "PYTHONPATH": str(collections())}
        if programs:
            environment["PATH"] = f"{programs}:{environment['PATH']}"
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=log.parent, umask=0)

    def run(self, module: str, arguments: dict[str, Any], inject: Optional[str] = None, account: Optional[int] = None, seconds: float = 60) -> Result:
        """Run a module once."""
        assert self.process.stdin and self.process.stdout
        case = {"module": module, "arguments": arguments, "inject": inject, "account": account, "seconds": seconds}
        print(json.dumps(case), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, "the process that runs the modules has ended: its reason stands above"
        done = json.loads(line)
        return Result(done["output"], done["status"], CALL.findall(done["calls"]))

    def close(self) -> None:
        """End."""
        assert self.process.stdin
        self.process.stdin.close()
        assert self.process.wait(60) == 0
