# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What the modules for clusters and swarms have in common: they check structures in their options, and what a server answers, before they use it."""

import contextlib
import json
import os
import re
from typing import Any, Callable, Dict, Iterator, Optional
from urllib.parse import urlsplit

from ansible_collections.expanso.edge.plugins.module_utils._audit.shapes import tokens_in
from ansible_collections.expanso.edge.plugins.module_utils._checks import OptionError, line, short
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._secrets import assigned

LONGEST_VALUE = 262144
"""Longest value of an annotation or a variable, in characters."""

LONGEST_REASON = 1000
"""Characters that are shown of a server's message, which may quote a whole object."""

_WORDS = (
    (r"Remote end closed connection|Connection reset|ConnectionResetError|Broken pipe", "the connection was closed before an answer came"),
    (r"IncompleteRead|Connection broken|InvalidChunkLength", "the connection was closed in the middle of an answer"),
    (r"Read timed out", "no answer in time"),
    (r"BadStatusLine|LineTooLong|got more than \d+ headers", "the answer is not HTTP: check the address, and whether it begins with https://"),
    (r"WRONG_VERSION_NUMBER|wrong version number|RECORD_LAYER_FAILURE", "it does not use TLS: check the address and its port"),
    (r"alert (?:bad certificate|certificate \w+|unknown ca|access denied)", "\\g<0>: the server does not accept client_cert and client_key"),
    (r"certificate has expired|certificate is not yet valid", "\\g<0>: renew the certificate, or set the clock"),
    (r"CERTIFICATE_VERIFY_FAILED.*verify failed: (.*?)\.?(?: \(_ssl.*)?$", "\\1: check the CA certificate, and for which names the server's certificate is"),
    (r"hostname '([^']+)' doesn't match", "the server's certificate is not for \\1: check the address, and for which names the certificate is"),
    (r"NO_CERTIFICATE_OR_CRL_FOUND", "the file of the CA certificate holds no certificate in PEM format"),
    (r"KEY_VALUES_MISMATCH", "the client's key does not belong to its certificate"),
    (r"\bPEM lib\b", "the client's certificate or key is not in PEM format"),
    (r"(?:Unable to|Cannot) connect to proxy", "the proxy cannot be reached: check it, or the environment variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY"),
    (r"No module named 'socks'|dependencies for SOCKS", "a SOCKS proxy needs the Python library PySocks: install it on the host that the module runs on"),
    (
        r"Expected key current-context in|Expected object with name  in .*contexts list",
        "the kubeconfig has no current context: name one with context (k8s_secret_context)",
    ),
    (r"Failed to resolve '([^']+)'", "the host name \\1 is unknown"),
    (r"Failed to establish a new connection: \[Errno \d+\] ([A-Z][\w ]+)", "\\1"),
)
"""What the client's libraries say in their own words, and what that means."""


class OddAnswer(EdgeError):
    """A server that answers, but not as it should."""


def plain(text: str) -> str:
    """Return what a fault of the client's libraries means."""
    for pattern, words in _WORDS:
        found = re.search(pattern, text)
        if found:
            return found.expand(words)
    return text


def texts(what: str, found: Optional[Dict[Any, Any]]) -> Dict[str, str]:
    """Return a map whose values are all texts: YAML makes a boolean of ``true``, but the reader of a label looks for ``true``.

    :raises OptionError: a value is not a text, a number or a boolean
    """
    answer = {}
    for key, value in (found or {}).items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, (int, float)):
            value = str(value)
        if isinstance(key, bool) or not isinstance(key, (str, int)) or not str(key):
            raise OptionError(f"{what}: a key has to be text, and not empty: put it in quotation marks")
        line(str(key), f"a key of {what}")
        if not isinstance(value, str):
            kind = "a dictionary" if isinstance(value, dict) else "a list" if isinstance(value, list) else "empty" if value is None else "not text"
            raise OptionError(f"{what}: the value of {key} is {kind}: it has to be text")
        if len(value) > LONGEST_VALUE or any(each == "\0" or "\ud800" <= each <= "\udfff" for each in value):
            raise OptionError(f"{what}: the value of {key} is too long, or has an invalid character")
        answer[str(key)] = value
    return answer


def refuse_token(what: str, value: Any, holder: str) -> None:
    """Refuse a structure that holds a bootstrap token, by its shape or by what it is given to, where more than its agent can read it.

    :param holder: what the structure becomes a part of, in words
    :raises OptionError: it holds one
    """
    if any(assigned(value)) or tokens_in(json.dumps(value).encode("ascii")):
        raise OptionError(
            f"{what} contains a bootstrap token, which whoever may read {holder} could read: give it as expanso_edge_token, and it becomes a secret"
        )


def record(where: str, found: Any, required: Dict[str, type], optional: Dict[str, type]) -> Dict[str, Any]:
    """Return a dictionary with all keys that it may have, None for those that are missing.

    Not done by the argument specification: where that finds a fault in sub-options, older ansible-core shows all options before it knows
    which are secret.

    :raises OptionError: a required key is missing, or there is an unknown one
    """
    if not isinstance(found, dict):
        raise OptionError(f"{where} has to be a dictionary")
    known = {**required, **optional}
    missing = sorted(key for key in required if found.get(key) is None)
    if missing:
        raise OptionError(f"{where}: missing {', '.join(missing)}")
    unknown = len([key for key in found if key not in known])
    if unknown:
        raise OptionError(f"{where} has {'an unknown key' if unknown == 1 else 'unknown keys'}: {', '.join(sorted(known))} are possible")
    for key in sorted(known):
        value = found.get(key)
        if value is None:
            continue
        if not isinstance(value, known[key]):
            raise OptionError(f"{where}: {key} has to be {'a list' if known[key] is list else 'text'}")
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                raise OptionError(f"{where}: {key} has to hold texts")
            line(text, f"{where}: {key}")
    return {key: found.get(key) for key in known}


def learn_url(learn: Callable[[str], Any], url: Any) -> None:
    """Keep a password that stands in a URL out of all output."""
    try:
        password = urlsplit(url).password if isinstance(url, str) else None
    except ValueError:  # not a URL; whoever uses it reports that
        return
    if password:
        learn(password)


@contextlib.contextmanager
def reading(who: str, what: str) -> Iterator[None]:
    """Turn faults of code that reads a server's answer into one that says who answered, and what is wrong with it.

    :raises OddAnswer: the answer is not as every server of this kind gives it
    """
    fault = None
    try:
        yield
    except KeyError as exc:  # the key is one that we asked for
        key = exc.args[0] if exc.args and isinstance(exc.args[0], str) else "something"
        fault = f"{what}: missing {key}"
    except (AttributeError, IndexError, TypeError, ValueError):
        fault = f"{what}: unexpected structure"
    if fault is not None:
        raise OddAnswer(f"{who} answers, but not as it should ({fault}): check the address, and any proxy in between")


def check_files(params: Dict[str, Any], *names: str) -> None:
    """Check that certificates, keys and configurations are files. A client would wait for a pipe for ever.

    :raises OptionError: one of them is something else
    """
    for name in names:
        value = params.get(name)
        if isinstance(value, str) and os.path.exists(value) and not os.path.isfile(value):
            raise OptionError(f"option {name}: {short(value)} is not a regular file")
