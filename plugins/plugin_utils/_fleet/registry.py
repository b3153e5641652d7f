# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The register of tokens that a fleet's owner keeps, because the vendor has no list of them. Pure."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet import data
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Json

FIELDS = {
    "label": data.text,
    "fingerprint": data.fingerprint,
    "owner": data.text,
    "purpose": data.text,
    "groups": data.texts,
    "most_nodes": data.count,
    "issued": data.day,
    "expires": data.day,
}


class Entry(NamedTuple):
    """What the registry says of a token."""

    label: str | None
    fingerprint: str
    owner: str | None
    purpose: str | None
    groups: list[str] | None
    most_nodes: int | None
    issued: date | None
    expires: date | None

    @property
    def shown(self) -> Json:
        """The entry as the report shows it."""
        return {
            "owner": self.owner,
            "purpose": self.purpose,
            "groups": self.groups,
            "most_nodes": self.most_nodes,
            "issued": self.issued and self.issued.isoformat(),
            "expires": self.expires and self.expires.isoformat(),
        }


Registry = dict[str, Entry]


def parse(value: Any) -> Registry:
    """Return the entries by fingerprint.

    :raises DataError: an entry is not as it must be, or a token has two
    """
    registry: Registry = {}
    numbers: dict[str, int] = {}
    for number, fields in enumerate(data.entries(value, "registry", FIELDS, ("fingerprint",)), 1):
        entry = Entry(**fields)
        if entry.fingerprint in registry:
            raise data.DataError(f"registry, entry {number}: its fingerprint is that of entry {numbers[entry.fingerprint]}: keep one of them")
        if entry.issued and entry.expires and entry.expires < entry.issued:
            raise data.DataError(f"registry, entry {number}: expires is before issued")
        registry[entry.fingerprint], numbers[entry.fingerprint] = entry, number
    return registry
