"""The registry of formats, compression, files that are whole or not there."""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from support.answers import column, stream_of

from qserv_py.catalog.types import DataType
from qserv_py.cli.queries.query_commands import query
from qserv_py.czar.formats import FORMATS, find_format, format_of_file
from qserv_py.czar.formats.compression import CODINGS, compressed
from qserv_py.czar.formats.known import Format
from qserv_py.errors import ConfigError, InternalError, UserError
from qserv_py.whole_file import whole_file

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "formats.md"


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("votable", "votable"),
        ("VOTable", "votable"),
        ("votable/b2", "votable"),
        ("votable/td", "votable/td"),
        ("application/x-votable+xml", "votable"),
        ("application/x-votable xml", "votable"),
        ("application/x-votable+xml;serialization=BINARY2", "votable"),
        ('application/x-votable+xml; serialization="TABLEDATA"', "votable/td"),
        ("application/x-votable+xml;content=datalink;serialization=binary", "votable/b"),
        ("text/xml", "votable"),
        ("csv", "csv"),
        ("text/csv", "csv"),
        ("text/csv;charset=utf-8", "csv"),
        ("text/csv;header=present", "csv"),
        ("text/csv; charset=utf-8; header=absent", "csv-no-header"),
        ("tsv", "tsv"),
        ("text/tab-separated-values", "tsv"),
        ("fits", "fits"),
        ("application/fits", "fits"),
        ("json", "json"),
        ("application/json", "json"),
        ("parquet", "parquet"),
        ("application/vnd.apache.parquet", "parquet"),
        ("arrow", "arrow"),
        ("html", "html"),
        ("text/html", "html"),
        ("text/plain", "table"),
    ],
)
def test_names_and_mime_types(asked: str, name: str) -> None:
    assert find_format(asked).name == name


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("text/xml", "text/xml"),
        ("votable/td", "application/x-votable+xml;serialization=tabledata"),
        ("application/x-votable+xml;serialization=BINARY2", "application/x-votable+xml"),
        ("image/fits;x=\r\ny", "image/fits"),
        ("text/csv", "text/csv;header=present"),
        ("text/plain", "text/plain;charset=utf-8"),
    ],
)
def test_a_mime_type_is_answered(asked: str, answered: str) -> None:
    assert find_format(asked).mime == answered


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("votabel", 'Did you mean "votable"?'),
        ("", "Formats: votable, "),
        ("application/x-votable+xml;serialization=FITS", "Formats: "),
        ("x" * 1000, "Formats: "),
    ],
)
def test_an_unknown_format(asked: str, hint: str) -> None:
    with pytest.raises(UserError, match=r'(?m)^format ".{0,60}" is not known$') as raised:
        find_format(asked)
    assert hint in raised.value.hint


def test_no_name_means_two_formats() -> None:
    keys = [key for known in FORMATS for key in {known.name, known.mime, *known.aliases}]
    assert len(keys) == len(set(keys))
    assert all(key == key.lower() for key in keys)
    suffixes = [suffix for known in FORMATS for suffix in known.suffixes]
    assert len(suffixes) == len(set(suffixes))


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_every_format_writes(known: Format) -> None:
    assert all(find_format(alias).name == known.name for alias in (known.name, known.mime, *known.aliases))
    assert all(format_of_file(f"x.y{suffix.upper()}") == known for suffix in known.suffixes)
    assert b"".join(known.write(stream_of([column("x", DataType.INT)], [[1], [2]])))
    assert b"".join(known.write(stream_of([column("h", DataType.COUNTS)], [[[1, 0, 2]], [None], [[0, 0, 3]]])))


def test_a_suffix_without_a_format() -> None:
    assert format_of_file("x.doc") is None
    assert format_of_file("csv") is None


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_leaving_early_closes_the_rows(known: Format) -> None:
    closed = []
    stream = stream_of([column("x", DataType.INT)], [[k] for k in range(9)])

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from stream.batches
        finally:
            closed.append(True)

    source = known.write(replace(stream, batches=batches()))
    next(source)
    source.close()  # type: ignore[attr-defined]
    assert closed == [True]


def test_the_help_names_every_format() -> None:
    [option] = [parameter for parameter in query.params if parameter.name == "row_format"]
    assert all(known.name in (option.help or "") for known in FORMATS)  # type: ignore[attr-defined]


def test_the_page_lists_every_format() -> None:
    table = PAGE.read_text().split("\n## ", 1)[0]
    cells = [[re.findall("`([^`]+)`", cell) for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    listed = {row[0][0]: (set(row[1]), set(row[2]), row[3]) for row in cells if row and row[0]}
    assert listed == {known.name: ({known.mime}, set(known.aliases), list(known.suffixes)) for known in FORMATS}


CHUNKS = [b"head", b"", b"x" * 100_000, os.urandom(1000), b"tail"]


def unpack(coding: str, data: bytes) -> bytes:
    if coding == "gzip":
        return gzip.decompress(data)
    with pa.input_stream(pa.BufferReader(data), compression=coding) as source:
        return bytes(source.read())


@pytest.mark.parametrize("coding", CODINGS)
def test_compression(coding: str) -> None:
    packed = b"".join(compressed(iter(CHUNKS), coding))
    assert len(packed) < 5000
    assert unpack(coding, packed) == b"".join(CHUNKS)
    assert unpack(coding, b"".join(compressed([], coding))) == b""


def test_compressed_chunks_can_be_read_as_they_come() -> None:
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    packed = compressed(iter(CHUNKS), "gzip")
    assert reader.decompress(next(packed)) == b"head"
    reader_of_zstd = pa.input_stream(pa.BufferReader(next(compressed(iter(CHUNKS), "zstd"))), compression="zstd")
    assert reader_of_zstd.read(4) == b"head"


@pytest.mark.parametrize("coding", CODINGS)
def test_an_error_passes_through_compression(coding: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"abc"
        raise UserError("broken")

    packed = compressed(chunks(), coding)
    next(packed)
    with pytest.raises(UserError, match="broken"):
        next(packed)


def test_an_unknown_coding() -> None:
    with pytest.raises(InternalError, match='(?m)^there is no coding "br"$'):
        compressed([], "br")


def test_whole_file(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 240)
    path.write_text("old")
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444 & ~_umask()
    assert list(tmp_path.iterdir()) == [path]


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_a_file_that_failed_is_not_there(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise UserError("broken")

    with pytest.raises(UserError, match="broken"):
        write(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no" / "x", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError, match=f"cannot be written: {reason}"), whole_file(path):
            pass


def test_a_full_disk_is_no_traceback() -> None:
    with (
        pytest.raises(ConfigError, match="^/dev/full cannot be written: No space left"),
        whole_file(Path("/dev/full")) as file,
    ):
        file.write(b"x" * 100_000)


def test_what_is_no_ordinary_file_stays_what_it_is(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    link = tmp_path / "link"
    link.symlink_to(target)
    with whole_file(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    with whole_file(Path("/dev/null")) as file:
        file.write(b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
