# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts answer to an audit, without any host."""

from __future__ import annotations

import hashlib
from typing import Any

Json = dict[str, Any]

ROLE = "token_file"
PLACE = "/etc/expanso/bootstrap.token"
NOON = 1796040000.0  # 2026-11-30T12:00:00Z
TIME = "2026-11-30T12:00:00.5Z"


def fingerprint(name: str) -> str:
    """A fingerprint for a token with a name."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def token(name: str, **own: Any) -> Json:
    """A token in its place."""
    return {
        "path": PLACE, "place": PLACE, "exists": True, "state": "file", "owner": "root", "group": "root", "mode": "0600", "size": 40, "age_days": 3,
        "format": "raw", "token_kind": "bootstrap_key", "fingerprint": fingerprint(name), "expires_at": None, "label": None, "registered": None,
        "marker": None, "findings": [], **own,
    }  # fmt: skip


def jwt(name: str, **own: Any) -> Json:
    """A single-use token in its place."""
    return token(name, token_kind="jwt", **own)


def enrolment(name: str, written_at: str = "2026-11-01T10:00:00Z", kind: str = "bootstrap_key", **own: Any) -> Json:
    """An entry of a node's record."""
    return {"fingerprint": fingerprint(name), "kind": kind, "label": None, "delivery": "file", "written_at": written_at, "run_id": "r", "job_id": None, **own}


def finding(code: str, severity: str = "warning", **own: Any) -> Json:
    """A finding of a node."""
    return {"code": code, "severity": severity, "message": f"{code} there", "remedy": "mend it", "place": None, "fingerprint": None, **own}


def answer(*tokens: Json, findings: list[Json] | None = None, **node: Any) -> Json:
    """What the module returns on a host."""
    facts = {"registered": False, "marker": None, "registered_at": None, "record": None, "time": TIME, "units": [], "findings": findings or [], **node}
    return {
        "changed": False, "msg": "", "error_count": 0, "warning_count": 0, "tokens": list(tokens), "node": facts,
        "window": {"asked": NOON, "answered": NOON + 1},
    }  # fmt: skip


def registered(*tokens: Json, at: str = "2026-11-01T11:00:00Z", **own: Any) -> Json:
    """What the module returns on a node that is registered."""
    return answer(*tokens, registered=True, registered_at=at, **own)


def large_fleet(number: int) -> dict[str, Json]:
    """A fleet with faults on some nodes."""
    fleet = {}
    for count in range(number):
        record = [enrolment(f"site{count % 7}")]
        fleet[f"edge{count:04}"] = registered(record=record) if count % 3 else answer(token(f"site{count % 7}", findings=[finding("too_old")]), record=record)
    return fleet
