"""Values of input files to the types of columns; what does not fit is named, never bent.

Every function works on a whole column. The quick way (an Arrow cast that succeeds) is tried first, single values are
looked at only in batches where it fails. Rounding to the precision of a floating point column, or of a timestamp to
microseconds, is no misfit; leaving a column's range is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.model import Column
from qserv_py.catalog.snapshot import BoolArray
from qserv_py.catalog.types import DataType

FIRST_TIMESTAMP_US = -210_866_803_200_000_000
"""4714-11-24 BC, the first moment that PostgreSQL knows, in microseconds since 1970."""

_EXACT_IN_DOUBLE = 1 << 53
_TRUE_TEXTS = pa.array(["true", "t", "yes", "y", "1"])
_FALSE_TEXTS = pa.array(["false", "f", "no", "n", "0"])
_WHOLE = r"^[+-]?[0-9]{1,18}$"
_FLOAT = r"(?i)^[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)$"


@dataclass(frozen=True, slots=True)
class Misfits:
    """Values of a column that cannot be stored, and why."""

    where: BoolArray
    reason: str


@dataclass(frozen=True, slots=True)
class ConvertedColumn:
    """A column in its own type; values that do not fit are NULL in it."""

    values: pa.Array
    misfits: tuple[Misfits, ...]


def convert_column(values: pa.Array, column: Column) -> ConvertedColumn:
    """Convert values to a column's type.

    Parameters
    ----------
    values
        Array of any type that an input file may have.

    Returns
    -------
    converted
        With a reason for each value that is not of the type, out of its range, too long, or NULL where that is
        forbidden.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_null(values.type):
        values = values.cast(_arrow_type(column.datatype))
    converted = _converter(column.datatype)(values, column)
    if column.nullable or not converted.values.null_count:
        return converted
    absent = converted.values.is_null().to_numpy(zero_copy_only=False)
    for misfits in converted.misfits:
        absent &= ~misfits.where
    return ConvertedColumn(converted.values, (*converted.misfits, *_found(absent, "NULL in a column without NULLs")))


def _converter(datatype: DataType) -> Callable[[pa.Array, Column], ConvertedColumn]:
    if datatype.is_integer:
        return _to_integer
    if datatype.is_text:
        return _to_text
    return {
        DataType.FLOAT: _to_float,
        DataType.DOUBLE: _to_float,
        DataType.BOOLEAN: _to_boolean,
        DataType.TIMESTAMP: _to_timestamp,
        DataType.BINARY: _to_binary,
    }[datatype]


def _arrow_type(datatype: DataType) -> pa.DataType:
    return pa.type_for_alias(datatype.names.arrow)


def _found(where: BoolArray, reason: str) -> tuple[Misfits, ...]:
    return (Misfits(where, reason),) if where.any() else ()


def _numpy_mask(mask: pa.Array) -> BoolArray:
    found: BoolArray = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return found


def _without(values: pa.Array, where: BoolArray) -> pa.Array:
    return pc.if_else(pa.array(where), pa.scalar(None, values.type), values) if where.any() else values


def is_text(values: pa.Array) -> bool:
    """Return whether values are texts, in any of Arrow's layouts."""
    kind = values.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _texts(values: pa.Array) -> pa.Array:
    """Return any values as trimmed text."""
    return pc.utf8_trim_whitespace(values.cast(pa.string()))


def _to_integer(values: pa.Array, column: Column) -> ConvertedColumn:
    target = _arrow_type(column.datatype)
    if values.type == target:
        return ConvertedColumn(values, ())
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        return _text_to_integer(_texts(values), column)
    if pa.types.is_floating(kind):
        values = _without(values, _numpy_mask(pc.is_nan(values)))  # NULL, as pandas writes it
    try:
        return ConvertedColumn(values.cast(target), ())
    except pa.ArrowInvalid:
        pass
    broken: tuple[Misfits, ...] = ()
    if pa.types.is_floating(kind):
        fraction = _numpy_mask(pc.not_equal(values, pc.trunc(values)))
        broken = _found(fraction, "not a whole number")
        values = _without(values, fraction)
    outside = _outside(values, target)
    return ConvertedColumn(_without(values, outside).cast(target), (*broken, *_found(outside, _range_text(target))))


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


def _text_to_integer(texts: pa.Array, column: Column) -> ConvertedColumn:
    target = _arrow_type(column.datatype)
    try:
        return ConvertedColumn(texts.cast(target), ())
    except pa.ArrowInvalid:
        pass
    numbers = [_whole_number(text) for text in texts.to_pylist()]
    present = texts.is_valid().to_numpy(zero_copy_only=False)
    bad = present & np.array([number is None for number in numbers], dtype=np.bool_)
    limits = np.iinfo(target.to_pandas_dtype())
    outside = np.array([number is not None and not limits.min <= number <= limits.max for number in numbers])
    kept = [None if leave or number is None else number for number, leave in zip(numbers, outside, strict=True)]
    misfits = (*_found(bad, "not a whole number"), *_found(outside.astype(np.bool_), _range_text(target)))
    return ConvertedColumn(pa.array(kept, target), misfits)


def _whole_number(text: str | None) -> int | None:
    """Return the number of a text; ``5.0`` and ``5e0`` are whole numbers too."""
    if text is None:
        return None
    try:
        return int(text) if "_" not in text else None
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() and abs(number) < _EXACT_IN_DOUBLE and "_" not in text else None


def _to_float(values: pa.Array, column: Column) -> ConvertedColumn:
    target = _arrow_type(column.datatype)
    if values.type == target:
        return ConvertedColumn(values, ())
    kind = values.type
    bad: BoolArray = np.zeros(len(values), dtype=np.bool_)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        values = _texts(values)
        try:
            converted = values.cast(target)
        except pa.ArrowInvalid:
            bad = _numpy_mask(pc.invert(pc.match_substring_regex(values, _FLOAT)))
            # Arrow knows no leading plus sign.
            values = pc.replace_substring_regex(_without(values, bad), r"^\+", "")
            converted = values.cast(target)
        values = values.cast(pa.float64()) if target == pa.float32() else converted
    else:
        if pa.types.is_boolean(kind):
            values = values.cast(pa.int8())
        converted = values.cast(target, safe=False)
    misfits = _found(bad, "not a number")
    if target == pa.float32() and pa.types.is_float64(values.type):
        overflow = _numpy_mask(pc.and_(pc.is_finite(values), pc.invert(pc.is_finite(converted))))
        misfits = (*misfits, *_found(overflow, "outside the range of a 4-byte floating point number"))
        converted = _without(converted, overflow)
    return ConvertedColumn(converted, misfits)


def _to_boolean(values: pa.Array, column: Column) -> ConvertedColumn:
    if pa.types.is_boolean(values.type):
        return ConvertedColumn(values, ())
    texts = pc.utf8_lower(_texts(values))
    true, false = pc.is_in(texts, value_set=_TRUE_TEXTS), pc.is_in(texts, value_set=_FALSE_TEXTS)
    bad = _numpy_mask(pc.and_(texts.is_valid(), pc.invert(pc.or_(true, false))))
    absent = bad | texts.is_null().to_numpy(zero_copy_only=False)
    return ConvertedColumn(_without(true, absent), _found(bad, "neither true nor false"))


def _to_text(values: pa.Array, column: Column) -> ConvertedColumn:
    try:
        texts = values if values.type == pa.string() else values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        bad = values.is_valid().to_numpy(zero_copy_only=False)
        return ConvertedColumn(pa.nulls(len(values), pa.string()), _found(bad, f"{values.type} is not UTF-8 text"))
    misfits: tuple[Misfits, ...] = ()
    bad = _numpy_mask(pc.match_substring(texts, "\0"))
    misfits += _found(bad, "a text with a zero character")
    if column.length is not None:
        long = _numpy_mask(pc.greater(pc.utf8_length(texts), column.length)) & ~bad
        misfits += _found(long, f"longer than {column.length} characters")
        bad = bad | long
    return ConvertedColumn(_without(texts, bad), misfits)


def _to_binary(values: pa.Array, column: Column) -> ConvertedColumn:
    if not is_text(values):
        try:
            return ConvertedColumn(values.cast(pa.binary()), ())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            bad = values.is_valid().to_numpy(zero_copy_only=False)
            return ConvertedColumn(pa.nulls(len(values), pa.binary()), _found(bad, f"{values.type} is not binary"))
    decoded = [None if text is None else _bytes_of(text) for text in values.to_pylist()]
    bad = np.array([isinstance(value, bool) for value in decoded], dtype=np.bool_)
    kept = [value if isinstance(value, bytes) else None for value in decoded]
    return ConvertedColumn(pa.array(kept, pa.binary()), _found(bad, "not hexadecimal"))


def _bytes_of(text: str) -> bytes | bool:
    """Return the bytes of hexadecimal digits, with or without PostgreSQL's ``\\x``; False if they are none."""
    try:
        return bytes.fromhex(text.strip().removeprefix("\\x"))
    except ValueError:
        return False


def _to_timestamp(values: pa.Array, column: Column) -> ConvertedColumn:
    target = pa.timestamp("us")
    bad: BoolArray = np.zeros(len(values), dtype=np.bool_)
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        converted = values.cast(pa.timestamp("us", tz=getattr(values.type, "tz", None)), safe=False).cast(target)
    else:
        texts = _texts(values) if is_text(values) else values.cast(pa.string())
        converted, bad = _parse_timestamps(texts)
    early = _numpy_mask(pc.less(converted.cast(pa.int64()), FIRST_TIMESTAMP_US))
    misfits = (*_found(bad, "not a time in ISO 8601"), *_found(early, "before 4714-11-24 BC"))
    return ConvertedColumn(_without(converted, early), misfits)


def _parse_timestamps(texts: pa.Array) -> tuple[pa.Array, BoolArray]:
    """Return the times of texts in ISO 8601, in UTC where they have a zone, and which texts are none."""
    target = pa.timestamp("us")
    try:
        return texts.cast(target), np.zeros(len(texts), dtype=np.bool_)
    except pa.ArrowInvalid:
        pass
    times = [_time_of(text) for text in texts.to_pylist()]
    present = texts.is_valid().to_numpy(zero_copy_only=False)
    bad = present & np.array([time is None for time in times], dtype=np.bool_)
    return pa.array(times, target), bad


def _time_of(text: str | None) -> int | None:
    """Return the microseconds since 1970 of one text."""
    if text is None:
        return None
    for kind in (pa.timestamp("us"), pa.timestamp("us", tz="UTC")):
        try:
            return int(pa.scalar(text, pa.string()).cast(kind).value)
        except pa.ArrowInvalid:
            continue
    return None
