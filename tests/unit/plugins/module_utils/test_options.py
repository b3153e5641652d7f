# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._options import OptionError, check_options

SPEC: dict[str, dict[str, Any]] = {
    "name": {"type": "str"},
    "path": {"type": "path", "default": "/etc/expanso"},
    "paths": {"type": "list", "elements": "path", "default": []},
    "token": {"type": "str", "no_log": True},
    "units": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 120},
}


class Module:
    def __init__(self, **options: Any) -> None:
        self.argument_spec = SPEC
        self.params = {name: options.get(name, spec.get("default")) for name, spec in SPEC.items()}


@pytest.mark.parametrize("options", [{}, {"name": None}, {"name": "b\u00f6rse"}, {"paths": ["/a", "/b c"]}, {"token": "a\nb"}, {"units": {"a": "b\nc"}}])
def test_what_can_be_meant(options: dict[str, Any]) -> None:
    check_options(Module(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": None}, "path is null, but needs a value: leave it out for its default, '/etc/expanso'"),
        ({"timeout": None}, "timeout is null, but needs a value: leave it out for its default, 120"),
        ({"units": None}, "units is null, but needs a value: leave it out for its default, {}"),
        ({"paths": ["/a", ""]}, "element 2 of paths is empty: leave it out"),
        ({"paths": [None]}, "element 1 of paths is empty: leave it out"),
        ({"path": ""}, "path is not an absolute path"),
        ({"path": "etc/expanso"}, "path is not an absolute path"),
        ({"path": "/a\0b"}, "path has the control character U+0000, at position 3"),
        ({"name": "a\n"}, "name has the control character U+000A, at position 2"),
        ({"paths": ["/a", "/b\x1b[1m"]}, "element 2 of paths has the control character U+001B, at position 3"),
        ({"path": "/a\udcff"}, "path is not UTF-8, at its character 3"),
        ({"name": "x" * 10_000_000}, "name has 10000000 characters, more than 4096"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as fault:
        check_options(Module(**options))
    assert str(fault.value) == message
