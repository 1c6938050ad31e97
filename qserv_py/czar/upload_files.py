"""Files that a user uploads, as Arrow tables: Parquet, CSV, FITS, VOTable, by the readers of ingest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.errors import ContributionError
from qserv_py.ingest.readers import Reader, open_reader
from qserv_py.ingest.requests import InputFormat, InputOptions, format_of


def read_upload(path: Path, *, format: InputFormat | None = None) -> pa.Table:
    """Return the rows of a file.

    Parameters
    ----------
    path
        The file.
    format
        By the file's suffix when left out. In CSV the values of a column say its type: whole numbers, numbers, texts.

    Raises
    ------
    ContributionError
        If it cannot be read, or a line of a CSV file has too few or too many fields.
    UserError
        If nothing tells the format.
    """
    options = InputOptions(format=format)
    chosen = format_of(path, options)
    reader = open_reader(path, chosen, options)
    batches = [batch.rows for batch in reader.batches(reader.names)]
    if reader.malformed.rows:
        first = reader.malformed.rows[0]
        raise ContributionError(f"{path}, row {first.number}: {first.reason}")
    table = pa.Table.from_batches(batches) if batches else _empty(reader)
    if chosen is InputFormat.CSV:
        return pa.table([_guessed(column) for column in table.columns], names=table.column_names)
    return _described(path, table, reader.described)


def _described(path: Path, table: pa.Table, told: Mapping[str, Mapping[str, str]]) -> pa.Table:
    """Return a table whose fields say what the file says of its columns; times in texts become times."""
    columns, fields = [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        about = dict(told.get(name, {}))
        if about.get("xtype") == "timestamp" and pa.types.is_string(column.type):
            column = _times(path, name, column)
            del about["xtype"]
        columns.append(column)
        fields.append(pa.field(name, column.type, metadata=about))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _times(path: Path, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    try:
        return texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid as error:
        raise ContributionError(
            f'column "{name}" of {path} holds what is no time in ISO 8601', detail=str(error)
        ) from error


def _empty(reader: Reader) -> pa.Table:
    return pa.table({name: pa.array([], pa.string()) for name in reader.names})


def _guessed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of texts in the first type that all its values have."""
    trimmed = pc.utf8_trim_whitespace(column)
    for kind in (pa.int64(), pa.float64()):
        try:
            return trimmed.cast(kind)
        except pa.ArrowInvalid:
            continue
    folded = pc.utf8_lower(trimmed)
    if pc.all(pc.is_in(folded.drop_null(), value_set=pa.array(["true", "false"]))).as_py() and len(folded.drop_null()):
        return pc.equal(folded, "true")
    return column
