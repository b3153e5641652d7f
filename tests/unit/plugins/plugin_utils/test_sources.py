# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import NO_SOURCE, SourceError, decode, job_wide, resolve

ENVIRONMENT = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("from-file\n")
    return path


@pytest.mark.parametrize(
    ("own", "with_file", "environ", "token", "source"),
    [
        (None, False, {}, None, NO_SOURCE),
        (None, False, {ENVIRONMENT: ""}, None, NO_SOURCE),
        (None, False, {ENVIRONMENT: "from-env"}, "from-env", ENVIRONMENT),
        (None, True, {}, "from-file", "expanso_edge_token_file"),
        (None, True, {ENVIRONMENT: "from-file"}, "from-file", "expanso_edge_token_file"),
        ("own", False, {}, "own", "variable expanso_edge_token"),
        ("own", True, {ENVIRONMENT: "from-env"}, "own", "variable expanso_edge_token"),
        ("", True, {}, "", "variable expanso_edge_token"),  # set, so it counts, and is refused as empty
    ],
)
def test_order(file: Path, own: str | None, with_file: bool, environ: dict[str, str], token: str | None, source: str) -> None:
    found = resolve({"expanso_edge_token": own, "expanso_edge_token_file": str(file) if with_file else None}.get, environ)
    assert found.token == token
    assert source in found.source


@pytest.mark.parametrize("own", [True, 12345678, 1e30, ["exp_bk_a1b2c3d4e5"], {"token": "exp_bk_a1b2c3d4e5"}])
def test_a_value_that_is_not_a_text_is_not_a_token(own: object) -> None:
    with pytest.raises(SourceError, match="variable expanso_edge_token is a .*, not a text") as caught:
        resolve({"expanso_edge_token": own}.get, {})
    assert "a1b2" not in str(caught.value)


@pytest.mark.parametrize("value", [[], ()])
def test_a_lookup_that_finds_nothing(value: object) -> None:
    with pytest.raises(SourceError, match="expanso_edge_token is an empty list, as a lookup returns if it finds nothing for this host") as caught:
        resolve({"expanso_edge_token": value}.get, {})
    assert not caught.value.job_wide


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "directory"])
def test_a_pipe_or_directory_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "token")
    with pytest.raises(SourceError, match="it is not a regular file"):
        job_wide(str(tmp_path / "token"), {})


def test_an_impossible_file_name() -> None:
    with pytest.raises(SourceError, match="cannot read"):
        job_wide("/nowhere/a\0b", {})


def test_two_different_job_wide_sources_are_refused(file: Path) -> None:
    with pytest.raises(SourceError) as caught:
        job_wide(str(file), {ENVIRONMENT: "from-env"})
    assert str(file) in str(caught.value) and ENVIRONMENT in str(caught.value)
    assert "from-file" not in str(caught.value).replace(str(file), "") and "from-env" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfsecret", b"s\xc3\xa9cret"])
def test_a_file_that_is_not_text_is_named(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(SourceError, match=str(file)) as caught:
        job_wide(str(file), {})
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("given", ["exp_bk_a1b2c3d4e5", "exp_ak_a1b2c3d4e5", "a1b2c3d4e5==", "a1b2c3d4e5 "])
def test_a_token_given_as_its_file_is_not_shown(given: str) -> None:
    with pytest.raises(SourceError, match="the file that variable expanso_edge_token_file names") as caught:
        job_wide(given, {})
    assert "a1b2" not in str(caught.value)


@pytest.mark.parametrize("given", ["/nowhere/token", "~/nowhere/a b", "./nowhere", "nowhere/bootstrap.token", "/nowhere"])
def test_what_looks_like_a_path_is_shown(given: str) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        job_wide(given, {})


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="cannot read file"):
        job_wide(str(tmp_path / name), {})


@pytest.mark.parametrize("token", ["exp_bk_a1b2c3d4e5f6a7b8", "k3F9sQx+Zt8cRk29xP0mN4zQ7w"])
@pytest.mark.parametrize("content", ["{token}\n", "{token} \n", "\u00e9"], ids=["good", "refused", "not ASCII"])
def test_a_file_that_is_named_after_its_token(tmp_path: Path, token: str, content: str) -> None:
    file = tmp_path / token
    file.write_text(content.format(token=token))
    file.chmod(0o644)
    try:
        found = job_wide(str(file), {})
        shown = found.described + found.warning
        assert "is open to other accounts" in shown
    except SourceError as exc:
        if not token.startswith("exp_bk_"):  # nothing tells that this is one
            return
        shown = str(exc)
    assert f"file {tmp_path}/********" in shown and token[7:15] not in shown


def test_home_and_working_directory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(file.parent))
    assert job_wide("~/token", {}).token == "from-file"
    monkeypatch.chdir(file.parent)
    assert str(file) in job_wide("token", {}).source


def test_repr_shows_no_token(file: Path) -> None:
    assert "from-file" not in repr(job_wide(str(file), {})).replace(str(file), "")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"exp_bk_a", "exp_bk_a"),
        (b"exp_bk_a\n", "exp_bk_a"),
        (b"exp_bk_a\n\n", "exp_bk_a\n"),
        (b"exp_bk_a\r\n", "exp_bk_a\r"),
        (b"\nexp_bk_a", "\nexp_bk_a"),
        (b"", ""),
        (b"\n", ""),
    ],
)
def test_a_file_loses_one_line_feed(data: bytes, text: str) -> None:
    assert decode(data) == text


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\xef\xbb\xbfexp_bk_a", "bom"), (b"\xff\xfee\0", "bom"), (b"\xfe\xff\0e", "bom"), (b"exp_\xc3\xa9", "not_ascii"), (b"\x80", "not_ascii")],
)
def test_a_file_that_is_no_ascii(data: bytes, code: str) -> None:
    with pytest.raises(TokenFault) as caught:
        decode(data)
    assert caught.value.code == code
