# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every Python that has this directory on its PYTHONPATH keeps compiled code, see kept_bytecode.py."""

import kept_bytecode

kept_bytecode.everywhere()
