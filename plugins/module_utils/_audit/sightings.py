# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Tokens in the readable text of other programs: variables, arguments, labels, annotations, configurations.

Pure. Only fingerprints are reported; the tokens themselves are kept, so that they can be masked.
"""

import base64
import binascii
import re
from typing import Dict, FrozenSet, Iterable, Iterator, List, Set

from ansible_collections.expanso.edge.plugins.module_utils._secrets import PIECE, find_token
from ansible_collections.expanso.edge.plugins.module_utils._token import MAX_LENGTH, TokenFault, fingerprint, judge

MOST = 8 * 1024 * 1024
"""Characters that one audit searches."""

_KEY = re.compile(r"(?i:exp_[ab]k_)[A-Za-z0-9._-]{4,}")
_JWT = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_NO_TOKENS = ("empty", "masked", "no_text", "path", "placeholder", "template", "url")
_ALPHABET = str.maketrans("-_", "+/")


class Search:
    """A search in many texts, with a limit for all of them.

    :param wanted: fingerprints of tokens that count wherever they are, and whatever they look like
    """

    def __init__(self, wanted: Iterable[str]) -> None:
        self.wanted: FrozenSet[str] = frozenset(wanted)
        self.secrets: Set[str] = set()  # what was found, to be masked
        self._known: Dict[str, str] = {}
        self.incomplete = False  # whether there was more text than is searched
        self._left = MOST

    def look(self, text: str, jwts: bool = True) -> List[str]:
        """Return the fingerprints of the tokens in a text.

        :param jwts: whether JWTs count that are not wanted. Many programs have some that are not bootstrap tokens
        """
        if len(text) > self._left:
            self.incomplete = True
            text = text[: self._left]
        self._left -= len(text)
        found = self._found(text, jwts)
        found.update(self._found("\n".join(_decoded(text)), jwts))
        self.secrets.update(found.values())
        return sorted(found)

    def named(self, value: str) -> List[str]:
        """Return the fingerprint of what is in the place of a token, which counts as one whatever it is. It is looked for from then on."""
        if not value:
            return []
        if len(value) >= PIECE:  # less is in any text by chance
            self.secrets.add(value)
            self._known[fingerprint(value)] = value
        return [fingerprint(value)]

    def assigned(self, value: str) -> List[str]:
        """Return the fingerprint of the value of the variable for tokens, unless it is certainly none, such as the path of a file."""
        try:
            judge(value)
        except TokenFault as exc:
            if exc.code in _NO_TOKENS:
                return []
        return self.named(value)

    def _found(self, text: str, jwts: bool) -> Dict[str, str]:
        found = {mark: value for mark, value in self._known.items() if value in text}
        for pattern in (_KEY, _JWT) if jwts else (_KEY,):
            for match in pattern.finditer(text):
                word = match.group()
                stripped = word.rstrip("._-")  # as at the end of a sentence
                word = stripped if fingerprint(stripped) in self.wanted else word
                if _is_token(word):
                    found[fingerprint(word)] = word
        for wanted in self.wanted.difference(found):
            token = _token_of(text, wanted)
            if token:
                found[wanted] = token
        return found


def _is_token(word: str) -> bool:
    """Whether a word is a key or a JWT. An expired one counts, an example from the documentation does not."""
    try:
        return judge(word).kind != "opaque"
    except TokenFault as exc:
        return exc.code in ("expired", "api_key")


def _token_of(text: str, wanted: str) -> str:
    """Return the token of a fingerprint where a text of any length holds it, otherwise an empty text."""
    for start in range(0, len(text), MAX_LENGTH):
        # twice the longest token, so that one which lies across the border is whole in one of both
        token = find_token(text[start : start + 2 * MAX_LENGTH].encode("ascii", "replace"), wanted)
        if token:
            return token
    return ""


def _decoded(text: str) -> Iterator[str]:
    """Yield what the words of a text are in base64."""
    for match in _BASE64.finditer(text):
        word = match.group().rstrip("=").translate(_ALPHABET)
        try:
            yield base64.b64decode(word + "=" * (-len(word) % 4)).decode("utf-8")
        except (binascii.Error, ValueError):
            continue
