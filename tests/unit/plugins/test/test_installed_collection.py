# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which collections count as installed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.test.installed_collection import installed_collection


@pytest.mark.parametrize(("name", "expected"), [("expanso.edge", True), ("expanso.nothing", False), ("nobody.nothing", False)])
def test_a_collection_is_found_or_not(name: str, expected: bool) -> None:
    assert installed_collection(name) is expected


@pytest.mark.parametrize("value", [None, 5, "", "docker", "community.docker.docker_volume", "community..docker", ["community.docker"]])
def test_what_is_not_a_name_is_refused(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="takes the name of a collection"):
        installed_collection(value)
