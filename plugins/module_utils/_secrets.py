# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Keep a token out of what other programs say, and unexpected errors from saying anything of it."""

import base64
import functools
import hashlib
import itertools
import json
import os
from typing import Any, Callable, Iterator, Tuple
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule

MASK = "********"

PIECE = 8
"""A shorter piece of a token tells nothing, and stands in any text by chance."""


def unmask_trifle(module: AnsibleModule) -> None:
    """Stop masking the option ``token`` where it is too short for a secret: a blank would take every message apart.

    Older ansible-core returns a module's options, so there it is replaced.
    """
    token = module.params["token"] or ""
    if token and len(token) < PIECE:
        module.no_log_values.discard(token)
        module.params["token"] = MASK


def refuse_token(module: AnsibleModule, message: str, fault: str) -> Any:
    """Fail because of the token in option ``token``, with the stable name of what is wrong with it."""
    unmask_trifle(module)
    return module.fail_json(msg=message, fault=fault)


def encodings(token: str) -> Tuple[str, ...]:
    """Return the token and the encodings of it that programs print, longest first.

    base64 looks different at each of three offsets, so of each the part that depends on the token alone is taken.
    """
    data = token.encode("utf-8")
    quoted = json.dumps(token)[1:-1]
    # Go, which the agent is written in, keeps JSON safe for HTML
    quoted_by_go = quoted.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    forms = {token, quote(token, safe=""), data.hex(), data.hex().upper(), quoted, quoted_by_go}
    for offset in range(3):
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * offset + data).decode("ascii").rstrip("=")
            inner = whole[(0, 2, 3)[offset] : len(whole) - (1 if (offset + len(data)) % 3 else 0)]
            if len(inner) >= 8:  # less would mask by chance
                forms.add(inner)
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def mask(text: str, token: str) -> str:
    """Return the text with every piece of the token, in whatever encoding, replaced by asterisks.

    Pieces, because programs show the ends of a token, break base64 into lines, and escape single characters in their own way.
    """
    hidden = bytearray(len(text))
    for form, width in _to_hide(token):
        pieces = {form[start : start + width] for start in range(len(form) - width + 1)}
        for start in range(len(text) - width + 1):
            if text[start : start + width] in pieces:
                hidden[start : start + width] = b"\1" * width
    runs = itertools.groupby(range(len(text)), hidden.__getitem__)
    return "".join(MASK if secret else "".join(text[position] for position in run) for secret, run in runs)


def _to_hide(token: str) -> Iterator[Tuple[str, int]]:
    """Return encodings and digests of a token, each with how many characters of it are too many."""
    if not token:
        return
    for form in encodings(token):
        # what PIECE characters of the token become; all of it where it is shorter
        yield form, len(form) if len(token) < PIECE else max(PIECE, PIECE * len(form) // len(token))
    for name in ("md5", "sha1", "sha256"):
        try:
            yield hashlib.new(name, token.encode("utf-8")).hexdigest(), PIECE
        except ValueError:  # a node that allows no such algorithm, so nothing there prints it
            continue


def discreet(run: Callable[[AnsibleModule], Any]) -> Callable[[AnsibleModule], Any]:
    """Let an unexpected exception end the module with its type and place, never its text: that may quote the token."""

    @functools.wraps(run)
    def wrapper(module: AnsibleModule) -> Any:
        try:
            return run(module)
        except Exception as exc:
            kind, place, trace = type(exc).__name__, "an unknown place", exc.__traceback__
            while trace:
                place = "{0}:{1}".format(os.path.basename(trace.tb_frame.f_code.co_filename), trace.tb_lineno)
                trace = trace.tb_next
        # outside the handler, so that no exception is chained to what fail_json does
        return module.fail_json(msg="unexpected {0} at {1}; its text is withheld, because it may hold the token".format(kind, place))

    return wrapper
