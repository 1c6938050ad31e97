"""FITS tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from astropy.io import fits

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.reader import ROWS_IN_BATCH, MalformedRows, RawBatch
from qserv_py.ingest.requests import InputOptions

Array = npt.NDArray[Any]


class FitsReader:
    """The first table of a FITS file, as a memory map."""

    def __init__(self, path: Path, options: InputOptions) -> None:
        self._path = path
        with fits.open(path, memmap=True) as units:
            found = [number for number, unit in enumerate(units) if isinstance(unit, fits.BinTableHDU | fits.TableHDU)]
            if not found:
                raise ContributionError(f"{path} holds no table", detail=f"It has {len(units)} units without one.")
            self._unit = found[0]
            columns = units[self._unit].columns
            self.names: tuple[str, ...] = tuple(columns.names)
            self._nulls = {column.name: column.null for column in columns}
            self.described: Mapping[str, Mapping[str, str]] = {
                column.name: {"unit": column.unit} for column in columns if column.unit
            }
            self.total_rows: int | None = int(units[self._unit].header["NAXIS2"])
        self.malformed = MalformedRows()
        self.types: Mapping[str, pa.DataType] = self._types()
        self.notes: Sequence[str] = ()

    def _types(self) -> dict[str, pa.DataType]:
        with fits.open(self._path, memmap=True) as units:
            data = units[self._unit].data
            none = {name: data.field(name)[:0] for name in self.names}
            return {name: _arrow(self._path, name, values).type for name, values in none.items() if values.ndim == 1}

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        assert self.total_rows is not None
        with fits.open(self._path, memmap=True) as units:
            data = units[self._unit].data
            for start in range(0, self.total_rows or 1, ROWS_IN_BATCH):  # a table without rows has types, too
                rows = slice(start, min(start + ROWS_IN_BATCH, self.total_rows))
                arrays = [_arrow(self._path, name, data.field(name)[rows], null=self._nulls[name]) for name in names]
                yield RawBatch(np.arange(rows.start + 1, rows.stop + 1), pa.record_batch(arrays, names=list(names)))


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
