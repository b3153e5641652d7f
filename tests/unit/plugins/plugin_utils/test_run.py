# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run this is, and who started it."""

import getpass
import re

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils import _run


def test_each_run_has_its_own_identifier():
    assert re.fullmatch(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", _run.RUN_ID)
    assert _run.new_run_id() != _run.new_run_id()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({}, None), ({"awx_job_id": ""}, None), ({"awx_job_id": {}}, None), ({"awx_job_id": 17}, "17"), ({"tower_job_id": "18", "awx_job_id": None}, "18")],
)
def test_job(variables, expected):
    assert _run.job_id(variables) == expected


AWX = {"awx_workflow_job_name": "Provision", "awx_job_template_name": "Provision"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        (AWX, True),
        ({"tower_workflow_job_name": "Provision", "tower_job_template_name": "Provision"}, True),
        ({**AWX, "awx_workflow_job_name": "Nightly"}, False),
        ({"awx_job_template_name": "Provision"}, False),
        ({"awx_workflow_job_name": "", "awx_job_template_name": ""}, False),
        ({"awx_workflow_job_name": ["a"], "awx_job_template_name": ["a"]}, False),
        ({"awx_workflow_job_name": "Provision", "tower_job_template_name": "Provision"}, False),
        ({"expanso_edge_sliced": True}, True),
        ({"expanso_edge_sliced": "yes"}, True),
        ({"expanso_edge_sliced": "odd"}, False),
        ({**AWX, "expanso_edge_sliced": False}, False),
        ({**AWX, "expanso_edge_sliced": "false"}, False),
        ({**AWX, "expanso_edge_sliced": ""}, True),
        ({**AWX, "expanso_edge_sliced": {}}, True),
    ],
)
def test_slices(variables, expected):
    assert _run.sliced(variables) is expected


def test_which_slices_belong_together():
    assert _run.slices_of({}) is None
    assert _run.slices_of({"awx_workflow_job_id": 4711}) == _run.slices_of({"tower_workflow_job_id": "4711"}) == "4711"


def test_user(monkeypatch):
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.delenv("LOGNAME")
    assert _run.user({}) == getpass.getuser()
    assert _run.user({"tower_user_name": "ada", "awx_user_name": ""}) == "ada"


def test_account_without_a_name(monkeypatch):
    monkeypatch.setattr(_run.os, "getuid", lambda: 987654)
    assert _run.user({}) == "987654"
