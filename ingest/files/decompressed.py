"""The bytes of a file, decompressed by what its first bytes say, whatever its name is.

A stream that ends early, fails its checksum or is followed by other bytes is an error of its library; nothing of it is
taken for the end of the file.
"""

from __future__ import annotations

import bz2
import lzma
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

_GZIP, _BZ2, _XZ, _ZSTD, _LZ4 = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"

MAGIC_BYTES = 6
"""Bytes that tell how a file is compressed."""


def compression_of(head: bytes) -> str:
    """Return how a file is compressed that begins with some bytes: gzip, bz2, xz, zstd or lz4; empty for not at all."""
    known = {_GZIP: "gzip", _BZ2: "bz2", _XZ: "xz", _ZSTD: "zstd", _LZ4: "lz4"}
    return next((name for magic, name in known.items() if head.startswith(magic)), "")


def open_decompressed(path: Path) -> BinaryIO:
    """Open a file for reading once from its start; what is compressed comes decompressed.

    Raises
    ------
    OSError
        If it cannot be opened. Reading raises OSError, EOFError or ``lzma.LZMAError`` when the bytes are damaged.
    """
    with open(path, "rb") as file:
        compression = compression_of(file.read(MAGIC_BYTES))
    match compression:
        case "":
            return open(path, "rb")
        case "bz2":
            return cast(BinaryIO, bz2.open(path, "rb"))
        case "xz":
            return cast(BinaryIO, lzma.open(path, "rb"))
        case _:
            return cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(str(path), "rb"), compression))
