"""The values of TABLEDATA: texts to the types of their FIELDs. A text that does not fit is reported, never altered."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.ingest.files.votable.fields import ENCODED, FLOATS, INTEGERS, Field
from qserv_py.ingest.values.converted import ConvertedColumn, Misfits, found, numpy_mask, without

BLANKS = " \t\r\n"
_TRUE = pa.array(["t", "1", "true"])
_FALSE = pa.array(["f", "0", "false"])
_NO_TRUTH = pa.array(["", "?", "\0"])
_SPECIAL = r"^[+-]?(?i:nan|inf|infinity)$"


def values_of(texts: pa.Array, field: Field) -> ConvertedColumn:
    """Return the values of cells.

    Parameters
    ----------
    texts
        Cells without NULLs; an empty one means NULL (VOTable 1.3 and later), as does one that is the ``null`` of the
        FIELD.
    """
    empty = pc.equal(texts, "")
    if field.null is not None and field.null.strip(BLANKS) and not field.is_bytes:
        empty = pc.or_(empty, pc.equal(pc.utf8_trim(texts, BLANKS), field.null.strip(BLANKS)))
    if pc.any(empty).as_py():
        texts = pc.if_else(empty, pa.scalar(None, pa.string()), texts)
    column = _typed(texts, field)
    if not field.is_text and not column.misfits:
        return column
    encoded = numpy_mask(pc.starts_with(texts, ENCODED))
    others = tuple(Misfits(one.where & ~encoded, one.reason) for one in column.misfits)
    odd = found(encoded, "a cell in an encoding of its own, or with elements in it")
    return ConvertedColumn(without(column.values, encoded), odd + tuple(one for one in others if one.where.any()))


def _typed(texts: pa.Array, field: Field) -> ConvertedColumn:
    if field.is_text:
        return ConvertedColumn(texts)
    if field.is_bytes:
        return _byte_strings(texts, None if field.varies else field.count)
    if field.datatype in INTEGERS:
        return _without_null(_integers(texts, INTEGERS[field.datatype]), field)
    if field.datatype in FLOATS:
        return _without_null(_floats(texts, FLOATS[field.datatype]), field)
    return _booleans(texts) if field.datatype == "boolean" else _bits(texts)


def null_number(field: Field) -> int | float | None:
    """Return the number that means NULL; None when there is none, or what is said is no number of the type."""
    text = (field.null or "").strip(BLANKS)
    try:
        if field.datatype in INTEGERS:
            number = _whole_number(text)
            limits = np.iinfo(INTEGERS[field.datatype].to_pandas_dtype())
            return number if number is not None and limits.min <= number <= limits.max else None
        return float(text) if field.datatype in FLOATS else None
    except ValueError:
        return None


def _without_null(column: ConvertedColumn, field: Field) -> ConvertedColumn:
    """Return a column of numbers without that which means NULL, however it is written."""
    number = null_number(field)
    if number is None or number != number:  # NaN is left to what is done with every NaN
        return column
    null = pa.scalar(number, pa.float64()).cast(column.values.type) if isinstance(number, float) else number
    return ConvertedColumn(without(column.values, numpy_mask(pc.equal(column.values, null))), column.misfits)


def _integers(texts: pa.Array, kind: pa.DataType) -> ConvertedColumn:
    try:
        if not pc.any(pc.match_substring(texts, "x", ignore_case=True)).as_py():  # Arrow reads 0x in its own way
            return ConvertedColumn(texts.cast(kind))
    except pa.ArrowInvalid:
        pass
    return _one_by_one(texts, kind)


def _one_by_one(texts: pa.Array, kind: pa.DataType) -> ConvertedColumn:
    limits = np.iinfo(kind.to_pandas_dtype())
    bad, outside = (np.zeros(len(texts), dtype=np.bool_) for _ in range(2))
    numbers: list[int | None] = []
    for place, text in enumerate(texts.to_pylist()):
        number = None
        if text is not None and (text := text.strip(BLANKS)):
            number = _whole_number(text)
            bad[place] = number is None
            if number is not None and not limits.min <= number <= limits.max:
                outside[place], number = True, None
        numbers.append(number)
    reasons = found(bad, "not a whole number") + found(outside, f"outside {limits.min} to {limits.max}")
    return ConvertedColumn(pa.array(numbers, kind), reasons)


def _whole_number(text: str) -> int | None:
    """Return a decimal or hexadecimal number; None for everything else that Python would take."""
    sign, digits = (text[0], text[1:]) if text[:1] in {"+", "-"} else ("", text)
    if not digits.isascii():
        return None
    if digits.isdigit():
        return int(f"{sign}{digits}") if len(digits) < 100 else None
    is_hexadecimal = digits[:2].lower() == "0x" and not sign and 0 < len(digits) - 2 < 100
    return int(digits, 16) if is_hexadecimal and digits[2:].isalnum() and _is_hexadecimal(digits[2:]) else None


def _is_hexadecimal(digits: str) -> bool:
    return all(digit in "0123456789abcdefABCDEF" for digit in digits)


def _byte_strings(texts: pa.Array, count: int | None) -> ConvertedColumn:
    """Return byte strings of numbers between blanks; ``count`` is their length, where it is fixed."""
    bad, outside, uneven = (np.zeros(len(texts), dtype=np.bool_) for _ in range(3))
    values: list[bytes | None] = []
    for place, text in enumerate(texts.to_pylist()):
        numbers = [] if text is None else [_whole_number(part) for part in text.split()]
        whole = [number for number in numbers if number is not None]
        bad[place] = len(whole) < len(numbers)
        outside[place] = any(not 0 <= number <= 255 for number in whole)
        uneven[place] = text is not None and count is not None and len(numbers) != count
        wrong = bad[place] or outside[place] or uneven[place]
        values.append(None if text is None or wrong else bytes(whole))
    reasons = found(bad, "not whole numbers") + found(outside & ~bad, "outside 0 to 255")
    return ConvertedColumn(
        pa.array(values, pa.binary()), reasons + found(uneven & ~bad & ~outside, f"not {count} numbers")
    )


def _floats(texts: pa.Array, kind: pa.DataType) -> ConvertedColumn:
    try:
        values, bad = texts.cast(kind), np.zeros(len(texts), dtype=np.bool_)
    except pa.ArrowInvalid:
        texts = pc.utf8_trim(texts, BLANKS)
        texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
        bad = numpy_mask(pc.invert(pc.match_substring_regex(texts, _FLOAT)))
        texts = without(texts, bad)
        values = texts.cast(kind)
    odd = numpy_mask(pc.invert(pc.is_finite(values)))
    beyond = np.zeros(len(texts), dtype=np.bool_)
    if odd.any():
        special = numpy_mask(pc.match_substring_regex(texts, _SPECIAL))
        is_number = numpy_mask(pc.match_substring_regex(texts, _FLOAT))
        beyond = odd & ~special & is_number
        bad = bad | (odd & ~special & ~is_number)
        values = without(values, beyond | bad)
    size = "a 4-byte" if kind == pa.float32() else "an 8-byte"
    reasons = found(bad, "not a number")
    return ConvertedColumn(values, reasons + found(beyond, f"outside the range of {size} floating point number"))


_FLOAT = r"^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:nan|inf|infinity))$"


def _booleans(texts: pa.Array) -> ConvertedColumn:
    folded = pc.utf8_lower(pc.utf8_trim(texts, BLANKS))
    return _truths(folded, true=_TRUE, false=_FALSE, absent=_NO_TRUTH, reason="neither true nor false")


def _bits(texts: pa.Array) -> ConvertedColumn:
    trimmed = pc.utf8_trim(texts, BLANKS)
    return _truths(trimmed, true=_TRUE[1:2], false=_FALSE[1:2], absent=_NO_TRUTH[:1], reason="neither 0 nor 1")


def _truths(texts: pa.Array, *, true: pa.Array, false: pa.Array, absent: pa.Array, reason: str) -> ConvertedColumn:
    is_true, is_false = pc.is_in(texts, value_set=true), pc.is_in(texts, value_set=false)
    is_absent = pc.or_(pc.is_null(texts), pc.is_in(texts, value_set=absent))
    bad = numpy_mask(pc.invert(pc.or_(pc.or_(is_true, is_false), is_absent)))
    return ConvertedColumn(without(is_true, bad | numpy_mask(is_absent)), found(bad, reason))
