# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""A registration in the task that brings the token. Pure: options and results go in.

A task of its own would cost a process of the controller for each node, also where there is nothing to register.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

Json = dict[str, Any]

_SHARED = ("data_dir", "registration_markers", "format", "credential_name", "record", "token_label", "run_id", "job_id")
"""Options with the same meaning for both modules."""

_SHOWN_ABOVE = ("warnings", "deprecations", "invocation")
"""Parts of a result that Ansible looks for at its top only, or that repeat what was given."""


def refusal(args: Mapping[str, Any], in_background: bool) -> str:
    """Return why no registration can follow, before anything is done, or an empty text.

    :param args: options of :mod:`bootstrap_token`
    :param in_background: whether the task runs with ``async``
    """
    registration = args.get("registration")
    if registration and not isinstance(registration, Mapping):  # the module would read a dictionary out of a text
        return "option registration is not a dictionary: give it suboptions, such as binary"
    if registration and in_background:
        return "registration has to wait for the token, so it is impossible with async: use a task of edge_registration for it"
    return ""


def options(args: Mapping[str, Any], delivered: Mapping[str, Any]) -> Json | None:
    """Return the options of :mod:`edge_registration`, None where the node is not to be registered.

    :param args: options of :mod:`bootstrap_token`
    :param delivered: what it returned for them
    """
    registration = args.get("registration")
    if not registration or delivered.get("failed") or not boolean(registration.get("enabled", True)) or args.get("state") not in (None, "present"):
        return None
    anew = delivered.get("reregister") is True  # a node may answer anything
    if delivered.get("registered") and not anew:
        return None
    given = {name: value for name, value in registration.items() if name != "enabled" and value not in (None, "")}
    shared = {name: args[name] for name in _SHARED if args.get(name) is not None}
    remove = args.get("remove_when_registered") or False
    return {**shared, **given, "token_file": args["path"], "remove_token_file": remove, "reregister": anew}


def combined(delivered: Json, registered: Json) -> Json:
    """Return the result of the task: what became of the token, with the registration as ``registration``."""
    result = {**delivered, "registration": {name: value for name, value in registered.items() if name not in _SHOWN_ABOVE}}
    for name in ("warnings", "deprecations"):
        both = [each[name] for each in (delivered, registered) if isinstance(each.get(name), list)]
        if both:
            result[name] = [text for each in both for text in each]
    for name in ("failed", "registered", "record", "fault"):
        if name in registered:
            result[name] = registered[name]
    result["changed"] = bool(delivered.get("changed") or registered.get("changed"))
    result["msg"] = registered.get("msg") if registered.get("failed") else f"{delivered.get('msg')}; {registered.get('msg')}"
    return result
