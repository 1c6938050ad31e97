"""The bytes of a file at any place, of a compressed one after it was unpacked into a temporary file.

Reading is by place and not by memory map: a file that is cut off by somebody else while it is read gives an error, not
the end of the process.
"""

from __future__ import annotations

import bz2
import lzma
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from isal import igzip

from qserv_py.errors import ContributionError

_COPY_BYTES = 1 << 20
_FIRST_BYTES = 6


def _zstd(path: Path) -> Any:
    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")


_OPENED: dict[bytes, tuple[str, Callable[[Path], Any]]] = {
    b"\x1f\x8b": ("gzip", igzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\0": ("xz", lzma.open),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
}
_REFUSED = {b"\x1f\x9d": "compress (.Z)", b"PK\x03\x04": "zip", b"\x04\x22\x4d\x18": "lz4"}


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


def unpacked(path: Path) -> FileBytes:
    """Open a file, unpacked if it is compressed, which its first bytes tell (its name may say anything).

    Raises
    ------
    ContributionError
        If the compressed data is damaged or cut off, or of a kind that cannot be unpacked here.
    """
    with path.open("rb") as file:
        first = file.read(_FIRST_BYTES)
        for magic, name in _REFUSED.items():
            if first.startswith(magic):
                raise ContributionError(f"{path} is compressed by {name}", hint="Unpack it first.")
        for magic, (name, opened) in _OPENED.items():
            if first.startswith(magic):
                return FileBytes(path, _unpack(path, name, opened))
        return FileBytes(path, os.dup(file.fileno()))


def _unpack(path: Path, name: str, opened: Callable[[Path], Any]) -> int:
    """Return the descriptor of a temporary file that holds what a compressed one does."""
    with tempfile.TemporaryFile() as plain:
        try:
            with opened(path) as packed:
                shutil.copyfileobj(packed, plain, _COPY_BYTES)
            plain.flush()
        except Exception as error:  # each library has exceptions of its own
            raise ContributionError(
                f"{path} cannot be unpacked", detail=f"{name}: {' '.join(str(error).split())}"
            ) from error
        return os.dup(plain.fileno())
