# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Whether the values of a module's options can be meant. What cannot be is refused before anything is done, by the option's name."""

import os
from typing import Any, Iterator, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError

_LONGEST = 4096
"""Characters of a text: PATH_MAX of Linux."""


def check_options(module: AnsibleModule) -> None:
    """Look at paths, names and numbers. What is secret, or has a structure, is checked by whoever uses it.

    :raises OptionError: one cannot be meant
    """
    for option, spec in module.argument_spec.items():
        value = module.params.get(option)
        if value is None:
            if spec.get("default") is not None:
                raise OptionError("{0} is null, but needs a value: leave it out for its default, {1!r}".format(option, spec["default"]))
            continue
        if spec.get("no_log") or spec.get("type") == "dict":
            continue
        for name, text in _texts(option, value):
            _check_text(name, text)
        if spec.get("type") == "path" and not os.path.isabs(value):
            raise OptionError("{0} is not an absolute path".format(option))


def _texts(option: str, value: Any) -> Iterator[Tuple[str, str]]:
    if isinstance(value, list):
        for number, each in enumerate(value, 1):
            if each is None or each == "":
                raise OptionError("element {0} of {1} is empty: leave it out".format(number, option))
            yield from _texts("element {0} of {1}".format(number, option), each)
    elif isinstance(value, str):
        yield option, value


def _check_text(name: str, text: str) -> None:
    if len(text) > _LONGEST:
        raise OptionError("{0} has {1} characters, more than {2}".format(name, len(text), _LONGEST))
    for position, char in enumerate(text, 1):
        if "\ud800" <= char <= "\udfff":
            raise OptionError("{0} is not UTF-8, at its character {1}".format(name, position))
        if ord(char) < 32 or 127 <= ord(char) < 160:
            raise OptionError("{0} has the control character U+{1:04X}, at position {2}".format(name, ord(char), position))
