# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be brought about from without: a path that is exchanged while the module works, and a system that refuses in the middle."""

import base64
import errno
import os
import re
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List
from urllib.parse import quote

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _token_states
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, fingerprint
from ansible_collections.expanso.edge.plugins.modules.bootstrap_token import work

KEY = "exp_bk_0123456789abcdef0123456789abcdef"
OPAQUE = "k3F/9sQx+Zt8c&Rk29xP0mN4zQ7w"


class Module:
    """As much of an Ansible module as this one needs."""

    def __init__(self, place: Path, **params: Any) -> None:
        self.check_mode = False
        self.warnings: List[str] = []
        self.so_far: Dict[str, Any] = {}
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
            "only_registered": False,
            "fingerprint": None,
            "reregister": False,
            "registration": None,
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

    def did(self, _what: str, **facts: Any) -> None:
        self.so_far.update(facts, changed=True)

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
    judge = _token_states.make_plan

    def and_then(*arguments: Any) -> Any:
        place.rename(safe_path / "away")
        place.symlink_to(precious)
        return judge(*arguments)

    monkeypatch.setattr(_token_states, "make_plan", and_then)
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


def test_what_was_done_before_a_failure_is_told(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (safe_path / "etc").mkdir()
    (safe_path / "etc" / "earlier").write_text(KEY)

    def refused(*_arguments: Any, **_keywords: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "unlink", refused)
    module, path = Module(safe_path, obsolete_paths=[str(safe_path / "etc" / "earlier")]), str(safe_path / "etc" / "token")
    with pytest.raises(OSError, match=f"Read-only file system: '{safe_path}/etc/earlier'"):
        work(module)  # type: ignore[arg-type]
    told = module.so_far
    assert (told["changed"], told["action"], told["path"], told["diff"]["after"]["fingerprint"]) == (True, "written", path, fingerprint(KEY))


def test_a_token_that_another_run_removed_is_gone(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (safe_path / "etc").mkdir()
    (safe_path / "etc" / "token").write_text(KEY)
    judge = _token_states.make_plan

    def and_then(*arguments: Any) -> Any:
        (safe_path / "etc" / "token").unlink()
        return judge(*arguments)

    monkeypatch.setattr(_token_states, "make_plan", and_then)
    result = work(Module(safe_path, state="absent"))  # type: ignore[arg-type]
    assert (result["action"], result["changed"]) == ("removed", False)


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
    with pytest.raises(EdgeError, match=r"/agent is missing or not executable: install it first, or set option requires$"):
        work(Module(safe_path, **asked))
    assert not (safe_path / "etc").exists()
    (safe_path / "agent").write_text("#!/bin/sh\n")
    (safe_path / "agent").chmod(0o755)
    assert work(Module(safe_path, **asked))["action"] == "written"


@pytest.mark.parametrize(
    ("token", "option", "value", "says"),
    [
        (KEY, "binary", f"/nowhere/{KEY}", "registration.binary contains the token"),
        (OPAQUE, "config_file", OPAQUE, "registration.config_file contains the token"),
        (OPAQUE, "bootstrap_url", f"https://[::1]/?token={quote(OPAQUE)}", "registration.bootstrap_url contains the token"),
        (OPAQUE, "user", f"{OPAQUE[:9]}\n{OPAQUE[9:]}", "registration.user contains the token"),
        (KEY, "group", base64.b64encode(KEY.encode()).decode(), "registration.group contains the token"),
        (KEY, "config_file", "edge.yaml", "registration.config_file: the path is not absolute"),
        (KEY, "user", "a\nb", "registration.user has a line break"),
    ],
)
def test_a_registration_that_is_impossible_is_refused_before_anything_is_done(safe_path: Path, token: str, option: str, value: str, says: str) -> None:
    """The module that registers gets the token's file, so it would neither hide the token in its options nor know that it is there."""
    given = dict.fromkeys(("config_file", "bootstrap_url", "user", "group"), "")
    registration = {**given, "enabled": True, "binary": "/bin/true", "timeout": 60, option: value}
    with pytest.raises(EdgeError, match=re.escape(says)):
        work(Module(safe_path, token=token, registration=registration))  # type: ignore[arg-type]
    assert not list(safe_path.iterdir())


@pytest.mark.parametrize(("option", "kind"), [("user", "account"), ("group", "group")])
def test_a_registration_by_an_account_that_is_missing_gets_no_token(safe_path: Path, option: str, kind: str) -> None:
    given = dict.fromkeys(("config_file", "bootstrap_url", "user", "group"), "")
    registration = {**given, "enabled": True, "binary": "/bin/true", "timeout": 60, option: "no-such-one"}
    with pytest.raises(EdgeError, match=f"option registration.{option}: there is no {kind} 'no-such-one' on this node"):
        work(Module(safe_path, token=KEY, registration=registration))  # type: ignore[arg-type]
    assert not list(safe_path.iterdir())
    work(Module(safe_path, token=KEY, registration={**registration, "enabled": False}))  # type: ignore[arg-type]


def test_check_mode_warns_of_a_read_only_file_system(safe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = Module(safe_path, token=KEY)
    module.check_mode = True
    assert work(module)["action"] == "written" and module.warnings == []  # type: ignore[arg-type]
    monkeypatch.setattr(os, "fstatvfs", lambda _descriptor: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert work(module)["action"] == "written"  # type: ignore[arg-type]
    assert module.warnings == [f"{safe_path}/etc/token could not be changed: {safe_path} lies on a read-only file system"]


def test_a_path_with_a_line_break_is_not_shown(safe_path: Path) -> None:
    """A summary shows the first line of a message."""
    with pytest.raises(EdgeError, match=r"^option path has a line break at character 21: give it as one line of text$"):
        work(Module(safe_path, token=KEY, path="/etc/bootstrap.token\n"))


@pytest.mark.parametrize(("option", "kind"), [("owner", "account"), ("group", "group")])
def test_an_account_that_is_missing_is_told_with_its_option(safe_path: Path, option: str, kind: str) -> None:
    with pytest.raises(EdgeError, match=f"option {option}: there is no {kind} 'no-such-one' on this node"):
        work(Module(safe_path, token=KEY, **{option: "no-such-one"}))
    assert not list(safe_path.iterdir())


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
    with pytest.raises(TokenFault, match="option token is empty; the token that is there cannot be used: this node cannot decrypt it"):
        work(Module(safe_path, format="encrypted", token=""))


OTHER = "exp_bk_fedcba9876543210"
SPARED = "it holds another token"
NEEDED = "not registered yet, so it is still needed"
CREDENTIAL = "Whxqht+dQJax1aZeCGLxmiAAAAABAAAADAAAABAAAAC\n5ZgZ4b6NrbOiGw8A2lFDS\n"


@pytest.mark.parametrize(
    ("held", "former", "registered", "options", "action", "left"),
    [
        (KEY, None, True, {"only_registered": True}, "removed", []),
        (KEY, None, False, {"only_registered": True}, "kept", ["token"]),
        (None, None, False, {"only_registered": True}, "absent", []),
        (KEY, OTHER, False, {"only_registered": True}, "kept", ["former", "token"]),
        (None, OTHER, False, {"only_registered": True}, "kept", ["former"]),
        (KEY, OTHER, False, {}, "removed", []),
        (KEY, OTHER, True, {"only_registered": True}, "removed", []),
        (KEY, OTHER, False, {"fingerprint": fingerprint(KEY)}, "removed", ["former"]),
        (KEY + "\n", None, True, {"fingerprint": fingerprint(KEY)}, "removed", []),
        (OTHER, f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}\n", True, {"fingerprint": fingerprint(KEY)}, "removed", ["token"]),
        (OTHER, None, True, {"fingerprint": fingerprint(KEY)}, "kept", ["token"]),
        (None, None, True, {"fingerprint": fingerprint(KEY)}, "absent", []),
        (OTHER, "x" * 70000, True, {"fingerprint": fingerprint(KEY)}, "kept", ["former", "token"]),
        (KEY, None, False, {"fingerprint": fingerprint(KEY), "only_registered": True}, "kept", ["token"]),
        (f"A=1\nEXPANSO_EDGE_BOOTSTRAP_TOKEN='{KEY}'\n", None, False, {"fingerprint": fingerprint(KEY), "format": "env"}, "removed", []),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_a_removal_of_some_tokens(
    safe_path: Path, check: bool, held: Any, former: Any, registered: bool, options: Dict[str, Any], action: str, left: List[str]
) -> None:
    place = safe_path / "etc"
    place.mkdir()
    for name, text in (("token", held), ("former", former)):
        if text is not None:
            (place / name).write_text(text)
    if registered:
        (safe_path / "data").mkdir()
        (safe_path / "data" / "identity").touch()
    before = sorted(each.name for each in place.iterdir())
    module = Module(safe_path, state="absent", token=None, obsolete_paths=[str(place / "former")], **options)
    module.check_mode = check
    result = work(module)  # type: ignore[arg-type]
    assert (result["action"], result["changed"]) == (action, action == "removed")
    assert sorted(each.name for each in place.iterdir()) == (before if check else left)
    assert result["registered"] is registered
    if "token" in left and held is not None:
        assert (SPARED if "fingerprint" in options and not options.get("only_registered") else NEEDED) in result["msg"]
        assert result["fingerprint"] == fingerprint(held)
    if not check:
        again = work(Module(safe_path, state="absent", token=None, obsolete_paths=[str(place / "former")], **options))  # type: ignore[arg-type]
        assert not again["changed"]


@pytest.mark.parametrize(("format", "held"), [("encrypted", CREDENTIAL.replace("\n", "")), ("raw", CREDENTIAL)])
def test_what_cannot_be_decrypted_is_not_taken_for_another_token(safe_path: Path, format: str, held: str) -> None:
    (safe_path / "etc").mkdir()
    (safe_path / "etc" / "token").write_text(held)
    (safe_path / "etc" / "former").write_text(KEY)
    module = Module(safe_path, state="absent", fingerprint=fingerprint(KEY), format=format, obsolete_paths=[str(safe_path / "etc" / "former")])
    with pytest.raises(EdgeError, match="this node cannot decrypt .*/etc/token, so it is unknown whether it holds the token"):
        work(module)  # type: ignore[arg-type]
    assert [each.name for each in (safe_path / "etc").iterdir()] == ["token"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fingerprint": fingerprint(KEY)}, "option fingerprint is possible only with state absent"),
        ({"only_registered": True}, "option only_registered is possible only with state absent"),
        ({"state": "absent", "fingerprint": KEY}, "option fingerprint: this is not the fingerprint of a token"),
    ],
)
def test_options_of_a_removal(safe_path: Path, options: Dict[str, Any], says: str) -> None:
    with pytest.raises(EdgeError, match=says) as caught:
        work(Module(safe_path, **options))  # type: ignore[arg-type]
    assert KEY not in str(caught.value)


OLD = "exp_bk_ffffffffffffffffffffffffffffffff"


class Ends:
    """A call of the system that ends the run when it is made for the last time."""

    def __init__(self, makes: Any, last: int, how: str) -> None:
        self.makes, self.last, self.how = makes, last, how
        self.made = 0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.made += 1
        if self.made < self.last:
            return self.makes(*arguments, **options)
        if self.how == "killed":
            os._exit(1)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["open", "write", "fchmod", "fchown", "fsync", "rename", "replace", "unlink"])
@pytest.mark.parametrize("how", ["killed", "full"])
def test_a_node_holds_the_old_or_the_new_token_whole_wherever_a_run_ends(safe_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, how: str) -> None:
    """The run ends at each call of the system that it makes, as a killed process does, or as one on a full disk."""
    (safe_path / "etc").mkdir()
    place, makes = safe_path / "etc" / "token", getattr(os, call)
    for last in range(1, 60):
        place.write_text(OLD)
        place.chmod(0o600)
        child = os.fork()
        if child == 0:
            ends = Ends(makes, last, how)
            monkeypatch.setattr(os, call, ends)
            try:
                work(Module(safe_path))  # type: ignore[arg-type]
            except BaseException:
                os._exit(1)
            os._exit(0 if ends.made < last else 1)
        status = os.waitpid(child, 0)[1]
        assert place.read_text() in (OLD, KEY) and place.stat().st_mode & 0o777 == 0o600
        if status == 0:  # it made fewer calls than that
            break
        work(Module(safe_path))  # type: ignore[arg-type]
        assert place.read_text() == KEY
    assert status == 0


def registered_node(place: Path, held: Any = OLD) -> Path:
    """A node that was registered a while ago, and its marker."""
    (place / "etc").mkdir()
    if held:
        (place / "etc" / "token").write_text(held)
        (place / "etc" / "token").chmod(0o600)
    (place / "data").mkdir(mode=0o700)
    (place / "data" / "identity").touch()
    os.utime(place / "data" / "identity", (1_700_000_000, 1_700_000_000))
    return place / "data" / "identity"


def test_a_registered_node_gets_a_token_to_register_anew_with_once(safe_path: Path) -> None:
    marker = registered_node(safe_path)
    asked = {"reregister": True, "remove_when_registered": True, "record": True}
    result = work(Module(safe_path, **asked))  # type: ignore[arg-type]
    assert (result["action"], result["registered"], result["reregister"]) == ("written", True, True)
    assert result["msg"].endswith("; this node is registered, and is to be registered anew")
    assert result["previous_fingerprint"] == fingerprint(OLD) and result["record"]["fingerprint"] == fingerprint(KEY)
    again = work(Module(safe_path, **asked))  # type: ignore[arg-type]
    assert (again["action"], again["changed"], again["reregister"]) == ("kept", False, True)  # the agent was not run yet
    marker.touch()
    done = work(Module(safe_path, **asked))  # type: ignore[arg-type]
    assert (done["action"], done["reregister"]) == ("removed", False)
    assert work(Module(safe_path, **asked))["action"] == "not_needed"  # type: ignore[arg-type]
    assert work(Module(safe_path, token=OLD, **asked))["reregister"]  # type: ignore[arg-type]


def test_a_registered_node_without_a_token_to_register_anew_with(safe_path: Path) -> None:
    registered_node(safe_path, held=None)
    with pytest.raises(TokenFault) as caught:
        work(Module(safe_path, token="", reregister=True))  # type: ignore[arg-type]
    assert caught.value.code == "missing"
    assert work(Module(safe_path, token=""))["action"] == "not_needed"  # type: ignore[arg-type]


@pytest.mark.parametrize(("replaces", "fault"), [(fingerprint(OLD), None), ("none", "held_differs"), (fingerprint("x"), "held_differs")])
def test_only_the_token_that_was_planned_is_replaced(safe_path: Path, replaces: str, fault: Any) -> None:
    (safe_path / "etc").mkdir()
    (safe_path / "etc" / "token").write_text(OLD)
    (safe_path / "etc" / "token").chmod(0o644)
    if fault is None:
        assert work(Module(safe_path, replaces=replaces))["action"] == "written"  # type: ignore[arg-type]
        return
    with pytest.raises(TokenFault) as caught:
        work(Module(safe_path, replaces=replaces))  # type: ignore[arg-type]
    assert caught.value.code == fault and (safe_path / "etc" / "token").read_text() == OLD
    assert (safe_path / "etc" / "token").stat().st_mode & 0o777 == 0o644 and not (safe_path / "data").exists()
    assert work(Module(safe_path, state="absent", replaces=replaces))["action"] == "removed"  # type: ignore[arg-type]


def test_a_node_that_registered_since_that_was_planned_is_left_as_it_is(safe_path: Path) -> None:
    registered_node(safe_path)
    with pytest.raises(TokenFault) as caught:
        work(Module(safe_path, replaces=fingerprint(OLD), remove_when_registered=True))  # type: ignore[arg-type]
    assert caught.value.code == "registered_since" and (safe_path / "etc" / "token").read_text() == OLD
