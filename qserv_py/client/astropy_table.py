"""Arrow tables to astropy tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from astropy.table import MaskedColumn, Table

from qserv_py.adql.tree import OutputColumn


def astropy_table(table: pa.Table, columns: Sequence[OutputColumn]) -> Table:
    """Return an astropy table: units, descriptions and UCDs are kept, NULLs are masked, repeated names numbered."""
    made = []
    taken: set[str] = set()
    for data, about in zip(table.columns, columns, strict=True):
        name, number = about.name, 2
        while name in taken:
            name, number = f"{about.name}_{number}", number + 1
        taken.add(name)
        column = MaskedColumn(
            _values(data),
            name=name,
            mask=np.asarray(data.is_null()),
            unit=about.unit or None,
            description=about.description,
        )
        if about.ucd:
            column.meta["ucd"] = about.ucd
        made.append(column)
    return Table(made, masked=True)


def _values(data: pa.ChunkedArray) -> np.ndarray:
    """Return the values with something in the place of NULLs."""
    if pa.types.is_string(data.type):
        return np.array(data.fill_null("").to_pylist(), dtype=str)
    if pa.types.is_timestamp(data.type):
        return np.asarray(data.fill_null(pa.scalar(0, type=data.type)))
    if pa.types.is_binary(data.type):
        return np.array(data.fill_null(b"").to_pylist(), dtype=object)
    return np.asarray(data.fill_null(pa.scalar(0).cast(data.type)))
