"""The cells of TABLEDATA as columns of texts: rows of plain tags are taken apart by numpy, others come from expat."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.snapshot import BoolArray, IntArray
from qserv_py.counts import counted
from qserv_py.ingest.files.reader import MalformedRows

Bytes = npt.NDArray[np.uint8]

_TR, _END_TR, _TD, _END_TD, _EMPTY_TD = range(5)
_TAGS = (b"<TR>", b"</TR>", b"<TD>", b"</TD>", b"<TD/>")
_FOLLOWING = {_TR: (_TD, _EMPTY_TD, _END_TR), _END_TR: (_TR,), _TD: (_END_TD,)}
_FOLLOWING |= {_END_TD: (_TD, _EMPTY_TD, _END_TR), _EMPTY_TD: (_TD, _EMPTY_TD, _END_TR)}
_MAY_FOLLOW = np.zeros((5, 5), dtype=np.bool_)
for _tag, _next in _FOLLOWING.items():
    _MAY_FOLLOW[_tag, list(_next)] = True

_WIDTH = 8
"""Bytes that are compared to know a tag."""

_ENTITY = re.compile(r"&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|(\w+));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


@dataclass(frozen=True, slots=True)
class _Block:
    """Where in a document the cells of some rows are."""

    starts: IntArray
    ends: IntArray
    first_cells: IntArray
    """Number of the first cell of each row."""

    counts: IntArray
    """How many cells each row has."""


class TextRows:
    """Collects rows as columns of texts.

    Parameters
    ----------
    width
        Cells of a row; other rows are malformed.
    places
        Columns that are kept.
    malformed
        Where the malformed rows are written.

    ``add_block`` and ``add_rows`` raise ContributionError when there are too many malformed rows.
    """

    def __init__(self, path: Path, width: int, places: Sequence[int], malformed: MalformedRows) -> None:
        self._path = path
        self._width = width
        self._places = tuple(places)
        self._malformed = malformed
        self._rows_seen = 0
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        self.nbytes = 0
        self._numbers: list[IntArray] = []
        self._columns: list[list[pa.Array]] = [[] for _ in self._places]

    def add_block(self, block: bytes) -> bool:
        """Take rows as they stand in the document, in UTF-8; False, and nothing taken, if their tags are not plain."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        found = _taken_apart(block)
        if found is None:
            return False
        good = found.counts == self._width
        if not good.all():
            self._note_malformed(block, found, np.flatnonzero(~good))
        cells = _slices(block, found.starts, found.ends)
        first = found.first_cells[good]
        columns = [cells.take(pa.array((first + place) * 2)) for place in self._places] if len(cells) else []
        if b"&" in block:
            columns = [_without_entities(column) for column in columns]
        self._keep(np.flatnonzero(good), len(good), columns, len(block))
        return True

    def add_rows(self, rows: list[list[str]]) -> None:
        """Take the cells of rows."""
        good = [place for place, row in enumerate(rows) if len(row) == self._width]
        if len(good) < len(rows):
            for place, row in enumerate(rows):
                if len(row) != self._width:
                    self._add_malformed(place, row)
        columns = [pa.array([rows[row][place] for row in good], pa.string()) for place in self._places]
        self._keep(np.array(good, dtype=np.int64), len(rows), columns, sum(column.nbytes for column in columns))

    def add_stream(self, text: str) -> None:
        """TABLEDATA has no stream."""

    def take(self) -> tuple[IntArray, list[pa.Array]]:
        """Return the numbers of the rows since the last call, and the columns that are kept."""
        numbers = np.concatenate(self._numbers) if self._numbers else np.empty(0, dtype=np.int64)
        columns = [pa.concat_arrays(parts) if parts else pa.array([], pa.string()) for parts in self._columns]
        self._clear()
        return numbers, columns

    def _keep(self, places: IntArray, seen: int, columns: list[pa.Array], nbytes: int) -> None:
        if len(places):
            self._numbers.append(places + self._rows_seen + 1)
            for kept, column in zip(self._columns, columns, strict=True):
                kept.append(column)
        self.count += len(places)
        self.nbytes += nbytes
        self._rows_seen += seen

    def _note_malformed(self, block: bytes, found: _Block, rows: IntArray) -> None:
        for row in rows.tolist():
            first = int(found.first_cells[row])
            cells = range(first, first + int(found.counts[row]))
            self._add_malformed(row, [block[found.starts[cell] : found.ends[cell]].decode() for cell in cells])

    def _add_malformed(self, place: int, cells: list[str]) -> None:
        reason = f"the row has {counted(len(cells), 'cell')}, the table {counted(self._width, 'column')}"
        self._malformed.add(self._path, self._rows_seen + place + 1, reason, ", ".join(cells))


def _taken_apart(block: bytes) -> _Block | None:
    """Return where the cells are; None if there is any other tag, or they stand in another order."""
    data = np.frombuffer(block + bytes(_WIDTH), dtype=np.uint8)
    at = np.flatnonzero(data == ord("<"))
    words = np.lib.stride_tricks.sliding_window_view(data, _WIDTH)[at].view("<u8")[:, 0]
    kinds = np.full(len(at), -1, dtype=np.int8)
    for kind, tag in enumerate(_TAGS):
        mask = (1 << 8 * len(tag)) - 1
        kinds[(words & np.uint64(mask)) == np.uint64(int.from_bytes(tag, "little"))] = kind
    if not len(at) or kinds.min() < 0 or kinds[0] != _TR or kinds[-1] != _END_TR:
        return None
    if not _MAY_FOLLOW[kinds[:-1], kinds[1:]].all():
        return None
    opened = np.flatnonzero((kinds == _TD) | (kinds == _EMPTY_TD))
    rows, rows_end = np.flatnonzero(kinds == _TR), np.flatnonzero(kinds == _END_TR)
    first = np.searchsorted(opened, rows)
    starts = at[opened] + len(_TAGS[_TD])
    ends = at[opened + 1]
    empty = kinds[opened] == _EMPTY_TD
    ends[empty] = starts[empty]
    return _Block(starts, ends, first, np.searchsorted(opened, rows_end) - first)


def _slices(data: bytes, starts: IntArray, ends: IntArray) -> pa.Array:
    """Return texts of which every second, from the first on, is one of the slices; nothing is copied."""
    offsets = np.empty(2 * len(starts), dtype=np.int32)
    offsets[0::2], offsets[1::2] = starts, ends
    count = max(len(offsets) - 1, 0)
    buffers = [None, pa.py_buffer(offsets if count else np.zeros(1, dtype=np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), count, buffers)


def _without_entities(texts: pa.Array) -> pa.Array:
    where: BoolArray = pc.match_substring(texts, "&").to_numpy(zero_copy_only=False)
    if not where.any():
        return texts
    mended = [_ENTITY.sub(_character, text) for text in texts.filter(pa.array(where)).to_pylist()]
    return pc.replace_with_mask(texts, pa.array(where), pa.array(mended, pa.string()))


def _character(found: re.Match[str]) -> str:
    """Return the character that a reference such as ``&lt;`` means; expat has checked that it is a reference."""
    hexadecimal, decimal, name = found.groups()
    if name:
        return _NAMED[name]
    return chr(int(hexadecimal, 16) if hexadecimal else int(decimal))
