# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What a bootstrap token is, and what is certainly not one.

Pure: no files, no clock but an argument, no Ansible. Messages name a fault and its position, never a character of the token.
"""

import base64
import binascii
import hashlib
import json
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

ENV_NAME = "EXPANSO_EDGE_BOOTSTRAP_TOKEN"

MAX_LENGTH = 16384
"""Longest token, in characters. No limit is published; a longer text is certainly something else."""

MIN_LENGTH = 4
"""Shortest token, in characters. A shorter text is in any other by chance, and masking it would make messages unreadable."""

_KEY = r"exp_bk_[A-Za-z0-9._-]+"
_PART = r"[A-Za-z0-9_-]+"
_BOOTSTRAP_KEY = re.compile(_KEY)
_JWT = re.compile(rf"{_PART}\.{_PART}\.{_PART}")

_CONTROL_NAMES = {"\0": "NUL", "\t": "tab", "\n": "line feed", "\r": "carriage return", "\x1b": "escape", "\x7f": "delete"}


class TokenFault(ValueError):
    """Why a text is not a bootstrap token: a stable ``code`` for programs, a ``message`` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Token(NamedTuple):
    """A text that passed judgement. ``repr()`` shows no value."""

    value: str
    kind: str  # bootstrap_key, jwt or opaque
    fingerprint: str
    expires_at: Optional[str]  # ISO 8601, UTC; None where the token does not tell

    def __repr__(self) -> str:
        return f"Token(kind={self.kind}, fingerprint={self.fingerprint})"


class Refusal(NamedTuple):
    """A kind of text that is certainly not a token."""

    code: str
    pattern: "re.Pattern[str]"  # from the start of the text on; group "here" is what the message tells the position of
    message: str
    example: str


def _rules(code: str, message: str, *rows: Tuple[str, str]) -> List[Refusal]:
    """Return rules that share code and message, from pairs of a pattern and an example of it."""
    return [Refusal(code, re.compile(pattern), message, example) for pattern, example in rows]


_MASKED = "it is what is printed in place of a secret, not the secret; copy the token from its source"
_PLACEHOLDER = "it is a placeholder from the documentation; put the real token in its place"
_TEMPLATE = "it holds a template or shell expression that was not expanded"

REFUSED = (
    _rules("empty", "it is empty", (r"\Z", ""))
    + _rules("too_long", f"it has more than {MAX_LENGTH} characters; a token has at most that many", (rf"(?s).{{{MAX_LENGTH + 1}}}", "x" * (MAX_LENGTH + 1)))
    + _rules(
        "vault_text",
        "it is vault-encrypted text that was not decrypted; give Ansible the vault password, or use '!vault'",
        (r"\$ANSIBLE_VAULT;", "$ANSIBLE_VAULT;1.1;AES256"),
    )
    + _rules(
        "vault_text",
        "it is encrypted text that was not decrypted; decrypt it where it comes from",
        (r"ENC\[", "ENC[AES256_GCM,data:abcd]"),  # sops
        (r"vault:v", "vault:v1:abcd"),  # the transit engine of HashiCorp Vault
    )
    # what Ansible, AWX, Terraform and the like print where a secret was
    + _rules(
        "masked",
        _MASKED,
        (r"\*+\Z", "**"),
        (r"\u2022+\Z", "\u2022\u2022\u2022\u2022"),
        (r"(?i)\$encrypted\$\Z", "$encrypted$"),
        (r"(?i)\$REDACTED\$\Z", "$REDACTED$"),
        (r"(?i)VALUE_SPECIFIED_IN_NO_LOG_PARAMETER\Z", "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"),
        (r"(?i)NOT_LOGGING_PARAMETER\Z", "NOT_LOGGING_PARAMETER"),
        (r"(?i)NOT_LOGGING_PASSWORD\Z", "NOT_LOGGING_PASSWORD"),
        (r"(?i)\(sensitive value\)\Z", "(sensitive value)"),
        (r"(?i)\(sensitive\)\Z", "(sensitive)"),
        (r"(?i)[<\[(]*(?:redacted|hidden|masked)[>\])]*\Z", "[REDACTED]"),
        (r"(?s).*?\*\*\*", "exp_bk_***"),
    )
    + _rules("placeholder", _PLACEHOLDER, (r"<[^<>]*>$", "<your token>"))
    + _rules(
        "template",
        _TEMPLATE,
        (r"(?s).*?\{\{", "{{ token }}"),
        (r"(?s).*?\{%", "{% if token %}"),
        (r"(?s).*?\$\{", "${TOKEN}"),
        (r"(?s).*?\$\(", "$(cat token)"),
        (r"\$[A-Za-z_]+$", "$TOKEN"),
        (r"%[A-Za-z_]+%$", "%TOKEN%"),
    )
    + _rules(
        "assignment",
        "it is a whole NAME=value line; give the value alone",
        (r"(?:export[ \t]+)?EXPANSO_[A-Z_]+[ \t]*=", "export EXPANSO_EDGE_TOKEN=abcd"),
        (r"(?:export[ \t]+)?[A-Z][A-Z_]*TOKEN[ \t]*=", "MY_TOKEN=abcd"),
    )
)
"""Of any text, in the order of trial."""

# base64 has the slash among its characters, so one random token in 64 begins with it. Such a text is a path where it begins in a directory
# that systems have, or where each of its parts is a word: /etc/expanso/token, /Volumes/Stick/token, but not /k3F/9sQx+Zt8c.
_BASE64 = r"/[A-Za-z0-9+/]+={0,2}"
_SYSTEM_PATH = (
    r"/(?:bin|boot|data|dev|etc|home|lib|lib64|media|mnt|nix|opt|private|proc|root|run|runner|secrets|snap|srv|sys|tmp|usr|var|vault|vagrant"
    r"|Applications|Library|System|Users|Volumes)(?:/|$)"
)
_WORDS_PATH = r"/(?:(?:[A-Z]?[a-z]+|[A-Z]+)[0-9]{0,2}(?:/|$))+"
_MAY_BE_PATH = rf"(?!{_KEY}\Z)(?:(?!{_BASE64}\Z)|(?={_SYSTEM_PATH})|(?={_WORDS_PATH}\Z))"
_FILE_ENDINGS = r"token|txt|env|key|jwt|pem|creds|secret|ya?ml|json|conf|cfg"

REFUSED_PRINTABLE = (
    _rules(
        "quoted",
        "it is in quotation marks (character {position}); give it without them",
        (r"(?P<here>[\"'`])", '"abcd"'),
        (r".*(?P<here>[\"'`])\Z", "abcd'"),
    )
    + _rules(
        "api_key",
        "it is an API key (exp_ak_...), not a bootstrap token; take one from the workspace's Keys page",
        (r"(?i)exp_ak_", "exp_ak_a1b2c3d4"),
    )
    + _rules("truncated", "it ends after its prefix; copy the whole key", (r"(?:exp_bk_|exp_bk|exp_)\Z", "exp_bk_"))
    # what programs print of a value that is not there, or is not a text
    + _rules(
        "no_text",
        "it looks like a printed null, boolean or empty value, not a token; look at the variable that it comes from",
        (r"(?i)(?:none|null|nil|undefined)\Z", "None"),
        (r"(?i)(?:true|false)\Z", "true"),
        (r"(?:\{\}|\[\])\Z", "{}"),
    )
    # what documentation shows in place of a token; a random key does not begin like this
    + _rules(
        "placeholder",
        _PLACEHOLDER,
        (r"(?i)(?:exp_bk_)?(?:change|replace)[_-]?(?:me|this)?[._-]*\Z", "exp_bk_change_me"),
        (r"(?i)(?:exp_bk_)?(?:changeit|placeholder|dummy|redacted|secret|todo|fixme|example)[._-]*\Z", "changeit"),
        (r"(?i)(?:exp_bk_)?x{3,}[._-]*\Z", "xxxxxxxx"),
        (r"(?i)(?:exp_bk_)?\.{3,}[._-]*\Z", "exp_bk_..."),
        (r"(?i)exp_bk_(?:example|change[_-]?me|replace[_-]?(?:me|with)|placeholder).*\Z", "exp_bk_example_1234"),
        (r"(?i)exp_bk_your(?:[_-]|token|key).*\Z", "exp_bk_your_key_1234"),
        (r"(?i)exp_bk_x{4,}.*\Z", "exp_bk_xxxx1234"),
        (r"(?i)(?:exp_bk_)?<.*>\Z", "exp_bk_<key>"),
        (r"(?i)(?:exp_bk_)?\[.*\]\Z", "[token]"),
        (r"(?i)(?:exp_bk_)?\{.*\}\Z", "{token}"),
        (r"(?i)(?:exp_bk_)?__.*__\Z", "__TOKEN__"),
        (r"(?i)eyJ[A-Za-z0-9_-]*\.{2,}\Z", "eyJhbGciOiJ..."),
        (r"(?i)(?:your|my|the)[_-]?(?:[a-z]+[_-])*(?:token|key|jwt)(?:[_-]here)?\Z", "YOUR_BOOTSTRAP_TOKEN"),
        (r"(?i)replace[_-]with[_-].*\Z", "replace-with-your-key"),
        (r"(?i)(?:insert|paste|put|enter|add)[_-].*(?:token|key|here)\Z", "paste-it-here"),
        (r"(?i)(?:exp_bk_)?(?:expanso[_-])?(?:edge[_-])?(?:bootstrap[_-])?(?:token|jwt|key)\Z", "bootstrap_token"),
    )
    + _rules("truncated", "it ends in dots, in place of the rest; copy the whole token", (r".*\.\.\.\Z", "exp_bk_a1b2..."))
    + _rules(
        "malformed_key",
        "a key begins with exp_bk_ in small letters, but character {position} is a capital; copy it unchanged",
        (r"(?=(?i:exp_bk_))[a-z_]{0,5}(?P<here>[A-Z])", "Exp_bk_a1b2c3d4"),
    )
    + _rules(
        "malformed_key",
        "it begins like a bootstrap key, but character {position} cannot be part of one; give the key alone",
        (r"exp_bk_[A-Za-z0-9._-]*(?P<here>[^A-Za-z0-9._-])", "exp_bk_a1b2c3d4,"),
    )
    + _rules(
        "malformed_key",
        "it holds two keys, the second of which begins at character {position}; give one",
        (r"exp_bk_.*?(?P<here>exp_bk_)", "exp_bk_a1b2exp_bk_c3d4"),
    )
    + _rules("url", "it is a URL, not a token; give the token itself", (r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://", "https://start.cloud.expanso.io"))
    # a token has no directories; base64 may begin with one slash, a path shows more than that
    + _rules(
        "path",
        "it is the path of a file, not the token in it; name the file with the variable expanso_edge_token_file",
        (rf"{_MAY_BE_PATH}@?~[^/]*/", "~/token"),
        (rf"{_MAY_BE_PATH}@?\.{{1,2}}/", "../token"),
        (rf"{_MAY_BE_PATH}@?file:", "file:///run/token"),
        (rf"{_MAY_BE_PATH}@?[A-Za-z]:[\\/]", "C:\\token"),
        (rf"{_MAY_BE_PATH}@?\\\\", "\\\\server\\token"),
        (rf"{_MAY_BE_PATH}@?/[A-Za-z0-9._-]+(?:/|$)", "/etc/expanso/abcd"),
        (rf"{_MAY_BE_PATH}@?/[A-Za-z0-9_-]*\.", "/.token+1"),
        (rf"{_MAY_BE_PATH}[^+=]*\.(?:{_FILE_ENDINGS})\Z", "bootstrap.token"),
        (rf"{_MAY_BE_PATH}[^+=]*/[^+=/]*(?:token|secret)[^+=/]*\Z", "run/my-token"),
        (rf"{_MAY_BE_PATH}/\Z", "/"),
        (rf"{_MAY_BE_PATH}[a-z_.-]+(?:/[a-z_.-]+){{2,}}\Z", "etc/expanso/edge"),
    )
    + _rules(
        "malformed_key",
        "there is something before the key, which begins at character {position}; give the key alone",
        (rf"(?i)(?!{_PART}\.{_PART}\.{_PART}\Z)(?!exp_bk_).+?(?P<here>exp_bk_)", "Bearer:exp_bk_a1b2c3d4"),
    )
    + _rules("too_short", f"it has {{length}} characters; a token has at least {MIN_LENGTH}", (rf".{{0,{MIN_LENGTH - 1}}}\Z", "abc"))
)
"""Of a text of printable ASCII characters, in the order of trial."""


def fingerprint(text: str) -> str:
    """Return 12 hexadecimal digits that tell tokens apart and are of no use for anything else."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a character, as JSON can write it
        data = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"expanso.edge bootstrap token\0" + data).hexdigest()[:12]


def judge(text: str, strict: bool = False, now: Optional[float] = None) -> Token:
    """Return the token that a text is.

    :param text: the exact text, nothing trimmed
    :param strict: refuse what is neither a bootstrap key nor a JWT
    :param now: seconds since the epoch, for the expiry of a JWT; the clock by default
    :raises TokenFault: the text is certainly not a token that can be used
    """
    _refuse(text, REFUSED)
    _refuse_characters(text)
    _refuse(text, REFUSED_PRINTABLE)
    if _BOOTSTRAP_KEY.fullmatch(text):
        return Token(text, "bootstrap_key", fingerprint(text), None)

    claims = _jwt_claims(text)
    if claims is not None:
        expiry = _expiry(claims)
        expires_at = None if expiry is None else _iso8601(expiry)
        now = time.time() if now is None else now
        if expiry is not None and expiry <= now:
            when, clock = expires_at or "a time long past", _iso8601(now) or "later"
            # the day alone, so that the message is the same all day
            clock = "it is later that day" if clock[:10] == when[:10] else clock[:10]
            raise TokenFault("expired", f"it is a JWT that expired at {when}, and the clock of this machine says {clock}: get a new one, or correct that clock")
        return Token(text, "jwt", fingerprint(text), expires_at)

    if strict:
        raise TokenFault("unknown_shape", "it is neither a bootstrap key (exp_bk_...) nor a JWT, and strict accepts nothing else; copy the whole token")
    return Token(text, "opaque", fingerprint(text), None)


def _refuse(text: str, rules: List[Refusal]) -> None:
    """Refuse a text by the first rule that it meets."""
    for rule in rules:
        found = rule.pattern.match(text)
        if found:
            position = found.start("here") + 1 if "here" in found.re.groupindex else 0
            raise TokenFault(rule.code, rule.message.format(position=position, length=len(text)))


def _refuse_characters(text: str) -> None:
    """Refuse any character that is not printable ASCII, saying what class it is of and where."""
    for position, char in enumerate(text, 1):
        if "!" <= char <= "~":
            continue
        if char == "\ufeff":
            raise TokenFault("bom", f"character {position} is a byte order mark; save it as plain ASCII without one")
        where = "at its start" if not text[:position].strip() else "at its end" if not text[position - 1 :].strip() else "inside"
        if char in "\r\n\x0b\x0c\x85\u2028\u2029":
            name = _CONTROL_NAMES.get(char, "line separator")
            raise TokenFault("line_break", f"it has a line break {where} ({name}, character {position}); give the token alone")
        if char.isspace() and char not in "\x1c\x1d\x1e\x1f":
            name = {" ": "space", "\t": "tab"}.get(char, "white space that is not ASCII")
            raise TokenFault("whitespace", f"it has white space {where} ({name}, character {position}); give the token alone")
        if char < " " or char == "\x7f":
            name = _CONTROL_NAMES.get(char, "a rare one")
            raise TokenFault("control_character", f"it has a control character ({name}, character {position}); give the token alone")
        raise TokenFault("not_ascii", f"character {position} is not ASCII; a token has only ASCII characters, so copy it again")


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
    if isinstance(exp, bool) or not isinstance(exp, (int, float)) or exp - exp != 0:  # NaN and the infinities, which are not JSON
        return None
    return exp


def _iso8601(seconds: float) -> Optional[str]:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):  # a time that no calendar holds
        return None
