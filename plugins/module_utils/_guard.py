# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Two questions that come up when a token is replaced: is the place as it was planned for, and is a node registered with its new token already?

Pure, apart from :func:`enrolled_with`, which reads the node's enrolment record.
"""

import calendar
import os
import re
import stat
import time
from typing import NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils import _checks
from ansible_collections.expanso.edge.plugins.module_utils._decision import Held, Request
from ansible_collections.expanso.edge.plugins.module_utils._record import RECORD_NAME, RecordError, parse
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, fingerprint

NOTHING = "none"
"""The value of option ``replaces`` for a place that has to hold no token."""

MOST_BYTES = 1 << 20


class Enrolment(NamedTuple):
    """The last entry of a node's enrolment record."""

    fingerprint: str
    written_at: float  # when its token was written, in seconds since the epoch


def guard(request: Request, held: Optional[Held], registered: bool, enrolled: Optional[str] = None) -> None:
    """Refuse to replace a token in a place that is no longer as it was when that was planned.

    A place that holds the new token already, or an agent that was enrolled with it, is what an interrupted run left: it is as it should be.

    :param registered: whether the agent is registered, and its token is not to be replaced for that reason
    :param enrolled: fingerprint of the token that a registered agent was enrolled with, None where that is unknown
    :raises TokenFault: the place is not as it was planned for
    :raises OptionError: option ``replaces`` is no fingerprint
    """
    wanted = request.replaces
    if wanted is None:
        return
    if wanted != NOTHING and not re.fullmatch("[0-9a-f]{12}", wanted):
        raise _checks.OptionError("option replaces is not 12 hexadecimal digits, and not none: pass a fingerprint that one of these modules returned")
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


def is_done(given: Optional[str], marker_time: float, held: Optional[str], held_since: Optional[float], record: Optional[Enrolment]) -> bool:
    """Return whether a registered node got its identity with the given token: then its marker is newer than that token.

    :param given: fingerprint of the token to register with, None where none was given
    :param marker_time: when the registration marker was written, in seconds since the epoch, as all times here
    :param held: fingerprint of the token in the file, None where it holds none
    :param held_since: when that file was written
    """
    wanted = given or held
    if wanted is None:
        return False
    if record is not None and record.fingerprint == wanted:
        return marker_time >= record.written_at
    return wanted == held and held_since is not None and marker_time > held_since


def enrolled_with(data_dir: str) -> Optional[Enrolment]:
    """Return the last entry of the enrolment record in a data directory, None where there is none that can be read."""
    try:
        descriptor = os.open(os.path.join(data_dir, RECORD_NAME), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as handle:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = handle.read(MOST_BYTES)
    return last_entry(data)


def last_entry(data: bytes) -> Optional[Enrolment]:
    """Return the last entry in the text of an enrolment record, None where there is none, or the record is damaged."""
    try:
        entries = parse(data.decode("utf-8"))
        return Enrolment(entries[-1].fingerprint, float(calendar.timegm(time.strptime(entries[-1].written_at, "%Y-%m-%dT%H:%M:%SZ")))) if entries else None
    except (RecordError, ValueError):
        return None
