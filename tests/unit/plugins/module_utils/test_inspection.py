# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import errno
import os
import tempfile
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._audit import inspection
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Policy
from ansible_collections.expanso.edge.plugins.module_utils._audit.inspection import groups_of, inspect_path, policy_from_params
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import SecureFileError

OPTIONS = {"owner": None, "group": None, "mode": "0600", "max_age": None, "data_dir": "/nowhere", "registration_markers": None}
OWN = {os.geteuid(), 0}


def policy(**options: Any) -> Policy:
    return policy_from_params({**OPTIONS, **options})[0]


def test_by_default_root_and_the_own_account_are_right() -> None:
    found, findings = policy_from_params(OPTIONS)
    assert (found.owners, found.groups, found.group_matters, found.mode, found.reader) == (OWN, {os.getegid(), 0}, False, 0o600, None)
    assert (found.registered, found.marker, findings) == (False, None, [])


@pytest.mark.parametrize(
    ("options", "reader"),
    [
        ({"owner": "4711"}, ("the account 4711", 4711, set())),
        ({"owner": "4711", "group": "4712"}, ("the account 4711", 4711, {4712})),
        ({"owner": "0", "group": "4712", "mode": "0640"}, ("the group 4712", None, {4712})),
        ({"group": "4712", "mode": "0440"}, ("the group 4712", None, {4712})),
        ({"group": "4712"}, None),  # the mode gives the group nothing
        ({"owner": "0"}, None),  # root reads everything
    ],
)
def test_who_has_to_read_the_file(options: dict[str, str], reader: Optional[tuple[str, Optional[int], set[int]]]) -> None:
    assert policy(**options).reader == reader


def test_groups_of_an_account() -> None:
    assert groups_of(os.geteuid(), None) >= {os.getegid()}
    assert groups_of(4711, None) == frozenset()
    assert 4712 in groups_of(os.geteuid(), 4712)


def test_accounts_that_are_missing_are_no_failure() -> None:
    found, findings = policy_from_params({**OPTIONS, "owner": "no-such-account", "group": "no-such-group"})
    assert [finding.code for finding in findings] == ["account_missing"] * 2
    assert found.owners == OWN and found.reader is None


def test_registered(safe_path: Path) -> None:
    marker = safe_path / "auth" / "credentials.creds"
    marker.parent.mkdir()
    marker.touch()
    found = policy(data_dir=str(safe_path))
    assert (found.registered, found.marker) == (True, str(marker))


def test_a_marker_that_nobody_can_look_for(safe_path: Path) -> None:
    (safe_path / "loop").symlink_to("loop")
    found, findings = policy_from_params({**OPTIONS, "registration_markers": [str(safe_path / "loop")]})
    assert (found.registered, found.marker) == (None, None)
    assert [finding.code for finding in findings] == ["registration_unknown"]
    assert str(safe_path / "loop") in findings[0].message


def test_look_at_a_file(safe_path: Path) -> None:
    path = safe_path / "token"
    path.write_bytes(b"data")
    path.chmod(0o600)
    facts = inspect_path(str(path), policy())
    assert (facts.state, facts.data, facts.size, facts.links, facts.unsafe, facts.barrier, facts.problem) == ("file", b"data", 4, 1, None, None, None)
    assert facts.attributes == (os.geteuid(), os.getegid(), 0o600)


@pytest.mark.parametrize("path", ["/" + "x" * 300, "/proc/self/fd/x/y/" + "z" * 5000])
def test_what_fails_is_a_fact(path: str) -> None:
    facts = inspect_path(path, policy())
    assert (facts.state, facts.problem) == ("unknown", "File name too long")


def test_a_file_that_cannot_be_read(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: str) -> None:
        raise PermissionError(13, "Permission denied")

    (safe_path / "token").touch()
    monkeypatch.setattr(inspection, "read", fail)
    facts = inspect_path(str(safe_path / "token"), policy())
    assert (facts.state, facts.data, facts.problem) == ("file", None, "Permission denied")


@pytest.mark.parametrize("change", ["gone", "replaced"])
def test_a_file_that_changes_meanwhile(safe_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    def read(path: str) -> None:
        if change == "replaced":
            raise SecureFileError(f"{path} is a symbolic link")

    (safe_path / "token").touch()
    monkeypatch.setattr(inspection, "read", read)
    facts = inspect_path(str(safe_path / "token"), policy())
    assert (facts.state, facts.data, facts.problem) == ("unknown", None, "it changes while it is looked at")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give directories away")
def test_what_the_agent_cannot_get_past() -> None:
    """A chain of directories that it can enter, but for one."""
    with tempfile.TemporaryDirectory(dir="/var/lib") as directory:
        place = Path(directory)
        path = place / "closed" / "token"
        path.parent.mkdir()
        path.write_bytes(b"data")
        os.chown(path, 4711, 0)
        path.chmod(0o600)
        agent = policy(owner="4711")
        place.chmod(0o711)
        path.parent.chmod(0o710)
        assert inspect_path(str(path), agent).barrier == str(path.parent)
        os.chown(path.parent, 0, 4712)
        assert inspect_path(str(path), policy(owner="4711", group="4712")).barrier is None
        path.chmod(0o200)
        assert inspect_path(str(path), policy(owner="4711", group="4712")).barrier == str(path)
        assert inspect_path(str(path), policy()).barrier is None


def test_a_link_above_that_others_may_exchange_is_named(safe_path: Path) -> None:
    (safe_path / "real").mkdir()
    (safe_path / "real" / "token").write_text("exp_bk_0123456789abcdef")
    (safe_path / "open").mkdir()
    (safe_path / "open" / "link").symlink_to("../real")
    (safe_path / "open").chmod(0o777)
    problem = inspect_path(str(safe_path / "open" / "link" / "token"), policy()).problem
    assert problem
    assert "changes" not in problem
    assert "link" in problem


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
@pytest.mark.parametrize("look", range(4))
def test_a_directory_that_cannot_be_opened_is_told(safe_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, look: int) -> None:
    """Whatever is asked of it, and although the next look succeeds: what is wrong with the directory is unknown then."""
    place = safe_path / "etc"
    place.mkdir()
    for name in ("token", ".token.abcdefgh.expanso-edge.tmp"):
        (place / name).touch(0o600)
    place.chmod(0o777)
    looks, real = [], os.open

    def refuse(path: Any, *more: Any, **keywords: Any) -> int:
        if path == "etc":
            looks.append(path)
            if len(looks) == look:
                raise OSError(number, os.strerror(number), path)
        return real(path, *more, **keywords)

    monkeypatch.setattr(os, "open", refuse)
    facts = inspect_path(str(place / "token"), policy())
    assert facts.problem == (os.strerror(number) if look else None) and len(looks) >= look
    if not look:
        assert facts.unsafe and facts.leftovers
