# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a host that cannot be reached."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.expanso.edge.plugins.plugin_utils._reach import VARIABLE, failure

REFUSED = AnsibleConnectionFailure("Failed to connect to the host via ssh: Warning: one\r\nssh: connect to host edge port 22: Connection refused\r\n")


def test_a_message_has_no_carriage_returns() -> None:
    said = failure(REFUSED, {VARIABLE: True})
    message = "the host cannot be reached: Failed to connect to the host via ssh: Warning: one\nssh: connect to host edge port 22: Connection refused"
    assert said == {"failed": True, "msg": message}


def test_elsewhere_ansible_handles_it() -> None:
    with pytest.raises(AnsibleConnectionFailure):
        failure(REFUSED, {})
