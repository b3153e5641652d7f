# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a place is as it was planned for, and whether a node is registered with its new token already: all cases."""

from typing import Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError
from ansible_collections.expanso.edge.plugins.module_utils._decision import Held, Request
from ansible_collections.expanso.edge.plugins.module_utils._guard import guard, is_done
from ansible_collections.expanso.edge.plugins.module_utils._record import Entry, utc
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, fingerprint

OLD, NEW, OTHER = "exp_bk_oooooooooooooooooooo", "exp_bk_nnnnnnnnnnnnnnnnnnnn", "exp_bk_tttttttttttttttttttt"
TEXTS = {"old": OLD, "new": NEW, "other": OTHER}

# planned to replace, held now, registered, enrolled with (by the record)     outcome with the new token given
TABLE = """
-       other    yes   -       fine
old     old      no    -       fine
old     new      no    -       fine
old     other    no    -       held_differs
old     nothing  no    -       held_differs
none    nothing  no    -       fine
none    new      no    -       fine
none    old      no    -       held_differs
old     old      yes   -       registered_since
old     old      yes   old     registered_since
none    nothing  yes   -       registered_since
old     new      yes   -       fine
old     nothing  yes   new     fine
old     nothing  no    new     held_differs
old     nothing  yes   old     held_differs
"""


@pytest.mark.parametrize("row", TABLE.strip().splitlines())
def test_guard(row: str) -> None:
    replaces, held, registered, enrolled, outcome = row.split()
    wanted = {"-": None, "none": "none", "old": fingerprint(OLD)}[replaces]
    place = None if held == "nothing" else Held(fingerprint(TEXTS[held]))
    request = Request(NEW, replaces=wanted)
    try:
        guard(request, place, registered == "yes", fingerprint(TEXTS[enrolled]) if enrolled in TEXTS else None)
    except TokenFault as exc:
        assert exc.code == outcome and "nothing was changed" in exc.message
    else:
        assert outcome == "fine"


def test_what_cannot_be_read_is_not_what_was_planned() -> None:
    with pytest.raises(TokenFault, match="no token that can be read is held here now, where token "):
        guard(Request(NEW, replaces=fingerprint(OLD)), Held(None), False)


@pytest.mark.parametrize("value", ["", OLD, "0123456789AB", "0123456789ab\n"])
def test_an_option_that_is_no_fingerprint_is_refused(value: str) -> None:
    with pytest.raises(OptionError, match="12 hexadecimal digits") as caught:
        guard(Request(NEW, replaces=value), None, False)
    assert OLD not in str(caught.value)


def entry(token: str, written_at: str = "2026-11-30T10:00:00Z") -> Entry:
    return Entry(fingerprint(token), "bootstrap_key", None, "file", written_at, "run", None, "1.1.0")


WRITTEN = 1796032800  # of the entry
LATER, EARLIER = WRITTEN + 1.5, WRITTEN - 0.5


@pytest.mark.parametrize(
    ("given", "marker", "held", "since", "record", "done"),
    [
        (NEW, LATER, None, None, entry(NEW), True),  # the token was removed after the registration
        (NEW, WRITTEN, NEW, WRITTEN, entry(NEW), True),
        (NEW, EARLIER, NEW, LATER, entry(NEW), False),  # killed after the token was written
        (NEW, LATER, None, None, entry(OLD), False),  # registered with the old one
        (NEW, LATER, None, None, None, False),
        (NEW, LATER, NEW, WRITTEN, None, True),  # without a record
        (NEW, LATER, NEW, WRITTEN, entry(OLD), True),  # killed before the record was written, then registered by hand
        (NEW, EARLIER, NEW, WRITTEN, None, False),
        (NEW, LATER, OLD, WRITTEN, None, False),
        (None, LATER, OLD, WRITTEN, None, True),  # nothing is given: the one that is held counts
        (None, EARLIER, OLD, WRITTEN, None, False),
        (None, LATER, None, None, entry(OLD), False),
    ],
)
def test_is_done(given: Optional[str], marker: float, held: Optional[str], since: Optional[float], record: Optional[Entry], done: bool) -> None:
    def mark(token: Optional[str]) -> Optional[str]:
        return fingerprint(token) if token else None

    assert is_done(mark(given), marker, mark(held), since, record, LATER + 3600) is done


FAR = 4070908800.0  # 2099


@pytest.mark.parametrize(
    ("since", "marker", "done"),
    [
        (WRITTEN, FAR, False),  # the former identity's marker: a registration with this token failed
        (WRITTEN, LATER + 3700, True),  # a file server whose clock is a little fast
        (FAR, FAR + 5, True),  # the clock was corrected after the registration
        (FAR, LATER, False),
    ],
)
def test_a_clock_that_was_wrong(since: float, marker: float, done: bool) -> None:
    now = LATER + 3600
    assert is_done(fingerprint(NEW), marker, None, None, entry(NEW, utc(since)), now) is done
    assert is_done(fingerprint(NEW), marker, fingerprint(NEW), since, None, now) is done
