# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Directories that are missing on the way to a file: made, held, and removed again where what they are for fails."""

import os
from typing import Callable, List, Optional, Tuple

from ansible_collections.expanso.edge.plugins.module_utils._directory import NEW_DIRECTORY_MODE, Directory, Label


class NewDirectories:
    """What is missing of a directory that is held, made and held in turn. To be used in a ``with`` statement."""

    def __init__(self, nearest: Directory) -> None:
        self.directory = nearest
        self.paths: List[str] = []
        self._held: List[Directory] = []
        self._made: List[Tuple[Directory, str]] = []

    def __enter__(self) -> "NewDirectories":
        return self

    def __exit__(self, *_details: object) -> None:
        for each in self._held:
            each.close()

    def make(self, mode: int, label: Label, owner: Optional[Tuple[int, int]] = None) -> None:
        """Make them.

        :param mode: of the innermost; the others get :data:`NEW_DIRECTORY_MODE`
        :param owner: of the innermost, its user and group; the others belong to the own account
        """
        names = self.directory.missing
        try:
            for name in names:
                above, last = self.directory, len(self._held) == len(names) - 1
                if above.make(name, mode if last else NEW_DIRECTORY_MODE, label, owner if last else None):
                    self._made.append((above, name))
                    self.paths.append(os.path.join(above.path, name))
                self.directory = above.below(name)
                self._held.append(self.directory)
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Remove what was made, as far as it is empty."""
        while self._made:
            above, name = self._made.pop()
            if not above.rmdir(name):
                return


def make_directories(directory: str, mode: int, label: Callable[[str], None], owner: Optional[Tuple[int, int]] = None) -> List[str]:
    """Make a directory and those above it that are missing; return what was made, the outermost first.

    :param mode: of the innermost; the others get :data:`NEW_DIRECTORY_MODE`
    :param label: called with the path of each new directory, for its security context
    :param owner: of the innermost, its user and group; by default the own account
    """
    with Directory.hold(directory) as nearest, NewDirectories(nearest) as new:
        new.make(mode, lambda _place, _path: None, owner)
        try:
            for each in new.paths:
                label(each)
        except OSError:
            new.undo()
            raise
        return new.paths
