# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release has to be, that its tarball is the same whoever builds it, and that the token for Galaxy is never on a command line."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import release
from paths import REPOSITORY, SupportError

READY = release.Facts("1.2.0", "main", True, [], ["1.1.0"], [], ["1.1.0", "1.2.0"], [])
TAGGED = READY._replace(branch="", tags=["1.1.0", "1.2.0"], tags_here=["1.2.0"])


def test_what_can_be_released() -> None:
    assert release.problems(READY, tagged=False) == []
    assert release.problems(TAGGED, tagged=True) == []
    assert release.problems(READY._replace(version="1.2.0-rc.1", released=["1.2.0-rc.1"]), tagged=False) == []


@pytest.mark.parametrize(
    ("facts", "tagged", "expected"),
    [
        (READY._replace(version="next", released=["next"]), False, "next is not a version"),
        (READY._replace(uncommitted=["README.md"]), False, "not committed: README.md"),
        (READY._replace(released=["1.1.0"]), False, "does not contain 1.2.0"),
        (READY._replace(fragments=["new.yml"]), False, "not in the changelog: new.yml"),
        (READY._replace(branch="topic"), False, "the branch is topic"),
        (READY._replace(branch=""), False, "the branch is unknown"),
        (READY._replace(tags=["1.2.0"]), False, "1.2.0 is tagged already"),
        (TAGGED._replace(tags_here=["1.1.0"]), True, "does not have the tag 1.2.0"),
        (TAGGED._replace(in_main=False), True, "is not part of main"),
        (TAGGED._replace(fragments=["new.yml"]), True, "not in the changelog: new.yml"),
    ],
)
def test_what_cannot_be_released_says_why(facts: release.Facts, tagged: bool, expected: str) -> None:
    [found] = release.problems(facts, tagged)
    assert expected in found


def test_this_checkout_is_read() -> None:
    facts = release.look()
    assert re.fullmatch(r"\d+\.\d+\.\d+", facts.version) and "1.0.0" in facts.released
    assert facts.fragments == sorted(path.name for path in (REPOSITORY / "changelogs" / "fragments").glob("*.yml"))


def made(names: list[str], built: int) -> bytes:
    """A tarball as ansible-galaxy builds it at a time, where directories are listed in an order."""
    files = json.dumps({"files": [{"name": name} for name in names]}, indent=True).encode()
    manifest = json.dumps({"file_manifest_file": {"name": "FILES.json", "chksum_sha256": hashlib.sha256(files).hexdigest()}}, indent=True).encode()
    written = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=written, mtime=built) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in [("MANIFEST.json", manifest), ("FILES.json", files), *((name, name.encode()) for name in names)]:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), built, 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def test_neither_time_nor_order_of_a_build_is_in_the_tarball() -> None:
    one, other = made(["b.sh", "a"], 1_000_000_000), made(["a", "b.sh"], 1_700_000_000)
    assert release.settled(one, 5) == release.settled(other, 5) != release.settled(other, 6)
    with tarfile.open(fileobj=io.BytesIO(release.settled(one, 5))) as archive:
        members = {member.name: (member.mode, member.mtime) for member in archive.getmembers()}
        files, manifest = (archive.extractfile(name).read() for name in ("FILES.json", "MANIFEST.json"))  # type: ignore[union-attr]
    assert list(members.items()) == [("MANIFEST.json", (0o644, 5)), ("FILES.json", (0o644, 5)), ("a", (0o644, 5)), ("b.sh", (0o755, 5))]
    assert json.loads(manifest)["file_manifest_file"]["chksum_sha256"] == hashlib.sha256(files).hexdigest()


class Galaxy(BaseHTTPRequestHandler):
    """As much of a Galaxy server as publishing needs."""

    got: list[tuple[str, str, bytes]]
    refuses = False

    def do_GET(self) -> None:
        done = {"state": "completed", "finished_at": "now", "messages": []}
        known = {"/api": {"available_versions": {"v3": "v3/"}}, "/api/v3/imports/collections/1": done}
        found = known.get(self.path.rstrip("/"))
        self._answer(found or {}, 200 if found else 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, self.headers["Authorization"], body))
        if self.refuses:
            self._answer({"errors": [{"code": "conflict", "detail": "is published already"}]}, 409)
        else:
            self._answer({"task": "/api/v3/imports/collections/1/"}, 202)

    def _answer(self, data: Any, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(data).encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""


@pytest.fixture
def galaxy() -> Iterator[tuple[str, type[Galaxy]]]:
    handler = type("Handler", (Galaxy,), {"got": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", handler
    server.shutdown()
    server.server_close()


def test_a_tarball_is_the_same_whenever_it_is_built_and_is_published_with_a_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, galaxy: tuple[str, type[Galaxy]]
) -> None:
    monkeypatch.setattr(release, "ENVIRONMENT", "test")  # which is there for the tests, and has ansible-galaxy as well
    tarball = release.build_twice("HEAD", tmp_path)
    with tarfile.open(tarball) as archive:
        assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in archive} == {(0, 0, "", int(release.git("log", "-1", "--format=%ct")))}

    commands = []
    started = release.subprocess.run

    def watched(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return started(command, **options)

    monkeypatch.setattr(release.subprocess, "run", watched)
    url, handler = galaxy
    release.publish(tarball, url, "secret-token")
    [(path, authorization, body)] = handler.got
    assert path == "/api/v3/artifacts/collections/"
    assert authorization == "Token secret-token"
    assert hashlib.sha256(tarball.read_bytes()).hexdigest().encode() in body
    assert commands and "secret-token" not in str(commands)

    handler.refuses = True
    with pytest.raises(SupportError, match="is published already") as fault:
        release.publish(tarball, url, "secret-token")
    assert "secret-token" not in str(fault.value)
