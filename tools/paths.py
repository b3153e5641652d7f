# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are, and the few helpers that every support program needs. Standard library only, Python 3.9+."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("EXPANSO_EDGE_CACHE") or REPOSITORY / ".cache").resolve()
CACHE_TAG = "CACHEDIR.TAG"  # tells that the folder is nothing but a cache: to backup programs, and to clean.py


class SupportError(Exception):
    """A fault that the user can do something about: the message says what."""


def say(message):
    """Progress goes to standard error: standard output belongs to the answer."""
    print(message, file=sys.stderr, flush=True)


def digest(*parts):
    """A short key for things made from `parts`."""
    sha = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        sha.update(b"%d:" % len(data) + data)
    return sha.hexdigest()[:12]


@contextlib.contextmanager
def locked(path):
    """Hold an exclusive lock: several checkouts and processes share one cache."""
    if not CACHE.exists() or not any(CACHE.iterdir()):
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / CACHE_TAG).write_text("Signature: 8a477f597d28d172789f06886806bc55\n", encoding="ascii")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another process that holds {path} ...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def collections():
    """A collections path that holds this checkout as expanso.edge, by a link."""
    path = CACHE / "collections" / digest(REPOSITORY)
    link = path / "ansible_collections" / "expanso" / "edge"
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(REPOSITORY)
    return path


def copy_checkout(collections_path):
    """Copy the checkout's files, committed or not, to below `collections_path`; return the copy. Some tools follow links."""
    copy = collections_path / "ansible_collections" / "expanso" / "edge"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=REPOSITORY, stdout=subprocess.PIPE, check=True
    )
    shutil.rmtree(copy, ignore_errors=True)
    for name in sorted(set(os.fsdecode(listed.stdout).split("\0")) - {""}):
        if (REPOSITORY / name).is_file():  # otherwise it was removed, and that is not committed yet
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, copy / name)
    return copy


def tail(path, lines=25):
    """The last lines of a log, for an error message."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return "\n".join("    " + line for line in text.splitlines()[-lines:])


def program(main):
    """Run `main`, show a SupportError as one message, and give its exit code."""
    try:
        return main() or 0
    except SupportError as fault:
        say(f"ERROR: {fault}")
        return getattr(fault, "exit_code", 1)
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130
