"""VOTable files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from astropy.io.votable import parse_single_table
from astropy.utils.exceptions import AstropyWarning

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.reader import ROWS_IN_BATCH, MalformedRows, RawBatch
from qserv_py.ingest.requests import InputOptions

Array = npt.NDArray[Any]


class VotableReader:
    """The first table of a VOTable file; astropy reads it whole, so it must fit in memory."""

    def __init__(self, path: Path, options: InputOptions) -> None:
        self._path = path
        try:
            table = parse_single_table(path, verify="ignore")
        except (IndexError, AstropyWarning) as error:
            raise ContributionError(f"{path} holds no table that can be read", detail=str(error)) from error
        self._array = table.array
        # astropy calls the columns of the array by their IDs; queries know them by their names
        self._ids = dict(zip((field.name or field.ID for field in table.fields), self._array.dtype.names, strict=True))
        self.names: tuple[str, ...] = tuple(self._ids)
        self.described: Mapping[str, Mapping[str, str]] = {
            name: _described(field) for name, field in zip(self._ids, table.fields, strict=True)
        }
        self.total_rows: int | None = len(self._array)
        self.malformed = MalformedRows()
        none = {name: np.asarray(self._array[:0][key].data) for name, key in self._ids.items()}
        self.types: Mapping[str, pa.DataType] = {
            name: _arrow(path, name, values).type for name, values in none.items() if values.ndim == 1
        }
        self.notes: Sequence[str] = ()

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        for start in range(0, len(self._array) or 1, ROWS_IN_BATCH):
            part = self._array[start : start + ROWS_IN_BATCH]
            arrays = [
                _arrow(self._path, name, np.asarray(part[key].data), mask=np.ma.getmaskarray(part[key]))
                for name, key in ((name, self._ids[name]) for name in names)
            ]
            numbers = np.arange(start + 1, start + len(part) + 1)
            yield RawBatch(numbers, pa.record_batch(arrays, names=list(names)))


def _described(field: Any) -> dict[str, str]:
    """Return what a FIELD says of its values."""
    told = {"unit": field.unit, "ucd": field.ucd, "xtype": field.xtype, "description": field.description}
    told["datatype"] = field.datatype
    return {key: str(value) for key, value in told.items() if value}


def _arrow(
    path: Path, name: str, values: Array, *, mask: npt.NDArray[np.bool_] | None = None, null: Any = None
) -> pa.Array:
    """Return a column in Arrow, with NULL where it is masked, equals ``null`` or is NaN."""
    values = np.asarray(values)
    if values.ndim != 1:
        raise ContributionError(
            f'column "{name}" of {path} holds arrays of shape {values.shape[1:]}, not single values'
        )
    absent = np.zeros(len(values), dtype=np.bool_) if mask is None else mask.copy()
    if values.dtype.kind == "f":
        absent |= np.isnan(values)
    elif null is not None and values.dtype.kind in "iu":
        absent |= values == null
    if values.dtype.kind == "O":
        texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values.tolist()]
        return pa.array(texts, pa.string(), mask=absent)
    if values.dtype.kind == "S":
        return pa.array(np.char.decode(values, "utf-8"), pa.string(), mask=absent)
    if values.dtype.kind == "U":
        return pa.array(values, pa.string(), mask=absent)
    return pa.array(values.astype(values.dtype.newbyteorder("=")), mask=absent)
