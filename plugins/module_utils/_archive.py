# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The archive that a module arrives in: Ansible sends a module and all that it imports as one ZIP file, which Python imports them from."""

import functools
import zipimport


def compile_once() -> None:
    """Halve what the imports after this cost: Python compiles each file of an archive two times, to find out its name and to run it.

    Both follow each other in :class:`zipimport.zipimporter` (CPython's Lib/zipimport.py: ``get_filename()`` and ``get_code()``), so the last result
    is kept. A Python that works in another way, such as 3.7, is left as it is.
    """
    compiled = getattr(zipimport, "_get_module_code", None)
    if compiled is not None and not hasattr(compiled, "cache_info"):
        setattr(zipimport, "_get_module_code", functools.lru_cache(maxsize=1)(compiled))  # noqa: B010  # mypy does not know it
