# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every Python that has this directory on its PYTHONPATH keeps compiled code, see kept_bytecode.py, and collects no garbage.

What a run of ansible-playbook leaves is gone when its processes end. To look for garbage again and again takes 6 % of the processor time, because each of
its many forks first touches all that it shares with its parent.
"""

import gc

import kept_bytecode

gc.disable()

kept_bytecode.everywhere()
