# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Keep secrets out of what other programs say."""

import base64
import hashlib
import itertools
import json
import re
from typing import Iterator, Tuple
from urllib.parse import quote

MASK = "********"

PIECE = 8
"""A shorter piece of a token tells nothing, and stands in any text by chance."""

SHAPES = re.compile(
    r"exp_[ab]k_[A-Za-z0-9_-]{8,}"  # a bootstrap key, an API key
    r"|[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}"  # a JWT
)
"""What can only be a token, whichever. A program may print another one than the one that it was given."""


def encodings(token: str) -> Tuple[str, ...]:
    """Return the token and the encodings of it that programs print, longest first.

    base64 looks different at each of three offsets, so of each the part that depends on the token alone is taken.
    """
    data = token.encode("utf-8")
    quoted = json.dumps(token)[1:-1]
    # Go, which the agent is written in, keeps JSON safe for HTML
    quoted_by_go = quoted.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    forms = {token, quote(token, safe=""), data.hex(), data.hex().upper(), quoted, quoted_by_go}
    for offset in range(3):
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * offset + data).decode("ascii").rstrip("=")
            inner = whole[(0, 2, 3)[offset] : len(whole) - (1 if (offset + len(data)) % 3 else 0)]
            if len(inner) >= 8:  # less would mask by chance
                forms.add(inner)
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def mask(text: str, *secrets: str) -> str:
    """Return the text with every piece of the secrets, in whatever encoding, and all that has a token's shape, replaced by asterisks.

    Pieces, because programs show the ends of a token, break base64 into lines, and escape single characters in their own way.
    """
    hidden = bytearray(len(text))
    for secret in secrets:
        for form, width in _to_hide(secret):
            pieces = {form[start : start + width] for start in range(len(form) - width + 1)}
            for start in range(len(text) - width + 1):
                if text[start : start + width] in pieces:
                    hidden[start : start + width] = b"\1" * width
    for found in SHAPES.finditer(text):
        hidden[found.start() : found.end()] = b"\1" * (found.end() - found.start())
    runs = itertools.groupby(range(len(text)), hidden.__getitem__)
    return "".join(MASK if secret else "".join(text[position] for position in run) for secret, run in runs)


def _to_hide(token: str) -> Iterator[Tuple[str, int]]:
    """Return encodings and digests of a token, each with how many characters of it are too many."""
    if not token:
        return
    for form in encodings(token):
        # what PIECE characters of the token become; all of it where it is shorter
        yield form, len(form) if len(token) < PIECE else max(PIECE, PIECE * len(form) // len(token))
    for name in ("md5", "sha1", "sha256"):
        try:
            yield hashlib.new(name, token.encode("utf-8")).hexdigest(), PIECE
        except ValueError:  # a node that allows no such algorithm, so nothing there prints it
            continue
