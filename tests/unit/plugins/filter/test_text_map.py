# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.expanso.edge.plugins.filter.text_map import FilterModule

text_map = FilterModule().filters()["text_map"]


def test_values_are_what_they_were_written_as() -> None:
    found = text_map({"a": True, "b": False, "c": 1, "d": 1.5, "e": "True", "f": "", "g": "two\nlines", 8080: "h"})
    assert found == {"a": "true", "b": "false", "c": "1", "d": "1.5", "e": "True", "f": "", "g": "two\nlines", "8080": "h"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": {"b": 1}}, "labels: the value of a is a dictionary: it has to be text"),
        ({"a": [1]}, "labels: the value of a is a list"),
        ({"a": None}, "labels: the value of a is empty"),
        ({"a": "b\0"}, "labels: the value of a is too long, or has an invalid character"),
        ({"": "b"}, "labels: a key has to be text, and not empty"),
        ({True: "b"}, "labels: a key has to be text"),
        (["a"], "labels has to be a dictionary"),
        ("a", "labels has to be a dictionary"),
    ],
)
def test_what_is_not_text_is_refused(value: Any, expected: str) -> None:
    with pytest.raises(AnsibleFilterError) as refusal:
        text_map(value, "labels")
    assert expected in str(refusal.value)
