# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a fresh bootstrap token to the file that is named, and keep a list of all that there were beside it."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "support"))

from control_plane import new_key

os.umask(0o077)
target = Path(sys.argv[1])
token = new_key()
target.write_text(token, encoding="ascii")
with open(target.with_name("tokens"), "a", encoding="ascii") as every:
    print(token, file=every)
