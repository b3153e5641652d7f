# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the report of an audit, on the controller."""

from __future__ import annotations

import re
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.expanso.edge.plugins.plugin_utils import _audit_job
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import scope, settings, summary, writing
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.formats import FORMATS, sha256
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Json, moment_now
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.report import build, exceeds
from ansible_collections.expanso.edge.plugins.plugin_utils._result import of_audit


def as_typed(message: str, variables: Json) -> str:
    """Return a message that begins with an option with the playbook's variable in its place, where somebody set that."""
    variable = f"expanso_edge_audit_{re.split('[^a-z_]', message, maxsplit=1)[0]}"
    return re.sub("^[a-z_]+", variable, message) if variable in variables else message


class ActionModule(ActionBase):
    """Runs one time for all hosts, and contacts none of them."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Json | None = None) -> Json:
        result: Json = super().run(tmp, task_vars)
        try:
            result.update(self._report(task_vars or {}))
        except DataError as exc:
            result.update(failed=True, msg=as_typed(str(exc), task_vars or {}))
        return result

    def _report(self, variables: Json) -> Json:
        """Make the report, write it, and return what it amounts to.

        :raises DataError: something that was given cannot be used, or a file cannot be written
        """
        args = self._task.args
        asked, set_name = _audit_job.placed(settings.parse(args), variables)
        names = [str(name) for name in args.get("hosts") or ([] if asked.merge else variables.get("ansible_play_hosts_all")) or []]
        hosts = [] if asked.merge else _audit_job.hosts(names, variables, self._templar)
        given = _audit_job.given(asked, args, variables, self._templar, self._loader)
        paths = {name: asked.path(name) for name in asked.formats}
        if asked.only_check:
            for name, path in [] if self._task.check_mode else paths.items():
                writing.check(path, FORMATS[name].sign)
            return {"changed": False, "msg": "all options and data can be used"}
        if asked.merge:
            nodes, given = _audit_job.slices(asked, given, names, variables, self._templar)
        else:
            nodes, given = scope.nodes(hosts), given._replace(slice=set_name is not None)
        report = build(nodes, given, asked.limits, _audit_job.run(variables), variables["groups"]["all"], moment_now())
        if not self._task.check_mode:
            formats = [(paths[name], FORMATS[name]) for name in asked.formats]
            writing.write([writing.File(path, each.render(report, asked.fail_on), each.mode, each.sign) for path, each in formats])
        exceeded = exceeds(report, asked.fail_on)
        lines = summary.lines(report, paths, self._task.check_mode, set_name)
        published = of_audit("merge_audits" if asked.merge else "audit", report, exceeded, sha256(report), self._task.check_mode)
        return {
            "changed": False,
            "failed": exceeded,
            "exceeded": exceeded,
            "msg": summary.verdict(report, asked.fail_on) if exceeded else lines[0],
            "summary": lines,
            "totals": report["totals"],
            "scope": {key: value if isinstance(value, int) else len(value) for key, value in report["scope"].items()},
            "mended": len(report["mended"]),
            "paths": {} if self._task.check_mode else paths,
            "sha256": published["report_sha256"],
            "result": {**published, **({} if set_name is None else {"slices_of": set_name})},
        }
