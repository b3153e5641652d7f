# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What a module changed, in the words of the audit trail. Pure: options and results go in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Json = Mapping[str, Any]


class Change(NamedTuple):
    """One change of one place: what was done, and which token the place held before and holds now."""

    action: str
    place: str
    former_fingerprint: str | None
    fingerprint: str | None


def changes(module: str, options: Json, result: Json) -> list[Change]:
    """Return what a module changed.

    :param module: its name, without that of the collection
    :param options: those that it was given
    """
    return _READERS[module](options, result)


def _delivered(place: str, result: Json) -> list[Change]:
    if not result.get("changed"):
        return []
    before = (result.get("diff") or {}).get("before") or {}
    after = (result.get("diff") or {}).get("after") or {}
    return [Change(str(result.get("action")), place, before.get("fingerprint"), after.get("fingerprint"))]


def _bootstrap_token(options: Json, result: Json) -> list[Change]:
    # which token the file of an earlier delivery held is unknown, unless it is the one that was asked for
    asked = str(options.get("fingerprint") or "").strip().lower() or None
    earlier = [Change("removed", str(path), asked, None) for path in result.get("obsolete_removed") or []] if result.get("changed") else []
    own = _delivered(str(result.get("path") or options.get("path")), result)
    if earlier and own[0].action == "removed" and own[0].fingerprint == own[0].former_fingerprint:
        own = []  # only the others were removed
    return own + earlier


def _k8s_secret(options: Json, result: Json) -> list[Change]:
    namespace = options.get("namespace")
    if result.get("changed") and result.get("secrets_removed"):
        return [Change("removed", f"Secret {namespace}/{each['name']}", each["fingerprint"], None) for each in result["secrets_removed"]]
    return _delivered(f"Secret {namespace}/{result.get('name') or options.get('name')}", result)


def _swarm_secret(options: Json, result: Json) -> list[Change]:
    if not result.get("changed"):
        return []
    before, after = (((result.get("diff") or {}).get(when) or {}).get("secrets") or {} for when in ("before", "after"))
    versions = result.get("versions") or []  # in the order in which they were made
    former = {name: before.get(earlier) for earlier, name in zip(versions, versions[1:])}
    found = [Change("written", f"swarm secret {name}", former.get(name), after.get(name)) for name in versions if name not in before]
    found += [Change("removed", f"swarm secret {name}", before[name], None) for name in sorted(before) if name not in after]
    # the service alone
    return found or [Change(str(result.get("action")), f"swarm secret {options.get('name') or 'expanso_bootstrap_token'}", None, None)]


def _edge_registration(options: Json, result: Json) -> list[Change]:
    # an agent may fail after it registered the node, or leave the former identity of a registered one
    spent = result.get("agent_output") is not None and result.get("registered") and result.get("fingerprint")
    found = [Change("registered", str(options.get("data_dir") or "/var/lib/expanso/edge"), None, result.get("fingerprint"))] if spent else []
    if result.get("token_removed"):
        found.append(Change("removed", str(options.get("token_file")), result.get("fingerprint"), None))
    return found


def _wait_for_registration(options: Json, result: Json) -> list[Change]:
    return [Change("removed", str(options.get("token_file")), options.get("fingerprint"), None)] if result.get("token_removed") else []


_READERS: dict[str, Callable[[Json, Json], list[Change]]] = {
    "bootstrap_token": _bootstrap_token,
    "k8s_secret": _k8s_secret,
    "swarm_secret": _swarm_secret,
    "edge_registration": _edge_registration,
    "wait_for_registration": _wait_for_registration,
}
