"""What Parquet files say of their columns, as astropy, the Butler and our own answers write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.table import QTable, Table
from lsst.daf.butler.formatters.parquet import astropy_to_arrow
from support.answers import column, written
from support.schemas import small_database

from qserv_py.catalog.types import DataType
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.csv.reader import CsvReader
from qserv_py.ingest.files.parquet import ParquetReader
from qserv_py.ingest.requests import InputOptions
from qserv_py.ingest.values.row_converter import RowConverter

RA, DEC = np.array([0.1, 3.0, 6.2]) * units.rad, np.array([-1.5, 0.0, 1.5]) * units.rad


def sky() -> QTable:
    table = QTable({"objectId": [1, 2, 3], "ra": RA, "dec": DEC, "gFlux": [1.0, 2.0, 3.0] * units.nJy})
    table["ra"].info.description = "where it is"
    table["ra"].info.meta = {"ucd": "pos.eq.ra;meta.main"}
    return table


def degrees(directory: Path, path: Path) -> tuple[list[list[float]], list[str]]:
    """Return right ascensions and declinations as an ingest takes them from a file, and what it says of it."""
    table = small_database(directory).table("Object")
    reader = ParquetReader(path)
    names = [name for name in reader.names if name in {"objectId", "ra", "dec", "gFlux"}]
    converter = RowConverter(path, names, table, InputOptions(), told=reader.described)
    [batch] = reader.batches(names)
    columns = converter.convert(batch.rows).columns
    return [columns[name].to_pylist() for name in ("ra", "dec")], converter.notes()


def test_units_of_astropy_s_tables(tmp_path: Path) -> None:
    path = tmp_path / "sky.parquet"
    sky().write(path, format="parquet")
    found, notes = degrees(tmp_path, path)
    back = QTable.read(path, format="parquet")
    for values, name in zip(found, ("ra", "dec"), strict=True):
        np.testing.assert_allclose(values, back[name].to_value("deg"), rtol=1e-15)
    assert notes == [f'column "{name}" was converted from rad to degrees' for name in ("ra", "dec")]
    described = ParquetReader(path).described
    assert described["ra"] == {"unit": "rad", "description": "where it is", "ucd": "pos.eq.ra;meta.main"}
    assert described["gFlux"] == {"unit": "nJy"}


def test_units_of_the_votable_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sky.parquet"
    keys = ("unit", "ucd", "utype")
    told = {name: dict.fromkeys(keys, "") for name in sky().colnames}
    told["ra"] |= {"unit": "rad", "ucd": "pos.eq.ra"}
    told["dec"] |= {"unit": "rad"}
    plain = Table({name: np.asarray(sky()[name]) for name in sky().colnames})
    plain.write(path, format="parquet.votable", metadata=told)
    found, _ = degrees(tmp_path, path)
    np.testing.assert_allclose(found, [RA.to_value("deg"), DEC.to_value("deg")], rtol=1e-15)
    assert ParquetReader(path).described["ra"] == {"unit": "rad", "ucd": "pos.eq.ra"}


def test_our_own_answers_without_the_metadata_of_fields(tmp_path: Path) -> None:
    """DuckDB and others keep the keys of the footer, not Arrow's fields."""
    columns = (
        column("ra", DataType.DOUBLE, unit="arcsec", ucd="pos.eq.ra"),
        column("dec", DataType.DOUBLE, unit="arcsec", description="a < b"),
    )
    (tmp_path / "own.parquet").write_bytes(written("parquet", columns, [(3600.0, 7200.0)]))
    own = pq.read_table(tmp_path / "own.parquet")
    stored = pq.ParquetFile(tmp_path / "own.parquet").metadata.metadata
    bare = pa.table({name: own[name] for name in own.column_names})
    with pq.ParquetWriter(tmp_path / "bare.parquet", bare.schema) as writer:
        writer.write_table(bare)
        writer.add_key_value_metadata({key: text for key, text in stored.items() if key != b"ARROW:schema"})
    for name in ("own", "bare"):
        described = ParquetReader(tmp_path / f"{name}.parquet").described
        assert described == {
            "ra": {"unit": "arcsec", "ucd": "pos.eq.ra"},
            "dec": {"unit": "arcsec", "description": "a < b"},
        }


def test_an_answer_that_was_cut_off_is_told_as_such(tmp_path: Path) -> None:
    columns = (column("ra", DataType.DOUBLE, unit="deg"),)
    for is_cut, notes in ((True, ["the file holds only a part of its answer: "]), (False, [])):
        (tmp_path / "own.parquet").write_bytes(written("parquet", columns, [(1.0,)], is_cut=is_cut))
        assert [note[:42] for note in ParquetReader(tmp_path / "own.parquet").notes] == notes
    failed = b"<VOTABLE><RESOURCE><INFO name='QUERY_STATUS' value='ERROR'>no rows</INFO></RESOURCE></VOTABLE>"
    with pytest.raises(ContributionError, match="is the answer to a query that failed"):
        ParquetReader(with_key(tmp_path, "IVOA.VOTable-Parquet.content", failed))


def test_units_of_the_butler(tmp_path: Path) -> None:
    pq.write_table(astropy_to_arrow(Table(sky())), tmp_path / "sky.parquet")
    found, _ = degrees(tmp_path, tmp_path / "sky.parquet")
    np.testing.assert_allclose(found, [RA.to_value("deg"), DEC.to_value("deg")], rtol=1e-15)
    assert ParquetReader(tmp_path / "sky.parquet").described["ra"]["description"] == "where it is"


def with_key(directory: Path, key: str, text: bytes, unit: str = "") -> Path:
    fields = [pa.field(name, pa.float64(), metadata={"unit": unit} if unit else None) for name in ("ra", "dec")]
    table = pa.table([[1.0], [1.0]], schema=pa.schema(fields, metadata={key: text}))
    pq.write_table(table, directory / "x.parquet")
    return directory / "x.parquet"


LAUGHS = b"a: &a [x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b", ".join([b"*%c" % (letter - 1)] * 9)) for letter in range(98, 113)
)
"""Nine to the power of fifteen texts, if they were written out."""


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("table_meta_yaml", b"datatype: [", r"x.parquet: table_meta_yaml, which describes its columns, is not YAML"),
        ("table_meta_yaml", b"[" * 50_000, "is not YAML"),
        ("table_meta_yaml", b"- " * 50_000, "is not YAML"),
        ("table_meta_yaml", b"a: &a {b: *a}", "is not YAML"),
        ("table_meta_yaml", b"#" * (1 << 23), "has 8388608 characters; at most 4194304 are read"),
        (
            "IVOA.VOTable-Parquet.content",
            b"<VOTABLE>",
            "x.parquet: IVOA.VOTable-Parquet.content is not well-formed XML",
        ),
        ("IVOA.VOTable-Parquet.content", b"", "is not well-formed XML"),
        ("IVOA.VOTable-Parquet.content", b" " * ((1 << 24) + 1), "has 16777217 bytes; at most 16777216 are read"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_descriptions_that_cannot_be_read(tmp_path: Path, key: str, text: bytes, message: str) -> None:
    with pytest.raises(ContributionError, match=message):
        ParquetReader(with_key(tmp_path, key, text))


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS + b"datatype: [{name: ra, unit: rad, description: *p}]",
        b"datatype: [{name: ra, unit: !astropy.units.Unit {unit: rad}, description: 2020-99-99}]".replace(
            b"2020-99-99", b"~"
        ),
        b"datatype: [{name: ra, unit: rad, description: !!python/object/apply:os.abort []}, {name: [1]}, 7]",
        b"datatype: [{name: ra, unit: rad, subtype: " + b" " * 5 + b"}]",
        b"datatype: [{name: ra, meta: !!omap [{unit: rad}, {7: 8}, 9]}]",
    ],
)
def test_values_in_yaml_are_only_texts(tmp_path: Path, text: bytes) -> None:
    assert ParquetReader(with_key(tmp_path, "table_meta_yaml", text)).described["ra"] == {"unit": "rad"}


def test_two_units_of_one_column_are_refused(tmp_path: Path) -> None:
    yaml = b"datatype: [{name: ra, unit: rad}, {name: dec, unit: degree}]"
    with pytest.raises(
        ContributionError, match='column "ra" of .*x.parquet is in two units: "deg" by the field of Arrow'
    ):
        ParquetReader(with_key(tmp_path, "table_meta_yaml", yaml, unit="deg"))
    described = ParquetReader(with_key(tmp_path, "table_meta_yaml", yaml.replace(b"rad", b"deg"), unit="deg")).described
    assert described == {"ra": {"unit": "deg"}, "dec": {"unit": "deg"}}


def test_an_ecsv_file_says_the_same(tmp_path: Path) -> None:
    table = sky()
    table.write(tmp_path / "sky.ecsv", format="ascii.ecsv")
    table.write(tmp_path / "sky.parquet", format="parquet")
    told = CsvReader(tmp_path / "sky.ecsv", InputOptions()).described
    ecsv = {name: {key: text for key, text in about.items() if key != "datatype"} for name, about in told.items()}
    assert ecsv == ParquetReader(tmp_path / "sky.parquet").described
    assert {name: about["datatype"] for name, about in told.items()} == {"objectId": "int64"} | dict.fromkeys(
        ("ra", "dec", "gFlux"), "float64"
    )
    (tmp_path / "laughs.ecsv").write_bytes(
        b"".join(b"# %s\n" % line for line in [b"%ECSV 1.0", b"---", *LAUGHS.splitlines()])
        + b"# datatype: [{name: ra, description: *p}]\nra\n1\n"
    )
    assert CsvReader(tmp_path / "laughs.ecsv", InputOptions()).described["ra"] == {}
