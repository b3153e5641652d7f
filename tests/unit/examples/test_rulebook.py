# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example rulebook starts a job only for a fingerprint as `expanso.edge.retire` accepts it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from paths import REPOSITORY

(RULESET,) = yaml.safe_load((REPOSITORY / "examples" / "eda" / "rulebook.yml").read_text(encoding="utf-8"))
RETIRE, REFUSED = RULESET["rules"]
PATTERNS = re.findall(r'event\.payload\.fingerprint is match\("([^"]*)"\)', RETIRE["condition"])


def action(rule: Any, name: str) -> Any:
    assert list(rule["action"]) == [name]
    return rule["action"][name]


def test_nobody_can_report_unsigned() -> None:
    ((kind, source),) = [(name, value) for each in RULESET["sources"] for name, value in each.items() if name != "name"]
    assert kind == "eda.builtin.webhook"
    assert re.fullmatch(r"\{\{ \w+ \}\}", source["hmac_secret"]), "the secret is not in the file"


@pytest.mark.parametrize("value", ["", "5d41402abc4", "5d41402abc4bb", "5D41402ABC4B", "all", "5d41402abc4g", " 5d41402abc4b"])
def test_anything_else_starts_no_job(value: str) -> None:
    (pattern,) = PATTERNS
    assert not re.match(pattern, value)
    assert re.match(pattern, "5d41402abc4b")
    first, second = RETIRE["condition"].split(" and ")
    assert REFUSED["condition"] == f"{first} and (event.payload.fingerprint is not defined or not ({second}))"


def test_the_job_gets_the_fingerprint_and_nothing_else() -> None:
    job = action(RETIRE, "run_job_template")
    assert job["job_args"] == {"extra_vars": {"expanso_edge_fingerprint": "{{ event.payload.fingerprint }}"}}
    assert job["include_events"] is False
    playbook = (REPOSITORY / "playbooks" / "retire.yml").read_text(encoding="utf-8")
    assert "expanso_edge_fingerprint" in playbook
    assert "{{" not in action(REFUSED, "debug")["msg"], "what a sender wrote is not shown"
