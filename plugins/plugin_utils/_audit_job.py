# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What the action ``audit_report`` takes from Ansible: the hosts with their results, and the data on the controller."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible_collections.expanso.edge.plugins.module_utils._version import VERSION
from ansible_collections.expanso.edge.plugins.plugin_utils import _run
from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import DELIVERY_VARIABLE, named
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import shown_path
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import compare, reconcile, registry, scope, waivers
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Finding, Json
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.report import Given
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.settings import Settings
from ansible_collections.expanso.edge.plugins.plugin_utils._job import Job, delivery_problem
from ansible_collections.expanso.edge.plugins.plugin_utils._rendering import reader
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import SourceError, decrypter
from ansible_collections.expanso.edge.plugins.plugin_utils._trail import TrailError, look

FAILURE = "expanso_edge_audit_failure"
"""Set by the playbook on a host whose audit failed: ``message``, and ``reached``."""

REGISTRY_VARIABLE = "expanso_edge_audit_registry"
WAIVERS_VARIABLE = "expanso_edge_audit_waivers"

_GROUPS = ("all", "ungrouped")
_MOST_LINES = 20  # of a trail that get a finding of their own


def hosts(names: list[str], variables: Mapping[str, Any], templar: Any) -> list[scope.Host]:
    """Return the hosts with what they answered.

    :raises DataError: a host names an unknown delivery
    """
    job = Job(variables, templar)
    problems = []
    found = []
    for name in names:
        raw = variables["hostvars"].raw_get(name)
        known = {DELIVERY_VARIABLE: value} if (value := job.value(name, raw, DELIVERY_VARIABLE)) is not None else {}
        problem = delivery_problem(known, name)
        if problem:
            problems.append(problem)
            continue
        failure = raw.get(FAILURE)
        found.append(
            scope.Host(
                name=name,
                groups=[group for group in raw.get("group_names", []) if group not in _GROUPS],
                deliveries=[str(each) for each in named(known)],
                results={role: raw[f"{role}_audit"] for role in named(known) if isinstance(raw.get(f"{role}_audit"), Mapping)},
                failure=str(failure.get("message") or "see above") if isinstance(failure, Mapping) else None,
                reached=not isinstance(failure, Mapping) or failure.get("reached") is not False,
            )
        )
    if problems:
        raise DataError("; ".join(problems))
    return found


def run(variables: Mapping[str, Any]) -> Json:
    """Return which run this is, as the report shows it."""
    version = variables.get("ansible_version")
    return {
        "run_id": _run.RUN_ID,
        "job_id": _run.job_id(variables),
        "user": _run.user(variables),
        "collection_version": VERSION,
        "ansible_version": str(version.get("full", "")) if isinstance(version, Mapping) else "",
        "inventory_sources": [str(each) for each in variables.get("ansible_inventory_sources") or []],
    }


def given(settings: Settings, args: Mapping[str, Any], variables: Mapping[str, Any], templar: Any, loader: Any) -> Given:
    """Return what a person gave besides the inventory.

    :raises DataError: something of it cannot be used
    """
    read = decrypter(loader) or _read_plain
    kept: dict[str, Any] = {}
    for name, variable in (("registry", REGISTRY_VARIABLE), ("waivers", WAIVERS_VARIABLE)):
        value = args.get(name)
        if value in (None, ""):
            value = _variable(variable, variables, templar)
        kept[name] = _listed(value, name, read)
    earlier, others = _earlier(settings)
    trail: Json | None = None
    runs: Mapping[str, set[str]] = {}
    if settings.trail_file and not settings.only_check:
        trail, runs, broken = _trail(settings.trail_file, earlier)
        others += broken
    return Given(
        registry=None if kept["registry"] is None else registry.parse(kept["registry"]),
        waivers=waivers.parse(kept["waivers"]),
        enrolled=reconcile.parse(_content(settings.nodes, "nodes", read), f"nodes ({shown_path(settings.nodes)})") if settings.nodes else None,
        earlier=earlier,
        trail=trail,
        others=tuple(others),
        trail_runs=runs,
    )


def _variable(name: str, variables: Mapping[str, Any], templar: Any) -> Any:
    """Return a variable's value. In an option it would be a text up to ansible-core 2.18 if it contains a date."""
    try:
        return reader(templar, variables)(name)
    except SourceError as exc:
        raise DataError(str(exc)) from None


def _listed(value: Any, name: str, read: Callable[[str], bytes]) -> Any:
    """Return a list of entries: the value itself, or what is in the file that it names."""
    if value in (None, ""):
        return None
    if not isinstance(value, str):
        return value
    path = os.path.abspath(os.path.expanduser(value))
    content = _content(path, name, read)
    try:
        found = yaml.safe_load(content.decode("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise DataError(f"{name}: {shown_path(path)} is neither YAML nor JSON{where}: correct the file") from None
    return [] if found is None else found


def _content(path: str, name: str, read: Callable[[str], bytes]) -> bytes:
    try:
        return read(path) if _is_vault(path) else _read_plain(path)
    except OSError as exc:
        raise DataError(f"{name}: {shown_path(path)} cannot be read on the controller: {exc.strerror}") from None
    except AnsibleError:
        raise DataError(f"{name}: {shown_path(path)} cannot be decrypted: give its vault password") from None


def _read_plain(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _is_vault(path: str) -> bool:
    with open(path, "rb") as stream:
        return stream.read(15).startswith(b"$ANSIBLE_VAULT;")


def _earlier(settings: Settings) -> tuple[compare.Earlier | None, list[Finding]]:
    """Return the earlier report: the one that is named, else the one that is in the directory."""
    if settings.previous:
        return compare.read(_content(settings.previous, "previous", _read_plain), shown_path(settings.previous)), []
    path = settings.path("json")
    try:
        return compare.read(_read_plain(path), path), []
    except FileNotFoundError:
        return None, []
    except (OSError, DataError) as exc:
        reason = f"{path}: {exc.strerror}" if isinstance(exc, OSError) else exc  # the other names it itself
        message = f"the earlier report cannot be used, so this one is compared with nothing: {reason}"
        return None, [Finding("previous_unreadable", "info", None, path, None, message, "nothing to do: this report replaces it")]


def _trail(path: str, earlier: compare.Earlier | None) -> tuple[Json | None, Mapping[str, set[str]], list[Finding]]:
    """Return what the report keeps of the trail, which runs changed which nodes, and what is wrong with it. The earlier report knows what its last line was."""
    remedy = "find out who changed it; compare it with a copy, such as that of your backup or SIEM, and waive this finding when you know"
    known = earlier.trail if earlier and earlier.trail and earlier.trail["path"] == path else None
    try:
        found = look(path, known["hash"] if known else None)
    except TrailError as exc:
        return None, {}, [Finding("trail_broken", "error", None, path, None, str(exc), "name the right file, or restore it from a backup")]
    shown = [
        (path, f"the audit trail {path}: {each.what}")
        if each.line is None
        else (f"{path}, line {each.line}", f"line {each.line} of the audit trail {path}: {each.what}")
        for each in found.problems[:_MOST_LINES]
    ]
    if len(found.problems) > _MOST_LINES:
        shown.append((path, f"{len(found.problems) - _MOST_LINES} more lines of the audit trail {path} are not as they were written"))
    # what is wrong today is still wrong tomorrow: a trail that was shortened is compared with the whole one until the finding is waived
    last = known["hash"] if known and found.problems else found.hash
    return (
        {"path": path, "lines": found.lines, "hash": last},
        found.runs,
        [Finding("trail_broken", "error", None, place, None, message, remedy) for place, message in shown],
    )
