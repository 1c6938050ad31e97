"""Values of every type that an answer can have, by the rows of the documentation's table "What becomes of a value".

The table says in one word what a reader gets back (``WORDS``), and after a colon how it is written; what stands there
between backticks is looked for in the document. ``wanted_as`` turns format and value into what a reader must find.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from support.answers import column, written

from qserv_py.catalog.types import DataType

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "formats.md"
SECTION = "## What becomes of a value"


@dataclass(frozen=True)
class Sample:
    """Values of one type."""

    type: DataType
    values: Sequence[Any]
    array: pa.DataType | None = None
    xtype: str = ""
    heading: str = ""
    """Row of the table."""


def _whole(*values: int | None) -> list[Sample]:
    return [Sample(kind, values) for kind in (DataType.BYTE, DataType.SHORT, DataType.INT, DataType.LONG)]


def _reals(*values: float | None) -> list[Sample]:
    return [Sample(DataType.FLOAT, values), Sample(DataType.DOUBLE, values)]


def _texts(*values: str | None) -> list[Sample]:
    return [Sample(kind, values) for kind in (DataType.CHAR, DataType.STRING, DataType.UNICODE, DataType.TEXT)]


def _wholes(*values: list[int | None] | None) -> list[Sample]:
    return [
        Sample(DataType.INT, values, pa.list_(pa.int32())),
        Sample(DataType.LONG, values, pa.list_(pa.int64())),
    ]


def _real_arrays(*values: list[float | None] | None) -> list[Sample]:
    return [
        Sample(DataType.FLOAT, values, pa.list_(pa.float32())),
        Sample(DataType.DOUBLE, values, pa.list_(pa.float64()), "polygon"),
    ]


_LEAST = {DataType.BYTE: 15, DataType.SHORT: 15, DataType.INT: 31, DataType.LONG: 63}
_SINGLE = [0.5, -0.0, 2.0**-149, 2.0**-126, 16777216.0, 3.4028234663852886e38, -1.0000001192092896, 0.10000000149011612]
_TIMES = [
    datetime(1, 1, 1),
    datetime(9999, 12, 31, 23, 59, 59, 999999),
    datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime(1858, 11, 17, 0, 0, 0, 1),
    datetime(2024, 2, 29, 12, 0, 0, 500000),
]
_POINT = pa.list_(pa.float64())

_CASES: dict[str, list[Sample]] = {
    "whole number": [
        Sample(kind, [2**bits - 1, -(2**bits) + 1, 0, -1, 2 ** (bits - 9) + 1]) for kind, bits in _LEAST.items()
    ],
    "least whole number of its type": [Sample(kind, [-(2**bits)]) for kind, bits in _LEAST.items()],
    "NULL among whole numbers": _whole(1, None, -1),
    "real number": [
        Sample(DataType.FLOAT, _SINGLE),
        Sample(
            DataType.DOUBLE, [*_SINGLE, 0.1, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, 1 / 3, 1e16, 123456789.125]
        ),
        *_reals(1.0, 3.0),
    ],
    "infinity": _reals(math.inf, -math.inf),
    "NaN": _reals(math.nan, 1.5),
    "NULL among real numbers": _reals(None, 1.5),
    "true, false": [Sample(DataType.BOOLEAN, [True, False])],
    "NULL among truth values": [Sample(DataType.BOOLEAN, [None, True, False])],
    "text": _texts("abc", 'a "b"', "it's, <&> ]]> &amp;", "x|y;z\\n%", "NULL", "nan", "007", "1e5", "true", "x" * 70),
    "line break or tab in a text": _texts("a\nb", "a\tb", "a\r\nb", '",\n"'),
    "other control character in a text": _texts("a\x01b", "\x1f", "c\x0bd"),
    "character beyond ASCII": _texts("\u00e9", "\u03bb \u65e5\u672c", "\U0001f52d", "e\u0301", "\u00a0\u2028x"),
    "blanks around a text": _texts(" a", "b ", "  c  "),
    "empty text": _texts("", "a"),
    "NULL among texts": _texts(None, "a"),
    "time": [Sample(DataType.TIMESTAMP, _TIMES)],
    "NULL among times": [Sample(DataType.TIMESTAMP, [None, _TIMES[0]])],
    "bytes": [Sample(DataType.BINARY, [b"\x00\xff", b"abc", b"\x80"])],
    "no bytes": [Sample(DataType.BINARY, [b"", b"a"])],
    "NULL among bytes": [Sample(DataType.BINARY, [None, b"a"])],
    "array": [
        *_wholes([1, 2, 3], [-5]),
        *_real_arrays([0.5, -0.0, 2.0**-149, 3.4028234663852886e38], [1.5]),
        Sample(DataType.DOUBLE, [[1.5, -0.1], [0.0, 90.0]], _POINT, "point"),
        Sample(DataType.LONG, [[1, 2, 3], [4, 5, 6]], pa.list_(pa.int64(), 3)),
    ],
    "array of nothing": [*_wholes([], [1]), *_real_arrays([], [0.5])],
    "NULL among arrays": [*_wholes(None, [1]), *_real_arrays(None, [0.5])],
    "NULL among points": [Sample(DataType.DOUBLE, [None, [1.5, 2.5]], _POINT, "point")],
    "NULL in an array of whole numbers": _wholes([1, None, 3]),
    "least whole number in an array": [Sample(DataType.LONG, [[-(2**63), 1]], pa.list_(pa.int64()))],
    "NULL in an array of real numbers": _real_arrays([1.5, None]),
    "NaN in an array": _real_arrays([1.5, math.nan]),
}
CASES = {heading: [replace(sample, heading=heading) for sample in samples] for heading, samples in _CASES.items()}
"""Rows of the table, and values of each type that a row is about."""


@dataclass(frozen=True)
class Cell:
    """What the documentation says of a row in a format."""

    word: str
    literals: tuple[str, ...]
    """What the document has, as text."""


WORDS = {"kept", "NULL", "NaN", "empty", "text", "refused"}


@cache
def documented() -> dict[str, dict[str, Cell]]:
    """Return the table of the documentation: cells by format and row."""
    section = PAGE.read_text().split(SECTION)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    found: dict[str, dict[str, Cell]] = {name: {} for names in header[1:] for name in names.split(", ")}
    for heading, *cells in rows:
        for names, cell in zip(header[1:], cells, strict=True):
            word, _, how = cell.partition(":")
            assert word in WORDS, f"{heading}: {cell}"
            for name in names.split(", "):
                found[name][heading] = Cell(word, tuple(re.findall("`([^`]+)`", how)))
    return found


def wanted_as(name: str, value: Any, sample: Sample) -> Any:
    """Return what a reader gets of a value in a format; an empty text, array or byte string is ``()``."""
    usual = {DataType.TIMESTAMP: "time", DataType.BINARY: "bytes"}.get(sample.type)
    heading = sample.heading if value is None or usual is None else usual
    return _wanted(documented()[name][heading].word, value, sample)


def _wanted(word: str, value: Any, sample: Sample) -> Any:
    match word, value:
        case (("NaN" | "NULL" | "text"), list()) if value:
            return [_wanted(word, element, sample) for element in value]
        case "NaN", None:
            return [math.nan] * 2 if sample.xtype == "point" else math.nan
        case "empty", None:
            return ()
        case "text", (datetime() | bytes()):
            return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value.hex() or ()
        case "text", float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case "text", None:
            return "NULL"
        case _, ("" | b"" | []):
            return ()
    return value


def found_as(value: Any, sample: Sample) -> Any:
    """Return what a reader found as Python has it; numbers of four bytes were read from decimals as if of eight."""
    if isinstance(value, list):
        return [found_as(element, sample) for element in value]
    return float(np.float32(value)) if sample.type is DataType.FLOAT and isinstance(value, float) else value


def answer_of(name: str, samples: dict[str, Sample]) -> bytes:
    """Return an answer with a column for each sample; columns with fewer values begin again."""
    columns = [column(label, sample.type, xtype=sample.xtype) for label, sample in samples.items()]
    count = max(len(sample.values) for sample in samples.values())
    rows = list(zip(*(islice(cycle(sample.values), count) for sample in samples.values()), strict=True))
    arrays = {label: sample.array for label, sample in samples.items() if sample.array is not None}
    return written(name, columns, rows, arrays=arrays)


def samples_of(name: str, headings: Sequence[str]) -> dict[str, Sample]:
    """Return what a format holds of some rows of the table, by names of columns."""
    held = [heading for heading in headings if documented()[name][heading].word != "refused"]
    return {f"c{number}": sample for number, sample in enumerate(one for held in held for one in CASES[held])}
