# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: node
short_description: A node that is this machine, with an environment of its own
description:
  - Runs on this machine as C(local) does, but passes on nothing of the controller's environment, as SSH does not.
author: Expanso Edge collection contributors (@expanso-io)
options:
  environment:
    description: The environment of the node.
    type: dict
    default: {}
    vars:
      - name: node_environment
  unreachable:
    description: Answer to nothing.
    type: bool
    default: false
    vars:
      - name: node_unreachable
"""

import subprocess

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local


class Connection(Local):
    """Local, but for the environment."""

    transport = "node"

    def _connect(self) -> Connection:
        if self.get_option("unreachable"):
            raise AnsibleConnectionFailure("no route to host")
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command line of the shell plugin."""
        self._connect()
        done = subprocess.run(cmd, shell=True, input=in_data, capture_output=True, env=self.get_option("environment"), check=False)
        return done.returncode, done.stdout, done.stderr
