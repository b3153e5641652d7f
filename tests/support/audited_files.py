# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit tests of the audit share: files as an audit finds them, and what they are judged by."""

import os
from pathlib import Path
from typing import Any, Union

from ansible_collections.expanso.edge.plugins.module_utils._audit.findings import Policy


def put(path: Path, content: Union[str, bytes], mode: int = 0o600) -> Path:
    """Write a file with all directories above it, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def usual_policy(**changes: Any) -> Policy:
    """Return the policy of an unregistered node whose files belong to root or to this account, with some of its fields changed."""
    usual = Policy(
        account="me",
        owners=frozenset((0, os.geteuid())),
        groups=frozenset((0, os.getegid())),
        group_matters=False,
        mode=0o600,
        reader=None,
        max_age=None,
        registered=False,
        marker=None,
        now=0.0,
    )
    return usual._replace(**changes)
