# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images for the tests, built from Debian's packages alone, or the ones that you name.

    python3 images.py build NAME...   build what is missing, one after the other, and print one image reference a line
    python3 images.py remove          remove the images that this program has built

NAME is KIND-SUITE, as in ssh-bookworm, or SUITE alone for systemd-SUITE. A kind is a folder of tools/images
with a Dockerfile; the default of its `ARG BASE` is the kind that it builds on. Where the folder has an program
`prepare.py`, that is run with the build context as argument, to put there what the repository cannot hold.

Variables of the environment that replace an image:
    EXPANSO_EDGE_IMAGE_SYSTEMD_BOOKWORM   is used as it is instead of systemd-bookworm (and so on for each NAME)
    EXPANSO_EDGE_BASE_IMAGE               the Debian that all are built on, say debian:{suite}, from your registry;
                                          without it mmdebstrap makes one from this machine's package mirror
The engine is the one that engine.py finds or starts.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import debian
import engine
from paths import CACHE, SupportError, digest, locked, program, say, tail

KINDS = Path(__file__).resolve().parent / "images"
SUITES = ("bullseye", "bookworm", "trixie", "forky")
NAMESPACE = "expanso-edge-tests"
# A suite that is not released yet may be served with lists older than they say that they may be.
MMDEBSTRAP = ["mmdebstrap", "--variant=minbase", "--aptopt=Acquire::Check-Valid-Until \"false\""]


def docker(*arguments, log=None):
    """Run the docker client; its output goes to `log`, or is returned."""
    if log is None:
        return subprocess.run(["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    with open(log, "ab") as output:
        return subprocess.run(["docker", *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False)


def split(name):
    kind, dummy, suite = name.rpartition("-")
    kind = kind or "systemd"
    if suite not in SUITES or not (KINDS / kind / "Dockerfile").is_file():
        kinds = ", ".join(sorted(path.parent.name for path in KINDS.glob("*/Dockerfile")))
        raise SupportError(f"there is no image {name!r}: the kinds are {kinds}; the suites are {', '.join(SUITES)}.")
    return kind, suite


def parent(kind):
    found = re.search(r"^ARG BASE=(\S+)$", (KINDS / kind / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise SupportError(f"{KINDS / kind / 'Dockerfile'}: no line `ARG BASE=KIND` that says what it builds on.")
    return found.group(1)


def key(kind, suite):
    """A hash of everything that an image is made from."""
    if kind == "base":
        return digest(suite, os.environ.get("EXPANSO_EDGE_BASE_IMAGE", ""), *MMDEBSTRAP)
    files = sorted(path for path in (KINDS / kind).rglob("*") if path.is_file())
    contents = [part for path in files for part in (path.relative_to(KINDS), path.read_bytes())]
    return digest(key(parent(kind), suite), *contents)


def tag(kind, suite):
    return f"{NAMESPACE}/{kind}:{suite}-{key(kind, suite)}"


def variable(kind, suite):
    """The variable of the environment that names an image to take instead."""
    return f"EXPANSO_EDGE_IMAGE_{kind}_{suite}".replace("-", "_").upper()


def named_by_user(kind, suite):
    return os.environ.get(variable(kind, suite))


def reference(name):
    """What to call the image in the engine, built or not. Raises SupportError for an unknown name."""
    kind, suite = split(name)
    return named_by_user(kind, suite) or tag(kind, suite)


def build(name):
    """Build the image where it is missing; return its reference. Raises SupportError."""
    kind, suite = split(name)
    return named_by_user(kind, suite) or build_kind(kind, suite)


def build_kind(kind, suite):
    image = tag(kind, suite)
    with locked(CACHE / "lock" / f"image-{kind}-{suite}"):
        if docker("image", "inspect", image).returncode != 0:
            if kind == "base":
                build_base(suite, image)
            else:
                build_on(build_kind(parent(kind), suite), kind, suite, image)
        # a name without the key, for people; the tests use the one with it
        docker("tag", image, f"{NAMESPACE}/{kind}:{suite}")
    return image


def build_base(suite, image):
    log = fresh_log(f"image-base-{suite}")
    named = os.environ.get("EXPANSO_EDGE_BASE_IMAGE")
    if named:
        named = named.format(suite=suite)
        say(f"Fetching image {named} ...")
        if docker("pull", named, log=log).returncode != 0 and docker("image", "inspect", named).returncode != 0:
            raise SupportError(f"image {named} cannot be had (whole log: {log}):\n{tail(log)}")
        docker("tag", named, image)
        return
    if shutil.which("mmdebstrap") is None:
        try:
            debian.install(["mmdebstrap", "debian-archive-keyring"], "Container images")
        except SupportError as fault:
            raise SupportError(f"{fault} Or name an image of your registry: EXPANSO_EDGE_BASE_IMAGE='debian:{{suite}}'") from None
    say(f"Building image base-{suite} (about 20 s) ...")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        archive = Path(folder) / "root.tar"
        with open(log, "ab") as output:
            made = subprocess.run([*MMDEBSTRAP, suite, str(archive)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
        if made.returncode != 0 or docker("import", str(archive), image, log=log).returncode != 0:
            raise SupportError(f"image base-{suite} could not be built (whole log: {log}):\n{tail(log)}")


def build_on(base, kind, suite, image):
    log = fresh_log(f"image-{kind}-{suite}")
    started = time.monotonic()
    say(f"Building image {kind}-{suite} (about 30 s) ...")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        context = Path(folder) / "context"
        shutil.copytree(KINDS / kind, context)
        prepare = KINDS / kind / "prepare.py"
        command = [sys.executable, str(prepare), str(context)]
        if prepare.exists() and subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode != 0:
            raise SupportError(f"image {kind}-{suite} could not be built.")
        done = docker("build", "--build-arg", f"BASE={base}", "--tag", image, str(context), log=log)
    if done.returncode != 0:
        raise SupportError(f"image {kind}-{suite} could not be built (whole log: {log}):\n{tail(log)}")
    say(f"Image {kind}-{suite} built in {time.monotonic() - started:.0f} s.")


def fresh_log(name):
    log = CACHE / "log" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    return log


def remove():
    images = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{NAMESPACE}/*").stdout.split()
    if images:
        docker("image", "rm", "--force", *images)


def main():
    action, names = (sys.argv + [""])[1], sys.argv[2:]
    if action == "build" and names:
        os.environ["DOCKER_HOST"] = engine.up()
        for name in names:
            print(build(name), flush=True)
    elif action == "remove":
        host = engine.running()
        if host:
            os.environ["DOCKER_HOST"] = host
            remove()
    else:
        raise SupportError(__doc__)


if __name__ == "__main__":
    sys.exit(program(main))
