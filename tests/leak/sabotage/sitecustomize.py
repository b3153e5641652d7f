# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a node's Python where nobody expects it: SABOTAGE=FILE:MODULE.FUNCTION lets that function fail when FILE calls it.

The text of the exception quotes all variables of the caller and of its caller, as careless libraries do. The node's
interpreter imports this by itself, because its folder is in PYTHONPATH. For every Python that a node may have.
"""

import importlib
import os
import sys


class Sabotage(Exception):
    """What nobody expects."""


def sabotage(file, module_name, function_name):
    module = importlib.import_module(module_name)
    original = getattr(module, function_name)

    def broken(*args, **kwargs):
        caller = sys._getframe(1)
        if os.path.basename(caller.f_code.co_filename) != file:
            return original(*args, **kwargs)
        raise Sabotage(f"{args} {caller.f_locals} {(caller.f_back or caller).f_locals}")

    setattr(module, function_name, broken)


if os.environ.get("SABOTAGE"):
    where, what = os.environ["SABOTAGE"].split(":")
    sabotage(where, *what.split("."))
