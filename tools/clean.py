# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leave nothing behind: remove this checkout's containers, the images, the project's own engine and the cache.

    python3 clean.py

A cache that other checkouts share goes, too, and an engine that was started from it; they make them again. Debian
packages that were installed stay.
"""

import os
import shutil
import subprocess
import sys

import engine
import images
from paths import CACHE, CACHE_TAG, REPOSITORY, SupportError, digest, program, say

LEFTOVERS = (".ansible", ".benchmarks", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache")
LABEL = f"label=expanso-edge-tests={digest(REPOSITORY)}"


def remove_from_engine():
    host = engine.running()
    if host is None:
        return
    os.environ["DOCKER_HOST"] = host
    containers = images.docker("ps", "--all", "--quiet", "--filter", LABEL).stdout.split()
    if containers:
        images.docker("rm", "--force", "--volumes", *containers)
    networks = images.docker("network", "ls", "--quiet", "--filter", LABEL).stdout.split()
    if networks:
        images.docker("network", "rm", *networks)
    if host != engine.OWN_HOST:  # there they go with the engine's data, unless another checkout's cache holds those
        images.remove()


def remove_from_checkout():
    for name in LEFTOVERS:
        shutil.rmtree(REPOSITORY / name, ignore_errors=True)
    for folder in REPOSITORY.rglob("__pycache__"):
        shutil.rmtree(folder, ignore_errors=True)
    for file in REPOSITORY.glob("expanso-edge-*.tar.gz"):
        file.unlink()


def main():
    remove_from_engine()
    engine.down()
    remove_from_checkout()
    if not CACHE.exists():
        return
    if not (CACHE / CACHE_TAG).exists():
        raise SupportError(f"{CACHE} held other things before it became the cache: remove from it by hand what is not needed.")
    # layers of the engine's images may be mounted still, where it was killed; nothing but root can have mounted them
    subprocess.run(["sh", "-c", 'awk -v c="$1/" \'index($2, c) == 1 {print $2}\' /proc/mounts | xargs -r umount', "sh", str(CACHE)], check=False)
    shutil.rmtree(CACHE)
    say(f"Removed {CACHE}.")


if __name__ == "__main__":
    sys.exit(program(main))
