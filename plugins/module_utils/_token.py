# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What a bootstrap token is, and what is certainly none.

Pure: no files, no clock but an argument, no Ansible. Messages name a fault and its position, never a character of the token.
"""

import base64
import binascii
import hashlib
import json
import re
import time
from typing import Any, Dict, NamedTuple, Optional

ENV_NAME = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"

MAX_LENGTH = 16384
"""Longest token, in characters. Nobody publishes a limit; a file of this size is certainly something else."""

MIN_LENGTH = 4
"""Shortest token, in characters. What is shorter stands in any text by chance, and masking it would make messages unreadable."""

_BOOTSTRAP_KEY = re.compile(r"exp_bk_[A-Za-z0-9._-]+")
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

# What documentation shows in place of a token. A random key does not begin like this.
_PLACEHOLDER = re.compile(
    r"(?:exp_bk_)?(?:(?:change|replace)[_-]?(?:me|this)?|changeit|placeholder|dummy|redacted|secret|todo|fixme|example|x{3,}|\.{3,})[._-]*"
    r"|exp_bk_(?:example|change[_-]?me|replace[_-]?(?:me|with)|placeholder|your[_-]|your(?:token|key)|x{4,}).*"
    r"|(?:exp_bk_)?(?:<.*>|\[.*\]|\{.*\}|__.*__)"
    r"|eyJ[A-Za-z0-9_-]*\.{2,}"
    r"|(?:your|my|the)[_-]?(?:[a-z]+[_-])*(?:token|key|jwt)(?:[_-]here)?|replace[_-]with[_-].*"
    r"|(?:insert|paste|put|enter|add)[_-].*(?:token|key|here)"
    r"|(?:exp_bk_)?(?:expanso[_-])?(?:edge[_-])?(?:bootstrap[_-])?(?:token|jwt|key)",
    re.IGNORECASE,
)

# What Ansible, AWX, Terraform and the like print where a secret was.
_MASK = re.compile(
    r"\*+|\u2022+|\$encrypted\$|\$REDACTED\$|VALUE_SPECIFIED_IN_NO_LOG_PARAMETER|NOT_LOGGING_PARAMETER"
    r"|NOT_LOGGING_PASSWORD|\(sensitive value\)|\(sensitive\)|[<\[(]*(?:redacted|hidden|masked)[>\])]*",
    re.IGNORECASE,
)

# A token has no directories; base64 may begin with one slash, a path shows more than that.
_PATH = re.compile(
    r"@?(?:~[^/]*/|\.{1,2}/|file:|[A-Za-z]:[\\/]|\\\\|/[A-Za-z0-9._-]+(?:/|$)|/[A-Za-z0-9_-]*\.).*"
    r"|[^+=]*\.(?:token|txt|env|key|jwt|pem|creds|secret|ya?ml|json|conf|cfg)"
    r"|[^+=]*/[^+=/]*(?:token|secret)[^+=/]*"
    r"|/|[a-z_.-]+(?:/[a-z_.-]+){2,}",
    re.DOTALL,
)

# base64 has the slash among its characters, so one random token in 64 begins with it. Such a text is a path where it begins in a directory
# that systems have, or where each of its parts is a word: /etc/expanso/token, /Volumes/Stick/token, but not /k3F/9sQx+Zt8c.
_BASE64 = re.compile(r"/[A-Za-z0-9+/]+={0,2}")
_SYSTEM_PATH = re.compile(
    r"/(?:bin|boot|data|dev|etc|home|lib|lib64|media|mnt|nix|opt|private|proc|root|run|runner|secrets|snap|srv|sys|tmp|usr|var|vault|vagrant"
    r"|Applications|Library|System|Users|Volumes)(?:/|$)"
)
_WORDS_PATH = re.compile(r"/(?:(?:[A-Z]?[a-z]+|[A-Z]+)[0-9]{0,2}(?:/|$))+")

_KEY_PREFIX = "exp_bk_"

_CONTROL_NAMES = {"\0": "NUL", "\t": "tab", "\n": "line feed", "\r": "carriage return", "\x1b": "escape", "\x7f": "delete"}


# What programs print of a value that is not there, or is no text.
_NO_TEXT = re.compile(r"none|null|nil|undefined|true|false|\{\}|\[\]", re.IGNORECASE)


class TokenFault(ValueError):
    """Why a text is no bootstrap token: a stable ``code`` for programs, a ``message`` for people."""

    def __init__(self, code: str, message: str) -> None:
        super(TokenFault, self).__init__(message)
        self.code = code
        self.message = message


class Token(NamedTuple):
    """A text that passed judgement. ``repr()`` shows no value."""

    value: str
    kind: str  # bootstrap_key, jwt or opaque
    fingerprint: str
    expires_at: Optional[str]  # ISO 8601, UTC; None where the token does not tell

    def __repr__(self) -> str:
        return "Token(kind={0}, fingerprint={1})".format(self.kind, self.fingerprint)


def fingerprint(text: str) -> str:
    """Return 12 hexadecimal digits that tell tokens apart and are of no use for anything else."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a character, as JSON can write it
        data = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"expanso.edge bootstrap token\0" + data).hexdigest()[:12]


def decode(data: bytes) -> str:
    """Return the text of a token *file*: without the one line feed that editors put at its end.

    :raises TokenFault: the bytes are no ASCII text
    """
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise TokenFault("bom", "it starts with a byte order mark; save it as plain ASCII without one")
    if data.endswith(b"\n"):
        data = data[:-1]
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as exc:
        raise TokenFault("not_ascii", "byte {0} is not ASCII; a token holds ASCII characters only".format(exc.start + 1)) from None


def judge(text: str, strict: bool = False, now: Optional[float] = None) -> Token:
    """Return the token that a text is.

    :param text: the exact text, nothing trimmed
    :param strict: refuse what is neither a bootstrap key nor a JWT
    :param now: seconds since the epoch, for the expiry of a JWT; the clock by default
    :raises TokenFault: the text is certainly no token that can be used
    """
    _refuse_not_a_token(text)
    if _BOOTSTRAP_KEY.fullmatch(text):
        return Token(text, "bootstrap_key", fingerprint(text), None)

    claims = _jwt_claims(text)
    if claims is not None:
        expiry = _expiry(claims)
        expires_at = None if expiry is None else _iso8601(expiry)
        now = time.time() if now is None else now
        if expiry is not None and expiry <= now:
            # the day, so that the same is said of it all day long
            by = "the clock of this machine says {0}: get a new one, or correct that clock".format((_iso8601(now) or "later")[:10])
            raise TokenFault("expired", "it is a JWT that expired at {0}, and {1}".format(expires_at or "a time long past", by))
        return Token(text, "jwt", fingerprint(text), expires_at)

    if strict:
        raise TokenFault("unknown_shape", "it is neither a bootstrap key (exp_bk_...) nor a JWT, and strict judgement was asked for")
    return Token(text, "opaque", fingerprint(text), None)


def _refuse_not_a_token(text: str) -> None:
    if not text:
        raise TokenFault("empty", "it is empty")
    if len(text) > MAX_LENGTH:
        raise TokenFault("too_long", "it has more than {0} characters: that is no token".format(MAX_LENGTH))
    if text.startswith("$ANSIBLE_VAULT;"):
        raise TokenFault("vault_text", "it is vault-encrypted text that nobody decrypted; give Ansible the vault password, or use '!vault'")
    if text.startswith(("ENC[", "vault:v")):  # sops, and the transit engine of HashiCorp Vault
        raise TokenFault("vault_text", "it is encrypted text that nobody decrypted; decrypt it where it comes from")
    if _MASK.fullmatch(text) or "***" in text:
        raise TokenFault("masked", "it is what is printed in place of a secret, not the secret; copy the token from its source")
    if re.match(r"<[^<>]*>$", text):
        raise TokenFault("placeholder", "it is a placeholder from the documentation; put the real token in its place")
    if re.search(r"\{\{|\{%|\$\{|\$\(|^\$[A-Za-z_]+$|^%[A-Za-z_]+%$", text):
        raise TokenFault("template", "it holds a template or shell expression that nothing expanded")
    if re.match(r"(?:export[ \t]+)?(?:EXPANSO_[A-Z_]+|[A-Z][A-Z_]*TOKEN)[ \t]*=", text):
        raise TokenFault("assignment", "it is a whole NAME=value line; give the value alone")
    _refuse_characters(text)
    if text[0] in "\"'`" or text[-1] in "\"'`":
        raise TokenFault("quoted", "it stands in quotation marks (character {0}); give it without".format(1 if text[0] in "\"'`" else len(text)))
    if text.lower().startswith("exp_ak_"):
        raise TokenFault("api_key", "it is an API key (exp_ak_...), not a bootstrap token; take one from the workspace's Keys page")
    if text in ("exp_bk_", "exp_bk", "exp_"):
        raise TokenFault("truncated", "it ends after its prefix; copy the whole key")
    if _NO_TEXT.fullmatch(text):
        raise TokenFault("no_text", "it is what a program prints of a value that is missing or no text; look at the variable that it comes from")
    if _PLACEHOLDER.fullmatch(text):
        raise TokenFault("placeholder", "it is a placeholder from the documentation; put the real token in its place")
    if text.endswith("..."):
        raise TokenFault("truncated", "it ends in dots, where something was left out; copy the whole token")
    _refuse_malformed_key(text)
    if re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise TokenFault("url", "it is a URL, not a token")
    if not _BOOTSTRAP_KEY.fullmatch(text) and _is_path(text):
        raise TokenFault("path", "it is the path of a file, not the token in it; use the option or variable for a token file")
    stuck = text.lower().find(_KEY_PREFIX)
    if stuck > 0 and not _JWT.fullmatch(text):
        raise TokenFault("malformed_key", "something stands before the key, which begins as character {0}; give the key alone".format(stuck + 1))
    if len(text) < MIN_LENGTH:
        raise TokenFault("too_short", "it has {0} characters: that is no token".format(len(text)))


def _refuse_malformed_key(text: str) -> None:
    """Refuse what begins as a bootstrap key and is none: a key with something stuck to it."""
    if not text.lower().startswith(_KEY_PREFIX):
        return
    for position, (char, right) in enumerate(zip(text, _KEY_PREFIX), 1):
        if char != right:
            raise TokenFault("malformed_key", "a key begins with exp_bk_ in small letters, and character {0} is a capital".format(position))
    wrong = re.search(r"[^A-Za-z0-9._-]", text)
    if wrong:
        raise TokenFault(
            "malformed_key",
            "it begins as a bootstrap key, and character {0} cannot stand in one; give the key alone, without what is stuck to it".format(
                wrong.start() + 1
            ),
        )
    second = text.find(_KEY_PREFIX, 1)
    if second > 0:
        raise TokenFault("malformed_key", "it holds two keys, the second of which begins as character {0}; give one".format(second + 1))


def _is_path(text: str) -> bool:
    if not _PATH.fullmatch(text):
        return False
    return not _BASE64.fullmatch(text) or bool(_SYSTEM_PATH.match(text) or _WORDS_PATH.fullmatch(text))


def _refuse_characters(text: str) -> None:
    """Refuse any character that is not printable ASCII, saying what class it is of and where."""
    for position, char in enumerate(text, 1):
        if "!" <= char <= "~":
            continue
        if char == "\ufeff":
            raise TokenFault("bom", "character {0} is a byte order mark; save it as plain ASCII without one".format(position))
        where = "at its start" if not text[:position].strip() else "at its end" if not text[position - 1 :].strip() else "inside"
        if char in "\r\n\x0b\x0c\x85\u2028\u2029":
            name = _CONTROL_NAMES.get(char, "line separator")
            raise TokenFault("line_break", "it has a line break {0} ({1}, character {2})".format(where, name, position))
        if char.isspace() and char not in "\x1c\x1d\x1e\x1f":
            name = {" ": "space", "\t": "tab"}.get(char, "white space that is not ASCII")
            raise TokenFault("whitespace", "it has white space {0} ({1}, character {2})".format(where, name, position))
        if char < " " or char == "\x7f":
            name = _CONTROL_NAMES.get(char, "control character")
            raise TokenFault("control_character", "it has a control character ({0}) as character {1}".format(name, position))
        raise TokenFault("not_ascii", "character {0} is not ASCII; a token holds ASCII characters only".format(position))


def _jwt_claims(text: str) -> Optional[Dict[str, Any]]:
    """Return the payload of a JSON Web Token (RFC 7519), unverified; None where the text is none."""
    if not _JWT.fullmatch(text):
        return None
    header, payload = (_json_object(part) for part in text.split(".")[:2])
    return None if header is None else payload


def _json_object(part: str) -> Optional[Dict[str, Any]]:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode("utf-8"))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _expiry(claims: Dict[str, Any]) -> Optional[float]:
    """Return ``exp`` in seconds since the epoch (RFC 7519, 4.1.4); None where it is missing or no number."""
    exp = claims.get("exp")
    if isinstance(exp, bool) or not isinstance(exp, (int, float)) or exp - exp != 0:  # NaN and the infinities, which are no JSON
        return None
    return exp


def _iso8601(seconds: float) -> Optional[str]:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):  # a time that no calendar holds
        return None
