# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, fingerprint, judge
from ansible_collections.expanso.edge.plugins.plugin_utils._deliveries import named
from ansible_collections.expanso.edge.plugins.plugin_utils._job import NOT_TEMPLATED, become_problem, by_problem, delivery_problem, some_of
from ansible_collections.expanso.edge.plugins.plugin_utils._run import sliced
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import (
    FILE_VARIABLE,
    TOKEN_VARIABLE,
    Decrypt,
    Found,
    SourceError,
    decrypter,
    resolve,
)
from ansible_collections.expanso.edge.plugins.plugin_utils._summary import together
from jinja2.exceptions import UndefinedError

Holders = dict[str, list[str]]
Variables = Mapping[str, Any]


def token_problems(
    hosts: list[str],
    hostvars: Mapping[str, Variables],
    environ: Mapping[str, str] | None = None,
    job: Mapping[str, Variables] | None = None,
    tokens: bool = True,
) -> list[str]:
    """Return what is wrong with the tokens of a whole job, one sentence for each problem, before any host is contacted.

    A host's own bad token is not a problem of the job: it is refused on that host, and only if the host needs a token. A token that several hosts share
    is judged like a job-wide one, except for its expiry, which does not matter to registered hosts. An unknown delivery is a problem of the job.

    :param environ: the controller's environment, by default that of this process
    :param job: variables of the hosts as the play sees them; without it ``hostvars`` counts
    :param tokens: without them only the other variables of hosts are looked at, and a host may have no delivery at all
    """
    known = hostvars if job is None else job
    decrypt = decrypter(getattr(hostvars, "_loader", None))
    if decrypt is not None:
        decrypt = functools.lru_cache(decrypt)  # decrypting is slow, and all hosts may share the file
    one_of_slices = bool(hosts) and sliced(together(hosts[:1], hostvars, job)[hosts[0]])
    problems = set(by_problem((host, become_problem(known[host])) for host in hosts))
    problems.update(by_problem((host, delivery_problem(known[host])) for host in hosts if tokens or named(known[host])))
    if not tokens:
        return sorted(problems)
    single_use: Holders = {}  # by fingerprint
    faulty: dict[tuple[str, str], list[str]] = {}  # hosts' own unusable tokens, by fingerprint and fault
    for host in hosts:
        found, problem = _found(known[host], environ, decrypt)
        if problem:
            problems.add(problem)
        if found is None or found.token is None:
            continue
        try:
            token = judge(found.token)
        except TokenFault as exc:
            if found.job_wide:
                problems.add(f"{found.source}: {exc.message}")
            elif exc.code not in ("empty", "expired"):
                faulty.setdefault((fingerprint(found.token), f"{found.source}: {exc.message}"), []).append(host)
            continue
        if token.kind == "jwt" and found.job_wide and one_of_slices:
            problems.add(_sliced(found.source, token.fingerprint))
        elif token.kind == "jwt":
            single_use.setdefault(token.fingerprint, []).append(host)
    problems.update(f"{fault} (on {len(names)} hosts: {some_of(names)})" for (dummy, fault), names in faulty.items() if len(names) > 1)
    problems.update(_shared(mark, names) for mark, names in single_use.items() if len(names) > 1)
    return sorted(problems)


def _found(variables: Variables, environ: Mapping[str, str] | None, decrypt: Decrypt | None) -> tuple[Found | None, str]:
    """Return a host's token, or the problem of a job-wide source. Neither is returned if the host's own source cannot be used."""
    if TOKEN_VARIABLE not in variables and variables.get(FILE_VARIABLE) == NOT_TEMPLATED:
        return None, f"variable {FILE_VARIABLE} cannot be templated: does it use a variable that is not defined?"
    try:
        return resolve(variables.get, environ, decrypt), ""
    except SourceError as exc:
        return None, str(exc) if exc.job_wide else ""
    except (AnsibleError, UndefinedError):  # a variable of this host cannot be decrypted or uses an undefined one
        return None, ""


def _shared(mark: str, hosts: list[str]) -> str:
    """Return the problem of a JWT that several hosts have. It registers one node, so all others would fail."""
    return (
        f"the single-use token (JWT) with fingerprint {mark} is meant for {len(hosts)} hosts ({some_of(hosts)}): "
        f"give each its own in variable {TOKEN_VARIABLE}, or limit the run to one host"
    )


def _sliced(source: str, mark: str) -> str:
    """Return the problem of a job-wide JWT in a slice, which cannot see that the other slices use it as well."""
    return (
        f"{source}: the single-use token (JWT) with fingerprint {mark} would be used one time in each slice, because a slice sees only its own hosts: "
        f"give each host its own in variable {TOKEN_VARIABLE}, or set the number of slices of the job template to 1 "
        "(if this job is not a slice, set expanso_edge_sliced=false)"
    )


class FilterModule:
    """What is wrong with the tokens of a whole job."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"token_problems": token_problems}
