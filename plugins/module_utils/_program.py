# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Whether a file is a program that this machine can run.

The kernel refuses one that is not. Shells and some other programs then take it for a script, and read binary code as commands.
"""

import os
import stat
import struct
from typing import NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._walk import close, naming

_MACHINES = {3: "i386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64", 258: "loongarch64"}
"""Names of ``e_machine``; elf(5)."""

_KIN = (frozenset((3, 62)), frozenset((40, 183)), frozenset((20, 21)))
"""Processors that run each other's programs, in one direction at least."""

_INTERPRETERS = "/proc/sys/fs/binfmt_misc"


class Machine(NamedTuple):
    """What kind of machine a program is for."""

    number: int
    little: bool

    def __str__(self) -> str:
        return _MACHINES.get(self.number, f"a processor of number {self.number}") + ("le" if self.number == 21 and self.little else "")


class ProgramError(EdgeError):
    """A program that this machine cannot run."""


def check_agent(path: str, option: str) -> None:
    """Look at the agent before anything is done for it.

    :param option: by which it is named, for messages
    :raises ProgramError: it cannot be run
    """
    try:
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_directory = True
    except OSError as exc:
        raise ProgramError(f"the agent {path} cannot be looked at: {exc.strerror}") from None
    if is_directory or not os.access(path, os.X_OK):
        raise ProgramError(f"the agent {path} is missing or not executable: install it first, or set {option}")
    fault = unfit(path)
    if fault:
        raise ProgramError(f"the agent {path} {fault}: install the agent for this machine, or set {option}")


def unfit(path: str, own: Optional[Machine] = None) -> Optional[str]:
    """Return why a file is not a program for this machine, None where it may be one.

    :param own: this machine, detected by default
    :raises OSError: it cannot be read
    """
    # O_NONBLOCK: a pipe may never get a writer
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:  # to run a program one need not read it
        return None
    try:
        with naming(path):
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return "is not a regular file"
            head = os.read(descriptor, 20)
    finally:
        close(descriptor)
    if head[:2] == b"#!" or _foreign_interpreters():
        return None
    machine = parse(head)
    if machine is None:
        return "is neither a program nor a script with an interpreter in its first line"
    own = this_machine() if own is None else own
    if own is None or machine == own or (machine.little == own.little and any({machine.number, own.number} <= kin for kin in _KIN)):
        return None
    return f"is for another machine: it is built for {machine}, and this one is {own}"


def parse(head: bytes) -> Optional[Machine]:
    """Return the machine that the first 20 bytes of an executable file name, None where it names none; elf(5)."""
    if len(head) < 20 or head[:4] != b"\x7fELF" or head[5] not in (1, 2):
        return None
    little = head[5] == 1
    return Machine(struct.unpack("<H" if little else ">H", head[18:20])[0], little)


def this_machine() -> Optional[Machine]:
    """Return what Python itself is built for."""
    try:
        with open("/proc/self/exe", "rb") as handle:
            return parse(handle.read(20))
    except OSError:
        return None


def _foreign_interpreters() -> bool:
    """Whether the kernel knows interpreters for programs of other machines, such as an emulator."""
    try:
        names = os.listdir(_INTERPRETERS)
    except OSError:
        return False
    for name in names:
        try:
            with open(os.path.join(_INTERPRETERS, name)) as handle:
                if "magic 7f454c46" in handle.read():  # ELF
                    return True
        except OSError:  # one that can be written only
            continue
    return False
