# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project for AWX, signed and verified with the real ansible-sign and GnuPG, with a key that is thrown away."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import debian
import environments
import pytest
from awx_kit import PROJECT


@pytest.fixture(scope="module")
def project() -> Iterator[Path]:
    """A signed copy of the project, in a git checkout as AWX has it."""
    missing = [name for name in ("gpg", "gpg-agent") if shutil.which(name) is None]
    if missing:
        debian.install(missing, "Signing the project for AWX")
    # below /tmp, because the path of the agent's socket may not be long
    with tempfile.TemporaryDirectory(prefix="gnupg-") as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GNUPGHOME", home)
        patch.setenv("GPG_TTY", "/dev/null")
        checkout = Path(home) / "project"
        shutil.copytree(PROJECT, checkout)
        (checkout / ".git").mkdir()
        (checkout / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        key = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "Edge <edge@example.com>", "ed25519", "sign", "never"]
        subprocess.run(key, check=True, capture_output=True)
        assert ansible_sign("gpg-sign", checkout)[0] == 0
        yield checkout
        subprocess.run(["gpgconf", "--kill", "all"], check=True)


def ansible_sign(action: str, checkout: Path) -> tuple[int, str]:
    command = [environments.make("awx") / "bin" / "ansible-sign", "--nocolor", "project", action, checkout]
    done = subprocess.run(command, env=os.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def test_every_file_is_signed(project: Path) -> None:
    signed = [line.split("  ")[1] for line in (project / ".ansible-sign" / "sha256sum.txt").read_text().splitlines()]
    assert sorted(signed) == sorted(str(each.relative_to(PROJECT)) for each in PROJECT.rglob("*") if each.is_file())
    code, output = ansible_sign("gpg-verify", project)
    assert code == 0, output


@pytest.mark.parametrize("name", ["deploy.yml", "library/copy.py", "ansible.cfg", "rotate.yml"])
def test_a_file_that_is_added_or_changed_later_is_noticed(project: Path, name: str) -> None:
    file = project / name
    before = file.read_bytes() if file.exists() else None
    file.parent.mkdir(exist_ok=True)
    file.write_text("# changed\n")
    try:
        code, output = ansible_sign("gpg-verify", project)
        assert code != 0 and name in output
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)
