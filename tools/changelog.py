# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write CHANGELOG.md: take the fragments, and the modules, plugins and roles that are new, into the version in galaxy.yml.

    python3 changelog.py     before that version is released, it may be run again and again
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import environments
from paths import REPOSITORY, SupportError, copy_checkout, program


def main():
    with tempfile.TemporaryDirectory() as folder:
        # in a copy, because the tool wants the collection at the place where it would be installed
        copy = copy_checkout(Path(folder))
        variables = environments.activated("lint", ANSIBLE_COLLECTIONS_PATH=folder)
        command = ["antsibull-changelog", "release", "--reload-plugins", "--update-existing"]
        if subprocess.run(command, cwd=copy, env=variables, check=False).returncode != 0:
            raise SupportError("the changelog could not be written.")
        shutil.copy(copy / "CHANGELOG.md", REPOSITORY)
        shutil.copy(copy / "changelogs" / "changelog.yaml", REPOSITORY / "changelogs")
        for fragment in (REPOSITORY / "changelogs" / "fragments").glob("*.yml"):
            if not (copy / "changelogs" / "fragments" / fragment.name).exists():
                fragment.unlink()


if __name__ == "__main__":
    sys.exit(program(main))
