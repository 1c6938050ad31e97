"""Arrow columns as numpy sees them: numbers without NULLs, the bytes of texts, the elements of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.snapshot import IntArray
from qserv_py.errors import EvaluationError

Values = np.ndarray

MOST_SHOWN = 60
"""Characters of a value in a message."""


def numbers(column: pa.Array, null: int) -> Values:
    """Return numbers: a NULL is NaN among reals, ``null`` among whole ones; booleans are letters T, F and ``null``."""
    if pa.types.is_boolean(column.type):
        letters = np.where(column.fill_null(False).to_numpy(zero_copy_only=False), ord("T"), ord("F")).astype(np.uint8)
        return np.where(_is_null(column), np.uint8(null), letters) if column.null_count else letters
    if column.null_count and pa.types.is_integer(column.type):
        column = column.fill_null(pa.scalar(null, type=column.type))
    return np.asarray(column.to_numpy(zero_copy_only=False))


def refuse_value(column: pa.Array, value: int, name: str, format_name: str, *, instead: str = "votable") -> None:
    """Refuse a number that would be read as NULL.

    Parameters
    ----------
    column
        Values of any type.
    value
        The number.
    name, format_name
        For the message.
    instead
        A format that can hold it.

    Raises
    ------
    EvaluationError
        If the column holds the number.
    """
    if pa.types.is_integer(column.type) and pc.any(pc.equal(column, pa.scalar(value, type=column.type))).as_py():
        raise EvaluationError(
            f'column "{name}" holds {value}, which means NULL in {format_name}',
            hint=f"Ask for another format, such as {instead}.",
        )


def refuse_characters(column: pa.Array, characters: str, name: str, format_name: str) -> None:
    """Refuse a text that a format has no way to write.

    Parameters
    ----------
    column
        Texts.
    characters
        What the format cannot hold: a class of characters as a regular expression.
    name, format_name
        For the message.

    Raises
    ------
    EvaluationError
        If a text has such a character.
    """
    found = pc.match_substring_regex(column, characters)
    if pc.any(found).as_py():
        text = column.filter(found)[0].as_py()
        shown = text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
        raise EvaluationError(
            f'column "{name}" holds {shown!r}, which {format_name} cannot hold',
            hint="Ask for another format, such as votable.",
        )


@dataclass(frozen=True, slots=True)
class Pieces:
    """Values of different lengths, one after the other."""

    offsets: IntArray
    """Where each value begins in ``data``, from 0, and where the last one ends; shape (n + 1,)."""

    data: Values

    @property
    def lengths(self) -> IntArray:
        """Elements of each value; a NULL has none."""
        return np.diff(self.offsets)


def texts(column: pa.Array) -> Pieces:
    """Return the bytes of texts or byte strings."""
    large = column.cast(pa.large_binary())
    if large.null_count:
        large = large.fill_null(b"")
    _, offsets, data = large.buffers()
    places = np.frombuffer(offsets, dtype=np.int64)[large.offset : large.offset + len(large) + 1]
    if data is None or places[0] == places[-1]:
        return Pieces(places - places[0], np.empty(0, dtype=np.uint8))
    return Pieces(places - places[0], np.frombuffer(data, dtype=np.uint8)[places[0] : places[-1]])


def utf16(text: Pieces) -> Pieces:
    """Return UTF-8 texts as UTF-16, big-endian."""
    if (text.data < 0x80).all():
        wide = np.zeros((len(text.data), 2), dtype=np.uint8)
        wide[:, 1] = text.data
        return Pieces(text.offsets * 2, wide.reshape(-1))
    begins = (text.data & 0xC0) != 0x80  # the first byte of a character; beyond the first plane it is 0xF0 or more
    bytes_before = np.concatenate([[0], np.cumsum(2 * begins.astype(np.int64) + 2 * (text.data >= 0xF0))])
    data = text.data.tobytes().decode().encode("utf-16-be")
    return Pieces(bytes_before[text.offsets], np.frombuffer(data, dtype=np.uint8))


def elements(column: pa.Array) -> tuple[IntArray, pa.Array]:
    """Return how many elements each array has (a NULL has none), and all elements."""
    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    lengths = np.asarray(pc.list_value_length(column).fill_null(0), dtype=np.int64)
    return lengths, column.flatten()


def fixed_arrays(column: pa.Array, size: int, null: int, name: str) -> Values:
    """Return arrays of ``size`` numbers, shape (n, size); a NULL has NULL in all its places.

    Raises
    ------
    EvaluationError
        If an array has another number of elements.
    """
    lengths, flat = elements(column)
    is_null = _is_null(column)
    if ((lengths != size) & ~is_null).any():
        found = int(lengths[(lengths != size) & ~is_null][0])
        raise EvaluationError(f'column "{name}" holds an array of {found} elements, its values have {size}')
    given = numbers(flat, null)
    if not column.null_count:
        return given.reshape(-1, size)
    filling = np.nan if pa.types.is_floating(flat.type) else null
    made = np.full((len(column), size), filling, dtype=given.dtype)
    made[~is_null] = given.reshape(-1, size)
    return made


def _is_null(column: pa.Array) -> np.ndarray:
    return np.asarray(column.is_null())
