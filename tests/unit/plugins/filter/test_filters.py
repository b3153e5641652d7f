# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.filter.provision_summary import provision_summary
from ansible_collections.expanso.edge.plugins.filter.token_fingerprint import token_fingerprint
from ansible_collections.expanso.edge.plugins.filter.token_problems import token_problems
from ansible_collections.expanso.edge.plugins.test.bootstrap_token import bootstrap_token

ENVIRONMENT = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJub2RlIn0.c2lnbmF0dXJl"
EXPIRED = "eyJhbGciOiJFZERTQSJ9.eyJleHAiOjF9.c2lnbmF0dXJl"
KEY = "exp_bk_9f8e7d6c"


def test_fingerprint() -> None:
    assert len(token_fingerprint(KEY)) == 12
    with pytest.raises(AnsibleFilterError):
        token_fingerprint(None)


@pytest.mark.parametrize(("value", "result"), [(KEY, True), (JWT, True), ("9f8e7d6c", True), (EXPIRED, False), ("a b", False), (None, False), (7, False)])
def test_is_a_bootstrap_token(value: object, result: bool) -> None:
    assert bootstrap_token(value) is result


def test_is_a_bootstrap_token_strictly() -> None:
    assert bootstrap_token(KEY, strict=True) and not bootstrap_token("9f8e7d6c", strict=True)


class TestProblems:
    @pytest.mark.parametrize(
        ("hostvars", "environ"),
        [
            ({"a": {}, "b": {}}, {}),  # registered nodes need none
            ({"a": {}, "b": {}}, {ENVIRONMENT: KEY}),
            ({"a": {"expanso_edge_token": KEY}, "b": {"expanso_edge_token": KEY}}, {}),
            ({"a": {"expanso_edge_token": JWT}, "b": {}}, {ENVIRONMENT: KEY}),
            ({"a": {}}, {ENVIRONMENT: JWT}),
            ({"a": {"expanso_edge_token": "bad token"}, "b": {}}, {}),  # refused on that host, if it needs one
            ({"a": {"expanso_edge_token": KEY}}, {ENVIRONMENT: "bad token"}),  # nobody uses it
            ({"a": {"expanso_edge_token": EXPIRED}, "b": {"expanso_edge_token": EXPIRED}}, {}),
            ({}, {ENVIRONMENT: "bad token"}),
        ],
    )
    def test_none(self, hostvars: dict[str, dict[str, str]], environ: dict[str, str]) -> None:
        assert token_problems(list(hostvars), hostvars, environ) == []

    @pytest.mark.parametrize("token", ["bad token", "exp_ak_9f8e7d6c", EXPIRED, "$encrypted$"])
    def test_a_bad_job_wide_token(self, token: str) -> None:
        (problem,) = token_problems(["a", "b"], {"a": {}, "b": {}}, {ENVIRONMENT: token})
        assert problem.startswith(f"environment variable {ENVIRONMENT} on the controller: it ")
        assert token not in problem

    def test_a_file_that_is_named_and_missing(self) -> None:
        (problem,) = token_problems(["a"], {"a": {"expanso_edge_token_file": "/no/such/file"}}, {})
        assert "/no/such/file" in problem

    @pytest.mark.parametrize(
        ("hostvars", "environ"),
        [
            ({"a": {}, "b": {}}, {ENVIRONMENT: JWT}),
            ({"a": {"expanso_edge_token": JWT}, "b": {"expanso_edge_token": JWT}, "c": {"expanso_edge_token": KEY}}, {}),
            ({"a": {"expanso_edge_token": JWT}, "b": {}}, {ENVIRONMENT: JWT}),
        ],
    )
    def test_one_single_use_token_for_two(self, hostvars: dict[str, dict[str, str]], environ: dict[str, str]) -> None:
        (problem,) = token_problems(list(hostvars), hostvars, environ)
        assert "2 hosts (a, b)" in problem
        assert JWT not in problem

    def test_what_is_no_text_concerns_its_host_alone(self) -> None:
        assert token_problems(["a", "b"], {"a": {"expanso_edge_token": [KEY]}, "b": {"expanso_edge_token": KEY}}, {}) == []

    @pytest.mark.parametrize("delivery", [None, [], "", "expanso.edge.token_file", ["token_file", "nothing"], {"a": 1}])
    def test_a_delivery_that_there_is_not(self, delivery: object) -> None:
        (problem,) = token_problems(["a", "b"], {"a": {"expanso_edge_delivery": delivery}, "b": {"expanso_edge_delivery": ["token_file", "k8s_secret"]}}, {})
        assert problem.startswith("a: variable expanso_edge_delivery is ") and "token_file, systemd_service" in problem


class TestSummary:
    def test_check_mode_is_named(self) -> None:
        assert provision_summary(["a"], {"a": {}}, check=True)[0] == "1 node; check mode: this is what would become of them"

    def test_what_sudo_said_is_told(self) -> None:
        message = "Task failed: Premature end of stream.\n>>> Standard Error\nsudo: a password is required\n"
        lines = provision_summary(["a"], {"a": {"expanso_edge_failure": message}})
        assert lines[-1] == "    a: Task failed: Premature end of stream. sudo: a password is required"

    def test_each_outcome(self) -> None:
        actions = {"new": "written", "fixed": "repaired", "same": "kept", "old": "not_needed", "gone": "removed", "none": "absent"}
        hostvars: dict[str, dict[str, object]] = {host: {"token_file_result": {"action": action}} for host, action in actions.items()}
        hostvars["bad"] = {"expanso_edge_failure": "there is no account\n\nThe error appears to be in"}
        hostvars["off"] = {}
        assert provision_summary(list(hostvars), hostvars) == [
            "8 nodes",
            "  received a token: 1 (new)",
            "  kept the token, permissions corrected: 1 (fixed)",
            "  token removed: 1 (gone)",
            "  kept the token: 1 (same)",
            "  no token to remove: 1 (none)",
            "  registered already: 1 (old)",
            "  failed: 1 (bad)",
            "    bad: there is no account",
            "  no result (unreachable, or not their turn yet): 1 (off)",
        ]

    def test_many_nodes_are_counted_and_some_named(self) -> None:
        hosts = [f"n{number}" for number in range(12)]
        hostvars = {host: {"token_file_result": {"action": "written"}} for host in hosts}
        assert provision_summary(hosts, hostvars) == ["12 nodes", "  received a token: 12 (n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2 more)"]

    def test_the_label_is_for_the_record(self) -> None:
        hostvars = {host: {"token_file_result": {"action": "kept"}, "expanso_edge_token_label": label} for host, label in (("a", "spring"), ("b", "autumn"))}
        assert provision_summary(["a", "b"], hostvars)[0] == "2 nodes, token label autumn, spring"

    def test_several_deliveries_count_as_the_strongest(self) -> None:
        variables = {
            "expanso_edge_delivery": ["token_file", "systemd_service"],
            "token_file_result": {"action": "kept"},
            "systemd_service_result": {"action": "written"},
        }
        assert provision_summary(["a"], {"a": variables}) == ["1 node", "  received a token: 1 (a)"]
