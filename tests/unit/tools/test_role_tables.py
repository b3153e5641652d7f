# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of variables that the roles' READMEs get from argument_specs."""

from __future__ import annotations

from typing import Any

import pytest
from paths import SupportError
from role_tables import HEAD, row, with_tables

ROWS: list[tuple[dict[str, Any], str]] = [
    ({"description": "Name of it. More.", "type": "str", "default": "edge"}, "str | `edge` | Name of it"),
    ({"description": ["A key (C(exp_bk_...)) or V(x).", "More."], "type": "bool", "default": False}, "bool | `false` | A key (`exp_bk_...`) or `x`"),
    ({"description": "Mode.", "type": "raw", "default": "0600"}, "raw | `'0600'` | Mode"),
    ({"description": "Needed.", "type": "path", "required": True}, "path | required | Needed"),
    ({"description": "State.", "type": "str", "choices": ["a", "b"], "default": "a"}, "str: `a`, `b` | `a` | State"),
    ({"description": "Keys.", "type": "dict", "options": {"tls": {}}, "default": {}}, "dict: `tls` | `{}` | Keys"),
    ({"description": "Files.", "type": "list", "elements": "path", "default": "{{ files | default([]) }}"}, "list of path | `files`, else empty | Files"),
    ({"description": "Anew.", "type": "raw", "default": "{{ anew | default(false) }}"}, "raw | `anew`, else `false` | Anew"),
    ({"description": "Path.", "type": "path", "default": "{{ edge_path | default('/x') }}"}, "path | `edge_path`, else `/x` | Path"),
    ({"description": "Host.", "type": "str", "default": "{{ hosts | first }}"}, "str | `{{ hosts \\| first }}` | Host"),
    ({"description": "Name.", "type": "str", "default": "{% raw %}{{.Node}}{% endraw %}"}, "str | `{{.Node}}` | Name"),
    ({"description": "See O(expanso.edge.x#module:y).", "type": "int"}, "int | – | See `expanso.edge.x#module:y`"),
]


@pytest.mark.parametrize(("option", "cells"), ROWS)
def test_row(option: dict[str, Any], cells: str) -> None:
    assert row("x", option) == f"| `x` | {cells} |\n"


def test_a_description_without_a_full_stop_is_refused() -> None:
    with pytest.raises(SupportError, match="full stop: no end"):
        row("x", {"description": "no end", "type": "str"})


def test_each_variable_is_in_the_table_of_its_longest_prefix() -> None:
    option = {"description": "It.", "type": "str"}
    readme = "before\n<!-- variables a_ -->\nold\n<!-- end of variables -->\nbetween\n<!-- variables a_b_ -->\n<!-- end of variables -->\nafter\n"
    made = with_tables(readme, {"a_b_c": option, "a_d": option})
    assert made == (
        f"before\n<!-- variables a_ -->\n{HEAD}{row('a_d', option)}<!-- end of variables -->\n"
        f"between\n<!-- variables a_b_ -->\n{HEAD}{row('a_b_c', option)}<!-- end of variables -->\nafter\n"
    )
    assert with_tables(made, {"a_b_c": option, "a_d": option}) == made


def test_a_variable_without_a_table_is_refused() -> None:
    with pytest.raises(SupportError, match="prefix of b_c"):
        with_tables("<!-- variables a_ -->\n<!-- end of variables -->\n", {"b_c": {"description": "It.", "type": "str"}})
