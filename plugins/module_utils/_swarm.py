# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What to do with the versions of a swarm secret, and what the tasks of the service that uses it show.

Pure: what the engine's API returned goes in, decisions come out. Nothing here talks to an engine.
"""

import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._cluster import refuse_token, texts
from ansible_collections.expanso.edge.plugins.module_utils._decision import SWARM, Held, Request, decide
from ansible_collections.expanso.edge.plugins.module_utils._errors import SwarmError
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_LABEL, Entry, RecordError, new_entry, parse_entry, utc
from ansible_collections.expanso.edge.plugins.module_utils._removal import reason_to_keep
from ansible_collections.expanso.edge.plugins.module_utils._token import Token

FINGERPRINT_LABEL = "io.expanso.edge.fingerprint"
"""On secrets of ours: which token a version holds. The engine never gives the token back."""

MANAGED_LABEL = "io.expanso.edge.managed-by"
MANAGED_BY = "expanso.edge.swarm_secret"
"""On services of ours: their health check finds a registration marker, so a task that runs is registered."""

NAME_LENGTH = 64
_NAME = re.compile(r"[a-zA-Z0-9]+(?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?")
SERVICE_NAME_LENGTH = 63
_SERVICE_NAME = re.compile(r"[a-zA-Z0-9](?:[-_]*[a-zA-Z0-9]+)*")
_CONSTRAINT = re.compile(r"\s*[A-Za-z_][A-Za-z0-9_.-]+\s*[=!]=\s*[A-Za-z0-9:_\s.*()?+\[\]\\^$|/-]+")
_IMAGE = re.compile(r"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9._/-]+(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[A-Za-z0-9_+.-]+:[0-9a-fA-F]{32,})?")
_LONGEST_NUMBER = 6
_ERRORS_SHOWN = 3

NOT_SETTLED = ("updating", "rollback_started")
ROLLED_BACK = ("rollback_completed", "rollback_paused")

EXIT_CODES = {
    69: "expanso-edge bootstrap succeeded, but left no registration marker: is the data directory the one that the agent uses?",
    73: "the data directory is not writable for the image's user",
    77: "the image's user cannot read the secret: its uid, gid and mode do not fit",
    78: "the node is not registered and the service has no secret: provision a token",
}
"""Exit codes of the role's start script, see roles/swarm_secret/files/start.sh."""


class Version(NamedTuple):
    """One secret of the swarm. One that this collection did not create has no fingerprint."""

    name: str
    id: str
    number: int  # 0 where the name carries none
    fingerprint: Optional[str]
    users: Tuple[str, ...]  # names of the services that use it
    created: str = ""  # ISO 8601, UTC
    record: Optional[Entry] = None


class Plan(NamedTuple):
    """What to do so that the swarm holds the token; ``current`` is the name of the version that the service needs."""

    action: str
    msg: str
    current: Optional[str] = None
    create: Optional[Token] = None
    kind: Optional[str] = None  # of the token, None where it was not judged


class Retirement(NamedTuple):
    """Which versions to remove although a service may use them."""

    remove: List[Version]
    msg: str


class ServiceState(NamedTuple):
    """What a service's specification and tasks show."""

    ours: bool
    settled: bool  # all tasks that it should have run, with the specification that it has now
    registered: bool  # and all of them found a registration marker
    failed: Optional[str]  # why its last update failed
    report: str  # what it still waits for
    nodes: Tuple[str, ...]  # where its tasks are or were
    record: str = ""  # the label that holds the enrolment record, as it is

    @property
    def entry(self) -> Optional[Entry]:
        """The enrolment record, None where there is none that can be read."""
        return _read_entry(self.record)


# Secret


def check_name(name: str) -> None:
    """Check that a name leaves room for a version number and is accepted by the engine.

    :raises SwarmError: it is not possible
    """
    longest = NAME_LENGTH - len("_v") - _LONGEST_NUMBER
    if len(name) > longest or not _NAME.fullmatch(name):
        allowed = f"letters, digits and '-_.' inside, at most {longest} characters (versions get a number)"
        raise SwarmError(f"option name: {name[:70]!r} cannot name a secret: use {allowed}")


def find_versions(name: str, secrets: List[Dict[str, Any]], services: List[Dict[str, Any]], fingerprint: Optional[str] = None) -> List[Version]:
    """Return the secrets ``name`` and ``name_vNUMBER``, oldest first.

    :param secrets: answer of ``GET /secrets``
    :param services: answer of ``GET /services``
    :param fingerprint: of a token, whose secrets count as well, whatever their names are
    """
    users: Dict[str, List[str]] = {}
    for service in services:
        for reference in container_spec(service).get("Secrets") or []:
            users.setdefault(reference["SecretID"], []).append(service["Spec"]["Name"])
    versions = []
    for secret in secrets:
        found = re.fullmatch(re.escape(name) + r"(?:_v([0-9]{1,9}))?", secret["Spec"]["Name"])
        labels = secret["Spec"].get("Labels") or {}
        mark = labels.get(FINGERPRINT_LABEL) or None
        if found or (fingerprint and mark == fingerprint):
            number, used_by = int(found.group(1) or 0) if found else 0, tuple(sorted(users.get(secret["ID"], [])))
            created, entry = secret.get("CreatedAt") or "", _read_entry(labels.get(RECORD_LABEL))
            versions.append(Version(secret["Spec"]["Name"], secret["ID"], number, mark, used_by, created, entry))
    return sorted(versions, key=lambda version: (version.number, version.name))


def next_name(name: str, versions: List[Version]) -> str:
    return f"{name}_v{versions[-1].number + 1 if versions else 1}"


def check_foreign(versions: List[Version], adopt: bool) -> None:
    """Refuse secrets of this name that this collection did not create, unless they are to be adopted.

    :raises SwarmError: there are some
    """
    foreign = [version.name for version in versions if version.fingerprint is None]
    if foreign and not adopt:
        raise SwarmError(
            f"secret {', '.join(foreign)} already exists and was not created by this collection, so its content is unknown: "
            "remove it, choose another name, or set option adopt=true to replace it"
        )


def plan_present(
    name: str, versions: List[Version], request: Request, registered: bool = False, changing: bool = False, now: Optional[float] = None
) -> Plan:
    """Decide which version the service needs, and whether it has to be made.

    :param changing: whether the service is about to be changed. Then what is registered may not be what runs afterwards, on another volume for
        instance, so a token that there is stays until that is known
    :raises TokenFault: a token is needed, and there is none that can be used
    """
    newest = versions[-1] if versions else None
    held = Held(newest.fingerprint) if newest else None
    decision = decide(SWARM, request._replace(remove=request.remove and not changing), registered, held, now)
    kind = decision.token.kind if decision.token else None
    if decision.action == "written":
        new = next_name(name, versions)
        return Plan("written", f"token stored as {new}", new, decision.token, kind)
    if decision.action == "removed":
        return Plan("removed", f"all tasks of the service are registered: {_names(versions)} can be removed")
    if newest is None:
        return Plan("not_needed", f"all tasks of the service are registered: no token needed, none stored{decision.note}")
    if newest.fingerprint is None:
        return Plan("kept", f"all tasks of the service are registered: no token needed, and {newest.name} is left as it is{decision.note}")
    given = request.token and not decision.note
    msg = f"{newest.name} holds the token" if given else f"{newest.name} is kept{decision.note or ': no token was given'}"
    return Plan("kept", msg, newest.name, kind=kind)


def _read_entry(label: Any) -> Optional[Entry]:
    """Return the entry in a label, None where there is none that can be read. A damaged one is replaced by the next token's."""
    try:
        return parse_entry(label) if isinstance(label, str) else None
    except RecordError:
        return None


def entry_for(run: Dict[str, Any], known: Optional[Entry], version: Optional[Version], kind: Optional[str], now: float) -> Optional[Entry]:
    """Return the enrolment record of a service: what is known already, unless its newest version holds another token.

    :param run: the options that tell of the run, masked
    :param known: the entry that the service has
    :param version: the newest one; a version without an entry is from before there were any, and the engine knows since when it exists
    :param now: seconds since the epoch
    """
    if version is None or version.fingerprint is None:
        return known
    for entry in (known, version.record):
        if entry is not None and entry.fingerprint == version.fingerprint:
            return entry
    created = re.match("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", version.created)
    return new_entry(run, version.fingerprint, kind, "swarm", created.group() + "Z" if created else utc(now))


def plan_prune(versions: List[Version], keep: int) -> Tuple[List[Version], List[Version]]:
    """Return the versions to remove, and those that should be removed but are in use."""
    old = versions[: max(len(versions) - keep, 0)]
    return [version for version in old if not version.users], [version for version in old if version.users]


def plan_retire(params: Dict[str, Any], versions: List[Version], registered: bool) -> Retirement:
    """Decide which versions are not needed any more, or hold the one token that a removal is about.

    :param registered: whether all tasks of the service are
    """
    kept = {version.name: reason_to_keep(params, registered, version.fingerprint == params["fingerprint"]) for version in versions}
    gone = [version for version in versions if not kept[version.name]]
    if gone:
        return Retirement(gone, f"removed {_names(gone)}")
    if versions:
        return Retirement([], f"{_names(versions)} stays: {kept[versions[-1].name]}")
    return Retirement([], "there is nothing to remove")


def _names(versions: List[Version]) -> str:
    return ", ".join(version.name for version in versions)


# Service


def check_service_name(name: str) -> None:
    """Check that the engine accepts a name for a service.

    :raises SwarmError: it does not
    """
    if len(name) > SERVICE_NAME_LENGTH or not _SERVICE_NAME.fullmatch(name):
        raise SwarmError(f"option service: {name[:70]!r} cannot name a service: use letters, digits and '-_' inside, at most {SERVICE_NAME_LENGTH} characters")


def check_plan(plan: Optional[Dict[str, Any]]) -> None:
    """Check that the engine accepts what a service is going to be made of, before the token is stored for it, and that it holds no token itself.

    :raises EdgeError: it does not, or it holds one
    """
    plan = plan or {}
    for part in sorted(plan):
        refuse_token(f"option service_plan: {part}", plan[part], "the service")
    for name in texts("the service's environment", plan.get("environment")):
        if "=" in name or name != name.strip():
            raise SwarmError(f"{name[:70]!r} cannot be a variable of a service: it has a blank at an end, or '=' in its name")
    for sort in ("labels", "container_labels"):
        texts(f"the service's {sort}", plan.get(sort))
    for constraint in plan.get("constraints") or []:
        if not isinstance(constraint, str) or not _CONSTRAINT.fullmatch(constraint):
            raise SwarmError(f"{str(constraint)[:70]!r} is not a constraint of a service: write it as node.labels.edge == true")
    image = plan.get("image")
    if image is not None and (not isinstance(image, str) or not _IMAGE.fullmatch(image)):
        shown = str(image)[:70]
        raise SwarmError(f"{shown!r} is not an image: write it as registry.example.com/name:tag or name@sha256:..., the name in lower case")


def container_spec(service: Dict[str, Any]) -> Dict[str, Any]:
    """Return a service's or task's specification of its containers."""
    spec = service["Spec"]
    return spec.get("TaskTemplate", spec).get("ContainerSpec") or {}


def service_state(service: Dict[str, Any], tasks: List[Dict[str, Any]], hostnames: Dict[str, str]) -> ServiceState:
    """Return how far a service is.

    :param service: answer of ``GET /services/ID``
    :param tasks: answer of ``GET /tasks`` for this service
    :param hostnames: names of the swarm's nodes by their identifiers
    """
    spec = service["Spec"]
    ours = (spec.get("Labels") or {}).get(MANAGED_LABEL) == MANAGED_BY
    update = service.get("UpdateStatus") or {}
    wanted = [task for task in tasks if task["DesiredState"] in ("running", "ready")]
    waiting = [task for task in wanted if not _runs(task) or container_spec(task) != container_spec(service)]
    replicas = (spec["Mode"].get("Replicated") or {}).get("Replicas")
    complete = len(wanted) == replicas if replicas is not None else bool(wanted)

    settled = complete and not waiting and update.get("State") not in NOT_SETTLED
    failed = None
    if update.get("State") in ROLLED_BACK:
        failed = f"its update failed and was rolled back ({update.get('Message') or 'no reason given'})"
    elif update.get("State") == "paused" and not settled:
        failed = f"its update failed and is paused ({update.get('Message') or 'no reason given'})"

    lines = [f"{_title(task, spec['Name'], hostnames)}: {task['Status']['State']}" for task in waiting]
    if not complete:
        lines.append(_without_node(spec) if replicas is None else f"{len(wanted)} of {replicas} tasks")
    lines += _errors(_latest(service, tasks), spec["Name"], hostnames)
    nodes = sorted({hostnames.get(task["NodeID"], task["NodeID"]) for task in tasks if task.get("NodeID")})
    registered, report = ours and settled and bool(wanted), "; ".join(lines) or update.get("Message") or ""
    return ServiceState(ours, settled, registered, failed, report, tuple(nodes), (spec.get("Labels") or {}).get(RECORD_LABEL) or "")


def _without_node(spec: Dict[str, Any]) -> str:
    """Return why a service that runs on each node has no task at all."""
    constraints = (spec["TaskTemplate"].get("Placement") or {}).get("Constraints") or []
    if not constraints:
        return "no node of the swarm is active"
    return f"no active node of the swarm meets its constraints ({', '.join(constraints)}): label one with docker node update --label-add, or change them"


def _runs(task: Dict[str, Any]) -> bool:
    """Swarm calls a task with a health check running only once it is healthy."""
    return task["DesiredState"] == "running" and task["Status"]["State"] == "running"


def _title(task: Dict[str, Any], service: str, hostnames: Dict[str, str]) -> str:
    node = hostnames.get(task.get("NodeID") or "")
    slot = f".{task['Slot']}" if task.get("Slot") else ""
    return f"task {service}{slot}{f' on {node}' if node else ''}"


def _latest(service: Dict[str, Any], tasks: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the tasks that were started as the service is now or, where its update failed, since that began: others show faults that have been mended."""
    update = service.get("UpdateStatus") or {}
    if update.get("State") in ROLLED_BACK + NOT_SETTLED + ("paused",):
        return [task for task in tasks if task.get("CreatedAt", "") >= update.get("StartedAt", "")]
    return [task for task in tasks if container_spec(task) == container_spec(service)]


def _errors(tasks: List[Dict[str, Any]], service: str, hostnames: Dict[str, str]) -> List[str]:
    """Return why the latest tasks failed, each reason once."""
    reasons: List[str] = []
    for task in sorted(tasks, key=lambda each: each["Status"].get("Timestamp") or "", reverse=True):
        status = task["Status"]
        code = (status.get("ContainerStatus") or {}).get("ExitCode")
        if status.get("Err"):
            reason = f"{_title(task, service, hostnames)} failed: {EXIT_CODES.get(code or 0, status['Err'])}"
            if reason not in reasons:
                reasons.append(reason)
    return reasons[:_ERRORS_SHOWN]
