"""Converts to numbers and truth values: a column gets exactly the number of the file, or the value is a misfit.

For example, ``3000000000`` is a misfit in a column of four bytes, and ``0.1`` in a column of floating point is the
nearest number to it.

A decimal in a column of floating point becomes the nearest number that the column holds, as it would in any program; a
whole number there must be held exactly, since whoever writes one means each of its digits (ids).
"""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.model import Column
from qserv_py.catalog.snapshot import BoolArray
from qserv_py.ingest.values.converted import (
    ConvertedColumn,
    Misfits,
    ValueRules,
    found,
    is_bytes,
    is_number,
    is_text,
    numpy_mask,
    refuse,
    trimmed_texts,
    without,
)

_TRUE_TEXTS = pa.array(["true", "t", "yes", "y", "1"])
_FALSE_TEXTS = pa.array(["false", "f", "no", "n", "0"])
_FLOAT = r"(?i)^[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)$"
_INFINITE = r"(?i)^[+-]?inf(inity)?$"
_NAN = r"(?i)^[+-]?nan$"
_LONGEST_EXPONENT = 400
"""Powers of ten of a number that may still be a whole one of 64 bits, written oddly; bounds the work on a text."""

_EXACT_BITS = {pa.float32(): 24, pa.float64(): 53}
"""Every whole number of so many bits is held exactly."""

_WHOLE = re.compile(r"[+-]?[0-9]+")

_NOT_UTF8 = "not UTF-8 text"


def to_integer(values: pa.Array, column: Column, rules: ValueRules) -> ConvertedColumn:
    """Convert to a whole number; NaN is NULL, as programs write it that have no NULL for whole numbers."""
    target = _arrow_type(column)
    if values.type == target:
        return ConvertedColumn(values, ())
    kind = values.type
    if is_text(kind) or is_bytes(kind) or pa.types.is_decimal(kind):
        return _text_to_integer(values, target)
    if not is_number(kind):
        raise refuse(kind, "whole numbers")
    if pa.types.is_floating(kind):
        values = without(values, numpy_mask(pc.is_nan(values)))
    try:
        return ConvertedColumn(values.cast(target), ())
    except pa.ArrowInvalid:
        pass
    misfits: tuple[Misfits, ...] = ()
    if pa.types.is_floating(kind):
        fraction = numpy_mask(pc.not_equal(values, pc.trunc(values)))
        misfits = found(fraction, "not a whole number")
        values = without(values, fraction)
    outside = _outside(values, target)
    return ConvertedColumn(without(values, outside).cast(target), (*misfits, *found(outside, _range_text(target))))


def _arrow_type(column: Column) -> pa.DataType:
    return pa.type_for_alias(column.datatype.names.arrow)


def _outside(values: pa.Array, target: pa.DataType) -> BoolArray:
    """Return which numbers leave the range of an integer type."""
    limits = np.iinfo(target.to_pandas_dtype())
    present = values.is_valid().to_numpy(zero_copy_only=False)
    numbers = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    outside: BoolArray
    if numbers.dtype.kind == "f":  # 2**63 - 1 is no double; 2**63 is
        outside = present & ~((numbers >= float(limits.min)) & (numbers < float(limits.max) + 1.0))
    else:
        outside = present & ((numbers < limits.min) | (numbers > limits.max))
    return outside


def _range_text(target: pa.DataType) -> str:
    limits = np.iinfo(target.to_pandas_dtype())
    return f"outside {limits.min} to {limits.max}"


def _text_to_integer(values: pa.Array, target: pa.DataType) -> ConvertedColumn:
    texts, garbled = trimmed_texts(values)
    try:
        if not _any_has(texts, "x"):  # Arrow takes 0xFFFF for -1
            return ConvertedColumn(texts.cast(target), found(garbled, _NOT_UTF8))
    except pa.ArrowInvalid:
        pass
    texts = without(texts, numpy_mask(pc.match_substring_regex(texts, _NAN)))
    numbers = [_whole_number(text) for text in texts.to_pylist()]
    present = texts.is_valid().to_numpy(zero_copy_only=False)
    bad = present & np.array([number is None for number in numbers], dtype=np.bool_)
    limits = np.iinfo(target.to_pandas_dtype())
    outside = np.array(
        [number is not None and not limits.min <= number <= limits.max for number in numbers], dtype=np.bool_
    )
    kept = [None if leave or number is None else number for number, leave in zip(numbers, outside, strict=True)]
    misfits = (
        *found(garbled, _NOT_UTF8),
        *found(bad, "not a whole number"),
        *found(outside, _range_text(target)),
    )
    return ConvertedColumn(pa.array(kept, target), misfits)


def _whole_number(text: str | None) -> int | None:
    """Return the number of a text; ``5.0`` and ``5e0`` are whole numbers too."""
    if text is None or "_" in text or not text.isascii():
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > _LONGEST_EXPONENT:
        return None
    return int(number) if number == number.to_integral_value() else None


def to_float(values: pa.Array, column: Column, rules: ValueRules) -> ConvertedColumn:
    """Convert to floating point of four or eight bytes."""
    target, kind = _arrow_type(column), values.type
    if is_text(kind) or is_bytes(kind) or pa.types.is_decimal(kind):
        converted = _text_to_float(values, target)
    elif pa.types.is_integer(kind):
        converted = _integer_to_float(values, target)
    elif pa.types.is_boolean(kind):
        converted = ConvertedColumn(values.cast(pa.int8()).cast(target), ())
    elif pa.types.is_floating(kind):
        narrowed = values.cast(target, safe=False)
        converted = _checked(narrowed, _grew(numpy_mask(pc.is_inf(values)), narrowed), target)
    else:
        raise refuse(kind, "numbers")
    if rules.keep_nan:
        return converted
    nan = numpy_mask(pc.is_nan(converted.values))
    return ConvertedColumn(without(converted.values, nan), converted.misfits)


def _grew(infinite: BoolArray, converted: pa.Array) -> BoolArray:
    """Return which numbers became infinite that were not."""
    return numpy_mask(pc.is_inf(converted)) & ~infinite


def _checked(converted: pa.Array, overflow: BoolArray, target: pa.DataType) -> ConvertedColumn:
    size = "a 4-byte" if target == pa.float32() else "an 8-byte"
    reason = f"outside the range of {size} floating point number"
    return ConvertedColumn(without(converted, overflow), found(overflow, reason))


def _text_to_float(values: pa.Array, target: pa.DataType) -> ConvertedColumn:
    texts, garbled = trimmed_texts(values)
    bad: BoolArray = np.zeros(len(values), dtype=np.bool_)
    numbers = None
    with suppress(pa.ArrowInvalid):
        numbers = None if _any_has(texts, "(") else texts.cast(target)  # Arrow takes nan(12) for NaN
    if numbers is None:
        bad = numpy_mask(pc.invert(pc.match_substring_regex(texts, _FLOAT)))
        # Arrow knows no leading plus sign.
        texts = pc.replace_substring_regex(without(texts, bad), r"^\+", "")
        numbers = texts.cast(target)
    checked = _checked(numbers, _too_large(texts, numbers), target)
    inexact = _bent(texts, checked.values, target)
    return ConvertedColumn(
        without(checked.values, inexact),
        (
            *found(garbled, _NOT_UTF8),
            *found(bad, "not a number"),
            *checked.misfits,
            *found(inexact, _not_exact(target)),
        ),
    )


def _any_has(texts: pa.Array, mark: str) -> bool:
    return bool(pc.any(pc.match_substring(texts, mark, ignore_case=True)).as_py())


def _too_large(texts: pa.Array, numbers: pa.Array) -> BoolArray:
    """Return which texts became infinite numbers although they are not written as infinity: ``1e999``."""
    infinite = numpy_mask(pc.is_inf(numbers))
    if infinite.any():
        infinite &= ~numpy_mask(pc.match_substring_regex(texts, _INFINITE))
    return infinite


def _bent(texts: pa.Array, numbers: pa.Array, target: pa.DataType) -> BoolArray:
    """Return which whole numbers in texts were changed by the conversion: 2**53 + 1 has no double."""
    large = numpy_mask(pc.greater_equal(pc.abs(numbers), float(1 << _EXACT_BITS[target])))
    for place in np.flatnonzero(large).tolist():
        text = texts[place].as_py()
        large[place] = _WHOLE.fullmatch(text) is not None and Decimal(text) != Decimal(numbers[place].as_py())
    return large


def _not_exact(target: pa.DataType) -> str:
    return f"a whole number that floating point of {4 if target == pa.float32() else 8} bytes cannot hold exactly"


def _integer_to_float(values: pa.Array, target: pa.DataType) -> ConvertedColumn:
    converted = values.cast(target, safe=False)
    largest = 1 << _EXACT_BITS[target]
    whole = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    bent: BoolArray = np.zeros(len(values), dtype=np.bool_)
    places = np.flatnonzero((whole > largest) | (whole < -largest if whole.dtype.kind == "i" else False))
    numbers = pc.fill_null(converted, 0.0).to_numpy(zero_copy_only=False)
    bent[places] = [
        int(number) != exact for number, exact in zip(numbers[places].tolist(), whole[places].tolist(), strict=True)
    ]
    return ConvertedColumn(without(converted, bent), found(bent, _not_exact(target)))


def to_boolean(values: pa.Array, column: Column, rules: ValueRules) -> ConvertedColumn:
    """Convert to true or false; numbers must be 0 or 1."""
    if pa.types.is_boolean(values.type):
        return ConvertedColumn(values, ())
    if not (is_text(values.type) or is_bytes(values.type) or is_number(values.type)):
        raise refuse(values.type, "truth values")
    texts, garbled = trimmed_texts(values)
    texts = pc.utf8_lower(texts)
    true, false = pc.is_in(texts, value_set=_TRUE_TEXTS), pc.is_in(texts, value_set=_FALSE_TEXTS)
    bad = numpy_mask(pc.and_(texts.is_valid(), pc.invert(pc.or_(true, false))))
    absent = bad | texts.is_null().to_numpy(zero_copy_only=False)
    return ConvertedColumn(without(true, absent), (*found(garbled, _NOT_UTF8), *found(bad, "neither true nor false")))
