# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Whether a node is registered: the files that the agent leaves once it is."""

import errno
import os
from typing import Any, Dict, List, Optional

from ansible_collections.expanso.edge.plugins.module_utils._secure_file import SecureFileError

MARKERS = ("auth/credentials.creds", "config.d/50-connection.yaml", "config.d/50-registration.yaml", "identity")
"""What versions of the agent are known to leave below their data directory."""

ARGUMENT_SPEC = {
    "data_dir": {"type": "path", "default": "/var/lib/expanso/edge"},
    "registration_markers": {"type": "list", "elements": "path"},
}  # type: Dict[str, Any]
"""The options that the documentation fragment ``registration`` describes."""


def markers(params: Dict[str, Any]) -> List[str]:
    """Return the registration markers that a module's options ask for.

    :raises SecureFileError: one is no absolute path, so it would depend on where the module is run
    """
    wanted = params["registration_markers"]
    if wanted is None:
        wanted = [os.path.join(params["data_dir"], marker) for marker in MARKERS]
    for each in wanted:
        if not os.path.isabs(each):
            raise SecureFileError("the registration marker {0} is not an absolute path: correct data_dir or registration_markers".format(each))
    return wanted


def find_marker(params: Dict[str, Any]) -> Optional[str]:
    """Return the first registration marker that exists, None on a node that is not registered.

    :raises SecureFileError: one is no absolute path
    :raises OSError: nobody can tell, because a directory above a marker cannot be searched
    """
    for marker in markers(params):
        try:
            os.stat(marker)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTDIR):
                continue
            raise
        return marker
    return None
