"""Records of a CSV file, counted by its line ends and quotes alone, before a library reads it.

Quotes are those of RFC 4180: a field may stand between double quotes, a quote in it is doubled, and line ends in it are
its own. pyarrow reads such files at full speed, but takes the end of the file for the end of a quote that never closes,
and joins ``"ab"cd`` to ``abcd``. So the quotes are looked at first: where they pair as RFC 4180 has it, the count of
records is exact and pyarrow's rows are held against it; any other file is read field by field (``fields``).
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from qserv_py.catalog.snapshot import BoolArray, IntArray

BLOCK = 8 << 20
"""Bytes read together."""

LONGEST_RECORD = 8 << 20
"""Bytes of the longest record that is read."""

_QUOTE, _LF, _CR = 0x22, 0x0A, 0x0D

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCount:
    """How many records a file has, and how its quotes stand, by its line ends and quotes alone."""

    records: int
    """Records that are not empty lines; counted up to the first odd quote if there is one."""

    is_plain: bool
    """Whether quotes stand around whole fields, are doubled inside, and the last one closes, and all text is UTF-8.

    pyarrow cannot give the text of a row with too few or too many fields when that text is not UTF-8.
    """

    spanning: int = 0
    """Line ends inside of fields."""

    first_spanning: int = 0
    """Number of the record with the first line end inside of a field, from 1; 0 when there is none."""


def count_records(stream: BinaryIO, delimiter: str) -> RecordCount:
    """Count the records of a stream from where it stands to its end.

    Parameters
    ----------
    stream
        Bytes of any encoding in which ASCII characters are themselves.
    delimiter
        One ASCII character.
    """
    counter = _Counter(ord(delimiter))
    while (block := stream.read(BLOCK)) and counter.is_plain:
        counter.take(np.frombuffer(block, np.uint8))
    return counter.result()


class _Counter:
    """The state of the count: where the last line ended, whether a quote is open, and the byte before."""

    def __init__(self, delimiter: int) -> None:
        self._beside = np.zeros(256, dtype=np.bool_)  # bytes that may stand beside a quote, outside of its field
        self._beside[[delimiter, _LF, _CR, _QUOTE]] = True
        self._open = False
        self._before = _LF
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line = 0
        """Bytes of the line that is not yet at its end."""

        self._records = 0
        self._spanning = 0
        self._first_spanning = 0
        self.is_plain = True

    def take(self, block: Bytes) -> None:
        """Go on with the next bytes."""
        quotes = np.flatnonzero(block == _QUOTE)
        ends = np.flatnonzero((block == _LF) | (block == _CR))
        was_open = self._open
        self.is_plain = self._pairs(block, quotes) and self._is_utf8(block)
        if was_open or len(quotes):
            inside = self._is_open(ends, quotes, was_open)
            self._note_spanning(ends[inside], ends[~inside])
            ends = ends[~inside]
        self._count(ends, len(block))
        self._before = int(block[-1])

    def result(self) -> RecordCount:
        """Return the count at the end of the file."""
        return RecordCount(
            records=self._records + (1 if self._line else 0),
            is_plain=self.is_plain and not self._open and self._is_utf8(np.empty(0, np.uint8), final=True),
            spanning=self._spanning,
            first_spanning=self._first_spanning,
        )

    def _pairs(self, block: Bytes, quotes: IntArray) -> bool:
        """Tell whether each quote that opens stands behind a delimiter, and each that closes before one.

        A doubled quote inside of a field closes and opens it again, each beside the other.
        """
        # the last byte of a block that closes a quote is looked at with the next block
        if self._before == _QUOTE and not self._open and not self._beside[block[0]]:
            return False
        if not len(quotes):
            return True
        opens = (np.arange(len(quotes)) + self._open) % 2 == 0
        first, last = quotes[0] == 0, quotes[-1] == len(block) - 1
        before = block[quotes - 1]
        if first:
            before[0] = self._before
        after = block[(quotes + 1) % len(block)]
        if last:
            after[-1] = _LF
        self._open = bool((len(quotes) + self._open) % 2)
        return bool(np.all(self._beside[np.where(opens, before, after)]))

    def _is_utf8(self, block: Bytes, *, final: bool = False) -> bool:
        if not final and not self._decoder.getstate()[0] and not np.any(block & 0x80):
            return True
        try:
            self._decoder.decode(block.tobytes(), final=final)
        except UnicodeDecodeError:
            return False
        return True

    @staticmethod
    def _is_open(places: IntArray, quotes: IntArray, was_open: bool) -> BoolArray:
        inside: BoolArray = (np.searchsorted(quotes, places) + was_open) % 2 == 1
        return inside

    def _note_spanning(self, inside: IntArray, outside: IntArray) -> None:
        if not len(inside):
            return
        if not self._spanning:
            lines = np.diff(outside, prepend=-1 - self._line)[outside < inside[0]]
            self._first_spanning = self._records + int(np.count_nonzero(lines > 1)) + 1
        self._spanning += len(inside)

    def _count(self, ends: IntArray, size: int) -> None:
        if not len(ends):
            self._line += size
            return
        lengths = np.diff(ends, prepend=-1 - self._line)  # 1 for an empty line, such as that between CR and LF
        self._records += int(np.count_nonzero(lengths > 1))
        self._line = size - 1 - int(ends[-1])
