# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run costs in counts that do not waver: one JSON object a line in the file that TEST_TRAFFIC names.

    {"worker": 1}                      a worker process was started, for a task on a host
    {"host": "node1", "bytes": 1234}   a command was sent to a node, or a file, with all that it carries
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: traffic
type: aggregate
short_description: Counts of commands, bytes and workers as JSON lines
description:
  - Writes each command for a node, and each worker process, to the file that the environment variable E(TEST_TRAFFIC) names.
"""

import functools
import json
import os

from ansible.executor.process.worker import WorkerProcess
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import connection_loader


def note(**what):
    with open(os.environ["TEST_TRAFFIC"], "a", encoding="utf-8") as stream:  # a line is written at once, so workers do not disturb each other
        stream.write(json.dumps(what) + "\n")


def counted(kind):
    """Let a connection plugin note what it sends. Workers are forks of this process, so they have it, too."""
    command, put = kind.exec_command, kind.put_file

    @functools.wraps(command)
    def exec_command(self, cmd, in_data=None, sudoable=True):
        note(host=self._play_context.remote_addr, bytes=len(cmd) + len(in_data or b""))
        return command(self, cmd, in_data=in_data, sudoable=sudoable)

    @functools.wraps(put)
    def put_file(self, in_path, out_path):
        note(host=self._play_context.remote_addr, bytes=os.path.getsize(in_path))
        return put(self, in_path, out_path)

    kind.exec_command, kind.put_file = exec_command, put_file


def started(start):
    @functools.wraps(start)
    def begin(self):
        note(worker=1)
        return start(self)

    return begin


for name in ("ansible.builtin.local", "ansible.builtin.ssh", "community.docker.docker"):
    kind = connection_loader.get(name, class_only=True)
    if kind is not None:  # a collection may be missing
        counted(kind)
WorkerProcess.start = started(WorkerProcess.start)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "traffic"
    CALLBACK_NEEDS_ENABLED = True
