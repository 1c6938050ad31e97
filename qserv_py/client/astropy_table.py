"""Arrow tables to astropy tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from astropy.table import MaskedColumn, Table

from qserv_py.adql.tree import OutputColumn
from qserv_py.czar.formats.fields import Field, fields_of, is_list
from qserv_py.czar.formats.values import fixed_arrays


def astropy_table(table: pa.Table, columns: Sequence[OutputColumn]) -> Table:
    """Return an astropy table: units, descriptions and UCDs are kept, NULLs are masked."""
    fields = fields_of(columns, table.schema)
    return Table([_column(data, field) for data, field in zip(table.columns, fields, strict=True)], masked=True)


def _column(data: pa.ChunkedArray, field: Field) -> MaskedColumn:
    values = _values(data, field)
    mask = np.asarray(data.is_null())
    column = MaskedColumn(
        values,
        name=field.name,
        mask=mask if values.ndim == 1 else np.repeat(mask[:, None], values.shape[1], axis=1),
        unit=field.column.unit or None,
        description=field.column.description,
    )
    if field.column.ucd:
        column.meta["ucd"] = field.column.ucd
    return column


def _values(data: pa.ChunkedArray, field: Field) -> np.ndarray:
    """Return the values with something in the place of NULLs; arrays of one size are rows of a matrix."""
    if is_list(data.type):
        if field.size is not None:
            return fixed_arrays(data.combine_chunks(), field.size, 0, field.name)
        made = np.empty(len(data), dtype=object)
        for place, value in enumerate(data):
            made[place] = np.asarray(value.values) if value.is_valid else np.empty(0)
        return made
    if pa.types.is_string(data.type):
        return np.array(data.fill_null("").to_pylist(), dtype=str)
    if pa.types.is_timestamp(data.type):
        return np.asarray(data.fill_null(pa.scalar(0, type=data.type)))
    if pa.types.is_binary(data.type):
        return np.array(data.fill_null(b"").to_pylist(), dtype=object)
    return np.asarray(data.fill_null(pa.scalar(0).cast(data.type)))
