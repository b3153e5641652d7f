# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The account that the agent runs as."""

import os
import pwd
from typing import NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils._secure_file import group_id, user_id


class Account(NamedTuple):
    """Whom a program runs as."""

    uid: int
    gid: int
    name: str  # the number as text where it has no name
    home: str


def find_account(user: Optional[str] = None, group: Optional[str] = None) -> Account:
    """Return an account by name or number, the own one by default; its group is its primary one unless given.

    :raises SecureFileError: there is no account or group of that name
    """
    uid = os.geteuid() if user is None else user_id(user)
    try:
        entry = pwd.getpwuid(uid)
        name, home, primary = entry.pw_name, entry.pw_dir, entry.pw_gid
    except KeyError:
        name, home, primary = str(uid), "/", uid
    return Account(uid, primary if group is None else group_id(group), name, home)
