# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a playbook for programs: what is counted, and that nothing in it can do harm in a variable or a notification."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.filter.job_result import job_result
from ansible_collections.expanso.edge.plugins.plugin_utils._reach import UNREACHABLE
from ansible_collections.expanso.edge.plugins.plugin_utils._result import LONGEST, MOST_CODES, MOST_HOSTS, MOST_LABELS, of_audit
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = "0a4d55a8d778", "5d41402abc4b"
KEY = "exp_bk_9f8e7d6c5b4a39281706"

Json = dict[str, Any]


def file(action: str, **own: Any) -> Json:
    return {"token_file_result": {"action": action, "registered": False, "path": "/t", **own}}


def failed(message: str, **own: Any) -> Json:
    return {"expanso_edge_failure": message, **own}


AWAY = failed(f"{UNREACHABLE}: no route")


def test_provision() -> None:
    hosts = {
        "new": file("written"), "registers": {**file("written"), "token_file_register": True}, "old": file("not_needed", registered=True),
        "bad": failed("no disk"), "down": AWAY, "later": {}, "label": {**file("kept"), "expanso_edge_token_label": "spring"},
    }  # fmt: skip
    assert job_result(list(hosts), hosts, "provision") == {
        "playbook": "provision", "check_mode": False, "nodes": 7, "outcomes": {"kept": 1, "no_result": 1, "not_needed": 1, "written": 2},
        "failed": 1, "failed_hosts": ["bad"], "unreachable": 1, "waiting": 2, "labels": ["spring"],
    }  # fmt: skip


def test_rotate() -> None:
    written = {"previous_fingerprint": OLD, "fingerprint": NEW}
    doing, keep = {"token_file": {"action": "rotate"}}, {"token_file": {"action": "keep"}}
    hosts: dict[str, Json] = {
        "a": file("written", **written), "b": file("written"), "c": file("kept", registered=True), "d": file("kept"), "e": {}, "f": {},
        "g": failed("differs", expanso_edge_fault="held_differs"), "h": failed("no disk"), "i": AWAY, "j": file("written", reregister=True, registered=True),
    }  # fmt: skip
    planned = {**dict.fromkeys(hosts, doing), "e": keep, "f": {}}
    result = job_result(list(hosts), hosts, "rotate", check=True, planned=planned)
    assert result["outcomes"] == {
        "already_held": 1, "as_planned": 1, "first_token": 1, "not_planned": 1, "registered": 1, "reregistered": 1, "rotated": 1,
    }  # fmt: skip
    assert (result["failed_hosts"], result["unreachable"], result["waiting"], result["check_mode"]) == (["g", "h"], 1, 3, True)
    assert job_result(["e"], hosts, "rotate")["outcomes"] == {"no_result": 1}


def test_retire() -> None:
    def done(*actions: str) -> Json:
        roles = ("token_file", "systemd_service")
        return {f"{role}_retired": {"action": action} for role, action in zip(roles, actions, strict=False)}

    hosts = {"a": done("removed", "kept"), "b": done("kept"), "c": done("absent"), "d": done("delegated"), "e": {}, "f": failed("x"), "g": AWAY}
    result = job_result(list(hosts), hosts, "retire")
    assert result["outcomes"] == {"absent": 1, "delegated": 1, "kept": 1, "no_result": 1, "removed": 1}
    assert (result["failed"], result["unreachable"], result["waiting"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("edge01.example.com", "edge01.example.com"),
        ("fe80::1", "fe80::1"),
        ("{{ lookup('pipe', 'id') }}", "___lookup__pipe____id_____"),
        ('a"b\\c/d\n', "a_b_c_d_"),
        ("", "_"),
        ("\u202egnp", "_gnp"),
        ("x" * 10_000, "x" * LONGEST),
        (KEY, "________"),
    ],
)
def test_names(name: str, shown: str) -> None:
    assert job_result([name], {name: failed("no disk")}, "provision")["failed_hosts"] == [shown]


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("spring 2027", ["spring 2027"]),
        ('say "hi" {% if %}', ["say _hi_ __ if __"]),
        ("/etc/expanso", ["_etc_expanso"]),
        ("a\nb", ["a_b"]),
        ("x" * 10_000, ["x" * LONGEST]),
        ("{{ not_defined }}", []),
        (KEY, ["________"]),
        ("", []),
        (None, []),
        (["a"], ["__a__"]),
    ],
)
def test_labels(label: Any, shown: list[str]) -> None:
    assert job_result(["a"], {"a": {"expanso_edge_token_label": label}}, "provision")["labels"] == shown


def test_a_thousand_hosts() -> None:
    hosts = {f"edge{number:04}": failed("no", expanso_edge_token_label=f"l{number}") for number in range(1000)}
    result = job_result(list(hosts), hosts, "provision")
    assert (result["nodes"], result["failed"], len(result["failed_hosts"]), len(result["labels"])) == (1000, 1000, MOST_HOSTS, MOST_LABELS)
    assert len(json.dumps(result)) < 4096


VALUES = st.none() | st.text() | st.sampled_from(["{{ x }}", "{%", '"', "'", "\\", "/", KEY, f"{UNREACHABLE}: x"])
NODES = st.fixed_dictionaries(
    {}, optional={"expanso_edge_failure": VALUES, "expanso_edge_token_label": VALUES, "token_file_result": st.sampled_from([{}, {"action": "written"}])}
)


def harmless(result: Any) -> bool:
    """Whether a result holds only numbers, truth values and plain words."""
    if isinstance(result, dict):
        return all(re.fullmatch("[a-z0-9_]+", key) and harmless(value) for key, value in result.items())
    if isinstance(result, list):
        return all(map(harmless, result))
    return isinstance(result, int) or bool(re.fullmatch(r"[A-Za-z0-9._:@+ -]+", result))


@given(st.dictionaries(st.text() | VALUES.filter(bool), NODES, max_size=5), st.sampled_from(["provision", "rotate", "retire"]))
def test_nothing_in_it_can_do_harm_and_each_host_is_counted_once(hosts: dict[str, Json], playbook: str) -> None:
    result = job_result(list(hosts), hosts, playbook)
    assert harmless(result) and KEY not in json.dumps(result)
    assert result["nodes"] == len(hosts) == sum(result["outcomes"].values()) + result["failed"] + result["unreachable"]


def test_an_audit() -> None:
    findings = [{"code": f"code_{number}", "status": "open"} for number in range(MOST_CODES + 5)]
    report = {
        "scope": {"asked": 4, "answered": 2, "unreachable": ["a"], "failed": [{"node": "b"}]},
        "totals": {"error": 3, "warning": 2, "info": 1, "waived": 1},
        "findings": [{"code": code, "status": its} for code, its in (("left_over", "waived"), ("too_old", "open"), ("too_old", "expired_waiver"))] + findings,
    }
    result = of_audit("audit", report, True, "0" * 64, False)
    codes = result.pop("codes")
    assert result == {
        "playbook": "audit", "check_mode": False, "nodes": 4, "answered": 2, "unreachable": 1, "failed": 1, "errors": 3, "warnings": 2, "infos": 1, "waived": 1,
        "exceeded": True, "report_sha256": "0" * 64,
    }  # fmt: skip
    assert codes["too_old"] == 2 and "left_over" not in codes and len(codes) == MOST_CODES
