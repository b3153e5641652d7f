# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The plan of a rotation: which node gives up which token for which. Pure: variables and texts go in and out."""

from __future__ import annotations

import datetime
import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.expanso.edge.plugins.module_utils._guard import NOTHING
from ansible_collections.expanso.edge.plugins.module_utils._record import seconds_of
from ansible_collections.expanso.edge.plugins.module_utils._token import fingerprint
from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import DELIVERIES, Delivery, results
from ansible_collections.expanso.edge.plugins.plugin_utils._job import by_problem

SCHEMA_VERSION = 1
KIND = "expanso.edge rotation plan"
MOST_DAYS = 7
"""Age at which a plan is too old."""

FLAG = "expanso_edge_rotating"
"""Variable that the playbook ``expanso.edge.rotate`` sets: a token that is still usable is to be replaced."""

ENTRY = "expanso_edge_planned"
"""Variable that this playbook gives to a role: what is planned for the node."""

REREGISTER = "expanso_edge_reregister"

ACTIONS = ("rotate", "reregister", "keep")
DOING = ("rotate", "reregister")

HELD_DIFFERS, REGISTERED_SINCE = "held_differs", "registered_since"  # faults of the modules
TOKEN_DIFFERS, PLACE_DIFFERS = "token_differs", "place_differs"  # faults that are found on the controller
SINCE_THE_PLAN = (HELD_DIFFERS, REGISTERED_SINCE, TOKEN_DIFFERS, PLACE_DIFFERS)

_FINGERPRINT_LENGTH = 12
_FINGERPRINT = re.compile("[0-9a-f]{12}")
_TEMPLATE = re.compile(r"\{[{%#]")
_LONGEST = 4096
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_HOUR, _DAY = 3600, 86400

Json = dict[str, Any]


class PlanError(Exception):
    """Why a plan cannot be used, and what to do."""


class Entry(NamedTuple):
    """What is planned for one delivery on one node."""

    node: str
    delivery: str
    place: str
    action: str
    old: str | None  # fingerprints; None where nothing is held
    new: str | None  # None where the token is not known, because its source is asked on demand
    registered: bool
    note: str


class Plan(NamedTuple):
    """A plan that can be carried out."""

    generated_at: str
    run_id: str
    reregister: bool
    entries: list[Entry]

    @property
    def nodes(self) -> dict[str, dict[str, Json]]:
        """The entries by node and delivery, as variables."""
        found: dict[str, dict[str, Json]] = {}
        for each in self.entries:
            found.setdefault(each.node, {})[each.delivery] = each._asdict()
        return found


# From the results of check mode to a plan


def predicted(host: str, variables: Mapping[str, Any]) -> list[Entry]:
    """Return what check mode predicted for a host; nothing for a delivery that failed or did not run."""
    return [_predicted(host, name, result) for name, result in results(variables).items() if result.get("action") is not None]


def _predicted(host: str, delivery: str, result: Mapping[str, Any]) -> Entry:
    registered, old = bool(result.get("registered")), result.get("previous_fingerprint")
    if result.get("reregister"):
        action, note = "reregister", "registered, and registered anew with the new token"
    elif result.get("action") == "written":
        action, note = "rotate", "gets the new token" if old else "gets its first token"
    elif result.get("action") == "delegated":
        action, note = "keep", "done on another host (the manager of its swarm)"
    elif registered:
        action, note = "keep", "registered: needs no token"
    elif result.get("action") in ("kept", "repaired"):
        action, note = "keep", "keeps its token: the same one was given, or none"
    else:
        action, note = "keep", "needs no token"
    return Entry(host, delivery, place_of(result), action, old, result.get("fingerprint") if action in DOING else old, registered, note)


def place_of(result: Mapping[str, Any]) -> str:
    """Return where a result's token is, in words."""
    if result.get("path"):
        return str(result["path"])
    if result.get("namespace"):
        return f"Secret {result['namespace']}/{result.get('name')}"
    versions = [result.get("secret_name"), *(result.get("versions") or [])]
    return f"swarm secret {re.sub('_v[0-9]+$', '', str(next(filter(None, versions), '')))}".strip()


def render(entries: Iterable[Entry], failed: Mapping[str, str], run: Mapping[str, Any], reregister: bool, version: str, now: float) -> str:
    """Return the text of a plan.

    :param failed: why nothing is planned for a node, by node
    :param run: identifiers of the run that makes the plan
    :param now: seconds since the epoch
    """
    plan = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "generated_at": time.strftime(_TIME, time.gmtime(now)),
        "run": dict(run, collection_version=version),
        "reregister": reregister,
        "nodes": [each._asdict() for each in sorted(entries)],
        "failed": [{"node": node, "message": message} for node, message in sorted(failed.items())],
    }
    return json.dumps(plan, indent=2, sort_keys=True) + "\n"


# From a plan to what is done


def parse(text: str, reregister: bool, now: float) -> Plan:
    """Return a plan that can be carried out now.

    :param reregister: whether the run asks for re-registration
    :param now: seconds since the epoch
    :raises PlanError: it cannot be used
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise PlanError(f"it is damaged: it is not JSON; {_AGAIN}") from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise PlanError(f"it is not a plan of the playbook expanso.edge.rotate; {_AGAIN}")
    if data.get("schema_version") != SCHEMA_VERSION or isinstance(data["schema_version"], bool):
        raise PlanError(f"another release of this collection made it, with another layout; {_AGAIN}")
    _check_age(data.get("generated_at"), now)
    nodes, run = data.get("nodes"), data.get("run")
    if not isinstance(nodes, list) or not isinstance(run, dict) or not isinstance(data.get("reregister"), bool):
        raise PlanError(f"it is damaged: nodes, run or reregister are missing; {_AGAIN}")
    if data["reregister"] != reregister:
        made, now_is = ("with", "without") if data["reregister"] else ("without", "with")
        raise PlanError(f"it was made {made} {REREGISTER}=true, and this run is {now_is} it: set the same as when the plan was made, or make a new plan")
    entries = [_entry(each, number) for number, each in enumerate(nodes, 1)]
    if len({(each.node, each.delivery) for each in entries}) < len(entries):
        raise PlanError(f"it is damaged: it names one delivery of a node two times; {_AGAIN}")
    return Plan(data["generated_at"], str(run.get("run_id")), reregister, entries)


def texts_again(data: Any) -> Any:
    """Return a plan that was handed on as a variable, with its texts as they were published.

    AWX writes variables as YAML in which each text has the tag ``!unsafe``. From ansible-core 2.19 on, that makes a time or a number of a text that looks
    like one: of the time of the plan, of a fingerprint that has only digits, and of the name of a node.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("nodes"), list):
        return data
    nodes = [{name: _text_again(each, name in ("old", "new")) for name, each in row.items()} if isinstance(row, Mapping) else row for row in data["nodes"]]
    return {**data, "nodes": nodes, "generated_at": _text_again(data.get("generated_at"))}


def _text_again(value: Any, is_fingerprint: bool = False) -> Any:
    if isinstance(value, datetime.datetime):
        return value.strftime(_TIME)
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    text = str(value)
    # a number that is too short had a zero at its beginning, and was read as an octal one
    return f"{value:012o}" if is_fingerprint and len(text) < _FINGERPRINT_LENGTH else text


_AGAIN = "make a new one with --check"


def _check_age(generated_at: Any, now: float) -> None:
    try:
        made = seconds_of(generated_at)
    except (TypeError, ValueError):
        raise PlanError(f"it is damaged: generated_at is not a time; {_AGAIN}") from None
    if now - made > MOST_DAYS * _DAY:
        raise PlanError(f"it is of {generated_at}, more than {MOST_DAYS} days old; {_AGAIN}")
    if made - now > _HOUR:
        raise PlanError(f"it is of {generated_at}, which is in the future: is this controller's clock right?")


def _entry(data: Any, number: int) -> Entry:
    if not isinstance(data, dict) or set(data) != set(Entry._fields):
        raise PlanError(f"it is damaged: entry {number} of nodes has other fields than a plan has; {_AGAIN}")
    entry = Entry(**data)
    sound = (
        all(isinstance(each, str) and 0 < len(each) <= _LONGEST for each in (entry.node, entry.delivery, entry.place, entry.note))
        and entry.delivery in DELIVERIES
        and entry.action in ACTIONS
        and all(each is None or isinstance(each, str) and _FINGERPRINT.fullmatch(each) for each in (entry.old, entry.new))
        and isinstance(entry.registered, bool)
        and not is_template(entry)
    )
    if not sound:
        raise PlanError(f"it is damaged: entry {number} of nodes cannot be what a plan says; {_AGAIN}")
    return entry


def is_template(entry: Entry) -> bool:
    """Return whether a text of an entry would be evaluated if it were a variable. A node may have named such a place."""
    return any(isinstance(each, str) and _TEMPLATE.search(each) for each in entry)


def expected(planned: Any) -> dict[str, str]:
    """Return the options by which a module makes sure that its place is as planned; none without a plan."""
    return {"replaces": planned.get("old") or NOTHING} if isinstance(planned, Mapping) and planned else {}


def mismatch(planned: Any, args: Mapping[str, Any], token: str | None) -> Json | None:
    """Return the failure of a task that is not what was planned, before the node is contacted.

    :param args: the task's options
    :param token: the one to be written, None where it is not known yet
    """
    if not isinstance(planned, Mapping) or not planned:
        return None
    path, place, new = args.get("path"), planned.get("place"), planned.get("new")
    if path is not None and path != place:
        msg = f"the plan is for {place}, and the token would be written to {path} now: nothing was changed; make a new plan"
        return {"failed": True, "fault": PLACE_DIFFERS, "msg": msg}
    if token and new and fingerprint(token) != new:
        msg = f"the plan is for token {new}, and token {fingerprint(token)} is given now: nothing was changed; give the planned token, or make a new plan"
        return {"failed": True, "fault": TOKEN_DIFFERS, "msg": msg}
    return None


# What is asked before and afterwards


def problems(hosts: Iterable[str], variables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return why a rotation cannot be what is asked for, one sentence for each problem, before any host is contacted."""
    found = []
    for host in hosts:
        own = variables[host]
        if not is_true(own.get(REREGISTER)):
            continue
        for name in results(own):
            delivery = DELIVERIES.get(name, Delivery())
            if not delivery.variable:
                found.append((host, f"the delivery {name} cannot register anew: remove {REREGISTER} there, or replace the agent's volume yourself"))
            elif leaves_registration(name, own):
                found.append((host, f"{REREGISTER} needs a role that registers the node, so set {_REGISTERS[name]} for the delivery {name}"))
    return by_problem(found)


_REGISTERS = {"token_file": "token_file_register=true", "systemd_service": "systemd_service_state=started"}


def leaves_registration(name: str, variables: Mapping[str, Any]) -> bool:
    """Return whether a delivery leaves the registration of its node to others."""
    delivery = DELIVERIES.get(name, Delivery())
    value = variables.get(delivery.variable)
    return delivery.leaves_registration(is_true(value) if name == "token_file" else value)


def is_true(value: Any) -> bool:
    """Return whether a variable is set, and true."""
    try:
        return value is not None and bool(boolean(value, strict=False))
    except TypeError:
        return False


def second_look(variables: Mapping[str, Any]) -> list[str]:
    """Return in what the audit of a node differs from what its roles reported, one sentence for each difference.

    A delivery that was not audited is left out: a swarm and a cluster are looked at by their roles, which wait for the agents.
    """
    found: list[str] = []
    for name, result in results(variables).items():
        audit = variables.get(f"{name}_audit")
        if result.get("action") is None or not audit:
            continue
        if audit.get("tokens") is None:
            found.append(f"{place_of(result)} could not be looked at again: {audit.get('msg') or 'no reason given'}")
        else:
            found += _differences(name, result, audit, leaves_registration(name, variables))
    return found


def _differences(name: str, result: Mapping[str, Any], audit: Mapping[str, Any], left_to_others: bool) -> list[str]:
    found, registered, wanted = [], is_registered(audit), result.get("fingerprint")
    entry = held_in(audit, result)
    held = entry.get("fingerprint")
    encrypted = entry.get("exists") and entry.get("format") in (None, "encrypted") and not held  # only its unit can read it
    if held != wanted and not encrypted and not (registered and not held):
        found.append(f"{place_of(result)} holds {f'token {held}' if held else 'no token'}, and not {f'token {wanted}' if wanted else 'none'} as reported")
    if not registered and not left_to_others:
        found.append("there is no registration marker, although this run registers the node")
    if name == "systemd_service" and registered and not left_to_others:
        units = (audit.get("node") or {}).get("units") or []
        found += [f"unit {unit.get('name')} is {unit.get('active_state') or 'in an unknown state'}" for unit in units if _should_run(unit)]
    return found


def _should_run(unit: Mapping[str, Any]) -> bool:
    """Whether a unit is the agent's own, and does not run. The one that registers ends when it has done so."""
    return not str(unit.get("name")).endswith("-bootstrap.service") and unit.get("active_state") not in ("active", "reloading", "activating")


def is_registered(audit: Mapping[str, Any]) -> bool:
    """Return whether an audit found a registered node."""
    node = audit.get("node") or {}
    return bool(node["registered"] if "registered" in node else any(each.get("registered") for each in audit.get("tokens") or []))


def held_in(audit: Mapping[str, Any], result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an audit found in the place of a result; nothing where it did not look there."""
    entries: list[Json] = audit.get("tokens") or []
    return next((each for each in entries if result.get("path") in (None, each.get("path"))), {})
