# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notes in the audit trail what the module of this name changed."""

from __future__ import annotations

from ansible_collections.expanso.edge.plugins.plugin_utils._recorded_action import RecordedAction


class ActionModule(RecordedAction):
    """See :mod:`plugins.plugin_utils._recorded_action`."""
