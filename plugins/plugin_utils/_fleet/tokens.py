# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Which token is where, and which nodes it enrolled. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Json, Node, end_of, iso, moment, named
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.registry import Entry, Registry


@dataclass
class Use:
    """A token, and the nodes that have to do with it, each in the order of the inventory."""

    fingerprint: str
    registered: Entry | None = None  # in the registry
    kind: str | None = None
    label: str | None = None
    expires_at: str | None = None
    oldest_age_days: int | None = None
    held: list[Node] = field(default_factory=list)  # in its place
    copied: list[Node] = field(default_factory=list)  # somewhere else
    given: list[Node] = field(default_factory=list)  # by their record
    enrolled: list[Node] = field(default_factory=list)  # registered with it, for certain

    @property
    def name(self) -> str:
        """How messages name the token."""
        return named(self.shown_label, self.fingerprint)

    @property
    def shown_label(self) -> str | None:
        """The label of the registry, else that of a node."""
        return (self.registered.label if self.registered else None) or self.label

    @property
    def expiry(self) -> datetime | None:
        """When the token expires, by itself or by the registry, whichever is first."""
        ends = [moment(self.expires_at), end_of(self.registered.expires) if self.registered and self.registered.expires else None]
        return min((end for end in ends if end is not None), default=None)

    @property
    def used(self) -> list[Node]:
        """The nodes that hold the token or registered with it."""
        names = {node.name for node in self.held}
        return self.held + [node for node in self.enrolled if node.name not in names]

    @property
    def shown(self) -> Json:
        """The token as the report shows it."""
        names = {node.name for node in self.held}
        return {
            "fingerprint": self.fingerprint,
            "kind": self.kind,
            "label": self.shown_label,
            "expires_at": self.expires_at or (iso(self.expiry) if self.expiry else None),
            "oldest_age_days": self.oldest_age_days,
            "held_by": sorted(names | {node.name for node in self.copied}),
            "enrolled": [entry for node in self.given for entry in self._entries(node)],
            "registry": self.registered.shown if self.registered else None,
        }

    def _entries(self, node: Node) -> Iterable[Json]:
        written = [entry.written_at for entry in node.record if entry.fingerprint == self.fingerprint]
        yield {"node": node.name, "written_at": written[-1], "registered_at": node.registered_at if node.enrolled_with == self.fingerprint else None}


def uses(nodes: Iterable[Node], registry: Registry) -> dict[str, Use]:
    """Return all tokens that nodes hold or were given, by fingerprint."""
    found: dict[str, Use] = {}

    def use(fingerprint: str) -> Use:
        if fingerprint not in found:
            found[fingerprint] = Use(fingerprint, registry.get(fingerprint))
        return found[fingerprint]

    for node in nodes:
        for token in node.tokens:
            if token["fingerprint"]:
                _learn(use(token["fingerprint"]), token)
        for entry in node.record:
            each = use(entry.fingerprint)
            each.kind, each.label = each.kind or entry.kind, each.label or entry.label
        for fingerprint in sorted(node.holds):
            use(fingerprint).held.append(node)
        for fingerprint in sorted(node.given):
            use(fingerprint).given.append(node)
        if node.enrolled_with:
            use(node.enrolled_with).enrolled.append(node)
        for fingerprint in sorted({each.fingerprint for each in node.findings if each.fingerprint and _is_copy(each.code)}):
            use(fingerprint).copied.append(node)
    return found


def _is_copy(code: str) -> bool:
    """Return whether a node's finding says that a token is elsewhere than in its place."""
    return code.startswith(("copy", "token_in_")) or code in ("pipeline_secret", "sought_token")


def _learn(use: Use, token: Json) -> None:
    use.kind, use.label = use.kind or token["kind"], use.label or token["label"]
    use.expires_at = use.expires_at or token["expires_at"]
    if token["age_days"] is not None:
        use.oldest_age_days = max(token["age_days"], use.oldest_age_days or 0)


def shown(tokens: dict[str, Use]) -> list[Json]:
    """Return the tokens as the report shows them, first those that most nodes hold."""
    return sorted((use.shown for use in tokens.values()), key=lambda token: (-len(token["held_by"]), -len(token["enrolled"]), token["fingerprint"]))
