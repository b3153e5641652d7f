# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.module_utils._token import Token, TokenFault, judge
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import FILE_VARIABLE, TOKEN_VARIABLE, Found, SourceError, job_wide, resolve


def token_problems(hosts: list[str], hostvars: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return, a sentence each, what is wrong with the tokens of a whole job before any host is touched."""
    sharing = [host for host in hosts if hostvars[host].get(TOKEN_VARIABLE) is None]
    files = {hostvars[host].get(FILE_VARIABLE) for host in sharing}
    return _bad_job_wide(files, environ) or _single_use_for_several(hosts, hostvars, environ)


def _bad_job_wide(files: set[Any], environ: Mapping[str, str]) -> list[str]:
    problems = []
    for file in files:
        try:
            found = job_wide(file, environ)
            if found.token is not None:
                _judge(found)
        except SourceError as exc:
            problems.append(str(exc))
    return sorted(set(problems))


def _single_use_for_several(hosts: list[str], hostvars: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str]) -> list[str]:
    """A JWT registers one node. Two nodes that carry the same would race for it, and one would fail."""
    holders: dict[str, list[str]] = {}
    for host in hosts:
        found = resolve(hostvars[host].get, environ)
        try:
            token = None if found.token is None else _judge(found)
        except SourceError:
            continue  # the host's own: it is refused there, where it is known whether a token is needed at all
        if token is not None and token.kind == "jwt":
            holders.setdefault(token.fingerprint, []).append(host)
    return [
        f"the single-use token (JWT) with fingerprint {fingerprint} is meant for {len(names)} hosts ({', '.join(names)}): "
        f"give each its own in variable {TOKEN_VARIABLE}, or limit the run to one host"
        for fingerprint, names in holders.items()
        if len(names) > 1
    ]


def _judge(found: Found) -> Token:
    try:
        return judge(found.token or "")
    except TokenFault as exc:
        raise SourceError(f"{found.source}: {exc.message}") from None


class FilterModule:
    """What is wrong with the tokens of a whole job."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"token_problems": token_problems}
