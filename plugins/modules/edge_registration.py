#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: edge_registration
short_description: Register a node with Expanso Cloud
version_added: 1.0.0
description:
  - Runs C(expanso-edge bootstrap --data-dir DIR) one time, as the account that the agent is going to run as, and waits until a registration marker exists.
  - The token is in the environment of that one process only, never on a command line.
  - Where a marker exists, nothing is run and no token is used, unless O(force) asks for a new registration.
  - A failure carries the agent's own last lines, with the token masked in every encoding that programs print.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_node
  - expanso.edge._registration
  - expanso.edge._record
  - expanso.edge._record.file
attributes:
  check_mode:
    details:
      - Tells whether the node would be registered. Does not look at binary and token, because earlier tasks may install them.
  diff_mode:
    support: none
options:
  binary:
    description: The agent on the node.
    type: path
    default: /usr/local/bin/expanso-edge
  config_file:
    description: Configuration passed to the agent with C(--config). By default none is passed.
    type: path
  bootstrap_url:
    description: Where to register. By default the agent's own choice.
    type: str
  token:
    description:
      - The bootstrap token.
      - Mutually exclusive with O(token_file).
    type: str
  token_file:
    description:
      - File on the node that holds the token, as M(expanso.edge.bootstrap_token) writes it with O(expanso.edge.bootstrap_token#module:format=raw) or V(env).
      - Mutually exclusive with O(token).
    type: path
  user:
    description:
      - Account that the agent is run as, the same that its service uses.
      - By default the account that the module runs as.
    type: str
  group:
    description:
      - Group that the agent is run as.
      - By default the primary group of O(user).
    type: str
  timeout:
    description: How long the agent may take until a marker exists, in seconds, from V(1) to V(604800). Then it is stopped, with all processes that it started.
    type: int
    default: 120
  force:
    description:
      - Register a registered node anew, over its identity, with C(expanso-edge bootstrap --force). This uses a token each time.
      - The agent is the one that replaces the identity. If it fails, those of the former registration markers that it removed or changed are put back, with
        their former time, and the message says so. Whether Expanso Cloud still accepts that identity is up to Expanso Cloud.
      - The former files are kept in memory only. A run that is killed puts nothing back.
    type: bool
    default: false
    version_added: 1.1.0
  reregister:
    description:
      - Like O(force), but not where the node was registered with this very token already, because its registration marker is newer than the token,
        according to the node's enrolment record.
    type: bool
    default: false
    version_added: 1.1.0
  environment:
    description: Further environment variables of the agent, such as those of a proxy. Not secret.
    type: dict
    default: {}
    version_added: 1.1.0
  format:
    description:
      - Format of O(token_file), as in M(expanso.edge.bootstrap_token).
      - By default V(raw) and V(env) are told apart by what is in the file.
    type: str
    choices: [raw, env, encrypted]
    version_added: 1.1.0
  credential_name:
    description: The name that O(format=encrypted) is bound to.
    type: str
    default: expanso-edge-bootstrap-token
    version_added: 1.1.0
  remove_token_file:
    description: Remove O(token_file) as soon as the node is registered. It is no longer needed.
    type: bool
    default: false
notes:
  - A missing O(data_dir) is created with mode V(0700) for O(user) and O(group).
  - Processes that the agent leaves behind are ended, because they have the token in their environment.
  - Two runs at the same time use one token. The second waits for the first, and for an agent that a killed run left at work.
  - A O(data_dir) that others may replace, because they may write a directory above it, is refused.
seealso:
  - module: expanso.edge.bootstrap_token
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Register the node and remove the token
  expanso.edge.edge_registration:
    token_file: /etc/expanso/bootstrap.token
    remove_token_file: true
    user: expanso

- name: Register without a file
  expanso.edge.edge_registration:
    token: "{{ lookup('expanso.edge.bootstrap_token') }}"
    bootstrap_url: https://start.cloud.expanso.io
"""

RETURN = r"""
registered_anew:
  description: Whether a registered node was registered again, or would be in check mode.
  type: bool
  returned: success, and when the agent was run
  version_added: 1.1.0
registered:
  description:
    - Whether the node is registered. V(false) in check mode where it would be.
    - An agent may fail after it registered the node. Then the module fails, and the next run finds a registered node.
  type: bool
  returned: success, and when the agent was run
marker:
  description: The registration marker that exists, V(null) where there is none.
  type: str
  returned: success, and when the agent was run
token_removed:
  description: Whether O(token_file) was removed, or would be in check mode.
  type: bool
  returned: success
msg:
  description: Human-readable summary of the result.
  type: str
  returned: always
agent_output:
  description: The agent's last lines, with the token masked.
  type: list
  elements: str
  returned: when the agent was run
fingerprint:
  description: Twelve hexadecimal digits that tell which token the node was registered with, or which one was removed. V(null) where neither was done.
  type: str
  returned: success, and when the agent was run
  sample: 5d41402abc4b
  version_added: 1.1.0
record:
  description: The last entry of the node's enrolment record, as M(expanso.edge.bootstrap_token) returns it. V(null) where there is none.
  type: dict
  returned: success
  version_added: 1.1.0
fault:
  description: Stable name of what is wrong with the token, such as V(missing), V(whitespace) or V(expired).
  type: str
  returned: when the token cannot be used
"""

import os
from typing import Any, Dict

from ansible_collections.expanso.edge.plugins.module_utils._archive import compile_once

compile_once()  # before the other imports, which it makes cheaper

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._enrolment import BY_ANOTHER, register_once
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._record import ARGUMENT_SPEC as RUN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._record import as_result
from ansible_collections.expanso.edge.plugins.module_utils._record_file import ARGUMENT_SPEC as RECORD_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._record_file import keep
from ansible_collections.expanso.edge.plugins.module_utils._registration import ARGUMENT_SPEC, find_marker
from ansible_collections.expanso.edge.plugins.module_utils._token_file import ARGUMENT_SPEC as FILE_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._token_file import remove_token


def apply_state(module: EdgeModule) -> Dict[str, Any]:
    """Register the node where that is needed, remove the token, and return the result."""
    _checks.plain_options(module.argument_spec, module.params)
    params = module.params
    params["data_dir"] = os.path.normpath(params["data_dir"])
    _checks.seconds(params["timeout"], "timeout", most=_checks.A_WEEK)
    params["force"] = params["force"] or params["reregister"]
    marker = find_marker(params)
    anew = marker is not None and params["force"]
    result: Dict[str, Any] = {"changed": False, "msg": "already registered"}
    if marker is None or anew:
        result = {"changed": True, "msg": f"would be registered{' anew' if anew else ''}"}
        if not module.check_mode:
            result = dict(register_once(module))
            if result["changed"]:
                facts = {name: value for name, value in result.items() if name != "msg"}
                module.did(f"this node {result['msg']}", registered=True, registered_anew=anew, **facts)
            marker = find_marker(params)

    removed = None
    if params["remove_token_file"] and params["token_file"] is not None:
        module.doing = "remove the token of this node"
        removed = remove_token(module, params["token_file"])
    if removed is not None:
        result["changed"] = True
        result.setdefault("fingerprint", removed.fingerprint)
    last = keep(module, None, lambda: (0, 0)).after
    result.update(registered_anew=anew and result["msg"] != BY_ANOTHER["msg"], record=as_result(last))
    return dict({"fingerprint": None}, **dict(result, marker=marker, registered=marker is not None, token_removed=removed is not None))


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "binary": {"type": "path", "default": "/usr/local/bin/expanso-edge"},
            "config_file": {"type": "path"},
            "bootstrap_url": {"type": "str"},
            "token": {"type": "str", "no_log": True},
            "token_file": {"type": "path", "no_log": False},
            "user": {"type": "str"},
            "group": {"type": "str"},
            **ARGUMENT_SPEC,
            **RUN_OPTIONS,
            **RECORD_OPTIONS,
            "timeout": {"type": "int", "default": 120},
            "force": {"type": "bool", "default": False},
            "reregister": {"type": "bool", "default": False},
            "environment": {"type": "dict", "default": {}},
            **FILE_OPTIONS,
            "format": {"type": "str", "choices": ["raw", "env", "encrypted"]},
            "remove_token_file": {"type": "bool", "default": False, "no_log": False},
        },
        mutually_exclusive=[("token", "token_file")],
        supports_check_mode=True,
    )
    module.execute(apply_state, "register this node")


if __name__ == "__main__":
    main()
