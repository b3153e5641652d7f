# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install Debian packages where this process may: as root on Debian or Ubuntu."""

import os
import shutil
import subprocess

from paths import CACHE, SupportError, locked, say, tail


def may_install():
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def run(command, log, environment):
    with open(log, "ab") as output:
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode


def install(packages, purpose, if_known=()):
    """Install `packages`, and those of `if_known` that this release has; or say what a user with the right to do so has to run."""
    names = " ".join(packages)
    if not may_install():
        raise SupportError(
            f"{purpose} needs packages that are not installed. As root on Debian or Ubuntu run: apt-get install {names}"
        )
    say(f"{purpose}: installing {names} from this machine's Debian packages (about 30 s) ...")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
    log = CACHE / "log" / "apt.log"
    with locked(CACHE / "lock" / "apt"):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("", encoding="utf-8")
        wait = ["-o", "DPkg::Lock::Timeout=300"]
        # may fail for one of several archives: what counts is that the packages install
        run(["apt-get", "-q", "update"], log, environment)
        wanted = [*packages, *(name for name in if_known if run(["apt-cache", "show", name], log, environment) == 0)]
        if run(["apt-get", "-q", "-y", *wait, "install", "--no-install-recommends", *wanted], log, environment) != 0:
            raise SupportError(f"apt-get install {names} failed (whole log: {log}):\n{tail(log)}")
