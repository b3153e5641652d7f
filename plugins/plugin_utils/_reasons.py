# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Why a variable has no value, in words for people: which source failed and what it reported, without a character of a token."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ansible.errors import AnsibleUndefinedVariable
from ansible.parsing.vault import AnsibleVaultError, AnsibleVaultFormatError
from ansible.plugins.lookup import LookupBase
from ansible_collections.expanso.edge.plugins.plugin_utils._discretion import plugin_name, quoted, shown_name
from jinja2.exceptions import TemplateSyntaxError, UndefinedError

MOST_LINKS = 50
"""Exceptions of a chain that are looked at. A template that refers to itself causes hundreds."""

NO_PASSWORD = "cannot be decrypted: give Ansible the password of that vault"
DAMAGED = "cannot be decrypted: its vault block is damaged or cut off, so encrypt the token again"
BRACES = "a token that contains braces needs the tag !unsafe"

_PLUGIN_FAILED = re.compile(r"[Tt]he (filter|test|lookup) plugin '([^']*)' failed")
_LOOKUP_MISSING = re.compile(r"lookup plugin [('\"]+([^)'\"]*)[)'\"]+ (?:was )?not found")
_OTHER_MISSING = re.compile(r"No (filter|test) named '([^']*)'|Could not load \"([^\"]*)\"")
_WRAPPERS = re.compile(r"[Tt]he \w+ plugin '|An unhandled exception occurred|template error while|A captured exception|Lookup failed")
_NAMED = re.compile(r"'([^']*)' is undefined|has no (?:attribute|element) '?([^']*?)'?$")
# One expression or one statement and nothing around it. Any other text with braces may be a token that contains them.
_WHOLE = re.compile(r"\s*(?:\{\{(?:(?!\{\{|\}\}).)*\}\}|\{%(?:(?!\{%|%\}).)*%\})\s*", re.DOTALL)

_BRACED = re.compile(r"\s*\{\{-?\s*['\"]?(?:exp_[a-z]{2}_|eyJ)[^\s'\"()|]*['\"]?\s*-?\}\}\s*", re.IGNORECASE)


def links(fault: BaseException | None) -> Iterator[BaseException]:
    """Return an exception and the exceptions chained to it, each only one time: a chain can be a circle."""
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen and len(seen) < MOST_LINKS:
        seen.add(id(fault))
        yield fault
        fault = fault.__cause__ or fault.__context__ or getattr(fault, "orig_exc", None)


def why(fault: BaseException, texts: Sequence[str], may_have_braces: bool = False) -> str:
    """Return why a variable has no value, as the end of a sentence that begins with its name.

    :param fault: the exception that templating raised
    :param texts: the templates that the variable is made of, its own first
    :param may_have_braces: whether the variable is the token itself, so that braces may be part of the token
    """
    chain = list(links(fault))
    messages = [str(each)[:2000] for each in chain]  # that of a template that refers to itself has megabytes
    if may_have_braces and texts and _BRACED.fullmatch(texts[0]):
        return "is a token in braces: give it without braces"
    reason = _vault(chain, messages) or _lookup(chain, messages, texts) or _itself(chain, messages) or _plugin(messages)
    reason = reason or _undefined(chain, messages, texts)
    if reason:
        return reason
    if not any(isinstance(each, TemplateSyntaxError) for each in chain):
        return f"cannot be templated ({type(chain[-1]).__name__})"
    stray = may_have_braces and texts and not _WHOLE.fullmatch(texts[0])
    return f"cannot be templated: {BRACES if stray else 'the text in its braces is not a valid expression'}"


def _vault(chain: Sequence[BaseException], messages: Sequence[str]) -> str:
    text = " ".join(messages)
    if any(isinstance(each, AnsibleVaultFormatError) for each in chain) or re.search("format error|not vault encrypted|unhexlify|hexadecimal", text):
        return DAMAGED
    # from ansible-core 2.19 on the message is that of a template error
    if any(isinstance(each, AnsibleVaultError) for each in chain) or "to decrypt" in text or "Decryption failed" in text:
        return NO_PASSWORD
    return ""


def _lookup(chain: Sequence[BaseException], messages: Sequence[str], texts: Sequence[str]) -> str:
    """Return which lookup failed, with its message."""
    missing = next(filter(None, map(_LOOKUP_MISSING.search, messages)), None)
    if missing:
        name = plugin_name(missing[1])
        return f"cannot be templated: there is no lookup{' ' if name else ''}{name} on the controller; install the collection that contains it"
    failed = _failed_lookup(chain, messages)
    if failed is None or any(isinstance(each, (AnsibleUndefinedVariable, UndefinedError)) for each in chain):
        return ""
    own = [quoted(text, texts) for text in messages if not _WRAPPERS.match(text)]
    own = [text for text in own if text] or ["it gave no reason"]
    # with the cause behind it, unless the message contains that
    parts = own[:1] + [text for text in own[-1:] if text not in own[0]]
    return f"cannot be templated: {f'lookup {failed}' if failed else 'a lookup'} failed: {': '.join(parts)}"


def _failed_lookup(chain: Sequence[BaseException], messages: Sequence[str]) -> str | None:
    """Return the name of the lookup in which an exception was raised, :data:`None` if it was not raised in a lookup."""
    for each in chain:
        trace, inner = each.__traceback__, None
        while trace:
            owner = trace.tb_frame.f_locals.get("self")
            if isinstance(owner, LookupBase):
                inner = owner
            trace = trace.tb_next
        if inner is not None and not _is_ours(inner):
            return plugin_name(str(getattr(inner, "ansible_name", None) or getattr(inner, "_load_name", "")), exists=True)
    for text in messages:
        found = _PLUGIN_FAILED.search(text) or re.search(r"running the (lookup) plugin '([^']*)'", text)
        if found and found[1] == "lookup":
            return plugin_name(found[2], exists=True)
    return None


def _is_ours(lookup: Any) -> bool:
    return type(lookup).__module__.endswith("expanso.edge.plugins.lookup.bootstrap_token")


def _itself(chain: Sequence[BaseException], messages: Sequence[str]) -> str:
    if any(isinstance(each, RecursionError) for each in chain) or re.search("[Rr]ecursive loop|recursion depth", " ".join(messages)):
        return "refers to itself"
    nested = messages[0].count("An unhandled exception occurred while templating") > 3
    return "refers to itself" if nested else ""


def _plugin(messages: Sequence[str]) -> str:
    """Return which filter or test failed. Its message is not shown, because it works on the token."""
    for text in messages:
        failed = _PLUGIN_FAILED.search(text)
        if failed:
            return f"cannot be templated: {failed[1]} {plugin_name(failed[2], exists=True) or 'in it'} failed"
        missing = _OTHER_MISSING.search(text)
        if missing:
            name = plugin_name(missing[2] or missing[3])
            return f"cannot be templated: there is no {missing[1] or 'filter or test'}{' ' if name else ''}{name}"
    return ""


def _undefined(chain: Sequence[BaseException], messages: Sequence[str], texts: Sequence[str]) -> str:
    if not any(isinstance(each, (AnsibleUndefinedVariable, UndefinedError)) for each in chain):
        return ""
    for text in messages:
        found = _NAMED.search(text)
        name = shown_name(found[1] or found[2] or "", texts) if found else ""
        if name:
            return f"refers to {name}, which is not defined"
    return "refers to something that is not defined; its name is not shown, because it may be a token: give a token without braces around it"
