# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a task that brings the token also registers the node, and what it returns then."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._following_registration import combined, options, refusal

ARGS = {"path": "/etc/token", "data_dir": "/data", "registration_markers": None, "remove_when_registered": "yes", "owner": "root"}
DELIVERED = {"action": "written", "changed": True, "registered": False, "reregister": False, "record": None, "msg": "token written to /etc/token"}


@pytest.mark.parametrize(
    ("registration", "given"),
    [
        ({}, None),
        (None, None),
        ({"enabled": "no", "binary": "/bin/agent"}, None),
        ({"enabled": "yes"}, {}),
        ({"binary": "/bin/agent", "group": "", "config_file": None}, {"binary": "/bin/agent"}),
    ],
)
def test_a_registration_has_to_be_asked_for(registration: dict[str, Any] | None, given: dict[str, Any] | None) -> None:
    found = options({**ARGS, "registration": registration}, DELIVERED)
    rest = {"token_file": "/etc/token", "data_dir": "/data", "remove_token_file": "yes", "reregister": False}
    assert found == (None if given is None else {**rest, **given})


@pytest.mark.parametrize(
    ("delivered", "reregister"),
    [
        ({}, False),
        ({"action": "kept", "changed": False}, False),
        ({"registered": True}, None),
        ({"registered": True, "reregister": True}, True),
        ({"failed": True}, None),
    ],
)
def test_only_a_node_that_needs_it_is_registered(delivered: dict[str, Any], reregister: bool | None) -> None:
    found = options({**ARGS, "registration": {"binary": "/bin/agent"}}, {**DELIVERED, **delivered})
    assert (found and found["reregister"]) == reregister


@pytest.mark.parametrize("odd", [{}, {"registered": [], "reregister": {}}, {"registered": "no", "reregister": 1, "msg": 5, "warnings": "odd", "changed": {}}])
def test_a_node_may_answer_anything(odd: dict[str, Any]) -> None:
    found = options({**ARGS, "registration": {"binary": "/bin/agent"}}, odd)
    assert found is None or found["reregister"] is False
    for delivered, registered in ((odd, {"msg": "registered", "changed": True}), (DELIVERED, odd), (odd, {**odd, "failed": True})):
        assert combined(delivered, registered)["changed"] in (True, False)


def test_nothing_is_registered_where_the_token_is_removed() -> None:
    assert options({**ARGS, "state": "absent", "registration": {"binary": "/bin/agent"}}, DELIVERED) is None


def test_one_result_tells_of_both() -> None:
    registered = {"changed": True, "registered": True, "record": {"kind": "jwt"}, "msg": "registered", "invocation": {}, "warnings": ["slow"]}
    result = combined({**DELIVERED, "changed": False, "warnings": ["open"]}, registered)
    assert result["changed"] and result["registered"] and result["record"] == {"kind": "jwt"}
    assert (result["msg"], result["warnings"]) == ("token written to /etc/token; registered", ["open", "slow"])
    assert result["registration"] == {"changed": True, "registered": True, "record": {"kind": "jwt"}, "msg": "registered"}


def test_a_registration_that_failed_is_the_failure_of_the_task() -> None:
    result = combined(DELIVERED, {"failed": True, "msg": "refused", "fault": "expired"})
    assert (result["failed"], result["changed"], result["msg"], result["fault"]) == (True, True, "refused", "expired")
    assert not result["registered"]


@pytest.mark.parametrize(
    ("registration", "in_background", "message"),
    [
        (None, True, ""),
        ({"binary": "/bin/agent"}, False, ""),
        ({"binary": "/bin/agent"}, True, "it is impossible with async"),
        ("binary=/bin/agent", False, "option registration is not a dictionary"),
        (["/bin/agent"], False, "option registration is not a dictionary"),
    ],
)
def test_a_registration_that_cannot_follow_is_refused_first(registration: Any, in_background: bool, message: str) -> None:
    refused = refusal({**ARGS, "registration": registration}, in_background)
    assert message in refused and bool(message) == bool(refused)
