# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `ansible-test sanity` over the whole checkout, with nothing ignored, on every released ansible-core that can be had.

    python3 sanity.py [CORE...]     2.16 or 2.21, for instance; by default all of them

By default the oldest and the newest run every test, those between only the tests that ask ansible-core itself. The
others (style, compilation, imports on all Pythons) would find the same again, and take most of the time.

ansible-test makes its own environments, and begins each with a script that it downloads. A stand-in is put in its
place, which takes pip from Python itself, so that the tests need no more than a package index. All of this lies
below the cache: ansible-test gets a home directory there.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import environments
from paths import CACHE, REPOSITORY, SupportError, copy_checkout, digest, program, say

HOME = CACHE / "ansible-test"
RELEASED = ("2.16", "2.17", "2.18", "2.19", "2.20", "2.21")
ASK_CORE = ("action-plugin-docs", "ansible-doc", "runtime-metadata", "validate-modules")
STAND_IN = Path(__file__).resolve().parent / "get_pip.py"


def put_stand_in(core):
    """Put the stand-in where this core's ansible-test looks for each version of pip that it knows."""
    (requirements,) = core.glob("lib/python3*/site-packages/ansible_test/_internal/python_requirements.py")
    versions = set(re.findall(r"pip='([0-9.]+)'", requirements.read_text(encoding="utf-8")))
    if not versions:
        raise SupportError(f"{requirements} names no version of pip any more: sanity.py has to learn where it does.")
    folder = HOME / ".ansible" / "test" / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    for version in versions:
        shutil.copy(STAND_IN, folder / f"get_pip_{version.replace('.', '_')}.py")


def search_path(core):
    """All Pythons at hand, so that ansible-test finds them by version: it must not meet pyenv's shims."""
    here = [str(Path(one.path).parent) for one in environments.interpreters()]
    rest = [folder for folder in os.get_exec_path() if Path(folder).name != "shims"]
    return ":".join([str(core / "bin"), *here, *rest])


def variables(core):
    found = {**os.environ, "HOME": str(HOME), "PATH": search_path(core), "PYTHONDONTWRITEBYTECODE": ""}
    # pip goes on reading the user's own settings
    for settings in (Path.home() / ".config" / "pip" / "pip.conf", Path.home() / ".pip" / "pip.conf"):
        if settings.exists():
            found.setdefault("PIP_CONFIG_FILE", str(settings))
    # a collections path set from outside would be searched, too
    return {name: value for name, value in found.items() if not name.startswith("ANSIBLE_") and name != "VIRTUAL_ENV"}


def checkout(version):
    """Return a copy of the checkout for one ansible-core.

    A copy, because ansible-test follows links; one for each core, because it leaves results in it, and for each checkout, because several share the cache.
    It is a repository of its own: ansible-test asks git for the files, and skips all of them where a repository around the cache ignores it.
    """
    copy = copy_checkout(HOME / f"checkout-{version}-{digest(REPOSITORY)}")
    subprocess.run(["git", "init", "--quiet", str(copy)], check=True)
    return copy


def watched(command, copy, environment):
    """Run ansible-test, and show what it says; return its exit code. Skipping everything is a failure."""
    process = subprocess.Popen(command, cwd=copy, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    skipped = False
    for line in process.stdout or []:
        say(line.rstrip("\n"))
        skipped = skipped or "All targets skipped" in line
    if process.wait() == 0 and skipped:
        say("ERROR: ansible-test found nothing to test.")
        return 1
    return process.returncode


def sanity(version, tests=()):
    """Run the tests named, by default all, on one ansible-core; return the exit code."""
    core = environments.make(f"core-{version}")
    put_stand_in(core)
    copy = checkout(version)
    ignored = [file for file in sorted(copy.glob("tests/sanity/ignore-*.txt")) if file.read_text(encoding="utf-8").strip()]
    if ignored:
        raise SupportError(f"sanity tests are ignored: {', '.join(file.name for file in ignored)}. Mend what they found instead.")
    say(f"--- ansible-test sanity, ansible-core {version} ---")
    command = [str(core / "bin" / "ansible-test"), "sanity", "--local", "--color", "no", *(f"--test={test}" for test in tests)]
    return watched(command, copy, variables(core))


def run_all():
    at_hand = [version for version in RELEASED if environments.available()[f"core-{version}"] is None]
    if not at_hand:
        raise SupportError("this machine can run none of the released versions of ansible-core: see environments.py --list.")
    run_cores({version: () if version in (at_hand[0], at_hand[-1]) else ASK_CORE for version in at_hand})


def run_cores(wanted):
    """Run tests by the version of ansible-core. A fault on one does not stop the others."""
    failed = [version for version, tests in wanted.items() if sanity(version, tests) != 0]
    if failed:
        raise SupportError(f"ansible-test sanity failed on ansible-core {', '.join(failed)}.")


def main():
    run_cores(dict.fromkeys(sys.argv[1:], ())) if sys.argv[1:] else run_all()


if __name__ == "__main__":
    sys.exit(program(main))
