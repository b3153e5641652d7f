#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: swarm_secret_info
short_description: Audit the bootstrap tokens of a Docker swarm
version_added: 1.1.0
description:
  - Looks at the versions of a secret that M(expanso.edge.swarm_secret) manages, at the service that uses it, and at other services and configs where a
    token can be read.
  - Changes nothing. A token is never returned, only its fingerprint.
  - The engine never gives a secret back. So what a version holds is known by its label, and its age by the time of its creation.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.read_only
  - expanso.edge._audit
  - expanso.edge._engine
options:
  name:
    description: Prefix of the secrets' names.
    type: str
    default: expanso_bootstrap_token
  service:
    description: Name of the service that uses the secret, as the role P(expanso.edge.swarm_secret#role) creates it.
    type: str
notes:
  - In O(service), in its earlier specification, its tasks and its configs, whatever looks like a bootstrap token or a JWT is a finding. In other services
    and configs of the swarm it is a bootstrap key, a token of the same fingerprint, or the variable E(EXPANSO_EDGE_BOOTSTRAP_TOKEN).
  - The search ends after 8 MiB of text. What was left out is a finding.
seealso:
  - module: expanso.edge.swarm_secret
  - module: expanso.edge.bootstrap_token_info
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Audit the swarm's token
  expanso.edge.swarm_secret_info:
    service: expanso-edge
    max_age: 30
  register: audit

- name: Refuse to go on where something is wrong
  ansible.builtin.assert:
    that: audit.error_count == 0
    fail_msg: "{{ audit.tokens | map(attribute='findings') | flatten + audit.node.findings }}"
"""

RETURN = r"""
tokens:
  description:
    - One entry for each version of the secret, oldest first.
    - If there is none, one entry says so, with RV(tokens[].exists=false).
  type: list
  elements: dict
  returned: success
  contains:
    path:
      description: Always V(null). Audits of files return a path here.
      type: str
    place:
      description: Where the token is, in words.
      type: str
      sample: swarm secret expanso_bootstrap_token_v2
    exists:
      description: Whether it exists.
      type: bool
    state:
      description: The same as a word.
      type: str
      choices: [present, absent]
    owner:
      description: Owner of the file in the service's containers, by number. V(null) where no service uses it.
      type: str
    group:
      description: Group of the file in the service's containers, by number.
      type: str
    mode:
      description: Permissions of the file in the service's containers, as an octal string.
      type: str
      sample: '0400'
    size:
      description: Always V(null), because the engine does not tell it.
      type: int
    age_days:
      description: Whole days since it was written.
      type: int
    format:
      description: V(raw), the token alone. V(null) where there is none.
      type: str
      choices: [raw]
    token_kind:
      description: What the token looked like when it was stored, from the enrolment record.
      type: str
      choices: [bootstrap_key, jwt, opaque]
    fingerprint:
      description: Twelve hexadecimal digits that tell which token it is, V(null) where that is unknown.
      type: str
      sample: 5d41402abc4b
    expires_at:
      description: Always V(null), because the engine never gives a secret back.
      type: str
      sample: '2027-01-31T00:00:00Z'
    label:
      description: Label of the token, from the enrolment record.
      type: str
    registered:
      description: Whether all tasks of O(service) are registered, V(null) where that is unknown.
      type: bool
    marker:
      description: Always V(null). Audits of files return a registration marker here.
      type: str
    findings:
      description: What a person should know about it, errors first.
      type: list
      elements: dict
      contains:
        code:
          description:
            - Stable name of the finding.
            - "About the secret: V(token_not_found), V(foreign_secret), V(left_over), V(old_version_in_use), V(used_by_others), V(mode_too_wide),
              V(wrong_owner), V(too_old), V(not_registered_in_time)."
            - "About the service: V(service_not_found), V(foreign_service), V(service_not_running), V(service_update_failed), V(record_damaged)."
            - "About other places: V(token_in_environment), V(token_in_arguments), V(token_in_labels), V(token_in_config), V(copy),
              V(exposure_incomplete)."
          type: str
        severity:
          description:
            - V(error) where the agent cannot use the token, or others may know it.
            - V(warning) where something should be cleaned up.
            - V(info) where nothing has to be done, or something could not be looked at.
          type: str
          choices: [error, warning, info]
        message:
          description: What is wrong, and where.
          type: str
        remedy:
          description: What to do.
          type: str
        place:
          description: Where it is, in words.
          type: str
        fingerprint:
          description: Which token it is about, V(null) where it is about none.
          type: str
node:
  description: The swarm, O(service) and other places.
  type: dict
  returned: success
  contains:
    registered:
      description: Whether all tasks of O(service) are registered, V(null) where that is unknown.
      type: bool
    marker:
      description: Always V(null).
      type: str
    registered_at:
      description: Always V(null), because the engine does not tell it.
      type: str
    record:
      description: The enrolment record, oldest entry first, V(null) where there is none.
      type: list
      elements: dict
    time:
      description: Clock of the host that the module runs on, in ISO 8601 and UTC, with its fraction of seconds.
      type: str
      sample: '2026-11-30T10:00:00.123Z'
    units:
      description: O(service), where it is given.
      type: list
      elements: dict
      contains:
        name:
          description: Its name.
          type: str
        load_state:
          description: Whether it exists.
          type: str
          choices: [loaded, not-found]
        active_state:
          description: Whether it runs as described.
          type: str
          choices: [active, activating, failed, inactive]
        sub_state:
          description: The same in more detail.
          type: str
        enabled:
          description: Always V(null).
          type: str
    findings:
      description: What a person should know, as in RV(tokens[].findings).
      type: list
      elements: dict
error_count:
  description: How many findings are errors.
  type: int
  returned: success
warning_count:
  description: How many findings are warnings.
  type: int
  returned: success
msg:
  description: Human-readable summary of the result.
  type: str
  returned: always
"""

import time
from typing import Any, Dict, List, Optional

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._audit.cluster import ARGUMENT_SPEC as AUDIT_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._audit.cluster import Limits, checked_fingerprints, result
from ansible_collections.expanso.edge.plugins.module_utils._audit.swarm import Found, audit
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._cluster import learn_url, reading
from ansible_collections.expanso.edge.plugins.module_utils._engine import ARGUMENT_SPEC, NO_FEATURE, connect, talk
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._swarm import check_name, check_service_name


def configs_of(client: Any) -> Optional[List[Dict[str, Any]]]:
    """Return the configs of the swarm with their content, None where the engine is too old to have any."""
    try:
        return client.configs() or []
    except NO_FEATURE:
        return None


def look(client: Any, service: Optional[str]) -> Found:
    """Ask the engine for all that is looked at."""
    services = client.services() or []
    identifiers = [each["ID"] for each in services if service and each["Spec"]["Name"] == service]
    tasks = client.tasks(filters={"service": identifiers[0]}) if identifiers else []
    hostnames = {node["ID"]: (node.get("Description") or {}).get("Hostname") or node["ID"] for node in client.nodes() or []}
    return Found(client.secrets() or [], services, configs_of(client), tasks or [], hostnames)


def work(module: EdgeModule) -> Dict[str, Any]:
    """Look at the swarm and return what is wrong."""
    params = module.params
    _checks.server_options(module.argument_spec, params)
    learn_url(module.learn, params["docker_host"])
    check_name(params["name"])
    params["fingerprints"] = checked_fingerprints(params["fingerprints"])
    if params["service"]:
        check_service_name(params["service"])
    if params["timeout"] < 1:
        raise OptionError("option timeout: the engine needs at least one second to answer")

    def ask(where: str) -> Dict[str, Any]:
        client = connect(params, where)
        with reading(f"the Docker engine {params['docker_host']}", "its list of secrets, services, configs, tasks or nodes"):
            limits = Limits(time.time(), params["max_age"], params["stuck_hours"])
            found = audit(params["name"], params["service"] or None, params["fingerprints"], look(client, params["service"]), limits)
        for secret in found.secrets:
            module.learn(secret)
        return result(found, f"swarm secret {params['name']}")

    answer: Dict[str, Any] = talk(params, ask)
    return answer


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "name": {"type": "str", "default": "expanso_bootstrap_token"},
            "service": {"type": "str"},
            **AUDIT_OPTIONS,
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(work, "audit the swarm")


if __name__ == "__main__":
    main()
