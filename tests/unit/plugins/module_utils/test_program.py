# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import struct
import sys
from pathlib import Path
from typing import Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils import _program
from ansible_collections.expanso.edge.plugins.module_utils._program import Machine, ProgramError, check_agent, parse, this_machine, unfit

X86, ARM64, ARM, PPC64 = Machine(62, True), Machine(183, True), Machine(40, True), Machine(21, True)


@pytest.fixture(autouse=True)
def no_emulators(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_program, "_INTERPRETERS", str(tmp_path / "binfmt_misc"))


def elf(machine: Machine) -> bytes:
    return b"\x7fELF\2" + (b"\1" if machine.little else b"\2") + b"\1" + bytes(9) + struct.pack("<HH" if machine.little else ">HH", 2, machine.number)


def program(place: Path, content: bytes) -> str:
    path = place / "agent"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("machine", [X86, ARM64, ARM, PPC64, Machine(21, False), Machine(9999, False)])
def test_a_program_for_this_machine(tmp_path: Path, machine: Machine) -> None:
    assert parse(elf(machine)) == machine
    assert unfit(program(tmp_path, elf(machine) + b"more"), machine) is None


@pytest.mark.parametrize(
    ("machine", "own", "fault"),
    [
        (ARM64, X86, "is for another machine: it is built for aarch64, and this one is x86_64"),
        (X86, ARM64, "is for another machine: it is built for x86_64, and this one is aarch64"),
        (ARM, X86, "is for another machine: it is built for arm, and this one is x86_64"),
        (Machine(21, False), PPC64, "is for another machine: it is built for ppc64, and this one is ppc64le"),
        (Machine(9999, True), X86, "is for another machine: it is built for a processor of number 9999, and this one is x86_64"),
        (Machine(3, True), X86, None),
        (ARM, ARM64, None),
    ],
)
def test_a_program_for_another_machine(tmp_path: Path, machine: Machine, own: Machine, fault: Optional[str]) -> None:
    assert unfit(program(tmp_path, elf(machine)), own) == fault


@pytest.mark.parametrize("content", [b"", b"echo hello\n", b"\x7fELF", b"MZ" + bytes(100), b"<html>404 Not Found</html>"])
def test_no_program(tmp_path: Path, content: bytes) -> None:
    assert unfit(program(tmp_path, content)) == "is neither a program nor a script with an interpreter in its first line"


def test_a_script(tmp_path: Path) -> None:
    assert unfit(program(tmp_path, b"#!/bin/sh\n")) is None


def test_an_emulator_runs_programs_of_other_machines(tmp_path: Path) -> None:
    (tmp_path / "binfmt_misc").mkdir()
    (tmp_path / "binfmt_misc" / "python3").write_text("enabled\nmagic 0d0d\n")
    assert unfit(program(tmp_path, elf(ARM64)), X86)
    (tmp_path / "binfmt_misc" / "qemu-aarch64").write_text("enabled\nmagic 7f454c460201\n")
    assert unfit(program(tmp_path, elf(ARM64)), X86) is None


def test_a_pipe_does_not_stop_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o755)
    assert unfit(str(tmp_path / "pipe")) == "is not a regular file"


def test_an_agent_that_cannot_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ProgramError, match=f"the agent {tmp_path}/loop cannot be looked at: Too many levels of symbolic links"):
        check_agent(str(tmp_path / "loop"), "binary")


def test_this_machine() -> None:
    assert this_machine() is not None
    assert unfit(os.path.realpath(sys.executable)) is None


@pytest.mark.parametrize(
    ("mode", "content", "message"),
    [
        (0o644, b"#!/bin/sh\n", "the agent {0} is missing or not executable: install it first, or set option binary"),
        (0o755, elf(Machine(9999, True)), "the agent {0} is for another machine: .*: install the agent for this machine, or set option binary"),
        (0o755, b"", "the agent {0} is neither a program nor a script .*: install the agent for this machine"),
    ],
)
def test_an_agent_that_cannot_be_run(tmp_path: Path, mode: int, content: bytes, message: str) -> None:
    path = program(tmp_path, content)
    os.chmod(path, mode)
    with pytest.raises(ProgramError, match=message.format(path).replace("(", r"\(").replace(")", r"\)")):
        check_agent(path, "option binary")
    (tmp_path / "agent").unlink()
    with pytest.raises(ProgramError, match="is missing"):
        check_agent(path, "binary")
