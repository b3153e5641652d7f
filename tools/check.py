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
    "sanity": lambda: sanity.run_cores(sanity.oldest_and_newest()),
    "unit": lambda: pytest("tests/unit", "--numprocesses=2"),
    # by file: what is tested together is made together, once
    "functional": lambda: pytest("tests/functional", "--numprocesses=2", "--dist=loadfile", "--durations=5"),
    "leak": lambda: pytest("tests/leak", "--numprocesses=2", "--durations=5"),
    "molecule": lambda: scenarios.run_all("test", []),
}


def run(name):
    """Run one check; return whether it passed."""
    print(f"\n===== {name} =====", flush=True)
    started = time.monotonic()
    try:
        CHECKS[name]()
        passed = True
    except SupportError as fault:
        say(f"ERROR: {fault}")
        passed = False
    print(f"===== {name}: {'passed' if passed else 'FAILED'} in {time.monotonic() - started:.0f} s =====", flush=True)
    return passed


def main():
    wanted = sys.argv[1:]
    if not wanted or set(wanted) - set(CHECKS):
        raise SupportError(__doc__)
    results = {name: run(name) for name in wanted}
    if len(results) > 1:
        print("\n" + "\n".join(f"{name:<12} {'passed' if passed else 'FAILED'}" for name, passed in results.items()))
        print(f"checks: {sum(results.values())} passed, {len(results) - sum(results.values())} failed", flush=True)
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(program(main))
