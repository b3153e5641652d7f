# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.filter.registration_markers import FilterModule
from ansible_collections.expanso.edge.plugins.module_utils._registration import MARKERS

registration_markers = FilterModule().filters()["registration_markers"]


@pytest.mark.parametrize("markers", [[], None, "", " , "])
@pytest.mark.parametrize("data_dir", ["/data", "/data/"])
def test_the_known_markers_are_the_default(markers: Any, data_dir: str) -> None:
    assert registration_markers(markers, data_dir) == [f"/data/{each}" for each in MARKERS]


@pytest.mark.parametrize(("markers", "expected"), [(["/a", "/b c"], ["/a", "/b c"]), ("/a, /b", ["/a", "/b"])])
def test_given_markers_are_used_whatever_the_data_directory(markers: Any, expected: list[str]) -> None:
    assert registration_markers(markers, None) == expected


@pytest.mark.parametrize(
    ("markers", "data_dir", "message"),
    [
        ([], "data", "the data directory must be an absolute path"),
        ([], None, "the data directory must be an absolute path"),
        (["identity"], "/data", "a list of absolute paths"),
        ([None], "/data", "a list of absolute paths"),
        ({"/a": 1}, "/data", "a list of absolute paths"),
    ],
)
def test_unusable_paths_are_refused(markers: Any, data_dir: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        registration_markers(markers, data_dir)
