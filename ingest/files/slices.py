"""Cuts some bytes into slices, such as the texts of a column; Arrow copies each once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from qserv_py.catalog.snapshot import IntArray


def slices_of(data: bytes, begin: IntArray, end: IntArray) -> pa.Array:
    """Return slices of some bytes, as binary values.

    Parameters
    ----------
    data
        Less than 2^31 bytes.
    begin, end
        Where each slice begins and ends, shape (n,), in any order.
    """
    # Every second item is a slice; those between are never looked at, and may run backwards. The first and the last one
    # make all items together as long as the bytes, which Arrow divides by their number to guess how much it will need.
    offsets: npt.NDArray[np.int32] = np.zeros(2 * len(begin) + 2, dtype=np.int32)
    offsets[1:-1:2], offsets[2:-1:2], offsets[-1] = begin, end, len(data)
    whole = pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return whole.take(pa.array(np.arange(len(begin)) * 2 + 1))
