# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the project's virtual environments, each from tests/requirements/NAME.txt and a Python of this machine.

    python3 environments.py NAME       make the environment where it is missing, and print its path
    python3 environments.py --list     tell which environments can be had on this machine, and with which Python
    python3 environments.py --pythons  print every Python interpreter at hand, one `VERSION PATH` a line

Interpreters are looked for on PATH, in /usr/bin and among pyenv's versions; EXPANSO_EDGE_PYTHONS, a list of
interpreters separated by colons, replaces that search.

Exit codes: 0 made or there already; 1 failed; 3 this machine has no Python that the environment can use.
"""

import argparse
import functools
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import debian
from paths import CACHE, REPOSITORY, SupportError, collections, digest, locked, program, say, tail

REQUIREMENTS = REPOSITORY / "tests" / "requirements"
Version = Tuple[int, int]


class Environment(NamedTuple):
    pythons: Tuple[Version, ...]  # the ones that will do, best first
    seconds: int  # what making it takes, roughly, on two cores


NEWEST_FIRST = ((3, 13), (3, 12), (3, 14), (3, 11))
ENVIRONMENTS: Dict[str, Environment] = {
    "provision": Environment(NEWEST_FIRST, 30),
    "test": Environment(NEWEST_FIRST, 45),
    "lint": Environment(NEWEST_FIRST, 45),
    "core-2.16": Environment(((3, 11), (3, 12), (3, 10)), 15),
    "core-2.17": Environment(((3, 12), (3, 11), (3, 10)), 15),
    "core-2.18": Environment(((3, 12), (3, 11), (3, 13)), 15),
    "core-2.19": Environment(((3, 13), (3, 12), (3, 11)), 15),
    "core-2.20": Environment(((3, 13), (3, 12), (3, 14)), 15),
    "core-2.21": Environment(((3, 13), (3, 12), (3, 14)), 15),
    "core-2.22": Environment(((3, 13), (3, 14)), 15),
    "oldest-clients": Environment(((3, 10), (3, 11), (3, 9)), 15),
    "awx": Environment(((3, 13), (3, 12), (3, 11)), 45),
}
DEPENDENCIES = ("community/docker", "community/library_inventory_filtering_v1", "kubernetes/core")


class Interpreter(NamedTuple):
    path: str
    version: Tuple[int, int, int]
    has_venv: bool

    def __str__(self):
        return ".".join(map(str, self.version))


class Unavailable(SupportError):
    """This machine has no interpreter for the environment."""

    exit_code = 3


def candidates() -> List[str]:
    """Programs that may be Python interpreters, without running any."""
    override = os.environ.get("EXPANSO_EDGE_PYTHONS")
    if override:
        return [path for path in override.split(":") if path]
    folders = [Path(folder) for folder in os.get_exec_path()] + [Path("/usr/bin"), Path("/usr/local/bin")]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders += sorted(pyenv.glob("versions/*/bin"))
    found = [sys.executable]
    for folder in folders:
        # pyenv's shims are scripts that fail for versions that are not switched on; the real ones come below
        if folder.name == "shims":
            continue
        found += sorted(str(path) for path in folder.glob("python3*") if re.fullmatch(r"python3(\.\d+)?", path.name))
    return found


PROBE = """
import sys
try:
    import ensurepip, venv
    has_venv = 1
except ImportError:
    has_venv = 0
sys.stdout.write("%d %d %d %d %s" % (sys.version_info[:3] + (has_venv, getattr(sys, "_base_executable", sys.executable))))
"""


@functools.lru_cache(maxsize=None)
def interpreters() -> Tuple[Interpreter, ...]:
    """Every Python 3 that really runs here, newest first; several names of one interpreter count once."""
    found: Dict[str, Interpreter] = {}
    seen = set()
    for path in candidates():
        if not os.access(path, os.X_OK) or os.path.realpath(path) in seen:
            continue
        seen.add(os.path.realpath(path))
        try:
            answer = subprocess.run(
                [path, "-I", "-c", PROBE], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError):
            continue
        major, minor, micro, has_venv, base = answer.split(" ", 4)
        # the base executable: an environment made from another environment would break with it
        found.setdefault(os.path.realpath(base), Interpreter(base, (int(major), int(minor), int(micro)), has_venv == "1"))
    return tuple(sorted(found.values(), key=lambda one: one.version, reverse=True))


def choose(name: str) -> Interpreter:
    wanted = ENVIRONMENTS[name].pythons
    usable = [one for one in interpreters() if one.version[:2] in wanted]
    if not usable:
        versions = ", ".join(f"{major}.{minor}" for major, minor in sorted(wanted))
        found = ", ".join(map(str, interpreters())) or "none"
        raise Unavailable(
            f"environment {name} needs one of Python {versions}; found here: {found}. Install one of them,"
            " or name an interpreter in EXPANSO_EDGE_PYTHONS."
        )
    # the preferred version; among several of it one that can make environments as it is
    return min(usable, key=lambda one: (wanted.index(one.version[:2]), not one.has_venv))


def requirements(name: str) -> List[Path]:
    """The requirement file of an environment and all that it refers to."""
    file = REQUIREMENTS / f"{name}.txt"
    files = [file]
    for reference in re.findall(r"^-[rc] (\S+)\.txt$", file.read_text(encoding="utf-8"), re.MULTILINE):
        files += requirements(reference)
    return files


def path(name: str) -> Path:
    """Where the environment is, or would be made. Raises Unavailable."""
    python = choose(name)
    contents = [file.read_bytes() for file in requirements(name)]
    return CACHE / "environments" / f"{name}-{digest(os.path.realpath(python.path), python, *contents)}"


def run(command: List[str], log: Path, doing: str) -> None:
    with open(log, "ab") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise SupportError(f"{doing} failed (whole log: {log}):\n{tail(log)}")


def make(name: str) -> Path:
    """Make the environment where it is missing; return its path. Raises SupportError."""
    home = path(name)
    complete = home / "complete"
    if complete.exists():
        return home
    python = choose(name)
    with locked(CACHE / "lock" / home.name):
        if complete.exists():
            return home
        if not python.has_venv:
            # Debian ships the venv module's parts in a package of its own
            debian.install([f"python{python.version[0]}.{python.version[1]}-venv"], f"Environment {name} (Python {python})")
        seconds = ENVIRONMENTS[name].seconds
        say(f"Making environment {name} (Python {python}) in {home}: about {seconds} s ...")
        started = time.monotonic()
        shutil.rmtree(home, ignore_errors=True)  # left by a run that was interrupted
        log = CACHE / "log" / f"{home.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")
        run([python.path, "-m", "venv", str(home)], log, f"Making environment {name}")
        pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        run([*pip, "install", "--no-compile", "-r", str(REQUIREMENTS / f"{name}.txt")], log, f"Installing environment {name}")
        # Collections are never imported from bytecode, and they are most of the files: compile only the rest.
        compile_all = [str(home / "bin" / "python"), "-m", "compileall", "-q", "-j", "2", "-x", "ansible_collections", str(home / "lib")]
        with open(log, "ab") as output:  # packages ship files for other Pythons: not every file has to compile
            subprocess.run(compile_all, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False)
        complete.touch()
        say(f"Environment {name} made in {time.monotonic() - started:.0f} s.")
    return home


def activated(name: str, **variables: str) -> Dict[str, str]:
    """The process environment in which the programs of the environment `name` run, with this checkout as expanso.edge."""
    home = make(name)
    return {
        **os.environ,
        "PATH": f"{home / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(home),
        "ANSIBLE_COLLECTIONS_PATH": str(collections()),
        "EXPANSO_EDGE_CACHE": str(CACHE),
        **variables,
    }


def dependencies() -> Path:
    """A collections path with nothing but what this collection depends on: some tools read all that they find."""
    return linked("dependencies", "test", DEPENDENCIES)


def for_examples() -> Path:
    """A collections path with what the playbooks below examples use besides."""
    return linked("examples", "awx", ("awx/awx",))


def linked(folder: str, environment: str, names: Tuple[str, ...]) -> Path:
    """A collections path with nothing but the named collections, which an environment's ansible package carries."""
    path = CACHE / "collections" / folder
    (installed,) = make(environment).glob("lib/python3*/site-packages/ansible_collections")
    with locked(CACHE / "lock" / folder):
        for name in names:
            link = path / "ansible_collections" / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if link.resolve() != installed / name:  # others may be reading it
                link.unlink(missing_ok=True)
                link.symlink_to(installed / name)
    return path


def available(prefix: str = "") -> Dict[str, Optional[str]]:
    """Every environment whose name starts with `prefix`: None where it can be had here, otherwise the reason why not."""
    answer: Dict[str, Optional[str]] = {}
    for name in ENVIRONMENTS:
        if name.startswith(prefix):
            try:
                choose(name)
                answer[name] = None
            except Unavailable as fault:
                answer[name] = str(fault)
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("name", nargs="?", choices=list(ENVIRONMENTS), metavar="NAME", help=", ".join(ENVIRONMENTS))
    what.add_argument("--list", action="store_true")
    what.add_argument("--pythons", action="store_true")
    arguments = parser.parse_args()
    if arguments.pythons:
        for one in interpreters():
            print(one, one.path)
    elif arguments.list:
        for name, fault in available().items():
            print(f"{name:<14} " + (f"cannot be had: {fault}" if fault else f"Python {choose(name)}, {path(name)}"))
    else:
        print(make(arguments.name))
    return 0


if __name__ == "__main__":
    sys.exit(program(main))
