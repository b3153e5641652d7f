# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the example execution environment as a user without Galaxy and PyPI does, on a base made from Debian's packages.

What such a user downloads beforehand comes from PyPI (wheels), from this checkout, and from the `ansible` package of the
tests (the collections that this one depends on). The build itself has no network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import environments
import images
import yaml
from paths import CACHE, REPOSITORY, SupportError, copy_checkout, digest, locked, say, tail

EXAMPLE = REPOSITORY / "examples" / "execution-environment"
SUITE, PYTHON = "trixie", "3.13"  # the base's Debian, and its Python
MADE_OF = ("galaxy.yml", "meta", "playbooks", "plugins", "roles", "examples/execution-environment")  # of the checkout
IMAGES = f"{images.NAMESPACE}/execution-environment"
LABEL = "expanso.edge.tests=execution-environment"  # of tools/images/ee-base
# The base is Debian's instead of Red Hat's, so the build's arguments differ; the context does not.
ARGUMENTS = {"PYCMD": "/opt/python/bin/python3", "PKGMGR": "/usr/bin/apt-get", "PKGMGR_PRESERVE_CACHE": "always"}


def run(*command: str, cwd: Path, log: Path) -> None:
    """Run a program of the linters' environment, which has ansible-builder."""
    variables = environments.activated("lint")
    with open(log, "ab") as output:
        done = subprocess.run(command, cwd=cwd, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        raise SupportError(f"{' '.join(command[:3])} failed (whole log: {log}):\n{tail(log)}")


def installed_collection(name: str, destination: Path) -> Path:
    """Copy an installed collection to where a tarball can be built of it: an installed one has no galaxy.yml."""
    shutil.copytree(environments.dependencies() / "ansible_collections" / name, destination)
    manifest = json.loads((destination / "MANIFEST.json").read_text(encoding="utf-8"))
    settings = {key: value for key, value in manifest["collection_info"].items() if value}
    (destination / "galaxy.yml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    for made in ("MANIFEST.json", "FILES.json"):
        (destination / made).unlink()
    return destination


def downloaded() -> Path:
    """Return the folder with what never changes between two builds: wheels, and tarballs of other collections."""
    constraints = environments.REQUIREMENTS / "constraints.txt"
    inputs = [EXAMPLE / "requirements.txt", EXAMPLE / "wheels.txt", constraints, environments.REQUIREMENTS / "provision.txt"]
    folder = CACHE / "execution-environment" / digest(PYTHON, *(path.read_bytes() for path in inputs))
    with locked(CACHE / "lock" / "execution-environment"):
        if not folder.exists():
            say("Downloading what the execution environment is made of (about 30 s) ...")
            log = images.fresh_log("execution-environment-downloads")
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            pip = ["python", "-m", "pip", "download", "--only-binary", ":all:", "--python-version", PYTHON, "-c", str(constraints)]
            run(*pip, "--dest", str(partial / "wheels"), "-r", "wheels.txt", cwd=EXAMPLE, log=log)
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                for name in environments.DEPENDENCIES:
                    source = installed_collection(name, Path(scratch, name))
                    run("ansible-galaxy", "collection", "build", "--output-path", str(partial), cwd=source, log=log)
            partial.rename(folder)
    return folder


def prepare(folder: Path, checkout: Path, log: Path) -> Path:
    """Make the build context of the example as it is without a network; return it."""
    example = shutil.copytree(checkout / EXAMPLE.relative_to(REPOSITORY), folder / "example")
    downloads = shutil.copytree(downloaded(), example / "downloads", copy_function=os.link)
    run("ansible-galaxy", "collection", "build", "--output-path", str(downloads), cwd=checkout, log=log)
    # as `ansible-galaxy collection download` writes it
    names = sorted(path.name for path in downloads.glob("*.tar.gz"))
    listed = [{"name": name, "version": name[: -len(".tar.gz")].rpartition("-")[2]} for name in names]
    (downloads / "requirements.yml").write_text(yaml.safe_dump({"collections": listed}), encoding="utf-8")
    context = folder / "context"
    run("ansible-builder", "create", "-f", "disconnected.yml", "-c", str(context), "--output-filename", "Containerfile", cwd=example, log=log)
    return context


def build() -> str:
    """Build the image where its contents are new; return its reference. DOCKER_HOST names the engine. Raises SupportError."""
    base = images.build(f"ee-base-{SUITE}")
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        checkout = copy_checkout(Path(scratch))
        files = [path for name in MADE_OF for path in (checkout / name, *sorted((checkout / name).rglob("*"))) if path.is_file()]
        parts = [part for path in files for part in (path.relative_to(checkout), path.read_bytes())]
        image = f"{IMAGES}:{digest(base, downloaded().name, sorted(ARGUMENTS.items()), *parts)}"
        with locked(CACHE / "lock" / "image-execution-environment"):
            if images.docker("image", "inspect", image).returncode != 0:
                build_image(image, base, Path(scratch), checkout)
    return image


def build_image(image: str, base: str, scratch: Path, checkout: Path) -> None:
    """Build the image, and remove old ones."""
    say("Building the execution environment (40 to 90 s) ...")
    started = time.monotonic()
    log = images.fresh_log("execution-environment")
    context = prepare(scratch, checkout, log)
    arguments = [part for name, value in {"EE_BASE_IMAGE": base, **ARGUMENTS}.items() for part in ("--build-arg", f"{name}={value}")]
    file = str(context / "Containerfile")
    if images.docker("build", "--network", "none", *arguments, "--tag", image, "--file", file, str(context), log=log).returncode != 0:
        raise SupportError(f"the execution environment could not be built (whole log: {log}):\n{tail(log)}")
    newest_first = images.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", IMAGES).stdout.split()
    for older in newest_first[3:]:  # the others may be those of checkouts beside this one
        images.docker("image", "rm", older)
    images.docker("image", "prune", "--force", "--filter", f"label={LABEL}")  # left by the build's stages
    say(f"Execution environment built in {time.monotonic() - started:.0f} s.")
