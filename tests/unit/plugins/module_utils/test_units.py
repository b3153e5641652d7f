# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
from typing import Any, List, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._systemctl import systemd_version
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME
from ansible_collections.expanso.edge.plugins.module_utils._units import (
    OPTIONAL_SINCE,
    REQUIRED_SINCE,
    UnitError,
    adapt_to_version,
    check_name,
    check_units,
    complaints,
    is_ours,
    marked,
    parse_version,
)

UNIT = "a.service"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJub2RlIn0.c2lnbmF0dXJl"
SCRATCH = "/tmp/units-x"


class Module:
    """A node with or without a systemctl, and what that answers."""

    def __init__(self, systemctl: Optional[str], *answer: Any) -> None:
        self.systemctl = systemctl
        self.answer = answer

    def get_bin_path(self, _name: str) -> Optional[str]:
        return self.systemctl

    def run_command(self, _arguments: List[str]) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Module(None), "this node has no systemd: choose another delivery"),
        (Module("/bin/systemctl", 127, "", "cannot open libsystemd\n"), "/bin/systemctl does not tell the version of systemd: cannot open libsystemd"),
        (Module("/bin/systemctl", 0, "", ""), "/bin/systemctl does not tell the version of systemd: it says nothing"),
    ],
)
def test_a_node_whose_systemd_is_not_there_or_not_well(module: Any, message: str) -> None:
    with pytest.raises(UnitError, match="^" + message):
        systemd_version(module)


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("systemd 257 (257.13-1~deb13u1)\n+PAM +AUDIT", 257),
        ("systemd 239 (239-82.el8)", 239),
        ("systemd 219\n+PAM", 219),
        ("systemd 258~rc1 (258~rc1-1)", 258),
        ("", None),
        ("sh: systemctl: not found", None),
    ],
)
def test_version(output: str, version: Optional[int]) -> None:
    assert parse_version(output) == version


@pytest.mark.parametrize(("setting", "since"), REQUIRED_SINCE.items())
def test_a_credential_is_refused_by_an_older_systemd_alone(setting: str, since: int) -> None:
    text = f"[Service]\n{setting}=token:/etc/token\n"
    assert adapt_to_version(UNIT, text, since) == (text, [])
    with pytest.raises(UnitError, match=f"^a.service: {setting}= needs systemd {since} or newer, and this node has systemd {since - 1}$"):
        adapt_to_version(UNIT, text, since - 1)


@pytest.mark.parametrize(("setting", "since"), OPTIONAL_SINCE.items())
def test_a_refinement_is_left_out_for_an_older_systemd_alone(setting: str, since: int) -> None:
    text = f"[Service]\nType=oneshot\n{setting}=true\nUser=root\n"
    assert adapt_to_version(UNIT, text, since) == (text, [])
    assert adapt_to_version(UNIT, text, since - 1) == (f"[Service]\nType=oneshot\n# needs systemd {since}: {setting}=true\nUser=root\n", [setting])


@pytest.mark.parametrize("line", ["# LoadCredential=a:b", "Environment=LoadCredential=a", "Description=ProtectProc=", "LoadCredentials=a:b", ""])
def test_only_settings_count(line: str) -> None:
    assert adapt_to_version(UNIT, line + "\n", 200) == (line + "\n", [])


def test_the_last_line_is_ended() -> None:
    assert adapt_to_version(UNIT, "[Service]", 252).text == "[Service]\n"


def test_no_complaint_about_a_program_that_comes_later() -> None:
    assert complaints("a.service: Command /usr/local/bin/agent is not executable: No such file or directory\n", SCRATCH, [UNIT]) == []


def test_no_complaint_about_units_of_others() -> None:
    output = "/lib/systemd/system/b.service:3: Unknown key 'X'\nb.service: Refusing.\n/etc/systemd/system/a.service.d/mine.conf:1: Unknown key 'X'\n"
    assert complaints(output, SCRATCH, [UNIT]) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (f"{SCRATCH}/a.service:19: Unknown key 'X' in section [Service], ignoring.", "a.service:19: Unknown key 'X' in section [Service], ignoring."),
        ("a.service: Service has no ExecStart=. Refusing.", "a.service: Service has no ExecStart=. Refusing."),
        ("Unit a.service has a bad unit file setting.", "Unit a.service has a bad unit file setting."),
    ],
)
def test_complaints(line: str, complaint: str) -> None:
    assert complaints(f"noise\n{line}\n", SCRATCH, ["b.service", UNIT]) == [complaint]


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("# Managed by expanso.edge.\n[Unit]\n", True),
        ("# Ansible manages this file (expanso.edge.systemd_service). Changes of yours belong into a drop-in.\n\n[Unit]\n", True),  # as 1.0.0 wrote it
        ("[Unit]\nDescription=# Managed by expanso.edge.\n", False),
        ("# Managed by expanso.edgewise\n", False),
        ("# Ansible managed\n[Unit]\n", False),
        ("", False),
    ],
)
def test_whose_unit_it_is(text: str, ours: bool) -> None:
    assert is_ours(text) is ours
    assert is_ours(marked(text))
    assert marked(marked(text)) == marked(text) and marked(text).endswith(text)


@pytest.mark.parametrize("name", ["a.service", "a-b_c:d.e@f.service", "x.timer", r"dev-disk\x2d1.mount"])
def test_names_of_units(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name", ["", "a", ".service", "../a.service", "a/b.service", "a.service\n", "a b.service", "a.conf", "\x1b.service", 5, None, "x" * 250 + ".service"]
)
def test_what_is_no_name_of_a_unit(name: Any) -> None:
    with pytest.raises(UnitError, match="^'.*' is not the name of a unit, such as expanso-edge.service$") as fault:
        check_name(name)
    assert str(fault.value).isprintable() and len(str(fault.value)) < 130


@pytest.mark.parametrize("name", ["exp_bk_Zq81mKx02LwPd7.service", f"{JWT}-bootstrap.service", f"{base64.b64encode(b'exp_bk_Zq81mKx02LwPd7').decode()}.timer"])
def test_a_name_that_is_a_token_is_refused_and_not_shown(name: str) -> None:
    with pytest.raises(UnitError, match="^the name of a unit contains a token: "):
        check_name(name)
    check_name("expanso-edge-bootstrap@a-long-instance.service")


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({UNIT: {"Unit": {}}}, "units: the content of a.service is not a text, but of type dict"),
        ({UNIT: 5}, "units: the content of a.service is not a text, but of type int"),
        ({UNIT: None}, "units: the content of a.service is not a text, but of type NoneType"),
        ({5: "[Unit]"}, "'5' is not the name of a unit, such as expanso-edge.service"),
        ({UNIT: "[Unit]\n\0"}, "units: the content of a.service has the character U+0000, which a unit must not have: remove it"),
        ({UNIT: "[Unit]\n\udcff"}, "units: the content of a.service has the character U+DCFF, which a unit must not have: remove it"),
        ({UNIT: "x" * 70_000}, "units: the content of a.service is longer than 65536 bytes"),
    ],
)
def test_what_are_no_units(units: dict[Any, Any], message: str) -> None:
    with pytest.raises(UnitError) as fault:
        check_units(units)
    assert str(fault.value) == message


@pytest.mark.parametrize(
    "line",
    [
        f"Environment={ENV_NAME}=k3F9sQx",
        f'Environment="A=b" "{ENV_NAME}=k3F9sQx"',
        f"Environment=A=b \\\n  {ENV_NAME}=k3F9sQx",
        "ExecStart=/usr/local/bin/expanso-edge run --token exp_bk_Zq81mKx02LwPd7",
        f"Environment=A={base64.b64encode(b'exp_bk_Zq81mKx02LwPd7').decode()}",
        "# exp_bk_Zq81mKx02LwPd7",
        f"ExecStart=/usr/local/bin/expanso-edge bootstrap --token {JWT}",
    ],
)
def test_a_unit_that_every_account_can_read_holds_no_token(line: str) -> None:
    with pytest.raises(UnitError, match="^units: the content of a.service contains a bootstrap token, which every account") as fault:
        check_units({UNIT: f"[Service]\n{line}\n"})
    assert "81mKx" not in str(fault.value) and "sQx" not in str(fault.value)


@pytest.mark.parametrize(
    "line",
    [
        f"UnsetEnvironment={ENV_NAME}",
        f"PassEnvironment={ENV_NAME}",
        f"Environment={ENV_NAME}=",
        f"Environment=A=b\nExecStart=/bin/sh -c '{ENV_NAME}=\"$$(cat x)\" exec agent'",
        "Environment=A=exp_bk_example",
        f"Environment=PIPELINE={JWT}",
    ],
)
def test_a_unit_may_name_the_variable_of_a_token(line: str) -> None:
    check_units({UNIT: f"[Service]\n{line}\n"})


def test_units() -> None:
    check_units({UNIT: "[Unit]\r\n\tDescription=B\u00f6rse \u00a0 a\n"})
