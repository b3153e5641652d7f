# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import bz2
import gzip
import lzma
import os
import time
from collections.abc import Iterator
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._audit import journal as journal_room
from ansible_collections.expanso.edge.plugins.module_utils._audit import visiting
from ansible_collections.expanso.edge.plugins.module_utils._audit.exposure import Hits, search, searchable_encodings
from ansible_collections.expanso.edge.plugins.module_utils._audit.journal import journal
from ansible_collections.expanso.edge.plugins.module_utils._audit.packed import LONGEST, MOST, packed_inside
from ansible_collections.expanso.edge.plugins.module_utils._audit.places import CHOICES, SPOTS, homes
from ansible_collections.expanso.edge.plugins.module_utils._audit.reading import MAX_FILE, Place
from ansible_collections.expanso.edge.plugins.module_utils._audit.reports import report, report_stranger, report_unread
from ansible_collections.expanso.edge.plugins.module_utils._audit.visiting import Visit, at_work, remote_mounts
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from audited_files import put, usual_policy

# Of this process alone, because others may run these tests at the same time.
TOKEN, STRANGER = (f"exp_bk_{os.urandom(16).hex()}" for dummy in range(2))
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJub2RlIn0." + os.urandom(32).hex()
MINE = usual_policy()
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")


@pytest.fixture
def root(safe_path: Path) -> Path:
    """A node that a person and the collection worked on, without a token where none belongs."""
    for path, text in {
        "etc/passwd": "root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\nsvc:x:999:999::/nonexistent:/usr/sbin/nologin\nbad line\n",
        "etc/environment": "PATH=/usr/bin\nEXPANSO_EDGE_BOOTSTRAP_URL=https://start.cloud.expanso.io\n",
        "etc/profile": "export EDITOR=vi\n",
        "etc/default/expanso-edge": "# EXPANSO_EDGE_BOOTSTRAP_TOKEN=exp_bk_example\nEXPANSO_EDGE_BOOTSTRAP_TOKEN=$(cat /etc/expanso/bootstrap.token)\n",
        "etc/expanso/bootstrap.token": TOKEN,
        "root/.bash_history": "ls /etc/expanso\nexport EXPANSO_EDGE_BOOTSTRAP_TOKEN=exp_bk_CHANGE_ME\ngrep -r exp_bk_ /etc\n",
        "home/ann/.bash_history": "kubectl --token eyJhbGciOiJFUzI1NiJ9.eyJuIjoxfQ.signature get nodes\n",
        "home/ann/notes.txt": TOKEN,  # no place of those
        "home/ann/deploy.yml": "expanso_edge_token_file: ~/secrets/bootstrap.token\nexpanso_edge_token: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n",
        "etc/expanso/edge-config.yaml": "labels:\n  site: north\n",
        "etc/sudoers": 'Defaults env_keep += "EXPANSO_EDGE_BOOTSTRAP_TOKEN"\n',
        "usr/local/bin/enrol.sh": '#!/bin/sh\nexec expanso-edge bootstrap --token "$(cat /etc/expanso/bootstrap.token)"\n',
        "var/lib/docker/containers/0a/config.v2.json": '{"Config":{"Env":["EXPANSO_EDGE_BOOTSTRAP_TOKEN_FILE=/run/secrets/token"]}}',
        "var/log/syslog": "ansible-expanso.edge.bootstrap_token: Invoked with path=/etc/expanso/bootstrap.token token=NOT_LOGGING_PARAMETER\n"
        "sudo: ann : COMMAND=/bin/sh -c /usr/bin/python3 && sleep 0\nexpanso-edge: fingerprint 5d41402abc4b\n",
        "var/log/journal/1/system.journal": TOKEN,  # what journalctl is asked for
        "var/log/lastlog": "",
        "var/backups/dpkg.status.0": TOKEN,  # of the package manager, which packs many of them
        "tmp/build.log": "ok\n",
    }.items():
        put(safe_path / path, text)
    with (safe_path / "var/log/lastlog").open("r+b") as handle:
        handle.truncate(1 << 40)
    return safe_path


def look(root: Path, *chosen: str, tokens: tuple[str, ...] = (TOKEN,), seconds: float = 60, **options: Any) -> Hits:
    visit = Visit(MINE, [str(root / "etc/expanso/bootstrap.token")], time.monotonic() + seconds, str(root), **options)
    return search(visit.places(chosen or CHOICES), {token: searchable_encodings(token) for token in tokens}, deadline=time.monotonic() + seconds)


def found(hits: Hits, root: Path, token: str = TOKEN) -> list[tuple[str, str, bool]]:
    places = hits.found.get(token) or [place for shape, places in hits.strangers.items() if shape.value == token for place in places]
    return [(place.kind, place.name[len(str(root)) :], place.exposed) for place in places]


def test_nothing_is_found_on_a_clean_node(root: Path) -> None:
    assert look(root) == Hits({TOKEN: []}, [], {})
    assert look(root, tokens=()) == Hits({}, [], {})


USER_DATA = "#cloud-config\nwrite_files:\n- encoding: b64\n  path: /etc/expanso/bootstrap.token\n  content: {}\n"
PLANTED = [
    ("histories", "history", "root/.bash_history", "sudo expanso-edge bootstrap --token {}\n"),
    ("histories", "history", "root/.zsh_history", ": 1700000000:0;export EXPANSO_EDGE_BOOTSTRAP_TOKEN={}\n"),
    ("histories", "history", "home/ann/.ash_history", "echo -n {} | docker secret create expanso_bootstrap_token -\n"),
    ("histories", "history", "home/ann/.local/share/fish/fish_history", "- cmd: set -x EXPANSO_EDGE_BOOTSTRAP_TOKEN {}\n"),
    ("histories", "history", "home/ldap/.bash_history", "echo {}\n"),
    ("histories", "history", "home/ann/.bash_history-01234.tmp", "#1700000000\necho {}\n"),
    ("histories", "history", "home/ann/.local/state/nvim/shada/main.shada", "{}"),
    ("profiles", "profile", "etc/environment~", "EXPANSO_EDGE_BOOTSTRAP_TOKEN={}\n"),
    ("profiles", "profile", "home/ann/.ssh/environment", "EXPANSO_EDGE_BOOTSTRAP_TOKEN={}\n"),
    ("defaults", "defaults", "etc/sudoers.d/expanso", "# EXPANSO_EDGE_BOOTSTRAP_TOKEN={}\n"),
    ("defaults", "defaults", "etc/supervisor/conf.d/expanso.conf", "environment=EXPANSO_EDGE_BOOTSTRAP_TOKEN={}\n"),
    ("profiles", "profile", "etc/environment", 'EXPANSO_EDGE_BOOTSTRAP_TOKEN="{}"\n'),
    ("profiles", "profile", "etc/environment.d/90-expanso.conf", "EXPANSO_EDGE_BOOTSTRAP_TOKEN={}\n"),
    ("profiles", "profile", "etc/profile.d/expanso.sh", "export EXPANSO_EDGE_BOOTSTRAP_TOKEN={}\n"),
    ("profiles", "profile", "home/ann/.bashrc", "export EXPANSO_EDGE_BOOTSTRAP_TOKEN={}\n"),
    ("defaults", "defaults", "etc/default/expanso-edge", "EXPANSO_EDGE_BOOTSTRAP_TOKEN={}\n"),
    ("defaults", "defaults", "etc/sysconfig/network/expanso", "T={}\n"),
    ("defaults", "defaults", "etc/conf.d/expanso", "T={}\n"),
    ("cron", "cron", "etc/crontab", "* * * * * root expanso-edge bootstrap --token {}\n"),
    ("cron", "cron", "etc/cron.d/expanso", "T={}\n"),
    ("cron", "cron", "var/spool/cron/crontabs/ann", "@reboot expanso-edge bootstrap --token {}\n"),
    ("cron", "cron", "var/spool/at/a0001", "EXPANSO_EDGE_BOOTSTRAP_TOKEN={}; export EXPANSO_EDGE_BOOTSTRAP_TOKEN\n"),
    ("ansible", "ansible", "root/.ansible/tmp/ansible-tmp-1700000000.1-1-1/AnsiballZ_copy.py", '"content": "{}"'),
    ("ansible", "ansible", "tmp/ansible-tmp-1700000000.1-1-2/source", "{}"),
    ("ansible", "ansible", "var/tmp/ansible-tmp-1700000000.1-1-3/x", "{}"),
    ("cloud_init", "cloud_init", "var/lib/cloud/instances/i-1/user-data.txt", USER_DATA),
    ("cloud_init", "cloud_init", "var/lib/cloud/instances/i-1/scripts/part-001", "#!/bin/sh\nexpanso-edge bootstrap --token {}\n"),
    ("cloud_init", "cloud_init", "var/log/cloud-init-output.log", "+ expanso-edge bootstrap --token {}\n"),
    ("cloud_init", "cloud_init", "run/cloud-init/instance-data-sensitive.json", '{{"userdata": "{}"}}'),
    ("cloud_init", "cloud_init", "var/lib/waagent/ovf-env.xml", "<CustomData>{}</CustomData>\n"),
    ("copies", "copy", "root/bootstrap.token", "{}"),
    ("copies", "copy", "root/.token.swp", "b0VIM 9.0\0{}"),
    ("copies", "copy", "home/ann/inventory.yml", "expanso_edge_token: {}\n"),
    ("copies", "copy", "etc/expanso/old/2025/bootstrap.token", "{}"),
    ("copies", "copy", "opt/expanso-edge/compose.yml", "environment:\n  EXPANSO_EDGE_BOOTSTRAP_TOKEN: {}\n"),
    ("copies", "copy", "usr/local/bin/start-expanso", "#!/bin/sh\nexec expanso-edge bootstrap --token {}\n"),
    ("copies", "copy", "var/lib/systemd/coredump/core.expanso-edge.0.a", "\0EXPANSO_EDGE_BOOTSTRAP_TOKEN={}\0"),
    ("copies", "copy", "var/backups/etc/expanso/bootstrap.token", "{}"),
    ("copies", "copy", "var/backups/etc.tar", "bootstrap.token\0\0{}\0\0"),
    ("containers", "container", "var/lib/docker/containers/0a/config.v2.json", '{{"Config": {{"Env": ["EXPANSO_EDGE_BOOTSTRAP_TOKEN={}"]}}}}'),
    ("containers", "container", "home/ann/.local/share/containers/storage/overlay-containers/0b/userdata/config.json", '"T={}"'),
    ("containers", "log", "var/lib/docker/containers/0a/0a-json.log", '{{"log":"+ expanso-edge bootstrap --token {}"}}'),
    ("temporary", "temporary", "tmp/token.txt", "{}\n"),
    ("temporary", "temporary", "tmp/a/b/c/bootstrap.env", "T={}\n"),
    ("temporary", "temporary", "dev/shm/x", "{}"),
    ("logs", "log", "root/screenlog.0", "$ expanso-edge bootstrap --token {}\n"),
    ("logs", "log", "var/mail/root", "Subject: Cron <root@edge> expanso-edge bootstrap --token {}\n"),
    ("logs", "log", "var/log/syslog", "Nov 30 ann: --token {}\n"),
    ("logs", "log", "var/log/app/2026/app.log.1", "{}"),
    ("logs", "log", "var/log/audit/audit.log", "type=EXECVE a2={}\n"),
]  # fmt: skip


def planted(root: Path, token: str) -> list[tuple[str, str, bool]]:
    for _choice, _kind, path, text in PLANTED:
        as_base64, as_hex = base64.b64encode(f"{token}\n".encode()).decode(), token.encode().hex()
        put(root / path, text.format(as_base64 if text is USER_DATA else as_hex if "EXECVE" in text else token))
    return sorted((kind, "/" + path, False) for _choice, kind, path, _text in PLANTED)


@pytest.mark.parametrize("token", [TOKEN, STRANGER], ids=["known", "by its shape"])
def test_each_planted_copy_is_found_once(root: Path, token: str) -> None:
    expected = planted(root, token)
    for real, link in (("instances/i-1", "var/lib/cloud/instance"), ("cloud-init-output.log", "var/log/again.log")):
        (root / link).symlink_to(real)
    os.link(root / "etc/crontab", root / "etc/cron.d/the-same")
    hits = look(root)
    hit = [(kind, name.replace("cron.d/the-same", "crontab"), exposed) for kind, name, exposed in found(hits, root, token)]
    assert sorted(hit) == expected and hits.unread == []
    assert [shape.value for shape in hits.strangers] == ([STRANGER] if token == STRANGER else [])


def test_each_place_can_be_switched_off(root: Path) -> None:
    planted(root, TOKEN)
    assert found(look(root, "processes"), root) == []
    for choice in {spot.place for spot in SPOTS}:
        there = {kind for kind, _name, _exposed in found(look(root, choice), root)}
        expected = {spot.kind for spot in SPOTS if spot.place == choice}
        # without the places that are asked first, what is in /tmp and /var/log belongs to the others
        assert there == expected, choice


@pytest.mark.parametrize(("path", "mode", "exposed"), [
    ("etc/profile.d/x.sh", 0o644, True),
    ("etc/profile.d/x.sh", 0o600, False),
    ("var/log/x", 0o640, False),  # group root
    ("home/ann/.bashrc", 0o644, True),
])  # fmt: skip
def test_what_others_can_read(root: Path, path: str, mode: int, exposed: bool) -> None:
    put(root / path, TOKEN, mode)
    ((_kind, _path, is_exposed),) = found(look(root), root)
    assert is_exposed is exposed


def test_a_closed_directory_closes_what_is_below(root: Path) -> None:
    put(root / "home/ann/.bashrc", TOKEN, 0o644)
    (root / "home/ann").chmod(0o700)
    assert found(look(root), root) == [("profile", "/home/ann/.bashrc", False)]


@as_root
def test_who_others_are(root: Path) -> None:
    history, log = put(root / "home/ann/.bash_history", TOKEN), put(root / "var/log/syslog", TOKEN, 0o640)
    os.chown(history, 4711, 4711)
    os.chown(log, 0, 4712)
    assert found(look(root), root) == [("history", "/home/ann/.bash_history", False), ("log", "/var/log/syslog", True)]
    history.chmod(0o640)  # the group of this account alone
    assert found(look(root, "histories"), root) == [("history", "/home/ann/.bash_history", False)]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_rotated_logs(root: Path, pack: Any) -> None:
    put(root / "var/log/syslog.2.gz", pack(b"x\n" * 3_000_000 + TOKEN.encode()))
    put(root / "var/log/syslog.3.gz", pack(b"\0" * (MAX_FILE + 10)))
    put(root / "var/log/syslog.4.gz", pack(b"x" * 1000)[:-4])
    put(root / "var/log/syslog.5.zst", b"\x28\xb5\x2f\xfdxxxx")
    hits = look(root)
    assert found(hits, root) == [("log", "/var/log/syslog.2.gz", False)]
    unread = {Path(place.name).name for place in hits.unread}
    assert unread - {"syslog.4.gz"} == {"syslog.3.gz", "syslog.5.zst"}
    assert "syslog.4.gz" in unread or pack is bz2.compress


def packed(token: str, how: str) -> bytes:
    """User data that brings a token in a file of its own, as guides of cloud-init show it."""
    text = f"#!/bin/sh\nexport EXPANSO_EDGE_BOOTSTRAP_TOKEN={token}\n".encode()
    if how == "gz+b64":
        return b"#cloud-config\nwrite_files:\n- encoding: gz+b64\n  content: %s\n  path: /etc/x\n" % base64.b64encode(gzip.compress(text))
    if how == "!!binary":
        lines = base64.encodebytes(gzip.compress(text)).replace(b"\n", b"\n    ")
        return b"#cloud-config\nwrite_files:\n- encoding: gzip\n  content: !!binary |\n    %s\n  path: /etc/x\n" % lines
    message = MIMEMultipart()
    message.attach(MIMEApplication(gzip.compress(text) if how == "MIME, gzip" else text, "x-shellscript"))
    return gzip.compress(message.as_bytes()) if how == "gzip of MIME" else message.as_bytes()


@pytest.mark.parametrize("how", ["gz+b64", "!!binary", "MIME", "MIME, gzip", "gzip of MIME"])
@pytest.mark.parametrize("token", [TOKEN, STRANGER, JWT], ids=["known", "by its shape", "JWT"])
def test_user_data_that_is_packed(root: Path, token: str, how: str) -> None:
    put(root / "var/lib/cloud/instances/i-1/user-data.txt", packed(token, how))
    assert found(look(root), root, token) == [("cloud_init", "/var/lib/cloud/instances/i-1/user-data.txt", False)]


def test_unpacking_is_bounded() -> None:
    bomb = base64.b64encode(gzip.compress(bytes(1 << 26)))
    assert [len(each) for each in packed_inside(bomb + b" ")] == [LONGEST]
    assert len(list(packed_inside((bomb + b" ") * 40))) == MOST // LONGEST
    begin = time.monotonic()
    for hostile in (b"A" * (1 << 21), b"A\n" * (1 << 20), b"H4sI" + b"\n A" * (1 << 19), base64.b64encode(b"\x1f\x8b\x08" + os.urandom(1000))):
        list(packed_inside(hostile))
    assert time.monotonic() - begin < 5


class TestHostile:
    def test_special_files(self, root: Path) -> None:
        os.mkfifo(root / "root/.zsh_history")
        os.mkfifo(root / "tmp/token")
        (root / "home/ann/.zsh_history").symlink_to("/dev/zero")
        (root / "home/ann/.python_history").symlink_to("/dev/null")
        (root / "home/ann/.sh_history").symlink_to(".sh_history")
        (root / "home/ann/.lesshst").mkdir()
        (root / "tmp/zero").symlink_to("/dev/zero")
        hits = look(root, seconds=20)
        assert hits.found == {TOKEN: []}
        # a link of root's own is followed: to a device, there is nothing to read
        assert [place.name for place in hits.unread if "home/ann" not in place.name] == []

    @as_root
    def test_no_link_out_of_a_home_is_followed(self, root: Path) -> None:
        secret = put(root / "srv/secret", TOKEN)
        put(root / "home/ann/dotfiles/bashrc", TOKEN)
        (root / "home/ann/.bash_history").unlink()
        (root / "home/ann/.bash_history").symlink_to(secret)
        (root / "home/ann/.bashrc").symlink_to("dotfiles/bashrc")
        (root / "home/ann/.profile").symlink_to("dotfiles/../../../srv/secret")
        (root / "home/ann/.zshrc").symlink_to("out/secret")
        (root / "home/ann/out").symlink_to(secret.parent)
        (root / "home/ann/.config").symlink_to(secret.parent)
        (root / "tmp/token").symlink_to(secret)
        for path in ("home/ann", "home/ann/dotfiles", "tmp"):
            os.chown(root / path, 4711, 4711)
        hits = look(root)
        assert found(hits, root) == [("profile", "/home/ann/dotfiles/bashrc", False)]
        assert {Path(place.name).name for place in hits.unread} == {".bash_history", ".profile", ".config"}

    def test_links_of_root_are_followed(self, root: Path) -> None:
        put(root / "srv/expanso", TOKEN)
        (root / "etc/default/other").symlink_to(root / "srv/expanso")
        (root / "etc/default/audited").symlink_to(root / "etc/expanso/bootstrap.token")
        (root / "etc/default/gone").symlink_to("nowhere")
        hits = look(root)
        assert found(hits, root) == [("defaults", "/etc/default/other", False)] and hits.unread == []

    def test_sparse_and_long_files(self, root: Path) -> None:
        with put(root / "var/log/sparse", TOKEN).open("r+b") as handle:
            handle.truncate(1 << 30)
            handle.seek(1 << 29)
            handle.write(STRANGER.encode())
        with put(root / "var/log/long", "").open("wb") as handle:
            handle.write(b"x" * (MAX_FILE + 100))
            handle.write(TOKEN.encode())
        begin = time.monotonic()
        hits = look(root)
        assert {name for _kind, name, _exposed in found(hits, root)} == {"/var/log/sparse", "/var/log/long"}
        assert [name for _kind, name, _exposed in found(hits, root, STRANGER)] == ["/var/log/sparse"]
        assert [place.name for place in hits.unread] == [str(root / "var/log/long")]
        assert time.monotonic() - begin < 10

    def test_binary_files_and_many_neighbours(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(visiting, "MOST_FILES", 50)
        put(root / "var/log/binary", os.urandom(100_000) + TOKEN.encode() + os.urandom(1000))
        for number in range(300):
            put(root / f"tmp/{number:04}", "x")
        put(root / "tmp/z-token", TOKEN)
        hits = look(root)
        assert {name for _kind, name, _exposed in found(hits, root)} == {"/var/log/binary", "/tmp/z-token"}
        assert [place.name for place in hits.unread] == [f"252 files in {root}/tmp, which has more than 50"]

    def test_many_directories(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(visiting, "_MOST_DIRECTORIES", 5)
        for number in range(10):
            put(root / f"var/log/{number}/x", "x")
        assert [place.name for place in look(root, "logs").unread] == [f"directories below {root}/var/log beyond the first 5"]

    def test_files_that_vanish(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put(root / "tmp/token", TOKEN)

        def vanishing(_directory: int, name: str, follow: bool = False) -> Any:
            raise OSError(5, "Input/output error") if name == "token" else FileNotFoundError(2, "gone")

        monkeypatch.setattr(visiting, "open_regular", vanishing)
        assert [place.name for place in look(root).unread] == [str(root / "tmp/token")] * 2

    def test_the_time_is_bounded(self, root: Path) -> None:
        planted(root, TOKEN)
        hits = look(root, seconds=-1)
        assert found(hits, root) == [] and [place.kind for place in hits.unread] == ["rest"]

    def test_the_last_access_stays(self, root: Path) -> None:
        history = put(root / "home/ann/.bash_history", TOKEN)
        os.utime(history, (1, 2))
        assert found(look(root), root) == [("history", "/home/ann/.bash_history", False)]
        assert history.stat().st_atime == 1


def test_network_file_systems_are_not_touched(root: Path, tmp_path: Path) -> None:
    for path in ("home/ann/.bash_history", "home/nfs/.bash_history", "var/log/remote/x", "real/.bash_history"):
        put(root / path, TOKEN)
    (root / "home/link").symlink_to(root / "real")
    remote = {str(root / "home/nfs"): "nfs4", str(root / "var/log/remote"): "fuse.sshfs", str(root / "real"): "autofs"}
    hits = look(root, remote=remote)
    assert found(hits, root) == [("history", "/home/ann/.bash_history", False)]
    (finding,) = report_unread(hits.unread)
    assert finding.code == "exposure_incomplete" and all(path in finding.message for path in (*remote, "(nfs4)"))
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / /home\\040dir rw shared:1 - nfs4 a:/b rw\n3 1 0:7 / /misc rw - autofs x rw\n4 1 0:3 / /data rw - xfs x rw\n"
        "5 1 0:7 / /over rw - autofs x rw\n6 5 8:2 / /over rw - ext4 x rw\n"
    )
    assert remote_mounts(str(mounts)) == {"/home dir": "nfs4", "/misc": "autofs"}
    assert remote_mounts(str(tmp_path / "none")) == {}


def test_runs_of_ansible_that_are_at_work(root: Path, tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    put(proc / "10/cmdline", "sh\0-c\0python3 /root/.ansible/tmp/ansible-tmp-1.5-20-30/AnsiballZ_x.py")
    put(proc / "77/cmdline", "python3\0ansible-playbook")
    put(proc / "78/cmdline", "vi")
    for name in ("ansible-tmp-1.5-20-30", "ansible-tmp-2.5-77-30", "ansible-local-77abcdefgh", "ansible-tmp-3.5-78-31", "ansible-local-79abcdefgh"):
        put(root / f"root/.ansible/tmp/{name}/x", TOKEN)
    assert at_work(str(proc)) == {"ansible-tmp-1.5-20-30"} and at_work(str(proc / "none")) == frozenset()
    names = [name for _kind, name, _exposed in found(look(root, proc=str(proc)), root)]
    assert names == ["/root/.ansible/tmp/ansible-local-79abcdefgh/x", "/root/.ansible/tmp/ansible-tmp-3.5-78-31/x"]


def test_temporary_files_that_only_passed(root: Path) -> None:
    path = put(root / "tmp/token", TOKEN)

    def passing() -> Iterator[Place]:
        yield from Visit(MINE, [], time.monotonic() + 60, str(root)).places(["temporary"])
        path.unlink()

    hits = search(passing(), {})
    assert hits.strangers == {} and hits.found == {}


def test_homes() -> None:
    lines = ["root:x:0:0::/root:/bin/sh\n", "a:x:1:1::/home/a/:/bin/sh\n", "b:x:2:2::relative:/bin/sh\n", "\n", "c:x\n"]
    assert homes(lines, ["a", "ldap"]) == ["/root", "/home/a", "/home/ldap"]


def test_each_place_is_worded() -> None:
    kinds = {(spot.kind, False) for spot in SPOTS} | {("exposed_copy" if spot.kind == "copy" else spot.kind, True) for spot in SPOTS} | {("journal", True)}
    places = [Place(kind, "NAME", b"", exposed) for kind, exposed in sorted(kinds)]
    for place in places:
        (finding,) = report([place], "5d41402abc4b")
        assert "the token is in NAME" in finding.message or "NAME" in finding.message
        assert finding.severity == ("error" if place.exposed else "warning")
        assert ("revoke" in finding.remedy and "others" in finding.message) == place.exposed
        assert (finding.place, finding.fingerprint) == ("NAME", "5d41402abc4b")
    history = Place("history", "NAME", b"")
    (finding,) = report_stranger([history], "5d41402abc4b", "bootstrap_key", asked=False)
    assert finding.message.startswith("a bootstrap key with the fingerprint 5d41402abc4b is in the history NAME") and finding.severity == "warning"
    (finding,) = report_stranger([history], "5d41402abc4b", "jwt", asked=True)
    assert finding.message.startswith("the token 5d41402abc4b, which is asked for, is in") and finding.severity == "error"


class TestJournal:
    @pytest.fixture
    def program(self, safe_path: Path) -> Path:
        put(safe_path / "journal/1/system.journal", "x")
        return put(safe_path / "journalctl", "", 0o700)

    def look(self, program: Optional[Path], script: str = "", seconds: float = 30) -> Hits:
        if program:
            program.write_text(f"#!/bin/sh\n{script}\n")
        directories = [str(program.parent / "journal")] if program else []
        return search(journal(str(program) if program else None, time.monotonic() + seconds, directories), {TOKEN: searchable_encodings(TOKEN)})

    def test_what_it_prints_is_searched(self, program: Path) -> None:
        script = f"case $* in *--output=export*) head -c 9000000 /dev/zero; echo MESSAGE=--token {TOKEN}; echo _CMDLINE={STRANGER} ;; esac"
        hits = self.look(program, script)
        assert hits.found == {TOKEN: [Place("journal", "the journal", b"", True)]}
        assert [shape.fingerprint for shape in hits.strangers] == [fingerprint(STRANGER)]
        assert bool(hits.unread) == (os.geteuid() != 0)

    def test_an_old_one_prints_all_fields(self, program: Path) -> None:
        hits = self.look(program, f'case "$*" in *--output-fields*) exit 1 ;; esac; echo {TOKEN}')
        assert len(hits.found[TOKEN]) == 1

    def test_what_is_missing_is_told(self, program: Path) -> None:
        assert [place.kind for place in self.look(program, "exit 3").unread] == ["journal"]
        directory = str(program.parent / "journal")
        assert list(journal(None, time.monotonic() + 9, [directory])) == [Place("journal", "the journal", None)]
        assert list(journal(str(program / "none"), time.monotonic() + 9, [directory])) == [Place("journal", "the journal", None)]
        assert list(journal(None, time.monotonic() + 9, [directory + "/none"])) == []

    def test_it_is_bounded(self, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if os.geteuid() != 0:
            pytest.skip("the whole journal is for root")
        begin = time.monotonic()
        hits = self.look(program, f"echo {TOKEN}; sleep 60", seconds=0.5)
        assert len(hits.found[TOKEN]) in (0, 1) and {place.kind for place in hits.unread} == {"rest"}
        monkeypatch.setattr(journal_room, "_MOST_BYTES", 3_000_000)
        hits = self.look(program, f"echo {TOKEN}; exec cat /dev/zero")
        assert len(hits.found[TOKEN]) == 1 and ["older entries" in place.name for place in hits.unread] == [True]
        assert time.monotonic() - begin < 20
