# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canaries, which are fresh random tokens, and a finder of them in whatever form.

Knows nothing of the collection's own notion of what to mask (`plugins/module_utils/_secrets.py`): one must not vouch
for the other. The finder looks for the first and the last eight characters of what is random in a token, in clear and
in every encoding, so it finds the whole as well as a part, and for digests of the token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import string
import sys
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

PIECE = 8
"""Characters of a token's random part that may be nowhere: fewer are found by chance."""

DIGEST_PIECE = 12
"""Characters of a digest: hexadecimal ones are shorter of information."""

DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


class Canary(NamedTuple):
    """A token, and what is random in it or in what it encodes."""

    text: str
    random: tuple[str, ...]


def key() -> Canary:
    """A bootstrap key."""
    return _prefixed("exp_bk_")


def api_key() -> Canary:
    """An API key, which people take for a bootstrap key."""
    return _prefixed("exp_ak_")


def jwt(lifetime: float = 3600) -> Canary:
    """A single-use token in the shape of a JWT. Its signature is random: nobody but the vendor verifies it."""
    identity, signature = _random(24), _random(43)
    payload = {"jti": identity, "exp": int(time.time() + lifetime), "sub": "bootstrap"}
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in ({"alg": "HS256", "typ": "JWT"}, payload)]
    return Canary(".".join([*parts, signature]), (identity, signature))


def opaque() -> Canary:
    """A token of no known shape, with all that is special to shells, JSON, YAML, URLs and systemd."""
    first, last = _random(24), _random(24)
    return Canary(f"""{first}"'\\$&;|<>`!#%/+=?*~^()[]:,@{last}""", (first, last))


def _prefixed(prefix: str) -> Canary:
    random = _random(32)
    return Canary(prefix + random, (random,))


def _random(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for dummy in range(length))


class Hit(NamedTuple):
    """A canary that was found."""

    canary: str
    form: str
    excerpt: str

    def __str__(self) -> str:
        return f"{self.canary} ({self.form}): {self.excerpt}"


class Finder:
    """Finds canaries in bytes. Made once for many searches."""

    def __init__(self, canaries: Mapping[str, Canary]) -> None:
        self._index: dict[int, list[tuple[bytes, str, str]]] = {}
        for name, canary in canaries.items():
            for form, needle in needles(canary):
                self._index.setdefault(int.from_bytes(needle[:PIECE], sys.byteorder), []).append((needle, name, form))
        self._pieces = frozenset(self._index)

    def __call__(self, data: bytes) -> list[Hit]:
        """Return one hit for each canary and form that is in the data."""
        # Pieces of a fixed length are looked up in a table, so it takes the same time however many canaries there are. They are looked at
        # as numbers of eight bytes, once from each of the first eight positions on: that is a third of the time that slices take.
        found: set[int] = set()
        for start in range(min(PIECE, len(data) - PIECE + 1)):
            found |= self._pieces.intersection(memoryview(data)[start : len(data) - (len(data) - start) % PIECE].cast("Q"))
        hits = {}
        for needle, name, form in (each for piece in found for each in self._index[piece]):
            position = data.find(needle)
            if position >= 0:
                hits[name, form] = Hit(name, form, repr(data[max(0, position - 60) : position + len(needle) + 30])[2:-1])
        return [hits[each] for each in sorted(hits)]


def needles(canary: Canary) -> Iterator[tuple[str, bytes]]:
    """Return what a finder looks for: the name of a form, and bytes that only this canary has in that form."""
    for random in canary.random:
        for end, piece in (("beginning", random[:PIECE]), ("end", random[-PIECE:])):
            for form, needle in _encodings(piece.encode()):
                yield f"{form}, {end}", needle
    for text in (canary.text, canary.text + "\n"):
        for name in DIGESTS:
            digest = hashlib.new(name, text.encode())
            for form in (digest.hexdigest(), digest.hexdigest().upper(), base64.b64encode(digest.digest()).decode().rstrip("=")):
                yield name, form[:DIGEST_PIECE].encode()
                yield name, form[-DIGEST_PIECE:].encode()


def _encodings(piece: bytes) -> Iterator[tuple[str, bytes]]:
    yield "clear", piece
    yield "UTF-16", piece.decode().encode("utf-16-le")
    yield "hexadecimal", piece.hex().encode()
    yield "hexadecimal", piece.hex().upper().encode()
    yield "escaped \\x", "".join(f"\\x{byte:02x}" for byte in piece).encode()
    yield "percent", "".join(f"%{byte:02x}" for byte in piece).encode()
    yield "percent", "".join(f"%{byte:02X}" for byte in piece).encode()
    yield "JSON", "".join(f"\\u{byte:04x}" for byte in piece).encode()
    yield "JSON", "".join(f"\\u{byte:04X}" for byte in piece).encode()
    # base64 takes three bytes at a time, so a piece looks different at each of three offsets: of each, what it alone decides
    for offset in range(3):
        inner = slice((8 * offset + 5) // 6, 8 * (offset + len(piece)) // 6)
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            yield "base64", encode(b"\0" * offset + piece)[inner]
