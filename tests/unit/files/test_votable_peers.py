"""VOTables that others wrote, read by us and by astropy: files of astropy's own tests, of astropy, of stilts."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import Any

import astropy
import astroquery
import numpy as np
import pytest
import pyvo
from astropy.io.votable import from_table, parse
from astropy.table import MaskedColumn, Table
from support.votables import ReadTable, astropy_tables, differences, read_votable

from qserv_py.errors import ContributionError

PLACE = Path(astropy.__file__).parent

EQUAL = "equal"
VOTABLE = "io/votable/tests/data"
OUTCOMES: dict[str, str | list[str]] = {
    "io/misc/tests/data/gaia_source_dr3_select_1_result.vot": EQUAL,
    f"{VOTABLE}/binary2_masked_strings.xml": EQUAL,
    f"{VOTABLE}/binary2_variable_length_char.xml": EQUAL,
    f"{VOTABLE}/coosys.xml": EQUAL,
    f"{VOTABLE}/empty_table.xml": EQUAL,
    f"{VOTABLE}/gemini.xml": EQUAL,
    f"{VOTABLE}/irsa-nph-error.xml": "holds no table: Either wrong or missing coordinate/object name.",
    f"{VOTABLE}/irsa-nph-m31.xml": EQUAL,
    f"{VOTABLE}/mivot_annotated_table.xml": EQUAL,
    f"{VOTABLE}/names.xml": "has 18949 rows, 1 could be read",
    f"{VOTABLE}/no_field_not_empty_table.xml": "has no columns",
    f"{VOTABLE}/no_resource.xml": "holds no table",
    f"{VOTABLE}/nonstandard_units.xml": EQUAL,
    f"{VOTABLE}/regression.bin.tabledata.truth.1.1.xml": [EQUAL, EQUAL],
    f"{VOTABLE}/regression.bin.tabledata.truth.1.3.xml": [EQUAL, EQUAL],
    f"{VOTABLE}/regression.xml": [EQUAL, EQUAL, EQUAL],
    f"{VOTABLE}/resource_groups.xml": "holds no table",
    f"{VOTABLE}/test.order.xml": ["has no columns"] * 3,
    f"{VOTABLE}/timesys.xml": EQUAL,
    f"{VOTABLE}/valid_votable.xml": EQUAL,
    f"{VOTABLE}/vizier_b2_votable.xml": EQUAL,
    # What astropy itself refuses.
    f"{VOTABLE}/custom_datatype.xml": "has no column that can be read",
    f"{VOTABLE}/mivot_block_custom_datatype.xml": 'is XML, but no VOTable: Its first element is "VODML".',
    f"{VOTABLE}/parquet_binary.xml": 'lie elsewhere: "file:parquet_binary.xml.parquet"',
    f"{VOTABLE}/timesys_errors.xml": "one row of four columns",
    f"{VOTABLE}/too_many_columns.xml.gz": "row 1 has 45 cells, the table 41 columns",
    "samp/data/clientaccesspolicy.xml": "is XML, but no VOTable",
    "samp/data/crossdomain.xml": "is XML, but no VOTable",
}

DIFFERENT: dict[tuple[str, int], dict[tuple[int, str], tuple[Any, Any]]] = {
    # Empty cells of whole numbers: NULL to us in every version, 0 to astropy before 1.3.
    (f"{VOTABLE}/gemini.xml", 1): {(row, "content_length"): (None, 0) for row in (2, 3, 4)},
    # astropy strips texts, cuts them to their size, clips numbers, and takes what is too large for infinite.
    (f"{VOTABLE}/regression.xml", 1): {
        (3, "string test"): ("XXXX ", "XXXX"),
        (1, "fixed string test"): ("Fixed string long test", "Fixed stri"),
        (2, "fixed string test"): ("0123456789A", "0123456789"),
        (3, "fixed string test"): (" XXXX ", "XXXX"),
        (3, "unicode_test"): (" XXXX ", "XXXX"),
        (2, "unsignedByte"): (None, 255),
        (3, "unsignedByte"): (None, 0),
        (5, "unsignedByte"): (None, 255),
        (2, "short"): (None, 32767),
        (4, "short"): (None, 32767),
        (5, "short"): (None, 32767),
        (3, "double"): (None, math.inf),
        (3, "float"): (None, math.inf),
        (1, "float"): (None, 1.0),
    },
    (f"{VOTABLE}/regression.xml", 2): {
        (1, "fixed string test"): ("Fixed string long test", "Fixed stri"),
        (1, "float"): (None, 1.0),
    },
}
"""Ours and astropy's value by row and column, where they differ; ours are NULL in rows that are rejected."""


def test_every_votable_of_astropy_has_its_outcome() -> None:
    found = {path for pattern in ("*.xml", "*.vot", "*.xml.gz", "*.vot.gz") for path in PLACE.rglob(pattern)}
    assert {str(path.relative_to(PLACE)) for path in found} == set(OUTCOMES)


@pytest.mark.parametrize("name", [name for name, outcome in OUTCOMES.items() if outcome == EQUAL or EQUAL in outcome])
def test_files_that_astropy_reads(name: str) -> None:
    tables = astropy_tables(PLACE / name)
    outcomes = OUTCOMES[name] if isinstance(OUTCOMES[name], list) else [EQUAL]
    for number, (table, _) in enumerate(zip(tables, outcomes, strict=False), start=1):
        found = read_votable(PLACE / name, hdu=number)
        assert len(found.numbers) == len(table.array)
        assert not found.malformed
        differ = differences(found, table)
        expected = DIFFERENT.get((name, number), {})
        assert differ == expected
        for place, (ours, theirs) in expected.items():
            assert (ours is None and theirs != 0) <= (place in found.rejected)


@pytest.mark.parametrize(
    ("name", "outcome"), [(name, outcome) for name, outcome in OUTCOMES.items() if EQUAL not in outcome]
)
def test_files_that_are_refused(name: str, outcome: str | list[str]) -> None:
    for number, words in enumerate(outcome if isinstance(outcome, list) else [outcome], start=1):
        if words == "one row of four columns":
            assert read_votable(PLACE / name).table.shape == (1, 4)
        elif words == "has no column that can be read":
            assert read_votable(PLACE / name).table.num_columns == 0
        elif words.startswith("row "):
            (row,) = read_votable(PLACE / name).malformed
            assert words == f"row {row.number} has {row.reason.removeprefix('the row has ')}"
        else:
            with pytest.raises(ContributionError) as caught:
                read_votable(PLACE / name, hdu=number if isinstance(outcome, list) else None)
            assert words in caught.value.render().replace("\nDETAIL", "").replace('"Either', "Either").replace(
                '."', "."
            )


def test_several_tables_are_listed() -> None:
    with pytest.raises(ContributionError, match="holds 3 tables"):
        read_votable(PLACE / VOTABLE / "regression.xml")


def answers_of_archives() -> list[Path]:
    """Return the VOTables among the test data of clients: answers that some thirty archives gave them."""
    places = [Path(client.__file__).parent for client in (pyvo, astroquery)]
    paths = [path for place in places for path in place.rglob("data/**/*") if path.suffix in {".xml", ".vot", ".dat"}]
    return sorted(path for path in paths if b"<VOTABLE" in path.read_bytes()[:4000])


def read_or_refused(path: Path, number: int) -> tuple[ReadTable | None, str]:
    try:
        return read_votable(path, hdu=number), ""
    except ContributionError as error:
        return None, error.message


@pytest.mark.parametrize("path", answers_of_archives(), ids=lambda path: "/".join(path.parts[-4:]))
def test_answers_of_archives(path: Path) -> None:
    for number, table in enumerate(astropy_tables(path)[:2], start=1):
        found, said = read_or_refused(path, number)
        if found is None:
            assert re.search("query that failed|no table|no columns|no DATA|could be read$", said)
            continue
        assert len(found.numbers) + len(found.malformed) == len(table.array)
        for place, (ours, theirs) in differences(found, table).items():
            if isinstance(ours, str):  # astropy strips texts, and cuts them to their size
                assert ours.strip().startswith(theirs or ""), place
            else:  # an empty cell, before version 1.3
                assert (ours, theirs) == (None, 0), place
            assert place not in found.rejected


INF, NAN = math.inf, math.nan
SERIALIZATIONS = ["tabledata", "binary", "binary2"]
COLUMNS: dict[str, tuple[np.dtype[Any], list[Any]]] = {
    "truth": (np.dtype("?"), [True, False, True, False]),
    "byte": (np.dtype("u1"), [0, 255, 1, 128]),
    "short": (np.dtype("i2"), [-(2**15), 2**15 - 1, 0, -1]),
    "int": (np.dtype("i4"), [-(2**31), 2**31 - 1, 0, -1]),
    "long": (np.dtype("i8"), [-(2**63), 2**63 - 1, 2**53 + 1, -1]),
    "float": (np.dtype("f4"), [np.float32(0.1), np.float32(-3.4028235e38), INF, np.float32(1e-45)]),
    "double": (np.dtype("f8"), [0.1, -1.7976931348623157e308, -INF, 5e-324]),
    "ascii": (np.dtype("S6"), [b"abcdef", b"", b"a<b&c", b"x"]),
    "wide": (np.dtype("U6"), ["é λ", "", "abcdef", "x y"]),
    "any": (np.dtype("O"), ["é λ", "", "a long text, longer than others", "x"]),
}
ARRAYS = {"pair": np.arange(8.0).reshape(4, 2), "complex": np.array([1 + 2j, 3, 4, 5])}


@pytest.mark.parametrize("serialization", SERIALIZATIONS)
@pytest.mark.parametrize("masked", [None, 1, 3])
def test_every_datatype_that_astropy_writes(tmp_path: Path, serialization: str, masked: int | None) -> None:
    mask = [place == masked for place in range(4)]
    table = Table(
        {
            name: MaskedColumn(np.array(values, dtype=kind), mask=mask)
            if masked is not None
            else np.array(values, kind)
            for name, (kind, values) in COLUMNS.items()
            if not (serialization == "binary" and masked is not None and kind.kind in "iub")  # has no NULL for them
        }
        | ARRAYS
    )
    path = tmp_path / "a.vot"
    table.write(path, format="votable", tabledata_format=serialization)
    found = read_votable(path)
    assert not found.rejected
    assert list(found.reader.names) == table.colnames
    assert found.table.column_names == [name for name in table.colnames if name not in ARRAYS]
    for name in found.table.column_names:
        values = COLUMNS[name][1]
        expected = [value.decode() if isinstance(value, bytes) else value for value in values]
        if serialization == "tabledata":
            expected = [None if value == "" else value for value in expected]
        if masked is not None:
            expected[masked] = None
        got = found.column(name)
        if serialization == "binary" and masked is not None:  # a NULL is NaN, or empty, there
            got = [None if value in {"", None} or value != value else value for value in got]
            expected = [None if value == "" else value for value in expected]
        assert got == expected, name


@pytest.mark.parametrize("serialization", SERIALIZATIONS)
def test_bytes_that_astropy_writes(tmp_path: Path, serialization: str) -> None:
    varying = np.empty(3, dtype=object)
    given = [0, 255], [7], [1, 2, 3]
    varying[:] = [np.ma.array(values, dtype="u1", mask=[False] * len(values)) for values in given]
    table = Table({"fixed": np.array([[0, 255], [65, 66], [1, 2]], dtype="u1"), "varying": varying, "n": [1, 2, 3]})
    table.write(tmp_path / "a.vot", format="votable", tabledata_format=serialization)
    found = read_votable(tmp_path / "a.vot")
    assert found.rows() == [(b"\0\xff", b"\0\xff", 1), (b"AB", b"\7", 2), (b"\1\2", b"\1\2\3", 3)]


def test_nan_of_astropy(tmp_path: Path) -> None:
    for serialization in SERIALIZATIONS:
        Table({"x": [NAN, 1.0], "y": np.array([NAN, 1.0], "f4")}).write(
            tmp_path / "a.vot", format="votable", tabledata_format=serialization, overwrite=True
        )
        found = read_votable(tmp_path / "a.vot")
        assert [value != value or value for value in found.column("x") + found.column("y")] == [True, 1.0] * 2


def test_null_marks_of_astropy(tmp_path: Path) -> None:
    table = Table({"n": MaskedColumn([1, 2, 3], mask=[False, True, False], dtype="i4")})
    written = from_table(table)
    written.get_first_table().fields[0].values.null = -7
    for serialization in SERIALIZATIONS:
        written.to_xml(str(tmp_path / "a.vot"), tabledata_format=serialization)
        assert b'null="-7"' in (tmp_path / "a.vot").read_bytes()
        assert read_votable(tmp_path / "a.vot").column("n") == [1, None, 3]


@pytest.mark.parametrize("serialization", ["binary", "binary2"])
def test_arrays_as_astropy_writes_them(tmp_path: Path, serialization: str) -> None:
    """Slices are counted there where the standard counts items, and a bit of a varying array has a byte."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parse(PLACE / VOTABLE / "regression.xml", verify="ignore").to_xml(
            str(tmp_path / "a.vot"), tabledata_format=serialization
        )
    for number, table in enumerate(astropy_tables(tmp_path / "a.vot")[:2], start=1):
        found = read_votable(tmp_path / "a.vot", hdu=number)
        assert len(found.numbers) == len(table.array) > 0
        assert (differences(found, table), found.rejected) == ({}, {})


def test_arrays_as_stilts_writes_them() -> None:
    for name in ("arrays.vot", "stilts_arrays_binary.vot"):
        found = read_votable(DATA / "arrays" / name)
        assert found.column("last") == [7, 8]
        assert found.reader.names == ("a", "c", "last")


DATA = Path(__file__).parents[2] / "data" / "votable"
LOW, HIGH = (-(2**15) + 1, -(2**31) + 1, -(2**63) + 1), (2**15 - 1, 2**31 - 1, 2**63 - 1)
REALS = (np.float32(-3.4028235e38), -1.7976931348623157e308), (np.float32(1e-45), 5e-324)
STILTS_ROWS = [
    (1, True, 0, *LOW, 1.5, 0.1, "a", "abcdef", "abc", "é λ", "2024-01-01T00:00:00.5", 11),
    (2, False, 255, *HIGH, *REALS[0], "z", "ab", "x < y & z", "wide", "2024-12-31", 12),
    (3, *[None] * 12, 13),
    (4, True, 7, 7, 7, 7, *REALS[1], "q", "a b  ", " blanks ", "tail  ", "1999-01-01T23:59:59.123456", 14),
]


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.vot")))
def test_files_that_stilts_wrote(name: str) -> None:
    found = read_votable(DATA / name)
    assert (found.rejected, found.malformed) == ({}, [])
    assert [name for name in found.reader.names if name not in found.reader.types] == [
        "bits",
        "pair",
        "many",
        "complex",
    ]
    rows = [[None if value == "" or value != value else value for value in row] for row in found.rows()]
    expected = [list(row) for row in STILTS_ROWS]
    if "_binary_" in name or "_v10" in name:
        expected[1][2] = None
    assert rows == expected
    assert found.reader.described["double"]["unit"] == "deg"
    assert "_v10" in name or found.reader.described["time"]["xtype"] == "timestamp"
