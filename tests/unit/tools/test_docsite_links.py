# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which references the documentation site links to Ansible's documentation; all others have to lead to one of its own pages."""

from __future__ import annotations

import docsite_links
import pytest

COLLECTIONS = "https://docs.ansible.com/projects/ansible/latest/collections"


@pytest.mark.parametrize(
    ("label", "address"),
    [
        ("common_return_values", "https://docs.ansible.com/projects/ansible/latest/reference_appendices/common_return_values.html"),
        ("ansible_collections.ansible.builtin.file_module", f"{COLLECTIONS}/ansible/builtin/file_module.html"),
        (
            "ansible_collections.community.docker.docker_swarm_service_module__parameter-secrets",
            f"{COLLECTIONS}/community/docker/docker_swarm_service_module.html#parameter-secrets",
        ),
        ("ansible_collections.expanso.edge.bootstrap_token_module", None),
        ("ansible_collections.expanso.edge.docsite.guide_start", None),
        ("", None),
        ("nowhere", None),
    ],
)
def test_address(label: str, address: str | None) -> None:
    assert docsite_links.address(label) == address


def test_only_the_table_of_contents_is_left_out() -> None:
    source = ["Title\n=====\n\n.. contents::\n   :local:\n   :depth: 1\n\n.. note::\n   Text.\n"]
    docsite_links.without_contents(None, "page", source)
    assert source == ["Title\n=====\n\n\n.. note::\n   Text.\n"]
