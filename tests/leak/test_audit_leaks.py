# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An audit reads tokens on every node, and people paste tokens into its data. No report, in whatever format, contains any of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import CORES
from lab import Lab
from observers import Syslog
from runner import MODES, RESULT, SLICE, check_observers, check_result, run

FORMATS = ["json", "html", "csv", "junit", "prometheus", "ocsf"]


def prepare(lab: Lab) -> None:
    """Nodes with tokens in and out of their place, and options that contain a token."""
    waiting, exposed, spent = lab.node("waiting"), lab.node("exposed"), lab.node("spent")
    shared = waiting.jwt()
    waiting.put("etc/bootstrap.token", shared)
    spent.put("etc/bootstrap.token", shared, mode=0o644)
    token = exposed.key()
    exposed.registered()
    exposed.put("etc/bootstrap.token", token)
    exposed.put("etc/bootstrap.token.bak", token, mode=0o644)
    exposed.put(f"etc/{token}~", token, mode=0o644)
    for node in lab.nodes.values():
        node.variables["expanso_edge_audit_places"] = ["neighbours"]  # the nodes share this machine
    pasted = waiting.key("pasted")
    data = waiting.put("registry.yml", f"- fingerprint: '{pasted}'\n  label: [\n")
    waiting.variables["wrong"] = [
        {"registry": [{"fingerprint": pasted}]},
        {"registry": [{"fingerprint": "0" * 12, pasted: "x"}]},
        {"registry": [{"fingerprint": "0" * 12, "label": f"the token {pasted}"}]},
        {"registry": pasted},
        {"registry": str(data)},
        {"waivers": [{"finding": pasted, "node": "*", "owner": "me", "reason": "x", "expires": pasted}]},
        {"nodes": str(data)},
        {"previous": str(data)},
        {"fail_on": pasted},
        {"formats": [pasted]},
        {"max_age": pasted},
        {pasted: True},
    ]
    lab.extra_vars |= {"expanso_edge_hosts": "all", "expanso_edge_audit_formats": FORMATS, "expanso_edge_audit_directory": str(lab.home / "reports")}
    lab.extra_vars |= {**SLICE, "expanso_edge_audit_fail_on": "never"}  # the slices are merged afterwards, here there is one


@pytest.mark.parametrize(("core", "mode"), [("core-2.16", "vvv"), ("core-2.21", "diff-vvv")])
def test_an_audit(core: str, mode: str, make_lab: Callable[[], Lab], syslog: Syslog) -> None:
    if CORES[core]:
        pytest.skip(str(CORES[core]))
    lab = make_lab()
    prepare(lab)
    outcome = run(core, "wrong_audit.yml", MODES[mode], lab, syslog)
    check_observers(outcome, lab)
    check_result(outcome)
    assert outcome.leaks() == []
    refused = [event for event in outcome.events if event["event"] == "runner_item_on_failed"]
    assert len(refused) == len(lab.nodes["waiting"].variables["wrong"])
    assert outcome.artifacts[0][RESULT]["playbook"] == "merge_audits"
    for reports in (lab.home / "reports" / "slices" / "41" / "42", lab.home / "reports"):
        assert sum(path.is_file() for path in reports.iterdir()) == len(FORMATS)
    for code in ("shared_single_use", "copy_readable", "left_over", "mode_too_wide"):
        assert code in outcome.said(), outcome.stdout[-3000:]
