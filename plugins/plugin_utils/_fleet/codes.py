# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The codes of all findings that an audit can have. A unit test compares them with what the modules document. Pure."""

from __future__ import annotations

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.compare import OF_ALL

OF_NODES = (
    "account_missing", "acl_grants_access", "agent_not_running", "api_key", "assignment", "being_removed", "bom", "bootstrap_failed", "control_character",
    "copy", "copy_readable", "deployment_not_found", "deployment_unavailable", "directory_writable", "empty", "expired", "exposure_incomplete",
    "foreign_secret", "foreign_service", "hard_link", "key_missing", "left_over", "line_break", "malformed_key", "masked", "mode_too_wide", "no_text",
    "not_ascii", "not_decrypted", "not_readable", "not_registered_in_time", "not_regular_file", "old_version_in_use", "path", "permission_denied",
    "pipeline_secret", "pipeline_unknown", "placeholder", "quoted", "record_damaged", "record_not_readable", "registration_unknown", "service_not_found",
    "service_not_running", "service_update_failed", "sought_token", "symbolic_link", "template", "temporary_file", "token_in_annotation",
    "token_in_ansible_files", "token_in_arguments", "token_in_cloud_init", "token_in_config", "token_in_container", "token_in_cron", "token_in_defaults",
    "token_in_environment", "token_in_history", "token_in_journal", "token_in_labels", "token_in_log", "token_in_profile", "token_in_temporary_file",
    "token_in_unit", "token_not_found", "too_long", "too_old", "too_short", "trailing_newline", "truncated", "units_unknown", "unknown_shape", "url",
    "used_by_others", "variable_missing", "vault_text", "whitespace", "wrong_group", "wrong_owner", "wrong_type",
)  # fmt: skip
"""What the modules find that are asked on nodes, in swarms and in clusters."""

KNOWN = frozenset((*OF_NODES, *OF_ALL))
