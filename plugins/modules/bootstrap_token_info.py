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
    in copies beside the file, and among pipeline secrets.
  - Changes nothing, and never shows a character of a token. What is wrong is a finding, so the module fails only for options with impossible values.
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.read_only
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
  exposure:
    description:
      - Look for the tokens in processes, systemd units, and files beside O(paths).
    type: bool
    default: true
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
  - The search is bounded, by 16 MiB of a file, 5000 files of a directory, and 60 seconds. Of more than 21
    findings of a kind, the number is reported. What was left out is a finding, too.
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
      description: V(raw) for the token alone, V(env) for an environment file, V(null) where nothing could be read.
      type: str
      choices: [raw, env]
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
            - "About its life: V(left_over), V(registration_unknown), V(too_old)."
            - "About other places: V(token_in_arguments), V(token_in_environment), V(token_in_unit), V(copy_readable), V(copy), V(pipeline_secret),
              V(pipeline_unknown), V(exposure_incomplete)."
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
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._account import group_name, user_name
from ansible_collections.expanso.edge.plugins.module_utils._audit.exposure import (
    Forms,
    Place,
    backups,
    pipeline_files,
    processes,
    search,
    searchable_encodings,
    siblings,
    units,
)
from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import (
    SEVERITIES,
    Content,
    Facts,
    Finding,
    Policy,
    age_days,
    findings_for,
    parse_content,
)
from ansible_collections.expanso.edge.plugins.module_utils._audit.inspection import inspect_path, policy_from_params
from ansible_collections.expanso.edge.plugins.module_utils._audit.reports import report, report_backups, report_unread
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._registration import ARGUMENT_SPEC
from ansible_collections.expanso.edge.plugins.module_utils._secrets import PIECE, mask, visible

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


class Subject(NamedTuple):
    """A path, or the token that was given, with all that is known of it."""

    path: Optional[str]
    facts: Optional[Facts]
    content: Optional[Content]
    findings: List[Finding]

    def secrets(self) -> Tuple[str, ...]:
        return tuple(each for each in self.content.secrets if len(each) >= PIECE) if self.content else ()


def subjects(params: Dict[str, Any], policy: Policy, common: List[Finding]) -> List[Subject]:
    """Look at every path, and add the token that was given where none of them holds it."""
    facts = [inspect_path(path, policy) for path in params["paths"]]
    contents = [None if each.data is None else parse_content(each.path, each.data, policy.now) for each in facts]
    elsewhere = any(each.state != "absent" for each in facts)
    found = [Subject(each.path, each, content, common + findings_for(each, content, policy, elsewhere)) for each, content in zip(facts, contents)]
    if params["token"]:
        given = parse_content("", params["token"].encode("utf-8", "surrogateescape"), policy.now)
        held = [secret for content in contents if content for secret in content.secrets]
        if not given.secrets and given.fault:
            message = f"the token that was given is not looked for: {given.fault.message}"
            found.append(Subject(None, None, given, [Finding(given.fault.code, "info", message, "give a token to look for")]))
        elif not set(given.secrets).issubset(held):
            found.append(Subject(None, None, given, []))
    return found


def places(params: Dict[str, Any], policy: Policy, tokens: Dict[str, Forms]) -> Iterator[Place]:
    """Return all places where the tokens must not be."""
    yield from pipeline_files(params["pipeline_secret_files"])
    if params["exposure"]:
        yield from processes(tuple(form for wanted in tokens.values() for form in wanted), params["agent_binary"])
        yield from units(params["systemd_unit_directories"], params["paths"])
        yield from siblings(params["paths"], policy)


def exposure(params: Dict[str, Any], policy: Policy, found: List[Subject]) -> Dict[str, Forms]:
    """Add to each subject where else its token is. Return the tokens that were looked for."""
    tokens = {secret: searchable_encodings(secret) for subject in found for secret in subject.secrets()}
    hits, unread = search(places(params, policy, tokens) if tokens else (), tokens)
    for subject in found:
        elsewhere = {place for secret in subject.secrets() for place in hits[secret]}
        subject.findings.extend(report(sorted(elsewhere)))
        if subject.secrets():
            subject.findings.extend(report_unread(unread))
        elif subject.content and subject.content.secrets:
            message = f"the token is not looked for elsewhere: it has less than {PIECE} characters, and would be found by chance"
            subject.findings.append(Finding("exposure_incomplete", "info", message, "make sure that it is a bootstrap token, and a whole one"))
        if params["exposure"] and subject.path:
            known = {place.name for place in elsewhere}
            subject.findings.extend(report_backups([each for each in backups(subject.path, policy) if each.name not in known], subject.path))
    return tokens


def describe(subject: Subject, policy: Policy, tokens: Iterable[str]) -> Dict[str, Any]:
    """Return the entry of a subject."""
    facts, content = subject.facts or Facts("", "unknown"), subject.content
    attributes, token = facts.attributes, content.token if content else None
    findings = [finding._asdict() for finding in sorted(subject.findings, key=lambda each: SEVERITIES.index(each.severity))]
    for finding in findings:
        # a file may be named after its token, or so that it breaks a terminal
        finding.update({key: mask(visible(finding[key]), *tokens) for key in ("message", "remedy")})
    return {
        "path": subject.path,
        "exists": None if facts.state == "unknown" else facts.state != "absent",
        "state": subject.facts and facts.state,
        "owner": attributes and user_name(attributes.uid),
        "group": attributes and group_name(attributes.gid),
        "mode": attributes and f"{attributes.mode:04o}",
        "size": facts.size,
        "age_days": age_days(facts, policy.now),
        "format": content.format if content and subject.path else None,
        "token_kind": token and token.kind,
        "fingerprint": token and token.fingerprint,
        "expires_at": token and token.expires_at,
        "registered": policy.registered,
        "marker": policy.marker,
        "findings": findings,
    }


def audit(module: EdgeModule) -> Dict[str, Any]:
    _checks.plain_options(module.argument_spec, module.params)
    params = module.params
    params["paths"] = [os.path.normpath(_checks.absolute(path, "paths")) for path in params["paths"]]
    policy, common = policy_from_params(params)
    found = subjects(params, policy, common)
    tokens = exposure(params, policy, found)
    for token in tokens:
        module.learn(token)
    entries = [describe(subject, policy, tokens) for subject in found]
    count = {severity: sum(f["severity"] == severity for entry in entries for f in entry["findings"]) for severity in SEVERITIES}
    return {
        "changed": False,
        "tokens": entries,
        "error_count": count["error"],
        "warning_count": count["warning"],
        "msg": f"bootstrap tokens audited: paths {len(params['paths'])}, errors {count['error']}, warnings {count['warning']}",
    }


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "default": ["/etc/expanso/bootstrap.token", "/etc/expanso/bootstrap.env"]},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            **ARGUMENT_SPEC,
            "max_age": {"type": "int"},
            "pipeline_secret_files": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "token": {"type": "str", "no_log": True},
            "exposure": {"type": "bool", "default": True},
            "agent_binary": {"type": "list", "elements": "path", "default": ["/usr/local/bin/expanso-edge"]},
            "systemd_unit_directories": {"type": "list", "elements": "path", "default": UNIT_DIRECTORIES},
        },
        supports_check_mode=True,
    )
    module.execute(audit, "audit this node")


if __name__ == "__main__":
    main()
