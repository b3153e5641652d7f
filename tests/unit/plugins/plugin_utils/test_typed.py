# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variable is behind an option that a message names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._typed import as_typed, named_as_typed, written

OPTIONS = {
    "path": "{{ token_file_path }}",
    "data_dir": "{{ token_file_data_dir | default(omit, true) }}",
    "paths": ["{{ token_file_path }}"],
    "files": ["{{ token_file_path }}", "{{ first }}"],
    "mode": "0600",
    "state": "{{ __internal }}",
    "units": "{{ {name: text} }}",
    "owner": "{{ not_defined }}",
    "loop": "{{ first }}",
    "registration": {"timeout": "{{ token_file_register_timeout }}"},
    "reregister": "{{ token_file_reregister or false }}",
    "group": "{{ groups_of_files.first }}",
}
VARIABLES: dict[str, Any] = {
    "token_file_path": "/",
    "token_file_data_dir": "{{ expanso_edge_data_dir | default('/var/lib/expanso/edge') }}",
    "expanso_edge_data_dir": "data",
    "__internal": "x",
    "first": "{{ second }}",
    "second": "{{ first }}",
    "token_file_register_timeout": 0,
    "token_file_reregister": "{{ expanso_edge_reregister | default(false) }}",
    "groups_of_files": {"first": "x"},
}


@pytest.mark.parametrize(
    ("message", "typed"),
    [
        ("option path: / is the root", "option path (token_file_path): / is the root"),
        ("correct option data_dir or option path", "correct option data_dir (expanso_edge_data_dir) or option path (token_file_path)"),
        ("option registration.timeout is 0", "option registration.timeout (token_file_register_timeout) is 0"),
        ("option timeout is 0", "option timeout (token_file_register_timeout) is 0"),
        ("set option reregister", "set option reregister (token_file_reregister)"),
        ("option path (element 2) is empty", "option path (element 2) is empty"),
        ("option paths: the path is not absolute", "option paths (token_file_path): the path is not absolute"),
        ("option files: one of several", "option files: one of several"),
        ("/: option mode, option state, option units", "/: option mode, option state, option units"),
        ("option owner, option group and option unknown.path", "option owner, option group and option unknown.path"),
        ("an optional path; options path", "an optional path; options path"),
        # Ansible's own
        ("argument 'timeout' is of type str and", "argument 'timeout' (token_file_register_timeout) is of type str and"),
        ("value of path must be one of: a, b, got: path", "value of path (token_file_path) must be one of: a, b, got: path"),
        ("Elements value for option 'data_dir' is of type", "Elements value for option 'data_dir' (expanso_edge_data_dir) is of type"),
    ],
)
def test_a_message_names_what_was_typed(message: str, typed: str) -> None:
    assert as_typed(message, OPTIONS, VARIABLES) == typed
    assert as_typed(typed, OPTIONS, VARIABLES) == typed, "a second time nothing is added"


def test_variables_that_refer_to_each_other_end() -> None:
    assert as_typed("option loop", OPTIONS, VARIABLES) in ("option loop (first)", "option loop (second)")


@pytest.mark.parametrize("key", ["expanso.edge.bootstrap_token", "bootstrap_token"])
def test_options_as_they_are_written_in_the_task(key: str) -> None:
    task = SimpleNamespace(action="expanso.edge.bootstrap_token", _ds={"name": "x", key: OPTIONS})
    assert written(task) == OPTIONS
    failed = {"failed": True, "msg": "option path is wrong", "exception": "what newer ones show: option path is wrong"}
    assert named_as_typed(failed, task, VARIABLES) == {"failed": True, "msg": "option path (token_file_path) is wrong"}
    assert named_as_typed({"msg": "option path"}, task, VARIABLES) == {"msg": "option path"}, "only failures"


@pytest.mark.parametrize("source", [None, "text", {}, {"bootstrap_token": "path=/x"}, {"action": {"module": "bootstrap_token"}}])
def test_other_tasks_have_no_options_to_look_at(source: Any) -> None:
    task = SimpleNamespace(action="expanso.edge.bootstrap_token", _ds=source)
    assert written(task) == {}
    assert written(SimpleNamespace(action="x")) == {}
