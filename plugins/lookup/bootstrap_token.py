# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: bootstrap_token
short_description: Find the bootstrap token of a node and its source
version_added: 1.0.0
author:
  - Expanso Edge collection contributors (@expanso-io)
description:
  - Finds the bootstrap token for the current host. The host's own variable C(expanso_edge_token) takes precedence over the two job-wide sources,
    the controller's file that C(expanso_edge_token_file) names and the controller's environment variable E(EXPANSO_EDGE_BOOTSTRAP_TOKEN).
  - Two job-wide sources that hold different tokens are refused, because the lookup cannot determine which one is meant.
  - A token that is found is judged. A value that is clearly not a bootstrap token is refused. The message names the source and the fault, but never
    shows a character of the value.
  - If no source is set, the lookup returns an empty string and does not fail, because a registered node needs no token.
  - The controller's file may be encrypted with Ansible Vault. A file that is not encrypted and that other accounts of the controller may open gives a
    warning.
  - The modules M(expanso.edge.bootstrap_token), M(expanso.edge.swarm_secret) and M(expanso.edge.k8s_secret) find the token themselves if their task does
    not give one. This lookup is for other uses.
  - At verbosity 2 and higher it shows which source it used.
options:
  _terms:
    description: The lookup takes no terms.
  want:
    description:
      - V(token) returns the token.
      - V(source) returns, in words and without the token, where the token comes from, or which sources were checked without success.
      - V(both) returns a dictionary with C(token) and C(source), and asks the source only one time.
    type: str
    choices: [token, source, both]
    default: token
  strict:
    description: Refuse a token that is neither a bootstrap key (C(exp_bk_...)) nor a JWT.
    type: bool
    default: false
  judge:
    description:
      - Judge the token on the controller. With V(false) the token is returned as it was found, so that M(expanso.edge.bootstrap_token) can judge it on the
        node. Only the node knows whether it is registered; then even an expired token is not an error.
      - With V(false) a source that cannot be used gives an empty string, and the reason instead of the name of the source. The module shows that reason
        if the node needs a token.
    type: bool
    default: true
notes:
  - Each use of this lookup asks the source again. For a source that answers only one time, use O(want=both), or let the modules find the token.
  - Pass the result only to an option that is marked as secret, such as O(expanso.edge.bootstrap_token#module:token). C(set_fact), C(debug), C(copy)
    and C(environment) print it.
seealso:
  - module: expanso.edge.bootstrap_token
"""

EXAMPLES = r"""
- name: Register the node with its token
  expanso.edge.edge_registration:
    token: "{{ lookup('expanso.edge.bootstrap_token') }}"

- name: Stop if there is no token
  ansible.builtin.assert:
    that: (lookup('expanso.edge.bootstrap_token', want='both')).token | length > 0
    quiet: true
"""

RETURN = r"""
_raw:
  description: One string, the token or the name of its source, or with O(want=both) one dictionary.
  type: list
  elements: raw
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, judge
from ansible_collections.expanso.edge.plugins.plugin_utils._rendering import reader
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import Found, SourceError, decrypter, resolve

display = Display()


class LookupModule(LookupBase):
    """Thin shell over :mod:`plugins.plugin_utils._sources` and :func:`judge`."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleLookupError("expanso.edge.bootstrap_token takes no terms: the sources are variables and the environment")
        variables = variables or {}
        want, judging = self.get_option("want"), self.get_option("judge")
        host = variables.get("inventory_hostname", "localhost")
        found, fault = self._find(variables)
        if fault and want != "source" and judging:
            raise AnsibleLookupError(f"bootstrap token for {host}: {fault}")
        if found.warning:
            display.warning(found.warning)
        display.vv(f"bootstrap token for {host}: {found.source}")
        if want == "source":
            return [found.described]
        token = found.token or ""
        if found.token is not None and judging:
            try:
                token = judge(found.token, strict=self.get_option("strict")).value
            except TokenFault as exc:
                fault = exc.message
            if fault:  # outside the handler, so that nothing is chained
                raise AnsibleLookupError(f"bootstrap token for {host}: {found.source}: {fault}")
        return [{"token": token, "source": found.described} if want == "both" else token]

    def _find(self, variables: dict[str, Any]) -> tuple[Found, str]:
        """Return what was found, and why a source cannot be used or an empty text."""
        try:
            return resolve(reader(self._templar, variables), decrypt=decrypter(self._loader)), ""
        except SourceError as exc:
            return Found(None, str(exc)), str(exc)
