# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The findings about places where a token must not be, in words."""

import os
from typing import Dict, Iterable, List

from ansible_collections.expanso.edge.plugins.module_utils._audit.exposure import Place
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Finding

_NAMED = 10  # processes and files that a message names at most
_MOST_FINDINGS = 20  # of a kind
_NEW_TOKEN = "take a new token from the workspace's Keys page and revoke this one"


def report(found: Iterable[Place]) -> List[Finding]:
    """Return in words where a token is."""
    by_kind: Dict[str, List[str]] = {}
    for place in found:
        by_kind.setdefault(place.kind, []).append(place.name)
    findings = []
    if "arguments" in by_kind:
        message = f"the token is on the command line of {_list(by_kind['arguments'])}, where every local account can read it"
        remedy = "give the agent the token in its environment or in a file, and end what holds it; " + _NEW_TOKEN
        findings.append(Finding("token_in_arguments", "error", message, remedy))
    if "environment" in by_kind:
        message = f"the token is in the environment of {_list(by_kind['environment'])}, which passes it on to every program that it starts"
        remedy = "give it to nothing but 'expanso-edge bootstrap', for the time that this takes; end or restart what holds it"
        findings.append(Finding("token_in_environment", "warning", message, remedy))
    for name in _bounded(by_kind.get("unit", [])):
        message = f"the token is in {name}; every local account can read units by way of systemd"
        remedy = "use EnvironmentFile= or LoadCredential= and reload systemd; " + _NEW_TOKEN
        findings.append(Finding("token_in_unit", "error", message, remedy))
    for name in _bounded(by_kind.get("pipeline", [])):
        message = f"the token is also a pipeline secret, in {name}: pipelines, and whoever writes them, can enrol nodes with it"
        findings.append(Finding("pipeline_secret", "error", message, "give pipelines a secret of their own; " + _NEW_TOKEN))
    for name in _bounded(by_kind.get("exposed_copy", [])):
        message = f"{name} holds the token too, and others can read it"
        findings.append(Finding("copy_readable", "error", message, "remove it, or the token from it; " + _NEW_TOKEN))
    for name in _bounded(by_kind.get("copy", [])):
        findings.append(Finding("copy", "warning", f"{name} holds the token too", "remove it, or the token from it"))
    return findings


def report_backups(found: Iterable[Place], path: str) -> List[Finding]:
    """Return in words what looks like a backup, whatever it holds."""
    findings = []
    places = sorted(found, key=lambda place: place.kind != "exposed_copy")
    shown = places[:_MOST_FINDINGS] if len(places) > _MOST_FINDINGS + 1 else places
    for place in shown:
        message = f"{place.name} looks like a backup of {path}, maybe with a former token"
        finding = Finding("copy", "warning", message, "check it, and remove it")
        if place.kind == "exposed_copy":
            finding = finding._replace(code="copy_readable", severity="error", message=message + ", and others can read it")
        findings.append(finding)
    if len(places) > len(shown):
        message = f"{len(places) - len(shown)} more files look like backups of {path}, and are not named here"
        open_ones = places[len(shown)].kind == "exposed_copy"  # they come first
        code, severity = ("copy_readable", "error") if open_ones else ("copy", "warning")
        findings.append(Finding(code, severity, message, "check them, and remove them"))
    return findings


def _bounded(names: List[str]) -> List[str]:
    """Return the names that get a finding of their own, and as the last one how many others there are."""
    if len(names) <= _MOST_FINDINGS + 1:
        return names
    return names[:_MOST_FINDINGS] + [f"{len(names) - _MOST_FINDINGS} more files, which are not named here,"]


def report_unread(unread: Iterable[Place]) -> List[Finding]:
    """Return in words what could not be looked into."""
    places = list(unread)
    processes_unread = {place.name for place in places if place.kind in ("arguments", "environment")}
    files_unread = sorted({place.name for place in places if place.kind in ("unit", "copy", "exposed_copy")})
    remedy = "look at them by hand" if os.geteuid() == 0 else "run it as root (become: true)"
    findings = []
    if processes_unread or files_unread:
        message = f"could not look everywhere for the token (processes: {len(processes_unread)}, files: {len(files_unread)})"
        if files_unread:
            message += f", not to the end of {_some(files_unread)}"
        findings.append(Finding("exposure_incomplete", "info", message, remedy))
    for name in sorted({place.name for place in places if place.kind == "rest"}):
        message = f"the token was not looked for in {name}"
        findings.append(Finding("exposure_incomplete", "info", message, "keep the token in a directory of its own, or look there by hand"))
    for name in sorted({place.name for place in places if place.kind == "pipeline"}):
        message = f"the file of pipeline secrets {name} could not be read to its end, so it is unknown whether the token is in it"
        remedy = "check its name and its kind" + ("" if os.geteuid() == 0 else ", and run this as root (become: true)")
        findings.append(Finding("pipeline_unknown", "info", message, remedy))
    return findings


def _list(names: List[str]) -> str:
    return f"{'process' if len(names) == 1 else 'processes'} {_some(names)}"


def _some(names: List[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
