# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Which tokens a removal is about: those that are not needed any more, or one of a fingerprint.

Pure: what is known of a place goes in, a reason to leave it alone comes out.
"""

from typing import Any, Dict, Optional

from ansible_collections.expanso.edge.plugins.module_utils import _checks

ARGUMENT_SPEC: Dict[str, Any] = {
    "only_registered": {"type": "bool", "default": False},
    "fingerprint": {"type": "str"},
}
"""The options that the documentation fragment ``_removal`` describes."""

OTHER_TOKEN = "it holds another token"
STILL_NEEDED = "not registered yet, so it is still needed"


def check_removal(params: Dict[str, Any], state: str = "absent") -> None:
    """Check the options, and bring the fingerprint to the form in which others are compared with it.

    :param state: for which they are
    :raises OptionError: one cannot be used
    """
    for name in ARGUMENT_SPEC:
        if params[name] and params["state"] != state:
            raise _checks.OptionError(f"option {name} is possible only with state {state}")
    if params["fingerprint"] == "":
        params["fingerprint"] = None
    if params["fingerprint"] is not None:
        params["fingerprint"] = _checks.fingerprint(params["fingerprint"], "fingerprint")


def reason_to_keep(params: Dict[str, Any], registered: bool, is_the_one: bool) -> Optional[str]:
    """Return, in words, why a token is not removed; None for one that is.

    :param is_the_one: whether it has the fingerprint asked for, where one was
    """
    if params["fingerprint"] and not is_the_one:
        return OTHER_TOKEN
    if params["only_registered"] and not registered:
        return STILL_NEEDED
    return None
