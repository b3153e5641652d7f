# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be brought about from without: a path that is exchanged while the module works, and a system that refuses in the middle."""

import errno
import os
import stat
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault
from ansible_collections.expanso.edge.plugins.modules import bootstrap_token
from ansible_collections.expanso.edge.plugins.modules.bootstrap_token import work

KEY = "exp_bk_0123456789abcdef0123456789abcdef"


class Module:
    """As much of an Ansible module as this one needs."""

    def __init__(self, place: Path, **params: Any) -> None:
        self.check_mode = False
        self.warnings: List[str] = []
        self.params: Dict[str, Any] = {
            "path": str(place / "etc" / "token"),
            "state": "present",
            "token": KEY,
            "token_source": None,
            "strict": False,
            "format": "raw",
            "variables": {},
            "credential_name": "name",
            "credential_key": "auto",
            "obsolete_paths": [],
            "owner": None,
            "group": None,
            "mode": "0600",
            "directory_mode": None,
            "remove_when_registered": False,
            "requires": [],
            "data_dir": str(place / "data"),
            "registration_markers": None,
            "record": False,
            "token_label": None,
            "run_id": None,
            "job_id": None,
            "delivery": None,
            "data_dir_owner": None,
            "data_dir_group": None,
            **params,
        }

    def run_options(self, *_secrets: str) -> Dict[str, str]:
        """A run that tells nothing of itself."""
        return dict.fromkeys(("token_label", "run_id", "job_id"), "")

    def log_change(self, *_change: Any) -> None:
        """A node without a log."""

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def get_bin_path(self, _name: str) -> None:
        """A node without any program."""

    def selinux_default_context(self, _path: str) -> None:
        """A node without SELinux."""

    def set_context_if_different(self, _path: str, _context: None, _changed: bool) -> None:
        """A node without SELinux."""


@pytest.fixture
def exchanged(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Exchange the token's directory for a link once it was judged; return where the link leads."""
    precious, place = safe_path / "precious", safe_path / "etc"
    for each in (precious, place):
        each.mkdir()
    (precious / "token").write_text("precious")
    (precious / ".token.abcdefgh.expanso-edge.tmp").write_text("precious")
    os.utime(precious / ".token.abcdefgh.expanso-edge.tmp", (0, 0))
    judge = bootstrap_token.make_plan

    def and_then(*arguments: Any) -> Any:
        place.rename(safe_path / "away")
        place.symlink_to(precious)
        return judge(*arguments)

    monkeypatch.setattr(bootstrap_token, "make_plan", and_then)
    return precious


def untouched(precious: Path) -> bool:
    names = sorted(each.name for each in precious.iterdir())
    return names == [".token.abcdefgh.expanso-edge.tmp", "token"] and (precious / "token").read_text() == "precious"


def test_what_is_judged_is_what_is_written(safe_path: Path, exchanged: Path) -> None:
    work(Module(safe_path, directory_mode="0700"))  # type: ignore[arg-type]
    assert untouched(exchanged) and stat.S_IMODE(exchanged.stat().st_mode) == 0o755
    assert (safe_path / "away" / "token").read_text() == KEY and stat.S_IMODE((safe_path / "away").stat().st_mode) == 0o700


def test_what_is_judged_is_what_is_removed(safe_path: Path, exchanged: Path) -> None:
    (safe_path / "etc" / "token").write_text(KEY)
    assert work(Module(safe_path, state="absent"))["action"] == "removed"  # type: ignore[arg-type]
    assert untouched(exchanged)
    assert list((safe_path / "away").iterdir()) == []


def test_what_is_judged_is_where_directories_are_made(safe_path: Path, exchanged: Path) -> None:
    work(Module(safe_path, path=str(safe_path / "etc" / "new" / "token")))  # type: ignore[arg-type]
    assert untouched(exchanged)
    assert (safe_path / "away" / "new" / "token").read_text() == KEY


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EROFS, errno.ESTALE])
def test_what_cannot_be_looked_at_is_not_absent(safe_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, registered: bool) -> None:
    (safe_path / "etc").mkdir()
    (safe_path / "etc" / "token").write_text(KEY)
    marker = safe_path / "data" / "auth" / "credentials.creds"
    marker.parent.mkdir(parents=True)
    marker.touch()
    real = os.open

    def broken(name: Any, *arguments: Any, **keywords: Any) -> int:
        if name == "token":
            raise OSError(number, os.strerror(number), name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(os, "open", broken)
    asked = {"remove_when_registered": True} if registered else {"state": "absent"}
    with pytest.raises(OSError, match=f"{os.strerror(number)}: '{safe_path}/etc/token'"):
        work(Module(safe_path, **asked))  # type: ignore[arg-type]
    assert (safe_path / "etc" / "token").exists()


def test_what_cannot_be_removed_is_not_said_to_be(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (safe_path / "etc").mkdir()
    (safe_path / "etc" / "token").write_text(KEY)

    def refused(*_arguments: Any, **_keywords: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "7")

    monkeypatch.setattr(os, "unlink", refused)
    with pytest.raises(OSError, match=f"Read-only file system: '{safe_path}/etc/token'"):
        work(Module(safe_path, state="absent"))  # type: ignore[arg-type]


def test_a_token_that_another_run_removed_is_gone(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (safe_path / "etc").mkdir()
    (safe_path / "etc" / "token").write_text(KEY)
    judge = bootstrap_token.make_plan

    def and_then(*arguments: Any) -> Any:
        (safe_path / "etc" / "token").unlink()
        return judge(*arguments)

    monkeypatch.setattr(bootstrap_token, "make_plan", and_then)
    assert work(Module(safe_path, state="absent"))["action"] == "removed"  # type: ignore[arg-type]


def test_directories_that_were_made_go_where_the_token_cannot_be_written(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match=f"No space left on device: '{safe_path}/etc/a/token'"):
        work(Module(safe_path, path=str(safe_path / "etc" / "a" / "token")))  # type: ignore[arg-type]
    assert list(safe_path.iterdir()) == []


def test_the_file_by_another_path_is_not_of_an_earlier_delivery(safe_path: Path) -> None:
    (safe_path / "etc").mkdir()
    (safe_path / "link").symlink_to("etc")
    result = work(Module(safe_path, obsolete_paths=[str(safe_path / "link" / "token"), f"/{safe_path}/etc/token"]))  # type: ignore[arg-type]
    assert (result["action"], result["obsolete_removed"]) == ("written", [])
    assert (safe_path / "etc" / "token").read_text() == KEY


def test_a_credential_is_removed_where_nobody_can_decrypt_it(safe_path: Path) -> None:
    (safe_path / "etc").mkdir()
    (safe_path / "etc" / "token").write_text("Whxqht+d")
    result = work(Module(safe_path, format="encrypted", state="absent"))  # type: ignore[arg-type]
    assert result["action"] == "removed" and not (safe_path / "etc" / "token").exists()


def test_a_node_whose_agent_cannot_be_run_gets_no_token(safe_path: Path) -> None:
    asked = {"requires": [str(safe_path / "agent")]}
    with pytest.raises(EdgeError, match=r"/agent is missing or not executable: install it first, or set requires \(token_file_binary\)$"):
        work(Module(safe_path, **asked))
    assert not (safe_path / "etc").exists()
    (safe_path / "agent").write_text("#!/bin/sh\n")
    (safe_path / "agent").chmod(0o755)
    assert work(Module(safe_path, **asked))["action"] == "written"


def test_a_registered_node_needs_no_agent(safe_path: Path) -> None:
    (safe_path / "data" / "auth").mkdir(parents=True)
    (safe_path / "data" / "auth" / "credentials.creds").touch()
    assert work(Module(safe_path, requires=["/nowhere"]))["action"] == "not_needed"


class Encrypting(Module):
    """A module on a node whose systemd-creds works as it does in this process, and remembers what it was asked for."""

    def __init__(self, place: Path, **params: Any) -> None:
        super().__init__(place, format="encrypted", **params)
        self.commands: List[str] = []
        self.works = True

    def get_bin_path(self, name: str) -> str:  # type: ignore[override]
        return name

    def run_command(self, arguments: List[str], data: bytes, **_options: Any) -> Any:
        self.commands.append(arguments[1])
        if arguments[1] == "encrypt":
            return (0, data.hex() + "\n", "") if self.works else (1, "", "no TPM")
        return 0, bytes.fromhex(data.decode()).decode(), ""


def test_a_plan_encrypts_nothing(safe_path: Path) -> None:
    module = Encrypting(safe_path)
    module.check_mode = True
    result = work(module)
    assert (result["action"], result["size"], module.commands) == ("written", None, [])
    module.check_mode = False
    assert work(module)["action"] == "written"
    assert (safe_path / "etc" / "token").read_text() == KEY.encode().hex() + "\n"
    module.commands.clear()
    assert (work(module)["action"], module.commands) == ("kept", ["decrypt"])
    module.params["token"] = ""
    assert work(module)["action"] == "kept"


def test_what_cannot_be_encrypted_changes_nothing(safe_path: Path) -> None:
    module = Encrypting(safe_path, directory_mode="0700")
    module.works = False
    (safe_path / "etc").mkdir()
    with pytest.raises(EdgeError, match="systemd-creds cannot encrypt the token with key auto: no TPM"):
        work(module)
    assert stat.S_IMODE((safe_path / "etc").stat().st_mode) == 0o755


def test_what_cannot_be_decrypted_is_not_usable(safe_path: Path) -> None:
    (safe_path / "etc").mkdir()
    (safe_path / "etc" / "token").write_text("Whxqht+d")
    with pytest.raises(TokenFault, match="there is no token for it: option token is empty; what is held cannot be used: this node cannot decrypt it"):
        work(Module(safe_path, format="encrypted", token=""))
