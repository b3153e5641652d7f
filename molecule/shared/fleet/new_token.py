# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the token that counts from now on, and keep it under its label as well."""

import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[3] / "tests" / "support")]

from control_plane import new_key
from inventory import STATE

os.umask(0o077)
token = new_key()
for name in ("token", sys.argv[1]):
    (STATE / name).write_text(token, encoding="ascii")
