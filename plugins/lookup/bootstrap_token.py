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
  - The controller's file may be encrypted with Ansible Vault. One that is not, and that other accounts of the controller may open, gives a warning.
  - The modules M(expanso.edge.bootstrap_token), M(expanso.edge.swarm_secret) and M(expanso.edge.k8s_secret) find the token themselves where they
    are given none. This lookup is for other uses.
  - At verbosity 2 and higher it says which source it used.
options:
  _terms:
    description: There are none.
  want:
    description:
      - V(token) returns the token.
      - V(source) returns, in words and without the token, where it comes from, or which places were looked at in vain.
      - V(both) returns a dictionary of both, C(token) and C(source), and asks the source once for it.
    type: str
    choices: [token, source, both]
    default: token
  strict:
    description: Refuse a token that is neither a bootstrap key (C(exp_bk_...)) nor a JWT.
    type: bool
    default: false
  judge:
    description:
      - Judge the token here. Otherwise a token is passed on as it was found, for M(expanso.edge.bootstrap_token) to judge it on the node,
        which alone knows whether it is registered and needs none. A token that expired since then is no error there.
      - A source that cannot be used gives an empty string then, and its name tells why, for the module to say where a token is needed.
    type: bool
    default: true
notes:
  - Each use of this lookup asks the source anew. For a source that answers once, use O(want=both), or leave it to the modules.
  - Pass the result to an option that is marked as secret, as O(expanso.edge.bootstrap_token#module:token) is. C(set_fact), C(debug), C(copy)
    and C(environment) print it.
seealso:
  - module: expanso.edge.bootstrap_token
"""

EXAMPLES = r"""
- name: Register the node with the token that counts for it
  expanso.edge.edge_registration:
    token: "{{ lookup('expanso.edge.bootstrap_token') }}"

- name: Refuse to go on without a token
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
        """Return what was found, and why a source cannot be used where that is so."""
        try:
            return resolve(reader(self._templar, variables), decrypt=decrypter(self._loader)), ""
        except SourceError as exc:
            return Found(None, str(exc)), str(exc)
