# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What is wrong with a swarm's bootstrap tokens: the versions of a secret, the service that uses it, and where else a token can be read.

Pure: what the engine's API returned goes in, findings come out.
"""

import base64
import binascii
import json
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._audit import cluster
from ansible_collections.expanso.edge.plugins.module_utils._audit.cluster import Audit, Limits, exposed
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Finding
from ansible_collections.expanso.edge.plugins.module_utils._audit.sightings import Search
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_LABEL, Entry, as_result
from ansible_collections.expanso.edge.plugins.module_utils._swarm import (
    FINGERPRINT_LABEL,
    ServiceState,
    Version,
    container_spec,
    find_versions,
    service_state,
)
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME

TOO_WIDE = 0o037
"""Bits that the mode of a secret in a container must not have: the account that runs the agent reads it, and at most its group."""

_PARTS = (("token_in_arguments", "Command"), ("token_in_arguments", "Args"), ("token_in_arguments", "Healthcheck"), ("token_in_labels", "Labels"))


class Found(NamedTuple):
    """What the engine returned."""

    secrets: List[Dict[str, Any]]
    services: List[Dict[str, Any]]
    configs: Optional[List[Dict[str, Any]]]  # None where the engine does not tell them
    tasks: List[Dict[str, Any]]  # of the service
    hostnames: Dict[str, str]


class Service(NamedTuple):
    """The service that uses the secret, as far as it exists."""

    name: Optional[str]  # None: none was asked about
    found: Optional[Dict[str, Any]]
    state: Optional[ServiceState]

    @property
    def registered(self) -> Optional[bool]:
        """None where it is unknown: only our own service has a health check that tells."""
        return self.state.registered if self.state is not None and self.state.ours else None


def audit(name: str, service_name: Optional[str], fingerprints: Iterable[str], found: Found, limits: Limits) -> Audit:
    """Return what is wrong with the versions of a secret and with the service.

    :param fingerprints: of further tokens to look for
    """
    service = _service(service_name, found)
    versions = find_versions(name, found.secrets, found.services)
    details = {each["ID"]: each for each in found.secrets}
    texts = [(place_of(version.name), _labels(details[version.id]).get(RECORD_LABEL)) for version in versions]
    if service.found:
        texts.append((f"service {service.name}", _labels(service.found).get(RECORD_LABEL)))
    record, damaged = cluster.enrolments(texts)
    search = Search([*(version.fingerprint for version in versions if version.fingerprint), *fingerprints])
    findings = [*damaged, *_of_service(service, versions), *_of_places(name, service, found, search)]
    tokens = [_token(version, versions, details[version.id], service, found, record, limits) for version in versions]
    if not versions:
        place = place_of(name)
        lack = cluster.missing(place, service.registered, f"service {service.name}")
        tokens = [cluster.entry(place, False, registered=service.registered, findings=[lack])]
    node = {
        "registered": service.registered,
        "marker": None,
        "registered_at": None,
        "record": [as_result(each) for each in record] or None,
        "time": cluster.iso(limits.now),
        "units": _units(service),
        "findings": findings,
    }
    return Audit(tokens, node, search.secrets)


def place_of(name: str) -> str:
    """Return how results call a version of the secret."""
    return f"swarm secret {name}"


def _labels(found: Dict[str, Any]) -> Dict[str, str]:
    return found["Spec"].get("Labels") or {}


def _service(name: Optional[str], found: Found) -> Service:
    service = next((each for each in found.services if each["Spec"]["Name"] == name), None) if name else None
    return Service(name, service, service_state(service, found.tasks, found.hostnames) if service else None)


def _units(service: Service) -> List[Dict[str, Any]]:
    """Return the service as one unit, in the words of systemd."""
    if not service.name:
        return []
    unit = {"name": service.name, "load_state": "loaded", "active_state": "active", "sub_state": "running", "enabled": None}
    if service.state is None or service.found is None:
        unit.update(load_state="not-found", active_state="inactive", sub_state="dead")
    elif service.state.failed:
        unit.update(active_state="failed", sub_state="failed")
    elif not service.state.settled:
        unit.update(active_state="activating", sub_state="waiting")
    return [unit]


# Versions of the secret


def _token(
    version: Version, versions: List[Version], secret: Dict[str, Any], service: Service, found: Found, record: List[Entry], limits: Limits
) -> Dict[str, Any]:
    """Return the entry of a version."""
    place, mark = place_of(version.name), version.fingerprint
    written = cluster.seconds(secret.get("CreatedAt"))
    files = list(_files(version, found.services))
    findings = [*_of_version(version, versions[-1], service), *_of_files(version, files)]
    # an old version is a left-over, which says it all
    if version is versions[-1]:
        findings += cluster.of_age(place, written, limits, service.registered, f"service {service.name}", mark)
    own = next((each for name, each in files if name == service.name), files[0][1] if files else {})
    return cluster.entry(
        place,
        True,
        owner=own.get("UID"),
        group=own.get("GID"),
        mode=f"{own['Mode']:04o}" if "Mode" in own else None,
        age_days=cluster.age_days(written, limits.now),
        format="raw",
        token_kind=next((each.kind for each in record if each.fingerprint == mark), None),
        fingerprint=mark,
        label=cluster.label_of(record, mark),
        registered=service.registered,
        findings=findings,
    )


def _of_version(version: Version, newest: Version, service: Service) -> Iterator[Finding]:
    place, mark = place_of(version.name), version.fingerprint
    if mark is None:
        message = f"{place} was not created by this collection, so which token it holds is unknown"
        yield Finding("foreign_secret", "warning", message, "remove it, or replace it with swarm_secret_adopt: true", place)
    if service.registered:
        message = f"{place} is still there, but all tasks of service {service.name} are registered and no longer need it"
        yield Finding("left_over", "warning", message, cluster.RETIRE, place, mark)
    elif version is not newest and not version.users:
        message = f"no service uses {place}, and {newest.name} is newer"
        yield Finding("left_over", "warning", message, "remove it with the playbook expanso.edge.provision, or by hand (docker secret rm)", place, mark)
    if version is not newest and version.users:
        message = f"{place} is still used by service {', '.join(version.users)}, although {newest.name} is newer"
        yield Finding("old_version_in_use", "warning", message, "apply the playbook expanso.edge.provision again", place, mark)
    others = [name for name in version.users if name != service.name]
    if service.name and others:
        message = f"{place} is also used by service {', '.join(others)}, whose tasks can read the token"
        yield Finding("used_by_others", "warning", message, f"remove it from there; {cluster.NEW_TOKEN}", place, mark)


def _files(version: Version, services: List[Dict[str, Any]]) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Yield what a version is in the containers of services: the service's name, and the file."""
    for service in services:
        for reference in container_spec(service).get("Secrets") or []:
            if reference["SecretID"] == version.id and isinstance(reference.get("File"), dict):
                yield service["Spec"]["Name"], reference["File"]


def _of_files(version: Version, files: List[Tuple[str, Dict[str, Any]]]) -> Iterator[Finding]:
    place, mark = place_of(version.name), version.fingerprint
    remedy = "set swarm_secret_uid, swarm_secret_gid and swarm_secret_mode to those of the image's user, and apply the playbook expanso.edge.provision"
    for service, file in files:
        mode = file.get("Mode")
        if isinstance(mode, int) and mode & TOO_WIDE:
            message = f"{place} has mode {mode:04o} in the containers of service {service}, wider than 0440"
            yield Finding("mode_too_wide", "error", message, remedy, place, mark)
        if str(file.get("UID")) == "0":
            message = f"{place} belongs to root in the containers of service {service}: the agent runs as root there, or cannot read it"
            yield Finding("wrong_owner", "warning", message, remedy, place, mark)


# The service


def _of_service(service: Service, versions: List[Version]) -> Iterator[Finding]:
    """Yield what is wrong with the state of the service."""
    if not service.name:
        return
    place = f"service {service.name}"
    if service.state is None:
        if versions:
            message = f"{place} does not exist, so nothing uses the token"
            yield Finding("service_not_found", "warning", message, "apply the playbook expanso.edge.provision, or remove the token", place)
        return
    if not service.state.ours:
        message = f"{place} was not created by this collection, so whether its tasks are registered is unknown"
        yield Finding("foreign_service", "warning", message, "set swarm_secret_service_name to another name, or swarm_secret_adopt: true", place)
    if service.state.failed:
        message = f"{place}: {service.state.failed}: {service.state.report or 'no task says why'}"
        remedy = f"see docker service logs {service.name}, correct that, and apply the playbook expanso.edge.provision"
        yield Finding("service_update_failed", "error", message, remedy, place)
    elif not service.state.settled:
        message = f"{place} does not run as described: {service.state.report or 'no task says why'}"
        yield Finding("service_not_running", "warning", message, f"docker service ps {service.name} and docker service logs {service.name} say more", place)


# Where a token can be read


def _of_places(name: str, service: Service, found: Found, search: Search) -> Iterator[Finding]:
    """Yield where tokens can be read. In the service and its configs any token counts, elsewhere only a key or one that is looked for."""
    own_configs = set()
    for each in sorted(found.services, key=lambda one: one["Spec"]["Name"] != service.name):
        own = each is service.found
        if own:
            own_configs = {reference.get("ConfigName") for reference in container_spec(each).get("Configs") or []}
        yield from _of_specifications(each, found.tasks if own else [], search, own)
    if found.configs is None:
        yield cluster.incomplete("configs of the swarm", "the engine does not tell them", "look at them by hand (docker config inspect)")
    for config in found.configs or []:
        title = config["Spec"]["Name"]
        text = _decoded(config["Spec"].get("Data")) + json.dumps(_labels(config))
        for mark in search.look(text, jwts=title in own_configs):
            yield exposed("token_in_config", f"config {title}", mark)
    family = {version.id for version in find_versions(name, found.secrets, found.services)}
    for secret in found.secrets:
        labelled = _labels(secret).get(FINGERPRINT_LABEL)
        if secret["ID"] not in family and labelled in search.wanted:
            place = place_of(secret["Spec"]["Name"])
            yield Finding("copy", "warning", f"{place} holds the token too, by its label", "remove it if nothing needs it", place, labelled)
    yield from cluster.not_everything(search, "the swarm")


def _of_specifications(service: Dict[str, Any], tasks: List[Dict[str, Any]], search: Search, own: bool) -> Iterator[Finding]:
    """Yield where a service, as it is and was, and its tasks show tokens. Each token is told once of each sort of place."""
    name = service["Spec"]["Name"]
    told = set()
    shown = [(f"service {name}", service["Spec"])]
    if service.get("PreviousSpec"):
        shown.append((f"service {name}, in its previous specification", service["PreviousSpec"]))
    shown += [(f"a task of service {name}", task["Spec"]) for task in tasks]
    for place, spec in shown:
        for code, mark in _in_specification(spec, search, own):
            if (code, mark) not in told:
                told.add((code, mark))
                yield exposed(code, place, mark)


def _in_specification(spec: Dict[str, Any], search: Search, own: bool) -> Iterator[Tuple[str, str]]:
    container = container_spec({"Spec": spec})
    for variable in container.get("Env") or []:
        title, _equals, value = str(variable).partition("=")
        marks = search.assigned(value) if title == ENV_NAME else search.look(str(variable), jwts=own)
        yield from (("token_in_environment", mark) for mark in marks)
    for code, part in _PARTS:
        yield from ((code, mark) for mark in search.look(_text(container.get(part)), jwts=own))
    yield from (("token_in_labels", mark) for mark in search.look(_text(spec.get("Labels")), jwts=own))


def _text(found: Any) -> str:
    """Return a part of a specification as text that can be searched."""
    if isinstance(found, dict):
        return "\n".join(f"{key}\n{_text(each)}" for key, each in found.items())
    return "\n".join(map(_text, found)) if isinstance(found, list) else "" if found is None else str(found)


def _decoded(data: Any) -> str:
    try:
        return base64.b64decode(data or "").decode("utf-8", "replace")
    except (binascii.Error, TypeError, ValueError):
        return ""
