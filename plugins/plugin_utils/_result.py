# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The result of a playbook for programs, as ``set_stats`` hands it to AWX, which keeps it and passes it on as variables. Pure.

Whatever a host or a person named is reduced to plain characters here: in a variable it must never be a template, and in a message of AWX's
notifications it stands between quotation marks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.module_utils._secrets import mask
from ansible_collections.expanso.edge.plugins.plugin_utils._outcomes import FAILED, SINCE

MOST_HOSTS = 100
MOST_LABELS = 20
MOST_CODES = 100
LONGEST = 100
"""Characters of a name or a label that are kept."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._:-]")
_NOT_PLAIN_IN_LABEL = re.compile(r"[^A-Za-z0-9._:@+ -]")

Json = dict[str, Any]


def name(text: Any) -> str:
    """Return a host's name with plain characters only."""
    return _NOT_PLAIN.sub("_", mask(str(text))[:LONGEST]) or "_"


def label(text: str) -> str:
    """Return a label with plain characters only."""
    return _NOT_PLAIN_IN_LABEL.sub("_", text[:LONGEST]).strip()


def of_nodes(playbook: str, outcomes: Mapping[str, str], unreachable: Collection[str], waiting: int, labels: Iterable[str], check: bool) -> Json:
    """Return the result of a playbook that changes tokens. Each host is counted one time: as an outcome, as failed, or as unreachable.

    :param playbook: its name, such as ``provision``
    :param outcomes: a code of :mod:`_outcomes` for each host
    :param unreachable: which of the failed hosts were not reached
    :param waiting: how many hosts hold a token and are not registered
    :param check: whether this was a run in check mode
    """
    away = set(unreachable)
    failed = [host for host, outcome in outcomes.items() if outcome in (FAILED, SINCE) and host not in away]
    counted = Counter(outcome for host, outcome in outcomes.items() if outcome not in (FAILED, SINCE) and host not in away)
    return {
        "playbook": playbook,
        "check_mode": check,
        "nodes": len(outcomes),
        "outcomes": dict(sorted(counted.items())),
        "failed": len(failed),
        "failed_hosts": [name(host) for host in failed[:MOST_HOSTS]],
        "unreachable": len(outcomes.keys() & away),
        "waiting": waiting,
        "labels": sorted(set(filter(None, map(label, labels))))[:MOST_LABELS],
    }


def of_audit(playbook: str, report: Json, exceeded: bool, sha256: str, check: bool) -> Json:
    """Return the result of an audit. Findings that are waived are not counted.

    :param playbook: its name, such as ``audit``
    :param exceeded: whether there are findings that fail the run
    :param sha256: checksum of the JSON report
    :param check: whether this was a run in check mode
    """
    totals, scope = report["totals"], report["scope"]
    codes = Counter(each["code"] for each in report["findings"] if each["status"] != "waived")
    return {
        "playbook": playbook,
        "check_mode": check,
        "nodes": scope["asked"],
        "answered": scope["answered"],
        "unreachable": len(scope["unreachable"]),
        "failed": len(scope["failed"]),
        "errors": totals["error"],
        "warnings": totals["warning"],
        "infos": totals["info"],
        "waived": totals["waived"],
        "exceeded": exceeded,
        "codes": dict(sorted(codes.most_common(MOST_CODES))),
        "report_sha256": sha256,
    }
