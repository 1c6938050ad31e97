"""Columns as text, the way each text format writes its values; all by Arrow, no value is touched by Python.

A cell is a large string; NULL stays NULL until the cells of a row are joined, where it becomes what the format says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.czar.formats.fields import is_list
from qserv_py.czar.formats.values import elements, texts

TEXT = pa.large_string()


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a format writes values that are not plain numbers or texts: NaN, truth values, arrays, bytes."""

    nan: str = "NaN"
    infinity: str = "Infinity"
    minus_infinity: str = "-Infinity"
    between: str = " "
    """Text between two elements of an array."""

    opening: str = ""
    closing: str = ""
    null_element: str = "NULL"
    whole_reals: bool = False
    """Whether 1.0 is written 1.0 and not 1."""

    bytes_as_numbers: bool = False
    """Whether a byte string is written as an array of numbers, not in hexadecimal."""


def cell_texts(column: pa.Array, style: Style, name: str) -> pa.Array:
    """Return the values of a column as text; text is returned as it is."""
    kind = column.type
    if is_list(kind):
        return _arrays(column, style, name)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _byte_numbers(column) if style.bytes_as_numbers else hexadecimal(column)
    if pa.types.is_timestamp(kind):
        return times(column)
    made = column.cast(TEXT)
    if pa.types.is_floating(kind):
        return _special_reals(column, _with_point(column, made) if style.whole_reals else made, style)
    return made


def joined_rows(
    cells: Sequence[pa.Array], *, before: str = "", between: str = "", after: str = "", null: str = ""
) -> bytes:
    """Return the rows as UTF-8.

    Parameters
    ----------
    cells
        Columns of text, at least one.
    before, between, after
        What stands around the cells of a row.
    null
        What stands for NULL.
    """
    given = list(cells)
    if before:
        given[0] = _join([pa.scalar(before, TEXT), given[0]], "", null)
    if after:
        given[-1] = _join([given[-1], pa.scalar(after, TEXT)], "", null)
    rows = given[0] if len(given) == 1 else _join(given, between, null)
    return texts(rows).data.tobytes()


def _join(columns: Sequence[pa.Array | pa.Scalar], between: str, null: str) -> pa.Array:
    return pc.binary_join_element_wise(
        *columns, pa.scalar(between, TEXT), null_handling="replace", null_replacement=null
    )


def times(column: pa.Array) -> pa.Array:
    """Return times in ISO 8601, as DALI writes them; an answer has none beyond the years 1 to 9999."""
    return pc.replace_substring(column.cast(TEXT), " ", "T", max_replacements=1)


def hexadecimal(column: pa.Array) -> pa.Array:
    """Return byte strings as lower-case hexadecimal digits."""
    found = texts(column)
    digits = _HEX_DIGITS[found.data].reshape(-1)
    return _from_bytes(column, found.offsets * 2, digits)


def xml_text(column: pa.Array) -> pa.Array:
    """Return text as the content of an XML element; what XML cannot hold is U+FFFD."""
    if not holds_byte(column, _XML_SPECIAL):
        return column
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;")):
        column = pc.replace_substring(column, character, entity)
    return pc.replace_substring_regex(column, XML_FORBIDDEN, "\N{REPLACEMENT CHARACTER}")


def quoted_json(column: pa.Array) -> pa.Array:
    """Return text as JSON strings."""
    if holds_byte(column, _JSON_SPECIAL):
        control = np.unique(texts(column).data)
        column = pc.replace_substring(pc.replace_substring(column, "\\", "\\\\"), '"', '\\"')
        for byte in control[control < 0x20]:
            column = pc.replace_substring(column, chr(byte), f"\\u{byte:04x}")
    return around('"', column, '"')


def around(before: str, column: pa.Array, after: str) -> pa.Array:
    """Return text with something before and after each value; NULL stays NULL."""
    return pc.binary_join_element_wise(pa.scalar(before, TEXT), column, pa.scalar(after, TEXT), pa.scalar("", TEXT))


def holds_byte(column: pa.Array, table: np.ndarray) -> bool:
    """Whether a text has a byte that a table of 256 marks."""
    return bool(table[texts(column).data].any())


def byte_table(characters: str) -> np.ndarray:
    """Return a table for ``holds_byte``."""
    table = np.zeros(256, dtype=bool)
    table[list(characters.encode())] = True
    return table


XML_FORBIDDEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"
_CONTROL = "".join(map(chr, range(0x20)))
_XML_SPECIAL = byte_table("&<>" + _CONTROL.replace("\t", "").replace("\n", ""))
_XML_SPECIAL[0xEF] = True  # U+FFFE and U+FFFF begin with these bytes
_JSON_SPECIAL = byte_table('"\\' + _CONTROL)
_HEX_DIGITS = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], dtype=np.uint8)


def _special_reals(column: pa.Array, made: pa.Array, style: Style) -> pa.Array:
    if column.null_count == 0 and np.isfinite(column.to_numpy(zero_copy_only=False)).all():
        return made
    if not pc.any(pc.invert(pc.is_finite(column))).as_py():
        return made
    words = {float("nan"): style.nan, float("inf"): style.infinity, float("-inf"): style.minus_infinity}
    conditions = pa.StructArray.from_arrays(
        [
            pc.fill_null(condition, False)
            for condition in (
                pc.is_nan(column),
                pc.equal(column, pa.scalar(float("inf"), column.type)),
                pc.equal(column, pa.scalar(float("-inf"), column.type)),
            )
        ],
        names=["nan", "plus", "minus"],
    )
    return pc.case_when(conditions, *(pa.scalar(word, TEXT) for word in words.values()), made)


def _with_point(column: pa.Array, made: pa.Array) -> pa.Array:
    if not pc.any(pc.equal(column, pc.trunc(column))).as_py():
        return made
    return pc.replace_substring_regex(made, r"^(-?\d+)$", r"\1.0")


def _arrays(column: pa.Array, style: Style, name: str) -> pa.Array:
    lengths, flat = elements(column)
    texts_of_elements = pc.fill_null(cell_texts(flat, style, name), style.null_element)
    made = _joined_elements(lengths, texts_of_elements, style.between)
    if style.opening or style.closing:
        made = around(style.opening, made, style.closing)
    return _null_where(column, made)


def _byte_numbers(column: pa.Array) -> pa.Array:
    found = texts(column)
    made = _joined_elements(found.lengths, pa.array(found.data).cast(TEXT), " ")
    return _null_where(column, made)


def _joined_elements(lengths: np.ndarray, flat: pa.Array, between: str) -> pa.Array:
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), type=pa.int64())
    return pc.binary_join(pa.LargeListArray.from_arrays(offsets, flat), pa.scalar(between, TEXT))


def _null_where(column: pa.Array, made: pa.Array) -> pa.Array:
    if not column.null_count:
        return made
    return pc.if_else(column.is_null(), pa.scalar(None, TEXT), made)


def _from_bytes(column: pa.Array, offsets: np.ndarray, data: np.ndarray) -> pa.Array:
    made = pa.Array.from_buffers(TEXT, len(column), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return _null_where(column, made)
