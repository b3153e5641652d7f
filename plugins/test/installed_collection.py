# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from ansible.errors import AnsibleFilterError
from ansible.utils.collection_loader import AnsibleCollectionRef


def installed_collection(name: str) -> bool:
    """Return whether Ansible finds a collection on the controller.

    :raises AnsibleFilterError: the value cannot be the name of a collection
    """
    if not isinstance(name, str) or not AnsibleCollectionRef.is_valid_collection_name(name):
        raise AnsibleFilterError("expanso.edge.installed_collection takes the name of a collection, such as community.docker")
    try:
        return find_spec(f"ansible_collections.{name}") is not None
    except ImportError:  # not even its namespace is there
        return False


class TestModule:
    """Whether a collection is installed."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        return {"installed_collection": installed_collection}
