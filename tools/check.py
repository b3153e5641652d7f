# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the project's checks, each under its heading and with its time, and say at the end how many passed.

    python3 check.py CHECK...     lint, sanity, unit, functional, leak, molecule

A check that fails does not stop the others. Arguments for pytest come from PYTEST_ARGS.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time

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
    # by file: what is tested together is made together, once
    "functional": lambda: pytest("tests/functional", "--numprocesses=2", "--dist=loadfile", "--durations=5"),
    "leak": lambda: pytest("tests/leak", "--numprocesses=2", "--durations=5"),
    "molecule": lambda: scenarios.run_all("test", []),
}


WAITS = "molecule"


def run(name):
    """Run one check; return whether it passed, and how long it took in seconds."""
    print(f"\n===== {name} =====", flush=True)
    started = time.monotonic()
    try:
        CHECKS[name]()
        passed = True
    except SupportError as fault:
        say(f"ERROR: {fault}")
        passed = False
    seconds = time.monotonic() - started
    print(f"===== {name}: {'passed' if passed else 'FAILED'} in {seconds:.0f} s =====", flush=True)
    return passed, seconds


class Beside:
    """A process whose output is shown when it is asked for its result, and from then on as it comes."""

    def __init__(self, command):
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 - it is read until the process has ended
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        self.ended = 0.0  # not yet
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self):
        self.process.wait()
        self.ended = time.monotonic()

    def result(self):
        """Show the output; return whether the process succeeded, and how long it took in seconds."""
        position = 0
        while True:
            over = self.ended > 0  # looked at first, so that nothing written after the last look is missed
            data = os.pread(self.output.fileno(), 1 << 20, position)
            position += len(data)
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
            if over and not data:
                return self.process.returncode == 0, self.ended - self.started
            if not data:
                time.sleep(1)


def run_all(names):
    """Run checks; return what each gave. Molecule waits most of its time, so it runs beside the others."""
    started = time.monotonic()
    beside = None
    if WAITS in names and len(names) > 1:
        say(f"{WAITS} runs beside the other checks; its output follows theirs.")
        beside = Beside([sys.executable, __file__, WAITS])
    try:
        results = {name: run(name) for name in names if beside is None or name != WAITS}
        if beside:
            results[WAITS] = beside.result()
    except BaseException:
        if beside:
            beside.process.terminate()
        raise
    if len(results) > 1:
        print("\n" + "\n".join(f"{name:<12} {'passed' if passed else 'FAILED'} {seconds:6.0f} s" for name, (passed, seconds) in results.items()))
        count = sum(passed for passed, _seconds in results.values())
        print(f"checks: {count} passed, {len(results) - count} failed, in {time.monotonic() - started:.0f} s", flush=True)
    return results


def main():
    wanted = sys.argv[1:]
    if not wanted or set(wanted) - set(CHECKS):
        raise SupportError(__doc__)
    return 0 if all(passed for passed, _seconds in run_all(wanted).values()) else 1


if __name__ == "__main__":
    sys.exit(program(main))
