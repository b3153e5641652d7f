# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What is packed inside of user data: files in base64, compressed by gzip or not, as cloud-init's ``write_files`` and parts of MIME messages have them.

Pure: bytes go in and out. What cannot be unpacked is passed over, because most that looks like base64 is something else.
"""

import binascii
import re
import zlib
from typing import Iterator

LONGEST = 1 << 20
"""Bytes of a packed file that are unpacked."""

MOST = 16 << 20
"""Bytes of all of them."""

_GZIP = b"\x1f\x8b\x08"
_LINE_BREAK = rb"\r?\n[ \t]{0,32}"
# whole lines of YAML and MIME messages follow one another; a single word cannot be a file
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}(?:" + _LINE_BREAK + rb"[A-Za-z0-9+/]+)*")


def packed_inside(data: bytes) -> Iterator[bytes]:
    """Yield the beginning of each file that is in some bytes in base64, without that of gzip."""
    left = MOST
    for match in _BASE64.finditer(data):
        text = re.sub(rb"\s", b"", match.group())
        content = binascii.a2b_base64(text[: len(text) - len(text) % 4] + _rest(text))
        if content.startswith(_GZIP):
            try:
                content = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, LONGEST)
            except zlib.error:
                continue
        yield content[:LONGEST]
        left -= len(content)
        if left <= 0:
            return


def _rest(text: bytes) -> bytes:
    """Return the last characters in a form that can be decoded: two or three of them are one or two bytes."""
    rest = text[len(text) - len(text) % 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""
