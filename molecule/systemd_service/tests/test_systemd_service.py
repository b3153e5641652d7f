# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes after all stories: registered, running, and without a token anywhere."""

import base64
import hashlib
import json

import pytest

SPENT_ONCE = {
    "converge",  # crash, ten restarts, a changed delivery and removal included
    "rejected",
    "unreachable",
    "in_flight",
    "delivery",
    "golden_image",
    "other_account",
    "other_directory",
    "at_last",
    "crash_loop",
}


@pytest.fixture
def control_plane(host):
    """What the control plane knows."""
    program = "import urllib.request; print(urllib.request.urlopen('http://control-plane:8080/admin/state').read().decode())"
    return json.loads(host.check_output("python3 -c %s", program))


def show(host, unit, *properties):
    lines = host.check_output(f"systemctl show --property={','.join(properties)} {unit}").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_each_token_was_spent_once_by_each_node(host, control_plane):
    node = host.check_output("hostname")
    spent = {label: token["nodes"].get(node) for label, token in control_plane["tokens"].items()}
    assert spent == dict.fromkeys(SPENT_ONCE, 1)


def test_other_tokens_were_refused(host, control_plane):
    node = host.check_output("hostname")
    refused = [event["outcome"] for event in control_plane["refusals"] if event["node"] == node]
    assert refused == ["unknown"] * 3  # one in the story of the rejected token, two in that of the hostile agent


def test_the_agent_runs_and_will_at_boot(host):
    agent = show(host, "expanso-edge.service", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "UMask", "NoNewPrivileges")
    assert agent == {
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "enabled",
        "NeedDaemonReload": "no",
        "UMask": "0077",
        "NoNewPrivileges": "yes",
    }


def test_the_node_registers_only_where_there_is_no_marker(host):
    unit = show(host, "expanso-edge-bootstrap.service", "ActiveState", "Result", "Type", "UMask", "NeedDaemonReload")
    assert unit == {"ActiveState": "inactive", "Result": "success", "Type": "oneshot", "UMask": "0077", "NeedDaemonReload": "no"}


@pytest.mark.parametrize("unit", ["expanso-edge.service", "expanso-edge-bootstrap.service"])
def test_systemd_finds_nothing_wrong_with_the_units(host, unit):
    verified = host.run(f"systemd-analyze verify {unit}")
    assert (verified.rc, verified.stdout, verified.stderr) == (0, "", "")
    file = host.file(f"/etc/systemd/system/{unit}")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o644)


def test_the_identity_is_the_agents_alone(host):
    directory = host.file("/var/lib/expanso/edge")
    assert (directory.user, directory.mode) == ("root", 0o700)
    assert host.file("/var/lib/expanso/edge/auth/credentials.creds").mode == 0o600


def test_the_enrolment_record_outlives_the_token(host):
    file = host.file("/var/lib/expanso/edge/enrolment.json")
    assert (file.user, file.mode) == ("root", 0o600)
    last = json.loads(file.content_string)["enrolments"][-1]
    assert (last["kind"], last["delivery"]) == ("bootstrap_key", "systemd")
    assert "exp_bk_" not in file.content_string


def test_the_agent_and_its_children_have_no_token_in_their_environment(host):
    main = int(show(host, "expanso-edge.service", "MainPID")["MainPID"])
    processes = [main, *map(int, host.check_output(f"pgrep --parent {main}").split())]
    assert len(processes) > 1, "the stand-in runs a pipeline"
    for process in processes:
        assert "EXPANSO_EDGE_BOOTSTRAP_TOKEN" not in host.file(f"/proc/{process}/environ").content_string


def test_no_token_is_left_anywhere(host):
    tokens = [base64.b64encode(base64.b64encode(f"exp_bk_{hashlib.sha256(story.encode()).hexdigest()}".encode())).decode() for story in sorted(SPENT_ONCE)]
    assert host.check_output("/usr/local/bin/search_token " + " ".join(tokens)) == ""
