"""Times: ISO 8601 texts and Arrow's own, in UTC where they have a zone, as microseconds.

A time finer than a microsecond is rounded, half to even, in every format alike, and counted. The years are those of
ISO 8601, 1 to 9999: what lies outside (the infinite times of other databases, too) no reader of an answer could take.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.model import Column
from qserv_py.catalog.snapshot import BoolArray, IntArray
from qserv_py.ingest.values.converted import (
    ConvertedColumn,
    ValueRules,
    found,
    is_bytes,
    is_text,
    numpy_mask,
    refuse,
    trimmed_texts,
    without,
)

FIRST_US = -62_135_596_800_000_000
"""0001-01-01T00:00:00, in microseconds since 1970."""

LAST_US = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999, in microseconds since 1970."""

_SECOND_US = 1_000_000
_UNITS = {"s": _SECOND_US, "ms": 1000, "us": 1}
_DAY_US = 86_400 * _SECOND_US
_TEXT = (
    r"^(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.(?P<fraction>[0-9]*))?"
    r"(?: ?(?P<zone>[Zz]|(?P<sign>[+-])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-9]{2}))?))?)?$"
)
_DAY_ALONE, _WITH_SECONDS = len("2000-01-01"), len("2000-01-01T00:00:00")
_LEAP = r"^[0-9-]{10}[T ][0-9]{2}:[0-9]{2}:60"

Numbers = npt.NDArray[np.int64]


def to_timestamp(values: pa.Array, column: Column, rules: ValueRules) -> ConvertedColumn:
    """Convert to a timestamp; an empty text is NULL."""
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _checked(*_of_arrow(values), rules)
    if is_text(kind) or is_bytes(kind):
        return _of_texts(values, rules)
    raise refuse(kind, "times")


def _checked(times: pa.Array, outside: BoolArray, finer: BoolArray, rules: ValueRules) -> ConvertedColumn:
    """Return times without those that cannot be stored; ``times`` are int64 microseconds, rounded where ``finer``."""
    outside = outside | numpy_mask(pc.or_(pc.less(times, FIRST_US), pc.greater(times, LAST_US)))
    misfits = found(outside, "a time outside of the years 1 to 9999")
    finer = finer & ~outside
    if rules.exact_times:
        misfits += found(finer, "a time finer than a microsecond")
        times, finer = without(times, finer), np.zeros_like(finer)
    return ConvertedColumn(without(times, outside).cast(pa.timestamp("us")), misfits, int(finer.sum()))


def _of_arrow(values: pa.Array) -> tuple[pa.Array, BoolArray, BoolArray]:
    """Return Arrow's times in microseconds, which of them are beyond the years 1 to 9999, and which were rounded."""
    kind = values.type
    nowhere: BoolArray = np.zeros(len(values), dtype=np.bool_)
    absent = values.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_date32(kind):
        counts, unit = values.cast(pa.int32()).cast(pa.int64()), _DAY_US
    elif pa.types.is_date64(kind):
        counts, unit = values.cast(pa.int64()), _UNITS["ms"]
    elif kind.unit == "ns":
        whole = pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        micros, finer = _rounded(whole)
        return pa.array(micros, mask=absent), nowhere, finer & ~absent
    else:
        counts, unit = values.cast(pa.int64()), _UNITS[kind.unit]
    numbers: IntArray = pc.fill_null(counts, 0).to_numpy(zero_copy_only=False)
    outside: BoolArray = (numbers < FIRST_US // unit) | (numbers > LAST_US // unit)
    return pa.array(np.where(outside, 0, numbers) * unit, mask=absent), outside & ~absent, nowhere


def _rounded(nanoseconds: Numbers) -> tuple[Numbers, BoolArray]:
    """Return whole microseconds, half to even, and which were finer."""
    micros, rest = np.divmod(nanoseconds, 1000)
    up = (rest > 500) | ((rest == 500) & (micros % 2 == 1))
    return micros + up, rest != 0


def _of_texts(values: pa.Array, rules: ValueRules) -> ConvertedColumn:
    texts, garbled = trimmed_texts(values)
    texts = without(texts, numpy_mask(pc.equal(texts, "")))
    try:
        whole = None if _any_is_odd(texts) else texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        whole = None
    if whole is not None:
        nowhere: BoolArray = np.zeros(len(texts), dtype=np.bool_)
        checked = _checked(whole.cast(pa.int64()), nowhere, nowhere, rules)
        return ConvertedColumn(checked.values, (*found(garbled, "not UTF-8 text"), *checked.misfits))
    fields = pc.extract_regex(texts, _TEXT)
    seconds = _seconds(fields)
    micros, finer = _micros(_field(fields, "fraction"))
    bad = numpy_mask(pc.and_(texts.is_valid(), seconds.is_null()))
    leap = bad & numpy_mask(pc.match_substring_regex(texts, _LEAP))
    absent = bad | texts.is_null().to_numpy(zero_copy_only=False)
    numbers = pc.fill_null(seconds, 0).to_numpy(zero_copy_only=False) * _SECOND_US + micros
    checked = _checked(pa.array(numbers, mask=absent), np.zeros_like(bad), finer & ~absent, rules)
    return ConvertedColumn(
        checked.values,
        (
            *found(garbled, "not UTF-8 text"),
            *found(leap, "a leap second, which a timestamp cannot hold"),
            *found(bad & ~leap, "not a time in ISO 8601"),
            *checked.misfits,
        ),
        checked.rounded,
    )


def _any_is_odd(texts: pa.Array) -> bool:
    """Tell whether a text is neither a day alone nor as long as a time with seconds: Arrow takes more of these."""
    lengths = pc.utf8_length(texts)
    return bool(pc.any(pc.and_(pc.less(lengths, _WITH_SECONDS), pc.not_equal(lengths, _DAY_ALONE))).as_py())


def _field(fields: pa.StructArray, name: str) -> pa.Array:
    """Return one group of the pattern; empty where it is left out, NULL where the text is no time."""
    return pc.struct_field(fields, name)


def _seconds(fields: pa.StructArray) -> pa.Array:
    """Return whole seconds since 1970 in UTC, NULL where there is no such day or hour."""
    time = _field(fields, "time")
    time = pc.if_else(pc.equal(time, ""), "00:00", time)
    local = pc.binary_join_element_wise(_field(fields, "date"), time, "T")
    try:
        seconds = local.cast(pa.timestamp("s")).cast(pa.int64())
    except pa.ArrowInvalid:
        seconds = pa.array([_second_of(text) for text in local.to_pylist()], pa.int64())
    hours, minutes = (_number(_field(fields, name)) for name in ("hours", "minutes"))
    sign = np.where(numpy_mask(pc.equal(_field(fields, "sign"), "-")), -1, 1)
    seconds = pc.subtract(seconds, pa.array(sign * (hours * 3600 + minutes * 60)))
    of_a_minute = numpy_mask(
        pc.and_(pc.less(pc.utf8_length(time), _WITH_SECONDS - _DAY_ALONE - 1), _has_fraction(fields))
    )
    return without(seconds, (hours > 23) | (minutes > 59) | of_a_minute)


def _has_fraction(fields: pa.StructArray) -> pa.Array:
    return pc.not_equal(_field(fields, "fraction"), "")


def _second_of(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(pa.scalar(text, pa.string()).cast(pa.timestamp("s")).value)
    except pa.ArrowInvalid:
        return None


def _number(digits: pa.Array) -> Numbers:
    """Return digits as a number, 0 where there are none."""
    texts = pc.fill_null(pc.if_else(pc.equal(digits, ""), "0", digits), "0")
    numbers: Numbers = texts.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def _micros(fraction: pa.Array) -> tuple[Numbers, BoolArray]:
    """Return the microseconds of a fraction's digits, half to even, and which fractions were finer."""
    digits = pc.fill_null(fraction, "")
    micros = _number(pc.utf8_rpad(pc.utf8_slice_codeunits(digits, 0, 6), 6, "0"))
    rest = pc.utf8_rtrim(pc.utf8_slice_codeunits(digits, 6), "0")
    above = numpy_mask(pc.greater(rest, "5"))  # digits compare as their fractions do
    half = numpy_mask(pc.equal(rest, "5"))
    return micros + (above | (half & (micros % 2 == 1))), numpy_mask(pc.not_equal(rest, ""))
