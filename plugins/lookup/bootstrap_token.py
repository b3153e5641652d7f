# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: bootstrap_token
short_description: The bootstrap token of a node, from the one source that counts
version_added: 1.0.0
author:
  - Expanso Edge collection contributors (@expanso-io)
description:
  - Finds the bootstrap token for the current host. The host's own variable C(expanso_edge_token) wins over the two job-wide sources,
    the controller's file that C(expanso_edge_token_file) names and the controller's environment variable E(EXPANSO_EDGE_BOOTSTRAP_TOKEN).
  - Two job-wide sources that hold different tokens are refused, because nobody can tell which one was meant.
  - A token that is found is judged. What is certainly none is refused with a message that names source and fault, never a character of it.
  - No token at all is no error, and gives an empty string, because a node that is registered needs none.
  - At verbosity 2 and higher it says which source it used.
options:
  _terms:
    description: There are none.
  want:
    description:
      - V(token) returns the token.
      - V(source) returns, in words and without the token, where it comes from, or which places were looked at in vain.
    type: str
    choices: [token, source]
    default: token
  strict:
    description: Refuse a token that is neither a bootstrap key (C(exp_bk_...)) nor a JWT.
    type: bool
    default: false
  judge:
    description:
      - Judge the token here. Otherwise a token is passed on as it was found, for M(expanso.edge.bootstrap_token) to judge it on the node,
        which alone knows whether it is registered and needs none. A token that expired since then is no error there.
      - A source that cannot be used gives an empty string then, and O(want=source) tells why, for the module to say where a token is needed.
    type: bool
    default: true
notes:
  - Pass the result to an option that is marked as secret, as O(expanso.edge.bootstrap_token#module:token) is. C(set_fact), C(debug), C(copy)
    and C(environment) print it.
seealso:
  - module: expanso.edge.bootstrap_token
"""

EXAMPLES = r"""
- name: Put the token on the node
  expanso.edge.bootstrap_token:
    path: /etc/expanso/bootstrap.token
    token: "{{ lookup('expanso.edge.bootstrap_token') }}"
    token_source: "{{ lookup('expanso.edge.bootstrap_token', want='source') }}"
"""

RETURN = r"""
_raw:
  description: One string, the token or the name of its source.
  type: list
  elements: str
"""

import re
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.parsing.vault import AnsibleVaultError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, judge
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import TOKEN_VARIABLE, Found, SourceError, resolve

display = Display()


class LookupModule(LookupBase):
    """Thin shell over :mod:`plugins.plugin_utils._sources` and :func:`judge`."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleLookupError("expanso.edge.bootstrap_token takes no terms: the sources are variables and the environment")
        variables = variables or {}
        host = variables.get("inventory_hostname", "localhost")

        def variable(name: str) -> Any:
            raw = variables.get(name)
            if raw is None:
                return None
            try:
                value = self._templar.template(raw)
                str(value)  # a vaulted value is decrypted no sooner
                return value
            except Exception as exc:
                why = _why(exc, raw, name)
            # outside the handler, so that nothing is chained: Ansible's own message quotes the template and the lines around it
            raise SourceError(f"variable {name} {why}")

        try:
            found = resolve(variable)
        except SourceError as exc:
            if self.get_option("want") == "token" and self.get_option("judge"):
                raise AnsibleLookupError(f"bootstrap token for {host}: {exc}") from None
            found = Found(None, str(exc))
        display.vv(f"bootstrap token for {host}: {found.source}")
        if self.get_option("want") == "source":
            return [f"{found.source}, which is empty" if found.token == "" else found.source]
        if found.token is None or not self.get_option("judge"):
            return [found.token or ""]
        try:
            return [judge(found.token, strict=self.get_option("strict")).value]
        except TokenFault as exc:
            raise AnsibleLookupError(f"bootstrap token for {host}: {found.source}: {exc.message}") from None


def _why(fault: BaseException | None, raw: Any, name: str) -> str:
    """Say why a variable has no value, without a word of what it holds: a token may be what looks like a template."""
    while fault:
        # from 2.19 on it is a template error that says so
        if isinstance(fault, AnsibleVaultError) or "to decrypt" in str(fault) or "Decryption failed" in str(fault):
            return "cannot be decrypted: give Ansible the password of that vault"
        fault = fault.__cause__ or fault.__context__
    reference = re.fullmatch(r"\s*\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}\s*", raw) if isinstance(raw, str) else None
    if reference:
        return f"refers to {reference[1]}, which is not defined or cannot be templated"
    advice = ": a token that has braces of its own needs the tag !unsafe" if name == TOKEN_VARIABLE else ""
    return f"cannot be templated{advice}"
