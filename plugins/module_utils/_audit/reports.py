# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The findings about places where a token must not be, in words."""

import os
from typing import Dict, Iterable, List, NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils._audit.exposure import Place
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Finding

_NAMED = 10  # processes and files that a message names at most
_MOST_FINDINGS = 20  # of a kind
_NEW_TOKEN = "take a new token from the workspace's Keys page and revoke this one"


class _Words(NamedTuple):
    """What a finding says. ``{name}`` stands for where the token is, ``{token}`` for which one it is, ``{too}`` where it belongs to a file, too."""

    code: str
    severity: Optional[str]  # None: an error where others can read it, a warning elsewhere
    message: str
    remedy: str


_READABLE = ", and others can read it"
_IN_FILE = "remove the line, and give the token to the agent in a file of its own, with expanso.edge.bootstrap_token"

WORDING = {
    "unit": _Words(
        "token_in_unit",
        "error",
        "{token} is in {name}; every local account can read units by way of systemd",
        "use EnvironmentFile= or LoadCredential= and reload systemd; " + _NEW_TOKEN,
    ),
    "pipeline": _Words(
        "pipeline_secret",
        "error",
        "{token} is also a pipeline secret, in {name}: pipelines, and whoever writes them, can enrol nodes with it",
        "give pipelines a secret of their own; " + _NEW_TOKEN,
    ),
    "exposed_copy": _Words("copy_readable", "error", "{name} holds {token}{too}, and others can read it", "remove it, or the token from it; " + _NEW_TOKEN),
    "copy": _Words("copy", "warning", "{name} holds {token}{too}", "remove it, or the token from it"),
    "history": _Words(
        "token_in_history",
        None,
        "{token} is in the history {name}, from a command that it was typed into",
        "remove the line with an editor, and run 'history -c' in shells of that account that are open, which would write it again",
    ),
    "profile": _Words(
        "token_in_profile", None, "{token} is in {name}, which gives it to every program of a session", _IN_FILE + "; sessions that are open keep it"
    ),
    "defaults": _Words("token_in_defaults", None, "{token} is in {name}, among the settings of services", _IN_FILE),
    "cron": _Words("token_in_cron", None, "{token} is in {name}, which puts it into the environment or onto the command line of a job", _IN_FILE),
    "ansible": _Words(
        "token_in_ansible_files",
        None,
        "{token} is in {name}, which a run of Ansible left behind",
        "remove it; files stay where a run was killed, or ANSIBLE_KEEP_REMOTE_FILES was set, and with pipelining there are none",
    ),
    "cloud_init": _Words(
        "token_in_cloud_init",
        None,
        "{token} is in {name}, from the data that this machine was created with",
        "take it out of the template of the machine, where it also stays readable by way of the provider's metadata service, and remove the file",
    ),
    "container": _Words(
        "token_in_container",
        None,
        "{token} is in {name}, the settings of a container: whoever may inspect the container sees it",
        "remove the container, and give the agent the token as a secret or in a file",
    ),
    "temporary": _Words("token_in_temporary_file", None, "{token} is in the temporary file {name}", "remove it"),
    "log": _Words(
        "token_in_log",
        None,
        "{token} is in the log {name}",
        "find the program that logs it, then remove the line or the file, its rotated copies and what was forwarded to another machine",
    ),
    "journal": _Words(
        "token_in_journal",
        "error",
        "{token} is in {name}, which others than root may read, such as the groups adm and systemd-journal",
        "find the program that logs it, then run 'journalctl --rotate' and 'journalctl --vacuum-time=1s', which drops all entries",
    ),
}
"""Of files, by the kind of place."""

_BY_PROCESS = {
    "arguments": _Words(
        "token_in_arguments",
        "error",
        "{token} is on the command line of {name}, where every local account can read it",
        "give the agent the token in its environment or in a file, and end what holds it; " + _NEW_TOKEN,
    ),
    "environment": _Words(
        "token_in_environment",
        "warning",
        "{token} is in the environment of {name}, which passes it on to every program that it starts",
        "give it to nothing but 'expanso-edge bootstrap', for the time that this takes; end or restart what holds it",
    ),
}


_KNOWN = "the token"


def report(found: Iterable[Place], fingerprint: Optional[str] = None, token: str = _KNOWN) -> List[Finding]:
    """Return in words where a token is.

    :param token: which one, as it stands in a sentence
    """
    by_kind: Dict[str, List[Place]] = {}
    for place in found:
        by_kind.setdefault(place.kind, []).append(place)
    findings = []
    for kind, words in _BY_PROCESS.items():
        if kind in by_kind:
            message = words.message.format(name=_list([place.name for place in by_kind[kind]]), token=token)
            # not the numbers of processes, which are others tomorrow
            findings.append(Finding(words.code, words.severity or "error", message, words.remedy, kind, fingerprint))
    for kind, words in WORDING.items():
        places = sorted(by_kind.get(kind, []), key=lambda place: (not place.exposed, place.name))
        shown = places[:_MOST_FINDINGS] if len(places) > _MOST_FINDINGS + 1 else places
        findings += [_in_file(words, place, token, fingerprint) for place in shown]
        if len(places) > len(shown):
            name = f"{len(places) - len(shown)} more files, which are not named here,"
            findings.append(_in_file(words, places[len(shown)]._replace(name=name), token, fingerprint)._replace(place=None))
    return findings


def _in_file(words: _Words, place: Place, token: str, fingerprint: Optional[str]) -> Finding:
    message, remedy = words.message.format(name=place.name, token=token, too=" too" if token == _KNOWN else ""), words.remedy
    if words.severity is None and place.exposed:
        message += _READABLE
    if place.exposed and _NEW_TOKEN not in remedy:
        remedy += "; " + _NEW_TOKEN
    severity = words.severity or ("error" if place.exposed else "warning")
    return Finding(words.code, severity, message, remedy, place.name, fingerprint)


def report_stranger(found: Iterable[Place], fingerprint: str, kind: str, asked: bool) -> List[Finding]:
    """Return in words where a token is that was recognized by its shape, or that is asked for by its fingerprint.

    :param kind: what it looks like
    """
    noun = {"bootstrap_key": "a bootstrap key", "jwt": "a bootstrap token (JWT)"}.get(kind, "a token")
    if not asked:
        return report(found, fingerprint, f"{noun} with the fingerprint {fingerprint}")
    return [each._replace(severity="error") for each in report(found, fingerprint, f"the token {fingerprint}, which is asked for,")]


def report_backups(found: Iterable[Place], path: str, held: Optional[Dict[str, str]] = None) -> List[Finding]:
    """Return in words what looks like a backup, whatever it holds.

    :param held: fingerprints of the tokens in them, as far as they are known, by the name of the file
    """
    findings = []
    places = sorted(found, key=lambda place: place.kind != "exposed_copy")
    shown = places[:_MOST_FINDINGS] if len(places) > _MOST_FINDINGS + 1 else places
    for place in shown:
        message = f"{place.name} looks like a backup of {path}, maybe with a former token"
        finding = Finding("copy", "warning", message, "check it, and remove it", place.name, (held or {}).get(place.name))
        if place.kind == "exposed_copy":
            finding = finding._replace(code="copy_readable", severity="error", message=message + ", and others can read it")
        findings.append(finding)
    if len(places) > len(shown):
        message = f"{len(places) - len(shown)} more files look like backups of {path}, and are not named here"
        open_ones = places[len(shown)].kind == "exposed_copy"  # they come first
        code, severity = ("copy_readable", "error") if open_ones else ("copy", "warning")
        findings.append(Finding(code, severity, message, "check them, and remove them"))
    return findings


def report_unread(unread: Iterable[Place]) -> List[Finding]:
    """Return in words what could not be looked into."""
    places = list(unread)
    processes_unread = {place.name for place in places if place.kind in ("arguments", "environment")}
    files_unread = sorted({place.name for place in places if place.kind in WORDING and place.kind != "pipeline"})
    remedy = "look at them by hand" if os.geteuid() == 0 else "run it as root (become: true)"
    findings = []
    if processes_unread or files_unread:
        message = f"could not look everywhere for the token (processes: {len(processes_unread)}, files: {len(files_unread)})"
        if files_unread:
            message += f", not to the end of {_some(files_unread)}"
        findings.append(Finding("exposure_incomplete", "info", message, remedy))
    remote = sorted({place.name for place in places if place.kind == "remote"})
    if remote:
        message = f"the token was not looked for on file systems that may be on other machines: {_some(remote)}"
        findings.append(Finding("exposure_incomplete", "info", message, "look there by hand, or on the machine that they are on"))
    for name in sorted({place.name for place in places if place.kind == "rest"}):
        message = f"the token was not looked for in {name}"
        findings.append(Finding("exposure_incomplete", "info", message, "keep the token in a directory of its own, or look there by hand", name))
    for name in sorted({place.name for place in places if place.kind == "pipeline"}):
        message = f"the file of pipeline secrets {name} could not be read to its end, so it is unknown whether the token is in it"
        remedy = "check its name and its kind" + ("" if os.geteuid() == 0 else ", and run this as root (become: true)")
        findings.append(Finding("pipeline_unknown", "info", message, remedy, name))
    return findings


def _list(names: List[str]) -> str:
    return f"{'process' if len(names) == 1 else 'processes'} {_some(names)}"


def _some(names: List[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
