#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: k8s_secret
short_description: Put, renew or remove a bootstrap token in a Kubernetes Secret
version_added: 1.0.0
description:
  - Brings a Secret that holds an Expanso Edge bootstrap token to the state asked for.
  - The token is judged first, as M(expanso.edge.bootstrap_token) does. Its base64 form, a second secret that Ansible does not mask, is
    made inside the module and is not in any option, result, diff or message.
  - The Secret is applied on the server, as a field manager of its own (C(expanso.edge)). Other keys, labels and annotations are left unchanged.
    If another manager holds the key with another value, that is an error, unless O(force=true).
  - An agent whose identity lies on a volume needs no token. One that is not registered, and is given none, uses the one that the Secret holds.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._k8s
  - expanso.edge._removal
  - expanso.edge._token
  - expanso.edge._record
attributes:
  check_mode:
    details:
      - Asks the API server for a dry run. Where the namespace is still missing, that is predicted.
  diff_mode:
    details:
      - Shows name, type, labels, size and fingerprint, never the token.
  idempotent:
    support: full
options:
  name:
    description: Name of the Secret.
    type: str
    required: true
  namespace:
    description: Namespace of the Secret.
    type: str
    required: true
  create_namespace:
    description: Create the namespace if it is missing, after the token has been judged. Otherwise a missing namespace is an error.
    type: bool
    default: false
  key:
    description: Key in the Secret's data that holds the token, the name of the file where the Secret is mounted.
    type: str
    default: bootstrap.token
  state:
    description:
      - V(present) makes sure that the Secret holds the token, or that the agent is known not to need it.
      - V(absent) removes the Secret. If it holds further keys, only O(key) is removed. With O(fingerprint), Secrets of former tokens are looked at as
        well, if the account may list Secrets.
    type: str
    choices: [present, absent]
    default: present
  immutable:
    description:
      - Create a Secret that cannot be changed, with the token's fingerprint appended to O(name). Each token then gets a Secret of its own.
      - With O(state=absent), all of them are removed except the one that O(keep) names. This lists the Secrets of the namespace, as does
        O(state=present) without a token.
    type: bool
    default: false
  keep:
    description: Name of the Secret that is not removed with O(state=absent) and O(immutable=true).
    type: str
  labels:
    description: Further labels of the Secret.
    type: dict
    default: {}
  claim:
    description:
      - Name of the PersistentVolumeClaim that holds the agent's data directory.
      - An annotation of it, C(expanso.edge/token-fingerprint), says that there is an identity on it, so that no token is needed.
        The role P(expanso.edge.k8s_secret#role) writes it when the agent has registered.
      - With O(state=absent) it counts for O(only_registered).
    type: str
  force:
    description: Take over fields that another manager holds with other values.
    type: bool
    default: false
seealso:
  - module: expanso.edge.bootstrap_token
  - module: kubernetes.core.k8s
  - plugin: expanso.edge.bootstrap_token
    plugin_type: lookup
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Put the token into a Secret
  expanso.edge.k8s_secret:
    name: expanso-bootstrap-token
    namespace: expanso-system
    context: production
  delegate_to: localhost
  become: false

- name: Remove it
  expanso.edge.k8s_secret:
    name: expanso-bootstrap-token
    namespace: expanso-system
    state: absent
  delegate_to: localhost
  become: false
"""

RETURN = r"""
action:
  description:
    - What was done, or would be done in check mode.
    - V(written) means that the Secret received a token it did not hold. V(repaired) means that it held the right token with other labels or annotations.
    - V(kept) and V(absent) mean that there was nothing to do. V(not_needed) means that the agent is registered and there is no Secret.
    - With O(state=absent), V(kept) means that there is a token that O(only_registered) or O(fingerprint) spares.
  type: str
  returned: success
  choices: [written, repaired, kept, removed, not_needed, absent]
msg:
  description: Human-readable summary of the result.
  type: str
  returned: always
fault:
  description: Stable name of what is wrong with the token, such as V(missing), V(whitespace), V(api_key), V(placeholder) or V(expired).
  type: str
  returned: when the token cannot be used
name:
  description: Name of the Secret, with O(immutable=true) the one that holds this token.
  type: str
  returned: success
namespace:
  description: Namespace of the Secret.
  type: str
  returned: success
key:
  description: Key that holds the token.
  type: str
  returned: success
namespace_created:
  description: Whether the namespace was missing, and has been created, or would be in check mode.
  type: bool
  returned: success
size:
  description: Length of the token in the Secret in bytes, V(null) where there is none.
  type: int
  returned: success
token_kind:
  description: Kind of the token that was given, or of the one that is kept because none was given. V(null) where none is needed.
  type: str
  returned: success
  choices: [bootstrap_key, jwt, opaque]
fingerprint:
  description:
    - Twelve hexadecimal digits that tell which token the Secret holds, and are of no use for anything else.
    - Where there is no Secret, those of the token that the agent was given last. V(null) where neither is known.
  type: str
  returned: success
  sample: 5d41402abc4b
previous_fingerprint:
  description: Fingerprint of the token that was held before, V(null) where there was none, or none that is known.
  type: str
  returned: success
  sample: 0a4d55a8d778
  version_added: 1.1.0
expires_at:
  description: When the token expires, in ISO 8601 and UTC. V(null) where it does not say.
  type: str
  returned: success
  sample: '2027-01-31T00:00:00Z'
registered:
  description: Whether the volume of O(claim) is known to hold an identity.
  type: bool
  returned: success
token_source:
  description: The value of O(token_source).
  type: str
  returned: success
record:
  description:
    - Which token the agent is given, since when, and by which run, as M(expanso.edge.bootstrap_token) returns it. V(null) where that is unknown.
    - The Secret has it as the annotation C(expanso.edge/enrolment), and so has O(claim) when the agent has registered. There it stays when the token is
      removed.
  type: dict
  returned: success
  version_added: 1.1.0
secrets_removed:
  description: With O(state=absent), the Secrets that held a token, each with C(name) and C(fingerprint) of the token. Empty otherwise.
  type: list
  elements: dict
  returned: success
  version_added: 1.1.0
claim_annotations:
  description: The annotation for O(claim) that keeps RV(record). Empty where there is no record.
  type: dict
  returned: success
  version_added: 1.1.0
"""

from typing import Any, Dict

from ansible_collections.expanso.edge.plugins.module_utils._decision import ARGUMENT_SPEC as TOKEN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import Api
from ansible_collections.expanso.edge.plugins.module_utils._k8s_connection import ARGUMENT_SPEC
from ansible_collections.expanso.edge.plugins.module_utils._k8s_objects import title
from ansible_collections.expanso.edge.plugins.module_utils._k8s_states import apply_state
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._record import ARGUMENT_SPEC as RUN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._removal import ARGUMENT_SPEC as REMOVAL_OPTIONS


def work(module: EdgeModule) -> Dict[str, Any]:
    api = Api(module)
    params = module.params
    result = apply_state(api, params, module.run_options)
    for each in result["secrets_removed"]:
        module.log_change("removed", title("Secret", each["name"], params["namespace"]), each["fingerprint"], None)
    if result["changed"] and not result["secrets_removed"]:
        marks = [result["diff"][when]["fingerprint"] for when in ("before", "after")]
        module.log_change(result["action"], title("Secret", result["name"], params["namespace"]), *marks)
    api.warn(module)
    return result


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "create_namespace": {"type": "bool", "default": False},
            "key": {"type": "str", "default": "bootstrap.token", "no_log": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **TOKEN_OPTIONS,
            **REMOVAL_OPTIONS,
            **RUN_OPTIONS,
            "immutable": {"type": "bool", "default": False},
            "keep": {"type": "str"},
            "labels": {"type": "dict", "default": {}},
            "claim": {"type": "str"},
            "force": {"type": "bool", "default": False},
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(work, "manage the Secret", title("Secret", module.params["name"], module.params["namespace"]))


if __name__ == "__main__":
    main()
