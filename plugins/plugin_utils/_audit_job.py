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
from ansible_collections.expanso.edge.plugins.plugin_utils import _files as files
from ansible_collections.expanso.edge.plugins.plugin_utils import _run
from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import DELIVERY_VARIABLE, named
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import shown_path
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import compare, merge, reconcile, registry, scope, waivers
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.formats import FORMATS
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Finding, Json, Node
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.report import Given
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.settings import NAME, Settings
from ansible_collections.expanso.edge.plugins.plugin_utils._job import BECOME_VARIABLE, Job, become_problem, by_problem, delivery_problem, some_of
from ansible_collections.expanso.edge.plugins.plugin_utils._recorded_action import TRAIL_VARIABLE
from ansible_collections.expanso.edge.plugins.plugin_utils._rendering import reader
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import VAULT_HEADER, SourceError, decrypter
from ansible_collections.expanso.edge.plugins.plugin_utils._trail import TrailError, look

FAILURE = "expanso_edge_audit_failure"
"""Set by the playbook on a host whose audit failed: ``message``, and ``reached``."""

REGISTRY_VARIABLE = "expanso_edge_audit_registry"
WAIVERS_VARIABLE = "expanso_edge_audit_waivers"
RESULT_VARIABLE = "expanso_edge_result"

_GROUPS = ("all", "ungrouped")
_MOST_LINES = 20  # of a trail that get a finding of their own
_MOST_KEYS = 1000  # of an entry of registry or waivers, which has ten


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
        problem = delivery_problem(known) or become_problem({BECOME_VARIABLE: job.value(name, raw, BECOME_VARIABLE)})
        if problem:
            problems.append((name, problem))
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
        raise DataError("; ".join(by_problem(problems)))
    return found


def placed(settings: Settings, variables: Mapping[str, Any]) -> tuple[Settings, str | None]:
    """Return the settings, those of a slice in a slice, and the name of the set of slices that it belongs to.

    :raises DataError: the set has no name
    """
    if settings.merge or not _run.sliced(variables):
        return settings, None
    set_name = settings.slices_of or _run.slices_of(variables)
    if set_name is None or not NAME.fullmatch(set_name):
        raise DataError("a slice outside of AWX needs expanso_edge_slices_of: a name that is the same in all slices, and another in the next run")
    job = _run.job_id(variables)
    return settings.of_slice(set_name, job if job is not None and NAME.fullmatch(job) else _run.RUN_ID), set_name


def slices(settings: Settings, given: Given, names: list[str], variables: Mapping[str, Any], templar: Any) -> tuple[list[Node], Given]:
    """Return the nodes that slices reported on, with those that none reported on, and what was given, with what is known of the reports.

    :param names: the hosts that were to be asked
    :raises DataError: there is no report, it is not clear which ones are meant, or the slices were given more data
    """
    folder = os.path.join(settings.of_slices, _set_of_slices(settings, variables))
    parts, broken = [], {}
    for job in sorted(_listed_in(folder), key=lambda job: (len(job), job)):
        path = os.path.join(folder, job, FORMATS["json"].file)
        try:
            parts.append(merge.read(_read_slice(path), job, path))
        except OSError as exc:
            broken[path] = f"{path}: {exc.strerror}"
        except DataError as exc:
            broken[path] = str(exc)
    if not parts:
        raise DataError("; ".join([f"there is no report of a slice in {folder}: audit in slices first", *broken.values()]))
    for missing, option in ((given.registry is None, REGISTRY_VARIABLE), (settings.trail_file is None, TRAIL_VARIABLE)):
        if missing and any(part.registry if option == REGISTRY_VARIABLE else part.trail for part in parts):
            raise DataError(f"the slices ran with {option}, and this run does not: set the same value")
    nodes, findings = merge.together(parts, names, broken, settings.slices)
    known = {node.name for node in nodes}
    others = scope.nodes(hosts([name for name in names if name not in known], variables, templar))
    nodes += [node._replace(status="unreachable", message=merge.NO_SLICE) for node in others]
    return nodes, given._replace(others=(*given.others, *findings), slices=[part.shown for part in parts])


def _set_of_slices(settings: Settings, variables: Mapping[str, Any]) -> str:
    """Return the name of the set of slices: as it is given, as the slices published it, or the only one."""
    published = variables.get(RESULT_VARIABLE)
    said = settings.slices_of or (published.get("slices_of") if isinstance(published, Mapping) else None)
    if isinstance(said, (str, int)) and NAME.fullmatch(str(said)):
        return str(said)
    there = sorted(_listed_in(settings.of_slices))
    if len(there) > 1:
        raise DataError(f"there are several sets of slices in {settings.of_slices} ({some_of(there)}): name one with expanso_edge_slices_of")
    return there[0] if there else ""


def _listed_in(folder: str) -> list[str]:
    """Return the names of what slices made in a directory: a file system may have its own there, such as .snapshot."""
    try:
        return [name for name in os.listdir(folder) if NAME.fullmatch(name)]
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise DataError(f"{folder} cannot be read on the controller: {exc.strerror}") from None


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
    read = decrypter(loader) or files.content
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


class _Loader(yaml.SafeLoader):
    """Refuses a dictionary of very many keys, which a few lines that merge dictionaries into one another can make."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST_KEYS:
            raise yaml.constructor.ConstructorError(None, None, "too many keys", node.start_mark)


def _listed(value: Any, name: str, read: Callable[[str], bytes]) -> Any:
    """Return a list of entries: the value itself, or what is in the file that it names."""
    if value in (None, ""):
        return None
    if not isinstance(value, str):
        return value
    path = os.path.abspath(os.path.expanduser(value))
    content = _content(path, name, read)
    try:
        found = yaml.load(content.decode("utf-8-sig"), _Loader)  # noqa: S506  a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise DataError(f"{name}: {shown_path(path)} is neither YAML nor JSON{where}: correct the file") from None
    return [] if found is None else found


def _content(path: str, name: str, read: Callable[[str], bytes]) -> bytes:
    try:
        data = files.content(path)
        return read(path) if data.startswith(VAULT_HEADER) else data
    except OSError as exc:
        raise DataError(f"{name}: {shown_path(path)} cannot be read on the controller: {exc.strerror}") from None
    except AnsibleError:
        raise DataError(f"{name}: {shown_path(path)} cannot be decrypted: give its vault password") from None


def _read_slice(path: str) -> bytes:
    """Return the report of a slice. Who can write there may have put something else in its place, which no job may wait for or follow."""
    if os.path.islink(path) or os.path.islink(os.path.dirname(path)):
        raise DataError(f"{path} is reached by a link, which no audit makes: remove the link")
    return files.content(path)


def _earlier(settings: Settings) -> tuple[compare.Earlier | None, list[Finding]]:
    """Return the earlier report: the one that is named, else the one that is in the directory."""
    if settings.previous:
        return compare.read(_content(settings.previous, "previous", files.content), shown_path(settings.previous)), []
    path = settings.path("json")
    try:
        return compare.read(files.content(path), path), []
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
        else (f"{path}:{each.line}", f"line {each.line} of the audit trail {path}: {each.what}")
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
