# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Compare the inventory with a list of nodes exported from Expanso Cloud. Pure."""

from __future__ import annotations

import csv
import io
import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.model import Finding, Node
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.scope import text

KEYS = ("name", "hostname", "node", "node_name", "id")
"""Columns that may hold a node's name, the best first."""

LISTS = ("nodes", "items")
OWN_NAME = ("token_file", "systemd_service")
"""Deliveries whose agent runs on the host itself, so that it has the host's name."""


def parse(content: bytes, what: str) -> list[str]:
    """Return the names of an exported list: JSON, or CSV with a header.

    :param what: what the list is, for messages
    :raises DataError: it is neither, or has no column with names
    """
    try:
        plain = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{what} is not text in UTF-8: export the list again as CSV or JSON") from None
    rows = _json(plain, what) if plain.lstrip()[:1] in ("[", "{") else _csv(plain, what)
    key = _key(rows, what)
    names = [text(_value(row, key)) for row in rows]
    return [name.strip() for name in names if name and name.strip()]


def _json(plain: str, what: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(plain)
    except (ValueError, RecursionError):
        raise DataError(f"{what} begins like JSON, but is not valid JSON: export the list again") from None
    if isinstance(found, dict):
        found = next((found[name] for name in LISTS if isinstance(found.get(name), list)), None)
    if not isinstance(found, list):
        raise DataError(f"{what} contains no list of nodes: it must be a list of objects, or an object with such a list as nodes or items")
    if any(not isinstance(row, dict) for row in found):
        raise DataError(f"{what} contains entries that are not objects: export the list again")
    return found


def _csv(plain: str, what: str) -> list[Mapping[str, Any]]:
    header = plain.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        return [{key: value for key, value in row.items() if key is not None} for row in csv.DictReader(io.StringIO(plain.lstrip("\r\n")), delimiter=delimiter)]
    except csv.Error:
        raise DataError(f"{what} is not valid CSV: export the list again as CSV or JSON") from None


def _same(key: Any) -> str:
    return str(key).strip().casefold().replace(" ", "_").replace("-", "_")


def _value(row: Mapping[str, Any], key: str) -> Any:
    return next((value for name, value in row.items() if _same(name) == key), None)


def _key(rows: list[Mapping[str, Any]], what: str) -> str:
    """Return the first key that names a node in some row.

    :raises DataError: there is none, or no row at all: an empty list would make every node unknown
    """
    if not rows:
        raise DataError(f"{what} contains no node: export the list again")
    for key in KEYS:
        if any(_value(row, key) for row in rows):
            return key
    raise DataError(f"{what} has no column with the names of nodes: one of {', '.join(KEYS)} is needed")


def _canonical(name: str) -> str:
    return name.strip().rstrip(".").casefold()


def _short(name: str) -> str:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.partition(".")[0]
    return name


def unmatched(here: Iterable[str], there: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return which names are only here and only there, in small letters.

    A short name and a full one are the same node if neither side has another name that they may mean. edge01 and edge01.example.com may be one node;
    if the other side also has edge01.example.org, it is not known which.
    """
    one, other = set(map(_canonical, here)), set(map(_canonical, there))
    only_here, only_there = one - other, other - one
    for short, (left, right) in _by_short_name(only_here, only_there).items():
        if len(left) == len(right) == 1 and short in left + right:
            only_here.discard(left[0])
            only_there.discard(right[0])
    return only_here, only_there


def _by_short_name(here: Iterable[str], there: Iterable[str]) -> dict[str, tuple[list[str], list[str]]]:
    found: dict[str, tuple[list[str], list[str]]] = {}
    for side, names in enumerate((here, there)):
        for name in names:
            found.setdefault(_short(name), ([], []))[side].append(name)
    return found


def reconcile(nodes: Iterable[Node], inventory: Iterable[str], enrolled: list[str]) -> list[Finding]:
    """Return which nodes are only in Expanso Cloud, or only here.

    :param inventory: all hosts of the inventory, not only those that were asked
    :param enrolled: the names of the exported list
    """
    only_here, only_there = unmatched(inventory, enrolled)
    found = []
    for name in dict.fromkeys(enrolled):
        if _canonical(name) in only_there:
            only_there.discard(_canonical(name))
            message = f"{name} is enrolled in Expanso Cloud, and is not in this inventory"
            remedy = "find out whose node it is; if nobody knows, remove it in Expanso Cloud, and revoke the token that it used"
            found.append(Finding("unknown_to_inventory", "error", name, None, None, message, remedy))
    for node in nodes:
        if node.registered and node.status == "answered" and set(node.deliveries) & set(OWN_NAME) and _canonical(node.name) in only_here:
            message = "the node is registered, but is not in the exported list of nodes"
            remedy = "check that its agent runs and is connected, and that the list is recent"
            found.append(Finding("unknown_to_cloud", "warning", node.name, None, None, message, remedy))
    return found
