# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""How requests reach the Kubernetes API: they end in time, and go to no other server."""

import functools
from typing import Any

CONNECT_SECONDS = 20
ANSWER_SECONDS = 65
"""An API server gives up after a minute itself, and says so."""

LONGEST_PAUSE = 10
"""Seconds that a server may ask to wait before a request is repeated."""


def limited(base: Any) -> Any:
    """Return a REST client of the library whose requests end in time, and are not led to another server.

    By itself it waits for ever for an answer, and sends the body of a request, with the token, wherever a server tells it to. Its attribute
    ``answered`` tells whether a server has answered.
    """
    import urllib3

    class Retries(urllib3.Retry):
        """Repeats what reads, at once, but not after a long wait."""

        def increment(self, method: Any = None, url: Any = None, response: Any = None, error: Any = None, *more: Any, **options: Any) -> Any:
            if isinstance(error, urllib3.exceptions.ReadTimeoutError):
                raise error
            return super().increment(method, url, response, error, *more, **options)

        def get_retry_after(self, response: Any) -> Any:
            seconds = super().get_retry_after(response)
            return None if seconds is None else min(seconds, LONGEST_PAUSE)

    class Limited(base):
        answered = False

        def __init__(self, configuration: Any, *arguments: Any, **options: Any) -> None:
            configuration.retries = Retries(total=3, connect=0, raise_on_status=False)
            super().__init__(configuration, *arguments, **options)
            self.pool_manager.request = functools.partial(self.pool_manager.request, redirect=False)

        def request(self, *arguments: Any, **options: Any) -> Any:
            options["_request_timeout"] = options.get("_request_timeout") or (CONNECT_SECONDS, ANSWER_SECONDS)
            found = super().request(*arguments, **options)
            Limited.answered = True
            return found

    return Limited
