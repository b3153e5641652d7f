# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Tokens that systemd-creds(1) encrypted for this node alone. The plain form is only ever in pipes."""

import re
from typing import List, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._secrets import last_lines

NAME = "expanso-edge-bootstrap-token"
"""Default name of a credential. It is bound to its name."""

KEYS = ("auto", "host", "tpm2", "host+tpm2")
"""What a credential can be encrypted with."""

_CREDENTIAL = re.compile(r"[A-Za-z0-9+/=]+[A-Za-z0-9+/=\s]*")


class CredentialError(EdgeError):
    """A credential that cannot be made here. The message never holds the secret."""


def looks_encrypted(text: str) -> bool:
    """Whether a text may be a credential as systemd-creds writes it: base64 in several lines, as no token is."""
    return "\n" in text.strip() and _CREDENTIAL.fullmatch(text) is not None


def encrypt(module: AnsibleModule, token: str, name: str, key: str) -> bytes:
    """Return the token, encrypted for ``LoadCredentialEncrypted=`` under a name.

    :raises CredentialError: this node cannot
    """
    code, out, err = _systemd_creds(module, ["encrypt", f"--with-key={key}", f"--name={name}"], token.encode("ascii"))
    if code:
        output = last_lines(err.encode("utf-8", "replace"), 1, token)
        raise CredentialError(f"systemd-creds cannot encrypt the token with key {key}: {output[0] if output else 'without any output'}")
    if not _CREDENTIAL.fullmatch(out):
        raise CredentialError("systemd-creds reports success, but its output is not a credential, which would be base64 text")
    return out.encode("ascii")


def decrypt(module: AnsibleModule, data: bytes, name: str) -> Optional[str]:
    """Return the token in a credential, None where this node cannot decrypt it under this name."""
    code, out, _err = _systemd_creds(module, ["decrypt", f"--name={name}"], data)
    return None if code else out


def _systemd_creds(module: AnsibleModule, arguments: List[str], data: bytes) -> Tuple[int, str, str]:
    program = module.get_bin_path("systemd-creds")
    if program is None:
        raise CredentialError("this node has no systemd-creds, which is part of systemd 250 and newer: choose another format (systemd_service_delivery)")
    return module.run_command([program] + arguments + ["-", "-"], data=data, binary_data=True)
