"""CSV files: every record of a file is a row or is told of; Python's own reader is the peer."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import random
import resource
from itertools import dropwhile
from pathlib import Path

import astropy
import numpy as np
import pyarrow as pa
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import example, given
from hypothesis import strategies as st

from qserv_py.errors import ContributionError, UserError
from qserv_py.ingest.files import reader as readers
from qserv_py.ingest.files.csv import fields, reader, records
from qserv_py.ingest.files.decompressed import open_decompressed
from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.files.reader import Reader
from qserv_py.ingest.requests import InputFormat, InputOptions


def read(
    path: Path, names: list[str] | None = None, **options: object
) -> tuple[Reader, list[tuple[int, list[object]]], list[int]]:
    """Return the reader, numbered rows, and the numbers of rows that were turned away."""
    reader = open_reader(path, InputFormat.CSV, InputOptions(**options))  # type: ignore[arg-type]
    rows: list[tuple[int, list[object]]] = []
    away = []
    for batch in reader.batches(names or reader.names):
        away += [int(batch.numbers[place]) for entry in batch.rejected for place in entry.places]
        values = [list(row.values()) for row in batch.rows.to_pylist()]
        rows += zip(batch.numbers.tolist(), values, strict=True)
    return reader, rows, away + [row.number for row in reader.malformed.rows]


@pytest.fixture(params=[7, 64, 8 << 20])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks so small that every boundary falls somewhere."""
    for module in (reader, fields, records):
        monkeypatch.setattr(module, "BLOCK", request.param)
    return int(request.param)


def counted(text: bytes) -> records.RecordCount:
    return records.count_records(io.BytesIO(text), ",")


TEXTS = st.text(alphabet='ab",\n\r \u00e9', max_size=6)


@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=30), st.sampled_from([3, 16, 1 << 20]))
def test_records_are_counted_as_python_does(rows: list[list[str]], block: int) -> None:
    """What Python's writer quotes is plain, and holds as many records as Python's reader finds."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    text = written.getvalue().encode()
    expected = [row for row in csv.reader(io.StringIO(text.decode(), newline=""), strict=True) if row]
    before, records.BLOCK = records.BLOCK, block
    try:
        found = counted(text)
    finally:
        records.BLOCK = before
    assert (found.is_plain, found.records) == (True, len(expected))


ODD = st.text(alphabet='a",\n', max_size=40)


@given(ODD)
@example('"a"\n')
@example('1,2" b\n"c","d"\n')
def test_odd_quotes_are_read_as_python_does_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Where Python's strict reader finds no fault, rows are the same; where it does, something is turned away."""
    path = tmp_path_factory.mktemp("odd") / "a.csv"
    path.write_text("x,y\n" + text)
    try:
        expected = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
        fine = True
    except csv.Error:
        fine = False
    try:
        _, rows, away = read(path, null="NULL")
    except ContributionError:
        assert not fine
        with pytest.raises(ContributionError, match="a quote opens a field and does not close at its end"):
            read(path)
        return
    if fine:
        assert [row for _, row in rows] == [row for row in expected if len(row) == 2]
        assert len(rows) + len(away) == len(expected)
    else:
        assert away
    assert sorted([number for number, _ in rows] + away) == list(range(1, len(rows) + len(away) + 1))


@pytest.mark.parametrize("at", [0, 10, 98, 99])
@pytest.mark.usefixtures("block")
def test_a_quote_that_never_closes_is_refused_with_its_row(tmp_path: Path, at: int) -> None:
    lines = [f"{number},10.{number},star{number}" for number in range(100)]
    lines[at] = f'{at},10.{at},"star{at}'
    path = tmp_path / "open.csv"
    path.write_text("id,ra,name\n" + "\n".join(lines) + "\n")
    with pytest.raises(ContributionError) as caught:
        read(path)
    assert f"row {at + 1}: " in caught.value.message
    with pytest.raises(csv.Error, match="unexpected end of data"):  # as Python sees it
        list(csv.reader(io.StringIO(path.read_text()), strict=True))


def test_a_text_behind_a_closing_quote_rejects_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,name\n1,"ab"cd\n2,12" dish\n3,"x\n4"y,z\n')
    with pytest.raises(ContributionError, match="row 3: a quote opens a field and does not close at its end"):
        read(path)
    path.write_text('id,name\n1,"ab"cd\n2,12" dish\n')
    reader, rows, away = read(path)
    assert rows == [(2, ["2", '12" dish'])]
    assert away == [1]
    assert reader.malformed.rows[0].reason == "a field goes on behind its closing quote"
    assert reader.malformed.rows[0].text == '1,"ab"cd'


def test_values_over_several_lines_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,name\n1,a\n\n2,"x\ny\nz"\n3,b\n')
    reader, rows, _ = read(path)
    assert [row[1] for _, row in rows] == ["a", "x\ny\nz", "b"]
    assert list(reader.notes) == ["2 line ends stand inside of values between quotes, the first in row 2"]


@pytest.mark.usefixtures("block")
def test_both_ways_of_reading_give_the_same(tmp_path: Path) -> None:
    """The same rows with and without a last row that only the careful reader takes."""
    chosen = random.Random(5)
    pieces = ["", '""', "7", "é", '"a,b"', '"c""d"', '"e\nf"']
    lines = [",".join(chosen.choice(pieces) for _ in range(chosen.choice([3, 3, 3, 2, 4]))) for _ in range(60)]
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n" + "\n".join(lines) + "\n")
    plain, rows, away = read(path)
    path.write_text("a,b,c\n" + "\n".join(lines) + '\n1,2,5" x\n')
    careful, more, away_too = read(path)
    assert (plain.total_rows, careful.total_rows) == (60, None)
    assert more == [*rows, (61, ["1", "2", '5" x'])]
    assert away == away_too


@pytest.mark.parametrize(
    "squeeze", [bytes, gzip.compress, bz2.compress, lzma.compress, lambda b: bytes(pa.compress(b, "zstd"))]
)
def test_compressed_files_are_known_by_their_bytes(tmp_path: Path, squeeze: object) -> None:
    text = "n,t\n" + "".join(f"{number},x\n" for number in range(5000))
    path = tmp_path / "a.csv"
    whole = squeeze(text.encode())  # type: ignore[operator]
    path.write_bytes(whole)
    assert len(read(path)[1]) == 5000
    if squeeze is not bytes:
        path.write_bytes(whole[:-3])
        with pytest.raises(ContributionError, match="cannot be read as csv"):
            read(path)


def test_what_is_not_utf8_rejects_its_row_or_is_read_by_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id,name\n1,ok\n2,étoile\n".encode("latin-1"))
    reader = open_reader(path, InputFormat.CSV, InputOptions())
    (batch,) = reader.batches(reader.names)
    (entry,) = batch.rejected
    assert (entry.places.tolist(), entry.column) == ([1], "name")
    assert "not UTF-8 text; --encoding" in entry.reason
    assert read(path, encoding="latin-1")[1][1] == (2, ["2", "étoile"])
    with pytest.raises(UserError, match='"klingon" is no encoding of text'):
        read(path, encoding="klingon")
    path.write_text("id,name\n1,étoile\n", encoding="utf-16")
    with pytest.raises(ContributionError, match="is UTF-16 text"):
        read(path)
    assert read(path, encoding="utf-16")[1] == [(1, ["1", "étoile"])]
    path.write_bytes(b"id,name\n1,\x81\n")
    with pytest.raises(ContributionError, match="is not cp1252 text") as caught:
        read(path, encoding="cp1252")
    assert caught.value.detail.startswith("line 2: ")


def test_a_long_field_takes_little_memory(tmp_path: Path) -> None:
    """One field of 5 MiB between quotes, read field by field; it took a gigabyte."""
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,5" x\n2,"' + "ab " * (5 << 20 >> 2) + '"\n')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = read(path)[1]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10
    assert [len(str(row[1])) for _, row in rows] == [4, 3 * (5 << 20 >> 2)]


def test_lines_that_are_no_rows_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MOST_MALFORMED", 10)
    path = tmp_path / "a.csv"
    for odd in ("", '3,5" x\n'):
        path.write_text("a,b\n" + odd + "1\n" * 10)
        assert len(read(path)[2]) == 10
        path.write_text("a,b\n" + odd + "1\n" * 11)
        with pytest.raises(ContributionError, match="has more than 10 rows of another width"):
            read(path)


@pytest.mark.parametrize("text", ["1,10.5,2e3\n2,3,4\n", "#id,ra,dec\n1,10.5,-41\n2,3,4\n", "#id,name\n1,abc\n"])
def test_a_row_is_not_taken_for_the_names(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ContributionError, match="has a row where the names") as caught:
        read(path)
    assert ("remove the #" in caught.value.hint) == text.startswith("#")


@pytest.mark.parametrize("option", [{"hdu": 1}, {"table_name": "x"}])
def test_options_that_say_nothing_about_a_format(tmp_path: Path, option: dict[str, object]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    with pytest.raises(UserError, match="says nothing about a file of the format csv"):
        read(path, **option)


def test_remarks_before_the_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("# made by hand\n#id,name\n\nid,name\n1,#2\n")
    assert read(path)[1] == [(1, ["1", "#2"])]
    path.write_text("#id,name\n")
    with pytest.raises(ContributionError) as caught:
        read(path)
    assert "remove the # of that line" in caught.value.hint


@pytest.mark.parametrize("delimiter", [" ", ","])
def test_ecsv_of_astropy(tmp_path: Path, delimiter: str) -> None:
    table = Table({"id": [1, 2], "mag": MaskedColumn([1.5, 2.5], mask=[True, False], unit="mag"), "t": ["", "b c"]})
    table.meta["note"] = {"made": "here"}
    path = tmp_path / "a.ecsv"
    table.write(path, format="ascii.ecsv", delimiter=delimiter)
    reader, rows, away = read(path)
    assert rows == [(1, ["1", None, None]), (2, ["2", "2.5", "b c"])]
    assert np.ma.is_masked(Table.read(path, format="ascii.ecsv")["t"][0])
    assert not away
    assert reader.described["mag"]["unit"] == "mag"


ASTROPY = Path(astropy.__file__).parent
FOREIGN = sorted(
    path
    for path in ASTROPY.rglob("tests/data/**/*")
    if path.is_file()
    and path.suffix in {".csv", ".ecsv", ".txt", ".dat", ".tab", ".tsv", ".rdb", ".cdf", ".gz", ".bz2", ".xz"}
)
"""Tables of texts (and other files) that the tests of astropy's wheel read."""


def plain_text(path: Path) -> str | None:
    with open_decompressed(path) as stream:
        try:
            return stream.read().decode().removeprefix("\ufeff")
        except UnicodeDecodeError:
            return None


@pytest.mark.parametrize("delimiter", [",", " ", "\t", "|"])
def test_foreign_files_have_as_many_records_as_python_finds(delimiter: str) -> None:
    """Rows read and turned away are those of Python's reader; or the file is refused in our own words."""
    compared, refused, unclear = 0, 0, list[str]()
    for path in FOREIGN:
        try:
            _, rows, away = read(path, delimiter=delimiter)
        except ContributionError as error:
            refused += 1
            unclear += [error.message] if "cannot be read as csv" in error.message else []
            continue
        lines = iter((plain_text(path) or "").splitlines(keepends=True))
        text = "".join(dropwhile(lambda line: line.startswith("#") or not line.strip("\r\n"), lines))
        try:
            expected = [
                row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row
            ]
        except csv.Error:
            assert away
            continue
        assert len(rows) + len(away) == len(expected) - 1, path
        width = len(expected[0])
        fit = [["" if value is None else value for value in row] for _, row in rows]
        assert fit == [row for row in expected[1:] if len(row) == width], path
        compared += 1
    assert len(FOREIGN) > 80
    assert compared > 40
    assert refused < 50
    assert not unclear


@pytest.mark.parametrize("path", [path for path in FOREIGN if path.suffix in {".csv", ".ecsv"}], ids=lambda p: p.name)
def test_tables_of_astropy_are_read_as_astropy_reads_them(path: Path) -> None:
    if path.name == "simple_csv_missing.csv":  # astropy fills up a line that is too short
        assert read(path)[2] == [1]
        return
    table = Table.read(path, format=f"ascii.{path.suffix[1:]}")
    opened = open_reader(path, InputFormat.CSV, InputOptions())
    reader, rows, away = read(path, names=list(opened.types))
    assert not away
    assert len(rows) == len(table)
    assert set(table.colnames) <= set(reader.names)
    for name in table.colnames:
        column = table[name]
        if column.dtype.kind not in "iufU" or column.ndim > 1 or f"{name}.mask" in reader.names:
            assert name not in reader.types or column.dtype.kind in "bOM" or f"{name}.mask" in reader.names
            continue
        place = list(reader.types).index(name)
        for (_, row), value in zip(rows, column, strict=True):
            if np.ma.is_masked(value):
                assert row[place] is None
            else:
                assert np.array(str(row[place])).astype(column.dtype) == value or value != value
