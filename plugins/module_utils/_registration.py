# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Whether a node is registered: the files that the agent leaves once it is."""

import errno
import os
from typing import Iterable, Optional


def find_marker(markers: Iterable[str]) -> Optional[str]:
    """Return the first registration marker that exists, None on a node that is not registered.

    :raises OSError: nobody can tell, because a directory above a marker cannot be searched
    """
    for marker in markers:
        try:
            os.stat(marker)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTDIR):
                continue
            raise
        return marker
    return None
