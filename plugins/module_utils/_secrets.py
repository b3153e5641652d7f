# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Keep a token out of what other programs say, and unexpected errors from saying anything of it."""

import base64
import functools
import json
import os
import sys
from typing import Any, Callable, Tuple
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule

MASK = "********"


def encodings(token: str) -> Tuple[str, ...]:
    """Return the token and the encodings of it that programs print, longest first.

    base64 looks different at each of three offsets, so of each the part that depends on the token alone is taken.
    """
    data = token.encode("utf-8")
    forms = {token, quote(token, safe=""), data.hex(), data.hex().upper(), json.dumps(token)[1:-1]}
    for offset in range(3):
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * offset + data).decode("ascii").rstrip("=")
            inner = whole[(0, 2, 3)[offset] : len(whole) - (1 if (offset + len(data)) % 3 else 0)]
            if len(inner) >= 8:  # less would mask by chance
                forms.add(inner)
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def mask(text: str, token: str) -> str:
    """Return the text with the token and its encodings replaced by asterisks."""
    if token:
        for form in encodings(token):
            text = text.replace(form, MASK)
    return text


def discreet(run: Callable[[AnsibleModule], Any]) -> Callable[[AnsibleModule], Any]:
    """Let an unexpected exception end the module with its type and place, never its text: that may quote the token."""

    @functools.wraps(run)
    def wrapper(module: AnsibleModule) -> Any:
        try:
            return run(module)
        except Exception:
            kind, _text, trace = sys.exc_info()
            while trace.tb_next:
                trace = trace.tb_next
            place = "{0}:{1}".format(os.path.basename(trace.tb_frame.f_code.co_filename), trace.tb_lineno)
        # outside the handler, so that no exception is chained to what fail_json does
        return module.fail_json(msg="unexpected {0} at {1}; its text is withheld, because it may hold the token".format(kind.__name__, place))

    return wrapper
