# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.filter.unit_word import unit_word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("/usr/local/bin/expanso-edge", "/usr/local/bin/expanso-edge"),
        ("https://network.us2.cloud.expanso.io:9010/a%20b", "https://network.us2.cloud.expanso.io:9010/a%%20b"),
        ("--log-level=debug", "--log-level=debug"),
        ("100%", "100%%"),
        ("user@domain", "user@domain"),
    ],
)
def test_word(text: str, word: str) -> None:
    assert unit_word(text) == word


@pytest.mark.parametrize("text", ["", "a b", "a\nExecStart=/bin/sh", '"a"', "'a'", "$HOME", "a\\b", "a;b", "a*", "ä", "a\n", None, 7])
def test_a_text_that_is_not_a_word_is_refused(text: object) -> None:
    with pytest.raises(AnsibleFilterError, match="cannot be used in a systemd unit"):
        unit_word(text)
