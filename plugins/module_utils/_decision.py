# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Does this place need a token? The life cycle of a token, the same for all deliveries.

Pure: what is known goes in, a decision comes out. The table in ``tests/unit/plugins/module_utils/test_decision.py`` shows every row.
"""

from typing import Any, Dict, NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils._token import Token, TokenFault, fingerprint, judge

ARGUMENT_SPEC: Dict[str, Any] = {
    "token": {"type": "str", "no_log": True},
    "token_source": {"type": "str", "no_log": False},
    "strict": {"type": "bool", "default": False},
    "remove_when_registered": {"type": "bool", "default": False},
    "replaces": {"type": "str"},
}
"""The options that the documentation fragment ``_token`` describes."""


class Delivery(NamedTuple):
    """What distinguishes one way to deliver a token from another."""

    missing: str  # the fault where a token is needed and none was given
    replaces: bool  # a registered agent's token is replaced by another one, because a task or pod to come would need it
    serves_newcomers: bool  # a token is stored although the present agents are registered, because new ones may come


FILE = Delivery("this node is not registered and no token was given for it", replaces=False, serves_newcomers=False)
KUBERNETES = Delivery("the agent is not registered and no token was given for it", replaces=True, serves_newcomers=False)
SWARM = Delivery("the swarm holds no token and no token was given for it", replaces=True, serves_newcomers=True)


class Held(NamedTuple):
    """What a place holds. Both are None where that cannot be known, as of a secret that another program made."""

    fingerprint: Optional[str]
    text: Optional[str] = None  # None where it cannot be read back, as from a swarm
    problem: str = ""  # why nothing is known of what is there

    def __repr__(self) -> str:
        return f"Held(fingerprint={self.fingerprint!r})"


class Request(NamedTuple):
    """What a task asks for."""

    token: Optional[str]
    source: Optional[str] = None  # where the token comes from, in words
    strict: bool = False
    remove: bool = False  # as soon as no token is needed any more
    replaces: Optional[str] = None  # what the place has to hold, see _guard

    @classmethod
    def of(cls, params: Dict[str, Any]) -> "Request":
        """Return the request that a module's options make."""
        return cls(params["token"], params["token_source"], params["strict"], params["remove_when_registered"], params.get("replaces"))

    def __repr__(self) -> str:
        return f"Request(source={self.source!r}, strict={self.strict!r}, remove={self.remove!r})"


class Decision(NamedTuple):
    """What to do: an action for ``RV(action)``, the token to write or keep, and what to add to the message."""

    action: str  # written, kept, removed or not_needed
    token: Optional[Token] = None  # None where what is held was not judged
    note: str = ""


def decide(delivery: Delivery, request: Request, registered: bool, held: Optional[Held], now: Optional[float] = None) -> Decision:
    """Decide what becomes of the token of one place.

    :param held: what the place holds, None where it holds nothing
    :param now: seconds since the epoch, for the expiry of a JWT; the clock by default
    :raises TokenFault: a token is needed, and none that can be used was given or is held
    """
    if not registered:
        return _for_newcomer(delivery, request, held, now)
    if request.remove:
        return Decision("removed" if held else "not_needed")
    unchanged = Decision("kept" if held else "not_needed")
    if not request.token or (held and held.fingerprint == fingerprint(request.token)):
        return unchanged  # not judged: a token that expired since has done what it was for
    try:
        token = judge(request.token, request.strict, now)
    except TokenFault as exc:
        return unchanged._replace(note=f"; the token given cannot be used and is ignored: {exc.message}{_origin(request)}")
    if held is None:
        return Decision("written", token) if delivery.serves_newcomers else unchanged
    if delivery.replaces:
        return Decision("written", token)
    note = "; another token was given, but a registered node needs no token, so it was not written: remove the token that is still held"
    return unchanged._replace(note=note)


def _for_newcomer(delivery: Delivery, request: Request, held: Optional[Held], now: Optional[float]) -> Decision:
    """Decide for a place whose agent still has to register."""
    if request.token:
        try:
            token = judge(request.token, request.strict, now)
        except TokenFault as exc:
            raise TokenFault(exc.code, f"the token cannot be used: {exc.message}{_origin(request)}") from None
        return Decision("kept" if held and held.fingerprint == token.fingerprint else "written", token)
    reason = request.source or "option token is empty"
    if held is None or held.fingerprint is None:
        problem = f"; the token that is there cannot be used: {held.problem}" if held and held.problem else ""
        raise TokenFault("missing", f"{delivery.missing}: {reason}{problem}")
    if held.text is None:
        return Decision("kept")
    try:
        return Decision("kept", judge(held.text, request.strict, now))
    except TokenFault as exc:
        raise TokenFault("missing", f"{delivery.missing}: {reason}; the token that is there cannot be used: {exc.message}") from None


def _origin(request: Request) -> str:
    return f" (source: {request.source})" if request.source else ""
