# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""What all faults of the collection that are meant for people have in common."""

from typing import Any


class EdgeError(Exception):
    """A fault for a person to mend. The message says where it is, what is wrong and what to do; it never holds a secret.

    :param details: further results of a module that fails because of it
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class SwarmError(EdgeError):
    """Why nothing can be done with a swarm, in a sentence that says what to do."""
