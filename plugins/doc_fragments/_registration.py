# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later


class ModuleDocFragment:
    """How a module knows that a node is registered."""

    DOCUMENTATION = r"""
options:
  data_dir:
    description: The agent's data directory on the node. It holds the node's identity as soon as the node is registered.
    type: path
    default: /var/lib/expanso/edge
  registration_markers:
    description:
      - Absolute paths of files that the agent leaves when it has registered. A node where one of them exists needs no token.
        Each has to be a regular file, or a symbolic link to one.
      - By default those that versions of the agent are known to leave below O(data_dir), C(auth/credentials.creds),
        C(config.d/50-connection.yaml), C(config.d/50-registration.yaml) and C(identity).
    type: list
    elements: path
"""
