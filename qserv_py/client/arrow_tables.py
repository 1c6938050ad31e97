"""What users upload (Arrow, astropy and pandas tables, files) as Arrow tables with units in the fields' metadata."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import pyarrow as pa

from qserv_py.czar.user_tables.file_to_arrow import read_upload
from qserv_py.errors import UserError

if TYPE_CHECKING:
    from astropy.table import Table

Upload = Union[pa.Table, pa.RecordBatch, "Table", str, os.PathLike[str], Any]
"""An Arrow or astropy table, a pandas or polars data frame, or the path of a Parquet, CSV, FITS or VOTable file."""


def arrow_tables(uploads: Mapping[str, Upload]) -> dict[str, pa.Table]:
    """Return uploads as Arrow tables.

    Raises
    ------
    UserError
        If something is no table, or has a column that is none of single values.
    ContributionError
        If a file cannot be read.
    """
    return {name: arrow_table(name, upload) for name, upload in uploads.items()}


def arrow_table(name: str, upload: Upload) -> pa.Table:
    """Return one upload as an Arrow table; ``name`` is for messages."""
    try:
        return _arrow_table(name, upload)
    except (pa.ArrowException, UnicodeError, OverflowError, TypeError, ValueError) as error:
        raise UserError(f'upload "{name}" cannot be read', detail=" ".join(str(error).split())) from error


def _arrow_table(name: str, upload: Upload) -> pa.Table:
    if isinstance(upload, pa.Table):
        return upload
    if isinstance(upload, pa.RecordBatch):
        return pa.Table.from_batches([upload])
    if isinstance(upload, (str, os.PathLike)):
        return read_upload(Path(upload), tell=lambda note: warnings.warn(note, stacklevel=2))
    if hasattr(upload, "colnames") and hasattr(upload, "itercols"):
        return _of_astropy(name, upload)
    if type(upload).__module__.startswith("pandas."):
        return pa.Table.from_pandas(upload, preserve_index=False)
    if hasattr(upload, "__arrow_c_stream__"):
        return pa.table(upload)
    if isinstance(upload, Mapping):
        return pa.table(dict(upload))
    raise UserError(
        f'upload "{name}" is a {type(upload).__name__}, which is no table',
        hint="Give an Arrow or astropy table, a pandas or polars data frame, or the path of a file.",
    )


def _of_astropy(name: str, table: Table) -> pa.Table:
    fields, arrays = [], []
    for column in table.itercols():
        about = column.info
        told = {"unit": str(about.unit or ""), "description": str(about.description or "")}
        told["ucd"] = str((about.meta or {}).get("ucd", ""))
        array = _array(name, column)
        metadata = {key: text for key, text in told.items() if text}
        fields.append(pa.field(str(about.name), array.type, metadata=metadata or None))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _array(name: str, column: Any) -> pa.Array:
    values = getattr(column, "value", column)  # a Quantity's numbers
    mask = np.ma.getmaskarray(values) if np.ma.isMaskedArray(values) else None
    values = np.asarray(np.ma.getdata(values))
    if values.ndim > 1 and values[:1].size == 1:  # arrays of one element
        values, mask = values.reshape(-1), None if mask is None else mask.reshape(-1)
    if values.ndim != 1:
        shape = values.shape[1:]
        raise UserError(f'column "{column.info.name}" of upload "{name}" holds arrays of shape {shape}')
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    if values.dtype.kind in "OU":
        return pa.array(values, mask=mask)
    return pa.array(values.astype(values.dtype.newbyteorder("=")), mask=mask)
