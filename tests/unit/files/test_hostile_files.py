"""Files that were made to be read wrongly, or to take what a reader has; each was seen to do so once."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from qserv_py.catalog.model import HEALPIX_COLUMN, Column, DirectorTable, Position
from qserv_py.catalog.types import DataType
from qserv_py.errors import ContributionError, NotFoundError
from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.files.votable import elements
from qserv_py.ingest.requests import InputFormat, InputOptions, format_of
from qserv_py.ingest.values.conversion import convert_column
from qserv_py.ingest.values.row_converter import RowConverter

TYPES = {"id": DataType.STRING, "ra": DataType.DOUBLE, "dec": DataType.DOUBLE}


def read(path: Path, **types: DataType) -> tuple[dict[str, list[object]], dict[int, str], int]:
    """Return the columns in the types asked for, the reasons of rejected rows, and how many rows were malformed."""
    reader = open_reader(path, format_of(path, InputOptions()), InputOptions())
    values: dict[str, list[object]] = {name: [] for name in types}
    reasons: dict[int, str] = {}
    for batch in reader.batches(list(types)):
        reasons |= {int(batch.numbers[place]): entry.reason for entry in batch.rejected for place in entry.places}
        for name, datatype in types.items():
            column = convert_column(batch.rows.column(name), Column(name=name, physical=name, datatype=datatype))
            values[name] += column.values.to_pylist()
            for misfits in column.misfits:
                reasons |= {int(batch.numbers[place]): misfits.reason for place in np.flatnonzero(misfits.where)}
    return values, reasons, len(reader.malformed.rows)


def test_parquet_texts_that_only_say_that_they_are_utf8(tmp_path: Path) -> None:
    """The registry committed them, PostgreSQL refused them, and nothing could be loaded ever after."""
    path = tmp_path / "a.parquet"
    bad = pa.array([b"ok", b"caf\xe9", None]).view(pa.string())
    pq.write_table(pa.table({"t": bad}), path)
    assert read(path, t=DataType.TEXT) == ({"t": ["ok", None, None]}, {2: "not UTF-8 text"}, 0)
    pq.write_table(pa.table({"t": pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), bad.slice(0, 2))}), path)
    with pytest.raises(ContributionError, match="cannot be read as parquet"):
        read(path, t=DataType.TEXT)


def test_ids_that_no_index_can_hold() -> None:
    """PostgreSQL refused the committed rows, and nothing could be loaded ever after."""
    columns = [Column(name=name, physical=name, datatype=kind) for name, kind in TYPES.items()]
    ra, dec = Position(column="ra"), Position(column="dec")
    columns.append(Column(name=HEALPIX_COLUMN, physical=HEALPIX_COLUMN, datatype=DataType.LONG, hidden=True))
    table = DirectorTable(database="d", name="T", physical="t", columns=tuple(columns), id="id", ra=ra, dec=dec)
    rows = pa.record_batch({"id": ["a" * 2600, "\u661f" * 900], "ra": [1.0, 2.0], "dec": [1.0, 2.0]})
    converted = RowConverter("a file", rows.schema.names, table, InputOptions()).convert(rows)
    (entry,) = converted.rejected
    assert entry.places.tolist() == [1]
    assert entry.reason == "longer than 2600 bytes, in a column that has an index"


def test_timestamps_of_12_bytes_beyond_nanoseconds(tmp_path: Path) -> None:
    """Read as nanoseconds 9999 was 1816."""
    path = tmp_path / "a.parquet"
    times = pa.array(["9999-12-31T00:00:00", "1500-01-01T00:00:00", "2024-01-01T12:00:00"]).cast(pa.timestamp("us"))
    pq.write_table(pa.table({"t": times}), path, use_deprecated_int96_timestamps=True)
    assert read(path, t=DataType.TIMESTAMP)[0]["t"] == times.to_pylist()


def test_nan_in_a_column_of_texts_is_null(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"t": [1.5, np.nan]}), path)
    assert read(path, t=DataType.TEXT)[0]["t"] == ["1.5", None]


def test_half_floats_that_are_no_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"t": pa.array([2.0, 2.5], pa.float16())}), path)
    assert read(path, t=DataType.INT) == ({"t": [2, None]}, {2: "not a whole number"}, 0)


def test_a_csv_file_that_ends_with_its_delimiter(tmp_path: Path) -> None:
    """pyarrow took the last field for an empty text."""
    path = tmp_path / "a.csv"
    path.write_text('a,b\n"x",\n"y",')
    assert read(path, b=DataType.TEXT)[0]["b"] == [None, None]
    assert read(path, b=DataType.INT) == ({"b": [None, None]}, {}, 0)


def test_a_mark_of_byte_order_in_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n\ufeffx,1\n\ufeffx,2\n", encoding="utf-8")
    assert read(path, a=DataType.TEXT)[0]["a"] == ["\ufeffx", "\ufeffx"]


def test_a_row_of_another_width_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n3,caf\xe9,5\n6,7\n")
    values, reasons, malformed = read(path, a=DataType.INT)
    assert (values["a"], reasons, malformed) == ([1, 6], {}, 1)


def test_aliases_in_the_header_of_ecsv(tmp_path: Path) -> None:
    """485 bytes of these took ten gigabytes."""
    path = tmp_path / "a.ecsv"
    levels = "".join(f"# - &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    path.write_text(
        f"# %ECSV 1.0\n# ---\n# x:\n# - &a0 lol\n{levels}"
        "# datatype:\n# - {name: a, datatype: int64, unit: *a9}\na\n1\n"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read(path, a=DataType.INT)[0]["a"] == [1]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


@pytest.mark.parametrize("kind", ["csv", "vot"])
def test_more_columns_than_a_table_can_have(tmp_path: Path, kind: str) -> None:
    """100,000 of them kept a service busy for minutes."""
    names = [f"c{number}" for number in range(20_000)]
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        path.write_text(",".join(names) + "\n")
    else:
        fields = "".join(f'<FIELD name="{name}" datatype="int"/>' for name in names)
        path.write_text(f"<VOTABLE><RESOURCE><TABLE>{fields}<DATA><TABLEDATA/></DATA></TABLE></RESOURCE></VOTABLE>")
    with pytest.raises(ContributionError, match="has 20,000 columns, at most 10000 are read"):
        open_reader(path, format_of(path, InputOptions()), InputOptions())


def test_a_cell_with_an_element_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.vot"
    rows = "<TR><TD>a<b>x</b>c</TD></TR><TR><TD>d</TD></TR>"
    field = '<FIELD name="t" datatype="char" arraysize="*"/>'
    path.write_text(
        f"<VOTABLE><RESOURCE><TABLE>{field}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )
    values, reasons, _ = read(path, t=DataType.TEXT)
    assert (values["t"], list(reasons)) == ([None, "d"], [1])
    assert "with elements in it" in reasons[1]


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    for path in (tmp_path / ("x" * 300), tmp_path / "no" / "such"):
        with pytest.raises((ContributionError, NotFoundError)) as caught:
            open_reader(path, InputFormat.CSV, InputOptions())
        assert os.fspath(path) in caught.value.message


def test_a_row_of_a_votable_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell of 600 MB, in a packed file of 2.7 MB, took 2.2 GB."""
    monkeypatch.setattr(elements, "_LONGEST_ROW", 1 << 24)
    path = tmp_path / "a.vot"
    field = '<FIELD name="t" datatype="char" arraysize="*"/>'
    head = f"<VOTABLE><RESOURCE><TABLE>{field}<DATA><TABLEDATA><TR><TD>"
    path.write_text(head + "x" * (20 << 20) + "</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>")
    with pytest.raises(ContributionError, match="holds a row of more than 16777216 characters: line 1"):
        read(path, t=DataType.TEXT)


def test_zero_bytes_in_numbers_of_an_ascii_table(tmp_path: Path) -> None:
    r"""``\0   12`` was 0."""
    path = tmp_path / "a.fits"
    column = fits.Column(name="n", format="I6", array=np.array([12, 34]), ascii=True)
    fits.TableHDU.from_columns([column]).writeto(path)
    path.write_bytes(path.read_bytes().replace(b"    12", b"\0   12"))
    assert read(path, n=DataType.INT) == ({"n": [None, 34]}, {1: "a number with a zero byte"}, 0)
