# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Release the version that galaxy.yml names: check it, build its tarball from what git holds, and publish it.

    python3 release.py check      check the commit at hand, and build the tarball that it would be released as
    python3 release.py tag        the same, and tag the commit with its version
    python3 release.py publish    check the tag at hand, build its tarball, and publish it if GALAXY_TOKEN is set

The tarball and its SHA-256 are put into the checkout. GALAXY_URL names another server than Ansible Galaxy.
"""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple

import environments
import lint
from paths import REPOSITORY, SupportError, program, say

GALAXY = "https://galaxy.ansible.com/"
ENVIRONMENT = "lint"
VERSION = re.compile(r"^version: (\S+)$", re.MULTILINE)
RELEASES = re.compile(r"^  (\d\S*):$", re.MULTILINE)


class Facts(NamedTuple):
    """What a checkout is, as far as it matters for a release."""

    version: str  # in galaxy.yml
    branch: str  # nothing where none is checked out
    in_main: bool  # whether the commit is part of main
    uncommitted: List[str]
    tags: List[str]
    tags_here: List[str]  # of the commit
    released: List[str]  # versions in changelogs/changelog.yaml
    fragments: List[str]


def problems(facts: Facts, tagged: bool) -> List[str]:
    """Tell why this is not a release.

    :param tagged: whether it has to have its tag already; otherwise it must not have it yet
    """
    version = facts.version
    found = []
    if not re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", version):
        found.append(f"galaxy.yml: {version} is not a version such as 1.2.3 or 1.2.3-rc.1")
    if facts.uncommitted:
        found.append(f"these files are not committed: {', '.join(facts.uncommitted)}")
    if version not in facts.released:
        found.append(f"changelogs/changelog.yaml does not contain {version}: run `make changelog`, and commit the result")
    if facts.fragments:
        found.append(f"these fragments are not in the changelog: {', '.join(facts.fragments)}: run `make changelog`, and commit the result")
    if tagged:
        if version not in facts.tags_here:
            found.append(f"the commit at hand does not have the tag {version}: run `git checkout {version}`")
        if not facts.in_main:
            found.append("the commit at hand is not part of main: merge it first")
    else:
        if facts.branch != "main":
            found.append(f"the branch is {facts.branch or 'unknown'}: releases are made on main")
        if version in facts.tags:
            found.append(f"{version} is tagged already: raise the version in galaxy.yml")
    return found


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SupportError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def look() -> Facts:
    """Look at the checkout."""
    version = VERSION.search((REPOSITORY / "galaxy.yml").read_text(encoding="utf-8"))
    with_commit = git("branch", "--all", "--contains", "HEAD", "--format=%(refname)").split()
    return Facts(
        version=version.group(1) if version else "",
        branch=git("branch", "--show-current").strip(),
        in_main=bool({"refs/heads/main", "refs/remotes/origin/main"} & set(with_commit)),
        uncommitted=[line[3:] for line in git("status", "--porcelain").splitlines()],
        tags=git("tag", "--list").split(),
        tags_here=git("tag", "--points-at", "HEAD").split(),
        released=RELEASES.findall((REPOSITORY / "changelogs" / "changelog.yaml").read_text(encoding="utf-8")),
        fragments=sorted(path.name for path in (REPOSITORY / "changelogs" / "fragments").glob("*.y*ml")),
    )


def run(*command: str, cwd: Path, **variables: str) -> None:
    environment = {**environments.activated(ENVIRONMENT), **variables}
    done = subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise SupportError(f"{' '.join(command[:3])} failed.\n{done.stdout}".rstrip())


def settled(tarball: bytes, seconds: int) -> bytes:
    """Return a collection's tarball with the same files, and with nothing that depends on when and where it was built.

    ansible-galaxy takes the time of the build for the files that it makes and for the compression, and in FILES.json the
    order in which the file system lists directories. MANIFEST.json contains the checksum of FILES.json.

    :param seconds: the time of all files, since 1970
    """
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        members = {member.name: member for member in archive.getmembers()}
        contents: Dict[str, bytes] = {}
        for name, member in members.items():
            stream = archive.extractfile(member) if member.isfile() else None
            contents[name] = stream.read() if stream else b""
    listed = json.loads(contents["FILES.json"])
    listed["files"].sort(key=lambda each: each["name"])
    contents["FILES.json"] = json.dumps(listed, indent=True).encode()
    manifest = json.loads(contents["MANIFEST.json"])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(contents["FILES.json"]).hexdigest()
    contents["MANIFEST.json"] = json.dumps(manifest, indent=True).encode()
    written = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=written, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name in sorted(members, key=lambda name: (name != "MANIFEST.json", name != "FILES.json", name)):
            entry = tarfile.TarInfo(name)  # of root, whose number is 0 everywhere
            entry.type, entry.linkname, entry.mode = members[name].type, members[name].linkname, members[name].mode
            entry.size, entry.mtime = len(contents[name]), seconds
            archive.addfile(entry, io.BytesIO(contents[name]))
    return written.getvalue()


def build(commit: str, folder: Path) -> Path:
    """Build the tarball of a commit, of nothing but what git holds, in a folder that does not exist yet; return it."""
    source = folder / "source"
    source.mkdir(parents=True)
    git("archive", f"--output={folder / 'source.tar'}", commit)
    run("tar", "-xf", str(folder / "source.tar"), cwd=source)
    run("ansible-galaxy", "collection", "build", "--output-path", str(folder), cwd=source)
    (tarball,) = folder.glob("*.tar.gz")
    tarball.write_bytes(settled(tarball.read_bytes(), int(git("log", "-1", "--format=%ct", commit))))
    return tarball


def build_twice(commit: str, folder: Path) -> Path:
    """Build the tarball, and find out whether it is the same when it is built again elsewhere."""
    tarball = build(commit, folder / "first")
    if build(commit, folder / "again").read_bytes() != tarball.read_bytes():
        raise SupportError(f"{tarball.name} is another one each time that it is built: find out what is different, because nobody could check it.")
    return tarball


def put_here(tarball: Path) -> Path:
    """Copy the tarball into the checkout, with its SHA-256 as sha256sum reads it."""
    placed = Path(shutil.copy(tarball, REPOSITORY))
    placed.with_name(f"{placed.name}.sha256").write_text(f"{hashlib.sha256(placed.read_bytes()).hexdigest()}  {placed.name}\n", encoding="ascii")
    return placed


def publish(tarball: Path, url: str, token: str) -> None:
    """Publish the tarball. The token is in the environment of the one program that needs it, and never on a command line."""
    server = "ANSIBLE_GALAXY_SERVER_RELEASE"
    variables = {"ANSIBLE_GALAXY_SERVER_LIST": "release", f"{server}_URL": url, f"{server}_TOKEN": token}
    run("ansible-galaxy", "collection", "publish", str(tarball), cwd=tarball.parent, **variables)


def main() -> int:
    token = os.environ.pop("GALAXY_TOKEN", "")
    if len(sys.argv) != 2 or sys.argv[1] not in ("check", "tag", "publish"):
        raise SupportError(__doc__)
    command = sys.argv[1]
    facts = look()
    found = problems(facts, tagged=command == "publish")
    if found:
        raise SupportError("this cannot be released:\n" + "\n".join(f"- {each}" for each in found))
    with tempfile.TemporaryDirectory(prefix="release-") as scratch:
        tarball = build_twice("HEAD", Path(scratch))
        checks = lint.Lint(Path(scratch))
        checks.changelog()
        checks.inspect(tarball)
        placed = put_here(tarball)
    print(placed)
    if command == "check":
        say(f"{facts.version} can be released. Nothing was tagged or published: `make release COMMAND=tag` tags it.")
    elif command == "tag":
        git("tag", "--annotate", "--message", f"Version {facts.version}", facts.version)
        say(f"Tagged. Now run `git push origin {facts.version}`: the workflow release publishes it.")
    elif token:
        publish(placed, os.environ.get("GALAXY_URL") or GALAXY, token)
        say(f"{facts.version} is published.")
    else:
        say("Nothing was published, because GALAXY_TOKEN is not set.")
    return 0


if __name__ == "__main__":
    sys.exit(program(main))
