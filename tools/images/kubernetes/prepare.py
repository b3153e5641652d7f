# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""prepare.py CONTEXT: put the cluster's programs, which the repository cannot hold, into CONTEXT/bin.

They are built once from Debian's source package (`build-from-source`, 6 to 20 minutes) and kept below the cache. An
archive that an earlier build was kept in spares that:
    EXPANSO_EDGE_KUBERNETES_ARCHIVE          a .tar.zst of the programs
    EXPANSO_EDGE_KUBERNETES_ARCHIVE_SHA256   its checksum, demanded: these programs run with all rights in a container
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import debian
from paths import CACHE, REPOSITORY, SupportError, digest, locked, program, say, tail

BUILD = HERE / "build-from-source"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
BUILD_TOOLS = {"dpkg-source": "dpkg-dev", "patch": "patch", "xz": "xz-utils"}


def unpack(archive, wanted, destination):
    """Unpack the programs of an archive whose checksum is the one that is wanted."""
    if not wanted:
        raise SupportError("EXPANSO_EDGE_KUBERNETES_ARCHIVE is set, EXPANSO_EDGE_KUBERNETES_ARCHIVE_SHA256 is not.")
    if not archive.is_file():
        raise SupportError(f"EXPANSO_EDGE_KUBERNETES_ARCHIVE: there is no file {archive}.")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != wanted.lower():
        raise SupportError(f"{archive} has the SHA-256 checksum {found}, not {wanted}: it is not used.")
    if shutil.which("zstd") is None:
        debian.install(["zstd"], "Kubernetes")
    say(f"Kubernetes: unpacking {archive} ...")
    command = ["tar", "--use-compress-program=zstd", "--no-same-owner", "-xf", str(archive), "-C", str(destination)]
    subprocess.run([*command, *(f"./{name}" for name in PROGRAMS)], stdin=subprocess.DEVNULL, check=True)


def build(destination):
    missing = [package for tool, package in BUILD_TOOLS.items() if shutil.which(tool) is None]
    if missing:
        debian.install(missing, "Building Kubernetes")
    log = CACHE / "log" / "kubernetes.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    say(f"Kubernetes: building it from Debian's source package, 6 to 20 minutes, once (log: {log}) ...")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="kubernetes-") as work, open(log, "wb") as output:
        done = subprocess.run(
            [str(BUILD), work, str(destination), *(name for name in PROGRAMS if name != "etcd")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        # Go makes its module folders read-only
        subprocess.run(["chmod", "-R", "u+w", work], stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise SupportError(f"Kubernetes could not be built (whole log: {log}):\n{tail(log)}")
    say(f"Kubernetes: built in {time.monotonic() - started:.0f} s.")


def programs():
    """The folder with the programs; made where it is missing."""
    folder = CACHE / "kubernetes" / digest(BUILD.read_bytes())
    with locked(CACHE / "lock" / "kubernetes"):
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
                made = Path(fresh) / "bin"
                made.mkdir()
                archive = os.environ.get("EXPANSO_EDGE_KUBERNETES_ARCHIVE")
                if archive:
                    unpack(REPOSITORY / archive, os.environ.get("EXPANSO_EDGE_KUBERNETES_ARCHIVE_SHA256"), made)
                else:
                    build(made)
                missing = [name for name in PROGRAMS if not os.access(made / name, os.X_OK)]
                if missing:
                    raise SupportError(f"Kubernetes: {', '.join(missing)} did not come about.")
                made.rename(folder)
    return folder


def main():
    if len(sys.argv) != 2:
        raise SupportError(__doc__)
    shutil.copytree(programs(), Path(sys.argv[1]) / "bin")


if __name__ == "__main__":
    sys.exit(program(main))
