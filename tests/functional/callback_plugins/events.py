# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of every task, for the tests: one JSON object a line in the file that TEST_EVENTS names.

It also lets a run use the modules that an earlier one has packed for their nodes, which Ansible keeps for one run. They are in the directory that
TEST_PACKED names.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: events
type: aggregate
short_description: Results of tasks as JSON lines
description:
  - Writes the result of each task on each host to the file that the environment variable E(TEST_EVENTS) names.
"""

import json
import os

from ansible import constants
from ansible.plugins.callback import CallbackBase

os.symlink(os.environ["TEST_PACKED"], os.path.join(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache"))


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "events"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, outcome, result):
        # ansible-core 2.19 gave these attributes names without an underscore
        host = getattr(result, "host", None) or result._host
        task = getattr(result, "task", None) or result._task
        data = getattr(result, "result", None) or result._result
        event = {"outcome": outcome, "host": host.get_name(), "task": task.get_name(), "result": dict(data)}
        with open(os.environ["TEST_EVENTS"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(event, default=str) + "\n")

    def v2_runner_on_ok(self, result):
        self._write("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write("failed", result)

    def v2_runner_on_unreachable(self, result):
        self._write("unreachable", result)

    def v2_runner_on_skipped(self, result):
        self._write("skipped", result)

    def v2_playbook_on_stats(self, stats):
        event = {"outcome": "published", "host": "", "task": "", "result": getattr(stats, "custom", {}).get("_run", {})}
        with open(os.environ["TEST_EVENTS"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
