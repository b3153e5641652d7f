# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose files the tests of files make: their own, and those of another account where they run as root."""

import os

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import Attributes

OWN = Attributes(os.geteuid(), os.getegid(), 0o600)
APP = 4711

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make directories of other accounts")


def unlabelled(_place: str, _path: str = "") -> None:
    """A file system without security contexts."""
