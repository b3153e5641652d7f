# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The report in the formats that people and programs read. Pure: a report goes in, bytes come out."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import junit, ocsf, prometheus
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Json

COLUMNS = ("severity", "code", "status", "change", "node", "place", "fingerprint", "message", "remedy", "waiver_owner", "waiver_reason", "waiver_expires", "id")

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""What a spreadsheet takes for the beginning of a formula, also in the width of Chinese and Japanese signs."""

FORMULA = (*SIGNS, "\t", "\r", "\n")
"""The same, and what it passes over before."""

# Where a semicolon separates cells, as in many European countries, a spreadsheet also ends a cell in the middle of a quoted one.
_NEXT_CELL = re.compile(f'([;|\\t\\r\\n][\\s"]*)(?=[{re.escape(SIGNS)}])')


class Format(NamedTuple):
    """A file of the report."""

    file: str
    render: Callable[[Json, str], bytes]  # from the report and the level that fails the run
    mode: int = 0o600
    sign: bytes = b""  # what every such file contains. People name the path of only one, so only that may be one of something else


def as_json(report: Json, fail_on: str = "error") -> bytes:
    """Return the report itself. The same report is the same bytes."""
    return (json.dumps(report, indent=1, sort_keys=True, allow_nan=False) + "\n").encode("ascii")


def sha256(report: Json) -> str:
    """Return the checksum of the JSON report, which other formats show as evidence."""
    return hashlib.sha256(as_json(report)).hexdigest()


def as_html(report: Json, fail_on: str = "error") -> bytes:
    """Return the page for people."""
    from ansible_collections.expanso.edge.plugins.plugin_utils._audit_page import render  # Jinja2 and the page's files are needed only here

    return render(report, sha256=sha256(report)).encode("utf-8", "backslashreplace")


def as_csv(report: Json, fail_on: str = "error") -> bytes:
    """Return the findings as a table for spreadsheets."""
    table = io.StringIO()
    writer = csv.writer(table, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for finding in report["findings"]:
        waiver = finding["waiver"] or {}
        values = {**finding, **{f"waiver_{key}": value for key, value in waiver.items()}}
        writer.writerow([harmless(values.get(column)) for column in COLUMNS])
    return table.getvalue().encode("utf-8", "backslashreplace")


def harmless(value: object) -> str:
    """Return the text of a cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value).replace("\0", "\\u0000")
    text = _NEXT_CELL.sub(r"\1'", text)
    return f"'{text}" if text.startswith(FORMULA) else text


FORMATS = {
    "json": Format("audit.json", as_json),
    "html": Format("audit.html", as_html),
    "csv": Format("audit.csv", as_csv),
    "junit": Format("audit.junit.xml", junit.render),
    # a collector that is not root reads it; it contains no names of nodes
    "prometheus": Format("audit.prom", prometheus.render, 0o644, prometheus.PREFIX.encode()),
    "ocsf": Format("audit.ocsf.jsonl", ocsf.render),
}
