# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Two questions that come up when a token is replaced: is the place as it was planned for, and is a node registered with its new token already?

Pure: what is known goes in.
"""

import re
from typing import Optional

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._decision import Held, Request
from ansible_collections.expanso.edge.plugins.module_utils._record import Entry, is_to_come, seconds_of
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, fingerprint

NOTHING = "none"
"""The value of option ``replaces`` for a place that has to hold no token."""


def guard(request: Request, held: Optional[Held], registered: bool, enrolled: Optional[str] = None) -> None:
    """Refuse to replace a token in a place that is no longer as it was when that was planned.

    A place that holds the new token already, or an agent that was enrolled with it, is what an interrupted run left: it is as it should be.

    :param registered: whether the agent is registered, and its token is not to be replaced for that reason
    :param enrolled: fingerprint of the token that a registered agent was enrolled with, None where that is unknown
    :raises TokenFault: the place is not as it was planned for
    :raises OptionError: option ``replaces`` is not a fingerprint
    """
    wanted = request.replaces
    if wanted is None:
        return
    if wanted != NOTHING and not re.fullmatch("[0-9a-f]{12}", wanted):
        raise _checks.OptionError("option replaces must be 12 hexadecimal digits, or none: pass a fingerprint that one of these modules returned")
    found = held.fingerprint if held else None
    given = fingerprint(request.token) if request.token else None
    if given is not None and given in (found, enrolled if registered else None):
        return
    if (found or NOTHING) != wanted:
        holds = f"token {found} is held here now" if found else "no token that can be read is held here now"
        expected = "none" if wanted == NOTHING else f"token {wanted}"
        raise TokenFault("held_differs", f"{holds}, where {expected} was expected: nothing was changed; find out who changed it, then make a new plan")
    if registered:
        raise TokenFault("registered_since", "the agent has been registered since this was planned, and needs no token: nothing was changed; make a new plan")


def is_done(given: Optional[str], marker_time: float, held: Optional[str], held_since: Optional[float], record: Optional[Entry], now: float) -> bool:
    """Return whether a registered node got its identity with the given token: then its marker is newer than that token.

    A marker of a time to come was written by a clock that was wrong. It tells nothing, unless the token is from then as well.

    :param given: fingerprint of the token to register with, None where none was given
    :param marker_time: when the registration marker was written, in seconds since the epoch, as all times here
    :param held: fingerprint of the token in the file, None where it holds none
    :param held_since: when that file was written
    :param record: the last entry of the node's enrolment record
    :param now: what the node's clock shows
    """
    wanted = given or held
    if wanted is None:
        return False
    if record is not None and record.fingerprint == wanted:
        since = seconds_of(record.written_at)
        newer = marker_time >= since
    elif wanted == held and held_since is not None:
        since = held_since
        newer = marker_time > since
    else:
        return False
    return newer and (is_to_come(since, now) or not is_to_come(marker_time, now))
