"""DATASUM: whether the data of a unit is what its writer summed up.

References
----------
FITS Standard 4.0, section 4.4.2.7 and appendix J.
"""

from __future__ import annotations

import numpy as np

from qserv_py.ingest.files.decompressed import FileBytes
from qserv_py.ingest.files.fits.units import BLOCK, Unit

_READ_BYTES = BLOCK * 4096
_MODULUS = 1 << 32


def is_as_summed(file: FileBytes, unit: Unit) -> bool:
    """Return whether the data of a unit has the sum of its DATASUM; True if there is none that can be told."""
    told = str(unit.keywords.values.get("DATASUM", "")).strip()
    end = unit.end + -unit.end % BLOCK
    if not told.isdecimal() or end > file.size:
        return True
    return int(told) == _sum(file, unit.data_at, end)


def _sum(file: FileBytes, at: int, end: int) -> int:
    """Return the sum of big-endian words of 32 bits, carried around (ones' complement)."""
    total = 0
    for first in range(at, end, _READ_BYTES):
        words = np.frombuffer(file.read(first, min(_READ_BYTES, end - first)), dtype=">u4")
        total += int(words.sum(dtype=np.uint64))
    while total >= _MODULUS:
        total = total % _MODULUS + total // _MODULUS
    return total
