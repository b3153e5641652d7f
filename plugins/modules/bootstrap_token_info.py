#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: bootstrap_token_info
short_description: Audit the bootstrap tokens at rest on a node
version_added: 1.0.0
description:
  - Inspects the files that hold, or should hold, an Expanso Edge bootstrap token, and reports what is wrong with them.
  - Judges what is in the files, who can read or replace them, whether the node still needs them, and how old they are.
  - Looks for the same tokens where they must not be. That is on command lines, in the environment of programs other than the agent, in systemd units,
    in copies beside the file, among pipeline secrets, and in the other O(places) where people and programs leave them.
  - Also recognizes other bootstrap tokens there by their shape, those that no file holds any more. A bootstrap key (C(exp_bk_...)) counts anywhere, a JWT
    only as the value of E(EXPANSO_EDGE_BOOTSTRAP_TOKEN), as C(--token) of C(expanso-edge), or on a line with the name of a file or secret of a bootstrap token.
  - Tells whether and since when the node is registered, with which tokens, and the state of its O(units).
  - Changes nothing, and never shows a character of a token. What is wrong is a finding, so the module fails only for options with impossible values.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.read_only
  - expanso.edge._attributes.action_group_node
  - expanso.edge._registration
options:
  paths:
    description:
      - Absolute paths of the files on the node. Each may hold the token alone, or be a file for C(EnvironmentFile=) of systemd
        that assigns E(EXPANSO_EDGE_BOOTSTRAP_TOKEN). The format is detected.
      - A node needs the token in one of them at most.
    type: list
    elements: path
    default:
      - /etc/expanso/bootstrap.token
      - /etc/expanso/bootstrap.env
  encrypted_paths:
    description:
      - Those of O(paths) that are credentials encrypted by C(systemd-creds), and further ones. They are decrypted to find out which token they hold.
    type: list
    elements: path
    default: []
  credential_name:
    description: Name that the credentials in O(encrypted_paths) are bound to.
    type: str
    default: expanso-edge-bootstrap-token
  owner:
    description:
      - Account that must own the files, by name or number. Give the account that the agent runs as. Then the module also checks
        whether that account can read the files.
      - By default the files may belong to V(root) and to the account that the module runs as.
    type: str
  group:
    description:
      - Group that the files must have, by name or number.
      - By default the groups of V(root) and of the account that the module runs as are right, and any group where O(mode) gives it nothing.
    type: str
  mode:
    description:
      - Widest permissions that the files may have, as a quoted octal string. Only bits of V(0640) are possible.
    type: raw
    default: '0600'
  max_age:
    description:
      - Days after which a token has to be rotated. The age is that of the file.
      - By default a token may be of any age.
    type: int
  stuck_hours:
    description:
      - Hours after which a node that was given a token should be registered. The time is that of the enrolment record, else that of the file.
      - By default it may take any time.
    type: int
  units:
    description:
      - Names of systemd units whose state is reported, the agent's own and the one that registers the node, such as C(expanso-edge.service) and
        C(expanso-edge-bootstrap.service). One command asks for all of them.
    type: list
    elements: str
    default: []
  pipeline_secret_files:
    description:
      - Files on the node that hold secrets of pipelines, in whatever format. A bootstrap token must not be among them.
    type: list
    elements: path
    default: []
  token:
    description:
      - A bootstrap token to look for even where none of O(paths) holds it any more, such as the former one after a rotation.
    type: str
  fingerprints:
    description:
      - Fingerprints of tokens to look for. That is how a token is found after everybody has lost it, with the fingerprint from an earlier result or report.
      - In O(paths) and in all O(places), each word with the shape of a token is compared. What is given as the token there is compared in any shape.
      - Where one is found, the finding is an error.
    type: list
    elements: str
    default: []
  exposure:
    description:
      - Look for tokens in O(places).
    type: bool
    default: true
  places:
    description:
      - Where to look for tokens, besides O(paths) and O(pipeline_secret_files).
      - V(processes) are command lines and environments. V(units) are the files in O(systemd_unit_directories). V(neighbours) are the files beside O(paths).
      - V(histories) are those of the shells and interactive programs of all accounts.
      - V(profiles) is what sessions begin with, such as C(/etc/environment), C(/etc/profile.d), and the startup files of all accounts.
      - V(defaults) are C(/etc/default), C(/etc/sysconfig), C(/etc/conf.d), C(/etc/init.d), and settings of sudo, supervisor, NetworkManager and the kubelet.
      - V(cron) are the jobs of cron and at, of the system and of accounts.
      - V(ansible) are the temporary files that runs of Ansible left behind. The directories of runs that are at work are passed over.
      - V(cloud_init) is what the machine was created with, such as user data, scripts, and cloud-init's logs, also what is in there in base64 and compressed.
      - V(copies) are small files whose names tell of tokens or settings, in homes and in C(/usr/local/bin), all small files below C(/etc/expanso*),
        C(/opt/expanso*) and C(/srv/expanso*), files in C(/var/backups) without those of the package manager, and core dumps of the agent.
      - V(containers) are the settings of containers of Docker and Podman, those that are stopped too, and their logs.
      - V(temporary) are small files in C(/tmp), C(/var/tmp) and C(/dev/shm).
      - V(logs) are the files below C(/var/log), also compressed by gzip, bzip2 or xz, mails, and what terminals recorded.
      - V(journal) are the messages and command lines that C(journalctl) prints.
    type: list
    elements: str
    choices: [processes, units, neighbours, histories, profiles, defaults, cron, ansible, cloud_init, copies, containers, temporary, logs, journal]
    default: [processes, units, neighbours, histories, profiles, defaults, cron, ansible, cloud_init, copies, containers, temporary, logs, journal]
  agent_binary:
    description:
      - Programs of the agent. They alone may have a token in their environment.
    type: list
    elements: path
    default:
      - /usr/local/bin/expanso-edge
  systemd_unit_directories:
    description:
      - Directories where systemd finds units and drop-ins. They are searched with all directories below.
    type: list
    elements: path
    default:
      - /etc/systemd/system
      - /etc/systemd/system.control
      - /etc/systemd/user
      - /run/systemd/system
      - /run/systemd/system.control
      - /run/systemd/transient
      - /run/systemd/generator
      - /usr/local/lib/systemd/system
      - /usr/lib/systemd/system
      - /usr/lib/systemd/user
      - /lib/systemd/system
notes:
  - Run it as root (C(become=true)). Other accounts see only part of it. What they could not read is a finding.
  - The search is bounded, by 16 MiB of a file, 5000 files of a directory, 256 MiB and 20 seconds of the journal, and 60 seconds in all. Of more than 21
    findings of a kind, the number is reported. What was left out is a finding, too.
  - Network file systems, those that are mounted on demand, and those of FUSE are not touched. Symbolic links in homes are followed within the same home only.
    The times of last access stay as they are where the kernel permits that.
  - The processes that run this module are not looked at, nor is the run of Ansible on the same node that has the token in its own environment.
seealso:
  - module: expanso.edge.bootstrap_token
  - module: expanso.edge.edge_registration
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Audit the default files
  expanso.edge.bootstrap_token_info:
  become: true
  register: audit

- name: Refuse to go on where something is wrong
  ansible.builtin.assert:
    that: audit.error_count == 0
    fail_msg: "{{ findings | selectattr('severity', 'eq', 'error') | map(attribute='message') | join('; ') }}"
  vars:
    findings: "{{ audit.tokens | map(attribute='findings') | flatten }}"

- name: Audit the token of an agent that runs as an account of its own
  expanso.edge.bootstrap_token_info:
    paths:
      - /etc/expanso/bootstrap.token
    owner: expanso
    group: expanso
    max_age: 30
    pipeline_secret_files:
      - /etc/expanso/secrets.env
  become: true

- name: Say which nodes are stuck, and whether the agent runs
  expanso.edge.bootstrap_token_info:
    stuck_hours: 24
    units: [expanso-edge.service, expanso-edge-bootstrap.service]
  become: true

- name: Find a token that leaked, although nobody has it any more
  expanso.edge.bootstrap_token_info:
    fingerprints: [5d41402abc4b]
  become: true

- name: Make sure that the former token is nowhere on the node
  expanso.edge.bootstrap_token_info:
    token: "{{ former_token }}"
  become: true
"""

RETURN = r"""
tokens:
  description:
    - One entry for each of O(paths) in their order.
    - One more entry follows, with RV(tokens[].path=null), where O(token) is given and none of the files holds it.
  type: list
  elements: dict
  returned: success
  contains:
    path:
      description: The file, V(null) for O(token).
      type: str
    place:
      description: The same as RV(tokens[].path). Modules that audit other deliveries return their own places here.
      type: str
    exists:
      description: Whether there is anything at the path, V(null) where it is unknown.
      type: bool
    state:
      description: What is at the path, V(unknown) where it is unknown. V(null) for O(token).
      type: str
      choices: [file, absent, link, directory, other, unknown]
    owner:
      description: Account that it belongs to.
      type: str
    group:
      description: Group that it belongs to.
      type: str
    mode:
      description: Permissions as an octal string.
      type: str
      sample: '0600'
    size:
      description: Size in bytes.
      type: int
    age_days:
      description: Whole days since it was written.
      type: int
    format:
      description: V(raw) for the token alone, V(env) for an environment file, V(encrypted) for a credential, V(null) where nothing could be read.
      type: str
      choices: [raw, env, encrypted]
    token_kind:
      description: What the token looks like, V(null) where there is no usable one.
      type: str
      choices: [bootstrap_key, jwt, opaque]
    fingerprint:
      description: Twelve hexadecimal digits that tell which token it is, the same that M(expanso.edge.bootstrap_token) returns.
      type: str
      sample: 5d41402abc4b
    expires_at:
      description: When the token expires or expired, in ISO 8601 and UTC, V(null) where it does not tell.
      type: str
      sample: '2027-01-31T00:00:00Z'
    label:
      description: The label of the token in the enrolment record of the node.
      type: str
    registered:
      description: Whether the node is registered, V(null) where it is unknown.
      type: bool
    marker:
      description: The registration marker that exists.
      type: str
    findings:
      description: What a person should know, errors first.
      type: list
      elements: dict
      contains:
        code:
          description:
            - Stable name of the finding.
            - "About the file: V(token_not_found), V(not_readable), V(permission_denied), V(not_regular_file), V(symbolic_link), V(hard_link),
              V(mode_too_wide), V(wrong_owner), V(wrong_group), V(account_missing), V(acl_grants_access), V(directory_writable), V(temporary_file)."
            - "About what is in it: V(empty), V(whitespace), V(line_break), V(control_character), V(bom), V(not_ascii), V(api_key),
              V(path), V(url), V(placeholder), V(masked), V(vault_text), V(template), V(quoted), V(assignment), V(truncated), V(malformed_key),
              V(too_short), V(too_long), V(no_text), V(expired), V(unknown_shape), V(variable_missing), V(trailing_newline)."
            - "About its life: V(left_over), V(registration_unknown), V(too_old), V(not_registered_in_time)."
            - "About a token that O(fingerprints) ask for, in one of O(paths): V(sought_token). Elsewhere, it is a finding about that place."
            - "About a credential in O(encrypted_paths): V(not_decrypted)."
            - "About other places: V(token_in_arguments), V(token_in_environment), V(token_in_unit), V(copy_readable), V(copy), V(pipeline_secret),
              V(pipeline_unknown), V(token_in_history), V(token_in_profile), V(token_in_defaults), V(token_in_cron), V(token_in_ansible_files),
              V(token_in_cloud_init), V(token_in_container), V(token_in_temporary_file), V(token_in_log), V(token_in_journal), V(exposure_incomplete)."
            - "About the node: V(agent_not_running), V(bootstrap_failed), V(units_unknown), V(record_damaged), V(record_not_readable)."
          type: str
        severity:
          description:
            - V(error) where the agent cannot use the token, or others may know it or replace it.
            - V(warning) where something should be cleaned up.
            - V(info) where nothing has to be done.
          type: str
          choices: [error, warning, info]
        message:
          description: What is wrong, and where.
          type: str
        remedy:
          description: What to do.
          type: str
        place:
          description:
            - Where it is, a path in most cases. V(arguments) and V(environment) stand for processes, V(the journal) for that.
            - V(null) where the finding is about no single place.
          type: str
        fingerprint:
          description: Which token it is about, V(null) where that is unknown, or it is about no token.
          type: str
node:
  description: What was found out about the node.
  type: dict
  returned: success
  contains:
    registered:
      description: Whether the node is registered, V(null) where it is unknown.
      type: bool
    marker:
      description: The registration marker that exists.
      type: str
    registered_at:
      description: When that was written, in ISO 8601 and UTC.
      type: str
      sample: '2026-11-30T10:00:00Z'
    record:
      description: The enrolment record in O(data_dir), oldest entry first, V(null) where there is none, or it cannot be read.
      type: list
      elements: dict
      contains:
        fingerprint:
          description: Which token the node was given.
          type: str
        kind:
          description: What the token looked like.
          type: str
        label:
          description: What people call it.
          type: str
        delivery:
          description: How it came to the node.
          type: str
        written_at:
          description: When, in ISO 8601 and UTC.
          type: str
        run_id:
          description: The run that brought it.
          type: str
        job_id:
          description: The job of AWX or Tower that this run belonged to.
          type: str
        collection_version:
          description: The version of this collection that wrote it.
          type: str
    units:
      description: The state of O(units), empty where systemd does not tell.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the unit.
          type: str
        load_state:
          description: Whether systemd knows the unit, such as V(loaded) or V(not-found).
          type: str
        active_state:
          description: Its state.
          type: str
        sub_state:
          description: Its state in more detail.
          type: str
        enabled:
          description: Whether it is enabled, V(null) where there is no such unit.
          type: bool
    time:
      description: The time that the node's clock showed at the end, in ISO 8601 and UTC.
      type: str
      sample: '2026-11-30T10:00:00.123456Z'
    findings:
      description:
        - Findings about the node itself, and about tokens in O(places) that no entry of RV(tokens) is about. They look like RV(tokens[].findings).
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

import os
from typing import Any, Dict, Optional

from ansible_collections.expanso.edge.plugins.module_utils._archive import compile_once

compile_once()  # before the other imports, which it makes cheaper

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import SEVERITIES
from ansible_collections.expanso.edge.plugins.module_utils._audit.inspection import policy_from_params
from ansible_collections.expanso.edge.plugins.module_utils._audit.node import ask_units, clock, findings_of_units, read_record, registered_at, unit_names
from ansible_collections.expanso.edge.plugins.module_utils._audit.places import CHOICES
from ansible_collections.expanso.edge.plugins.module_utils._audit.subjects import add_life, describe, look_elsewhere, shown, subjects
from ansible_collections.expanso.edge.plugins.module_utils._credential import NAME, CredentialError, decrypt
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._registration import ARGUMENT_SPEC

UNIT_DIRECTORIES = [
    "/etc/systemd/system",
    "/etc/systemd/system.control",
    "/etc/systemd/user",
    "/run/systemd/system",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/usr/lib/systemd/user",
    "/lib/systemd/system",
]


def check_options(module: EdgeModule) -> Dict[str, Any]:
    """Return the options, in their plainest form.

    :raises OptionError: one has an impossible value
    """
    _checks.plain_options(module.argument_spec, module.params)
    params = module.params
    for name in ("paths", "encrypted_paths"):
        params[name] = [os.path.normpath(_checks.absolute(path, name)) for path in params[name]]
    params["paths"] += [path for path in params["encrypted_paths"] if path not in params["paths"]]
    params["fingerprints"] = [_checks.fingerprint(each, "fingerprints") for each in params["fingerprints"]]
    for name in ("max_age", "stuck_hours"):
        _checks.number_of(params[name], name)
    unit_names(params["units"])
    _checks.name(params["credential_name"], "credential_name")
    return params


def audit(module: EdgeModule) -> Dict[str, Any]:
    params = check_options(module)
    policy, common = policy_from_params(params)
    record, findings = read_record(params["data_dir"])
    units, about_units = ask_units(module, params["units"])

    def plain(data: bytes) -> Optional[str]:
        try:
            return decrypt(module, data, params["credential_name"])
        except CredentialError:
            return None

    found = subjects(params, policy, common, plain)
    findings += about_units + findings_of_units(units, policy.registered) + add_life(params, policy, record, found)
    secrets, elsewhere = look_elsewhere(params, policy, found, module.get_bin_path("journalctl"))
    findings += elsewhere + ([] if found else common)
    for secret in secrets:
        module.learn(secret)
    entries = [describe(subject, policy, record, secrets) for subject in found]
    node = {
        "registered": policy.registered,
        "marker": policy.marker,
        "registered_at": registered_at(policy.marker),
        "record": None if record is None else [dict(each._asdict()) for each in record],
        "units": [unit.shown for unit in units],
        "findings": shown(findings, secrets),
        "time": clock(),  # as late as possible: it is compared with the clock of the controller
    }
    severities = [finding["severity"] for entry in [*entries, node] for finding in entry["findings"]]
    count = {severity: severities.count(severity) for severity in SEVERITIES}
    return {
        "changed": False,
        "tokens": entries,
        "node": node,
        "error_count": count["error"],
        "warning_count": count["warning"],
        "msg": f"bootstrap tokens audited: paths {len(params['paths'])}, errors {count['error']}, warnings {count['warning']}",
    }


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "default": ["/etc/expanso/bootstrap.token", "/etc/expanso/bootstrap.env"]},
            "encrypted_paths": {"type": "list", "elements": "path", "default": []},
            "credential_name": {"type": "str", "default": NAME},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            **ARGUMENT_SPEC,
            "max_age": {"type": "int"},
            "stuck_hours": {"type": "int"},
            "units": {"type": "list", "elements": "str", "default": []},
            "pipeline_secret_files": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "token": {"type": "str", "no_log": True},
            "fingerprints": {"type": "list", "elements": "str", "default": []},
            "exposure": {"type": "bool", "default": True},
            "places": {"type": "list", "elements": "str", "choices": list(CHOICES), "default": list(CHOICES)},
            "agent_binary": {"type": "list", "elements": "path", "default": ["/usr/local/bin/expanso-edge"]},
            "systemd_unit_directories": {"type": "list", "elements": "path", "default": UNIT_DIRECTORIES},
        },
        supports_check_mode=True,
    )
    module.execute(audit, "audit this node")


if __name__ == "__main__":
    main()
