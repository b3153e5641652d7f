# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._credential import CredentialError, decrypt, encrypt

TOKEN = "exp_bk_9f8e7d6c5b4a"


class Node:
    """As much of AnsibleModule as is needed, on a node whose systemd-creds gives one answer."""

    def __init__(self, answer: Optional[tuple[int, str, str]]) -> None:
        self.answer = answer
        self.commands: list[tuple[list[str], dict[str, Any]]] = []

    def get_bin_path(self, name: str) -> Optional[str]:
        return f"/usr/bin/{name}" if self.answer else None

    def run_command(self, arguments: list[str], **options: Any) -> tuple[int, str, str]:
        self.commands.append((arguments, options))
        assert self.answer
        return self.answer


def test_encrypt_hands_the_token_over_on_standard_input_alone() -> None:
    node = Node((0, "Whxqht+d\n", ""))
    assert encrypt(node, TOKEN, "name", "tpm2") == b"Whxqht+d\n"
    ((arguments, options),) = node.commands
    assert arguments == ["/usr/bin/systemd-creds", "encrypt", "--with-key=tpm2", "--name=name", "-", "-"]
    assert options == {"data": TOKEN.encode(), "binary_data": True}, "run_command appends a line feed to data that is not binary"


def test_encrypt_says_why_it_cannot() -> None:
    with pytest.raises(CredentialError, match="^systemd-creds cannot encrypt the token with key tpm2: TPM2 not available.$"):
        encrypt(Node((1, "", "warning\nTPM2 not available.\n")), TOKEN, "name", "tpm2")


@pytest.mark.parametrize("answer", ["", "\n", "ünlesbar", "Warning: done"])
def test_encrypt_takes_nothing_else_for_a_credential(answer: str) -> None:
    with pytest.raises(CredentialError, match="its output is not a credential"):
        encrypt(Node((0, answer, "")), TOKEN, "name", "host")


def test_decrypt() -> None:
    node = Node((0, TOKEN, ""))
    assert decrypt(node, b"Whxqht+d\n", "name") == TOKEN
    assert node.commands == [(["/usr/bin/systemd-creds", "decrypt", "--name=name", "-", "-"], {"data": b"Whxqht+d\n", "binary_data": True})]


def test_what_cannot_be_decrypted_holds_no_token() -> None:
    assert decrypt(Node((1, "", "Bad message")), b"Whxqht+d\n", "name") is None


def test_a_node_without_systemd_creds() -> None:
    with pytest.raises(CredentialError, match="this node has no systemd-creds"):
        decrypt(Node(None), b"", "name")


def test_what_systemd_creds_says_is_masked() -> None:
    with pytest.raises(CredentialError) as fault:
        encrypt(Node((1, "", f"\x1b[31mFailed to encrypt {TOKEN} ({TOKEN.upper()}).\n")), TOKEN, "name", "tpm2")
    assert str(fault.value) == "systemd-creds cannot encrypt the token with key tpm2: Failed to encrypt ******** (********)."
