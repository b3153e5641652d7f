# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to a host that is down, without waiting for a network to say so."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nowhere
short_description: A host that cannot be reached
description:
  - Every attempt to connect fails at once.
"""

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase


class Connection(ConnectionBase):
    transport = "nowhere"
    has_pipelining = True

    def _connect(self):
        raise AnsibleConnectionFailure("this host is down")

    def exec_command(self, cmd, in_data=None, sudoable=True):
        return self._connect()

    def put_file(self, in_path, out_path):
        return self._connect()

    def fetch_file(self, in_path, out_path):
        return self._connect()

    def close(self):
        """Nothing was opened."""
