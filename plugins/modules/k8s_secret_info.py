#!/usr/bin/python
# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: k8s_secret_info
short_description: Audit the bootstrap tokens of a Kubernetes namespace
version_added: 1.1.0
description:
  - Looks at the Secrets that M(expanso.edge.k8s_secret) manages, at the agent that registers with them, and at other objects of the namespace where a
    token can be read.
  - Changes nothing. A token is never returned, only its fingerprint.
  - The account has to be allowed to get the Secret, with O(immutable=true) to list Secrets. What else it is not allowed to look at is a finding,
    V(exposure_incomplete) or V(registration_unknown).
extends_documentation_fragment:
  - expanso.edge._attributes
  - expanso.edge._attributes.read_only
  - expanso.edge._attributes.action_group_k8s
  - expanso.edge._audit
  - expanso.edge._k8s
options:
  name:
    description: Name of the Secret.
    type: str
    required: true
  namespace:
    description: Namespace of the Secret.
    type: str
    required: true
  key:
    description: Key in the Secret's data that holds the token.
    type: str
    default: bootstrap.token
  immutable:
    description: Each token has a Secret of its own, with the token's fingerprint appended to O(name).
    type: bool
    default: false
  claim:
    description: Name of the PersistentVolumeClaim that holds the agent's data directory. An annotation of it says that there is an identity on it.
    type: str
  deployment:
    description: Name of the Deployment that runs the agent.
    type: str
notes:
  - In the Deployment, in its former templates and in annotations of the Secrets, whatever looks like a bootstrap token or a JWT is a finding. In ConfigMaps
    and other pods of the namespace it is a bootstrap key, or a token of the same fingerprint, and in other Secrets only the latter.
  - The search ends after 500 objects of a kind, and after 8 MiB of text. What was left out is a finding.
seealso:
  - module: expanso.edge.k8s_secret
  - module: expanso.edge.bootstrap_token_info
author:
  - Expanso Edge collection contributors (@expanso-io)
"""

EXAMPLES = r"""
- name: Audit the token of a namespace
  expanso.edge.k8s_secret_info:
    name: expanso-bootstrap-token
    namespace: expanso-system
    claim: expanso-edge-data
    deployment: expanso-edge
    max_age: 30
  delegate_to: localhost
  become: false
  register: audit
"""

RETURN = r"""
tokens:
  description:
    - One entry for each Secret, oldest first.
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
      sample: Secret expanso-system/expanso-bootstrap-token
    exists:
      description: Whether it exists.
      type: bool
    state:
      description: The same as a word.
      type: str
      choices: [present, absent]
    owner:
      description: Always V(null).
      type: str
    group:
      description: Always V(null).
      type: str
    mode:
      description: Always V(null).
      type: str
      sample: '0400'
    size:
      description: Size in bytes.
      type: int
    age_days:
      description: Whole days since it was written.
      type: int
    format:
      description: V(raw), the token alone. V(null) where there is none.
      type: str
      choices: [raw]
    token_kind:
      description: What the token looks like, V(null) where there is no usable one.
      type: str
      choices: [bootstrap_key, jwt, opaque]
    fingerprint:
      description: Twelve hexadecimal digits that tell which token it is, V(null) where that is unknown.
      type: str
      sample: 5d41402abc4b
    expires_at:
      description: When the token expires or expired, in ISO 8601 and UTC. V(null) where it does not say.
      type: str
      sample: '2027-01-31T00:00:00Z'
    label:
      description: Label of the token, from the enrolment record.
      type: str
    registered:
      description: Whether the volume of O(claim) is known to hold an identity, V(null) where that is unknown.
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
            - "About the Secret: V(token_not_found), V(key_missing), V(foreign_secret), V(wrong_type), V(being_removed), V(left_over), V(too_old),
              V(not_registered_in_time), V(token_in_annotation), V(trailing_newline), and the faults of a token as M(expanso.edge.bootstrap_token_info)
              returns them, such as V(expired) or V(whitespace)."
            - "About the Deployment: V(deployment_not_found), V(deployment_unavailable), V(registration_unknown), V(record_damaged)."
            - "About other places: V(token_in_environment), V(token_in_arguments), V(token_in_annotation), V(token_in_config), V(mode_too_wide),
              V(used_by_others), V(copy), V(exposure_incomplete)."
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
  description: The namespace and what is in it.
  type: dict
  returned: success
  contains:
    registered:
      description: Whether the volume of O(claim) is known to hold an identity, V(null) where that is unknown.
      type: bool
    marker:
      description: Always V(null).
      type: str
    registered_at:
      description: When the volume was marked as one that holds an identity, in ISO 8601 and UTC.
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
      description: O(deployment), where it is given.
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
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.expanso.edge.plugins.module_utils._audit.cluster import ARGUMENT_SPEC as AUDIT_OPTIONS
from ansible_collections.expanso.edge.plugins.module_utils._audit.cluster import Limits, checked_fingerprints, result
from ansible_collections.expanso.edge.plugins.module_utils._audit.k8s import Found, Subject, audit
from ansible_collections.expanso.edge.plugins.module_utils._audit.k8s_places import findings_elsewhere, search_for
from ansible_collections.expanso.edge.plugins.module_utils._cluster import reading
from ansible_collections.expanso.edge.plugins.module_utils._k8s_api import Api
from ansible_collections.expanso.edge.plugins.module_utils._k8s_connection import ARGUMENT_SPEC, ApiError
from ansible_collections.expanso.edge.plugins.module_utils._k8s_secret import FAMILY, check_key
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule

MOST = 500
"""Objects of a kind that are looked at."""


class Look:
    """What the API is asked, and what the account must not see."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.unseen: Dict[str, str] = {}

    def optional(self, kind: str, ask: Callable[[], Any]) -> Any:
        """Return an answer, None where the account is not allowed to ask. That is remembered."""
        try:
            return ask()
        except ApiError as exc:
            if exc.status != 403:
                raise
            self.unseen[kind] = str(exc)
            return None

    def one(self, kind: str, name: Optional[str]) -> Optional[Dict[str, Any]]:
        """Return an object, None where it does not exist or must not be seen."""
        found: Optional[Dict[str, Any]] = self.optional(kind, lambda: self.api.get(kind, self.namespace, name)) if name else None
        return found

    def all(self, kind: str) -> List[Dict[str, Any]]:
        """Return the objects of a kind, or some of very many."""
        found, complete = self.optional(kind, lambda: self.api.some(kind, self.namespace, MOST)) or ([], True)
        if not complete:
            self.unseen[kind] = f"there are more than {MOST}"
        return list(found)


def look(api: Api, subject: Subject) -> Found:
    """Ask the API for all that is looked at.

    :raises ApiError: it cannot be reached, or the account is not allowed to see the Secret
    """
    asked = Look(api, subject.namespace)
    secrets: Dict[str, Dict[str, Any]] = {}
    labels = f"{FAMILY}={subject.name}"
    own = api.find("Secret", subject.namespace, labels) if subject.immutable else [api.get("Secret", subject.namespace, subject.name)]
    for each in [*own, *asked.all("Secret")]:
        if each is not None:
            secrets.setdefault(each["metadata"]["name"], each)
    claim, deployment = asked.one("PersistentVolumeClaim", subject.claim), asked.one("Deployment", subject.deployment)
    replicasets = asked.all("ReplicaSet") if subject.deployment else []
    return Found(list(secrets.values()), claim, deployment, asked.all("ConfigMap"), asked.all("Pod"), asked.unseen, replicasets)


def work(module: EdgeModule) -> Dict[str, Any]:
    """Look at the namespace and return what is wrong."""
    params = module.params
    params["fingerprints"] = checked_fingerprints(params["fingerprints"])
    check_key(params["key"])
    claim, deployment = params["claim"] or None, params["deployment"] or None
    subject = Subject(params["namespace"], params["name"], params["key"], params["immutable"], claim, deployment)
    api = Api(module)
    found = look(api, subject)
    with reading(api.server, "an object"):
        limits = Limits(time.time(), params["max_age"], params["stuck_hours"])
        search = search_for(subject, found, params["fingerprints"], limits.now)
        audited = audit(subject, found, search, findings_elsewhere(subject, found, search), limits)
    for secret in audited.secrets:
        module.learn(secret)
    return result(audited, subject.place("Secret", subject.name))


def main() -> None:
    module = EdgeModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "key": {"type": "str", "default": "bootstrap.token", "no_log": False},
            "immutable": {"type": "bool", "default": False},
            "claim": {"type": "str"},
            "deployment": {"type": "str"},
            **AUDIT_OPTIONS,
            **ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    module.execute(work, "audit the namespace")


if __name__ == "__main__":
    main()
