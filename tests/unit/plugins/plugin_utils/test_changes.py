# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a module's result is a change in the audit trail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._changes import _READERS, changes

ACTIONS = Path(__file__).parents[4] / "plugins" / "action"
Json = dict[str, Any]
Row = tuple[str, Json, Json, list[tuple[Any, ...]]]

OLD, NEW = "0123456789ab", "ba9876543210"


def diff(before: str | None, after: str | None) -> Json:
    return {"before": {"fingerprint": before}, "after": {"fingerprint": after}}


def secrets(before: Json, after: Json) -> Json:
    return {"before": {"secrets": before}, "after": {"secrets": after}}


ROWS: list[Row] = [
    ("bootstrap_token", {"path": "/t"}, {"changed": False, "action": "kept"}, []),
    ("bootstrap_token", {"path": "/t"}, {"changed": True, "action": "written", "path": "/t", "diff": diff(OLD, NEW)}, [("written", "/t", OLD, NEW)]),
    ("bootstrap_token", {"path": "/t"}, {"changed": True, "action": "removed", "path": "/t", "diff": diff(OLD, None)}, [("removed", "/t", OLD, None)]),
    (
        "bootstrap_token",
        {"path": "/t"},
        {"changed": True, "action": "written", "path": "/t", "diff": diff(None, NEW), "obsolete_removed": ["/o"]},
        [("written", "/t", None, NEW), ("removed", "/o", None, None)],
    ),
    (
        "bootstrap_token",
        {"path": "/t", "fingerprint": OLD.upper()},
        {"changed": True, "action": "removed", "path": "/t", "diff": diff(NEW, NEW), "obsolete_removed": ["/o"]},
        [("removed", "/o", OLD, None)],
    ),
    ("bootstrap_token", {"path": "/t"}, {"changed": False, "action": "kept", "obsolete_removed": []}, []),
    ("bootstrap_token", {"path": "/t"}, {"failed": True, "msg": "no"}, []),
    ("k8s_secret", {"name": "t", "namespace": "n"}, {"changed": False, "action": "kept"}, []),
    (
        "k8s_secret",
        {"name": "t", "namespace": "n"},
        {"changed": True, "action": "written", "name": "t-1", "diff": diff(None, NEW)},
        [("written", "Secret n/t-1", None, NEW)],
    ),
    (
        "k8s_secret",
        {"name": "t", "namespace": "n"},
        {"changed": True, "action": "removed", "secrets_removed": [{"name": "t-1", "fingerprint": OLD}, {"name": "t-2", "fingerprint": NEW}]},
        [("removed", "Secret n/t-1", OLD, None), ("removed", "Secret n/t-2", NEW, None)],
    ),
    (
        "bootstrap_token",
        {"path": "/t"},
        {"failed": True, "changed": True, "action": "written", "path": "/t", "diff": {"before": {"fingerprint": OLD}, "after": {"fingerprint": NEW}}},
        [("written", "/t", OLD, NEW)],
    ),
    ("swarm_secret", {}, {"changed": False, "action": "kept"}, []),
    (
        "swarm_secret",
        {"name": "t"},
        {"changed": True, "action": "written", "versions": ["t_v9", "t_v10"], "diff": secrets({"t_v9": OLD}, {"t_v10": NEW, "t_v9": OLD})},
        [("written", "swarm secret t_v10", OLD, NEW)],
    ),
    (
        "swarm_secret",
        {"name": "t"},
        {"changed": True, "action": "written", "versions": ["t_v1"], "diff": secrets({}, {"t_v1": NEW})},
        [("written", "swarm secret t_v1", None, NEW)],
    ),
    (
        "swarm_secret",
        {"name": "t"},
        {"changed": True, "action": "removed", "versions": ["t_v2"], "diff": secrets({"t_v1": OLD, "t_v2": NEW}, {"t_v2": NEW})},
        [("removed", "swarm secret t_v1", OLD, None)],
    ),
    (
        "swarm_secret",
        {},
        {"changed": True, "action": "removed", "versions": [], "diff": secrets({}, {})},
        [("removed", "swarm secret expanso_bootstrap_token", None, None)],
    ),
    ("edge_registration", {}, {"changed": False, "registered": True, "token_removed": False}, []),
    (
        "edge_registration",
        {"token_file": "/t"},
        {"changed": True, "registered": True, "agent_output": [], "token_removed": True, "fingerprint": NEW},
        [("registered", "/var/lib/expanso/edge", None, NEW), ("removed", "/t", NEW, None)],
    ),
    ("edge_registration", {"data_dir": "/d"}, {"failed": True, "registered": False, "agent_output": [], "fingerprint": None}, []),
    ("edge_registration", {"data_dir": "/d", "force": True}, {"failed": True, "registered": True, "agent_output": [], "fingerprint": None}, []),
    (
        "edge_registration",
        {"data_dir": "/d"},
        {"failed": True, "registered": True, "agent_output": [], "fingerprint": NEW},
        [("registered", "/d", None, NEW)],
    ),
    ("edge_registration", {"token_file": "/t"}, {"changed": True, "token_removed": True, "fingerprint": OLD}, [("removed", "/t", OLD, None)]),
    ("wait_for_registration", {"token_file": "/t", "fingerprint": NEW}, {"changed": True, "token_removed": True}, [("removed", "/t", NEW, None)]),
    ("wait_for_registration", {"token_file": "/t"}, {"changed": False, "token_removed": False}, []),
]


@pytest.mark.parametrize(("module", "options", "result", "expected"), ROWS)
def test_changes(module: str, options: Json, result: Json, expected: list[tuple[Any, ...]]) -> None:
    assert changes(module, options, result) == expected


def test_every_module_that_changes_a_token_has_an_action() -> None:
    named = {each.stem for each in ACTIONS.glob("*.py") if "RecordedAction" in each.read_text() or "TokenAction" in each.read_text()}
    assert named == set(_READERS)
