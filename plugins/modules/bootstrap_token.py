#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: bootstrap_token
short_description: Put, renew or remove a bootstrap token at rest on a node
version_added: 1.0.0
description:
  - Brings a file that holds an Expanso Edge bootstrap token to the state asked for, in one remote command.
  - The token is judged first. What is certainly not a bootstrap token (an API key, a path, a placeholder, a masked secret, stray white space,
    an expired JWT and more) is refused with a message that names the fault and never a character of the token.
  - The file is written through a temporary file in the same directory that is created with mode V(0600), gets owner and mode, is synced, and only
    then takes the place of the old one. What is there afterwards is verified.
  - A registered node needs no token, so no token is written there. A token given for it that cannot be used is ignored, and RV(msg) says so.
  - A node that is not registered, already holds a token that can be used, and is given none keeps the one that it holds.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.action_group_node
  - expanso.edge._registration
  - expanso.edge._removal
  - expanso.edge._token
  - expanso.edge._record
  - expanso.edge._record.file
attributes:
  check_mode:
    details:
      - Works on a blank host. There a missing account is only a warning, because an earlier task may create it.
  diff_mode:
    details:
      - Shows owner, group, mode, size and fingerprint, never the token.
  idempotent:
    support: full
options:
  path:
    description:
      - Absolute path of the file on the node.
      - A symbolic link as its last component is refused, as is a directory above it that others may write, sticky ones like C(/tmp) included.
      - A symbolic link in the place of a directory is followed only if nobody but root and the account that the module runs as can have created it.
        Each directory is held open from when it is judged until the end, so nobody can replace it in between.
      - A file that is certainly not a token, because it has more than 64 KiB or is not text, is neither replaced nor removed.
    type: path
    required: true
  state:
    description:
      - V(present) makes sure that the node holds a token, or does not need one.
      - V(absent) removes the file. Directories stay. A file that cannot be looked at is an error, it does not count as absent.
    type: str
    choices: [present, absent]
    default: present
  format:
    description:
      - V(raw) writes the bytes of the token and nothing else, not even a line feed.
      - V(env) writes a file for C(EnvironmentFile=) of systemd, with the token as E(EXPANSO_EDGE_BOOTSTRAP_TOKEN).
      - V(encrypted) writes a file for C(LoadCredentialEncrypted=) of systemd, which only this node can decrypt. The plain token is never at rest.
        Needs systemd 250 or newer on the node.
    type: str
    choices: [raw, env, encrypted]
    default: raw
  variables:
    description:
      - Further variables for O(format=env), such as E(EXPANSO_EDGE_BOOTSTRAP_URL). Not secret, values are shown.
    type: dict
    default: {}
  credential_name:
    description: The name that O(format=encrypted) is bound to, the one in C(LoadCredentialEncrypted=).
    type: str
    default: expanso-edge-bootstrap-token
  credential_key:
    description:
      - What O(format=encrypted) encrypts with, as C(--with-key=) of C(systemd-creds) takes it.
      - V(auto) is the node's TPM 2.0 together with its host key where it has one, the host key alone otherwise.
    type: str
    choices: [auto, host, tpm2, host+tpm2]
    default: auto
  obsolete_paths:
    description:
      - Further files that may hold a token, from an earlier way of delivery. They are removed in either O(state).
        O(only_registered) and O(fingerprint) count for them as well.
    type: list
    elements: path
    default: []
  owner:
    description:
      - Account that owns the file, by name or number.
      - By default the account that the module runs as.
    type: str
  group:
    description:
      - Group of the file, by name or number.
      - By default the group that the module runs as.
    type: str
  mode:
    description:
      - Permissions of the file, as a quoted octal string of three digits or more.
        Only bits of V(0640) are possible, so that only owner and group have access.
    type: raw
    default: '0600'
  directory_mode:
    description:
      - Permissions of the directory that holds the file, as a quoted octal string without write permission for others.
      - By default an existing directory is left as it is, and a missing one is made with V(0755), because the agent's configuration lies there as well.
      - A directory that is made has no access control list, whatever the one above gives to what is new in it.
      - A directory that other programs need, such as C(/etc) or C(/tmp), is refused if it has other permissions.
    type: raw
  requires:
    description:
      - Programs without which the token is useless, such as the agent that registers the node with it.
      - If one is missing, or is for another machine, the module fails and a node that needs a token gets none.
        Check mode does not look at them, because an earlier task may install them.
    type: list
    elements: path
    default: []
    version_added: 1.1.0
  reregister:
    description:
      - Give a registered node the token as if it were not registered, because it is to be registered anew with it.
        That is done by O(registration), or by M(expanso.edge.edge_registration) with O(expanso.edge.edge_registration#module:force=true).
      - Has no effect where the node was registered with this very token, because its registration marker is newer than the token, according to the node's
        enrolment record or to the file at O(path). So a run that was interrupted uses no second token.
    type: bool
    default: false
    version_added: 1.1.0
  registration:
    description:
      - Register the node with the token that its file holds now, with M(expanso.edge.edge_registration) and its options.
      - A node that is registered, and is not to be registered anew, costs no further remote command.
      - The registration gets O(path), O(format), O(credential_name), O(data_dir), O(registration_markers), O(record) and O(remove_when_registered) of this
        task. O(reregister) decides whether a registered node is registered anew.
      - Ignored with O(state=absent). Impossible for a task that runs in the background with C(async).
    type: dict
    version_added: 1.1.0
    suboptions:
      enabled:
        description: Whether to register the node. With V(false), the other suboptions have no effect.
        type: bool
        default: true
      binary:
        description: The agent on the node. Where it is missing, a node that needs a token gets none, as with O(requires).
        type: path
        default: /usr/local/bin/expanso-edge
      config_file:
        description: Configuration passed to the agent with C(--config). By default, or if empty, none is passed.
        type: path
      bootstrap_url:
        description: Where to register. By default, or if empty, the agent's own choice.
        type: str
      user:
        description:
          - Account that the agent is run as, which also is the default of O(data_dir_owner).
          - By default the account that the module runs as.
        type: str
      group:
        description:
          - Group that the agent is run as, which also is the default of O(data_dir_group).
          - By default, or if empty, the primary group of O(registration.user).
        type: str
      timeout:
        description: How long the agent may take until a marker exists, in seconds.
        type: int
        default: 120
  delivery:
    description:
      - How the agent gets the token, for the enrolment record.
      - By default V(file) with O(format=raw), V(systemd) otherwise.
    type: str
    choices: [file, systemd]
    version_added: 1.1.0
  data_dir_owner:
    description:
      - Account that owns O(data_dir) where it is missing and is made for the enrolment record, with mode V(0700). The account that the agent runs as.
      - By default O(registration.user), or that of the token file, O(owner).
    type: str
    version_added: 1.1.0
  data_dir_group:
    description:
      - Group of O(data_dir) where it is missing and is made for the enrolment record.
      - By default the primary group of O(data_dir_owner), or that of the token file, O(group).
    type: str
    version_added: 1.1.0
seealso:
  - module: expanso.edge.bootstrap_token_info
  - module: expanso.edge.edge_registration
  - plugin: expanso.edge.bootstrap_token
    plugin_type: lookup
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Put the token where the agent reads it, unless the node is registered
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.token
    owner: root
    group: root

- name: Put the token on the node, register it, and remove the token
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.token
    remove_when_registered: true
    registration:
      binary: /usr/local/bin/expanso-edge

- name: Write an environment file for systemd
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.env
    format: env
    variables:
      EXPANSO_EDGE_BOOTSTRAP_URL: https://start.cloud.expanso.io
    owner: root
    group: root

- name: Write a credential that only this node can decrypt
  expanso.edge.bootstrap_token:
    path: /etc/credstore.encrypted/expanso-edge-bootstrap-token
    format: encrypted
    obsolete_paths: [/etc/expanso/bootstrap.env]

- name: Write a token from another source
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.token
    token: "{{ my_token }}"
    token_source: the vault of site 7

- name: Remove the token
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.token
    state: absent

- name: Remove a token that leaked, and no other
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.token
    state: absent
    fingerprint: 5d41402abc4b
"""

RETURN = r"""
action:
  description:
    - What was done, or would be done in check mode.
    - V(written) means that the node received a token it did not hold. V(repaired) means that the right token had wrong permissions.
    - V(kept) and V(absent) mean that there was nothing to do. V(not_needed) means that the node is registered and holds no token.
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
path:
  description: The file.
  type: str
  returned: success
owner:
  description: Account that owns the file, V(null) where there is none.
  type: str
  returned: success
group:
  description: Group of the file, V(null) where there is none.
  type: str
  returned: success
mode:
  description: Permissions of the file as an octal string, V(null) where there is none.
  type: str
  returned: success
  sample: '0600'
size:
  description: Size of the file in bytes, V(null) where there is none, and where check mode would have to encrypt to know.
  type: int
  returned: success
obsolete_removed:
  description: Which of O(obsolete_paths) were removed, or would be in check mode.
  type: list
  elements: str
  returned: success
token_kind:
  description: What the token looks like, V(null) where none was needed.
  type: str
  returned: success
  choices: [bootstrap_key, jwt, opaque]
fingerprint:
  description: Twelve hexadecimal digits that tell which token the file holds, and are of no use for anything else. V(null) where it holds none.
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
  description: When the token expires, in ISO 8601 and UTC. V(null) where it does not tell.
  type: str
  returned: success
  sample: '2027-01-31T00:00:00Z'
registered:
  description: Whether a registration marker exists. With O(registration), whether one exists after it.
  type: bool
  returned: success
registration:
  description: What M(expanso.edge.edge_registration) returned.
  type: dict
  returned: when O(registration) was carried out
  version_added: 1.1.0
reregister:
  description: Whether the node is registered, and has to be registered anew with the token, as O(reregister) asks for. O(registration) does so.
  type: bool
  returned: success
  version_added: 1.1.0
token_source:
  description: The value of O(token_source).
  type: str
  returned: success
record:
  description:
    - The last entry of the node's enrolment record, V(null) where there is none, or where it cannot be read or written.
    - Fingerprint and kind of the token, O(token_label), O(delivery), time in UTC, O(run_id), O(job_id) and the version of this collection.
  type: dict
  returned: success
  version_added: 1.1.0
  sample:
    collection_version: 1.1.0
    delivery: file
    fingerprint: 5d41402abc4b
    job_id: '17'
    kind: bootstrap_key
    label: spring
    run_id: 20261130T095959Z-1a2b3c4d
    written_at: '2026-11-30T10:00:00Z'
"""

from typing import Any, Dict

from ansible_collections.expanso.edge.plugins.module_utils._archive import compile_once

compile_once()  # before the other imports, which it makes cheaper

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._credential import KEYS
from ansible_collections.expanso.edge.plugins.module_utils._decision import ARGUMENT_SPEC as TOKEN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._record import ARGUMENT_SPEC as RUN_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._record_file import ARGUMENT_SPEC as RECORD_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._registration import ARGUMENT_SPEC
from ansible_collections.expanso.edge.plugins.module_utils._removal import ARGUMENT_SPEC as REMOVAL_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._token_file import ARGUMENT_SPEC as FILE_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._token_states import apply_state, check_options


def work(module: EdgeModule) -> Dict[str, Any]:
    """Bring the file to its state; every fault names it."""
    try:
        check_options(module.params)
        return apply_state(module)
    except EdgeError as exc:
        path, message = module.params["path"], str(exc)
        if len(path) > _checks.LONGEST_PATH:
            path = _checks.short(path)
        raise EdgeError(message if message.startswith((path, "option path")) else f"{path}: {message}") from None


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **TOKEN_OPTIONS,
            **RUN_OPTIONS,
            **RECORD_OPTIONS,
            "delivery": {"type": "str", "choices": ["file", "systemd"]},
            "data_dir_owner": {"type": "str"},
            "data_dir_group": {"type": "str"},
            **FILE_OPTIONS,
            **REMOVAL_OPTIONS,
            "variables": {"type": "dict", "default": {}},
            "credential_key": {"type": "str", "choices": list(KEYS), "default": "auto", "no_log": False},
            "obsolete_paths": {"type": "list", "elements": "path", "default": []},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            "directory_mode": {"type": "raw"},
            **ARGUMENT_SPEC,
            "requires": {"type": "list", "elements": "path", "default": []},
            "reregister": {"type": "bool", "default": False},
            "registration": {
                "type": "dict",
                "options": {
                    "enabled": {"type": "bool", "default": True},
                    "binary": {"type": "path", "default": "/usr/local/bin/expanso-edge"},
                    "config_file": {"type": "path"},
                    "bootstrap_url": {"type": "str"},
                    "user": {"type": "str"},
                    "group": {"type": "str"},
                    "timeout": {"type": "int", "default": 120},
                },
            },
        },
        supports_check_mode=True,
    )
    module.execute(work, f"manage {module.params['path']}", module.params["path"])


if __name__ == "__main__":
    main()
