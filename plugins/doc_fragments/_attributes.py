# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later


class ModuleDocFragment:
    """What every module of the collection says of itself."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: Linux
"""

    READ_ONLY = r"""
options: {}
attributes:
  check_mode:
    details:
      - This module does not modify state.
  diff_mode:
    support: N/A
    details:
      - This module does not modify state.
  idempotent:
    details:
      - This module does not modify state.
"""

    ACTION_GROUP_K8S = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/expanso.edge.k8s) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - expanso.edge.k8s
"""

    ACTION_GROUP_NODE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/expanso.edge.node) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - expanso.edge.node
"""
