# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What a version of systemd makes of a unit file.

Pure. systemd ignores a setting that it is too old for. For a sandboxing switch nothing better is possible; for a credential it means
that a service is started without its secret.
"""

import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ansible_collections.expanso.edge.plugins.module_utils._audit.shapes import tokens_in
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._secrets import mask
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME

REQUIRED_SINCE = {
    "LoadCredential": 247,
    "SetCredential": 247,
    "LoadCredentialEncrypted": 250,
    "SetCredentialEncrypted": 250,
    "ImportCredential": 254,
}
"""Settings that a unit does not work without, and the version of systemd that brought each; systemd.exec(5)."""

OPTIONAL_SINCE = {
    "PrivateMounts": 239,
    "NetworkNamespacePath": 242,
    "ProtectHostname": 242,
    "RestrictSUIDSGID": 242,
    "OOMPolicy": 243,
    "AllowedCPUs": 244,
    "AllowedMemoryNodes": 244,
    "ProtectKernelLogs": 244,
    "ProtectClock": 245,
    "CoredumpFilter": 246,
    "ManagedOOMMemoryPressure": 247,
    "ProcSubset": 247,
    "ProtectProc": 247,
    "SystemCallLog": 247,
    "ExecPaths": 248,
    "NoExecPaths": 248,
    "PrivateIPC": 248,
    "SocketBindAllow": 249,
    "SocketBindDeny": 249,
    "RestrictFileSystems": 250,
    "RestrictNetworkInterfaces": 250,
    "MemoryKSM": 254,
    "RestartMaxDelaySec": 254,
    "RestartSteps": 254,
    "PrivatePIDs": 257,
}
"""Settings that tighten or refine a service, and the version of systemd that brought each; systemd.exec(5), systemd.resource-control(5)."""

MARKER = "# Managed by expanso.edge."
"""The line that tells units of this collection from others."""

MOST = 65536
"""Bytes of a unit at most: what is read of a file."""

_MARKED = re.compile(r"^# (?:Managed by expanso\.edge\b|Ansible manages this file \(expanso\.edge\.)", re.MULTILINE)  # the second: the role's templates
_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(?:service|socket|target|timer|path|mount|automount|swap|slice|scope|device)")  # systemd.unit(5)

_ODD = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

_ASSIGNED = re.compile(r"[ \t]*Environment[ \t]*=.*\b" + ENV_NAME + r"=[^\s\"']")

_SETTING = re.compile(r"([A-Za-z]+)[ \t]*=")
_VERSION = re.compile(r"systemd (\d+)")
_NO_COMMAND = "is not executable:"


class UnitError(EdgeError):
    """A unit that this node cannot have. The message says why."""


class AdaptedUnit(NamedTuple):
    """A unit file for a certain version of systemd, and the settings that were left out for it."""

    text: str
    left_out: List[str]


def parse_version(output: str) -> Optional[int]:
    """Return the version in what ``systemctl --version`` prints, None where there is none."""
    found = _VERSION.match(output)
    return int(found.group(1)) if found else None


def adapt_to_version(name: str, text: str, version: int) -> AdaptedUnit:
    """Return a unit file without the refinements that a version of systemd does not know, each left as a comment.

    :param name: of the unit, for messages
    :raises UnitError: it has a setting that it cannot do without and that this version does not know
    """
    lines, left_out = [], []
    for line in text.splitlines():
        setting = _SETTING.match(line)
        key = setting.group(1) if setting else ""
        if REQUIRED_SINCE.get(key, 0) > version:
            raise UnitError(f"{name}: {key}= needs systemd {REQUIRED_SINCE[key]} or newer, and this node has systemd {version}")
        if OPTIONAL_SINCE.get(key, 0) > version:
            left_out.append(key)
            line = f"# needs systemd {OPTIONAL_SINCE[key]}: {line}"
        lines.append(line)
    return AdaptedUnit("".join(line + "\n" for line in lines), left_out)


def is_ours(text: str) -> bool:
    """Whether a unit file was written by this collection."""
    return bool(_MARKED.search(text))


def marked(text: str) -> str:
    """Return a unit file with the line that marks it as one of this collection."""
    return text if is_ours(text) else f"{MARKER}\n{text}"


def check_name(name: Any) -> None:
    """Check that this can be the name of a unit.

    :raises UnitError: it cannot
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > 255:
        shown = "".join(char if char.isprintable() else "?" for char in str(name)[:60])
        raise UnitError(f"'{shown}' is not the name of a unit, such as expanso-edge.service")
    if mask(name) != name:  # every account sees the names of units
        raise UnitError("the name of a unit contains a token: give a name such as expanso-edge.service (systemd_service_name)")


def check_units(units: Dict[Any, Any]) -> None:
    """Check that units are names with texts.

    :raises UnitError: one is not
    """
    for name, text in units.items():
        check_name(name)
        if not isinstance(text, str):
            raise UnitError(f"units: the content of {name} is not a text, but of type {type(text).__name__}")
        odd = _ODD.search(text)
        if odd:
            raise UnitError(f"units: the content of {name} has the character U+{ord(odd.group()):04X}, which a unit must not have: remove it")
        if len(text.encode("utf-8")) > MOST:
            raise UnitError(f"units: the content of {name} is longer than {MOST} bytes")
        lines = text.replace("\\\n", " ").splitlines()  # a backslash continues a line
        if any(map(_ASSIGNED.match, lines)) or tokens_in(text.encode("utf-8")):
            where = f"units: the content of {name} contains a bootstrap token"
            raise UnitError(f"{where}, which every account of this node could read: give it as expanso_edge_token")


def complaints(output: str, directory: str, names: Sequence[str]) -> List[str]:
    """Return the lines of ``systemd-analyze verify`` that complain of units in a directory, without those about other units of the node.

    A program that is not there yet is not a fault of the unit that names it.
    """
    starts = tuple(start for name in names for start in (f"{directory}/{name}:", f"{name}:", f"Unit {name} "))
    found = [line.strip() for line in output.splitlines() if line.startswith(starts) and _NO_COMMAND not in line]
    return [line.replace(directory + "/", "") for line in found]
