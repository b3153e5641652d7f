# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment files as systemd itself reads them: what this collection writes, and what people write.

Each file belongs to a unit of a template, which writes what it was given to a file. All units of a machine start together.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Iterator

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._env_file import parse, render
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from machines import Machine, machine

UNIT = """[Service]
Type=oneshot
EnvironmentFile=/cases/%i
ExecStart=/bin/sh -c 'env -0 > /cases/%i.read'
"""
NAMES = [f"EDGE_{letter}" for letter in "ABCDEFGH"]
VALUES = st.text(st.characters(blacklist_categories=["Cc", "Cs"]), max_size=60) | st.text("ab \"'\\$`#;=%{}!~", max_size=20)
PARTS = [
    *("EDGE_A=", "EDGE_A=", "EDGE_A", "EDGE_B", "=", "=", "x", "y z", " ", "\t", "\n", "\n", "\r\n", "'", '"', "\\", "\\\n"),
    *("$", "`", "#", ";", "$HOME", "%h", "\u00e4", "\ufeff"),
]
WRITTEN = [  # what is often typed
    *("EDGE_A=x", "EDGE_A = x", "export EDGE_A=x", "EDGE_A='x y'", 'EDGE_A="x y"', "EDGE_A=x y", "EDGE_A=x # no comment", "#EDGE_A=x", ";EDGE_A=x"),
    *("EDGE_A=x\\\ny", 'EDGE_A="x\\\ny"', "EDGE_A='x\\\ny'", "# EDGE_A=x \\\nEDGE_B=y", 'EDGE_A="x\ny"', 'EDGE_A="x\nEDGE_B=y', "EDGE_A=x'y'"),
    *('EDGE_A="x"y', 'EDGE_A="\\n\\t\\\\\\"\\$\\`\\x"', "EDGE_A=\\n\\ \\\\", "EDGE_A=x\r\nEDGE_B=y\r\n", "EDGE_A=x\n\n\nEDGE_A=y", "EDGE_A", "=x"),
    *("EDGE_A=x\\", 'EDGE_A="x\\', "EDGE_A==x", "\ufeffEDGE_A=x", "EDGE_A=x \t", "EDGE_A='x' \t", "EDGE_A= 'x'  'y' ", "EDGE_A=$EDGE_B", "EDGE_A=%h"),
    *("1=x\nEDGE_A=y", "EDGE-A=x\nEDGE_A=y", "EDGE_A=\nEDGE_B="),
]

CONTINUED = re.compile(r"[#;][^\r\n]*\\[\r\n]")
"""A comment that ends with a backslash. Up to systemd 253 it goes on in the next line."""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def node(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with machine(request.param) as found:
        found.run("sh", "-c", "mkdir /cases; cat > /run/systemd/system/case@.service; systemctl daemon-reload", given=UNIT)
        yield found


def read_by_systemd(node: Machine, texts: list[str]) -> list[dict[str, str]]:
    """The variables that systemd takes from each of the texts."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number, text in enumerate(texts):
            about = tarfile.TarInfo(str(number))
            about.size = len(text.encode())
            archive.addfile(about, io.BytesIO(text.encode()))
    last = len(texts) - 1
    script = f"cd /cases && rm -f * && tar -x && systemctl start case@$(seq -s ' case@' 0 {last}) && tar -c $(seq -f %g.read 0 {last})"
    command = ["docker", "--host", node.docker_host, "exec", "--interactive", node.name, "sh", "-c", script]
    done = subprocess.run(command, input=packed.getvalue(), capture_output=True, check=True)
    found = []
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for number in range(len(texts)):
            member = archive.extractfile(f"{number}.read")
            assert member
            pairs = [pair.partition(b"=") for pair in member.read().split(b"\0")]
            found.append({name.decode(): value.decode() for name, _equals, value in pairs if name.startswith(b"EDGE_")})
    return found


batches = settings(max_examples=4, deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


def test_what_is_written_is_what_the_agent_gets(node: Machine) -> None:
    """Sixty files of eight variables a time."""

    @batches
    @given(st.lists(st.lists(VALUES, min_size=len(NAMES), max_size=len(NAMES)), min_size=60, max_size=60))
    def check(files: list[list[str]]) -> None:
        variables = [dict(zip(NAMES, values)) for values in files]
        assert read_by_systemd(node, [render(each) for each in variables]) == variables

    check()


def test_what_people_write_is_understood_as_systemd_does(node: Machine) -> None:
    """Sixty files a time, with the signs that mean something in any order."""

    @batches
    @given(st.lists(st.lists(st.sampled_from(PARTS), max_size=16).map("".join), min_size=60, max_size=60))
    def check(texts: list[str]) -> None:
        compare(texts)

    def compare(texts: list[str]) -> None:
        if "bookworm" in node.name:
            texts = [text for text in texts if not CONTINUED.search(text)]
        understood = [{name: value for name, value in parse(text).items() if name.startswith("EDGE_")} for text in texts]
        assert [each for each in zip(texts, read_by_systemd(node, texts), understood) if each[1] != each[2]] == []

    check()
    compare(WRITTEN)
