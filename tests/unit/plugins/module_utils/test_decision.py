# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life cycle of a token: every row of the decision, for all deliveries. A refusal is told by its code, in capitals."""

import base64
import json
from itertools import product
from typing import Any, Dict, List, Optional, Tuple

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._decision import FILE, KUBERNETES, SWARM, Delivery, Held, Request, decide
from ansible_collections.expanso.edge.plugins.module_utils._token import TokenFault, fingerprint

NOW = 1_800_000_000


def jwt(expires: int) -> str:
    parts = ({"alg": "HS256"}, {"exp": expires})
    return ".".join([base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts] + ["c2lnbmF0dXJl"])


TEXTS: Dict[str, Optional[str]] = {
    "none": None,
    "A": "exp_bk_aaaaaaaaaaaaaaaaaaaa",
    "B": "exp_bk_bbbbbbbbbbbbbbbbbbbb",
    "API key": "exp_ak_cccccccccccccccccccc",
    "expired": jwt(NOW - 1),
}
DELIVERIES = {"file": FILE, "k8s": KUBERNETES, "swarm": SWARM}


def held(name: str, delivery: Delivery = FILE) -> Optional[Held]:
    text = TEXTS[name]
    if text is None:
        return None
    return Held(fingerprint(text), None if delivery is SWARM else text)


def outcome(delivery: Delivery, registered: str, holds: str, given: str, remove: str) -> str:
    request = Request(TEXTS[given], "a variable", remove=remove == "remove")
    try:
        return decide(delivery, request, registered == "yes", held(holds, delivery), NOW).action
    except TokenFault as exc:
        return exc.code.upper()


# registered, held, given, remove once registered:          file          k8s           swarm
TABLE = """
no           none     none     stay                         MISSING       MISSING       MISSING
no           none     A        stay                         written       written       written
no           none     API-key  stay                         API_KEY       API_KEY       API_KEY
no           none     expired  stay                         EXPIRED       EXPIRED       EXPIRED
no           A        none     stay                         kept          kept          kept
no           A        A        stay                         kept          kept          kept
no           A        B        stay                         written       written       written
no           A        API-key  stay                         API_KEY       API_KEY       API_KEY
no           A        expired  stay                         EXPIRED       EXPIRED       EXPIRED
no           API-key  none     stay                         MISSING       MISSING       kept
no           expired  none     stay                         MISSING       MISSING       kept
no           expired  expired  stay                         EXPIRED       EXPIRED       EXPIRED
no           API-key  B        stay                         written       written       written
yes          none     none     stay                         not_needed    not_needed    not_needed
yes          none     A        stay                         not_needed    not_needed    written
yes          none     API-key  stay                         not_needed    not_needed    not_needed
yes          none     expired  stay                         not_needed    not_needed    not_needed
yes          A        none     stay                         kept          kept          kept
yes          A        A        stay                         kept          kept          kept
yes          A        B        stay                         kept          written       written
yes          A        API-key  stay                         kept          kept          kept
yes          A        expired  stay                         kept          kept          kept
yes          expired  expired  stay                         kept          kept          kept
yes          none     none     remove                       not_needed    not_needed    not_needed
yes          none     A        remove                       not_needed    not_needed    not_needed
yes          none     API-key  remove                       not_needed    not_needed    not_needed
yes          A        none     remove                       removed       removed       removed
yes          A        A        remove                       removed       removed       removed
yes          A        B        remove                       removed       removed       removed
yes          A        API-key  remove                       removed       removed       removed
"""
ROWS = [[each.replace("API-key", "API key") for each in line.split()] for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[:4]))
def test_table(row: List[str]) -> None:
    found = {name: outcome(delivery, *row[:4]) for name, delivery in DELIVERIES.items()}
    assert found == dict(zip(DELIVERIES, row[4:]))  # noqa: B905 - Python 3.6 has no strict


@pytest.mark.parametrize(("holds", "given"), list(product(TEXTS, TEXTS)))
@pytest.mark.parametrize("name", DELIVERIES)
def test_removal_is_not_asked_for_where_a_node_is_not_registered(name: str, holds: str, given: str) -> None:
    assert outcome(DELIVERIES[name], "no", holds, given, "remove") == outcome(DELIVERIES[name], "no", holds, given, "stay")


@pytest.mark.parametrize(("holds", "given", "remove"), list(product(TEXTS, TEXTS, ("stay", "remove"))))
@pytest.mark.parametrize("name", DELIVERIES)
def test_a_registered_node_never_fails(name: str, holds: str, given: str, remove: str) -> None:
    assert outcome(DELIVERIES[name], "yes", holds, given, remove).islower()


def test_what_is_unknown_serves_nobody_and_is_replaced() -> None:
    unknown = Held(None)
    with pytest.raises(TokenFault, match="the swarm holds no token and no token was given for it: a variable"):
        decide(SWARM, Request(None, "a variable"), False, unknown)
    assert decide(SWARM, Request(TEXTS["A"]), False, unknown).action == "written"
    assert decide(SWARM, Request(None), True, unknown).action == "kept"
    with pytest.raises(TokenFault, match="no token was given for it: a variable; the token that is there cannot be used: it is damaged$"):
        decide(FILE, Request(None, "a variable"), False, unknown._replace(problem="it is damaged"))


MESSAGES: List[Tuple[Any, str]] = [
    (("no", "none", None), "this node is not registered and no token was given for it: option token is empty"),
    (("no", "expired", None), "this node is not registered and no token was given for it: option token is empty; the token that is there cannot be used: it"),
    (("no", "none", "API key"), "the token cannot be used: it is an API key"),
    (("yes", "A", "API key"), "; the token given cannot be used and is ignored: it is an API key"),
    (("yes", "A", "B"), "; another token was given, but a registered node needs no token, so it was not written: remove the token that is still held"),
    (("yes", "A", "A"), ""),
]


@pytest.mark.parametrize(("case", "message"), MESSAGES, ids=lambda each: "-".join(map(str, each)) if isinstance(each, tuple) else "")
def test_messages(case: Tuple[str, str, Optional[str]], message: str) -> None:
    registered, holds, given = case
    try:
        said = decide(FILE, Request(TEXTS[given] if given else None), registered == "yes", held(holds), NOW).note
    except TokenFault as exc:
        said = exc.message
    assert said.startswith(message)
    assert bool(said) == bool(message)


def test_the_source_is_named() -> None:
    request = Request(TEXTS["API key"], "variable edge_token")
    with pytest.raises(TokenFault, match=r"\(source: variable edge_token\)$"):
        decide(FILE, request, False, None)
    assert decide(FILE, request, True, None).note.endswith("(source: variable edge_token)")


def test_nothing_shows_a_token() -> None:
    assert "aaaa" not in repr(Request(TEXTS["A"])) + repr(held("A")) + repr(decide(FILE, Request(TEXTS["A"]), False, None))
