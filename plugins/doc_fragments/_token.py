# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later


class ModuleDocFragment:
    """The token of a task, the same for every delivery: the options of :data:`_decision.ARGUMENT_SPEC`."""

    DOCUMENTATION = r"""
options:
  token:
    description:
      - The bootstrap token, exactly. Nothing is trimmed.
      - Needed where the agent is not registered and no usable token is held. A registered agent never fails for its token. One that cannot be used
        counts as none there, and RV(msg) says what is wrong with it.
      - If not given, the module's action on the controller finds it, one time, as the lookup P(expanso.edge.bootstrap_token#lookup) does. With
        C(expanso_edge_token_on_demand=true) it does so only where the module's first answer is that it needs a token.
    type: str
  token_source:
    description:
      - Where O(token) comes from, or which places were searched without success. Shown in messages, not secret.
      - Set by the module's action where O(token) is not given.
    type: str
  strict:
    description: Refuse a token that is neither a bootstrap key (C(exp_bk_...)) nor a JWT.
    type: bool
    default: false
  remove_when_registered:
    description: Remove the token as soon as the agent is registered. It is valuable, and no longer needed.
    type: bool
    default: false
  replaces:
    description:
      - Fingerprint of the token that has to be held here, or V(none) if no token may be held. If another one is held, or a registered node needs no token,
        the module fails with RV(fault) V(held_differs) or V(registered_since) and changes nothing.
      - A place that holds O(token) already, and a node that was enrolled with it according to its enrolment record, are as they should be.
      - By default nothing is compared. The playbook C(expanso.edge.rotate) sets this option when it carries out a plan.
    type: str
    version_added: 1.1.0
"""
