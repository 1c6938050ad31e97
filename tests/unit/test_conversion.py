"""Values of input files to column types: what fits arrives, what does not is named."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.catalog.model import Column, PositionFormat
from qserv_py.catalog.types import DataType
from qserv_py.ingest.conversion import convert_column
from qserv_py.ingest.sexagesimal import degrees_of


def column(datatype: DataType, **further: object) -> Column:
    return Column(name="c", physical="c", datatype=datatype, **further)  # type: ignore[arg-type]


def converted(values: pa.Array, datatype: DataType, **further: object) -> tuple[list[object], dict[int, str]]:
    """Return the values and the reason of each misfit by its place."""
    result = convert_column(values, column(datatype, **further))
    assert result.values.type == pa.type_for_alias(datatype.names.arrow)
    reasons: dict[int, str] = {}
    for misfits in result.misfits:
        for place in np.flatnonzero(misfits.where).tolist():
            reasons.setdefault(place, misfits.reason)
    return result.values.to_pylist(), reasons


SMALL = "outside -32768 to 32767"

CASES = [
    (pa.array([1, None, 40000, -32769]), DataType.SHORT, [1, None, None, None], {2: SMALL, 3: SMALL}),
    (pa.array([2**63, 5], pa.uint64()), DataType.LONG, [None, 5], {0: f"outside {-(2**63)} to {2**63 - 1}"}),
    (pa.array([1.0, 2.5, np.nan, 1e30]), DataType.INT, [1, None, None, None], {1: "not a whole number", 3: "outside"}),
    (pa.array([2.0**63]), DataType.LONG, [None], {0: "outside"}),
    (pa.array([" 12", "+3", "5.0", "x", None, "", "1_0"]), DataType.INT, [12, 3, 5, None, None, None, None],
     {3: "not a whole number", 5: "not a whole number", 6: "not a whole number"}),
    (pa.array(["9223372036854775807", "9223372036854775808"]), DataType.LONG, [2**63 - 1, None], {1: "outside"}),
    (pa.array([True, False]), DataType.INT, [1, 0], {}),
    (pa.array([Decimal("7.00"), Decimal("7.25")]), DataType.INT, [7, None], {1: "not a whole number"}),
    (pa.array([1.5, 1e39, np.inf, None]), DataType.FLOAT, [1.5, None, np.inf, None], {1: "outside the range"}),
    (pa.array(["1e39", "-2.5", "nan", "abc", "+1.5", "1e400"]), DataType.FLOAT,
     [None, -2.5, None, None, 1.5, np.inf], {0: "outside the range", 3: "not a number"}),
    (pa.array([2**53 + 1, None]), DataType.DOUBLE, [float(2**53), None], {}),
    (pa.array(["yes", "F", "0", "maybe", None]), DataType.BOOLEAN, [True, False, False, None, None],
     {3: "neither true nor false"}),
    (pa.array([1, 0, 2]), DataType.BOOLEAN, [True, False, None], {2: "neither true nor false"}),
    (pa.array(["é" * 3, "abcd", None, "a\0b"]), DataType.STRING, ["é" * 3, None, None, None],
     {1: "longer than 3 characters", 3: "zero character"}),
    (pa.array([5, None]), DataType.STRING, ["5", None], {}),
    (pa.array(["a", "b", "a"]).dictionary_encode(), DataType.CHAR, ["a", "b", "a"], {}),
    (pa.array([b"ok", b"\xff"]), DataType.TEXT, [None, None], {0: "not UTF-8", 1: "not UTF-8"}),
    (pa.array(["\\x00ff", "ab", "xyz", None]), DataType.BINARY, [b"\0\xff", b"\xab", None, None],
     {2: "not hexadecimal"}),
    (pa.array([b"\0"]), DataType.BINARY, [b"\0"], {}),
    (pa.array(["2024-02-29T12:00:00.5", "2024-02-30", None]), DataType.TIMESTAMP,
     [datetime(2024, 2, 29, 12, 0, 0, 500000), None, None], {1: "not a time in ISO 8601"}),
    (pa.array(["2024-01-01T02:00:00+02:00", "2024-01-01"]), DataType.TIMESTAMP,
     [datetime(2024, 1, 1), datetime(2024, 1, 1)], {}),
    (pa.array([datetime(2024, 1, 1)], pa.timestamp("s", tz="Europe/Paris")), DataType.TIMESTAMP,
     [datetime(2024, 1, 1)], {}),
    (pa.array([date(2000, 1, 2)]), DataType.TIMESTAMP, [datetime(2000, 1, 2)], {}),
    (pa.array([-(10**15)], pa.timestamp("ms")), DataType.TIMESTAMP, [None], {0: "before 4714-11-24 BC"}),
    (pa.nulls(2), DataType.DOUBLE, [None, None], {}),
]  # fmt: skip


@pytest.mark.parametrize(("values", "datatype", "expected", "reasons"), CASES)
def test_conversion(values: pa.Array, datatype: DataType, expected: list[object], reasons: dict[int, str]) -> None:
    further = {"length": 3} if datatype is DataType.STRING else {}
    got, why = converted(values, datatype, **further)
    shown = [None if isinstance(value, float) and np.isnan(value) else value for value in got]
    assert shown == expected
    assert why.keys() == reasons.keys()
    for place, reason in reasons.items():
        assert reason in why[place]


def test_nan_stays_nan() -> None:
    got, _ = converted(pa.array(["nan", None]), DataType.DOUBLE)
    assert np.isnan(got[0])  # type: ignore[call-overload]
    assert got[1] is None


def test_null_where_it_is_forbidden_is_named_once() -> None:
    _, why = converted(pa.array([1, None, 10**6]), DataType.SHORT, nullable=False)
    assert why == {1: "NULL in a column without NULLs", 2: SMALL}


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_integers_survive_text(numbers: list[int | None]) -> None:
    texts = pa.array([None if number is None else str(number) for number in numbers], pa.string())
    assert converted(texts, DataType.LONG) == (numbers, {})


@given(st.lists(st.none() | st.floats(allow_nan=False)))
def test_doubles_survive_text(numbers: list[float | None]) -> None:
    texts = pa.array([None if number is None else repr(number) for number in numbers], pa.string())
    assert converted(texts, DataType.DOUBLE) == (numbers, {})


@given(hours=st.floats(0, 23.99999), degrees=st.floats(-90, 90))
def test_sexagesimal_positions(hours: float, degrees: float) -> None:
    from astropy.coordinates import Angle

    for value, unit, format in ((hours, "hourangle", PositionFormat.HMS), (degrees, "deg", PositionFormat.DMS)):
        angle = Angle(value, unit)
        for separator in (":", " "):
            text = angle.to_string(sep=separator, precision=9, pad=True, alwayssign=format is PositionFormat.DMS)
            if ":60" in text or " 60" in text or text.startswith("24"):
                continue
            got, bad = degrees_of(pa.array([text]), format)
            assert not bad.any()
            assert abs(got[0] - angle.degree) < 1e-11 * 360


@pytest.mark.parametrize(
    ("text", "format"),
    [("24:00:00", "hms"), ("-1:00:00", "hms"), ("1:60:00", "dms"), ("1:00:60.0", "dms"), ("abc", "dms"), ("", "hms")],
)
def test_no_angle(text: str, format: str) -> None:
    degrees, bad = degrees_of(pa.array([text, None]), PositionFormat(format))
    assert bad.tolist() == [True, False]
    assert np.isnan(degrees).all()


def test_angles_of_other_spellings() -> None:
    degrees, bad = degrees_of(pa.array(["-00:30:00", "+12d30m00s", " 1 0 0 "]), PositionFormat.DMS)
    assert not bad.any()
    assert degrees.tolist() == [-0.5, 12.5, 1.0]
    assert degrees_of(pa.array(["0h8m27.05s"]), PositionFormat.HMS)[0][0] == pytest.approx(2.1127083333)
