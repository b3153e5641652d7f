# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit reports to test with: the example, with names that try to break out, and one of a fleet of any size."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LIMIT = 90


def example() -> dict[str, Any]:
    report: dict[str, Any] = json.loads((HERE / "audit_report_example.json").read_text(encoding="utf-8"))
    return report


def fingerprint(text: str, digits: int = 12) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def finding(code: str, severity: str, number: int, **more: Any) -> dict[str, Any]:
    name = f"site{number % 40:02}-edge{number:05}.example.com"
    return {
        "id": fingerprint(f"{code}{number}", 16), "code": code, "severity": severity, "node": name, "place": "/etc/expanso/bootstrap.token",
        "fingerprint": fingerprint(str(number % 25)), "message": f"the token at /etc/expanso/bootstrap.token on {name}: {code.replace('_', ' ')}",
        "remedy": f"Give the node a new token with expanso.edge.rotate, then look again for {code}.",
        "status": "open", "waiver": None, "change": "new" if number % 3 else "still", **more,
    }  # fmt: skip


def node(number: int) -> dict[str, Any]:
    answered = number % 50 != 7
    registered = (number % 5 != 0) if answered else None
    token = {
        "place": "/etc/expanso/bootstrap.token", "fingerprint": fingerprint(str(number % 25)), "kind": "bootstrap_key", "label": f"batch-{number % 25}",
        "age_days": number * 7 % 140, "expires_at": None, "owner": "expanso", "group": "expanso", "mode": "0600", "state": "present",
    }  # fmt: skip
    unit = {"name": "expanso-edge.service", "load_state": "loaded", "active_state": "active", "sub_state": "running", "enabled": "enabled"}
    return {
        "name": f"site{number % 40:02}-edge{number:05}.example.com", "status": "answered" if answered else "unreachable",
        "deliveries": ["systemd_service" if number % 2 else "token_file"], "groups": ["expanso_edge", f"site{number % 40:02}", "production"],
        "registered": registered, "registered_at": "2026-10-01T10:00:00Z" if registered else None,
        "enrolled_with": fingerprint(str(number % 25)) if registered else None,
        "tokens": [token] if answered else [], "units": [unit] if answered else [], "clock_offset_seconds": 0 if answered else None,
    }  # fmt: skip


def token(number: int, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    mine = fingerprint(str(number))
    holders = [one["name"] for one in nodes for held in one["tokens"] if held["fingerprint"] == mine]
    enrolled = [one["name"] for one in nodes if one["enrolled_with"] == mine]
    return {
        "fingerprint": mine, "kind": "bootstrap_key", "label": f"batch-{number}", "expires_at": None, "oldest_age_days": 139, "held_by": holders,
        "enrolled": [{"node": name, "written_at": "2026-10-01T09:00:00Z", "registered_at": "2026-10-01T10:00:00Z"} for name in enrolled],
        "registry": {"owner": "ops@example.com", "purpose": "edge", "groups": ["production"], "most_nodes": 50, "issued": "2026-01-01", "expires": None},
    }  # fmt: skip


def fleet(size: int) -> dict[str, Any]:
    """A fleet where about as much is found as there are nodes: many old tokens, left-overs, some waived."""
    nodes = [node(number) for number in range(size)]
    old = [finding("token_too_old", "warning", n) for n, one in enumerate(nodes) if one["tokens"] and one["tokens"][0]["age_days"] > LIMIT]
    left = [finding("left_over", "error", n) for n, one in enumerate(nodes) if one["tokens"] and one["registered"] and n % 2]
    waiver = {"owner": "ops@example.com", "reason": "rotated with the next delivery", "expires": "2026-12-31"}
    waived = [finding("wrong_mode", "warning", n, status="waived", waiver=waiver) for n in range(0, size, 20)]
    unreachable = [one["name"] for one in nodes if one["status"] == "unreachable"]
    registered = [one["registered"] for one in nodes]
    return {
        **example(),
        "scope": {"asked": size, "answered": size - len(unreachable), "unreachable": unreachable, "failed": []},
        "totals": {
            "error": len(left), "warning": len(old), "info": 0, "waived": len(waived), "nodes": size, "registered": registered.count(True),
            "unregistered": registered.count(False), "unknown": registered.count(None),
        },
        "tokens": [token(number, nodes) for number in range(25)], "nodes": nodes, "findings": left + old + waived, "mended": [],
    }  # fmt: skip
