# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The audit's report as one self-contained HTML page: no network, no other file, readable without JavaScript."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ._text import number, plural, visible, when, words
from ._view import view

HERE = Path(__file__).resolve().parent


def _shown(value: object) -> object:
    """What of a value stands in the page. Jinja2 applies this to every value, so none is forgotten, and escapes the answer."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _source(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The name of a script or style in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


@functools.lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, plural=plural, when=when, words=words)
    style, script = _source("page.css"), _source("page.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    # the page's own files, and nothing of the report: only these go into the page as they are
    environment.globals.update(style=Markup(style), script=Markup(script), policy=Markup(policy))
    return environment.get_template("page.html.j2")


def render(report: Mapping[str, Any], sha256: str = "") -> str:
    """The page for a report that follows docs/schemas/audit-report.schema.json. `sha256` is that of the report's JSON file, as hexadecimal digits."""
    return _template().render(view(report), sha256=sha256)
