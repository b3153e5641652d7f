# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory compared with a list of nodes from Expanso Cloud."""

from __future__ import annotations

import pytest
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.data import DataError
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.reconcile import parse, reconcile, unmatched
from ansible_collections.expanso.edge.plugins.plugin_utils._fleet.scope import Host, nodes
from audit_fleet import answer, registered

NAMES = ["edge01", "edge02"]


@pytest.mark.parametrize(
    "content",
    [
        b'[{"name": "edge01"}, {"name": "edge02", "id": "x"}]',
        b'{"nodes": [{"hostname": "edge01"}, {"hostname": "edge02"}], "next": null}',
        b'\n {"items": [{"node": "edge01"}, {"node": "edge02"}]}',
        b'\xef\xbb\xbf[{"node_name": "edge01"}, {"node_name": "edge02"}]',
        b'[{"id": "edge01"}, {"id": "edge02"}]',
        b"name,state\nedge01,up\nedge02,down\n",
        b"\xef\xbb\xbfName;State\r\nedge01;up\r\nedge02;down\r\n",
        b'"id"\t"Node Name"\n"7"\t"edge01"\n"8"\t"edge02"\n',
        b"id,hostname\n7, edge01 \n8,edge02\n,\n",
        "name,site\nedge01,Zürich\nedge02,東京\n".encode("utf-16"),
        b"name\nedge01\nedge02",
        b"name,labels\nedge01,a,b\nedge02\n",
    ],
)
def test_formats(content: bytes) -> None:
    assert parse(content, "the list") == NAMES


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "contains no node"),
        (b"name,state\n", "contains no node"),
        (b"[]", "contains no node"),
        (b"state,site\nup,north\n", "no column with the names of nodes: one of name, hostname"),
        (b'{"nodes": "edge01"}', "contains no list of nodes"),
        (b'["edge01"]', "entries that are not objects"),
        (b'[{"name": ', "is not valid JSON"),
        (b"\xff\xff\xff\xff", "is not text in UTF-8"),
    ],
)
def test_lists_that_are_refused(content: bytes, says: str) -> None:
    with pytest.raises(DataError) as raised:
        parse(content, "the list")
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("here", "there", "only_here", "only_there"),
    [
        (["edge01"], ["EDGE01"], set(), set()),
        (["edge01"], ["edge01.example.com"], set(), set()),
        (["edge01.example.com."], ["Edge01"], set(), set()),
        (["edge01"], ["edge01", "edge01.evil.example"], set(), {"edge01.evil.example"}),
        (["edge01"], ["edge01.a.example", "edge01.b.example"], {"edge01"}, {"edge01.a.example", "edge01.b.example"}),
        (["edge01.a.example", "edge01.b.example"], ["edge01"], {"edge01.a.example", "edge01.b.example"}, {"edge01"}),
        (["edge01.a.example"], ["edge01.b.example"], {"edge01.a.example"}, {"edge01.b.example"}),
        (["10.0.0.1"], ["10.0.0.2", "10"], {"10.0.0.1"}, {"10.0.0.2", "10"}),
        (["edge01", "edge02"], ["edge02"], {"edge01"}, set()),
    ],
)
def test_names(here: list[str], there: list[str], only_here: set[str], only_there: set[str]) -> None:
    assert unmatched(here, there) == (only_here, only_there)


def test_what_is_found() -> None:
    fleet = {"known": registered(), "gone": registered(), "waiting": answer(), "silent": None}
    hosts = [Host(name, deliveries=["token_file"], results={"token_file": result} if result else {}) for name, result in fleet.items()]
    hosts.append(Host("cluster", deliveries=["k8s_secret"], results={"k8s_secret": registered()}))  # its agent has the name of a pod
    # "later" is in the inventory, and was not asked this time
    found = reconcile(nodes(hosts), [*fleet, "cluster", "later"], ["known", "Rogue", "rogue", "later"])
    assert [(each.code, each.severity, each.node) for each in found] == [
        ("unknown_to_inventory", "error", "Rogue"),
        ("unknown_to_cloud", "warning", "gone"),
    ]
