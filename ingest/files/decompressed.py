"""The bytes of a file, decompressed by what its first bytes say, whatever its name is.

A stream that ends early, fails its checksum or is followed by other bytes is an error of its library; nothing of it is
taken for the end of the file. ``open_decompressed`` gives the bytes in their order. ``FileBytes`` gives them at any
place, by reading and not by a memory map: a file that is cut off meanwhile gives an error, not the end of the process.
"""

from __future__ import annotations

import bz2
import lzma
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from qserv_py.errors import ContributionError

_KINDS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress (.Z)",
    b"PK\x03\x04": "zip",
}
"""Kind of compression, by the first bytes of a file."""

_REFUSED = frozenset({"compress (.Z)", "zip"})
_FIRST_BYTES = 6
_COPY_BYTES = 1 << 20


def compression_of(path: Path) -> str:
    """Return how a file is compressed: gzip, bzip2, xz, zstd or lz4; empty for not at all.

    Raises
    ------
    ContributionError
        If it is compressed by something else.
    """
    with path.open("rb") as file:
        first = file.read(_FIRST_BYTES)
    kind = next((name for magic, name in _KINDS.items() if first.startswith(magic)), "")
    if kind in _REFUSED:
        raise ContributionError(f"{path} is compressed by {kind}", hint="Unpack it first.")
    return kind


def open_decompressed(path: Path) -> BinaryIO:
    """Open a file for reading once from its start; what is compressed comes decompressed.

    Raises
    ------
    ContributionError
        If it is compressed by something that cannot be decompressed here.
    OSError
        If it cannot be opened. Reading raises OSError, EOFError or ``lzma.LZMAError`` when the bytes are damaged.
    """
    match compression_of(path):
        case "":
            return path.open("rb")
        case "bzip2":
            return cast(BinaryIO, bz2.open(path, "rb"))
        case "xz":
            return cast(BinaryIO, lzma.open(path, "rb"))
        case kind:
            return cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(str(path), "rb"), kind))


class FileBytes:
    """The bytes of one file; it is closed with the object."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        weakref.finalize(self, os.close, descriptor)

    def read(self, at: int, length: int) -> bytes:
        """Return ``length`` bytes from the place ``at`` on; ContributionError if the file has lost them."""
        found = os.pread(self._descriptor, length, at)
        while found and len(found) < length:  # one call reads 2 GiB at the most
            more = os.pread(self._descriptor, length - len(found), at + len(found))
            if not more:
                break
            found += more
        if len(found) < length:
            raise ContributionError(
                f"{self.path} became shorter while it was read", detail=f"Bytes {at} to {at + length} were expected."
            )
        return found

    def stream(self) -> BinaryIO:
        """Return the bytes as a file, which is closed with this object at the latest."""
        stream = os.fdopen(os.dup(self._descriptor), "rb")
        stream.seek(0)
        weakref.finalize(self, stream.close)
        return stream


def decompressed(path: Path) -> FileBytes:
    """Open a file; of a compressed file, a temporary file that holds the decompressed bytes.

    Raises
    ------
    ContributionError
        If the compressed bytes are damaged or cut off, or of a kind that cannot be decompressed here.
    """
    kind = compression_of(path)
    if not kind:
        with path.open("rb") as file:
            return FileBytes(path, os.dup(file.fileno()))
    with tempfile.TemporaryFile() as plain:
        try:
            with open_decompressed(path) as packed:
                shutil.copyfileobj(packed, plain, _COPY_BYTES)
            plain.flush()
        except Exception as error:  # each library of compression raises exceptions of its own
            raise ContributionError(
                f"{path} cannot be unpacked", detail=f"{kind}: {' '.join(str(error).split())}"
            ) from error
        return FileBytes(path, os.dup(plain.fileno()))
