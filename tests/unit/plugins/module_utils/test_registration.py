# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import errno
import os
from pathlib import Path
from typing import List, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._registration import MARKERS, find_marker


def marker(data_dir: Path, named: Optional[List[str]] = None) -> Optional[str]:
    return find_marker({"data_dir": str(data_dir), "registration_markers": named})


@pytest.mark.parametrize("name", MARKERS)
def test_a_file_that_an_agent_leaves(tmp_path: Path, name: str) -> None:
    assert marker(tmp_path) is None
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert marker(tmp_path) == str(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path)
    assert marker(tmp_path / "link") == str(tmp_path / "link" / name)


@pytest.mark.parametrize("data_dir", ["/", "//", "/etc", "/var/lib/", "/srv/../usr", "/root"])
@pytest.mark.parametrize("named", [None, ["/srv/marker"]])
def test_a_directory_of_the_system_is_not_the_data_directory(data_dir: str, named: Optional[List[str]]) -> None:
    """A role would remove it with all that is in it."""
    with pytest.raises(EdgeError, match="option data_dir: /.* belongs to the system: name a directory that is the agent's own"):
        find_marker({"data_dir": data_dir, "registration_markers": named})


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "identity").symlink_to("stored")
    assert marker(tmp_path) is None
    (tmp_path / "stored").touch()
    assert marker(tmp_path) == str(tmp_path / "identity")


@pytest.mark.parametrize("kind", ["directory", "device", "fifo"])
def test_what_is_no_file_is_no_marker(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "identity"
    if kind == "directory":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/null")
    else:
        os.mkfifo(path)
    assert marker(tmp_path) is None
    with pytest.raises(EdgeError, match=f"the registration marker {path} is not a regular file: correct option registration_markers"):
        marker(tmp_path, [str(path)])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/", "option registration_markers: / is the root"),
        ("m", "the registration marker m is not an absolute path: correct option data_dir or option registration_markers"),
        ("/" + "m" * 300, "option registration_markers: File name too long"),
    ],
)
def test_a_marker_that_cannot_be(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(EdgeError, match=says):
        marker(tmp_path, [name])


def test_a_data_directory_whose_disk_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("disk/expanso")
    with pytest.raises(OSError, match="it is a symbolic link that leads nowhere.*/data") as caught:
        marker(tmp_path / "data")
    assert caught.value.errno == errno.ENOLINK and caught.value.filename == str(tmp_path / "data")


def test_nobody_can_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(os, "stat", broken)
    with pytest.raises(OSError, match="Input/output error"):
        marker(tmp_path)
