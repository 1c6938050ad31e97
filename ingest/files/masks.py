"""Masks that stand beside the data: a column ``x.mask`` with true in a row says that ``x`` has no value there.

astropy writes masked columns so where a format (or it) has no NULL for them: the value under the mask is any number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.ingest.files.reader import RawBatch, Reader
from qserv_py.ingest.rejects import Rejected

_SUFFIX = ".mask"
_TRUE, _FALSE = pa.array(["true", "1"]), pa.array(["false", "0"])


def without_masks(reader: Reader, *, known: Iterable[str] = ()) -> Reader:
    """Return a reader whose columns have NULL where a mask beside them says so; the masks are no columns of it.

    A column is a mask if it is called like another one and ``.mask``, and is boolean; in files without types a text.

    Parameters
    ----------
    known
        Columns of the table that takes the rows; one that is called like a mask (in any case) is data.
    """
    columns = {name.lower() for name in known}
    names = set(reader.names)
    typeless = all(pa.types.is_string(kind) for kind in reader.types.values())
    masks = {
        name.removesuffix(_SUFFIX): name
        for name in reader.names
        if name.endswith(_SUFFIX)
        and name.removesuffix(_SUFFIX) in names
        and name.lower() not in columns
        and name in reader.types
        and (typeless or pa.types.is_boolean(reader.types[name]))
    }
    return _MaskedReader(reader, masks) if masks else reader


class _MaskedReader:
    """A reader that applies masks."""

    def __init__(self, inner: Reader, masks: Mapping[str, str]) -> None:
        self._inner = inner
        self._masks = masks
        hidden = set(masks.values())
        self.names: tuple[str, ...] = tuple(name for name in inner.names if name not in hidden)
        self.types: Mapping[str, pa.DataType] = {name: kind for name, kind in inner.types.items() if name not in hidden}
        self.total_rows = inner.total_rows
        self.malformed = inner.malformed
        self.described = inner.described
        self.notes = inner.notes

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        used = {name: self._masks[name] for name in names if name in self._masks}
        for batch in self._inner.batches([*names, *used.values()]):
            yield self._applied(batch, names, used)

    def _applied(self, batch: RawBatch, names: Sequence[str], used: Mapping[str, str]) -> RawBatch:
        columns, rejected = {name: batch.rows.column(name) for name in names}, list(batch.rejected)
        for name, mask_name in used.items():
            mask = _booleans(batch.rows.column(mask_name))
            unclear = np.flatnonzero(mask.is_null().to_numpy(zero_copy_only=False))
            if len(unclear):
                rejected.append(Rejected(unclear, mask_name, "a mask that is neither true nor false"))
            columns[name] = pc.if_else(mask, pa.scalar(None, columns[name].type), columns[name])
        return RawBatch(batch.numbers, pa.record_batch(list(columns.values()), names=list(names)), tuple(rejected))


def _booleans(mask: pa.Array) -> pa.Array:
    """Return a mask as booleans, NULL where it is neither true nor false."""
    if pa.types.is_boolean(mask.type):
        return mask
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(mask))
    true, false = pc.is_in(texts, value_set=_TRUE), pc.is_in(texts, value_set=_FALSE)
    return pc.if_else(pc.or_(true, false), true, pa.scalar(None, pa.bool_()))
