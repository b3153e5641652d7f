# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directories keep their permissions. That they are changed elsewhere is tested with the module."""

from pathlib import Path

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._directory import Directory
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import SecureFileError
from ansible_collections.expanso.edge.plugins.module_utils._token_place import judge_directory_mode


@pytest.mark.parametrize("path", ["/", "/etc", "/usr/../etc", "/tmp", "/var/lib"])
def test_a_directory_of_the_system_keeps_its_permissions(path: str) -> None:
    with Directory.hold(path) as directory, pytest.raises(SecureFileError, match="other programs need the directory /.*, so it does not get mode 0700"):
        judge_directory_mode(0o700, directory)


def test_a_directory_of_its_own_may_get_others(tmp_path: Path) -> None:
    with Directory.hold(str(tmp_path)) as directory:
        judge_directory_mode(0o750, directory)
