# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What a swarm holds of a secret and of the service that uses it, as its engine tells it."""

import time
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils._cluster import reading
from ansible_collections.expanso.edge.plugins.module_utils._engine import NOT_FOUND, POLL_SECONDS, patiently
from ansible_collections.expanso.edge.plugins.module_utils._errors import SwarmError
from ansible_collections.expanso.edge.plugins.module_utils._swarm import ServiceState, Version, find_versions, service_state


class Swarm(NamedTuple):
    """What was found."""

    versions: List[Version]
    service: Optional[ServiceState]  # None where it does not exist, or none was asked about

    @property
    def registered(self) -> bool:
        return self.service is not None and self.service.registered


def find_swarm(client: Any, params: Dict[str, Any]) -> Swarm:
    wanted = params["fingerprint"]
    with reading(f"the Docker engine {params['docker_host']}", "its list of secrets or services"):
        # one that is asked for may have any name
        secrets = client.secrets(filters=None if wanted else {"name": params["name"]}) or []
        versions = find_versions(params["name"], secrets, client.services() or [], wanted)
    return Swarm(versions, read_service(client, params["service"], params["docker_host"]))


def read_service(client: Any, name: Optional[str], host: str) -> Optional[ServiceState]:
    if not name:
        return None
    try:
        service = client.inspect_service(name)
    except NOT_FOUND:
        return None
    with reading(f"the Docker engine {host}", "a service, one of its tasks or a node"):
        if service["Spec"]["Name"] != name:  # the engine takes beginnings of identifiers as well
            return None
        hostnames = {node["ID"]: (node.get("Description") or {}).get("Hostname") or node["ID"] for node in client.nodes()}
        return service_state(service, client.tasks(filters={"service": service["ID"]}), hostnames)


def waited_for(params: Dict[str, Any]) -> str:
    return f"service {params['service']}" if params["service"] else f"secret {params['name']}"


def wait_for_service(client: Any, params: Dict[str, Any], end: float) -> Optional[ServiceState]:
    """Wait until the service runs as described.

    :raises SwarmError: its update failed, or it does not run in time
    """
    while True:
        state: Optional[ServiceState] = patiently(end, waited_for(params), lambda: read_service(client, params["service"], params["docker_host"]))
        problem = state.failed if state and params["service_changed"] is not False else None
        if state is None or (state.settled and not problem):
            return state
        if problem is None and time.monotonic() >= end:
            problem = f"it was not stable within {params['wait_timeout']} seconds"
        if problem is not None:
            name, why = params["service"], state.report or "no task says why"
            raise SwarmError(f"service {name}: {problem}: {why}; for its log run docker service logs {name}; no version of the secret was removed")
        time.sleep(POLL_SECONDS)
