# Copyright (c) Expanso Edge collection contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.

"""Read what is in a place, in pieces, without waiting, following or changing anything.

Files may be anything by the time that they are opened, may be of any size, and may vanish.
"""

import bz2
import errno
import io
import os
import stat
import zlib
from typing import IO, Any, Iterator, List, NamedTuple, Optional, Tuple, Type, Union

from ansible_collections.expanso.edge.plugins.module_utils._walk import by_descriptor

MAX_FILE = 16 * 1024 * 1024
"""Bytes of a file that are looked at."""

CHUNK = 2 * 1024 * 1024
OVERLAP = 64 * 1024
"""Bytes that two pieces of a file share: longer than any form of a token."""

MOST_NAMES = 100_000
"""Names in a directory that are looked at."""

_PACKED_PIECE = 8192

GONE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)

try:
    import lzma

    _DAMAGED: Tuple[Type[Exception], ...] = (EOFError, zlib.error, lzma.LZMAError)
except ImportError:  # a Python that was built without it
    lzma = None  # type: ignore[assignment]
    _DAMAGED = (EOFError, zlib.error)


class Place(NamedTuple):
    """Bytes that should not hold a token. ``repr()`` does not show them."""

    kind: str  # a key of reports.WORDING; rest: what was left out, in words
    name: str
    data: Optional[bytes]  # None: they cannot be read
    exposed: bool = False  # others can read it too

    def __repr__(self) -> str:
        return f"Place({self.kind}, {self.name})"


def read_file(kind: str, path: str) -> Iterator[Place]:
    """Yield what is in a file, in pieces; None where that, or the rest of it, cannot be read."""
    try:
        for chunk in chunks(path):
            yield Place(kind, path, chunk)
    except GONE:
        return
    except OSError:
        yield Place(kind, path, None)


def chunks(path: str, size: int = CHUNK) -> Iterator[bytes]:
    """Yield pieces of a file that overlap, one of an empty file.

    :raises OSError: it cannot be looked into, or not to its end
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # to open a device may wake it
        raise OSError("nothing that can be looked into")
    # O_NONBLOCK: what was a file a moment ago may be a pipe now, and some files of the kernel wait for news
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as handle:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("nothing that can be looked into")
        yield from pieces(handle, size)


def names_in(directory: Union[str, int]) -> Iterator[str]:
    """Yield the names in a directory, by its path or descriptor, one after the other: there may be millions."""
    with os.scandir(by_descriptor(directory) if isinstance(directory, int) else directory) as entries:
        for entry in entries:
            yield entry.name


def open_regular(directory: int, name: str, follow: bool = False) -> Tuple[IO[Any], os.stat_result]:
    """Open a regular file of a directory, and nothing else, without changing the time of its last access where that is possible.

    :param directory: descriptor
    :param follow: follow a symbolic link of this name
    :raises OSError: it is something else, or cannot be read
    """
    # first by name only, which neither waits for a pipe nor wakes a device
    found = os.open(name, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW), dir_fd=directory)
    try:
        status = os.fstat(found)
        if stat.S_ISLNK(status.st_mode):
            raise OSError(errno.ELOOP, "a symbolic link")
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "nothing that can be looked into")
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(by_descriptor(found), flags | os.O_NOATIME)
        except PermissionError:  # only its owner and root may ask for that, and some file systems allow it to nobody
            descriptor = os.open(by_descriptor(found), flags)
        return os.fdopen(descriptor, "rb", buffering=0), status
    finally:
        os.close(found)


def unpacked(handle: IO[Any]) -> Any:
    """Return a file, or what is in it where it is compressed.

    :raises OSError: it is compressed in a way that this Python does not know
    """
    beginning = os.pread(handle.fileno(), 6, 0)
    packed: Any = _Beginning(handle)
    if beginning.startswith(b"\x1f\x8b"):
        return _Gunzipped(packed)
    if beginning.startswith(b"BZh"):
        return bz2.BZ2File(packed)
    if beginning == b"\xfd7zXZ\0":
        if lzma is not None:
            return lzma.LZMAFile(packed)
        raise OSError("cannot be unpacked")
    if beginning.startswith(b"\x28\xb5\x2f\xfd"):  # zstd
        raise OSError("cannot be unpacked")
    return handle


class _Beginning:
    """The beginning of a packed file: what is made of nothing but headers would else be read to its end, whatever its length."""

    def __init__(self, handle: IO[Any]) -> None:
        self._handle = handle
        self._left = MAX_FILE

    def read(self, size: int) -> bytes:
        data: bytes = self._handle.read(min(size, self._left)) or b""
        self._left -= len(data)
        return data


class _Gunzipped:
    """What gzip packed, one member after the other. The reader of the standard library takes the name in a header byte by byte."""

    def __init__(self, packed: _Beginning) -> None:
        self._packed = packed
        self._rest = b""
        self._member: Any = None  # None between two of them

    def read(self, size: int) -> bytes:
        """Read so many bytes at most.

        :raises EOFError: the last member is not complete
        :raises zlib.error: it is damaged
        """
        while True:
            self._rest = self._rest or self._packed.read(_PACKED_PIECE)
            ended = not self._rest
            if self._member is None:
                if ended:
                    return b""
                self._rest = self._rest.lstrip(b"\0")  # padding
                if not self._rest:
                    continue
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            data: bytes = self._member.decompress(self._rest, size)
            if self._member.eof:
                self._rest, self._member = self._member.unused_data, None
            else:
                self._rest = self._member.unconsumed_tail
                if ended and not data:
                    raise EOFError
            if data:
                return data


def pieces(handle: IO[Any], size: int = CHUNK) -> Iterator[bytes]:
    """Yield what is in a file in pieces that overlap, the last one shorter than the others. Holes are passed over.

    Of a file that is longer than :data:`MAX_FILE`, these are its beginning and its end.

    :raises OSError: that is not all
    """
    before, total, skipped = b"", 0, False
    plain = isinstance(handle, io.FileIO)
    while total < MAX_FILE:
        if plain and _to_data(handle.fileno()):
            before = b""
        asked = min(size, MAX_FILE - total)
        data = _read(handle, asked)
        total += len(data)
        yield before + data
        if len(data) < asked:
            break
        before = data[-OVERLAP:]
        if plain and not skipped and total >= MAX_FILE // 2 and _skip(handle.fileno(), MAX_FILE - total):
            before, skipped = b"", True
    else:
        skipped = skipped or bool(_read(handle, 1))
        if before and not skipped:
            yield before
    if skipped:
        raise OSError("too long to be looked into")


def _read(handle: IO[Any], size: int) -> bytes:
    """Read so many bytes, or as many as there are.

    :raises OSError: they cannot be read
    """
    found: List[bytes] = []
    while size:
        try:
            data = handle.read(size)
        except _DAMAGED:
            raise OSError("damaged") from None
        except MemoryError:  # what is packed says how much it takes to unpack it
            raise OSError("cannot be unpacked") from None
        if data is None:
            raise OSError("nothing to read yet")
        if not data:
            break
        found.append(data)
        size -= len(data)
    return b"".join(found)


def _to_data(descriptor: int) -> bool:
    """Go on to where a file has data, or to its end; tell whether that is elsewhere. Not all files have holes to pass over."""
    try:
        before = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            return os.lseek(descriptor, before, os.SEEK_DATA) != before
        except OSError as exc:
            return exc.errno == errno.ENXIO and os.lseek(descriptor, 0, os.SEEK_END) != before
    except OSError:
        return False


def _skip(descriptor: int, rest: int) -> bool:
    """Go to where a file's last bytes begin, if that is further on."""
    end = os.fstat(descriptor).st_size - rest
    if os.lseek(descriptor, 0, os.SEEK_CUR) >= end:
        return False
    os.lseek(descriptor, end, os.SEEK_SET)
    return True
