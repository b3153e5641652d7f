# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Accounts and groups of a node, and the account that the agent runs as."""

import grp
import os
import pwd
from typing import NamedTuple, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError


class AccountError(EdgeError):
    """An account or a group that this node does not have."""


def user_id(name: str, option: str = "") -> int:
    """Return the number of an account given by name or number.

    :param option: that it was given by, for the message
    :raises AccountError: there is no account of that name
    """
    number = _checks.number(name)
    if number is not None:
        return number
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):  # a name that no account can have
        raise AccountError(f"{_of(option)}there is no account {_quoted(name)} on this node: create it first, or name another account") from None


def group_id(name: str, option: str = "") -> int:
    """Return the number of a group given by name or number.

    :param option: that it was given by, for the message
    :raises AccountError: there is no group of that name
    """
    number = _checks.number(name)
    if number is not None:
        return number
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        raise AccountError(f"{_of(option)}there is no group {_quoted(name)} on this node: create it first, or name another group") from None


def _of(option: str) -> str:
    return f"option {option}: " if option else ""


def _quoted(name: str) -> str:
    shown = _checks.short(name).strip("'")
    return f"'{shown}'"


def user_name(uid: int) -> str:
    """Return an account's name, its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Return a group's name, its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


class Account(NamedTuple):
    """Whom a program runs as."""

    uid: int
    gid: int
    name: str  # the number as text where it has no name
    home: str


def find_account(user: Optional[str] = None, group: Optional[str] = None, options: Tuple[str, str] = ("", "")) -> Account:
    """Return an account by name or number, its own one by default; its group is its primary one unless given.

    :param options: that they were given by, for the message
    :raises AccountError: there is no account or group of that name
    """
    uid = os.geteuid() if user is None else user_id(user, options[0])
    try:
        entry = pwd.getpwuid(uid)
        name, home, primary = entry.pw_name, entry.pw_dir, entry.pw_gid
    except KeyError:
        name, home, primary = str(uid), "/", uid
    return Account(uid, primary if group is None else group_id(group, options[1]), name, home)
