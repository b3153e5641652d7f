# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lint the collection: style, types, documentation, changelog, and the tarball that users would install.

    python3 lint.py [STEP...]     all steps where none is named; every step runs, even after one that fails
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import docsite
import environments
from paths import CACHE, REPOSITORY, SupportError, copy_checkout, program, say

EXAMPLES = REPOSITORY / "examples"
# What the tarball may hold at its top.
SHIPPED = {
    "CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "FILES.json", "LICENSES", "MANIFEST.json", "README.md",
    "SECURITY.md", "changelogs", "docs", "examples", "meta", "playbooks", "plugins", "roles",
}  # fmt: skip


class Lint:
    def __init__(self, folder):
        self.folder = folder  # for what only this run needs
        path = f"{environments.activated('lint')['ANSIBLE_COLLECTIONS_PATH']}:{environments.dependencies()}"
        # No bytecode beside the checkout's files. A directory of its own for it would hide that of the tools, which start a hundred times.
        self.environment = environments.activated(
            "lint", ANSIBLE_COLLECTIONS_PATH=path, ANSIBLE_HOME=str(CACHE / "ansible"), PYTHONDONTWRITEBYTECODE="1"
        )
        if not sys.stdout.isatty():
            self.environment["NO_COLOR"] = "1"

    def run(self, *command, cwd=REPOSITORY, quiet=False, **variables):
        """Run a tool; its output is shown, or with `quiet` only when it fails."""
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SupportError(f"{' '.join(map(str, command[:3]))} failed.\n{done.stdout or ''}".rstrip())
        return done.stdout

    def nox(self):
        """The sessions that antsibull-nox.toml describes, with the tools of this environment instead of one for each session."""
        # in a copy: what other checks write at the same time is not looked at
        self.run("nox", "--no-venv", "--envdir", str(self.folder / "nox"), cwd=copy_checkout(self.folder / "checkout"), quiet=True)

    def ansible_lint(self):
        path = f"{self.environment['ANSIBLE_COLLECTIONS_PATH']}:{environments.for_examples()}"
        self.run("ansible-lint", "--profile", "production", "--offline", "--strict", ANSIBLE_COLLECTIONS_PATH=path)

    def ruff(self):
        self.run("ruff", "check", "--cache-dir", str(CACHE / "ruff"), ".")

    def mypy(self):
        path = environments.collections()
        mypy = ["mypy", "--config-file", str(REPOSITORY / "pyproject.toml"), "--cache-dir", str(CACHE / "mypy")]
        self.run(*mypy, "--package", "ansible_collections.expanso.edge.plugins", MYPYPATH=str(path))
        # One run for each folder: the tests of different folders have modules of the same name. The tables of tests hand
        # over wrong types, some on purpose and some as **dictionary, and functions that it cannot infer.
        lenient = ["--disable-error-code=arg-type", "--disable-error-code=misc", "--no-warn-unused-ignores"]
        for folder in (REPOSITORY / "tools", *sorted((REPOSITORY / "tests").iterdir()), *sorted((REPOSITORY / "molecule").iterdir())):
            if folder.is_dir() and any(folder.rglob("*.py")):
                search = f"{path}:{REPOSITORY / 'tests' / 'support'}:{REPOSITORY / 'tools'}:{folder}"
                self.run(*mypy, *lenient, str(folder.relative_to(REPOSITORY)), MYPYPATH=search)

    def argument_specs(self):
        self.run("python", "tools/argument_specs.py")

    def role_tables(self):
        self.run("python", "tools/role_tables.py", "--check")

    def tables(self):
        """Write the tables of variables in the roles' READMEs."""
        self.run("python", "tools/role_tables.py")

    def documentation(self):
        # in a copy: the tool writes into the collection
        copy = copy_checkout(self.folder / "documentation")
        path = f"{self.folder / 'documentation'}:{environments.dependencies()}"
        lint = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=all"]
        # of a collection in a git checkout it takes what git tracks, and that is nothing of a cache that lies in this one
        outside = {"GIT_CEILING_DIRECTORIES": str(CACHE)}
        self.run(*lint, "--disallow-unknown-collection-refs", ".", cwd=copy, ANSIBLE_COLLECTIONS_PATH=path, **outside)

    def site(self):
        docsite.make(self.folder / "site")

    def changelog(self):
        copy = copy_checkout(self.folder / "changelog")
        self.run("antsibull-changelog", "lint", cwd=copy, quiet=True)
        self.run("antsibull-changelog", "generate", cwd=copy, quiet=True)
        if (copy / "CHANGELOG.md").read_bytes() != (REPOSITORY / "CHANGELOG.md").read_bytes():
            raise SupportError("CHANGELOG.md is not what changelogs/changelog.yaml says: run `make changelog`.")

    def tarball(self):
        # built from a copy, as from a fresh clone: what git ignores never gets in
        copy = copy_checkout(self.folder / "tarball")
        self.run("ansible-galaxy", "collection", "build", "--output-path", str(self.folder), cwd=copy, quiet=True)
        (archive,) = self.folder.glob("expanso-edge-*.tar.gz")
        self.inspect(archive)

    def inspect(self, archive):
        """Look into a tarball, and import it as Galaxy does."""
        with tarfile.open(archive) as content:
            names = content.getnames()
        strangers = sorted({name.split("/")[0] for name in names} - SHIPPED)
        wanted = ("README.md", "CHANGELOG.md", "docs/docsite/links.yml", "meta/runtime.yml", "LICENSES/GPL-3.0-or-later.txt")
        missing = [name for name in wanted if name not in names]
        if strangers or missing:
            raise SupportError(f"{archive.name} contains files that users do not need: {strangers}; missing: {missing}.")
        self.import_as_galaxy_does(archive)

    def build(self):
        """The tarball where the user finds it."""
        self.tarball()
        (archive,) = self.folder.glob("expanso-edge-*.tar.gz")
        print(shutil.copy(archive, REPOSITORY))

    def import_as_galaxy_does(self, archive):
        settings = self.folder / "galaxy-importer.cfg"
        settings.write_text("[galaxy-importer]\nCHECK_CHANGELOG = True\nRUN_ANSIBLE_LINT = False\n", encoding="utf-8")
        output = self.run("python", "-m", "galaxy_importer.main", str(archive), cwd=self.folder, quiet=True, GALAXY_IMPORTER_CONFIG=str(settings))
        complaints = [line for line in output.splitlines() if re.match(r"(WARNING|ERROR|CRITICAL)", line)]
        if complaints or "Importer processing completed successfully" not in output:
            raise SupportError("galaxy-importer complains:\n" + ("\n".join(complaints) or output))
        size = archive.stat().st_size // 1024
        say(f"{archive.name}: {size} KiB, nothing for galaxy-importer to complain about.")

    def pipelines(self):
        """Our own pipelines and the examples, by the schemas of those who run them."""
        for schema, files in (
            ("github-workflows", [*sorted((REPOSITORY / ".github" / "workflows").glob("*.yml")), EXAMPLES / "ci" / "github-actions.yml"]),
            ("gitlab-ci", [REPOSITORY / ".gitlab-ci.yml", EXAMPLES / "ci" / "gitlab-ci.yml"]),
        ):
            self.run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files), quiet=True)

    def execution_environment(self):
        """What a builder of execution environments takes from the collection, and makes of the example."""
        home = self.folder / "execution-environment"
        copy = copy_checkout(home / "checkout")
        self.run("ansible-galaxy", "collection", "build", "--output-path", str(home), cwd=copy, quiet=True)
        (archive,) = home.glob("*.tar.gz")
        install = ["ansible-galaxy", "collection", "install", "--offline", "--no-deps", "--collections-path", str(home / "installed")]
        self.run(*install, str(archive), cwd=home, quiet=True, ANSIBLE_COLLECTIONS_PATH=str(home / "installed"))
        output = self.run("ansible-builder", "introspect", "--sanitize", str(home / "installed"), quiet=True)
        example = home / "installed" / "ansible_collections" / "expanso" / "edge" / "examples" / "execution-environment"
        # the whole answer: of a collection that it does not find, the builder prints empty lists and no error
        taken = re.findall(r"^- '?([^' ]*)", output, re.MULTILINE)
        pinned = re.findall(r"^([\w-]+)==", (example / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
        if not pinned or taken != pinned:
            raise SupportError(f"meta/ee-requirements.txt makes an execution environment get {taken}, the example pins {pinned}:\n{output}")
        create = ["ansible-builder", "create", "--file", str(example / "execution-environment.yml"), "--context", str(home / "context")]
        self.run(*create, "--output-filename", "Containerfile", cwd=home, quiet=True)
        for name in ("requirements.yml", "requirements.txt"):
            if (home / "context" / "_build" / name).read_bytes() != (example / name).read_bytes():
                raise SupportError(f"the build context of {example.name} has another {name} than the example.")


STEPS = (
    "nox", "ansible_lint", "ruff", "mypy", "argument_specs", "role_tables", "documentation", "site", "changelog", "tarball", "execution_environment",
    "pipelines",
)  # fmt: skip


def run_steps(wanted):
    failed = []
    with tempfile.TemporaryDirectory(prefix="lint-") as folder:
        lint = Lint(Path(folder))
        for step in wanted:
            say(f"--- {step} ---")
            started = time.monotonic()
            try:
                getattr(lint, step)()
                say(f"{step}: passed in {time.monotonic() - started:.0f} s")
            except SupportError as fault:
                failed.append(step)
                say(f"{step}: FAILED. {fault}")
    if failed:
        raise SupportError(f"lint failed: {', '.join(failed)}.")


def main():
    wanted = sys.argv[1:] or STEPS
    if set(wanted) - {*STEPS, "build", "tables"}:
        raise SupportError(f"{__doc__}\nSteps: {', '.join(STEPS)}; build puts the tarball into the checkout, tables writes the roles' tables")
    run_steps(wanted)


if __name__ == "__main__":
    sys.exit(program(main))
