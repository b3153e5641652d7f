#!/usr/bin/env python3
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search a node for tokens: files, command lines, environments, units, the journal. Prints one place a line.

    search_token TOKEN...     each encoded in base64 twice, so that this command line is not found itself
"""

import base64
import os
import subprocess
import sys
from pathlib import Path

DIRECTORIES = ("/etc", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local", "/var")
LARGEST = 64 * 1024 * 1024


def forms(token):
    """The token and its base64 at the three offsets that it can have in a longer text."""
    yield token
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + token)
        yield encoded[4 if offset else 0 : -4]


def contents():
    """Everything that is searched, as pairs of a place and its bytes."""
    for directory in DIRECTORIES:
        for path in Path(directory).rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
                yield str(path), path.read_bytes()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            unit = os.path.basename((process / "cgroup").read_text(encoding="ascii").strip())
            yield f"command line of {unit}", (process / "cmdline").read_bytes()
            yield f"environment of {unit}", (process / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
    for command in (
        ["systemctl", "show", "*"],
        ["systemctl", "cat", "expanso-edge*"],
        ["systemctl", "status", "--full", "--lines=1000", "expanso-edge*"],
        ["systemctl", "show-environment"],
        ["journalctl", "--no-pager", "--output=export"],
    ):
        yield " ".join(command), subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout


def main():
    tokens = [base64.b64decode(base64.b64decode(argument)) for argument in sys.argv[1:]]
    searched = [form for token in tokens for form in forms(token)]
    for place in sorted({place for place, content in contents() if any(form in content for form in searched)}):
        print(place)


if __name__ == "__main__":
    main()
