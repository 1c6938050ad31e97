"""VOTable files as the reader of ingest gives them, beside what astropy makes of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io.votable import parse

from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.files.reader import MalformedRow, Reader
from qserv_py.ingest.requests import InputFormat, InputOptions


@dataclass(frozen=True)
class ReadTable:
    """What a file gave."""

    reader: Reader
    table: pa.Table
    """Columns that can be read."""

    numbers: list[int]
    rejected: dict[tuple[int, str], str]
    """Reason by row number and column."""

    @property
    def malformed(self) -> list[MalformedRow]:
        """Rows that are none."""
        return self.reader.malformed.rows

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows as Python values."""
        columns = [column.to_pylist() for column in self.table.columns]
        return list(zip(*columns, strict=True))

    def column(self, name: str) -> list[Any]:
        """Return a column as Python values."""
        values: list[Any] = self.table.column(name).to_pylist()
        return values


def read_votable(path: Path, *, names: Sequence[str] | None = None, **options: Any) -> ReadTable:
    """Read a file, by default every column that can be read."""
    reader = open_reader(path, InputFormat.VOTABLE, InputOptions(**options))
    asked = [name for name in reader.names if name in reader.types] if names is None else list(names)
    numbers: list[int] = []
    rejected = {}
    batches = []
    for batch in reader.batches(asked):
        for entry in batch.rejected:
            for place in entry.places.tolist():
                rejected[int(batch.numbers[place]), entry.column] = entry.reason
        numbers += batch.numbers.tolist()
        batches.append(batch.rows)
    schema = pa.schema([(name, reader.types[name]) for name in asked])
    return ReadTable(reader, pa.Table.from_batches(batches, schema), numbers, rejected)


def document(fields: str, rows: str, *, before: str = "", after: str = "", head: str = "") -> str:
    """Return a document of one table in TABLEDATA."""
    table = f"<TABLE>{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE>"
    return f'{head}<VOTABLE version="1.4">{before}<RESOURCE type="results">{table}{after}</RESOURCE></VOTABLE>'


def astropy_tables(path: Path) -> list[Any]:
    """Return the tables of a file as astropy reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(parse(path, verify="ignore").iter_tables())


def differences(found: ReadTable, table: Any) -> dict[tuple[int, str], tuple[Any, Any]]:
    """Return where we and astropy differ, our value and astropy's by row and column; NULL, NaN and '' are the same."""
    fields = {field.name or field.ID: field for field in table.fields}
    assert list(found.reader.names) == list(fields)
    differ = {}
    for name in found.table.column_names:
        column = table.array[fields[name].ID]
        for number, value in zip(found.numbers, found.column(name), strict=True):
            ours, theirs = _plain(value), _plain(column[number - 1])
            if ours != theirs:
                differ[number, name] = (ours, theirs)
    return differ


def _plain(value: Any) -> Any:
    if value is None or value is np.ma.masked or (isinstance(value, np.ma.MaskedArray) and value.mask.all()):
        return None
    value = value.item() if hasattr(value, "item") else value
    value = value.decode() if isinstance(value, bytes) else value
    return None if value == "" or (isinstance(value, float) and math.isnan(value)) else value
