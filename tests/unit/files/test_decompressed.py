"""Bytes of files at any place, of packed ones after they were unpacked."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.decompressed import decompressed, open_decompressed

CONTENT = bytes(range(256)) * 20_000


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


def lz4(content: bytes) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "lz4") as stream:
        stream.write(content)
    return packed.getvalue().to_pybytes()  # type: ignore[no-any-return]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
    "lz4": lz4,
}


@pytest.mark.parametrize("kind", PACKED)
def test_packed_files_are_known_by_their_content(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(PACKED[kind](CONTENT))
    file = decompressed(path)
    assert file.size == len(CONTENT)
    assert file.read(3_000_001, 1000) == CONTENT[3_000_001:3_001_001]
    with file.stream() as stream, open_decompressed(path) as once:
        assert stream.read() == CONTENT
        assert b"".join(iter(lambda: once.read(1 << 16), b"")) == CONTENT


@pytest.mark.parametrize("kind", PACKED)
def test_packed_files_that_are_cut_off(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.fits"
    packed = PACKED[kind](CONTENT)
    path.write_bytes(packed[: len(packed) * 2 // 3])
    with pytest.raises(ContributionError, match=r"a\.fits cannot be unpacked") as caught:
        decompressed(path)
    assert caught.value.detail.startswith(f"{kind}: ")


def test_gzip_in_several_members(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one") + gzip.compress(b"two"))
    assert decompressed(path).read(0, 6) == b"onetwo"


@pytest.mark.parametrize(("first", "name"), [(b"\x1f\x9d\x90", "compress"), (b"PK\x03\x04", "zip")])
def test_kinds_that_cannot_be_unpacked_are_named(tmp_path: Path, first: bytes, name: str) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(first + b"rest")
    with pytest.raises(ContributionError, match=f"is compressed by {name}") as caught:
        decompressed(path)
    assert caught.value.hint == "Unpack it first."


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(CONTENT)
    file = decompressed(path)
    os.truncate(path, 100)
    assert file.read(50, 50) == CONTENT[50:100]
    with pytest.raises(ContributionError, match="became shorter while it was read"):
        file.read(90, 20)
