# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the summaries of the playbooks take from messages, and what they show of a delivery that does not exist."""

from __future__ import annotations

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._job import delivery_problem
from ansible_collections.expanso.edge.plugins.plugin_utils._summary import first_line

FAULT = "systemd_service_data_dir: 'a b' cannot be used in a systemd unit"
FILTER = "The filter plugin 'expanso.edge.unit_word' failed: "
NEW = "Task failed: Finalization of task args for 'expanso.edge.systemd_units' failed: Error while resolving value for 'units': "
OLD = "An unhandled exception occurred while templating '{{ x }}'. Error was a <class 'ansible.errors.AnsibleFilterError'>, original message: "


@pytest.mark.parametrize("before", ["", FILTER, NEW + FILTER, OLD, f"{OLD}{OLD}"])
def test_a_wrong_value_without_what_ansible_puts_before_it(before: str) -> None:
    assert first_line(before + FAULT) == FAULT
    assert first_line(f"{before}{FAULT}. {FAULT}") == FAULT


def test_a_filter_of_another_collection_is_named() -> None:
    other = "The filter plugin 'ansible.builtin.to_uuid' failed: no text"
    assert first_line(NEW + other) == NEW + other


@pytest.mark.parametrize(
    ("delivery", "shown"),
    [
        ("by post", "is 'by post'"),
        ("", "is empty"),
        (None, "is empty"),
        ("exp_bk_abcdefghijklmnop", "has a value that is not shown"),
        ("qwrtzpsdfghjklxc", "has a value that is not shown"),
        ({"a": 1}, "has a value that is not shown"),
    ],
)
def test_an_unknown_delivery_is_shown_only_if_it_cannot_be_a_token(delivery: object, shown: str) -> None:
    assert delivery_problem({"expanso_edge_delivery": delivery}).startswith(f"variable expanso_edge_delivery {shown}, but must name one or more of token_file")
