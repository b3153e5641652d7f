# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules many times, each time in a fork of this process, so that a run costs milliseconds.

    python module_forks.py LOG NAME...

The modules are imported one time. Each line of standard input is a run: JSON with

    module      which one
    arguments   its options
    account     number of the account and group that it runs as, or null
    inject      what strace(1) does to a system call of it, as its option `--inject`; empty for nothing; null for a run without strace
    seconds     when it is killed

Each is answered by a line of JSON with `output`, what the module printed, `status`, as waitpid(2) gives it, and `calls`, what strace
wrote to the file LOG.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible.module_utils import basic

PACKAGE = "ansible_collections.expanso.edge.plugins.modules"

LATE = (
    *("docker", "docker.tls", "kubernetes", "kubernetes.dynamic", "kubernetes_validate", "jsonpatch", "encodings.idna", "_strptime"),
    *("ansible.module_utils._internal._json._profiles._module_legacy_c2m", "ansible.module_utils._internal._json._profiles._module_legacy_m2c"),
)
"""What modules and Ansible import only when they need it. An account without rights may be unable to read it."""

CALLS = (
    "openat,mkdirat,renameat,renameat2,linkat,unlinkat,fchmod,fchmodat,fchown,fchownat,utimensat,write,fsync,fsetxattr,fremovexattr,flock,"
    "newfstatat,fstat,?stat,?lstat,readlinkat,read,getdents64,close"
)
"""All that may change something below a directory, locks, and what looks at files and reads them."""


def run(module: ModuleType, case: dict[str, Any], log: Path) -> dict[str, Any]:
    """Run a module in a fork of this process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        work(module, case, writing)
    os.close(writing)
    os.waitpid(pid, os.WUNTRACED)
    tracer = None if case["inject"] is None else trace(pid, case["inject"], log)
    os.kill(pid, signal.SIGCONT)
    output = read(reading, pid, case["seconds"])
    status = os.waitpid(pid, 0)[1]
    if tracer:
        tracer.wait()
    return {"output": output.decode(errors="replace"), "status": status, "calls": log.read_text(errors="replace") if tracer else ""}


def work(module: ModuleType, case: dict[str, Any], writing: int) -> None:
    """Be the module, as Ansible starts it, once the parent continues this process. It does not return."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    if case["account"] is not None:
        os.setgroups([])
        os.setgid(case["account"])
        os.setuid(case["account"])
    os.kill(os.getpid(), signal.SIGSTOP)
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": case["arguments"]}).encode()  # type: ignore[attr-defined]
    if hasattr(basic, "_ANSIBLE_PROFILE"):
        basic._ANSIBLE_PROFILE = "legacy"
    code: Any = 99
    try:
        module.main()
    except SystemExit as exc:
        code = exc.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def trace(pid: int, inject: str, log: Path) -> subprocess.Popen[bytes]:
    """Let strace follow a process, and wait until it does, see proc_pid_status(5)."""
    command = ["strace", "--quiet=all", "--decode-fds=path", f"--attach={pid}", f"--output={log}", f"--trace={CALLS}"]
    tracer = subprocess.Popen(command + ([f"--inject={inject}"] if inject else []), stdin=subprocess.DEVNULL)
    while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
        if tracer.poll() is not None:
            os.kill(pid, signal.SIGKILL)
            raise SystemExit("strace cannot attach itself to another process on this machine: run the tests where ptrace(2) is permitted")
        time.sleep(0.0005)
    return tracer


def read(descriptor: int, pid: int, seconds: float) -> bytes:
    """Read what a process prints until it ends, and end it when its time is up."""
    end = time.monotonic() + seconds
    found = bytearray()
    while True:
        if not select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
            os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + 60
            continue
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            os.close(descriptor)
            return bytes(found)
        found += piece


def main() -> None:
    log = Path(sys.argv[1])
    modules = {name: importlib.import_module(f"{PACKAGE}.{name}") for name in sys.argv[2:]}
    for late in LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(late)
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps(run(modules[case["module"]], case, log)), flush=True)


if __name__ == "__main__":
    main()
