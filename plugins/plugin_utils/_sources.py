# Copyright (c) Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Where a node's bootstrap token comes from: the one place that decides it, on the controller."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ansible_collections.expanso.edge.plugins.module_utils._token import ENV_NAME, MAX_LENGTH, TokenFault, decode, judge

TOKEN_VARIABLE = "expanso_edge_token"
FILE_VARIABLE = "expanso_edge_token_file"
NO_SOURCE = (
    f"looked at variable {TOKEN_VARIABLE}, variable {FILE_VARIABLE} and environment variable {ENV_NAME} on the controller, and none is set"
)

NO_TEXT: dict[type, str] = {bool: "a truth value", int: "a number", float: "a number", list: "a list", tuple: "a list", dict: "a dictionary"}
"""What YAML makes of a token that it takes for something else."""


class SourceError(Exception):
    """A source that is named but cannot be used. The message names it, never what it holds."""

    def __init__(self, message: str, job_wide: bool = True) -> None:
        super().__init__(message)
        self.job_wide = job_wide


class Found(NamedTuple):
    """A token, not judged yet, and where it comes from in words. The token is None where no source is set."""

    token: str | None
    source: str
    job_wide: bool = True

    def __repr__(self) -> str:
        return f"Found(source={self.source!r})"


def resolve(variable: Callable[[str], Any], environ: Mapping[str, str] | None = None) -> Found:
    """Return a node's token: its own, else that of the controller's file, else that of the environment.

    :param variable: returns a variable's value for the node, :data:`None` where it is not defined
    :raises SourceError: a source holds no text or cannot be read, or two job-wide sources differ
    """
    own = variable(TOKEN_VARIABLE)
    for kind, name in NO_TEXT.items():
        if isinstance(own, kind):
            raise SourceError(f"variable {TOKEN_VARIABLE} is {name}, not a text: put the token in quotation marks", job_wide=False)
    if own is not None:
        return Found(str(own), f"variable {TOKEN_VARIABLE}", job_wide=False)
    return job_wide(variable(FILE_VARIABLE), os.environ if environ is None else environ)


def job_wide(file: Any, environ: Mapping[str, str]) -> Found:
    """Return the token that all nodes share which have none of their own.

    :param file: value of the variable that names the controller's file; :data:`None` or empty where there is none
    :raises SourceError: the file cannot be read, or file and environment differ
    """
    from_environment = Found(environ.get(ENV_NAME) or None, f"environment variable {ENV_NAME} on the controller")
    if not file:
        return from_environment if from_environment.token else Found(None, NO_SOURCE)
    from_file = _read(str(file))
    if from_environment.token and from_environment.token != from_file.token:
        raise SourceError(f"{from_file.source} and {from_environment.source} hold different tokens: unset one of them")
    return from_file


def _read(given: str) -> Found:
    path = os.path.abspath(os.path.expanduser(given.replace("\0", "?")))  # the system takes no NUL
    source = f"file {path} on the controller (variable {FILE_VARIABLE})"
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # reading a pipe, say, would wait for ever, and it is read for each node
            raise OSError(errno.EINVAL, "it is not a regular file")
        with open(path, "rb") as handle:
            return Found(decode(handle.read(MAX_LENGTH + 2)), source)
    except OSError as exc:
        # somebody may have put the token itself where its file belongs
        named = source if _looks_like_a_path(given) else f"the file that variable {FILE_VARIABLE} names on the controller"
        raise SourceError(f"cannot read {named}: {exc.strerror}") from None
    except TokenFault as exc:
        raise SourceError(f"{source}: {exc.message}") from None


def _looks_like_a_path(text: str) -> bool:
    try:
        judge(text.replace(" ", "_"))  # a path may have blanks
    except TokenFault as exc:
        return exc.code == "path"
    return False
