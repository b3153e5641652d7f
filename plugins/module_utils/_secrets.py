# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Keep secrets out of the output of other programs."""

import base64
import functools
import hashlib
import json
import re
from typing import Any, Dict, FrozenSet, Iterator, List, Set, Tuple
from urllib.parse import quote, unquote

from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, MIN_LENGTH, fingerprint

MASK = "********"

PIECE = 8
"""A shorter piece of a token tells nothing, and stands in any text by chance."""

MOST = 1024 * 1024
"""Characters of a text that are searched. Nobody reads more, and masking it would take longer than the work itself."""

SAID = 64 * 1024
"""Bytes at the end of a program's output that are searched."""

LINE = 2000
"""Characters of a line that are shown."""

_DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha512_256", "sha3_256", "blake2b")
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}  # str.lower() may change the length of a text


LONGEST = 16 * 1024
"""Characters of a secret that are looked for. No token or key is longer, and the pieces of a text of megabytes would fill the memory."""


_BEGINNINGS = (b"exp_bk_", b"exp_ak_", b"eyJhbGciOi", b"eyJ0eXAiOi", b"eyJraWQiOi")
"""Of keys, and of JWTs, which begin with the name of a field of their header."""


def _base64_shapes() -> Iterator[str]:
    """Yield what the beginning of a token looks like in base64, at each of three offsets."""
    for beginning in _BEGINNINGS:
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + beginning).decode("ascii").rstrip("=")
            whole = encoded[(0, 2, 3)[offset] : len(encoded) - (1 if (offset + len(beginning)) % 3 else 0)]
            yield re.escape(whole) + r"[A-Za-z0-9+/_=-]*"


SHAPES = re.compile(
    r"(?i:exp_[ab]k_[a-z0-9_-]{8,})"  # a bootstrap key, an API key
    r"|(?<=" + ENV_NAME + r"=)[^\s\"'$]{8,}"  # whatever is assigned to the token's variable
    # a JWT. One trial for a word is enough: more would take minutes for a long one.
    r"|(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}"
    # a part of one, because long texts are cut; header and payload begin like this
    r"|(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]+\.)[A-Za-z0-9_-]*?eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]*"
    r"|" + "|".join(_base64_shapes())
)
"""What can only be a token, whichever. A program may print another one than the one that it was given."""

_BETWEEN = r"(?:[\s:,-]{0,3}(?:0x|\\x|\\u00|%)?)"
_HEX = re.compile(r"(?i)[0-9a-f]{2}(?:" + _BETWEEN + r"[0-9a-f]{2}){7,}")
_HEX_PAIR = re.compile(r"(?i)" + _BETWEEN + r"([0-9a-f]{2})")
_HEX_SHAPE = re.compile("(?:" + "|".join(beginning.hex() for beginning in _BEGINNINGS) + ")(?:[0-9a-f]{2})*")
_NUMBERS = re.compile(r"(?<!\d)\d{2,3}(?:[,\s]{1,3}\d{2,3}){7,}(?!\d)")  # how Go and Python print bytes
_NUMBER = re.compile(r"\d+")

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_SPECIAL = re.compile(r"[^\x20-\x7e\n]")


def encodings(token: str) -> Tuple[str, ...]:
    """Return the token and the encodings of it that programs print, longest first.

    base64 looks different at each of three offsets, base32 at each of five, so of each the part that depends on the token alone is taken.
    """
    data = token.encode("utf-8", "surrogateescape")
    quoted = json.dumps(token)[1:-1]
    # Go, which the agent is written in, keeps JSON safe for HTML
    quoted_by_go = quoted.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    forms = {token, quote(data, safe=""), data.hex(), data.hex().upper(), quoted, quoted_by_go}
    forms.update(_inner(data))
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def _inner(data: bytes) -> Iterator[str]:
    for encode, unit, bits in ((base64.standard_b64encode, 3, 6), (base64.urlsafe_b64encode, 3, 6), (base64.b32encode, 5, 5)):
        for offset in range(unit):
            whole = encode(b"\0" * offset + data).decode("ascii").rstrip("=")
            begin = -(-offset * 8 // bits)
            inner = whole[begin : len(whole) - (1 if (offset + len(data)) * 8 % bits else 0)]
            if len(inner) >= PIECE:  # less would mask by chance
                yield inner


def mask(text: str, *secrets: str) -> str:
    """Return the text with every piece of the secrets, in whatever encoding, and all that has a token's shape, replaced by asterisks.

    Pieces, because programs show the ends of a token, break base64 into lines, and escape single characters in their own way.
    Upper and lower case count as the same. Of a text longer than :data:`MOST` the end is returned.
    """
    text = text[-MOST:]
    hidden = bytearray(len(text))
    same = text.translate(_ASCII_LOWER)
    secrets = tuple(piece[:LONGEST] for secret in secrets for piece in _without_name(secret))
    for width, pieces in _pieces(secrets).items():
        for start in range(len(same) - width + 1):
            if same[start : start + width] in pieces:
                hidden[start : start + width] = b"\1" * width
    for begin, end in _spelled_out(same, secrets):
        hidden[begin:end] = b"\1" * (end - begin)
    for found in SHAPES.finditer(text):
        hidden[found.start() : found.end()] = b"\1" * (found.end() - found.start())
    result, position = [], 0
    for run in re.finditer(b"\1+", hidden):
        result += [text[position : run.start()], MASK]
        position = run.end()
    return "".join(result + [text[position:]])


def _without_name(secret: str) -> List[str]:
    """Return a secret, or what of it is secret where somebody pasted a whole assignment: the name of the variable is in many messages."""
    return [piece for piece in secret.split(ENV_NAME) if len(piece) >= PIECE] if ENV_NAME in secret else [secret]


def contains(text: str, secret: str) -> bool:
    """Whether a text contains all of a secret, in whatever encoding, case and number of lines. Too short a secret is in any text by chance."""
    joined, secret = "".join(text.split()), "".join(secret[:LONGEST].split())
    same = f"{joined} {unquote(joined)}".translate(_ASCII_LOWER)  # a URL may escape some of its characters
    return len(secret) >= PIECE and any(form.translate(_ASCII_LOWER) in same for form in encodings(secret))


@functools.lru_cache(maxsize=2)  # many texts are masked for the same secrets
def _pieces(secrets: Tuple[str, ...]) -> Dict[int, Set[str]]:
    """Return all pieces of all forms of the secrets, by their length. A look into a set costs the same for many as for one."""
    found: Dict[int, Set[str]] = {}
    for secret in set(secrets):
        for form, width in _to_hide(secret):
            form = form.translate(_ASCII_LOWER)
            found.setdefault(width, set()).update(form[start : start + width] for start in range(len(form) - width + 1))
    return found


def _to_hide(token: str) -> Iterator[Tuple[str, int]]:
    """Return encodings and digests of a token, each with how many characters of it are too many."""
    if not token:
        return
    for form in encodings(token):
        # what PIECE characters of the token become; all of it where it is shorter
        yield form, len(form) if len(token) < PIECE else max(PIECE, PIECE * len(form) // len(token))
    data = token.encode("utf-8", "surrogateescape")
    for name in _DIGESTS:
        for what in (data, data + b"\n"):  # echo adds a line break
            try:
                digest = hashlib.new(name, what)
            except ValueError:  # a node that allows no such algorithm, so nothing there prints it
                continue
            yield digest.hexdigest(), PIECE
            yield base64.b64encode(digest.digest()).decode("ascii"), PIECE + 4


@functools.lru_cache(maxsize=2)
def _bytes(secrets: Tuple[str, ...]) -> Tuple[FrozenSet[bytes], FrozenSet[str]]:
    """Return all pieces of the secrets, in lower case, and in hexadecimal."""
    datas = [secret.encode("utf-8", "surrogateescape") for secret in secrets]
    pieces = [data[start : start + PIECE] for data in datas for start in range(len(data) - PIECE + 1)]
    return frozenset(piece.lower() for piece in pieces), frozenset(piece.hex() for piece in pieces)


def _spelled_out(text: str, secrets: Tuple[str, ...]) -> Iterator[Tuple[int, int]]:
    """Yield where a text holds pieces of the secrets, or a key, byte for byte as numbers with something in between."""
    wanted, digits = _bytes(secrets)
    for run in _HEX.finditer(text):
        at: List[int] = []
        for pair in _HEX_PAIR.finditer(text, run.start(), run.end()):
            at += [pair.start(1), pair.start(1) + 1]
        digits_only = "".join(text[position] for position in at)
        for start in range(len(digits_only) - 2 * PIECE + 1):
            if digits_only[start : start + 2 * PIECE] in digits:
                yield at[start], at[start + 2 * PIECE - 1] + 1
        for found in _HEX_SHAPE.finditer(digits_only):
            yield at[found.start()], at[found.end() - 1] + 1
    for run in _NUMBERS.finditer(text):
        numbers = list(_NUMBER.finditer(text, run.start(), run.end()))
        data = bytes(min(int(number.group()), 255) for number in numbers).lower()
        for start in range(len(data) - PIECE + 1):
            if data[start : start + PIECE] in wanted:
                yield numbers[start].start(), numbers[start + PIECE - 1].end()


_WORD = re.compile("[!-~]+")
_SIGN = re.compile("[^A-Za-z0-9_-]")
_MOST_SIGNS = 32
"""Signs among the characters of a token that is looked for. A random one of 100 characters has about 30."""
_SEARCHED = 32 * 1024
"""Bytes at the end of an output in which a token is looked for: more than is shown of a journal. Every part costs a digest."""


def find_token(output: bytes, wanted: str) -> str:
    """Return the token of a known fingerprint if another program printed it, otherwise an empty text.

    A token may have any sign in it, and any sign may follow it. So each part of a word that lies between two signs is tried.
    """
    tried: Set[int] = set()
    for word in _WORD.findall(printable(output[-_SEARCHED:].decode("utf-8", "replace"))):
        for part in _parts(word):
            if len(part) < MIN_LENGTH or hash(part) in tried:
                continue
            tried.add(hash(part))
            if fingerprint(part) == wanted:
                return part
            for text in _unescaped(part):
                if fingerprint(text) == wanted:
                    return text
    return ""


def _parts(word: str) -> Iterator[str]:
    signs = [found.start() for found in _SIGN.finditer(word)]
    starts, ends = [0] + [sign + 1 for sign in signs], signs + [len(word)]
    for number, start in enumerate(starts):
        for end in ends[number : number + _MOST_SIGNS]:
            yield word[start:end]


def _unescaped(text: str) -> Iterator[str]:
    """Yield a text without the escapes of URLs and of JSON, where it has them."""
    if "%" in text:
        yield unquote(text)
    if "\\" in text:
        try:
            yield str(json.loads('"' + text + '"'))
        except ValueError:
            return


def assigned(value: Any) -> Iterator[str]:
    """Yield what a structure gives as a token, of whichever shape: to the token's variable, as Docker or Kubernetes writes it, or to ``--token``."""
    given: List[Any] = []
    if isinstance(value, dict):
        given = [value.get(ENV_NAME), value.get("value") if value.get("name") == ENV_NAME else None]
    elif isinstance(value, list):
        given = [after for before, after in zip(value, value[1:]) if before == "--token"]
        given += [each[len("--token=") :] for each in value if isinstance(each, str) and each.startswith("--token=")]
    yield from (str(each) for each in given if isinstance(each, (str, int, float)) and each != "")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from assigned(each)


def last_lines(output: bytes, count: int, *secrets: str) -> List[str]:
    """Return the last lines of another program's output, as they may be shown: masked, without control characters, not too long."""
    text = printable(output[-SAID:].decode("utf-8", "replace"))
    lines = (line.strip() for line in mask(text, *secrets).split("\n"))
    return [line if len(line) <= LINE else line[:LINE] + "..." for line in lines if line][-count:]


def printable(text: str) -> str:
    """Return a text without control sequences of a terminal; line breaks stay."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _SPECIAL.sub(lambda found: _shown(found.group()), text)


def _shown(char: str) -> str:
    return char if char.isprintable() else " " if char.isspace() else ""


def visible(name: str) -> str:
    """Return a name as it may be shown: with a question mark for every character that is not printable, or not UTF-8."""
    return "".join(char if char.isprintable() else "?" for char in name)
