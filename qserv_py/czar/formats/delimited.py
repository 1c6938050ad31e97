"""CSV and TSV, streamed: a header with the names, then a line for each row.

NULL is nothing, an empty text, array or byte string is two quotes; a value is quoted when it has to be. In a table of
one column NULL is two quotes as well, as most readers skip an empty line.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.czar.formats.cells import TEXT, Style, around, byte_table, cell_texts, holds_byte, joined_rows
from qserv_py.czar.formats.fields import is_list
from qserv_py.czar.formats.stream import ResultStream

_STYLE = Style(whole_reals=True)


def write_csv(stream: ResultStream) -> Iterator[bytes]:
    """Write CSV as RFC 4180 has it."""
    return _write(stream, between=",", after="\r\n")


def write_csv_rows(stream: ResultStream) -> Iterator[bytes]:
    """Write CSV without the header."""
    return _write(stream, between=",", after="\r\n", header=False)


def write_tsv(stream: ResultStream) -> Iterator[bytes]:
    """Write values with tabs between them; one that holds a tab, a quote or a line break is quoted as in CSV."""
    return _write(stream, between="\t", after="\n")


def write_tsv_rows(stream: ResultStream) -> Iterator[bytes]:
    """Write TSV without the header."""
    return _write(stream, between="\t", after="\n", header=False)


def _write(stream: ResultStream, *, between: str, after: str, header: bool = True) -> Iterator[bytes]:
    if header:
        names = [_quoted(pa.array([column.name], TEXT), between) for column in stream.columns]
        yield joined_rows(names, between=between, after=after)
    null = '""' if len(stream.columns) == 1 else ""
    for block in stream.blocks():
        cells = [
            _quoted(made, between) if _may_be_empty(column, values) else made
            for made, values, column in (
                (cell_texts(values, _STYLE, column.name), values, column)
                for values, column in zip(block.columns, stream.columns, strict=True)
            )
        ]
        yield joined_rows(cells, between=between, after=after, null=null)


def _may_be_empty(column: OutputColumn, values: pa.Array) -> bool:
    """Whether a column may hold a value that is written as nothing, or one that must be quoted."""
    return column.datatype.is_text or column.datatype is DataType.BINARY or is_list(values.type)


def _quoted(column: pa.Array, between: str) -> pa.Array:
    is_quoted = pc.equal(column, "")
    if holds_byte(column, byte_table(f'{between}"\r\n ')):
        special = pc.match_substring_regex(column, f'[{between}"\r\n]|^ | $')
        is_quoted = pc.or_(is_quoted, special)
    if not pc.any(is_quoted).as_py():
        return column
    inside = pc.replace_substring(column, '"', '""')
    return pc.if_else(is_quoted, around('"', inside, '"'), column)
