# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the plan of a rotation on the controller, or reads it. Nothing of it is done on a node."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.expanso.edge.plugins.module_utils._version import VERSION
from ansible_collections.expanso.edge.plugins.plugin_utils._job import Job
from ansible_collections.expanso.edge.plugins.plugin_utils._rotation import Entry, PlanError, is_true, parse, predicted, render
from ansible_collections.expanso.edge.plugins.plugin_utils._run import RUN_ID, job_id, user
from ansible_collections.expanso.edge.plugins.plugin_utils._summary import first_line, together

MOST_BYTES = 64 << 20
FAILURE = "expanso_edge_failure"

Json = dict[str, Any]


class ActionModule(ActionBase):
    """See the documentation of the module of this name."""

    BYPASS_HOST_LOOP = True  # one plan for all hosts
    _supports_check_mode = True
    _requires_connection = False
    _VALID_ARGS = frozenset(("path", "state", "hosts", "reregister", "only_check"))

    def run(self, tmp: Any = None, task_vars: Json | None = None) -> Json:
        result: Json = super().run(tmp, task_vars)
        variables, args = task_vars or {}, self._task.args
        path = os.path.abspath(os.path.expanduser(str(args.get("path") or "")))
        reregister = is_true(args.get("reregister"))
        try:
            if args.get("state", "read") == "read":
                result.update(_read(path, reregister))
            elif is_true(args.get("only_check")):
                result.update(_check(path))
            else:
                result.update(self._write(path, reregister, variables))
        except PlanError as exc:
            result.update(failed=True, msg=f"the plan {path} cannot be used: {exc}")
        except OSError as exc:
            doing = "read" if args.get("state", "read") == "read" else "written"
            hint = "; make a plan with --check first, or leave out expanso_edge_plan_file" if isinstance(exc, FileNotFoundError) and doing == "read" else ""
            result.update(failed=True, msg=f"the plan {path} cannot be {doing}: {exc.strerror or type(exc).__name__}{hint}")
        return result

    def _write(self, path: str, reregister: bool, variables: Mapping[str, Any]) -> Json:
        hosts = list(self._task.args.get("hosts") or [])
        job = Job(variables, self._templar)  # not an option: it may hold tokens
        known = together(hosts, variables["hostvars"], {host: job.variables(host) for host in hosts})
        failed = {host: first_line(known[host][FAILURE]) for host in hosts if known[host].get(FAILURE) is not None}
        entries = [entry for host in hosts if host not in failed for entry in predicted(host, known[host])]
        failed.update((host, "no result: unreachable, or skipped by tags") for host in hosts if host not in failed and not _planned(host, entries))
        run = {"run_id": RUN_ID, "job_id": job_id(variables), "user": user(variables)}
        _replace(path, render(entries, failed, run, reregister, VERSION, time.time()))
        doing = sum(entry.action != "keep" for entry in entries)
        counts = f"{doing} tokens to replace, {len(entries) - doing} to keep, {len(failed)} unknown"
        return {"changed": False, "path": path, "msg": f"plan written to {path}: {counts}"}


def _planned(host: str, entries: list[Entry]) -> bool:
    return any(entry.node == host for entry in entries)


def _read(path: str, reregister: bool) -> Json:
    with open(path, "rb") as handle:
        data = handle.read(MOST_BYTES)
    plan = parse(data.decode("utf-8", "replace"), reregister, time.time())
    return {"changed": False, "path": path, "planned": plan.nodes, "msg": f"plan of {plan.generated_at} (run {plan.run_id})"}


def _check(path: str) -> Json:
    """Make sure that a plan can be written, before nodes are asked for it."""
    if os.path.isdir(path):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path))
    os.close(descriptor)
    os.unlink(temporary)
    return {"changed": False, "path": path, "msg": f"the plan {path} can be written"}


def _replace(path: str, text: str) -> None:
    """Write a file so that there is never a part of it, and that only its owner can read it."""
    directory = os.path.dirname(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=directory)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
