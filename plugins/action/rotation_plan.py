# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the plan of a rotation on the controller, or reads it. Nothing of it is done on a node."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.expanso.edge.plugins.module_utils._version import VERSION
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import PASTED, looks_like_token
from ansible_collections.expanso.edge.plugins.plugin_utils._files import content
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import writing
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._job import Job
from ansible_collections.expanso.edge.plugins.plugin_utils._outcomes import FAILURE
from ansible_collections.expanso.edge.plugins.plugin_utils._rotation import KIND, Entry, PlanError, is_template, is_true, parse, predicted, render, texts_again
from ansible_collections.expanso.edge.plugins.plugin_utils._run import RUN_ID, job_id, user
from ansible_collections.expanso.edge.plugins.plugin_utils._summary import first_line, together

VARIABLE = "expanso_edge_plan"
"""Holds the plan that an earlier node of a workflow published."""

Json = dict[str, Any]


class ActionModule(ActionBase):
    """See the documentation of the module of this name."""

    BYPASS_HOST_LOOP = True  # one plan for all hosts
    _supports_check_mode = True
    _requires_connection = False
    _VALID_ARGS = frozenset(("path", "state", "hosts", "reregister", "only_check", "return_plan"))

    def run(self, tmp: Any = None, task_vars: Json | None = None) -> Json:
        result: Json = super().run(tmp, task_vars)
        variables, args = task_vars or {}, self._task.args
        reading, given = args.get("state", "read") == "read", str(args.get("path") or "")
        path = os.path.abspath(os.path.expanduser(given))
        reregister = is_true(args.get("reregister"))
        # not an option, because Ansible would evaluate its texts, which nodes may have named
        data = variables.get(VARIABLE)
        what = f"the plan {path}" if given or not reading else f"the plan in variable {VARIABLE}"
        try:
            if looks_like_token(given):
                what = "the plan that expanso_edge_plan_file names"
                raise PlanError(f"the variable {PASTED}")
            if not reading and is_true(args.get("only_check")):
                writing.check(path, KIND.encode(), "plan")
                result.update(changed=False, path=path, msg=f"{what} can be written")
            elif not reading:
                result.update(self._write(path, reregister, variables))
            elif data in (None, "", {}):
                result.update(_read(path, reregister) if given else {"changed": False, "msg": "no plan is given"})
            elif given:
                raise PlanError(f"{VARIABLE} holds a plan as well: leave out one of expanso_edge_plan_file and {VARIABLE}")
            else:
                result.update(_parsed(_text(data), reregister))
        except PlanError as exc:
            result.update(failed=True, msg=f"{what} cannot be used: {exc}")
        except DataError as exc:
            result.update(failed=True, msg=str(exc))
        except OSError as exc:
            hint = "; make a plan with --check first, or leave out expanso_edge_plan_file" if isinstance(exc, FileNotFoundError) else ""
            result.update(failed=True, msg=f"{what} cannot be read: {exc.strerror or type(exc).__name__}{hint}")
        return result

    def _write(self, path: str, reregister: bool, variables: Mapping[str, Any]) -> Json:
        hosts = list(self._task.args.get("hosts") or [])
        job = Job(variables, self._templar)  # not an option: it may hold tokens
        known = together(hosts, variables["hostvars"], {host: job.variables(host) for host in hosts})
        failed = {host: first_line(known[host][FAILURE]) for host in hosts if known[host].get(FAILURE) is not None}
        entries = [entry for host in hosts if host not in failed for entry in predicted(host, known[host])]
        failed.update((host, "no result: unreachable, or skipped by tags") for host in hosts if host not in failed and not _planned(host, entries))
        run = {"run_id": RUN_ID, "job_id": job_id(variables), "user": user(variables)}
        text = render(entries, failed, run, reregister, VERSION, time.time())
        writing.write([writing.File(path, text.encode(), 0o600, KIND.encode(), "plan")])
        doing = sum(entry.action != "keep" for entry in entries)
        counts = f"{doing} tokens to replace, {len(entries) - doing} to keep, {len(failed)} unknown"
        found = {"changed": False, "path": path, "msg": f"plan written to {path}: {counts}"}
        return {**found, "plan": _data(text, entries)} if is_true(self._task.args.get("return_plan")) else found


def _planned(host: str, entries: list[Entry]) -> bool:
    return any(entry.node == host for entry in entries)


def _data(text: str, entries: list[Entry]) -> Json:
    """Return a plan as data that may become a variable. Why nodes failed is left out: these are texts of other programs.

    :raises PlanError: it contains what a variable would be evaluated for
    """
    if any(map(is_template, entries)):
        raise PlanError("the name or place of a token in it contains {{, {% or {#, so it is not handed on as data: use expanso_edge_plan_file")
    return {**json.loads(text), "failed": []}


def _text(data: Any) -> str:
    try:
        return json.dumps(texts_again(data))
    except (TypeError, ValueError, RecursionError):
        raise PlanError("it is not the plan that a run with --check published: pass that one on unchanged") from None


def _read(path: str, reregister: bool) -> Json:
    return {**_parsed(content(path).decode("utf-8", "replace"), reregister), "path": path}


def _parsed(text: str, reregister: bool) -> Json:
    plan = parse(text, reregister, time.time())
    return {"changed": False, "planned": plan.nodes, "msg": f"plan of {plan.generated_at} (run {plan.run_id})"}
