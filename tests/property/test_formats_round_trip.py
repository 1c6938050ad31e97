"""Any rows of any types, written in each format and read back by a reader of others, are the same rows."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from hypothesis import given, settings
from hypothesis import strategies as st
from support.answers import column, written

from qserv_py.catalog.types import DataType
from qserv_py.executor.arrow import arrow_type

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
REAL32 = st.floats(width=32)
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))


@dataclass(frozen=True)
class Kind:
    """A type of column and its values."""

    type: DataType
    values: st.SearchStrategy[Any]
    array: pa.DataType | None = None
    xtype: str = ""


def whole(bits: int) -> st.SearchStrategy[int]:
    """Numbers of a type without the least, which some formats need for NULL."""
    return st.integers(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1)


KINDS = (
    Kind(DataType.BOOLEAN, st.booleans()),
    Kind(DataType.BYTE, st.integers(0, 255)),
    Kind(DataType.SHORT, whole(16)),
    Kind(DataType.INT, whole(32)),
    Kind(DataType.LONG, whole(64)),
    Kind(DataType.FLOAT, REAL32),
    Kind(DataType.DOUBLE, st.floats()),
    Kind(DataType.CHAR, ASCII),
    Kind(DataType.STRING, ASCII),
    Kind(DataType.UNICODE, UNICODE),
    Kind(DataType.TEXT, UNICODE),
    Kind(DataType.BINARY, st.binary(max_size=6)),
    Kind(DataType.TIMESTAMP, TIMES),
    Kind(DataType.DOUBLE, st.tuples(st.floats(), st.floats()).map(list), pa.list_(pa.float64()), "point"),
    Kind(DataType.DOUBLE, st.lists(st.floats(), max_size=4), pa.list_(pa.float64()), "polygon"),
    Kind(DataType.FLOAT, st.lists(REAL32, max_size=3), pa.list_(pa.float32())),
    Kind(DataType.INT, st.lists(whole(32), max_size=3), pa.list_(pa.int32())),
    Kind(DataType.LONG, st.lists(whole(64), min_size=3, max_size=3), pa.list_(pa.int64(), 3)),
)

Table = tuple[list[Kind], list[list[Any]]]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=9))
    rows = draw(st.lists(st.tuples(*(st.none() | kind.values for kind in kinds)), max_size=9))
    return kinds, [list(row) for row in rows]


def with_texts_of(table: Table, can_hold: Callable[[str], bool]) -> Table:
    """Return a table whose texts have those characters alone that a format can hold; it refuses others."""
    kinds, rows = table
    return kinds, [["".join(filter(can_hold, v)) if isinstance(v, str) else v for v in row] for row in rows]


def write(name: str, table: Table) -> bytes:
    kinds, rows = table
    columns = [column(f"c{place}", kind.type, xtype=kind.xtype) for place, kind in enumerate(kinds)]
    arrays = {f"c{place}": kind.array for place, kind in enumerate(kinds) if kind.array is not None}
    return written(name, columns, rows, arrays=arrays)


def agree(found: Sequence[Sequence[Any]], table: Table, expected: Callable[[Any, Kind], Any]) -> None:
    kinds, rows = table
    assert len(found) == len(rows)
    for got, row in zip(found, rows, strict=True):
        wanted = [expected(value, kind) for value, kind in zip(row, kinds, strict=True)]
        for left, right, kind in zip(got, wanted, kinds, strict=True):
            assert repr(left) == repr(right) or left == right, kind


def plain(value: Any) -> Any:
    """Return a value of numpy or astropy as Python has it, None for what is masked."""
    if value is np.ma.masked:
        return None
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(element) for element in value]
    return value.item() if isinstance(value, np.generic | np.ndarray) else value


def iso(value: datetime) -> str:
    return value.isoformat(timespec="microseconds")


def numbers_of(elements: Any) -> list[Any]:
    """Return an array as astropy tells it: NaN is masked, and one of NaN alone is like one that is NULL."""
    made = [None if isinstance(item, float) and math.isnan(item) else item for item in elements]
    return [] if all(item is None for item in made) else made


def in_votable(value: Any, kind: Kind) -> Any:
    """Return what astropy makes of a value: NULL is masked, but text and arrays are empty."""
    if kind.array is not None or kind.type is DataType.BINARY:
        return numbers_of(value or [])
    if kind.type.is_text or kind.type is DataType.TIMESTAMP:
        return iso(value) if isinstance(value, datetime) else value or ""
    return None if isinstance(value, float) and math.isnan(value) else value


def from_astropy(value: Any, kind: Kind) -> Any:
    if kind.array is not None or kind.type is DataType.BINARY:
        data, mask = np.ravel(np.ma.getdata(value)), np.ravel(np.ma.getmaskarray(value))
        return numbers_of([None if hidden else item for item, hidden in zip(data.tolist(), mask, strict=True)])
    made = plain(value)
    if kind.type.is_text or kind.type is DataType.TIMESTAMP:
        return made or ""
    return None if isinstance(made, float) and math.isnan(made) else made


@settings(max_examples=60, deadline=None)
@given(tables())
def test_votable(table: Table) -> None:
    kinds, _ = table
    for name in ("votable", "votable/b"):
        found = parse(io.BytesIO(write(name, table)), verify="exception").get_first_table().array
        by_column = zip(*(found[key] for key in found.dtype.names), strict=True)
        rows = [[from_astropy(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in by_column]
        agree(rows, table, in_votable)


def in_xml(value: Any, kind: Kind) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return iso(value)
        case bytes():
            return " ".join(map(str, value))
        case list():
            return [in_xml(element, kind) for element in value]
        case float():
            return value
        case str():
            return value
    return str(value)


def from_text(text: str, kind: Kind) -> Any:
    """Return the numbers of a cell, where its kind has reals."""
    single = np.float32 if kind.type is DataType.FLOAT else float
    if kind.array is not None:
        return [from_text(part, Kind(kind.type, kind.values)) for part in text.split()] if text else ""
    return float(single(text)) if text and kind.type in {DataType.FLOAT, DataType.DOUBLE} else text


def empty_lists(wanted: Any) -> Any:
    """An empty array is an empty cell, as NULL is."""
    return "" if wanted == [] else wanted


@settings(max_examples=60, deadline=None)
@given(tables())
def test_tabledata(table: Table) -> None:
    kinds, _ = table = with_texts_of(table, lambda c: (c >= " " or c in "\t\n\r") and c not in "\ufffe\uffff")
    rows = ElementTree.fromstring(write("votable/td", table)).findall(".//{*}TR")
    cells = [
        [from_text(cell.text or "", kind) for cell, kind in zip(row.findall("{*}TD"), kinds, strict=True)]
        for row in rows
    ]

    def wanted(value: Any, kind: Kind) -> Any:
        if value is None and kind.xtype == "point":
            return [math.nan, math.nan]
        if value is None and kind.array is not None and pa.types.is_fixed_size_list(kind.array):
            return [str(-(2**63))] * 3
        return empty_lists(in_xml(value, kind))

    agree(cells, table, wanted)


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from([("csv", ",", "\r\n"), ("tsv", "\t", "\n")]))
def test_delimited(table: Table, dialect: tuple[str, str, str]) -> None:
    name, delimiter, _ = dialect
    kinds, _ = table

    def wanted(value: Any, kind: Kind) -> Any:
        if isinstance(value, bytes):
            return value.hex()
        return value if isinstance(value, str) else empty_lists(in_xml(value, kind))

    header, *rows = csv.reader(io.StringIO(write(name, table).decode(), newline=""), delimiter=delimiter, strict=True)
    assert header == [f"c{place}" for place in range(len(kinds))]
    agree([[from_text(c, kind) for c, kind in zip(row, kinds, strict=True)] for row in rows], table, wanted)


@settings(max_examples=60, deadline=None)
@given(tables())
def test_json(table: Table) -> None:
    words = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    kinds, _ = table

    def number(value: Any, kind: Kind) -> Any:
        if isinstance(value, list):
            return [number(element, kind) for element in value]
        if value is None or kind.type not in {DataType.FLOAT, DataType.DOUBLE}:
            return value
        real = words[value] if isinstance(value, str) else float(value)
        return float(np.float32(real)) if kind.type is DataType.FLOAT else real

    def wanted(value: Any, _: Kind) -> Any:
        return iso(value) if isinstance(value, datetime) else value.hex() if isinstance(value, bytes) else value

    found = json.loads(write("json", table), parse_constant=pytest.fail)["data"]
    agree([[number(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in found], table, wanted)


@settings(max_examples=60, deadline=None)
@given(tables())
def test_parquet_and_arrow(table: Table) -> None:
    kinds, _ = table
    for found in (
        pq.read_table(io.BytesIO(write("parquet", table))),
        pa.ipc.open_stream(write("arrow", table)).read_all(),
    ):
        rows = list(zip(*(values.to_pylist() for values in found.columns), strict=True))
        assert [field.type for field in found.schema] == [kind.array or arrow_type(kind.type) for kind in kinds]
        agree(rows, table, lambda value, _: value)


@settings(max_examples=60, deadline=None)
@given(tables())
def test_fits(table: Table) -> None:
    kinds, _ = table = with_texts_of(table, lambda c: " " <= c <= "~")
    hdu = fits.open(io.BytesIO(write("fits", table)), logical_as_bytes=True)[1]
    nulls = [hdu.header.get(f"TNULL{place}") for place in range(1, len(kinds) + 1)]

    def wanted(value: Any, kind: Kind) -> Any:
        if isinstance(value, list | bytes):
            return list(value)
        if isinstance(value, datetime):
            return iso(value)
        if isinstance(value, str):
            return value.rstrip()  # FITS does not keep blanks at the end
        if value is None and kind.array is not None:
            size = 2 if kind.xtype == "point" else 3 if pa.types.is_fixed_size_list(kind.array) else 0
            return [math.nan if kind.type is DataType.DOUBLE else None] * size
        if value is None:
            known = {DataType.FLOAT: math.nan, DataType.DOUBLE: math.nan, DataType.BINARY: []}
            return known.get(kind.type, "" if kind.type.is_text or kind.type is DataType.TIMESTAMP else None)
        return value

    def number(value: Any, kind: Kind, null: int | None) -> Any:
        made = plain(np.asarray(value)) if isinstance(value, np.ndarray) else plain(value)
        if isinstance(made, list):
            return [None if null is not None and element == null else element for element in made]
        if isinstance(made, str):
            return made.rstrip()
        if kind.type is DataType.BOOLEAN:
            return {b"T": True, b"F": False, b"": None}[made]
        return None if null is not None and made == null else made

    rows = [
        [number(value, kind, null) for value, kind, null in zip(row, kinds, nulls, strict=True)] for row in hdu.data
    ]
    agree(rows, table, wanted)
