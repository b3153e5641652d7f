#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: swarm_secret
short_description: A bootstrap token as a versioned secret of a Docker swarm
version_added: 1.0.0
description:
  - Stores an Expanso Edge bootstrap token in a Docker swarm, makes a new version when the token changes, and removes the versions that are not
    needed any more.
  - A secret of a swarm can be neither changed nor removed while a service uses it. So each token gets a secret of its own, O(name) with C(_v1),
    C(_v2) and so on. The service is moved with M(community.docker.docker_swarm_service), as the role P(expanso.edge.swarm_secret#role) does it.
  - The token goes from memory to the engine. The module makes no file, and the secret holds the bytes of the token and nothing else.
    Without pipelining, Ansible itself uploads each module with its options as a file, and removes it afterwards.
  - A label of each secret tells its fingerprint, twelve hexadecimal digits. That is how a changed token is noticed, because the engine never gives
    a secret back. Unlike the label of M(community.docker.docker_secret) it is not a full hash of the token.
  - Checks first that the engine can be reached and is a manager of a swarm, with a message of its own for each case.
  - A service whose tasks are all registered needs no token. One that is not, and is given none, uses the newest version.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._engine
  - expanso.edge._removal
  - expanso.edge._token
  - expanso.edge._record
attributes:
  check_mode:
    details:
      - Does not wait for the service.
  diff_mode:
    details:
      - Shows names of secrets and fingerprints, never the token.
  idempotent:
    support: full
options:
  name:
    description: Prefix of the secrets' names.
    type: str
    default: expanso_bootstrap_token
  state:
    description:
      - V(present) makes sure that the newest version holds the token. Removes nothing.
      - V(pruned) waits until O(service) is stable, then removes the versions that are not needed any more. Those that a service uses stay.
      - V(absent) removes O(service), where it is given, and all versions.
      - V(retired) takes the versions from the services that use them, then removes them. The services stay. O(only_registered) and O(fingerprint) limit
        it. With O(fingerprint) this concerns all services of the swarm and nothing is waited for, otherwise O(service) alone, and it has to
        become stable without the token first. Added in version 1.1.0.
      - V(checked) changes nothing. It checks that the engine can be reached and is a manager of a swarm, that secrets and service of these names were
        created by this collection, and that the engine accepts O(service_plan). Added in version 1.1.0.
    type: str
    choices: [present, pruned, absent, retired, checked]
    default: present
  labels:
    description: Further labels for new versions. Not secret.
    type: dict
    default: {}
  adopt:
    description:
      - Take over a secret or service of this name that this collection did not create. The secret, whose content is unknown, counts as an old version
        and is replaced. The service is changed to what is described here.
      - Otherwise they are refused.
    type: bool
    default: false
  versions_to_keep:
    description:
      - How many versions O(state=pruned) leaves, the newest included.
    type: int
    default: 1
  uid:
    description: Owner of the secret in a container, by number. The user of the agent's image.
    type: str
    default: '1000'
  gid:
    description: Group of the secret in a container, by number.
    type: str
    default: '1000'
  mode:
    description: Permissions of the secret in a container, as a quoted octal string. Only bits of V(0440) are possible, so that no other account reads it.
    type: raw
    default: '0400'
  service:
    description:
      - Name of the service that uses the secret, as the role P(expanso.edge.swarm_secret#role) creates it. Its tasks count as running only when they find
        a registration marker, so this shows whether they are registered.
    type: str
  service_changed:
    description:
      - Whether O(service) is changed in this run, in more than its secret.
      - With O(state=present), V(true) keeps a token that may be needed, because what is registered now may not be what runs afterwards.
      - With O(state=pruned), V(false) means that a failed update is an earlier one. It is not a fault where the tasks run as they should now.
      - By default V(false) with O(state=present), V(true) with O(state=pruned).
    type: bool
  service_plan:
    description:
      - What O(service) is going to be made of, a dictionary. What the engine would refuse is then found before the token is stored.
      - C(environment), C(labels) and C(container_labels) are dictionaries of texts, C(constraints) and C(arguments) are lists of texts, C(image)
        is a text.
      - It is refused where it contains a bootstrap token, because everyone who may read the service could read it.
    type: dict
    version_added: 1.1.0
  remove_when_registered:
    description:
      - With O(state=present), need no token when all tasks of O(service) are registered, and return no version for the service to use.
      - With O(state=pruned), leave no version when all tasks are registered and O(service) uses none.
    type: bool
    default: false
  wait_timeout:
    description: How long O(service) may take until it is stable, in seconds.
    type: int
    default: 300
seealso:
  - module: community.docker.docker_swarm_service
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Store the token
  expanso.edge.swarm_secret:
    name: expanso_bootstrap_token
  register: stored

- name: Use it in a service of your own
  community.docker.docker_swarm_service:
    name: edge
    image: registry.example.com/edge@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    secrets: "{{ stored.references }}" # read at /run/secrets/expanso_bootstrap_token

- name: Remove the token from a swarm whose tasks are all registered, but not the service
  expanso.edge.swarm_secret:
    name: expanso_bootstrap_token
    service: expanso-edge
    state: retired
    only_registered: true

- name: Remove the earlier versions
  expanso.edge.swarm_secret:
    name: expanso_bootstrap_token
    state: pruned
    versions_to_keep: 1
"""

RETURN = r"""
action:
  description:
    - What was done, or would be done in check mode.
    - V(written) means that there is a new version. V(kept), V(not_needed) and V(absent) mean that there was nothing to do.
    - With O(state=retired), V(kept) means that there is a version that O(only_registered) or O(fingerprint) spares.
    - V(checked) is what O(state=checked) returns.
    - With O(state=present), V(removed) means that no version is needed any more. O(state=pruned) removes them when the service uses none.
  type: str
  returned: success
  choices: [written, kept, removed, not_needed, absent, checked]
msg:
  description: Human-readable summary of the result.
  type: str
  returned: always
fault:
  description: Stable name of what is wrong with the token, such as V(missing), V(whitespace) or V(expired).
  type: str
  returned: when the token cannot be used
secret_name:
  description: Name of the version that a service should use, V(null) where it should use none.
  type: str
  returned: success
  sample: expanso_bootstrap_token_v2
secret_id:
  description: Identifier of that version. In check mode a placeholder where it would be new.
  type: str
  returned: success
references:
  description:
    - That version as the option O(community.docker.docker_swarm_service#module:secrets) of M(community.docker.docker_swarm_service) takes it,
      with O(uid), O(gid) and O(mode). An empty list where a service should use none.
    - In the container it is the file C(/run/secrets/expanso_bootstrap_token), whichever version it is.
  type: list
  elements: dict
  returned: success
fingerprint:
  description: Twelve hexadecimal digits that tell which token O(name)'s newest version holds, V(null) where there is none.
  type: str
  returned: success
  sample: 5d41402abc4b
previous_fingerprint:
  description: Fingerprint of the token that was held before, V(null) where there was none, or none that is known.
  type: str
  returned: success
  sample: 0a4d55a8d778
  version_added: 1.1.0
token_kind:
  description: Kind of the token that was stored, V(null) where none was.
  type: str
  returned: success
  choices: [bootstrap_key, jwt, opaque]
expires_at:
  description: When the token that was stored expires, in ISO 8601 and UTC. V(null) where it does not say.
  type: str
  returned: success
versions:
  description: Names of the versions that there are now, oldest first.
  type: list
  elements: str
  returned: success
removed:
  description: Names of the versions that were removed.
  type: list
  elements: str
  returned: success
in_use:
  description: Names of the versions that should have been removed, but that a service uses.
  type: list
  elements: str
  returned: success
registered:
  description: Whether all tasks of O(service) are known to be registered.
  type: bool
  returned: success
nodes:
  description: Names of the nodes where tasks of O(service) are or were. Volumes that they use lie there.
  type: list
  elements: str
  returned: success
token_source:
  description: The value of O(token_source).
  type: str
  returned: success
record:
  description:
    - Which token the tasks of O(service) are given, since when, and by which run, as M(expanso.edge.bootstrap_token) returns it. V(null) where that is
      unknown.
    - Each version has it as the label C(io.expanso.edge.enrolment). There it is removed with the token, so the service needs it, too.
    - The kind is V(null) for a version from before there were such records, because the engine never gives a token back.
  type: dict
  returned: success
  version_added: 1.1.0
service_labels:
  description: A label for O(service) that keeps RV(record) when the secret is removed. Changing it replaces no task. Empty where there is no record.
  type: dict
  returned: success
  version_added: 1.1.0
"""

from typing import Any, Dict

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._cluster import learn_url, refuse_token, texts
from ansible_collections.expanso.edge.plugins.module_utils._decision import ARGUMENT_SPEC as TOKEN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._engine import ARGUMENT_SPEC, connect, connect_again, end_of_restart, patiently, talk
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._record import ARGUMENT_SPEC as RUN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._removal import ARGUMENT_SPEC as REMOVAL_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._removal import check_removal
from ansible_collections.expanso.edge.plugins.module_utils._swarm import check_name, check_plan, check_service_name
from ansible_collections.expanso.edge.plugins.module_utils._swarm_states import apply_state, check_ids, file_mode
from ansible_collections.expanso.edge.plugins.module_utils._swarm_view import find_swarm, waited_for


def check(module: EdgeModule) -> None:
    """Check the options, before anything is asked of the engine.

    :raises OptionError: one cannot be used
    :raises SwarmError: the same, where only a swarm refuses it
    """
    params = module.params
    _checks.server_options(module.argument_spec, params)
    learn_url(module.learn, params["docker_host"])
    check_name(params["name"])
    if params["service"]:
        check_service_name(params["service"])
    check_ids(params)
    file_mode(params)
    refuse_token("option labels", texts("option labels", params["labels"]), "labels")
    check_plan(params["service_plan"])
    check_removal(params, "retired")
    if params["timeout"] < 1:
        raise OptionError("option timeout: the engine needs at least one second to answer")


def work(module: EdgeModule) -> Dict[str, Any]:
    check(module)
    params = module.params

    def manage(where: str) -> Dict[str, Any]:
        if params["state"] != "pruned" or not params["service"] or module.check_mode:
            client = connect(params, where)
            return apply_state(module, client, find_swarm(client, params))
        client = connect_again(params, where)
        return apply_state(module, client, patiently(end_of_restart(params), waited_for(params), lambda: find_swarm(client, params)))

    answer: Dict[str, Any] = talk(params, manage)
    return answer


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "name": {"type": "str", "default": "expanso_bootstrap_token"},
            "state": {"type": "str", "choices": ["present", "pruned", "absent", "retired", "checked"], "default": "present"},
            **TOKEN_OPTIONS,
            **REMOVAL_OPTIONS,
            **RUN_OPTIONS,
            "labels": {"type": "dict", "default": {}},
            "adopt": {"type": "bool", "default": False},
            "versions_to_keep": {"type": "int", "default": 1},
            "uid": {"type": "str", "default": "1000"},
            "gid": {"type": "str", "default": "1000"},
            "mode": {"type": "raw", "default": "0400"},
            "service": {"type": "str"},
            "service_changed": {"type": "bool"},
            "service_plan": {"type": "dict"},
            "wait_timeout": {"type": "int", "default": 300},
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(work, "manage the secret", module.params["name"])


if __name__ == "__main__":
    main()
