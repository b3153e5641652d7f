# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the checkout importable under the name that the collection has when it is installed: `ansible_collections.expanso.edge`.

That takes a directory `ansible_collections/expanso/edge`, here a symbolic link in the cache, and Ansible's own loader.

Hypothesis does not watch the clock here: a busy machine is slow, and that is not a fault of what is tested.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent / "tools"), str(TESTS / "support")]

from paths import collections

_AnsibleCollectionFinder(paths=[str(collections())])._install()
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture
def safe_path() -> Iterator[Path]:
    """A directory that nobody else may replace: unlike `tmp_path` it is not below /tmp, where the modules refuse to work."""
    with tempfile.TemporaryDirectory(prefix=".expanso-edge-test-", dir=Path.home()) as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)
