# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to this machine that breaks for good after some commands."""

from __future__ import annotations

DOCUMENTATION = r"""
name: dying
short_description: A host that is powered off in the middle
description:
  - The command after the last one that is answered is still carried out, but its answer is lost. From then on the host cannot be reached.
options:
  answers:
    description: How many commands are answered. With V(-1) the host is down from the beginning.
    type: int
    vars:
      - name: ansible_answers
  count_file:
    description: File that counts the commands.
    vars:
      - name: ansible_count_file
"""

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local


class Connection(Local):
    transport = "dying"

    def exec_command(self, *arguments, **options):
        with open(self.get_option("count_file"), "a+") as stream:
            stream.write(".")
            left = self.get_option("answers") - stream.tell()
        if left < -1:
            raise AnsibleConnectionFailure("this host is down")
        answer = super().exec_command(*arguments, **options)
        if left < 0:
            raise AnsibleConnectionFailure("this host was powered off")
        return answer
