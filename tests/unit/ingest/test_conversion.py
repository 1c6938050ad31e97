"""Values of input files to column types: what fits arrives, what does not is named."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.catalog.model import Column, PositionFormat
from qserv_py.catalog.types import DataType
from qserv_py.ingest.values.conversion import convert_column
from qserv_py.ingest.values.converted import ValueRules
from qserv_py.ingest.values.sexagesimal import degrees_of


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
     [None, -2.5, None, None, 1.5, None], {0: "outside the range", 3: "not a number", 5: "outside the range"}),
    (pa.array([2**53 + 1, 2**53 + 2, None, -(2**63)]), DataType.DOUBLE, [None, 2.0**53 + 2, None, -(2.0**63)],
     {0: "cannot hold exactly"}),
    (pa.array([2**64 - 1, 2**63], pa.uint64()), DataType.DOUBLE, [None, 2.0**63], {0: "cannot hold exactly"}),
    (pa.array([2**24 + 1, 7]), DataType.FLOAT, [None, 7], {0: "floating point of 4 bytes cannot hold exactly"}),
    (pa.array(["9007199254740993", "9007199254740992", "9007199254740993.0"]), DataType.DOUBLE,
     [None, 2.0**53, 2.0**53], {0: "cannot hold exactly"}),
    # halfway between two numbers of 4 bytes, and a little more than 8 bytes can say: the nearest is the upper one
    (pa.array(["1.00000005960464477539062500000001"]), DataType.FLOAT, [1 + 2.0**-23], {}),
    (pa.array([Decimal("0.1"), Decimal("1E+20")], pa.decimal128(30, 5)), DataType.DOUBLE, [0.1, 1e20], {}),
    (pa.array(["1e400", "-inf", "1e-400"]), DataType.DOUBLE, [None, -np.inf, 0.0], {0: "outside the range"}),
    (pa.array(["12345678901234567.0", "1e18", "9223372036854775808", "nan", "1.5", "\uff11"]), DataType.LONG,
     [12345678901234567, 10**18, None, None, None, None],
     {2: "outside", 4: "not a whole number", 5: "not a whole number"}),
    (pa.array(["yes", "F", "0", "maybe", None]), DataType.BOOLEAN, [True, False, False, None, None],
     {3: "neither true nor false"}),
    (pa.array([1, 0, 2]), DataType.BOOLEAN, [True, False, None], {2: "neither true nor false"}),
    (pa.array(["é" * 3, "abcd", None, "a\0b"]), DataType.STRING, ["é" * 3, None, None, None],
     {1: "longer than 3 characters", 3: "zero character"}),
    (pa.array([5, None]), DataType.STRING, ["5", None], {}),
    (pa.array(["a", "b", "a"]).dictionary_encode(), DataType.CHAR, ["a", "b", "a"], {}),
    (pa.array([b"ok", b"\xff", None]), DataType.TEXT, ["ok", None, None], {1: "not UTF-8"}),
    (pa.array([b"7", b"\xff"]), DataType.INT, [7, None], {1: "not UTF-8"}),
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
    (pa.array([-(10**15)], pa.timestamp("ms")), DataType.TIMESTAMP, [None], {0: "outside of the years 1 to 9999"}),
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


@pytest.mark.parametrize("datatype", [DataType.DOUBLE, DataType.FLOAT])
@pytest.mark.parametrize(
    "values", [pa.array(["nan", None, "1"]), pa.array([np.nan, None, 1.0]), pa.array([np.nan, None, 1], pa.float32())]
)
def test_nan_is_null_unless_it_is_kept(values: pa.Array, datatype: DataType) -> None:
    assert convert_column(values, column(datatype)).values.to_pylist() == [None, None, 1.0]
    kept = convert_column(values, column(datatype), ValueRules(keep_nan=True)).values.to_pylist()
    assert np.isnan(kept[0])
    assert kept[1:] == [None, 1.0]


def test_a_nan_where_null_is_forbidden_is_rejected() -> None:
    assert converted(pa.array([np.nan]), DataType.DOUBLE, nullable=False)[1] == {0: "NULL in a column without NULLs"}


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def exact_microseconds(text: str) -> int:
    """Return the microseconds since 1970 by decimal arithmetic, half to even; ``text`` is UTC with a fraction."""
    whole, _, fraction = text.partition(".")
    seconds = round((datetime.fromisoformat(whole).replace(tzinfo=UTC) - EPOCH).total_seconds())
    return int(((seconds + Decimal("0." + (fraction or "0"))) * 10**6).quantize(Decimal(1), ROUND_HALF_EVEN))


@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
            st.text("0123456789", max_size=12)
            | st.sampled_from(["1234565", "1234575", "0000005", "99999949", "9999995"]),
        ),
        min_size=1,
    )
)
def test_times_of_any_fineness(times: list[tuple[datetime, str]]) -> None:
    texts = [f"{time.replace(microsecond=0).isoformat()}.{digits}" for time, digits in times]
    result = convert_column(pa.array(texts), column(DataType.TIMESTAMP))
    assert result.values.cast(pa.int64()).to_pylist() == [exact_microseconds(text) for text in texts]
    assert not result.misfits
    finer = [bool(digits[6:].strip("0")) for _, digits in times]
    assert result.rounded == sum(finer)
    strict = convert_column(pa.array(texts), column(DataType.TIMESTAMP), ValueRules(exact_times=True))
    assert strict.values.is_null().to_pylist() == finer


@given(st.lists(st.none() | st.integers(-(2**63) + 1, 2**63 - 1), min_size=1))
def test_times_of_nanoseconds(nanoseconds: list[int | None]) -> None:
    values = pa.array(nanoseconds, pa.timestamp("ns"))
    result = convert_column(values, column(DataType.TIMESTAMP))
    expected = [
        None if value is None else int((Decimal(value) / 1000).quantize(Decimal(1), ROUND_HALF_EVEN))
        for value in nanoseconds
    ]
    assert result.values.cast(pa.int64()).to_pylist() == expected
    assert result.rounded == sum(value is not None and value % 1000 != 0 for value in nanoseconds)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "date32"])
@pytest.mark.parametrize("far", [2**63 - 1, -(2**63) + 1, 2**31 - 1, -(2**31)])
def test_infinite_times_are_rejected(unit: str, far: int) -> None:
    """DuckDB writes its infinity as the greatest number; dates of 32 bits reach year 5.8 million."""
    if unit == "date32":
        far = max(min(far, 2**31 - 1), -(2**31))
    elif abs(far) < 2**40:
        return
    values = pa.array([far, 0], pa.int32() if unit == "date32" else pa.int64())
    values = values.cast(pa.date32() if unit == "date32" else pa.timestamp(unit))
    got, why = converted(values, DataType.TIMESTAMP)
    assert got == [None, datetime(1970, 1, 1)]
    assert why == {0: "a time outside of the years 1 to 9999"}


def test_texts_that_are_times_and_some_that_are_none() -> None:
    texts = {
        "2024-02-29": datetime(2024, 2, 29),
        "2024-02-29 12:30": datetime(2024, 2, 29, 12, 30),
        "2024-01-01T00:00:00Z": datetime(2024, 1, 1),
        "2024-01-01T00:00:00.123456789": datetime(2024, 1, 1, 0, 0, 0, 123457),
        "2024-01-01T00:30:00.25-01:30": datetime(2024, 1, 1, 2, 0, 0, 250000),
        "2024-01-01T00:30:00+0530": datetime(2023, 12, 31, 19),
        "": None,
        "  ": None,
        "9999-12-31T23:59:59.9999999": "outside of the years",
        "0000-01-01": "outside of the years",
        "2016-12-31T23:59:60": "a leap second",
        "2024-13-01": "not a time",
        "2024-01-01T10": "not a time",
        "2457000.5": "not a time",
        "2023-02-29T00:00:00.1234567": "not a time",
        "infinity": "not a time",
        "2024-01-01T00:00:00+25:00": "not a time",
    }
    got, why = converted(pa.array(list(texts)), DataType.TIMESTAMP)
    for place, (text, expected) in enumerate(texts.items()):
        if isinstance(expected, str):
            assert expected in why[place], text
        else:
            assert (got[place], place in why) == (expected, False), text


@pytest.mark.parametrize(
    ("text", "datatype"),
    [
        ("0xFFFF", DataType.SHORT),
        ("0x8000", DataType.SHORT),
        ("0XFFFFFFFFFFFFFFFF", DataType.LONG),
        ("0x10", DataType.DOUBLE),
        ("nan(12)", DataType.DOUBLE),
        ("1_000", DataType.LONG),
        ("2020-01-01T10", DataType.TIMESTAMP),
        ("2020-01-01T1030", DataType.TIMESTAMP),
        ("2020-01-01T12:30.5", DataType.TIMESTAMP),
        ("2020-01-01T12:30.55", DataType.TIMESTAMP),
        ("2020-01-01T12:30.5Z", DataType.TIMESTAMP),
    ],
)
def test_what_arrow_takes_for_a_value_and_we_do_not(text: str, datatype: DataType) -> None:
    """Alone and beside a value that is rejected anyway: the neighbours of a value do not matter."""
    for neighbours in ([], ["rubbish"], [None]):
        assert set(converted(pa.array([text, *neighbours]), datatype)[1]) >= {0}


@pytest.mark.parametrize(
    ("values", "datatype"),
    [
        (pa.array([1], pa.duration("s")), DataType.DOUBLE),
        (pa.array([1], pa.duration("s")), DataType.LONG),
        (pa.array([1], pa.duration("s")), DataType.TEXT),
        (pa.array([1.5]), DataType.TIMESTAMP),
        (pa.array([1]), DataType.BINARY),
        (pa.array([date(2000, 1, 1)]), DataType.DOUBLE),
        (pa.array([date(2000, 1, 1)]), DataType.BOOLEAN),
    ],
)
def test_types_of_which_no_value_fits(values: pa.Array, datatype: DataType) -> None:
    with pytest.raises(pa.ArrowTypeError, match="values of type .* are no "):
        convert_column(values, column(datatype))


@pytest.mark.parametrize("layout", ["plain", "dictionary", "large"])
@pytest.mark.parametrize(
    ("right", "datatype"),
    [
        ("1", DataType.LONG),
        ("1.5", DataType.DOUBLE),
        ("t", DataType.BOOLEAN),
        ("ab", DataType.TEXT),
        ("ab", DataType.CHAR),
        ("ab", DataType.BINARY),
        ("2020-01-01", DataType.TIMESTAMP),
    ],
)
def test_texts_that_are_none_are_rejected_alone(right: str, datatype: DataType, layout: str) -> None:
    """Files of Parquet may call any bytes a text; pyarrow reads them as they are."""
    stored = io.BytesIO()
    pq.write_table(pa.table({"c": pa.array([b"\xff1", right.encode(), None]).view(pa.string())}), stored)
    values = pq.read_table(stored)["c"].combine_chunks()
    with pytest.raises(UnicodeDecodeError):
        values[0].as_py()
    layouts = {"plain": values, "dictionary": values.dictionary_encode(), "large": values.cast(pa.large_string())}
    got, why = converted(layouts[layout], datatype)
    assert why == {0: "not UTF-8 text"}
    assert got == [None, *converted(pa.array([right, None]), datatype)[0]]


def test_runs_and_views_are_values() -> None:
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([1.5, None]))
    assert converted(runs, DataType.DOUBLE)[0] == [1.5, 1.5, None]
    assert converted(pa.array(["a", "bc"], pa.string_view()), DataType.TEXT)[0] == ["a", "bc"]
    assert converted(pa.array([b"a", None], pa.binary(1)), DataType.TEXT)[0] == ["a", None]
    assert converted(pa.array([1, np.nan], pa.float16()), DataType.FLOAT)[0] == [1.0, None]


def test_bytes_longer_than_their_column() -> None:
    assert converted(pa.array([b"ab", b"abc"]), DataType.BINARY, length=2) == (
        [b"ab", None],
        {1: "longer than 2 bytes"},
    )


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
    [
        ("24:00:00", "hms"),
        ("-1:00:00", "hms"),
        ("1:60:00", "dms"),
        ("1:00:60.0", "dms"),
        ("abc", "dms"),
        ("", "hms"),
        ("10d08m22s", "hms"),
        ("10D 8M 22S", "hms"),
        ("10h08m22s", "dms"),
        ("10H 8m 22s", "dms"),
    ],
)
def test_no_angle(text: str, format: str) -> None:
    degrees, bad = degrees_of(pa.array([text, None]), PositionFormat(format))
    assert bad.tolist() == [True, False]
    assert np.isnan(degrees).all()


def test_angles_of_other_spellings() -> None:
    from astropy.coordinates import Angle

    degrees, bad = degrees_of(pa.array(["-00:30:00", "+12d30m00s", " 1 0 0 "]), PositionFormat.DMS)
    assert not bad.any()
    assert degrees.tolist() == [-0.5, 12.5, 1.0]
    for form, letter, unit in ((PositionFormat.HMS, "h", "hourangle"), (PositionFormat.DMS, "d", "deg")):
        for shape in ("10{}8m22.3s", "10{} 08m 22.3s", "10 {} 8 m 22.3 s", "10{} 8m 22.3"):
            text = shape.format(letter)
            expected = Angle(text, unit).degree
            got, bad = degrees_of(pa.array([text, text.upper()]), form)
            assert not bad.any(), text
            assert got.tolist() == pytest.approx([expected, expected], rel=1e-14), text
    assert degrees_of(pa.array(["0h8m27.05s"]), PositionFormat.HMS)[0][0] == pytest.approx(2.1127083333)
