"""The result of converting a column, and the few steps on Arrow arrays that every conversion needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.snapshot import BoolArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRules:
    """What the user decides about values."""

    keep_nan: bool = False
    """NaN stays a number in columns of floating point; otherwise it is NULL."""

    exact_times: bool = False
    """A time finer than a microsecond is rejected; otherwise it is rounded, half to even."""


@dataclass(frozen=True, slots=True)
class Misfits:
    """Values of a column that cannot be stored, and why."""

    where: BoolArray
    reason: str


@dataclass(frozen=True, slots=True)
class ConvertedColumn:
    """A column in its own type; values that do not fit are NULL in it."""

    values: pa.Array
    misfits: tuple[Misfits, ...] = ()
    rounded: int = 0
    """Times that were rounded to microseconds."""


def found(where: BoolArray, reason: str) -> tuple[Misfits, ...]:
    """Return the misfits of a reason, if there are any."""
    return (Misfits(where, reason),) if where.any() else ()


def numpy_mask(mask: pa.Array) -> BoolArray:
    """Return a mask of Arrow's, False where it is NULL."""
    places: BoolArray = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return places


def without(values: pa.Array, where: BoolArray) -> pa.Array:
    """Return values with NULL at some places."""
    return pc.if_else(pa.array(where), pa.scalar(None, values.type), values) if where.any() else values


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is one of texts, in any of Arrow's layouts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a type is one of bytes, in any of Arrow's layouts."""
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def is_number(kind: pa.DataType) -> bool:
    """Return whether a type is one of numbers or truth values."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def refuse(kind: pa.DataType, what: str) -> pa.ArrowTypeError:
    """Return the error for a type of which no value can become one of the column's."""
    return pa.ArrowTypeError(f"values of type {kind} are no {what}")


def trimmed_texts(values: pa.Array) -> tuple[pa.Array, BoolArray]:
    """Return numbers or texts as trimmed texts, and the places of those that are no UTF-8."""
    texts, bad = as_texts(values)
    return pc.utf8_trim_whitespace(texts), bad


def as_texts(values: pa.Array) -> tuple[pa.Array, BoolArray]:
    """Return values as texts, and the places of those that are no UTF-8, NULL in the texts.

    Readers of Parquet and Arrow look at no text: a column of theirs may call any bytes so.
    """
    nowhere: BoolArray = np.zeros(len(values), dtype=np.bool_)
    if not is_bytes(values.type) and not is_text(values.type):
        return values.cast(pa.string()), nowhere
    plain = values.cast(pa.binary())
    try:
        return plain.cast(pa.string()), nowhere
    except pa.ArrowInvalid:
        pass
    texts, bad = [], []
    for value in plain.to_pylist():
        text = None if value is None else _utf8(value)
        texts.append(text)
        bad.append(value is not None and text is None)
    return pa.array(texts, pa.string()), np.array(bad, dtype=np.bool_)


def _utf8(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
