# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the project's checks, each under its heading and with its time, and say at the end how many passed.

    python3 check.py CHECK...     lint, sanity, unit, functional, leak, molecule

A check that fails does not stop the others. Lanes of checks run beside each other, see LANES. Arguments for pytest come from PYTEST_ARGS.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from typing import NamedTuple

import environments
import lint
import sanity
import scenarios
from paths import CACHE, REPOSITORY, SupportError, program, say


def pytest(folder, *options):
    """Run one folder of tests. A folder without tests fails: pytest says so with a code of its own."""
    command = [
        str(environments.make("test") / "bin" / "python"), "-m", "pytest", "-o", f"cache_dir={CACHE / 'pytest'}", *options,
        *shlex.split(os.environ.get("PYTEST_ARGS", "")), str(folder),
    ]  # fmt: skip
    variables = environments.activated("test", HYPOTHESIS_STORAGE_DIRECTORY=str(CACHE / "hypothesis"))
    if subprocess.run(command, cwd=REPOSITORY, env=variables, check=False).returncode != 0:
        raise SupportError(f"the tests in {folder} failed.")


CHECKS = {
    "lint": lambda: lint.run_steps(lint.STEPS),
    "sanity": sanity.run_all,
    "unit": lambda: pytest("tests/unit", "--numprocesses=2"),
    # by file: what is tested together is made together, once; in the order of tests/functional/conftest.py
    "functional": lambda: pytest("tests/functional", "--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder", "--durations=5"),
    "leak": lambda: pytest("tests/leak", "--numprocesses=2", "--durations=5"),
    "molecule": lambda: scenarios.run_all("test", []),
}


LANES = (("lint", "sanity", "unit"), ("functional", "leak"), ("molecule",))
"""The checks of a lane run one after the other, and the lanes beside each other, so that two processors are busy to the end: lint and sanity use little
more than one, molecule waits most of its time, and the last tests of a run are seldom done at the same time."""


class Result(NamedTuple):
    """How a check ended, and how many seconds it took, and took of the processor. What its containers use is not counted."""

    passed: bool
    seconds: float
    processor: float

    def __str__(self):
        return f"{'passed' if self.passed else 'FAILED'} in {self.seconds:4.0f} s, {self.processor:4.0f} s of processor time"


class Process:
    """A command at work. Its output is kept, and shown from when its result is asked for, as it comes."""

    def __init__(self, command):
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 - it is read until the process has ended
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        self.found = None
        self.waiting = threading.Thread(target=self._wait, daemon=True)
        self.waiting.start()

    def _wait(self):
        _pid, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.found = Result(self.process.returncode == 0, time.monotonic() - self.started, used.ru_utime + used.ru_stime)

    def _read(self, position):
        return os.pread(self.output.fileno(), 1 << 20, position)

    def result(self):
        position = 0
        while True:
            over = self.found is not None  # looked at first, so that nothing written after the last look is missed
            data = self._read(position)
            position += len(data)
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
            if over and not data:
                break
            if not data:
                time.sleep(1)
        self.waiting.join()
        return self.found

    def last_lines(self, count=30):
        """The end of the output: where pytest names the tests that failed, and other programs what was wrong."""
        end = self._read(max(0, os.fstat(self.output.fileno()).st_size - (1 << 14)))
        return "\n".join(end.decode(errors="replace").splitlines()[-count:])


class Lane(threading.Thread):
    """Runs checks one after the other, each in a process of its own."""

    def __init__(self, names):
        super().__init__(daemon=True)
        self.processes: "dict[str, Future[Process]]" = {name: Future() for name in names}  # set as soon as it runs
        self.starting = threading.Lock()
        self.stopped = False

    def run(self):
        for name, process in self.processes.items():
            with self.starting:
                if self.stopped:
                    return
                try:
                    process.set_result(Process([sys.executable, __file__, name]))
                except OSError as fault:  # a full disk, for instance
                    process.set_exception(fault)
                    return
            process.result().waiting.join()

    def stop(self):
        """End the check that runs, and start no other."""
        with self.starting:
            self.stopped = True
        for process in self.processes.values():
            if process.done() and not process.exception() and process.result().found is None:
                process.result().process.terminate()


def run_all(names):
    """Run checks, and say how each ended; return whether all passed."""
    started = time.monotonic()
    lanes = [Lane([name for name in lane if name in names]) for lane in LANES]
    say("Lanes of checks run beside each other. What a check prints follows what those before it have printed.")
    processes, results = {}, {}
    try:
        for lane in lanes:
            lane.start()
        for lane in lanes:
            for name, process in lane.processes.items():
                print(f"\n===== {name} =====", flush=True)
                processes[name] = process.result()
                results[name] = processes[name].result()
                print(f"===== {name}: {results[name]} =====", flush=True)
    finally:
        for lane in lanes:
            lane.stop()
    failed = [name for name, result in results.items() if not result.passed]
    for name in failed:
        print(f"\n===== {name} failed; the end of what it printed =====\n{processes[name].last_lines()}")
    print("\n" + "\n".join(f"{name:<12} {result}" for name, result in results.items()))
    print(f"checks: {len(results) - len(failed)} passed, {len(failed)} failed, in {time.monotonic() - started:.0f} s", flush=True)
    return not failed


def main():
    wanted = sys.argv[1:]
    if not wanted or set(wanted) - set(CHECKS):
        raise SupportError(__doc__)
    if len(wanted) > 1:
        return 0 if run_all(wanted) else 1
    return CHECKS[wanted[0]]()


if __name__ == "__main__":
    sys.exit(program(main))
