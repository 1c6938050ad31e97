"""Files as Arrow tables that a user brings along or keeps: Parquet, CSV, FITS, VOTable, by the readers of ingest.

There is no reject file: the first row with a value that cannot be read refuses the upload. Columns that hold no single
values (arrays, complex numbers) are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.model import Column
from qserv_py.catalog.types import DataType
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.masks import without_masks
from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.files.reader import RawBatch, Reader
from qserv_py.ingest.requests import InputFormat, InputOptions, format_of
from qserv_py.ingest.values.conversion import convert_column
from qserv_py.ingest.values.converted import as_texts, is_text


def read_upload(
    path: Path,
    *,
    format: InputFormat | None = None,
    options: InputOptions | None = None,
    tell: Callable[[str], object] = lambda note: None,
) -> pa.Table:
    """Return the rows of a file.

    Parameters
    ----------
    path
        The file.
    format
        As the options or the file's suffix say when left out. In CSV the values of a column say its type: whole
        numbers, numbers, truth values, else texts.
    options
        How it is to be read.
    tell
        Called with what the user should know of the file although it was read: that it is a part of an answer.

    Raises
    ------
    ContributionError
        If it cannot be read, holds nothing but arrays, or has a row that cannot be read.
    UserError
        If nothing tells the format.
    """
    options = options or InputOptions()
    chosen = format_of(path, replace(options, format=format or options.format))
    reader = without_masks(open_reader(path, chosen, options))
    names = [name for name in reader.names if name in reader.types]
    if chosen is InputFormat.CSV and len(names) == 1 and set(names[0]) & set(";\t|"):
        raise ContributionError(
            f'"{names[0][:_LONGEST_SHOWN]}" is the only column of {path}',
            hint="Commas part the fields of a CSV file, tabs those of one that is called .tsv; "
            "on the command line --delimiter names another sign.",
        )
    if not names:
        raise ContributionError(f"{path} has no column of single values", detail=", ".join(reader.names))
    schema = pa.schema([(name, reader.types[name]) for name in names])
    table = pa.Table.from_batches(_whole(path, reader, reader.batches(names)), schema)
    for note in reader.notes:
        tell(f"{path}: {note}")
    if chosen is InputFormat.CSV:
        told = [reader.described.get(name, {}).get("datatype") for name in names]
        columns = [
            column if datatype in _TEXT_TYPES else _guessed(column, real=str(datatype).startswith("float"))
            for column, datatype in zip(table.columns, told, strict=True)
        ]
        return _described(path, pa.table(columns, names=names), reader.described)
    return _described(path, table, reader.described)


def _whole(path: Path, reader: Reader, batches: Iterable[RawBatch]) -> Iterable[pa.RecordBatch]:
    """Give the rows of a reader; ContributionError at the first that cannot be read."""
    for batch in batches:
        for entry in batch.rejected:
            row = int(batch.numbers[entry.places[0]])
            raise ContributionError(f'{path}, row {row}, column "{entry.column}": {entry.reason}')
        _check_texts(path, batch)
        yield batch.rows
    for malformed in reader.malformed.rows:
        raise ContributionError(f"{path}, row {malformed.number}: {malformed.reason}")


def _check_texts(path: Path, batch: RawBatch) -> None:
    """Refuse texts that are not UTF-8: files of Parquet may call any bytes so, and what reads the table would stop."""
    for name, values in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
        plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
        if is_text(plain.type):
            _, garbled = as_texts(plain)
            if garbled.any():
                row = int(batch.numbers[garbled.argmax()])
                raise ContributionError(f'{path}, row {row}, column "{name}": not UTF-8 text')


def _described(path: Path, table: pa.Table, told: Mapping[str, Mapping[str, str]]) -> pa.Table:
    """Return a table whose fields say what the file says of its columns; times in texts become times."""
    columns, fields = [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        about = dict(told.get(name, {}))
        if about.get("xtype", "").lower() in _TIMES and pa.types.is_string(column.type):
            column = _times(path, name, column)
            del about["xtype"]
        columns.append(column)
        fields.append(pa.field(name, column.type, metadata=about))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _times(path: Path, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = column.combine_chunks()
    found = convert_column(values, _of_type(DataType.TIMESTAMP))
    for misfits in found.misfits:
        row = int(misfits.where.argmax()) + 1
        raise ContributionError(f'{path}, row {row}, column "{name}": {misfits.reason}')
    return pa.chunked_array([found.values])


_LONGEST_SHOWN = 60

_TIMES = ("timestamp", "adql:timestamp")
"""The xtypes of times, of DALI and of TAP 1.0."""

_TEXT_TYPES = ("string", "str")
"""Names that ECSV has for the type of texts."""

_WHOLE = r"^[+-]?[0-9]+$"
_REAL = r"^[^_xX(]*$"
_NOT_A_NUMBER = r"(?i)^[+-]?nan$"


def _guessed(column: pa.ChunkedArray, *, real: bool = False) -> pa.ChunkedArray:
    """Return a column of texts in the first type that holds all its values as they are; ``real`` knows that it is one.

    Leading zeros belong to a text (``007`` is no number), and a whole number that does not fit 64 bits stays a text.
    """
    values = column.combine_chunks()
    if values.null_count == len(values):
        return column
    texts = pc.utf8_trim_whitespace(values)
    numbers = pc.if_else(pc.match_substring_regex(texts, _NOT_A_NUMBER), pa.scalar(None, pa.string()), texts)
    if numbers.null_count == len(numbers):  # a column of nothing but NaN
        return pa.chunked_array([pa.nulls(len(numbers), pa.float64())])
    datatype = DataType.DOUBLE if real else _number_type(numbers)
    found = convert_column(numbers, _of_type(datatype)) if datatype else None
    if found is not None and not found.misfits:
        return pa.chunked_array([found.values])
    folded = pc.utf8_lower(texts)
    if pc.all(pc.is_in(folded.drop_null(), value_set=pa.array(["true", "false"]))).as_py():
        return pa.chunked_array([pc.equal(folded, "true")])
    return column


def _number_type(texts: pa.Array) -> DataType | None:
    """Return the type that texts have if they are numbers, by how they are written."""

    def all_are(pattern: str) -> bool:
        return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())

    if pc.any(pc.match_substring_regex(texts, r"^[+-]?0[0-9]")).as_py():
        return None
    if all_are(_WHOLE):
        return DataType.LONG
    return DataType.DOUBLE if all_are(_REAL) else None


def _of_type(datatype: DataType) -> Column:
    return Column(name="", physical="", datatype=datatype)
