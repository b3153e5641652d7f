# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of other people's inventories that Ansible itself cannot work on: what the playbooks say, and that the other hosts are done all the same."""

from __future__ import annotations

from pathlib import Path

from ansible_runs import TOKEN_VARIABLE, Controller, local_node
from control_plane import new_key


def test_a_host_that_ansible_cannot_work_on_concerns_no_other(every_core: Controller, home: Path) -> None:
    """The first host is the one whose name the playbooks' own tasks run under."""
    key = new_key()
    echo = home / "echo"
    echo.write_text("#!/bin/sh\ncat\n")
    echo.chmod(0o755)
    hosts = {
        "first": {"ansible_connection": "nobody.knows.connection", "ansible_become": True},
        "second": {"ansible_become": True, "ansible_become_method": "nobody.knows.become"},
        "third": local_node(home, "third", ansible_python_interpreter="/opt/none/python3"),
        "fourth": local_node(home, "fourth", ansible_python_interpreter=str(echo)),  # prints the module, and with it the token
        "good": local_node(home, "good"),
    }
    given = {"hosts": hosts, "environment": {TOKEN_VARIABLE: key}, "secrets": [key]}
    says = {
        "first": "the connection plugin 'nobody.knows.connection' was not found",
        "second": "Invalid become method specified, could not find matching plugin: 'nobody.knows.become'",
        "third": "the host cannot run modules: there is no /opt/none/python3 on it: install Python, or name another one with ansible_python_interpreter",
        "fourth": "the host cannot run modules: ",
    }

    run = every_core.run("expanso.edge.provision", **given)
    assert run.returncode == 2
    lines = run.result("Show the summary")["msg"]
    assert lines[:3] == ["5 nodes", "  received a token: 1 (good)", "  failed: 4 (first, second, third, fourth)"]
    for host, reason in says.items():
        assert any(line.startswith(f"    {host}: ") and reason in line for line in lines), (host, lines)
    assert (home / "good" / "bootstrap.token").read_text() == key
    assert run.totals()["failed"] == 4


def test_the_other_playbooks_go_on_without_such_a_host(controller: Controller, home: Path) -> None:
    key = new_key()
    hosts = {
        "first": {"ansible_connection": "nobody.knows.connection", "ansible_become": True},
        "good": local_node(home, "good"),
    }
    given = {"hosts": hosts, "environment": {TOKEN_VARIABLE: key}, "secrets": [key]}

    planned = controller.run("expanso.edge.rotate", "--check", "-e", f"expanso_edge_plan_file={home}/plan.json", **given)
    lines = planned.result("Show the summary")["msg"]
    assert "  failed: 1 (first)" in lines and any("1 (good)" in line for line in lines), lines
    assert (home / "plan.json").exists()

    rotated = controller.run("expanso.edge.rotate", "-e", "expanso_edge_max_fail_percentage=100", "-e", "expanso_edge_canary=100%", **given)
    assert [event["host"] for event in rotated.events if event["task"] == "Mark a failed node as failed" and event["outcome"] == "failed"] == ["first"]
    assert (home / "good" / "bootstrap.token").read_text() == key

    audited = controller.run("expanso.edge.audit", "-e", f"expanso_edge_audit_directory={home}/audit", **given)
    lines = audited.result("Show the summary")["msg"]
    assert lines[:2] == ["2 nodes asked, 1 answered", "  failed: 1 (first)"], lines

    retired = controller.run("expanso.edge.retire", "-e", "expanso_edge_retire_all=true", **given)
    lines = retired.result("Show the summary")["msg"]
    assert lines[:3] == ["2 nodes", "  token removed: 1 (good)", "  failed: 1 (first)"], lines
