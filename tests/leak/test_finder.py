# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The finder finds what it must, and nothing by chance."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from canary import Canary, Finder, api_key, jwt, key, opaque

KINDS = [key, api_key, jwt, opaque]


def wrapped(text: str) -> str:
    """base64 as the command `base64` prints it."""
    return base64.encodebytes(text.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "clear": str,
    "python": repr,
    "shell": shlex.quote,
    "json": json.dumps,
    "json twice": lambda text: json.dumps(json.dumps(text)),
    "json escaped": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "percent": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "every byte percent": lambda text: "".join(f"%{ord(char):02X}" for char in text),
    "hexadecimal": lambda text: text.encode().hex(),
    "HEXADECIMAL": lambda text: text.encode().hex().upper(),
    "base64 in lines": wrapped,
    **{f"base64 at {offset}": lambda text, offset=offset: base64.b64encode(b"edge:x"[: 3 + offset] + text.encode()).decode() for offset in range(3)},
    **{f"base64url at {offset}": lambda text, offset=offset: base64.urlsafe_b64encode(b"\xff" * offset + text.encode()).decode() for offset in range(3)},
    **{name: lambda text, name=name: hashlib.new(name, text.encode()).hexdigest() for name in ("md5", "sha1", "sha224", "sha256", "sha512")},
    "sha256 of a line": lambda text: hashlib.sha256(text.encode() + b"\n").hexdigest(),
    "sha256, base64": lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(),
    "shortened digest": lambda text: hashlib.sha1(text.encode()).hexdigest()[:12],
    "end of a digest": lambda text: hashlib.sha1(text.encode()).hexdigest()[-12:],
}


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("form", FORMS)
def test_finds_each_form(make: Callable[[], Canary], form: str) -> None:
    canary, other = make(), make()
    hits = Finder({"wanted": canary, "other": other})(f"some text {FORMS[form](canary.text)} and more".encode())
    assert {hit.canary for hit in hits} == {"wanted"}


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_finds_parts_in_every_encoding(make: Callable[[], Canary]) -> None:
    canary = make()
    find = Finder({"wanted": canary})
    for random in canary.random:
        for part in (random[:8], random[:11] + "...", "..." + random[-8:]):
            for offset in range(3):
                assert find(part.encode()), part
                assert find(base64.b64encode(b"\0" * offset + part.encode())), (part, offset)


def test_finds_what_a_jwt_says_in_clear() -> None:
    canary = jwt()
    payload = canary.text.split(".")[1]
    assert Finder({"wanted": canary})(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_names_canary_form_and_surroundings() -> None:
    canary = key()
    (hit, *_more) = Finder({"web1": canary})(b"x" * 500 + b" token=" + canary.text.encode())
    assert hit.canary == "web1"
    assert "token=" in str(hit)
    assert len(str(hit)) < 200


def test_finds_nothing_by_chance() -> None:
    find = Finder({f"{make.__name__} {number}": make() for make in KINDS for number in range(50)})
    noise = secrets.token_bytes(300_000)
    for text in (noise, noise.hex().encode(), base64.b64encode(noise), quote(noise).encode(), b"exp_bk_ exp_ak_ eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"):
        assert find(text) == []


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_does_not_mistake_one_canary_for_another(make: Callable[[], Canary]) -> None:
    assert Finder({"wanted": make()})(make().text.encode()) == []
    assert Finder({"wanted": make()})(base64.b64encode(make().text.encode())) == []
