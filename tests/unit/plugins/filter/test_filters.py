# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.filter.provision_summary import provision_summary
from ansible_collections.expanso.edge.plugins.filter.token_fingerprint import token_fingerprint
from ansible_collections.expanso.edge.plugins.filter.token_problems import token_problems
from ansible_collections.expanso.edge.plugins.plugin_utils._job import NOT_TEMPLATED
from ansible_collections.expanso.edge.plugins.test.bootstrap_token import bootstrap_token

ENVIRONMENT = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJub2RlIn0.c2lnbmF0dXJl"
EXPIRED = "eyJhbGciOiJFZERTQSJ9.eyJleHAiOjF9.c2lnbmF0dXJl"
KEY = "exp_bk_9f8e7d6c"
NEXT = "start the agent there, or let the role do it (token_file_register, systemd_service_state)"


class Unprintable:
    """A template of undefined variables, as older ansible-core represents it."""

    def __str__(self) -> str:
        raise ValueError


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
            ({"a": {}, "b": {}}, {}),  # registered nodes need no token
            ({"a": {}, "b": {}}, {ENVIRONMENT: KEY}),
            ({"a": {"expanso_edge_token": KEY}, "b": {"expanso_edge_token": KEY}}, {}),
            ({"a": {"expanso_edge_token": JWT}, "b": {}}, {ENVIRONMENT: KEY}),
            ({"a": {}}, {ENVIRONMENT: JWT}),
            ({"a": {"expanso_edge_token": "bad token"}, "b": {}}, {}),  # refused on that host, if it needs one
            ({"a": {"expanso_edge_token": KEY}}, {ENVIRONMENT: "bad token"}),  # no host uses it
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

    def test_a_job_wide_single_use_token_in_a_slice(self) -> None:
        awx = {"awx_workflow_job_name": "Provision", "awx_job_template_name": "Provision"}
        (problem,) = token_problems(["a"], {"a": awx}, {ENVIRONMENT: JWT})
        assert "would be used one time in each slice" in problem and "set the number of slices of the job template to 1" in problem and JWT not in problem
        assert token_problems(["a", "b"], {"a": awx, "b": awx}, {ENVIRONMENT: JWT}) == [problem]
        assert token_problems(["a"], {"a": {}}, {ENVIRONMENT: JWT}, job={"a": {"expanso_edge_sliced": True}}) == [problem]
        # what each host has of its own is used one time, and a key may be used by many
        assert token_problems(["a"], {"a": {**awx, "expanso_edge_token": JWT}}, {}) == token_problems(["a"], {"a": awx}, {ENVIRONMENT: KEY}) == []
        assert token_problems(["a"], {"a": {**awx, "expanso_edge_sliced": False}}, {ENVIRONMENT: JWT}) == []

    def test_a_value_that_is_not_a_text_concerns_only_its_host(self) -> None:
        assert token_problems(["a", "b"], {"a": {"expanso_edge_token": [KEY]}, "b": {"expanso_edge_token": KEY}}, {}) == []

    def test_a_shared_token_is_judged_like_a_job_wide_one(self) -> None:
        hostvars = {name: {"expanso_edge_token": "exp_bk_xxxxxxxxxxxx"} for name in ("a", "b")}
        (problem,) = token_problems(["a", "b"], hostvars, {})
        assert problem.startswith("variable expanso_edge_token: it is a placeholder") and problem.endswith("(on 2 hosts: a, b)")
        assert token_problems(["a"], hostvars, {}) == []

    def test_different_tokens_with_similar_faults_concern_only_their_hosts(self) -> None:
        hostvars = {"a": {"expanso_edge_token": KEY + " "}, "b": {"expanso_edge_token": KEY[::-1] + " "}}
        assert token_problems(["a", "b"], hostvars, {}) == []

    def test_a_delivery_that_is_wrong_for_all_is_told_one_time(self) -> None:
        hostvars = {f"edge{number:02}": {"expanso_edge_delivery": "systemd"} for number in range(1, 13)}
        (problem,) = token_problems(list(hostvars), hostvars, {})
        assert problem.startswith("edge01, edge02, ") and "edge10 and 2 more: variable expanso_edge_delivery is 'systemd', but must name" in problem

    @pytest.mark.parametrize("value", [KEY, [KEY], {"a": KEY}, KEY.upper()])
    def test_a_token_given_as_a_delivery_is_not_shown(self, value: object) -> None:
        (problem,) = token_problems(["a"], {"a": {"expanso_edge_delivery": value}}, {})
        assert "must name one or more of" in problem and "9f8e" not in problem.lower()

    @pytest.mark.parametrize("name", ["expanso_edge_delivery", "expanso_edge_token_file"])
    def test_what_cannot_be_templated_is_named(self, name: str) -> None:
        (problem,) = token_problems(["a"], {"a": {name: NOT_TEMPLATED}}, {})
        assert f"variable {name} cannot be templated" in problem

    @pytest.mark.parametrize("delivery", [None, [], "", "expanso.edge.token_file", ["token_file", "nothing"], {"a": 1}])
    def test_an_unknown_delivery(self, delivery: object) -> None:
        (problem,) = token_problems(["a", "b"], {"a": {"expanso_edge_delivery": delivery}, "b": {"expanso_edge_delivery": ["token_file", "k8s_secret"]}}, {})
        assert problem.startswith("a: variable expanso_edge_delivery ") and "but must name one or more of token_file, systemd_service" in problem


class TestSummary:
    def test_check_mode_is_named(self) -> None:
        assert provision_summary(["a"], {"a": {}}, check=True)[0] == "1 node; check mode: this is what would be done"

    def test_the_output_of_sudo_is_shown(self) -> None:
        message = "Task failed: Premature end of stream.\n>>> Standard Error\nsudo: a password is required\n"
        lines = provision_summary(["a"], {"a": {"expanso_edge_failure": message}})
        assert lines[-1] == "    a: Task failed: Premature end of stream. sudo: a password is required"

    def test_what_is_wrong_with_options_of_a_role_is_shown(self) -> None:
        message = "Validation of arguments failed:\nargument 'a' is of type str\nmissing required arguments: b"
        lines = provision_summary(["a"], {"a": {"expanso_edge_failure": message}})
        assert lines[-1] == "    a: Validation of arguments failed: argument 'a' is of type str; missing required arguments: b"

    def test_each_outcome(self) -> None:
        actions = {"new": "written", "fixed": "repaired", "same": "kept", "old": "not_needed", "gone": "removed", "none": "absent"}
        hostvars: dict[str, dict[str, object]] = {host: {"token_file_result": {"action": action}} for host, action in actions.items()}
        hostvars["bad"] = {"expanso_edge_failure": "there is no account\n\nThe error appears to be in"}
        hostvars["off"] = {}
        assert provision_summary(list(hostvars), hostvars) == [
            "8 nodes",
            "  received a token: 1 (new)",
            "  held the token already, permissions corrected: 1 (fixed)",
            "  token removed: 1 (gone)",
            "  held the token already: 1 (same)",
            "  no token to remove: 1 (none)",
            "  already registered: 1 (old)",
            "  failed: 1 (bad)",
            "    bad: there is no account",
            "  no result (unreachable, in a later batch, or skipped by tags): 1 (off)",
            "next: 3 nodes hold a token and are not registered (new, fixed, same): " + NEXT,
        ]

    def test_many_nodes_are_counted_and_some_named(self) -> None:
        hosts = [f"n{number}" for number in range(12)]
        hostvars = {host: {"token_file_result": {"action": "not_needed"}} for host in hosts}
        assert provision_summary(hosts, hostvars) == ["12 nodes", "  already registered: 12 (n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2 more)"]

    def test_the_label_is_for_the_record(self) -> None:
        hostvars = {host: {"token_file_result": {"action": "kept"}, "expanso_edge_token_label": label} for host, label in (("a", "spring"), ("b", "autumn"))}
        assert provision_summary(["a", "b"], hostvars)[0] == "2 nodes, token label autumn, spring"

    def test_several_deliveries_count_as_the_strongest(self) -> None:
        variables = {
            "expanso_edge_delivery": ["token_file", "systemd_service"],
            "token_file_result": {"action": "kept"},
            "systemd_service_result": {"action": "written"},
        }
        assert provision_summary(["a"], {"a": variables})[:2] == ["1 node", "  received a token: 1 (a)"]

    def test_equal_reasons_are_combined(self) -> None:
        hosts = [f"n{number}" for number in range(12)]
        hostvars = {host: {"expanso_edge_failure": "it is a placeholder" if host != "n3" else "no account"} for host in hosts}
        assert provision_summary(hosts, hostvars)[2:] == [
            "    n0, n1, n2, n4, n5, n6, n7, n8, n9, n10 and 1 more: it is a placeholder",
            "    n3: no account",
        ]

    @pytest.mark.parametrize(
        ("variables", "waits"),
        [
            ({"token_file_result": {"action": "written", "registered": False}}, True),
            ({"token_file_result": {"action": "written"}, "token_file_register": True}, False),
            ({"token_file_result": {"action": "kept", "registered": True}}, False),
            ({"token_file_result": {"action": "not_needed", "registered": True}}, False),
            ({"expanso_edge_delivery": "systemd_service", "systemd_service_result": {"action": "written"}}, False),
            ({"expanso_edge_delivery": "systemd_service", "systemd_service_result": {"action": "written"}, "systemd_service_state": "stopped"}, True),
            ({"expanso_edge_delivery": "k8s_secret", "k8s_secret_result": {"action": "written"}}, False),
            ({"token_file_result": {"action": "written"}, "expanso_edge_failure": "no agent"}, False),
        ],
    )
    def test_nodes_that_wait_for_an_agent_are_named(self, variables: dict[str, object], waits: bool) -> None:
        last = provision_summary(["a"], {"a": variables})[-1]
        assert last.startswith("next: 1 node holds a token and is not registered (a): ") == waits
        assert not provision_summary(["a"], {"a": variables}, check=True)[-1].startswith("next")

    def test_variables_of_the_play_count(self) -> None:
        job = {"a": {"expanso_edge_delivery": "swarm_secret", "expanso_edge_token_label": "spring"}}
        hostvars = {"a": {"swarm_secret_result": {"action": "kept"}, "expanso_edge_token_label": "autumn"}}
        assert provision_summary(["a"], hostvars, job=job) == ["1 node, token label spring", "  held the token already: 1 (a)"]

    @pytest.mark.parametrize("label", ["{{ not_defined }}", NOT_TEMPLATED, Unprintable()])
    def test_a_label_that_cannot_be_templated_is_left_out(self, label: object) -> None:
        assert provision_summary(["a"], {"a": {"expanso_edge_token_label": label}})[0] == "1 node"


@pytest.mark.parametrize("tokens", [True, False])
def test_hosts_that_neither_become_root_nor_do_not(tokens: bool) -> None:
    values = {"a": True, "b": "no", "c": "", "d": None, "e": "maybe", "f": ["yes"], "g": "exp_bk_9f8e7d6c5b4a39281706"}
    hostvars = {host: {"expanso_edge_become": value} for host, value in values.items()}
    assert token_problems(list(values), hostvars, {}, tokens=tokens) == ["e, f, g: variable expanso_edge_become must be true or false"]


def test_without_tokens_a_host_may_have_no_delivery() -> None:
    hostvars = {"a": {"expanso_edge_delivery": []}, "b": {"expanso_edge_delivery": "x", "expanso_edge_token": "exp_bk_"}}
    (problem,) = token_problems(["a", "b"], hostvars, {}, tokens=False)
    assert problem.startswith("b: variable expanso_edge_delivery is 'x', but must name one or more of")
