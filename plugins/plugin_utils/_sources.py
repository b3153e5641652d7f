# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Where a node's bootstrap token comes from. This is the only place that decides it, on the controller."""

from __future__ import annotations

import datetime
import os
import stat
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ansible.errors import AnsibleError
from ansible.parsing.vault import AnsibleVaultFormatError
from ansible_collections.expanso.edge.plugins.module_utils._secrets import mask
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, MAX_LENGTH, TokenFault, judge
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import shown_path
from ansible_collections.expanso.edge.plugins.plugin_utils._files import beginning

TOKEN_VARIABLE = "expanso_edge_token"
FILE_VARIABLE = "expanso_edge_token_file"
NO_SOURCE = (
    f"looked at variable {TOKEN_VARIABLE}, variable {FILE_VARIABLE} and environment variable {ENV_NAME} on the controller: none of them is set"
)

NO_TEXT: dict[type, str] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    tuple: "a list",
    dict: "a dictionary",
    datetime.date: "a date",
    bytes: "binary data",
}
"""Types that YAML turns a token without quotation marks into, with their names in messages."""

QUOTE = """put the token in quotation marks, and on a host's line of an INI inventory in two kinds of them, such as '"..."'"""

UNNAMED = f"the file that variable {FILE_VARIABLE} names on the controller"
NO_PATH = f"; give its absolute path (a name alone is not shown, because it may be a token; a token itself belongs in variable {TOKEN_VARIABLE})"

VAULT_HEADER = b"$ANSIBLE_VAULT;"
MAX_VAULT_SIZE = 1 << 20
"""Bytes of the largest vault-encrypted file that is read. The longest possible token needs a tenth of it."""


class SourceError(Exception):
    """A source that is named but cannot be used. The message names it, never what it holds."""

    def __init__(self, message: str, job_wide: bool = True) -> None:
        super().__init__(message)
        self.job_wide = job_wide


class Found(NamedTuple):
    """A token that was not judged yet, and where it comes from in words. The token is None if no source is set."""

    token: str | None
    source: str
    job_wide: bool = True
    warning: str = ""

    @property
    def described(self) -> str:
        """The source in words, for messages."""
        return f"{self.source} is empty" if self.token == "" else self.source

    def __repr__(self) -> str:
        return f"Found(source={self.source!r})"


Decrypt = Callable[[str], bytes]
"""A function that takes the path of a vault-encrypted file and returns its decrypted content."""


def decrypter(loader: Any) -> Decrypt | None:
    """Return a function that decrypts a file with Ansible's loader, but in memory. The loader's own function creates a plain temporary file."""
    return None if loader is None else lambda path: bytes(loader._get_file_contents(path)[0])


def resolve(variable: Callable[[str], Any], environ: Mapping[str, str] | None = None, decrypt: Decrypt | None = None) -> Found:
    """Return a node's token: its own, else that of the controller's file, else that of the environment.

    :param variable: returns a variable's value for the node, :data:`None` if it is not defined
    :param environ: the controller's environment, by default that of this process
    :param decrypt: decrypts a vault-encrypted file; without it such a file is taken for a token
    :raises SourceError: a source is not a text or cannot be read, or the two job-wide sources differ
    """
    own = variable(TOKEN_VARIABLE)
    if own is not None:
        return Found(_text(own, TOKEN_VARIABLE), f"variable {TOKEN_VARIABLE}", job_wide=False)
    return job_wide(variable(FILE_VARIABLE), os.environ if environ is None else environ, decrypt)


def _text(value: Any, name: str) -> str:
    """Return the text of a variable. Another type is refused, because its text may differ from what was written."""
    if isinstance(value, str) or hasattr(value, "__ENCRYPTED__"):  # a vaulted text, up to ansible-core 2.18
        return str(value)
    if isinstance(value, (list, tuple)) and not value:
        raise SourceError(f"variable {name} is an empty list, as a lookup returns if it finds nothing for this host", job_wide=name != TOKEN_VARIABLE)
    kind = next((name for kind, name in NO_TEXT.items() if isinstance(value, kind)), f"of type {type(value).__name__}")
    advice = "give it the path of one file" if name == FILE_VARIABLE else "give it one token" if isinstance(value, (list, tuple, dict)) else QUOTE
    raise SourceError(f"variable {name} is {kind}, not a text: {advice}", job_wide=name != TOKEN_VARIABLE)


def job_wide(file: Any, environ: Mapping[str, str], decrypt: Decrypt | None = None) -> Found:
    """Return the token that is shared by all nodes without their own.

    :param file: value of the variable that names the controller's file; :data:`None` or empty if it is not set
    :raises SourceError: the file cannot be read, or file and environment differ
    """
    from_environment = Found(environ.get(ENV_NAME) or None, f"environment variable {ENV_NAME} on the controller")
    if not file:
        return from_environment if from_environment.token else Found(None, NO_SOURCE)
    from_file = _read(_text(file, FILE_VARIABLE), decrypt)
    if from_environment.token and from_file.token == "":
        raise SourceError(f"{from_file.described}, but {from_environment.source} holds a token: put the token into the file, or unset {FILE_VARIABLE}")
    if from_environment.token and from_environment.token != from_file.token:
        raise SourceError(f"{from_file.source} and {from_environment.source} hold different tokens: unset one of them")
    return from_file


def decode(data: bytes) -> str:
    """Return the text of a token *file*: without the one line feed that editors put at its end.

    :raises TokenFault: the bytes are not ASCII text
    """
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise TokenFault("bom", "it starts with a byte order mark; save it as plain ASCII without one")
    if data.endswith(b"\n"):
        data = data[:-1]
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as exc:
        raise TokenFault("not_ascii", f"byte {exc.start + 1} is not ASCII; a token has only ASCII characters") from None


def _read(given: str, decrypt: Decrypt | None) -> Found:
    path = os.path.abspath(os.path.expanduser(given.replace("\0", "?")))  # the system does not accept NUL
    source = mask(f"file {path} on the controller (variable {FILE_VARIABLE})")
    try:
        data, found = beginning(path, MAX_LENGTH + 2)
        decrypting = decrypt if data.startswith(VAULT_HEADER) and found.st_size <= MAX_VAULT_SIZE else None
        token = decode(_decrypted(path, source, decrypting) if decrypting else data)
        source = mask(source, token)  # people name a file after what is in it
        return Found(token, source, warning="" if decrypting else _exposed(source, found.st_mode))
    except (OSError, UnicodeError) as exc:
        # the variable may contain the token itself by mistake
        is_path, fault = _looks_like_a_path(given), getattr(exc, "strerror", None) or "no file can have that name"
        named = f"file {shown_path(path)} on the controller (variable {FILE_VARIABLE})" if is_path else UNNAMED
        raise SourceError(f"cannot read {named}: {fault}{'' if is_path else NO_PATH}") from None
    except TokenFault as exc:
        raise SourceError(f"{source}: {exc.message}") from None


def _decrypted(path: str, source: str, decrypt: Decrypt) -> bytes:
    try:
        return decrypt(path)
    except (AnsibleError, ValueError) as exc:
        damaged = isinstance(exc, AnsibleVaultFormatError) or not isinstance(exc, AnsibleError) or "format error" in str(exc)
    advice = "its vault block is damaged or cut off, so encrypt the token again" if damaged else "give Ansible the password of that vault"
    raise SourceError(f"cannot decrypt {source}: {advice}")


def _exposed(source: str, mode: int) -> str:
    if not mode & 0o077:
        return ""
    return f"{source} is open to other accounts (mode {stat.S_IMODE(mode):04o}): close it with chmod 600, and consider a new token"


def _looks_like_a_path(text: str) -> bool:
    try:
        judge(text.replace(" ", "_"))  # a path may contain blanks
    except TokenFault as exc:
        return exc.code == "path"
    return False
