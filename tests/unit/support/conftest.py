# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the stand-in agent and of the control plane share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from control_plane import ControlPlane


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    """A control plane that knows nothing yet."""
    with ControlPlane() as running:
        yield running
