# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, judge
from ansible_collections.expanso.edge.plugins.plugin_utils._sources import TOKEN_VARIABLE, SourceError, decrypter, resolve
from jinja2.exceptions import UndefinedError

DELIVERY_VARIABLE = "expanso_edge_delivery"
DELIVERIES = ("token_file", "systemd_service", "swarm_secret", "k8s_secret")


def token_problems(hosts: list[str], hostvars: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str] | None = None) -> list[str]:
    """Return, a sentence each, what is wrong with the tokens of a whole job before any host is touched.

    A delivery that there is not is a problem of the job, because it is no fault of the host that names it.
    What is wrong with a host's own token is no problem of the job: it is refused there, if that host needs a token at all.
    """
    problems = set()
    holders: dict[str, list[str]] = {}  # of single-use tokens, by fingerprint
    for host in hosts:
        problem = _delivery_problem(hostvars[host], host)
        if problem:
            problems.add(problem)
        try:
            found = resolve(hostvars[host].get, environ, decrypter(getattr(hostvars, "_loader", None)))
        except SourceError as exc:
            if exc.job_wide:
                problems.add(str(exc))
            continue
        except (AnsibleError, UndefinedError):  # a variable of this host that cannot be decrypted or is made of undefined ones
            continue
        if found.token is None:
            continue
        try:
            token = judge(found.token)
        except TokenFault as exc:
            if found.job_wide:
                problems.add(f"{found.source}: {exc.message}")
            continue
        if token.kind == "jwt":
            holders.setdefault(token.fingerprint, []).append(host)
    problems.update(_shared(fingerprint, names) for fingerprint, names in holders.items() if len(names) > 1)
    return sorted(problems)


def _delivery_problem(variables: Mapping[str, Any], host: str) -> str:
    """Say what is wrong with the deliveries that a host names, nothing where they are right."""
    try:
        named = variables.get(DELIVERY_VARIABLE, DELIVERIES[0])
    except (AnsibleError, UndefinedError) as exc:
        return f"{host}: variable {DELIVERY_VARIABLE} cannot be templated ({type(exc).__name__})"
    names = named if isinstance(named, list) else [named]
    if names and all(name in DELIVERIES for name in names):
        return ""
    return f"{host}: variable {DELIVERY_VARIABLE} is {named!r}, but has to name one or more of {', '.join(DELIVERIES)}"


def _shared(fingerprint: str, hosts: list[str]) -> str:
    """A JWT registers one node: two nodes that carry the same would race for it, and one would fail."""
    return (
        f"the single-use token (JWT) with fingerprint {fingerprint} is meant for {len(hosts)} hosts ({', '.join(hosts)}): "
        f"give each its own in variable {TOKEN_VARIABLE}, or limit the run to one host"
    )


class FilterModule:
    """What is wrong with the tokens of a whole job."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"token_problems": token_problems}
