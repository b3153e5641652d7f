# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later


class ModuleDocFragment:
    """Which tokens a removal is about: the options of :data:`_removal.ARGUMENT_SPEC`."""

    DOCUMENTATION = r"""
options:
  only_registered:
    description:
      - Remove the token only where the agent is registered and no longer needs it. Otherwise RV(action=kept), and RV(msg) says why.
      - Only for a removal, V(absent) or V(retired) of O(state).
    type: bool
    default: false
    version_added: 1.1.0
  fingerprint:
    description:
      - Remove only this token, by its fingerprint as results and reports show it. Other tokens are left where they are.
      - The token itself is not needed for this. If it cannot be determined whether a place holds the token, that is an error.
      - Only for a removal, V(absent) or V(retired) of O(state).
    type: str
    version_added: 1.1.0
"""
