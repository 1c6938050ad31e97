"""Input files: rows with their numbers, columns by name, clear words for what is wrong."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn
from astropy.table import Table as AstropyTable

from qserv_py.catalog.model import Column, DirectorTable, Position, PositionFormat
from qserv_py.catalog.types import DataType
from qserv_py.errors import ContributionError, NotFoundError, UserError
from qserv_py.ingest.files import reader as readers
from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.files.reader import Reader
from qserv_py.ingest.requests import InputFormat, InputOptions, format_of
from qserv_py.ingest.values.row_converter import RowConverter, match_columns


def read(path: Path, **options: object) -> tuple[Reader, list[int], list[dict[str, object]]]:
    chosen = InputOptions(**options)  # type: ignore[arg-type]
    reader = open_reader(path, format_of(path, chosen), chosen)
    numbers, rows = [], []
    for batch in reader.batches(reader.names):
        numbers += batch.numbers.tolist()
        rows += batch.rows.to_pylist()
    return reader, numbers, rows


def test_csv_with_what_people_write(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfa;b \n1;x\n2;"y;\n""z"""\n;""\nonly\n5;NA;6\n6;z\n')
    reader, numbers, rows = read(path, delimiter=";")
    assert reader.names == ("a", "b")
    assert rows == [{"a": "1", "b": "x"}, {"a": "2", "b": 'y;\n"z"'}, {"a": None, "b": ""}, {"a": "6", "b": "z"}]
    assert numbers == [1, 2, 3, 6]
    assert [(row.number, row.reason) for row in reader.malformed.rows] == [
        (4, "the line has 1 fields, the header 2"),
        (5, "the line has 3 fields, the header 2"),
    ]


def test_csv_row_numbers_over_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qserv_py.ingest.files.csv.reader.LONGEST_RECORD", 64)
    lines = [f"{number},x" if number % 7 else "broken" for number in range(1, 500)]
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(("n,t\n" + "\n".join(lines) + "\n").encode()))
    reader, numbers, rows = read(path)
    assert numbers == [int(str(row["n"])) for row in rows] == [n for n in range(1, 500) if n % 7]
    assert [row.number for row in reader.malformed.rows] == list(range(7, 500, 7))


def test_csv_null_text_and_tabs(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\n\\N\t\n")
    assert read(path, null="\\N")[2] == [{"a": None, "b": ""}]
    path.write_text("a|b\n1|2\n")
    assert read(path, delimiter="|")[2] == [{"a": "1", "b": "2"}]


def test_parquet_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "ROWS_IN_BATCH", 10)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": range(35), "t": ["x"] * 35}), path, row_group_size=20)
    reader, numbers, rows = read(path)
    assert reader.total_rows == 35
    assert numbers == list(range(1, 36))
    assert [row["n"] for row in rows] == list(range(35))


def astropy_table() -> AstropyTable:
    return AstropyTable(
        {
            "i": MaskedColumn(np.array([1, 2, 3], dtype=np.int32), mask=[False, True, False]),
            "f": np.array([1.5, np.nan, 2.5], dtype=np.float32),
            "b": np.array([True, False, True]),
            "t": np.array(["ab", "", "é"]),
        }
    )


@pytest.mark.parametrize("suffix", ["vot"])
def test_astronomical_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    table = astropy_table()
    if suffix == "fits":
        table.replace_column("t", np.array(["ab", "", "e"]))
        table["i"].fill_value = -1
        table["i"] = table["i"].filled()
    table.write(path, format="votable" if suffix == "vot" else "fits")
    reader, numbers, rows = read(path)
    assert reader.names == ("i", "f", "b", "t")
    assert numbers == [1, 2, 3]
    assert [row["i"] for row in rows] == ([1, None, 3] if suffix == "vot" else [1, -1, 3])
    assert [row["f"] if row["f"] == row["f"] else None for row in rows] == [1.5, None, 2.5]
    assert [row["b"] for row in rows] == [True, False, True]
    assert [row["t"] for row in rows] == (["ab", None, "é"] if suffix == "vot" else ["ab", "", "e"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"PAR0", r"a\.parquet cannot be read as parquet"),
        ("a.fits", b"SIMPLE", r"a\.fits is no FITS file"),
        ("a.vot", b"<VOTABLE/>", "a.vot"),
        ("a.csv", b"", r"a\.csv is empty"),
        ("a.csv", b"a,b,a\n", 'names column "a" more than once'),
        ("a.csv", b"\xff\n1\n", r"a\.csv: the column names are not UTF-8 text"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_broken_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ContributionError, match=message):
        read(tmp_path / name)


def test_missing_files_and_unknown_formats(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        read(tmp_path / "a.csv")
    with pytest.raises(NotFoundError) as caught:
        read(Path("https://example.org/a.csv"))
    assert caught.value.hint == "URLs are not read; fetch the file first."
    with pytest.raises(ContributionError, match="is a directory"):
        open_reader(tmp_path, InputFormat.CSV, InputOptions())
    with pytest.raises(UserError, match=r"the format of .*a\.dat cannot be told"):
        format_of(tmp_path / "a.dat", InputOptions())
    assert format_of(Path("x.csv.gz"), InputOptions()) is InputFormat.CSV
    (tmp_path / "a.csv").write_text("a\n")
    with pytest.raises(UserError, match='"ab" is no delimiter'):
        read(tmp_path / "a.csv", delimiter="ab")


def director(format: PositionFormat = PositionFormat.DEGREES) -> DirectorTable:
    def column(name: str, datatype: DataType, **further: object) -> Column:
        return Column(name=name, physical=name.lower(), datatype=datatype, **further)  # type: ignore[arg-type]

    return DirectorTable(
        database="d",
        name="T",
        physical="t",
        columns=(
            column("Id", DataType.LONG, nullable=False),
            column("ra", DataType.DOUBLE),
            column("dec", DataType.DOUBLE),
            column("note", DataType.STRING),
            column("healpix29", DataType.LONG, nullable=False, hidden=True),
        ),
        id="Id",
        ra=Position(column="ra", format=format),
        dec=Position(column="dec"),
    )


PATH = Path("in.csv")


def test_columns_are_matched_whatever_their_case() -> None:
    found = match_columns(PATH, ["ID", "RA", "dec", "x"], director(), ignore_extra=True)
    assert found == {"Id": "ID", "ra": "RA", "dec": "dec"}
    both = match_columns(PATH, ["Id", "id", "ra", "dec"], director(), ignore_extra=True)
    assert both["Id"] == "Id"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Id", "ra", "dec", "nota"], 'in.csv has a column "nota" that table "d.T" does not have.*Did you mean "note"'),
        (["Id", "ra", "dec", "healpix29"], 'has a column "healpix29"'),
        (["Id;ra;" + 40 * "x"], r'"Id;ra;x+\.\.\." that .*only column of the file\. Is --delimiter \';\' missing'),
        (["Id", "ra", "dec", "a", "b"], 'has a column "a" and 1 more'),
        (["ra", "dec"], 'has no column "Id", which table "d.T" needs in every row'),
        (["Id", "dec"], 'has no column "ra"'),
        (["ID", "iD", "ra", "dec"], 'columns "ID" and "iD" of in.csv both mean "Id"'),
    ],
)
def test_columns_that_do_not_match(names: list[str], message: str) -> None:
    with pytest.raises(ContributionError) as caught:
        match_columns(PATH, names, director(), ignore_extra=False)
    assert re.search(message, caught.value.render(), re.DOTALL)


@pytest.mark.parametrize(
    ("names", "ucds", "hint"),
    [
        (["Id", "raj2000", "dej2000", "radius"], {}, 'Did you mean "raj2000"? The file has "Id", "raj2000", '),
        (["Id", "ra", "_DEJ2000", "delta_mag"], {}, 'Did you mean "_DEJ2000"? The file has'),
        (["Id", "ALPHA_J2000", "dec"], {}, 'Did you mean "ALPHA_J2000"?'),
        (["Id", "x", "y"], {"x": "pos.eq.ra;meta.main", "y": "pos.eq.dec;meta.main"}, 'Did you mean "x"?'),
        (["Id", "raj2000", "best"], {"best": "POS_EQ_RA_MAIN", "raj2000": "POS_EQ_RA"}, 'Did you mean "best"?'),
        (["Id", "wrong", "dec"], {"wrong": "stat.error;pos.eq.ra;meta.main"}, 'The file has "Id", "wrong", "dec".'),
        (["Id", "raj2000", "RAJ2000", "_RA", "ra_deg"], {}, 'Did you mean "raj2000" or "RAJ2000" or "_RA"?'),
        (["Idd", "ra", "dec"], {}, 'Did you mean "Idd"?'),
        (["flux", "ra", "dec"], {}, 'The file has "flux", "ra", "dec".'),
    ],
)
def test_columns_that_may_be_meant(names: list[str], ucds: dict[str, str], hint: str) -> None:
    told = {name: {"ucd": ucd} for name, ucd in ucds.items()}
    with pytest.raises(ContributionError, match='has no column "(ra|dec|Id)"') as caught:
        match_columns(PATH, names, director(), ignore_extra=False, told=told)
    assert caught.value.hint.startswith(hint)


def test_positions_are_checked() -> None:
    rows = pa.record_batch(
        {
            "Id": ["1", "2", "3", "4", "5", "6"],
            "ra": ["1", "", "nan", "360", "-1", "2"],
            "dec": ["1", "1", "1", "1", "90.5", "-90"],
        }
    )
    rows = rows.set_column(1, "ra", pa.array(["1", None, "nan", "360", "-1", "2"]))
    converted = RowConverter(PATH, rows.schema.names, director(), InputOptions()).convert(rows)
    why = {
        (place, rejected.column): rejected.reason
        for rejected in converted.rejected
        for place in rejected.places.tolist()
    }
    assert why == {
        (1, "ra"): "position is missing",
        (2, "ra"): "position is missing",
        (3, "ra"): "right ascension is not in [0, 360) degrees",
        (4, "ra"): "right ascension is not in [0, 360) degrees",
        (4, "dec"): "declination is not in [-90, 90]",
    }
    assert converted.columns["note"].null_count == 6


def test_sexagesimal_columns_must_be_text() -> None:
    rows = pa.record_batch({"Id": [1], "ra": [1.0], "dec": [1.0]})
    converter = RowConverter(PATH, rows.schema.names, director(PositionFormat.HMS), InputOptions())
    with pytest.raises(ContributionError, match=r'column "ra" of in\.csv holds double, the partition file says'):
        converter.convert(rows)
