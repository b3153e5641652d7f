# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""A token at rest on a node: what the bytes of its file mean, and which bytes to write.

There are three formats. ``raw`` is the token alone, ``env`` an environment file of systemd, ``encrypted`` a credential of systemd.
"""

from typing import Any, Dict, NamedTuple, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.expanso.edge.plugins.module_utils._credential import NAME, CredentialError, decrypt, encrypt, looks_encrypted
from ansible_collections.expanso.edge.plugins.module_utils._env_file import parse
from ansible_collections.expanso.edge.plugins.module_utils._env_file import render as render_variables
from ansible_collections.expanso.edge.plugins.module_utils._module import EdgeModule
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import SecretFile, SecureFileError, not_short_text, remove
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import read as read_file
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, Token, TokenFault, fingerprint, judge

ARGUMENT_SPEC: Dict[str, Any] = {
    "format": {"type": "str", "choices": ["raw", "env", "encrypted"], "default": "raw"},
    "credential_name": {"type": "str", "default": NAME},
}
"""The options of modules that read such a file in the format in which it was written."""

FILE_MODE_BITS = 0o640
"""The bits that the mode of such a file may have."""

BYTE_ORDER_MARK = "\ufeff"


class Content(NamedTuple):
    """What a token file holds. ``repr()`` shows no secret."""

    format: str
    text: Optional[str]  # what is in the place of the token, not judged yet; None where nothing is

    def token(self, strict: bool = False, now: Optional[float] = None) -> Token:
        """Return the token.

        :raises TokenFault: there is no token, or it cannot be used
        """
        if self.text is None:
            raise TokenFault("variable_missing", self.missing)
        return judge(self.text, strict, now)

    @property
    def missing(self) -> str:
        """Why there is no text, in words."""
        return f"it does not assign {ENV_NAME}" if self.format == "env" else "this node cannot decrypt it under the name that was asked for"

    @property
    def fingerprint(self) -> Optional[str]:
        """Fingerprint of the text, None where there is none."""
        return fingerprint(self.text) if self.text else None

    @property
    def ascii(self) -> str:
        """The text if it is ASCII, as all tokens are; otherwise an empty one, because the token is unknown."""
        return self.text if self.text and all(char <= "~" for char in self.text) else ""

    def __repr__(self) -> str:
        return f"Content(format={self.format!r})"


def decode(data: bytes) -> str:
    """Return the bytes as text. A byte order mark stays, and what is not UTF-8 is replaced: no token has either, so it is refused."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return BYTE_ORDER_MARK + data.decode("utf-16", "replace")
    return data.decode("utf-8", "replace")


def read(data: bytes, form: Optional[str] = None) -> Content:
    """Return what the bytes of a plain file mean. One line feed at the end of a ``raw`` file, as editors add it, does not count.

    :param form: ``raw`` or ``env``; by default a file that assigns the token's variable is an environment file
    """
    text = decode(data)
    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
    variables = {} if form == "raw" else parse(text[len(mark) :])  # comments and other variables may be in any language
    if form == "env" or ENV_NAME in variables:
        return Content("env", mark + variables[ENV_NAME] if ENV_NAME in variables else None)
    return Content("raw", text[:-1] if text.endswith("\n") else text)


def read_as_asked(module: AnsibleModule, data: bytes) -> Content:
    """Return what the bytes of a file mean in the format that a module's options name, as :func:`read` does where they name none."""
    form = module.params["format"]
    if form != "encrypted":
        return read(data, form)
    try:
        return Content(form, decrypt(module, data, module.params["credential_name"]))
    except CredentialError:  # without systemd-creds it can be removed all the same
        return Content(form, None)


def refuse_what_is_not_a_token(path: str, found: SecretFile) -> None:
    """Refuse to replace or remove a file that cannot hold a token in any format: all of them are text, and short.

    :raises SecureFileError: it is too long, or not text
    """
    what = not_short_text(found.data)
    if what:
        raise SecureFileError(f"{path}: {what}, so it is not a token file: name another path, or remove the file yourself")


def remove_token(module: EdgeModule, path: str) -> Optional[Content]:
    """Remove a token file, and return what it held. None where there is none, or where another run removes it at the same time.

    :raises SecureFileError: it is certainly not a token
    """
    found = read_file(path)
    if found is None:
        return None
    refuse_what_is_not_a_token(path, found)
    content = read_as_asked(module, found.data)

    def done() -> None:
        module.did(f"{path} removed", token_removed=True, fingerprint=module.so_far.get("fingerprint") or content.fingerprint)
        module.log_change("removed", path, content.fingerprint, None)

    if not module.check_mode:
        remove(path, done)
    return content if module.check_mode or module.so_far.get("token_removed") else None


def holds(module: AnsibleModule, data: bytes, wanted: str, encrypted: bool) -> Optional[bool]:
    """Whether the bytes of a file hold the token of a fingerprint, in whichever format; None where this node cannot decrypt them.

    :param encrypted: whether they ought to be encrypted
    """
    text = decode(data)
    candidates = [read(data, "raw").text, read(data, "env").text, text.strip()]
    if any(each and fingerprint(each) == wanted for each in candidates):
        return True
    if not encrypted and not looks_encrypted(text):
        return False
    try:
        decrypted = decrypt(module, data, module.params["credential_name"])
    except CredentialError:
        decrypted = None
    return None if decrypted is None else fingerprint(decrypted) == wanted


def render(token: Token, form: str, variables: Dict[str, str]) -> bytes:
    """Return the bytes of a plain file.

    :param form: ``raw`` or ``env``
    :param variables: further ones for an environment file
    :raises EnvFileError: an environment file cannot hold one of the variables
    """
    if form == "raw":
        return token.value.encode("ascii")
    return render_variables({ENV_NAME: token.value, **variables}).encode("utf-8")


def render_as_asked(module: AnsibleModule, token: Token) -> bytes:
    """Return the bytes of a file in the format that a module's options name. Encrypting may create the node's host key.

    :raises CredentialError: this node cannot encrypt
    """
    params = module.params
    if params["format"] == "encrypted":
        return encrypt(module, token.value, params["credential_name"], params["credential_key"])
    return render(token, params["format"], params["variables"])
