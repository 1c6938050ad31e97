"""Identifiers of detectors of visits and of sources, packed so that no two clash and all fit 63 bits.

As Rubin packs them: night, sequence number and detector from the top, then the number of the source. A visit's id is
``yyyymmdd * 100000 + seq_num``; written out it would take 45 bits, as days since an epoch and a number it takes 32.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from qserv_py.errors import UserError

_EPOCH = date(2010, 1, 1)
_SEQ_PER_DAY = 100_000
_DAY_BITS, _SEQ_BITS, _DETECTOR_BITS, _NUMBER_BITS = 15, 17, 8, 23

MAX_SOURCES = 1 << _NUMBER_BITS
"""Sources that one detector of a visit can number."""


def visit_detector_id(visit: int, detector: int) -> int:
    """Return the identifier of one detector of a visit, below 2**40.

    Parameters
    ----------
    visit
        yyyymmdd * 100000 + sequence number.
    detector
        0 to 255.

    Raises
    ------
    UserError
        If the visit's date does not exist or lies before 2010 or after 2099, or the detector is out of range.
    """
    day, seq = divmod(int(visit), _SEQ_PER_DAY)
    try:
        days = (date(day // 10_000, day // 100 % 100, day % 100) - _EPOCH).days
    except ValueError:
        days = -1
    if not 0 <= days < 1 << _DAY_BITS:
        raise UserError(
            f"visit {visit} does not begin with a date between 2010 and 2099",
            hint="A visit's id is yyyymmdd * 100000 + its number in that night.",
        )
    if not 0 <= detector < 1 << _DETECTOR_BITS:
        raise UserError(f"detector {detector} is out of range; 0 to {(1 << _DETECTOR_BITS) - 1} are possible")
    return (days << (_SEQ_BITS + _DETECTOR_BITS)) | (seq << _DETECTOR_BITS) | int(detector)


def source_ids(visit: int, detector: int, number: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the identifiers of sources.

    Parameters
    ----------
    visit, detector
        As of ``visit_detector_id``.
    number
        Of the source in its detector, from 0, shape (n,).

    Raises
    ------
    UserError
        As ``visit_detector_id``, and if a number is negative or ``MAX_SOURCES`` or more.
    """
    numbers = np.asarray(number, dtype=np.int64)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= MAX_SOURCES):
        raise UserError(f"source numbers {numbers.min()} to {numbers.max()}; 0 to {MAX_SOURCES - 1} are possible")
    ids: npt.NDArray[np.int64] = (np.int64(visit_detector_id(visit, detector)) << np.int64(_NUMBER_BITS)) | numbers
    return ids


def parts_of(source_id: int) -> tuple[int, int, int]:
    """Return visit, detector and number of a source's identifier."""
    number = int(source_id) & (MAX_SOURCES - 1)
    packed = int(source_id) >> _NUMBER_BITS
    detector = packed & ((1 << _DETECTOR_BITS) - 1)
    seq = (packed >> _DETECTOR_BITS) & ((1 << _SEQ_BITS) - 1)
    day = _EPOCH + timedelta(days=packed >> (_SEQ_BITS + _DETECTOR_BITS))
    return int(day.strftime("%Y%m%d")) * _SEQ_PER_DAY + seq, detector, number
