"""Values of input files to the types of columns; what does not fit is reported, and never altered to fit.

Every function works on a whole column. The quick way (an Arrow cast that succeeds) is tried first, single values are
looked at only in batches where it fails. What is no misfit, and is said in docs/reference/types.md: a decimal becomes
the nearest number of its floating point column, a time is rounded to microseconds (and counted), NaN is NULL unless the
rules keep it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.model import Column
from qserv_py.catalog.types import DataType
from qserv_py.ingest.values.converted import (
    ConvertedColumn,
    Misfits,
    ValueRules,
    as_texts,
    found,
    is_bytes,
    is_text,
    numpy_mask,
    refuse,
    without,
)
from qserv_py.ingest.values.numbers import to_boolean, to_float, to_integer
from qserv_py.ingest.values.times import to_timestamp

DEFAULT_RULES = ValueRules()


def convert_column(values: pa.Array, column: Column, rules: ValueRules = DEFAULT_RULES) -> ConvertedColumn:
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

    Raises
    ------
    pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError, pyarrow.ArrowInvalid
        If no value of the array's type can become one of the column's, such as a duration, or the text of a time in a
        zone that is not known.
    """
    values = _plain(values)
    if pa.types.is_null(values.type):
        values = values.cast(_arrow_type(column.datatype))
    converted = _converter(column.datatype)(values, column, rules)
    if column.nullable or not converted.values.null_count:
        return converted
    absent = converted.values.is_null().to_numpy(zero_copy_only=False)
    for misfits in converted.misfits:
        absent &= ~misfits.where
    all_misfits = (*converted.misfits, *found(absent, "NULL in a column without NULLs"))
    return ConvertedColumn(converted.values, all_misfits, converted.rounded)


def _plain(values: pa.Array) -> pa.Array:
    """Return values one by one: not in chunks, by a dictionary or by runs."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_run_end_encoded(values.type):
        values = pc.run_end_decode(values)
    if pa.types.is_float16(values.type):  # most of Arrow's functions do not know it
        values = values.cast(pa.float32())
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


Converter = Callable[[pa.Array, Column, ValueRules], ConvertedColumn]


def _converter(datatype: DataType) -> Converter:
    if datatype.is_integer:
        return to_integer
    if datatype.is_text:
        return _to_text
    return {
        DataType.FLOAT: to_float,
        DataType.DOUBLE: to_float,
        DataType.BOOLEAN: to_boolean,
        DataType.TIMESTAMP: to_timestamp,
        DataType.BINARY: _to_binary,
    }[datatype]


def _arrow_type(datatype: DataType) -> pa.DataType:
    return pa.type_for_alias(datatype.names.arrow)


def _to_text(values: pa.Array, column: Column, rules: ValueRules) -> ConvertedColumn:
    if pa.types.is_duration(values.type):
        raise refuse(values.type, "texts")
    if pa.types.is_floating(values.type) and not rules.keep_nan:
        values = without(values, numpy_mask(pc.is_nan(values)))
    texts, garbled = as_texts(values)
    zero = numpy_mask(pc.match_substring(texts, "\0"))
    misfits = (*found(garbled, "not UTF-8 text"), *found(zero, "a text with a zero character"))
    return _bounded(without(texts, zero), column, pc.utf8_length, "characters", misfits)


def _bounded(
    values: pa.Array,
    column: Column,
    length: Callable[[pa.Array], pa.Array],
    unit: str,
    misfits: tuple[Misfits, ...],
) -> ConvertedColumn:
    """Return values without those that are longer than their column."""
    if column.length is None:
        return ConvertedColumn(values, misfits)
    long = numpy_mask(pc.greater(length(values), column.length))
    return ConvertedColumn(without(values, long), (*misfits, *found(long, f"longer than {column.length} {unit}")))


def _to_binary(values: pa.Array, column: Column, rules: ValueRules) -> ConvertedColumn:
    if is_bytes(values.type):
        return _bounded(values.cast(pa.binary()), column, pc.binary_length, "bytes", ())
    if not is_text(values.type):
        raise refuse(values.type, "bytes")
    texts, garbled = as_texts(values)
    decoded = [None if text is None else _bytes_of(text) for text in texts.to_pylist()]
    bad = np.array([isinstance(value, bool) for value in decoded], dtype=np.bool_)
    kept = [value if isinstance(value, bytes) else None for value in decoded]
    misfits = (*found(garbled, "not UTF-8 text"), *found(bad, "not hexadecimal"))
    return _bounded(pa.array(kept, pa.binary()), column, pc.binary_length, "bytes", misfits)


def _bytes_of(text: str) -> bytes | bool:
    """Return the bytes of hexadecimal digits, with or without PostgreSQL's ``\\x``; False if they are none."""
    try:
        return bytes.fromhex(text.strip().removeprefix("\\x"))
    except ValueError:
        return False
