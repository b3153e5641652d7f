# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes after all stories, seen from outside: none of it is what the role says of itself."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

TOKEN = "exp_bk_molecule-token-file-"
STORIES = "/srv/stories"


def token(story):
    """The token of a story: no word of it stands in a path, where it would be masked."""
    return TOKEN + hashlib.sha256(story.encode()).hexdigest()


def state(file):
    return file.user, file.group, file.mode, file.content_string


@pytest.mark.parametrize(
    ("path", "story"),
    [
        ("/etc/expanso/bootstrap.token", "converge"),
        (f"{STORIES}/permissions_repaired/bootstrap.token", "permissions_repaired"),
        (f"{STORIES}/token_changed/bootstrap.token", "token_changed"),
    ],
)
def test_the_file_holds_the_exact_token_for_root_alone(host, path, story):
    file = host.file(path)
    assert file.is_file and not file.is_symlink
    assert state(file) == ("root", "root", 0o600, token(story))


def test_another_account_cannot_read_it(host):
    assert host.run("setpriv --reuid=daemon --regid=daemon --clear-groups cat /etc/expanso/bootstrap.token").rc != 0


def test_the_directory_lets_the_agent_pass(host):
    directory = host.file("/etc/expanso")
    assert (directory.user, directory.group, directory.mode) == ("root", "root", 0o755)


def test_nothing_is_left_beside_it(host):
    assert host.check_output("ls -A /etc/expanso") == "bootstrap.token"
    assert host.check_output(f"ls -A {STORIES}/token_changed").split() == ["bootstrap.token", "data"]


def test_the_link_and_what_it_points_to_are_as_they_were(host):
    assert host.file(f"{STORIES}/symbolic_link_refused/bootstrap.token").linked_to == f"{STORIES}/symbolic_link_refused/precious"
    assert state(host.file(f"{STORIES}/symbolic_link_refused/precious")) == ("root", "root", 0o644, "precious")


@pytest.mark.parametrize("story", ["open_directory_refused", "removed", "registered_node", "registers", "no_token"])
def test_there_is_no_token(host, story):
    assert not host.file(f"{STORIES}/{story}/bootstrap.token").exists


def test_a_refused_run_makes_no_directory(host):
    assert not host.file(f"{STORIES}/no_token").exists


def test_the_token_was_spent_once_by_each_node(host):
    program = "import urllib.request; print(urllib.request.urlopen('http://control-plane:8080/admin/state').read().decode())"
    control_plane = json.loads(host.check_output("python3 -c %s", program))
    assert control_plane["tokens"]["registers"]["nodes"][host.check_output("hostname")] == 1
    assert control_plane["refusals"] == []


def test_the_identity_is_the_agents_alone(host):
    assert host.file(f"{STORIES}/registers/data").mode == 0o700
    assert host.file(f"{STORIES}/registers/data/auth/credentials.creds").mode == 0o600


@pytest.mark.parametrize("story", ["registers", "token_changed", "permissions_repaired"])
def test_the_enrolment_record_tells_which_token_was_given(host, story):
    file = host.file(f"{STORIES}/{story}/data/enrolment.json")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o600)
    given = hashlib.sha256(b"expanso.edge bootstrap token\0" + token(story).encode()).hexdigest()[:12]
    last = json.loads(file.content_string)["enrolments"][-1]
    assert (last["fingerprint"], last["delivery"]) == (given, "file")


def test_systemd_reads_the_environment_file_as_it_was_meant(host):
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    command = "systemd-run --quiet --wait --pipe --property=EnvironmentFile=%s python3 -c %s"
    found = json.loads(host.check_output(command, f"{STORIES}/environment_file/bootstrap.env", program))
    wanted = yaml.safe_load(Path(__file__).parents[1].joinpath("vars.yml").read_text())["environment_file_variables"]
    assert wanted.items() <= found.items()
    assert found["EXPANSO_EDGE_BOOTSTRAP_TOKEN"] == token("environment_file")


def test_no_token_is_anywhere_else(host):
    """Neither in what the nodes logged, nor in what Ansible left, nor with a process; /proc and /sys are not disks."""
    pattern = TOKEN[:-1].replace("exp_bk_", "exp[_]bk_")  # so that the search does not find itself
    found = host.run(f"grep --recursive --text --files-with-matches --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev -e '{pattern}' /").stdout
    assert sorted(found.split()) == [
        "/etc/expanso/bootstrap.token",
        f"{STORIES}/environment_file/bootstrap.env",
        f"{STORIES}/permissions_repaired/bootstrap.token",
        f"{STORIES}/token_changed/bootstrap.token",
    ]
    assert host.run(f"cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -e '{pattern}'").stdout == ""
    assert host.run(f"journalctl --no-pager --output=cat | grep -e '{pattern}'").stdout == ""
