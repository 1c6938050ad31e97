"""Columns of a FITS table: what must be known of all their values, and how they are written then.

A text whose first byte is zero is NULL, as the standard says. Readers take blanks at the end for what fills the column,
so an empty text is all blanks, and one that ends with blanks has a zero byte behind them. On the heap, where nothing is
filled, a text has its own bytes, an empty one none, and NULL is one zero byte.

References
----------
FITS Standard 4.0, section 7.3.3.1 ("Character").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.adql.blocks.metadata import unique_names
from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.czar.formats.cells import times
from qserv_py.czar.formats.fields import Field, fields_of, is_list
from qserv_py.czar.formats.values import Values, elements, fixed_arrays, numbers, refuse_characters, texts
from qserv_py.errors import EvaluationError, UserError

MAX_COLUMNS = 999
"""Columns that a FITS table can have, as the numbers in its keywords have three digits."""

LONGEST_NAME = 63
"""Characters of a name, its quotes counted twice: with a number behind it must fit into one card, of 68."""

WIDEST_TEXT = 1000
"""Bytes of a text that is written in its row; all rows have room for the longest, so longer ones go to the heap."""

_TYPES = {
    "boolean": ("L", "u1"),
    "short": ("I", ">i2"),
    "int": ("J", ">i4"),
    "long": ("K", ">i8"),
    "float": ("E", ">f4"),
    "double": ("D", ">f8"),
}
_BYTES = ("B", "u1")
_CHARACTERS = ("A", "u1")
_CANDIDATES = 64
"""How many numbers, from the least of a type on, are tried for NULL: the first that no row has is taken."""


@dataclass(slots=True)
class FitsColumn:
    """One column. ``note`` takes all values, then ``settle`` decides, then they can be written."""

    about: Field
    name: str
    letter: str
    kind: str
    """Letter that FITS has for the type of one element, and numpy's type."""

    size: int | None
    """Elements of a value; None when they vary."""

    longest: int = 0
    """Elements of the longest value that varies."""

    room: int = 1
    """Bytes that a text needs in its row, with the zero byte behind blanks."""

    elements: int = 0
    is_heaped: bool = False
    has_null: bool = False
    null: int = 0
    """Number that stands for NULL; known after ``settle``."""

    _used: set[int] = field(default_factory=set)

    @property
    def item_bytes(self) -> int:
        """Bytes of one element."""
        return np.dtype(self.kind).itemsize

    @property
    def width(self) -> int:
        """Bytes that the column takes in a row."""
        return 16 if self.is_heaped else (self.size or 0) * self.item_bytes

    @property
    def heap_bytes(self) -> int:
        """Bytes that all values of the column take on the heap."""
        return self.elements * self.item_bytes if self.is_heaped else 0

    @property
    def form(self) -> str:
        """TFORM, such as 2D, 12A or 1QD(7)."""
        return f"1Q{self.letter}({self.longest})" if self.is_heaped else f"{self.size}{self.letter}"

    @property
    def is_whole(self) -> bool:
        """Whether the elements are whole numbers that may be NULL."""
        return self.letter in "IJK"

    def note(self, values: pa.Array) -> None:
        """Note sizes and extremes of some values, as ``prepared`` returns them.

        Raises
        ------
        EvaluationError
            If an array of a column whose arrays vary in length has a whole number that is NULL; TNULL could say it, but
            astropy's Table.read fails on the whole file then.
        """
        if self.size is None:
            lengths = elements(values)[0] if is_list(values.type) else texts(self._heaped(values)).lengths
            self.longest = max(self.longest, int(lengths.max()))
            self.elements += int(lengths.sum())
        if self.letter == "A":
            self.room = max(self.room, int(np.max(lengths + _ends_blank(values))))
        if self.is_whole:
            flat = elements(values)[1] if is_list(values.type) else values
            if self.size is None and flat.null_count:
                raise EvaluationError(
                    f'column "{self.name}" holds an array with NULL in it, which FITS cannot hold',
                    hint="Ask for another format, such as votable.",
                )
            self.has_null |= bool(flat.null_count or (self.size is not None and values.null_count))
            low = self._least + _CANDIDATES
            few = flat.filter(pc.fill_null(pc.less(flat, pa.scalar(low, type=flat.type)), False))
            self._used.update(pc.unique(few).to_pylist())

    def settle(self) -> None:
        """Decide where the values go and what stands for NULL.

        Raises
        ------
        UserError
            If every candidate for NULL is a value of the column.
        """
        if self.size is None:
            self.is_heaped = self.letter != "A" or self.longest > WIDEST_TEXT
            if not self.is_heaped:
                self.size = self.room
        if self.is_whole and self.has_null:
            free = [value for value in range(self._least, self._least + _CANDIDATES) if value not in self._used]
            if not free:
                raise UserError(
                    f'column "{self.name}" has NULLs, but FITS has no number left to write them as',
                    hint="CAST the column to a larger type, or ask for votable.",
                )
            self.null = free[0]

    def in_row(self, values: pa.Array) -> tuple[Values, str]:
        """Return values that stand in their rows, and the type to write them in."""
        if self.letter == "A":
            width = self.size or 1
            blanks = pc.if_else(pc.equal(values, ""), " " * width, values)
            padded = pc.ascii_rpad(pc.fill_null(blanks, ""), width=width, padding="\0")
            return texts(padded).data.reshape(-1, width), self.kind
        if is_list(values.type):
            return fixed_arrays(values, self.size or 1, self.null, self.name), self.kind
        return numbers(values, self.null), self.kind

    def on_heap(self, values: pa.Array) -> tuple[Values, bytes]:
        """Return the numbers of elements, and the elements as bytes."""
        if not is_list(values.type):
            found = texts(self._heaped(values))
            return found.lengths, found.data.tobytes()
        lengths, flat = elements(values)
        return lengths, numbers(flat, self.null).astype(self.kind).tobytes()

    def _heaped(self, values: pa.Array) -> pa.Array:
        """Return texts or byte strings as they lie on the heap."""
        return pc.fill_null(values, "\0") if self.letter == "A" else values

    @property
    def _least(self) -> int:
        return int(np.iinfo(np.dtype(self.kind)).min)


def _ends_blank(values: pa.Array) -> Values:
    """Return whether texts end with a blank; false for NULL."""
    return np.asarray(pc.fill_null(pc.ends_with(values, " "), False).to_numpy(zero_copy_only=False))


def fits_columns(columns: Sequence[OutputColumn], schema: pa.Schema) -> list[FitsColumn]:
    """Return the columns of a table; names are printable ASCII, and so short that they fit into their keyword."""
    names = unique_names(_plain_name(column.name) for column in columns)
    made = []
    for about, name in zip(fields_of(columns, schema), names, strict=True):
        if about.datatype in _TYPES:
            (letter, kind), size = _TYPES[about.datatype], about.size
        else:
            (letter, kind), size = (_BYTES if about.datatype == "unsignedByte" else _CHARACTERS), None
        made.append(FitsColumn(about=about, name=name, letter=letter, kind=kind, size=size))
    return made


def _plain_name(name: str) -> str:
    plain = "".join(c if " " <= c <= "~" else "_" for c in name).strip()[:LONGEST_NAME]
    while len(plain) + plain.count("'") > LONGEST_NAME:
        plain = plain[:-1]
    return plain.rstrip() or "_"


def prepared(block: pa.RecordBatch, columns: Sequence[FitsColumn]) -> pa.RecordBatch:
    """Return the values as they will be written, noted by their columns: times as text.

    Raises
    ------
    EvaluationError
        If a text has a character that is no printable ASCII.
    """
    made = []
    for column, values in zip(columns, block.columns, strict=True):
        if column.about.column.datatype is DataType.TIMESTAMP:
            values = times(values)
        elif column.letter == "A":
            refuse_characters(values, "[^ -~]", column.name, "a text of FITS")
        column.note(values)
        made.append(values)
    return pa.RecordBatch.from_arrays(made, names=[f"c{place}" for place in range(len(made))])
