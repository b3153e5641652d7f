# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The options of the action ``audit_report``, checked before any node is asked. Pure."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import PASTED, looks_like_token
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.formats import FORMATS
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import FINGERPRINT
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.report import Limits

DEFAULT_DIRECTORY = "expanso-edge-audit"
LEVELS = ("error", "warning", "never")
OPTIONS = (
    "directory", "expires_within", "fail_on", "fingerprints", "formats", "hosts", "max_age", "merge", "nodes", "only_check", "previous", "prometheus_file",
    "registry", "slices", "slices_of", "stuck_hours", "trail_file", "waivers",
)  # fmt: skip

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a directory of slices may be called."""

_MOST_DAYS = 36500


class Settings(NamedTuple):
    """What a run was asked for. Paths are absolute."""

    directory: str
    formats: list[str]
    fail_on: str
    limits: Limits
    nodes: str | None
    previous: str | None
    trail_file: str | None
    prometheus_file: str | None
    only_check: bool
    merge: bool = False
    slices: int | None = None
    slices_of: str | None = None
    fingerprints: tuple[str, ...] = ()  # of the tokens that are looked for, in order

    @property
    def of_slices(self) -> str:
        """The directory that holds the reports of slices, those of each set in a directory of its own."""
        return os.path.join(self.directory, "slices")

    def of_slice(self, set_name: str, job: str) -> Settings:
        """Return the settings of a slice: with a directory of its own, and without what is about the whole fleet."""
        return self._replace(directory=os.path.join(self.of_slices, set_name, job), nodes=None, previous=None, prometheus_file=None)

    def path(self, name: str) -> str:
        """Return the path of the file of a format. A report about some tokens never replaces the regular one, nor what is collected of that."""
        if self.fingerprints:
            # a collector reads all files that end with .prom, and refuses a metric that two of them have
            ending = FORMATS[name].file[len("audit") :].replace(".prom", ".prom.txt")
            return os.path.join(self.directory, f"audit-{self._sought}{ending}")
        if name == "prometheus" and self.prometheus_file:
            return self.prometheus_file
        return os.path.join(self.directory, FORMATS[name].file)

    @property
    def _sought(self) -> str:
        """What names the tokens that are looked for: the fingerprint of the one, or how many and a checksum of all."""
        if len(self.fingerprints) == 1:
            return self.fingerprints[0]
        return f"{len(self.fingerprints)}-tokens-{hashlib.sha256(','.join(self.fingerprints).encode()).hexdigest()[:8]}"


def parse(args: Mapping[str, Any]) -> Settings:
    """Return the settings. The JSON report is always written, because the next run and the inventory plugin need it.

    :raises DataError: an option has an impossible value
    """
    unknown = sorted(set(args) - set(OPTIONS))
    if unknown:
        raise DataError(f"audit_report has no such option; it has {', '.join(OPTIONS)}")
    given = _strings(_given(args, "formats", ["json", "html"]), "formats")
    return Settings(
        directory=_path(args.get("directory") or DEFAULT_DIRECTORY, "directory"),
        formats=[name for name in FORMATS if name == "json" or name in _choices(given, "formats", tuple(FORMATS))],
        fail_on=_choices([args.get("fail_on") or "error"], "fail_on", LEVELS)[0],
        limits=Limits(
            max_age_days=None if args.get("max_age") in (None, "") else int(_number(args["max_age"], "max_age", whole=True)),
            stuck_hours=_number(_given(args, "stuck_hours", 24), "stuck_hours"),
            expires_within_days=int(_number(_given(args, "expires_within", 14), "expires_within", whole=True)),
        ),
        nodes=_some_path(args, "nodes"),
        previous=_some_path(args, "previous"),
        trail_file=_some_path(args, "trail_file"),
        prometheus_file=_some_path(args, "prometheus_file"),
        only_check=_is_set(args, "only_check"),
        merge=_is_set(args, "merge"),
        slices=None if args.get("slices") in (None, "") else int(_number(args["slices"], "slices", whole=True)),
        slices_of=_some_name(args, "slices_of"),
        fingerprints=_fingerprints(_strings(args.get("fingerprints") or [], "fingerprints")),
    )


def _given(args: Mapping[str, Any], name: str, default: Any) -> Any:
    """Return an option. An empty text, such as a question of a survey that was not answered, means that it is not set."""
    value = args.get(name)
    return default if value in (None, "") else value


def _strings(value: Any, name: str) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)):
        raise DataError(f"{name} must be a list")
    return list(value)


def _fingerprints(values: list[Any]) -> tuple[str, ...]:
    found = sorted({str(value).strip().lower() for value in values})
    if not all(FINGERPRINT.fullmatch(value) for value in found):
        raise DataError("fingerprints has an entry that is not a fingerprint: give 12 digits of 0-9 and a-f, as reports show them")
    return tuple(found)


def _choices(values: list[Any], name: str, known: tuple[str, ...]) -> list[str]:
    # what was given instead is not shown: it may be anything, even a token in the wrong variable
    if not all(isinstance(value, str) and value in known for value in values):
        raise DataError(f"{name} has an unknown value: known are {', '.join(known)}")
    return [str(value) for value in values]


def _number(value: Any, name: str, whole: bool = False) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = int(str(value)) if whole else float(str(value))
        if not 0 <= number <= _MOST_DAYS:
            raise ValueError
    except ValueError:
        raise DataError(f"{name} must be a {'whole ' if whole else ''}number from 0 to {_MOST_DAYS}") from None
    return int(number) if number == int(number) else number


def _path(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise DataError(f"{name} must be a path on the controller")
    if looks_like_token(value):
        raise DataError(f"{name} {PASTED}")
    return os.path.abspath(os.path.expanduser(value))


def _is_set(args: Mapping[str, Any], name: str) -> bool:
    return args.get(name) in (True, "true", "True", "yes")


def _some_name(args: Mapping[str, Any], name: str) -> str | None:
    value = args.get(name)
    if value in (None, ""):
        return None
    if not NAME.fullmatch(str(value)):
        raise DataError(f"{name} must be a name of letters, digits, dots, dashes and underscores, at most 64, and begin with a letter or a digit")
    if looks_like_token(str(value)):
        raise DataError(f"{name} {PASTED}")
    return str(value)


def _some_path(args: Mapping[str, Any], name: str) -> str | None:
    value = args.get(name)
    return None if value in (None, "") else _path(value, name)
