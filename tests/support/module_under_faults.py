# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one module many times, each time with a system call that fails or kills it (strace(1), tampering).

    python module_under_faults.py MODULE LOG

MODULE is imported one time, and each run is a fork of this process, so that a run costs milliseconds. Each line of standard input
is a run: JSON with `arguments`, the module's options, and `inject`, an expression of `strace --inject`, or an empty text. Each is
answered by a line of JSON with `output`, what the module printed, `status`, as waitpid(2) gives it, and `calls`, what strace wrote.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible.module_utils import basic

CALLS = "openat,mkdirat,renameat,renameat2,linkat,unlinkat,fchmod,fchmodat,fchown,fchownat,write,fsync,fsetxattr,fremovexattr,flock"
"""All that may change something below a directory, and locks."""

SECONDS = 30.0


def run(module: ModuleType, arguments: dict[str, Any], inject: str, log: Path) -> dict[str, Any]:
    """Run the module in a fork of this process, under strace."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.kill(os.getpid(), signal.SIGSTOP)
        work(module, arguments)
    os.close(writing)
    os.waitpid(pid, os.WUNTRACED)
    command = ["strace", "--quiet=all", "--decode-fds=path", f"--attach={pid}", f"--output={log}", f"--trace={CALLS}"]
    with subprocess.Popen(command + ([f"--inject={inject}"] if inject else []), stdin=subprocess.DEVNULL) as tracer:
        wait_for_tracer(pid, tracer)
        os.kill(pid, signal.SIGCONT)
        with os.fdopen(reading, "rb") as stream:
            output = stream.read()
        status = os.waitpid(pid, 0)[1]
    return {"output": output.decode(errors="replace"), "status": status, "calls": log.read_text(errors="replace")}


def work(module: ModuleType, arguments: dict[str, Any]) -> None:
    """Be the module, as Ansible starts it."""
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()  # type: ignore[attr-defined]
    if hasattr(basic, "_ANSIBLE_PROFILE"):
        basic._ANSIBLE_PROFILE = "legacy"
    try:
        module.main()
    except SystemExit as exc:
        sys.stdout.flush()
        os._exit(exc.code if isinstance(exc.code, int) else 1)
    os._exit(99)


def wait_for_tracer(pid: int, tracer: subprocess.Popen[bytes]) -> None:
    """Wait until strace has attached itself, see proc_pid_status(5)."""
    end = time.monotonic() + SECONDS
    while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
        if tracer.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"strace could not attach to process {pid}")
        time.sleep(0.0005)


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    log = Path(sys.argv[2])
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps(run(module, case["arguments"], case["inject"], log)), flush=True)


if __name__ == "__main__":
    main()
