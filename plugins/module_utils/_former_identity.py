# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""The files of an identity that an agent is told to replace, kept in memory and put back where it fails.

Never on disk, where a run that is killed would leave a copy of a secret.
"""

import contextlib
import os
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.expanso.edge.plugins.module_utils._directory import Directory
from ansible_collections.expanso.edge.plugins.module_utils._errors import EdgeError
from ansible_collections.expanso.edge.plugins.module_utils._new_directories import NewDirectories
from ansible_collections.expanso.edge.plugins.module_utils._registration import Identity, identity, markers
from ansible_collections.expanso.edge.plugins.module_utils._secure_file import MAX_SIZE, SecretFile, leftovers_in, read_in, write_in

_DIRECTORY_MODE = 0o700


class FormerIdentity(NamedTuple):
    """An identity as it was before the agent was run. ``repr()`` shows no secret."""

    before: Identity
    files: Optional[Dict[str, SecretFile]]  # by path; None where not all of them can be kept

    def __repr__(self) -> str:
        return f"FormerIdentity({[each[0] for each in self.before]})"

    @classmethod
    def keep(cls, before: Identity) -> "FormerIdentity":
        """Read the files. Never fails: what cannot be read is not put back."""
        files: Dict[str, SecretFile] = {}
        for path, _number, _time in before:
            try:
                with Directory.hold(os.path.dirname(path)) as directory:
                    found = read_in(directory, os.path.basename(path))
            except (OSError, EdgeError):
                return cls(before, None)
            if found is None or len(found.data) > MAX_SIZE or found.has_acl:
                return cls(before, None)
            files[path] = found
        return cls(before, files)

    @staticmethod
    def sweep(params: Dict[str, Any]) -> None:
        """Remove what runs left that were killed while they put files back. Never fails: those are as private as the files."""
        for path in markers(params):
            with contextlib.suppress(OSError, EdgeError), Directory.hold(os.path.dirname(path), lenient=True) as directory:
                directory.locked = True  # who runs the agent has locked the data directory
                for name in leftovers_in(directory, os.path.basename(path)):
                    directory.unlink(name)

    def put_back(self, params: Dict[str, Any]) -> List[str]:
        """Put back what is gone or changed, with its former time; return the paths, none where all is as it was or cannot be put back.

        :raises OSError, EdgeError: a file cannot be written
        """
        now = identity(params)
        wrong = [] if self.files is None else [each for each in self.before if each not in now]
        for path, _number, modified in wrong:
            self._put_back(path, modified)
        return [path for path, _number, _time in wrong]

    def _put_back(self, path: str, modified: int) -> None:
        file, name = (self.files or {})[path], os.path.basename(path)
        owner = (file.attributes.uid, file.attributes.gid)
        with Directory.hold(os.path.dirname(path)) as nearest, NewDirectories(nearest) as new:
            nearest.locked = True  # who runs the agent has locked the data directory
            new.make(_DIRECTORY_MODE, lambda _place, _path: None, owner)
            new.directory.locked = True
            # before it has its name: a marker that is newer than its token tells that the node was registered with it
            write_in(new.directory, name, file.data, file.attributes, lambda place, _path: os.utime(place, ns=(modified, modified)))
