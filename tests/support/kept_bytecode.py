# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep compiled code where Python and Ansible keep none.

A module reaches its node in a zip file, and Python compiles all that it imports from there each time. Ansible's loader does the same with the files
of a collection, in each process that runs a task. The tests run thousands of them, of the same text, and this was half of their processor time.

What is kept is named after the text, in a directory of the Python that compiled it, below the one that KEPT_BYTECODE names. Python 3.8 and newer.
"""

import _imp
import marshal
import os
import sys

FOLDER = os.environ.get("KEPT_BYTECODE")
LOADER = "ansible.utils.collection_loader._collection_finder"


def kept(source, file_name, compiled):
    """The code of a source text: the one that is kept, or else what `compiled` returns."""
    data = source if isinstance(source, bytes) else source.encode("utf-8")
    folder = os.path.join(FOLDER, f"{sys.implementation.cache_tag}-{sys.hexversion:x}")
    path = os.path.join(folder, f"{_imp.source_hash(0, data).hex()}-{len(data)}")
    try:
        with open(path, "rb") as stream:
            code = marshal.loads(stream.read())
        _imp._fix_co_filename(code, file_name)  # type: ignore[attr-defined]
        return code
    except OSError:
        code = compiled()
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(folder, 0o755, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except OSError:  # an account that may not write here
        return code
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(marshal.dumps(code))
    os.replace(temporary, path)
    return code


def of_zip_files():
    """Keep the code of what is imported from zip files. For each import Python asks for it twice: it needs a file name, too."""
    import zipimport

    compile_source = getattr(zipimport, "_compile_source", None)
    find = getattr(zipimport, "_get_module_code", None)
    if compile_source is None or find is None:
        return
    found = {}

    def find_once(importer, name):
        key = importer.archive, importer.prefix, name
        if key not in found:
            found[key] = find(importer, name)
        return found[key]

    zipimport._compile_source = lambda path, source: kept(source, path, lambda: compile_source(path, source))  # type: ignore[attr-defined]
    zipimport._get_module_code = find_once  # type: ignore[attr-defined]


class OfCollections:
    """Keep the code of what Ansible imports from collections: wait on `sys.meta_path` until its loader itself is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != LOADER:
            return None
        sys.meta_path.remove(self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in sys.meta_path)), None)
        if spec is not None:
            loader = spec.loader
            execute = loader.exec_module  # type: ignore[union-attr]
            loader.exec_module = lambda module: (execute(module), self.change(module))  # type: ignore[union-attr,method-assign]
        return spec

    @staticmethod
    def change(module):
        def get_code(self, fullname):
            source = self.get_source(fullname)
            file_name = self.get_filename(fullname) or "<string>"
            return None if source is None else kept(source, file_name, lambda: compile(source, file_name, "exec", 0, True))

        module._AnsibleCollectionPkgLoaderBase.get_code = get_code


def everywhere():
    """Keep the code of both."""
    if FOLDER:
        of_zip_files()
        sys.meta_path.insert(0, OfCollections())
