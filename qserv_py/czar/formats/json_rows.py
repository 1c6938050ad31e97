"""JSON, streamed: ``{"infos": [...], "metadata": [...], "data": [[...], ...], "status": "OK"}``.

``infos`` are names and values, ``metadata`` describes each column by the words of VOTable, ``data`` has an array for
each row, ``status`` is OVERFLOW when there were more rows. NaN and the infinities, which JSON has no numbers for, are
texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa

from qserv_py.catalog.types import DataType
from qserv_py.czar.formats.cells import Style, cell_texts, joined_rows, quoted_json
from qserv_py.czar.formats.fields import Field, fields_of, is_list
from qserv_py.czar.formats.stream import ResultStream

_STYLE = Style(
    nan='"NaN"',
    infinity='"Infinity"',
    minus_infinity='"-Infinity"',
    between=",",
    opening="[",
    closing="]",
    null_element="null",
    whole_reals=True,
)


def write_json(stream: ResultStream) -> Iterator[bytes]:
    """Write one JSON document."""
    fields = fields_of(stream.columns, stream.schema)
    metadata = ",\n".join(json.dumps(_described(field), ensure_ascii=False) for field in fields)
    infos = json.dumps([{"name": name, "value": value} for name, value in stream.infos], ensure_ascii=False)
    yield f'{{"infos": {infos},\n"metadata": [\n{metadata}],\n"data": ['.encode(errors="replace")
    is_first = True
    for block in stream.blocks():
        cells = [_json_cells(column, field) for column, field in zip(block.columns, fields, strict=True)]
        rows = joined_rows(cells, before=",\n[", between=",", after="]", null="null")
        yield rows[1:] if is_first else rows
        is_first = False
    yield f'\n],\n"status": "{"OVERFLOW" if stream.why_cut() else "OK"}"}}\n'.encode()


def _described(field: Field) -> dict[str, str | None]:
    """Return what is known of a column; astroquery fails where unit or description is not there at all."""
    return field.facts() | {"unit": field.column.unit or None, "description": field.column.description or None}


def _json_cells(column: pa.Array, field: Field) -> pa.Array:
    made = cell_texts(column, _STYLE, field.name)
    is_text = field.column.datatype.is_text or field.column.datatype in {DataType.TIMESTAMP, DataType.BINARY}
    return quoted_json(made) if is_text and not is_list(column.type) else made
