"""VOTable 1.4 in its three serialisations, streamed.

The document is XML whatever happens: when the rows break off, the table ends after the last whole row, an INFO says
ERROR and why, and then the error is raised for the caller to know.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.czar.formats.cells import XML_FORBIDDEN, Style, cell_texts, joined_rows, xml_text
from qserv_py.czar.formats.fields import NULL_VALUES, Field, fields_of
from qserv_py.czar.formats.stream import ResultStream
from qserv_py.czar.formats.values import elements, refuse_characters, refuse_value
from qserv_py.czar.formats.votable.binary_rows import binary_rows
from qserv_py.czar.formats.votable.xml import after_table, before_rows

_STYLE = Style(infinity="+Inf", minus_infinity="-Inf", bytes_as_numbers=True, null_element="NaN")


def write_binary2(stream: ResultStream) -> Iterator[bytes]:
    """Write BINARY2: every NULL has its bit, nothing is lost."""
    return _write_base64(stream, "BINARY2")


def write_binary(stream: ResultStream) -> Iterator[bytes]:
    """Write BINARY: the least whole number of a type means NULL, text that is NULL is empty."""
    return _write_base64(stream, "BINARY")


def write_tabledata(stream: ResultStream) -> Iterator[bytes]:
    """Write TABLEDATA: a NULL is an empty cell, and so is an empty text."""
    fields = fields_of(stream.columns, stream.schema)
    yield f"{before_rows(fields, stream.infos, null_values=False)}<DATA>\n<TABLEDATA>\n".encode()
    error = None
    try:
        for block in stream.blocks():
            yield _xml_rows(block, fields)
    except Exception as failure:
        error = failure
    yield b"</TABLEDATA>\n</DATA>\n</TABLE>\n"
    yield from _end(stream, error)


def _write_base64(stream: ResultStream, serialization: str) -> Iterator[bytes]:
    null_flags = serialization == "BINARY2"
    fields = fields_of(stream.columns, stream.schema)
    head = before_rows(fields, stream.infos, null_values=not null_flags)
    yield f'{head}<DATA>\n<{serialization}>\n<STREAM encoding="base64">\n'.encode()
    rest = b""
    error = None
    try:
        for block in stream.blocks():
            data = rest + binary_rows(block, fields, null_flags=null_flags)
            whole = len(data) - len(data) % 3
            yield binascii.b2a_base64(memoryview(data)[:whole])
            rest = data[whole:]
    except Exception as failure:
        error = failure
    yield binascii.b2a_base64(rest)
    yield f"</STREAM>\n</{serialization}>\n</DATA>\n</TABLE>\n".encode()
    yield from _end(stream, error)


def _end(stream: ResultStream, error: Exception | None) -> Iterator[bytes]:
    yield after_table(why_cut="" if error else stream.why_cut(), error=error).encode()
    if error is not None:
        raise error


def _xml_rows(block: pa.RecordBatch, fields: tuple[Field, ...]) -> bytes:
    cells = [_xml_cells(column, field) for column, field in zip(block.columns, fields, strict=True)]
    return joined_rows(cells, before="<TR><TD>", between="</TD><TD>", after="</TD></TR>\n")


def _xml_cells(column: pa.Array, field: Field) -> pa.Array:
    if field.is_array:
        return _array_cells(column, field)
    made = cell_texts(column, _STYLE, field.name)
    if not field.column.datatype.is_text:
        return made
    escaped = xml_text(made)
    if escaped is not made:
        refuse_characters(made, XML_FORBIDDEN, field.name, "VOTable TABLEDATA")
    return escaped


def _array_cells(column: pa.Array, field: Field) -> pa.Array:
    """Return arrays as text; where all have one size, one that is NULL has as many NULLs."""
    style = _STYLE
    if field.datatype in NULL_VALUES:
        null = NULL_VALUES[field.datatype]
        refuse_value(elements(column)[1], null, field.name, "arrays of VOTable", instead="parquet")
        style = replace(style, null_element=str(null))
    made = cell_texts(column, style, field.name)
    return made if field.size is None else pc.fill_null(made, " ".join([style.null_element] * field.size))
