# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module bootstrap_token: every state that a node's file may be in, in check mode, for real, and once more."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import Controller, Json
from control_plane import new_jwt, new_key
from files import DEFAULT, NOBODY, File, acl, file, grant, tree

KEY, OTHER_KEY, JWT, EXPIRED_JWT = new_key(), new_key(), new_jwt(), new_jwt(-60)
OPAQUE = new_key().replace("exp_bk_", "k")
API_KEY = new_key().replace("exp_bk_", "exp_ak_")
SECRETS = (KEY, OTHER_KEY, JWT, EXPIRED_JWT, OPAQUE, API_KEY)
VALUES = {
    "EXPANSO_EDGE_BOOTSTRAP_URL": "https://start.cloud.expanso.io",
    "BLANKS": "  two words  ",
    "QUOTES": 'it\'s "quoted"',
    "EXPANSIONS": "$HOME ${HOME} $(id) `id`",
    "BACKSLASHES": "C:\\new\\table\\",
    "COMMENT": "# no ; comment",
    "EMPTY": "",
    "UNICODE": "größer ✓",
    "EQUALS": "a=b=c",
}

Step = Callable[[Path], Any]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make files of other accounts")


def put(content: str = KEY, mode: int = 0o600, name: str = "token", owner: int = -1, group: int = -1, age: float = 0) -> Step:
    """A file in the place."""

    def step(place: Path) -> None:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.chown(path, owner, group)
        path.chmod(mode)
        os.utime(path, (time.time() - age,) * 2)

    return step


def put_bytes(content: bytes, name: str = "token") -> Step:
    """A file in the place that is not text."""
    return lambda place: (place / name).write_bytes(content)


def directory(name: str = ".", mode: int = 0o755, owner: int = -1, group: int = -1) -> Step:
    """A directory in the place."""

    def step(place: Path) -> None:
        path = place / name
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, owner, group)
        path.chmod(mode)

    return step


def link(name: str, target: str) -> Step:
    """A symbolic link in the place."""
    return lambda place: (place / name).symlink_to(target.replace("{place}", str(place)))


def grants(name: str, kind: str, permissions: int, mask: int = 7) -> Step:
    """An access control list on something in the place, that grants something to nobody."""
    return lambda place: grant(place / name, kind, NOBODY, permissions, mask)


def listening(place: Path) -> None:
    """A socket in the place of the file. Its path may be longer than a socket's can be, so it is named from within."""
    before = Path.cwd()
    os.chdir(place)
    try:
        socket.socket(socket.AF_UNIX).bind("token")
    finally:
        os.chdir(before)


IMMUTABLE, SET_FLAGS = 0x10, 0x40086602  # linux/fs.h


def set_flags(path: Path, flags: int) -> None:
    """What chattr(1) does."""
    with path.open("rb") as stream:
        fcntl.ioctl(stream, SET_FLAGS, struct.pack("l", flags))


@dataclass(frozen=True)
class Case:
    """A state of a node, and what the module is to make of it."""

    name: str
    given: tuple[Step, ...] = ()
    args: Json = field(default_factory=dict)
    path: str = "token"
    root: bool = False

    def parameters(self, place: Path) -> Json:
        """The module's options."""
        # the enrolment record, which is never the same twice, has tests of its own
        args = {"path": f"{place}/{self.path}", "token": KEY, "data_dir": f"{place}/data", "record": False, **self.args}
        args = {name: value.replace("{place}", str(place)) if isinstance(value, str) else value for name, value in args.items()}
        for name in {"registration_markers", "obsolete_paths"} & set(args):
            args[name] = args[name] and [each.replace("{place}", str(place)) for each in args[name]]
        return args


@dataclass(frozen=True)
class Done(Case):
    """What is done is told by `action`; afterwards there is `content`, or nothing."""

    action: str = "written"
    content: str | None = KEY
    mode: int = 0o600
    owner: int = field(default_factory=os.geteuid)
    group: int = field(default_factory=os.getegid)
    changed: bool | None = None  # as the action says
    says: str = ""
    then: Callable[[Path], Any] = lambda place: True

    @property
    def changes(self) -> bool:
        """Whether there is something to do."""
        return self.action in ("written", "repaired", "removed") if self.changed is None else self.changed


@dataclass(frozen=True)
class Refused(Case):
    """Nothing is done, and the message says why."""

    says: str = ""
    fault: str | None = None
    in_check_mode: bool = False  # whether to see that check mode refuses it as well; the code is the same


GONE = {"content": None, "changed": False}
REGISTERED = put("", name="data/auth/credentials.creds")
STALE_OF_ANOTHER = ".token.old.abcdefgh.expanso-edge.tmp"
STALE, YOUNG = ".token.abcdefgh.expanso-edge.tmp", ".token.ijklmnop.expanso-edge.tmp"

DONE = [
    # a node that does not hold the token
    Done("blank node", says="token written to {place}/a/b/token", path="a/b/token", then=lambda p: is_directory(p / "a/b", 0o755)),
    Done("directory is there", then=lambda p: is_directory(p, 0o755)),
    Done("private directory stays private", (directory("d", 0o700),), path="d/token", then=lambda p: is_directory(p / "d", 0o700)),
    Done("another token", (put(OTHER_KEY),)),
    Done("line feed at the end", (put(KEY + "\n"),)),
    Done("empty file", (put(""),)),
    Done("longer file", (put(OTHER_KEY * 1000),)),
    Done("another token, with wrong permissions", (put(OTHER_KEY, 0o666),)),
    Done("unreadable for its owner", (put(OTHER_KEY, 0o000),), root=True),
    Done("blanks and signs in the path", path="a b/ü $(id) 'token'"),
    Done("name of 252 bytes in 63 characters", path="\U0001f511" * 63),
    Done("name as long as can be", path="n" * 255),
    Done("dots in the path", (directory("a"),), path="a/../a/./b//token"),
    Done("directory reached by a safe link", (directory("real"), link("etc", "real")), path="etc/token", then=lambda p: file(p / "real/token")),
    Done("JWT", args={"token": JWT}, content=JWT),
    Done("opaque token", args={"token": OPAQUE}, content=OPAQUE),
    Done("JWT, strictly", args={"token": JWT, "strict": True}, content=JWT),
    Done("the mask of the list withdraws write permission", (grants(".", "user", 7, mask=5),)),
    Done("the list grants reading of the directory only", (grants(".", "group", 5),)),
    Done(
        "the directory gives new files a list",
        (lambda place: grant(place, "user", NOBODY, 7, attribute=DEFAULT),),
        then=lambda p: acl(p / "token") == b"",
    ),
    # modes and accounts
    Done("mode 0640", args={"mode": "0640"}, mode=0o640),
    Done("mode 640", args={"mode": "640"}, mode=0o640),
    Done("mode 0400", args={"mode": "0400"}, mode=0o400),
    Done("mode as a number, which YAML makes of 0600", args={"mode": 0o600}),
    Done("account by name", args={"owner": "nobody", "group": "nogroup"}, owner=NOBODY, group=NOBODY, root=True),
    Done("account by number", args={"owner": "4711", "group": 4712, "mode": "0640"}, owner=4711, group=4712, mode=0o640, root=True),
    Done("directory of the file's own account", (directory("d", owner=4711),), {"owner": "4711"}, "d/token", root=True, owner=4711),
    Done("directory of the file's own group", (directory("d", 0o775, group=4711),), {"group": "4711"}, "d/token", root=True, group=4711),
    Done("directory is made private", args={"directory_mode": "0700"}, path="d/token", then=lambda p: is_directory(p / "d", 0o700)),
    Done(
        "directory is made as told, those above as ever",
        args={"directory_mode": "0750"},
        path="a/b/token",
        then=lambda p: is_directory(p / "a/b", 0o750) and is_directory(p / "a", 0o755),
    ),
    Done("open directory is closed", (directory("d", 0o777),), {"directory_mode": "0755"}, "d/token", then=lambda p: is_directory(p / "d", 0o755)),
    # the right token, but others may get at it
    Done("readable for all", (put(mode=0o644),), action="repaired", says="others may have read the token"),
    Done("writable for all", (put(mode=0o666),), action="repaired"),
    Done("executable", (put(mode=0o700),), action="repaired"),
    Done("set-user-ID", (put(mode=0o4600),), action="repaired"),
    Done("too narrow", (put(mode=0o400),), action="repaired"),
    Done("wrong owner", (put(owner=NOBODY),), action="repaired", root=True),
    Done("wrong group", (put(group=NOBODY, mode=0o640),), {"mode": "0640"}, action="repaired", mode=0o640, root=True),
    Done("list that grants reading", (put(), grants("token", "user", 4)), action="repaired", then=lambda p: acl(p / "token") == b""),
    Done(
        "second hard link",
        (put(), lambda place: os.link(place / "token", place / "copy")),
        action="repaired",
        then=lambda p: file(p / "token").links == 1,
    ),
    # nothing to do
    Done("kept", (put(),), action="kept"),
    Done("kept in a private directory", (directory("d", 0o700), put(name="d/token")), action="kept", path="d/token"),
    Done(
        "kept, directory closed",
        (directory("d", 0o775), put(name="d/token")),
        {"directory_mode": "0700"},
        "d/token",
        action="kept",
        changed=True,
        then=lambda p: is_directory(p / "d", 0o700),
    ),
    Done(
        "left by a run that was killed",
        (put(), put(OTHER_KEY, name=STALE, age=3600), put(OTHER_KEY, name=YOUNG)),
        action="kept",
        changed=True,
        then=lambda p: not (p / STALE).exists() and not (p / YOUNG).exists(),
    ),
    Done(
        "left by a run that was killed: of this file alone, and no directory",
        (put(), put(OTHER_KEY, name=STALE_OF_ANOTHER, age=3600), directory(".token.mnopqrst.expanso-edge.tmp")),
        action="kept",
        then=lambda p: (p / STALE_OF_ANOTHER).exists() and (p / ".token.mnopqrst.expanso-edge.tmp").is_dir(),
    ),
    Done(
        "left by a run that was killed, of an earlier delivery",
        (put(), put(OTHER_KEY, name="d/.old.abcdefgh.expanso-edge.tmp", age=3600)),
        {"obsolete_paths": ["{place}/d/old"]},
        action="kept",
        changed=True,
        then=lambda p: list((p / "d").iterdir()) == [],
    ),
    # a node that holds a token and is given none
    Done("held", (put(),), {"token": ""}, action="kept", says="no token was given, and the one in {place}/token is kept"),
    Done("held, and no source has one", (put(JWT),), {"token": None}, action="kept", content=JWT),
    Done("held with wrong permissions", (put(OPAQUE, mode=0o644),), {"token": ""}, action="repaired", content=OPAQUE),
    Done("held with a line feed at the end", (put(KEY + "\n"),), {"token": ""}),
    Done("held with a line feed at the end, readable for all", (put(KEY + "\n", mode=0o644),), {"token": ""}, says="others may have read it there before"),
    Done(
        "held in an environment file",
        (put(f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}\n"),),
        {"token": "", "format": "env"},
        action="kept",
        content=f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}\n",
    ),
    Done(
        "held in an environment file of other variables",
        (put(f"# größer\nEXPANSO_EDGE_BOOTSTRAP_TOKEN='{KEY}'\nSITE=Zürich\n"),),
        {"token": "", "format": "env", "variables": {"SITE": "Köln"}},
        content=f'EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}\nSITE="Köln"\n',
    ),
    # environment file
    Done("environment file", args={"format": "env"}, content=f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}\n"),
    Done(
        "environment file with variables",
        args={"format": "env", "variables": VALUES},
        content=...,  # type: ignore[arg-type]
        then=lambda p: as_a_shell_reads(p / "token") == {"EXPANSO_EDGE_BOOTSTRAP_TOKEN": KEY, **VALUES},
    ),
    Done(
        "variables that are not text",
        args={"format": "env", "variables": {"NUMBER": 4711, "NOTHING": None, "YES": True}},
        content=f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}\nNUMBER=4711\nNOTHING=\nYES=true\n",
    ),
    Done("environment file instead of a plain one", (put(),), {"format": "env"}, content=f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}\n"),
    Done(
        "environment file of other variables",
        (put(f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}\nA=1\n"),),
        {"format": "env", "variables": {"A": "2"}},
        content=f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}\nA=2\n",
    ),
    # registered nodes
    Done("registered", (REGISTERED,), {"token": None}, action="not_needed", says="data/auth/credentials.creds exists", **GONE),
    Done("registered, by the connection", (put("", name="data/config.d/50-connection.yaml"),), action="not_needed", **GONE),
    Done("registered, by the registration", (put("", name="data/config.d/50-registration.yaml"),), action="not_needed", **GONE),
    Done("registered, by the identity", (put("", name="data/identity"),), action="not_needed", **GONE),
    Done("registered, by a link to the identity", (put("", name="data/i"), link("data/identity", "i")), action="not_needed", **GONE),
    Done("registered, data directory reached by a link", (put("", name="real/identity"), link("data", "real")), action="not_needed", **GONE),
    Done("registered, by a marker of its own", (put("", name="m"),), {"registration_markers": ["{place}/l", "{place}/m"]}, action="not_needed", **GONE),
    Done("not registered by other markers than its own", (REGISTERED,), {"registration_markers": ["{place}/m"]}),
    Done("a directory is not a marker", (directory("data/identity"), directory("data/auth/credentials.creds"))),
    Done("a device is not a marker", (directory("data"), link("data/identity", "/dev/null"))),
    Done("data directory is a file", (put("", name="data"),)),
    Done("marker leads nowhere", (directory("data"), link("data/identity", "nowhere"))),
    Done(
        "registered, bad token",
        (REGISTERED,),
        {"token": API_KEY, "token_source": "file /run/t"},
        action="not_needed",
        says=r"none written; the token given cannot be used and is ignored: it is an API key .*\(source: file /run/t\)$",
        **GONE,
    ),
    Done("registered, bad token, token left", (REGISTERED, put()), {"token": API_KEY}, action="kept", says="is ignored: it is an API key"),
    Done(
        "registered, bad token, token removed",
        (REGISTERED, put()),
        {"token": API_KEY, "remove_when_registered": True},
        action="removed",
        content=None,
    ),
    Done("registered, expired token left", (REGISTERED, put(EXPIRED_JWT)), {"token": ""}, action="kept", says="no longer needed$", content=EXPIRED_JWT),
    Done(
        "registered, another token left",
        (REGISTERED, put(OTHER_KEY)),
        action="kept",
        says="no longer needed; another token was given, but a registered node needs no token, so it was not written: remove the token that is still held$",
        content=OTHER_KEY,
    ),
    Done("registered, the token left", (REGISTERED, put()), action="kept", says="no longer needed$"),
    Done("registered, token left open", (REGISTERED, put(OTHER_KEY, 0o644)), action="repaired", says="no longer needed", content=OTHER_KEY),
    Done("registered, token removed", (REGISTERED, put()), {"remove_when_registered": True}, action="removed", says="already registered", content=None),
    Done("not registered, token not removed", (put(),), {"remove_when_registered": True}, action="kept"),
    # absent
    Done("absent", (put(),), {"state": "absent", "token": None}, action="removed", content=None, then=lambda p: is_directory(p, 0o755)),
    Done("absent already", args={"state": "absent", "token": None}, action="absent", **GONE),
    Done("absent with its directories", args={"state": "absent"}, action="absent", path="a/b/token", then=lambda p: not (p / "a").exists(), **GONE),
    Done("absent, any text", (put("x" * 60000, 0o666),), {"state": "absent"}, action="removed", content=None),
    Done("absent, below a file", (put(name="d"),), {"state": "absent"}, "d/token", action="absent", then=lambda p: file(p / "d"), **GONE),
    Done("absent, its account too", (put(),), {"state": "absent", "owner": "no-such-account"}, action="removed", content=None),
    Done("registered, its account gone", (REGISTERED,), {"owner": "no-such-account"}, action="not_needed", **GONE),
    Done("registered, account and token go", (REGISTERED, put()), {"group": "no-such", "remove_when_registered": True}, action="removed", content=None),
    Done("earlier delivery", (put(OTHER_KEY, name="old"),), {"obsolete_paths": ["{place}/old", "{place}/none"]}, then=lambda p: not (p / "old").exists()),
    Done(
        "absent, and what a killed run left",
        (put(OTHER_KEY, name=STALE, age=3600),),
        {"state": "absent"},
        action="absent",
        content=None,
        changed=True,
        then=lambda p: not (p / STALE).exists(),
    ),
]


OPEN = "can write to the directory {place}/d, and so replace what is in it"
LINK = "its owner 4711 can write to the directory {place}/d, and so replace the symbolic link {place}/d/e, which is not followed"
NOWHERE = "{place}/etc is a symbolic link that leads nowhere, because {place}/disk does not exist"
NO_TOKEN = "so it is not a token file: name another path, or remove the file yourself"
REFUSED = [
    # in the place of the file
    Refused("link to a file", (put(name="real"), link("token", "real")), says="{place}/token is a symbolic link, which is not followed", in_check_mode=True),
    Refused("link to nothing", (link("token", "nowhere"),), says="symbolic link"),
    Refused("link to itself", (link("token", "token"),), says="symbolic link"),
    Refused("link to the right token", (put(name="real"), link("token", "real")), {"state": "absent"}, says="symbolic link"),
    Refused("directory", (directory("token"),), says="is a directory", in_check_mode=True),
    Refused("directory, absent", (directory("token"),), {"state": "absent"}, says="is a directory"),
    Refused("pipe", (lambda place: os.mkfifo(place / "token"),), says="not a regular file"),
    Refused("socket", (listening,), says="not a regular file"),
    Refused("device", (lambda place: os.mknod(place / "token", stat.S_IFCHR, os.makedev(1, 3)),), says="not a regular file", root=True),
    # directories above it
    Refused("directory open to all", (directory("d", 0o777),), path="d/token", says="every account " + OPEN),
    Refused("sticky directory", (directory("d", 0o1777),), path="d/token", says="every account " + OPEN, in_check_mode=True),
    Refused("directory above open", (directory("d", 0o777), directory("d/e")), path="d/e/token", says="every account " + OPEN),
    Refused("new directories below an open one", (directory("d", 0o777),), path="d/e/f/token", says="every account " + OPEN),
    Refused("open to another group", (directory("d", 0o775, group=4711),), path="d/token", says="its group 4711 " + OPEN, root=True),
    Refused("another account's", (directory("d", owner=4711),), path="d/token", says="its owner 4711 " + OPEN, root=True),
    Refused("open by a user's entry", (directory("d"), grants("d", "user", 7)), path="d/token", says="the user nobody of its access control list"),
    Refused("open by a group's entry", (directory("d"), grants("d", "group", 2)), path="d/token", says="the group nogroup of its access control list"),
    Refused("link to an open directory", (directory("d", 0o777), directory("d/e"), link("etc", "d/e")), path="etc/token", says="every account " + OPEN),
    Refused("open directory, absent", (directory("d", 0o777), put(name="d/token")), {"state": "absent"}, "d/token", says="every account " + OPEN),
    Refused("open directory, registered", (REGISTERED, directory("d", 0o777)), path="d/token", says="every account " + OPEN),
    Refused(
        "link of the file's own account",
        (directory("d", owner=4711), directory("root"), link("d/e", "{place}/root")),
        {"owner": "4711"},
        "d/e/token",
        says=LINK,
        in_check_mode=True,
        root=True,
    ),
    Refused(
        "link of the file's own account, absent",
        (directory("d", owner=4711), put(name="root/token"), link("d/e", "{place}/root")),
        {"owner": "4711", "state": "absent"},
        "d/e/token",
        says=LINK,
        in_check_mode=True,
        root=True,
    ),
    Refused(
        "link of the file's own account, earlier delivery",
        (directory("d", owner=4711), put(name="root/old"), link("d/e", "{place}/root")),
        {"owner": "4711", "obsolete_paths": ["{place}/d/e/old"]},
        says=LINK,
        root=True,
    ),
    Refused("link to a disk that is not there", (link("etc", "{place}/disk/expanso"),), path="etc/token", says=NOWHERE, in_check_mode=True),
    Refused("link to a disk that is not there, absent", (link("etc", "disk/expanso"),), {"state": "absent"}, "etc/a/token", says=NOWHERE),
    Refused("file in the place of a directory", (put(name="d"),), path="d/token", says="{place}/d"),
    Refused("name too long", path="x" * 300, says="File name too long"),
    Refused("path not absolute", args={"path": "etc/token"}, says="^option path: the path is not absolute: etc/token$"),
    # options
    Refused("owner that only looks like a number", args={"owner": "²"}, says="there is no account"),
    Refused("no such owner", args={"owner": "no-such-account"}, says="option owner: there is no account 'no-such-account' on this node"),
    Refused("no such group", args={"group": "no-such-group"}, says="option group: there is no group 'no-such-group' on this node"),
    Refused("empty owner", args={"owner": ""}, says="there is no account ''"),
    Refused("owner no number can be", args={"owner": "99999999999"}, says="there is no account '99999999999'"),
    *(
        Refused(f"mode {mode!r}", args={"mode": mode}, says=r"option mode: .*is not possible here: write it as a quoted octal string")
        for mode in ("0644", "0660", "0601", "0700", "4600", "rw-------", "0608", "", "-600", 644, 600, True, [0o600])
    ),
    *(
        Refused(f"mode {mode!r}", args={"mode": mode}, says=r"^{place}/token: option mode: .*is not possible here: write it as a quoted octal string")
        for mode in (False, 0, "0", " 0600", "0600\n", "0_600", "٠٦٠٠", "0" * 10000)
    ),
    *(
        Refused(f"directory_mode {mode!r}", args={"directory_mode": mode}, says="option directory_mode: .*is not possible here: write it as a quoted octal")
        for mode in (True, False, 0, " 0755", "0_755", "0755\n", ["0755"])
    ),
    Refused("mode 0000", args={"mode": "0000"}, says="option mode: with 0000 no account can read the file"),
    Refused("mode, absent", (put(),), {"state": "absent", "mode": "0644"}, says="option mode: 0644 is not possible here", in_check_mode=True),
    *(
        Refused(f"null for {option}", args={option: None}, says=rf"\b{option}\b")
        for option in ("state", "format", "strict", "variables", "credential_name", "credential_key", "obsolete_paths", "mode", "data_dir")
    ),
    *(
        Refused(f"NUL in {option}", args={option: value}, says=rf"^option {option} has a NUL character \(character \d+\): remove it$")
        for option, value in {
            "path": "/etc/\0/token",
            "owner": "root\0",
            "group": "\0",
            "token_source": "a\0b",
            "data_dir": "/\0",
            "credential_name": "a\0",
            "directory_mode": "0755\0",
            "obsolete_paths": ["/a\0"],
            "registration_markers": ["/a\0"],
            "variables": {"A": "\0"},
        }.items()
    ),
    *(
        Refused(f"owner {owner!r:.20}", args={"owner": owner}, says=says)
        for owner, says in {
            "٠": "there is no account '٠' on this node",
            "0" * 10000: r"there is no account '0{60}\.\.\. \(10000 characters\)' on this node",
        }.items()
    ),
    Refused("variable that is not text", args={"format": "env", "variables": {"A": {"b": 1}}}, says="the value of A is not a text but a dictionary"),
    Refused("variable that is a list, not needed", args={"variables": {"A": [1]}}, says="the value of A is not a text but a list"),
    Refused("credential_name with a slash", args={"credential_name": "a/b"}, says="option credential_name: a/b cannot be the name of a file"),
    Refused("credential_name empty", args={"credential_name": ""}, says="option credential_name: '' cannot be the name of a file"),
    Refused("path is the root", path="../../../../../../../../../../..", says="option path: / is the root directory"),
    Refused("path of too many bytes", path="/".join(["x" * 200] * 25), says="option path: File name too long: the path has"),
    Refused("name of too many bytes", path="\U0001f511" * 64, says="option path: File name too long: a name in it has 256 bytes, and 255 is the most"),
    Refused("earlier delivery, not absolute", args={"obsolete_paths": ["old"]}, says="option obsolete_paths: the path is not absolute: old"),
    Refused("data directory leads nowhere", (link("data", "disk"),), says="{place}/data: it is a symbolic link that leads nowhere"),
    Refused("marker is a directory", (directory("m"),), {"registration_markers": ["{place}/m"]}, says="registration marker {place}/m is not a regular file"),
    Refused("marker is a device", args={"registration_markers": ["/dev/null"]}, says="the registration marker /dev/null is not a regular file"),
    Refused("marker is the root", args={"registration_markers": ["/"]}, says="option registration_markers: / is the root directory"),
    Refused(
        "directory_mode of a directory that others use",
        (directory("d", 0o1777),),
        {"directory_mode": "0700"},
        "d/token",
        says="other programs need the directory {place}/d, so it does not get mode 0700: name a path in a directory of its own",
        in_check_mode=True,
    ),
    Refused("directory_mode 0777", args={"directory_mode": "0777"}, says="option directory_mode: 0777 is not possible here"),
    Refused("directory_mode 1755", args={"directory_mode": "1755"}, says="option directory_mode: 1755 is not possible here"),
    Refused("marker that depends on where one is", args={"registration_markers": ["m"]}, says="the registration marker m is not an absolute path"),
    Refused("no data directory", args={"data_dir": ""}, says="is not an absolute path: correct option data_dir"),
    Refused("earlier delivery, a directory", (directory("old"),), {"obsolete_paths": ["{place}/old"]}, says="{place}/old is a directory"),
    Refused("earlier delivery, a link", (put(name="r"), link("old", "r")), {"obsolete_paths": ["{place}/old"]}, says="{place}/old is a symbolic link"),
    Refused("variables too long", args={"format": "env", "variables": {"A": "x" * 70000}}, says="it would have 700.. bytes, more than 65536"),
    Refused("no token file at all", (REGISTERED, put("x" * 70000, 0o644)), says="it is larger than 65536 bytes, so it is not a token file"),
    Refused("much longer than a token", (put(OTHER_KEY * 3000),), says="{place}/token: it is larger than 65536 bytes, " + NO_TOKEN, in_check_mode=True),
    Refused("not text", (put_bytes(b"\x7fELF\0"),), says="{place}/token: it is not text, " + NO_TOKEN, in_check_mode=True),
    Refused("not text, environment file", (put_bytes(b"\xff\xfe"),), {"format": "env"}, says="it is not text, " + NO_TOKEN),
    Refused("right permissions, not text", (put_bytes(KEY.encode() + b"\0"),), says="it is not text, " + NO_TOKEN),
    Refused("absent, too large", (put("x" * 100000),), {"state": "absent"}, says="it is larger than 65536 bytes, " + NO_TOKEN, in_check_mode=True),
    Refused("absent, not text", (put_bytes(b"\0"),), {"state": "absent"}, says="it is not text, " + NO_TOKEN, in_check_mode=True),
    Refused("registered, not text", (REGISTERED, put_bytes(b"\0")), {"remove_when_registered": True}, says="it is not text, " + NO_TOKEN),
    Refused(
        "earlier delivery, not text",
        (put_bytes(b"\0", name="old"),),
        {"obsolete_paths": ["{place}/old"]},
        says="{place}/old: it is not text, " + NO_TOKEN,
        in_check_mode=True,
    ),
    Refused("the token among the variables", args={"format": "env", "variables": {"EXPANSO_EDGE_BOOTSTRAP_TOKEN": "x"}}, says="is the token itself"),
    Refused("no name of a variable", args={"format": "env", "variables": {"MY-URL": "x"}}, says="'MY-URL' is not the name of a variable"),
    Refused("line break in a variable", args={"format": "env", "variables": {"A": "1\nB=2"}}, says="the value of A has a line break"),
    # tokens
    Refused(
        "no token",
        args={"token": None},
        says="this node is not registered and no token was given for it: looked at variable expanso_edge_token, ",
        fault="missing",
        in_check_mode=True,
    ),
    Refused("no token, sources named", args={"token": "", "token_source": "looked here and there"}, says="looked here and there", fault="missing"),
    *(
        Refused(f"held and given none: {fault}", (put(content),), {"token": "", **args}, says=f"no token was given for it: .*; {says}", fault="missing")
        for fault, content, args, says in (
            ("api_key", API_KEY, {}, "the token that is there cannot be used: it is an API key"),
            ("expired", EXPIRED_JWT, {}, "the token that is there cannot be used: it is a JWT that expired"),
            ("empty", "", {}, "the token that is there cannot be used: it is empty"),
            ("bom", "\ufeff" + KEY, {}, "the token that is there cannot be used: character 1 is a byte order mark"),
            ("unknown_shape", OPAQUE, {"strict": True}, "the token that is there cannot be used: it is neither a bootstrap key"),
            ("variable_missing", KEY, {"format": "env"}, "the token that is there cannot be used: it does not assign EXPANSO_EDGE_BOOTSTRAP_TOKEN"),
        )
    ),
    Refused("held, and given a bad one", (put(),), {"token": API_KEY}, says="it is an API key", fault="api_key", in_check_mode=True),
    Refused("unknown shape, strictly", args={"token": OPAQUE, "strict": True}, says="neither a bootstrap key", fault="unknown_shape"),
    Refused("expired", args={"token": EXPIRED_JWT}, says="it is a JWT that expired at 2", fault="expired"),
    Refused("API key", args={"token": API_KEY}, says="it is an API key", fault="api_key", in_check_mode=True),
    Refused("source of a bad token", args={"token": API_KEY, "token_source": "file /run/t"}, says=r"\(source: file /run/t\)", fault="api_key"),
    Refused("blank at the end", args={"token": KEY + " "}, says=rf"white space at its end \(space, character {len(KEY) + 1}\)", fault="whitespace"),
    Refused("nothing but a blank", args={"token": " "}, says="white space at its start", fault="whitespace"),
    Refused("tab inside", args={"token": KEY[:12] + "\t" + KEY[12:]}, says=r"white space inside \(tab, character 13\)", fault="whitespace"),
    Refused("token with a line feed", args={"token": KEY + "\n"}, says=r"line break at its end \(line feed", fault="line_break"),
    Refused("carriage return", args={"token": KEY + "\r\n"}, says="carriage return", fault="line_break"),
    Refused("NUL", args={"token": KEY + "\0"}, says=r"control character \(NUL, character 40\)", fault="control_character"),
    Refused("byte order mark", args={"token": "\ufeff" + KEY}, says="character 1 is a byte order mark", fault="bom"),
    Refused("not ASCII", args={"token": KEY + "é"}, says=f"character {len(KEY) + 1} is not ASCII", fault="not_ascii"),
    Refused("path for a token", args={"token": "/etc/expanso/bootstrap.token"}, says="it is the path of a file", fault="path"),
    Refused("URL", args={"token": "https://start.cloud.expanso.io"}, says="it is a URL", fault="url"),
    Refused("placeholder", args={"token": "YOUR_BOOTSTRAP_TOKEN"}, says="it is a placeholder", fault="placeholder"),
    Refused("mask", args={"token": "$encrypted$"}, says="it is what is printed in place of a secret", fault="masked"),
    Refused("vault text", args={"token": "$ANSIBLE_VAULT;1.1;AES256"}, says="vault-encrypted text that was not decrypted", fault="vault_text"),
    Refused("shell expression", args={"token": "${EXPANSO_TOKEN}"}, says="template or shell expression", fault="template"),
    Refused("quoted", args={"token": f'"{KEY}"'}, says="quotation marks", fault="quoted"),
    Refused("assignment", args={"token": f"EXPANSO_EDGE_BOOTSTRAP_TOKEN={KEY}"}, says="whole NAME=value line", fault="assignment"),
    Refused("truncated", args={"token": "exp_bk_"}, says="it ends after its prefix", fault="truncated"),
    Refused("too long", args={"token": "exp_bk_" + "x" * 17000}, says="more than 16384 characters", fault="too_long"),
    Refused("far too long", args={"token": "exp_bk_" + "x" * 2_000_000}, says="option token has 2000007 characters, more than 1048576", fault="too_long"),
]


def is_directory(path: Path, mode: int) -> bool:
    return stat.S_ISDIR(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == mode


def as_a_shell_reads(path: Path) -> dict[str, str]:
    """The variables of a file as a POSIX shell sets them, which expands all that is not quoted right."""
    script = 'set -a; . "$1"; exec /usr/bin/env -0'
    output = subprocess.run(["/bin/sh", "-c", script, "sh", str(path)], env={"LC_ALL": "C.UTF-8"}, capture_output=True, check=True).stdout
    found = dict(line.split("=", 1) for line in output.decode().split("\0") if line)
    return {name: value for name, value in found.items() if name not in ("LC_ALL", "PWD", "OLDPWD", "SHLVL", "_")}


# All cases go through three runs together: one each would take the time a hundred times that Ansible takes to start.

SHARDS = ("one", "two")


@dataclass(frozen=True)
class Outcome:
    """What the three runs made of a case."""

    before: dict[str, File]
    after_check: dict[str, File]
    after: dict[str, File]
    after_again: dict[str, File]
    check: Json
    real: Json
    again: Json


@pytest.fixture(scope="module")
def outcomes(controller: Controller, place: Path) -> dict[str, Outcome]:
    assert len({case.name for case in [*DONE, *REFUSED]}) == len([*DONE, *REFUSED])
    cases = {f"{number:03}": case for number, case in enumerate([*DONE, *REFUSED]) if os.geteuid() == 0 or not case.root}
    places = {number: place / "cases" / number for number in cases}
    for number, case in cases.items():
        places[number].mkdir(parents=True)
        for step in case.given:
            step(places[number])

    plays = [{"strategy": "free", "tasks": [{"include_tasks": f"{controller.home}/{{{{ inventory_hostname }}}}.json"}]}]

    def run(chosen: Callable[[Case], bool], *arguments: str) -> dict[str, Json]:
        for shard, name in enumerate(SHARDS):
            tasks = [
                {"name": number, "expanso.edge.bootstrap_token": case.parameters(places[number]), "ignore_errors": True}
                for number, case in list(cases.items())[shard :: len(SHARDS)]
                if chosen(case)
            ]
            controller.write(f"{name}.json", tasks)
        done = controller.run(plays, *arguments, hosts={name: {} for name in SHARDS}, secrets=SECRETS, umask=0)
        assert done.returncode == 0, done.output
        return {event["task"]: {**event["result"], "failed": event["outcome"] == "failed"} for event in done.events}

    def trees() -> dict[str, dict[str, File]]:
        return {number: tree(path) for number, path in places.items()}

    before = trees()
    check, after_check = run(lambda case: not isinstance(case, Refused) or case.in_check_mode, "--check", "--diff"), trees()
    real, after = run(lambda case: True, "--diff"), trees()
    again, after_again = run(lambda case: isinstance(case, Done) and case.changes), trees()
    return {case.name: Outcome(before[n], after_check[n], after[n], after_again[n], check.get(n, {}), real[n], again.get(n, {})) for n, case in cases.items()}


def parameters(cases: list[Any]) -> list[Any]:
    return [pytest.param(case, id=case.name, marks=[as_root] if case.root else []) for case in cases]


def place_of(outcome: Outcome) -> Path:
    return Path(next(iter(outcome.before)))


def assert_says(result: Json, case: Done | Refused, place: Path) -> None:
    pattern = case.says.replace("{place}", re.escape(str(place)))
    assert re.search(pattern, result["msg"]), result["msg"]


@pytest.mark.parametrize("case", parameters(DONE))
def test_done(case: Done, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[case.name]
    place = place_of(outcome)
    path = place / case.path
    for result in (outcome.check, outcome.real, outcome.again) if case.changes else (outcome.check, outcome.real):
        assert not result["failed"], result["msg"]

    # for real
    assert (outcome.real["action"], outcome.real["changed"]) == (case.action, case.changes), outcome.real
    assert_says(outcome.real, case, place)
    assert case.then(place)
    assert {each.name for each in place.rglob("*.expanso-edge.tmp") if each.is_file()} <= {YOUNG, STALE_OF_ANOTHER}
    described = {name: outcome.real[name] for name in ("owner", "group", "mode", "size")}
    if case.content is None:
        assert not os.path.lexists(path)
        assert set(described.values()) == {None}
    else:
        found = file(path)
        assert stat.S_ISREG(found.mode)
        assert (stat.S_IMODE(found.mode), found.owner, found.group, found.links, found.acl) == (case.mode, case.owner, case.group, 1, b"")
        assert case.content in (..., found.content.decode())
        assert described == {
            "owner": path.owner() if case.owner in (0, NOBODY, os.geteuid()) else str(case.owner),
            "group": path.group() if case.group in (0, NOBODY, os.getegid()) else str(case.group),
            "mode": f"{case.mode:04o}",
            "size": len(found.content),
        }

    # check mode tells the same, and changes nothing
    assert outcome.after_check == outcome.before
    for key in ("changed", "action", "msg", "path", "token_kind", "fingerprint", "expires_at", "registered", "diff"):
        assert outcome.check[key] == outcome.real[key]
    assert (outcome.check["diff"]["before"] != outcome.check["diff"]["after"]) <= case.changes

    # once more, there is nothing to do
    assert outcome.after_again == outcome.after
    if case.changes:
        assert not outcome.again["changed"], outcome.again
        # a node that was relieved of its token is registered, or wants none
        relieved = "not_needed" if outcome.again["registered"] else "absent"
        assert outcome.again["action"] == {"removed": relieved, "absent": "absent"}.get(case.action, "kept")


@pytest.mark.parametrize("case", parameters(REFUSED))
def test_refused(case: Refused, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[case.name]
    for result in (outcome.check, outcome.real) if case.in_check_mode else (outcome.real,):
        assert result["failed"] and not result.get("changed"), result
        assert_says(result, case, place_of(outcome))
        assert "unexpected" not in result["msg"], result["msg"]
        assert result.get("fault") == case.fault
    assert outcome.before == outcome.after_check == outcome.after


@pytest.mark.parametrize("case", parameters([case for case in REFUSED if case.fault not in (None, "missing")]))
def test_no_part_of_a_refused_token_is_told(case: Refused, outcomes: dict[str, Outcome]) -> None:
    """Not even a few characters of it, other than those that are the same in every token of its kind."""
    outcome = outcomes[case.name]
    token = case.args["token"]
    known = "exp_bk_ exp_ak_ EXPANSO_EDGE_BOOTSTRAP_TOKEN= expanso bootstrap token " + str(case.args.get("token_source"))
    said = outcome.real["msg"].replace(str(place_of(outcome)), "")
    told = [token[n : n + 5] for n in range(len(token) - 4) if token[n : n + 5] in said and token[n : n + 5] not in known]
    assert told == []


def put_token(path: Path, **options: Any) -> Json:
    """The task that puts the token at a path."""
    return {"name": "put", "expanso.edge.bootstrap_token": {"path": str(path), "token": KEY, "record": False, **options}}


def test_what_utf8_cannot_hold(controller: Controller, place: Path) -> None:
    """A plugin makes such text of bytes that are not UTF-8. Files of YAML and JSON cannot hold it."""
    broken = "{{ '%c' % 56575 }}"
    given = {
        "path": f"/nowhere/{broken}/token",
        "owner": broken,
        "token": KEY + broken,
        "obsolete_paths": [f"/{broken}"],
        "registration_markers": [f"/{broken}"],
        "variables": {"A": broken},
    }
    args = {"path": str(place / "utf8" / "token"), "token": KEY, "record": False}
    tasks = [{"name": option, "expanso.edge.bootstrap_token": {**args, option: value}, "ignore_errors": True} for option, value in given.items()]
    run = controller.run([{"tasks": tasks}], secrets=SECRETS)
    for option in given:
        assert run.event(option)["outcome"] == "failed", run.result(option)
        says = "not ASCII" if option == "token" else f"option {option} has a character that UTF-8 cannot hold"
        assert says in run.result(option)["msg"], run.result(option)["msg"]
    assert not (place / "utf8").exists()


def test_account_may_come_later_in_check_mode(controller: Controller, place: Path) -> None:
    task = put_token(place / "blank" / "token", owner="no-such-account", group="no-such-group", data_dir=str(place / "data"))
    result = controller.run([{"tasks": [task]}], "--check", secrets=SECRETS).result("put")
    assert (result["action"], result["changed"]) == ("written", True)
    assert "there is no account 'no-such-account' on this node" in result["warnings"][0]
    assert not (place / "blank").exists()


@as_root
def test_without_the_right_to(controller: Controller, place: Path) -> None:
    """As an account that may write its own directory, but no other."""
    own, foreign = place / "own", place / "foreign"
    directory("own", owner=NOBODY)(place)
    directory("foreign")(place)
    put(OTHER_KEY, name="foreign/old")(place)
    tasks = [
        {**put_token(own / "token"), "name": "own"},
        {**put_token(foreign / "new"), "name": "new", "ignore_errors": True},
        {**put_token(foreign / "old"), "name": "old", "ignore_errors": True},
        {**put_token(own / "given-away", owner="root"), "name": "given away", "ignore_errors": True},
    ]
    before = tree(foreign)
    become = {"become": True, "become_user": "nobody", "become_method": "su", "become_flags": "-s /bin/sh"}
    run = controller.run([{**become, "tasks": tasks}], secrets=SECRETS)
    assert run.result("own")["action"] == "written"
    assert stat.S_IMODE(file(own / "token").mode) == 0o600 and file(own / "token").owner == NOBODY
    for name in ("new", "old", "given away"):
        result = run.result(name)
        assert run.event(name)["outcome"] == "failed"
        assert re.search(r"(Permission denied|Operation not permitted); run it as root \(become: true\)", result["msg"]), result["msg"]
    assert tree(foreign) == before
    assert [path.name for path in own.iterdir()] == ["token"]


@as_root
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(controller: Controller, place: Path) -> None:
    """The new file is complete beside an old one that cannot be replaced, then it goes."""
    path = place / "immutable" / "token"
    put(OTHER_KEY, name="immutable/token")(place)
    try:
        set_flags(path, IMMUTABLE)
    except OSError as error:
        pytest.skip(f"this file system or container knows no immutable files: {error.strerror}")
    try:
        before = {name: found._replace(modified=0) for name, found in tree(path.parent).items()}
        run = controller.run([{"tasks": [put_token(path)]}], secrets=SECRETS)
        after = {name: found._replace(modified=0) for name, found in tree(path.parent).items()}
    finally:
        set_flags(path, 0)
    assert run.returncode == 2
    assert run.result("put")["msg"].startswith(f"cannot manage {path}: ")
    assert after == before


def test_the_diff_shows_what_changes_and_no_token(controller: Controller, place: Path) -> None:
    path = place / "shown" / "token"
    put(OTHER_KEY, 0o644, name="shown/token")(place)
    run = controller.run([{"tasks": [put_token(path)]}], "--diff", "-vvv", secrets=SECRETS)
    assert re.search(r'^-\s+"?mode"?: "0644"', run.output, re.MULTILINE), run.output
    assert re.search(r'^\+\s+"?mode"?: "0600"', run.output, re.MULTILINE), run.output
    assert len(set(re.findall(r'^[-+]\s+"?fingerprint"?: "([0-9a-f]{12})"', run.output, re.MULTILINE))) == 2
