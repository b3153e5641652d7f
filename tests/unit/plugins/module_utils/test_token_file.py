# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bytes of a token file mean, the same for all who read it."""

from typing import Any, Optional

import pytest
from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, TokenFault, judge
from ansible_collections.expanso.edge.plugins.module_utils._token_file import Content, read, read_as_asked, render
from hypothesis import given
from hypothesis import strategies as st

KEY = "exp_bk_9f8e7d6c5b4a39281706"
ENV = f"{ENV_NAME}={KEY}\n"
BOM = b"\xef\xbb\xbf"

# What a file holds: the text in the place of the token in each format, and what is wrong with it.
SAMPLES: list[tuple[bytes, Optional[str], str, Optional[str], str]] = [
    # bytes, as a raw file, its fault, as an environment file, its fault
    (KEY.encode(), KEY, "", None, "variable_missing"),
    (f"{KEY}\n".encode(), KEY, "", None, "variable_missing"),
    (f"{KEY}\n\n".encode(), f"{KEY}\n", "line_break", None, "variable_missing"),
    (ENV.encode(), ENV[:-1], "assignment", KEY, ""),
    (f"# für Zürich\n{ENV}SITE=Zürich\n".encode(), f"# für Zürich\n{ENV}SITE=Zürich", "whitespace", KEY, ""),
    (f"{ENV}SITE=Zürich\n".encode("latin-1"), f"{ENV}SITE=Z\ufffdrich", "assignment", KEY, ""),
    (BOM + KEY.encode(), f"\ufeff{KEY}", "bom", None, "variable_missing"),
    (BOM + ENV.encode(), f"\ufeff{ENV[:-1]}", "bom", f"\ufeff{KEY}", "bom"),
    (KEY.encode("utf-16"), f"\ufeff{KEY}", "bom", None, "variable_missing"),
    (f"{KEY}é".encode(), f"{KEY}é", "not_ascii", None, "variable_missing"),
    (b"\x80", "\ufffd", "not_ascii", None, "variable_missing"),
    (b"", "", "empty", None, "variable_missing"),
    (b"\n", "", "empty", None, "variable_missing"),
    (f"{ENV_NAME}=\n".encode(), f"{ENV_NAME}=", "assignment", "", "empty"),
]


def fault(content: Content) -> str:
    try:
        content.token()
    except TokenFault as exc:
        return exc.code
    return ""


@pytest.mark.parametrize(("data", "raw", "raw_fault", "env", "env_fault"), SAMPLES)
def test_what_a_file_means(data: bytes, raw: Optional[str], raw_fault: str, env: Optional[str], env_fault: str) -> None:
    as_raw, as_env = read(data, "raw"), read(data, "env")
    assert (as_raw.text, fault(as_raw)) == (raw, raw_fault)
    assert (as_env.text, fault(as_env)) == (env, env_fault)
    assert read(data) == (as_raw if env is None else as_env), "the variable tells which of the two it is"


@pytest.mark.parametrize(("text", "known"), [(KEY, KEY), (None, ""), ("", ""), ("gr\u00f6\u00dfer", ""), ("\ufeff" + KEY, "")])
def test_what_is_not_ascii_is_not_known(text: Optional[str], known: str) -> None:
    assert Content("raw", text).ascii == known


@given(
    value=st.from_regex(r"[!-~]{1,60}", fullmatch=True),
    form=st.sampled_from(["raw", "env"]),
    other=st.text(st.characters(codec="utf-8", min_codepoint=32), max_size=9),
)
def test_what_is_written_is_read(value: str, form: str, other: str) -> None:
    token = judge(KEY)._replace(value=value)
    other = other.replace("\x7f", "")
    assert read(render(token, form, {"OTHER": other}), form) == Content(form, value)


class Node:
    """As much of AnsibleModule as is needed, on a node without systemd-creds."""

    def __init__(self, form: str) -> None:
        self.params: dict[str, Any] = {"format": form, "credential_name": "name"}

    def get_bin_path(self, _name: str) -> None:
        return None


def test_what_nobody_can_decrypt_holds_nothing() -> None:
    content = read_as_asked(Node("encrypted"), b"Whxqht+d")
    assert content == Content("encrypted", None)
    with pytest.raises(TokenFault, match="^this node cannot decrypt it under the name that was asked for$"):
        content.token()
    assert read_as_asked(Node("env"), ENV.encode()) == Content("env", KEY)


def test_no_representation_shows_a_secret() -> None:
    assert KEY not in repr(Content("raw", KEY))
