# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Find tokens that nobody told us by their shape: bootstrap keys anywhere, JWTs where a bootstrap token belongs.

Pure: bytes go in, tokens come out. What documentation shows in place of a token is none, and neither is a JWT of another program.
"""

import binascii
import re
from typing import FrozenSet, Iterator, NamedTuple, Optional, Set

from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, MAX_LENGTH, MIN_LENGTH, TokenFault, fingerprint, judge

_SHORTEST = 8  # characters of a key behind its prefix: less is a word of a text about keys
_BEFORE = 512  # bytes of a line before a JWT that tell what it is for
_AFTER = 256

_KEY = re.compile(rb"exp_bk_[A-Za-z0-9._-]+")
# One trial for a word is enough: more would take minutes for a long one. All headers of JWTs are JSON objects, which begin like this,
# with a quotation mark or a blank after the brace.
_JWT = re.compile(rb"(?<![A-Za-z0-9_.-])ey[JA][A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]+")
_VALUE = re.compile(rb"(?:" + ENV_NAME.encode() + rb"|--token)(?:[\"'\\]*[ \t]*[=:,\0][ \t]*|[ \t]+)[\"'\\]*([!#-&(-+\--:<-\[\]-~]{4,16384})")

# What stands right before a JWT, or on its line, where it is a bootstrap token. The guide's own commands are among them.
_ASSIGNED = re.compile(ENV_NAME.encode() + rb"[\"'\\]*[\s=:,\0]+[\"'\\]*\Z")
_ARGUMENT = re.compile(rb"expanso-edge.*--token[\"'\\,\s=\0]+\Z", re.DOTALL)
_FILED = re.compile(rb"bootstrap\.(?:token|env)\b|expanso[_-](?:edge[_-])?bootstrap[_-]token")
_LINE = re.compile(rb"(?<!\\)\n")  # a backslash continues it

# The prefix of a key in base64, at each of three offsets: so many bytes before it, so many characters of the first group that are not its own
_ENCODED = ((rb"ZXhwX2JrX", 0, 0), (rb"V4cF9ia1", 1, 2), (rb"leHBfYmtf", 2, 3))
_BASE64 = re.compile(rb"(?:" + b"|".join(each for each, _offset, _pad in _ENCODED) + rb")(?:[A-Za-z0-9+/_-]|\r?\n[ \t]{0,16}(?=[A-Za-z0-9+/_-])){4,}")
_HEX = re.compile(rb"(?i)6578705f626b5f(?:[0-9a-f]{2})+")
_WIDE = (b"e\0x\0p\0_\0b\0k\0_", b"e\0y\0J", b"e\0y\0A")  # in UTF-16 of either byte order
_SIGNS = (b"exp_bk_", b"6578705f626b5f", b"6578705F626B5F") + tuple(each for each, _offset, _pad in _ENCODED)


class Shape(NamedTuple):
    """A token that was recognized. ``repr()`` shows no value."""

    value: str
    kind: str  # bootstrap_key, jwt or opaque
    fingerprint: str

    def __repr__(self) -> str:
        return f"Shape(kind={self.kind}, fingerprint={self.fingerprint})"


def tokens_in(data: bytes, wanted: FrozenSet[str] = frozenset(), cut: bool = False) -> Set[Shape]:
    """Return the tokens that can be recognized in some bytes.

    :param wanted: fingerprints of tokens that are asked for: these count wherever they are, expired or not
    :param cut: the bytes go on elsewhere, so what stands at their very end may be the beginning of something longer
    """
    found: Set[Shape] = set()
    if any(sign in data for sign in _SIGNS):
        found.update(_keys(data, wanted, cut))
    if b"eyJ" in data or b"eyA" in data:
        found.update(_jwts(data, wanted, cut))
    if wanted and (ENV_NAME.encode() in data or b"--token" in data):
        found.update(_values(data, wanted))
    if any(sign in data for sign in _WIDE):
        found.update(tokens_in(data.replace(b"\0", b""), wanted, cut))
    return found


def _keys(data: bytes, wanted: FrozenSet[str], cut: bool) -> Iterator[Shape]:
    for match in _KEY.finditer(data):
        if not (cut and match.end() == len(data)):
            yield from _key(match.group(), wanted)
    for match in _BASE64.finditer(data):
        for prefix, offset, pad in _ENCODED:
            if match.group().startswith(prefix) and not (cut and match.end() == len(data)):
                # a part of the first letter is in the character before
                yield from _inside(b"e" + _decoded(b"A" * pad + match.group())[offset + 1 :], wanted)
    for match in _HEX.finditer(data):
        if not (cut and match.end() == len(data)):
            yield from _inside(binascii.unhexlify(match.group()), wanted)


def _inside(data: bytes, wanted: FrozenSet[str]) -> Iterator[Shape]:
    """Yield the key that decoded bytes begin with."""
    match = _KEY.match(data)
    if match:
        yield from _key(match.group(), wanted)


def _decoded(text: bytes) -> bytes:
    """Return what base64 says, as far as it goes."""
    text = re.sub(rb"\s", b"", text).translate(bytes.maketrans(b"-_", b"+/"))
    return binascii.a2b_base64(text[: len(text) - (len(text) % 4 == 1)] + b"==="[: -len(text) % 4])


def _key(word: bytes, wanted: FrozenSet[str]) -> Iterator[Shape]:
    """Yield the key that a word is, without the full stop of a sentence."""
    if len(word) > MAX_LENGTH:
        return
    text = word.decode("ascii")
    if wanted and fingerprint(text) in wanted:
        yield Shape(text, "bootstrap_key", fingerprint(text))
        return
    text = text.rstrip(".")
    if len(text) < len("exp_bk_") + _SHORTEST and not wanted:
        return
    shape = _judged(text, wanted)
    if shape and (shape.fingerprint in wanted or len(text) >= len("exp_bk_") + _SHORTEST):
        yield shape


def _jwts(data: bytes, wanted: FrozenSet[str], cut: bool) -> Iterator[Shape]:
    for match in _JWT.finditer(data):
        if (cut and match.end() == len(data)) or match.end() - match.start() > MAX_LENGTH:
            continue
        shape = _judged(match.group().decode("ascii"), wanted)
        if shape and shape.kind == "jwt" and (shape.fingerprint in wanted or _belongs(data, match.start(), match.end())):
            yield shape


def _belongs(data: bytes, start: int, end: int) -> bool:
    """Whether a bootstrap token is what belongs in this place."""
    line = _LINE.split(data[max(0, start - _BEFORE) : start])[-1]
    if _ASSIGNED.search(line) or _ARGUMENT.search(line):
        return True
    rest = re.split(rb"[\n\0]", data[end : end + _AFTER], maxsplit=1)[0]
    return bool(_FILED.search(line.rsplit(b"\0", 1)[-1]) or _FILED.search(rest))


def _values(data: bytes, wanted: FrozenSet[str]) -> Iterator[Shape]:
    """Yield what is given as a token and is asked for, of whatever shape."""
    for match in _VALUE.finditer(data):
        text = match.group(1).decode("ascii")
        for each in sorted({text, text.rstrip(".,)]}")}):
            if len(each) >= MIN_LENGTH and fingerprint(each) in wanted:
                yield _judged(each, wanted) or Shape(each, "opaque", fingerprint(each))


def _judged(text: str, wanted: FrozenSet[str]) -> Optional[Shape]:
    try:
        token = judge(text)
    except TokenFault as exc:
        if exc.code != "expired" or fingerprint(text) not in wanted:
            return None
        return Shape(text, "jwt", fingerprint(text))
    return Shape(text, token.kind, token.fingerprint)
