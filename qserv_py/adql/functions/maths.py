"""The mathematical functions of ADQL 2.1, and those that users write beyond them."""

from __future__ import annotations

from qserv_py.adql.functions.signature import Function, Kind, function, math
from qserv_py.catalog.types import DataType

MATHS = (
    Function(
        name="ABS",
        parameters=(Kind.ANY_NUMBER,),
        returns=None,
        postgres=("abs({0})",),
        duckdb=("abs({0})",),
        unit="{0}",
        doc="Absolute value.",
    ),
    math("CEILING", "ceil({0})", "Smallest whole number not below x.", unit="{0}"),
    math("FLOOR", "floor({0})", "Largest whole number not above x.", unit="{0}"),
    math("DEGREES", "degrees({0})", "Radians to degrees.", duckdb="qserv_degrees({0})", unit="deg"),
    math("RADIANS", "radians({0})", "Degrees to radians.", duckdb="qserv_radians({0})", unit="rad"),
    math("EXP", "exp({0})", "e to the power of x.", duckdb="qserv_exp({0})"),
    math("LOG", "ln({0})", "Natural logarithm.", duckdb="qserv_ln({0})"),
    math("LOG10", "log({0})", "Logarithm to base 10.", duckdb="qserv_log10({0})"),
    math("SQRT", "sqrt({0})", "Square root.", duckdb="qserv_sqrt({0})", unit="{0}**0.5"),
    math("POWER", "power({0}, {1})", "x to the power of y.", duckdb="qserv_power({0}, {1})", arity=2, unit="{0}**{1}"),
    math(
        "MOD",
        "qserv.mod({0}, {1})",
        "Remainder of x / y, sign of x.",
        duckdb="qserv_mod({0}, {1})",
        arity=2,
        unit="{0}",
    ),
    math("PI", "pi()", "The number pi.", arity=0, unit=""),
    Function(
        name="RAND",
        parameters=(Kind.ANY_NUMBER,),
        optional=1,
        returns=DataType.DOUBLE,
        postgres=("random()", "random()"),
        duckdb=("random()", "random()"),
        unit="",
        doc="A random number in [0, 1); a seed is accepted and not used.",
        volatile=True,
    ),
    Function(
        name="ROUND",
        parameters=(Kind.NUMBER, Kind.INTEGER),
        optional=1,
        returns=DataType.DOUBLE,
        postgres=("round({0})", "qserv.round_to({0}, {1})"),
        duckdb=("round_even({0}, 0)", "qserv_round_to({0}, {1})"),
        unit="{0}",
        doc="x rounded to n decimals (0 without n), halves to the even digit.",
    ),
    Function(
        name="TRUNCATE",
        parameters=(Kind.NUMBER, Kind.INTEGER),
        optional=1,
        returns=DataType.DOUBLE,
        postgres=("trunc({0})", "qserv.truncate_to({0}, {1})"),
        duckdb=("trunc({0})", "qserv_truncate_to({0}, {1})"),
        unit="{0}",
        doc="x cut to n decimals (0 without n).",
    ),
    math("ACOS", "acos({0})", "Arc cosine, radians.", duckdb="qserv_acos({0})", unit="rad"),
    math("ASIN", "asin({0})", "Arc sine, radians.", duckdb="qserv_asin({0})", unit="rad"),
    math("ATAN", "atan({0})", "Arc tangent, radians.", unit="rad"),
    math("ATAN2", "atan2({0}, {1})", "Angle of (y, x), radians.", arity=2, unit="rad"),
    math("COS", "cos({0})", "Cosine of radians.", duckdb="cos(qserv_angle({0}))", unit=""),
    math("COT", "cot({0})", "Cotangent of radians.", duckdb="cot(qserv_angle({0}))", unit=""),
    math("SIN", "sin({0})", "Sine of radians.", duckdb="sin(qserv_angle({0}))", unit=""),
    math("TAN", "tan({0})", "Tangent of radians.", duckdb="tan(qserv_angle({0}))", unit=""),
)
"""What ADQL 2.1 demands."""


def _normal_random(name: str, doc: str) -> Function:
    sql = "({0} + {1} * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))"
    return function(name, "number, number", DataType.DOUBLE, sql, sql, doc, volatile=True)


_EXTREME_DOC = "The {} of the arguments that are not NULL; NaN counts as the largest number."

MORE_MATHS = (
    math("LN", "ln({0})", "Natural logarithm, as LOG.", duckdb="qserv_ln({0})"),
    math("CEIL", "ceil({0})", "Smallest whole number not below x, as CEILING.", unit="{0}"),
    math(
        "POW",
        "power({0}, {1})",
        "x to the power of y, as POWER.",
        duckdb="qserv_power({0}, {1})",
        arity=2,
        unit="{0}**{1}",
    ),
    math("CBRT", "cbrt({0})", "Cube root.", unit="{0}**0.3333333333333333"),
    math("SIGN", "sign({0})", "-1, 0 or 1, as x is below, at or above 0.", duckdb="CAST(sign({0}) AS DOUBLE)", unit=""),
    Function(
        name="GREATEST",
        parameters=(Kind.VALUE, Kind.VALUE),
        repeats=True,
        returns=None,
        postgres=("greatest({all})",),
        duckdb=("greatest({all})",),
        unit="{all}",
        doc=_EXTREME_DOC.format("largest"),
    ),
    Function(
        name="LEAST",
        parameters=(Kind.VALUE, Kind.VALUE),
        repeats=True,
        returns=None,
        postgres=("least({all})",),
        duckdb=("least({all})",),
        unit="{all}",
        doc=_EXTREME_DOC.format("smallest"),
    ),
    function(
        "ivo_interval_overlaps",
        "number, number, number, number",
        DataType.INT,
        "qserv.interval_overlaps({0}, {1}, {2}, {3})",
        "qserv_interval_overlaps({0}, {1}, {2}, {3})",
        "1 if the intervals [a, b] and [c, d] have a point in common, else 0; one with a > b has no points.",
        answers_truth=True,
    ),
    _normal_random("ivo_normal_random", "A random number of the normal distribution of mean mu and deviation sigma."),
    _normal_random("gavo_normal_random", "The same as ivo_normal_random."),
    function(
        "RANDOM", "", DataType.DOUBLE, "random()", "random()", "A random number in [0, 1).", unit="", volatile=True
    ),
    function(
        "DIV",
        "number, number",
        DataType.LONG,
        "CAST(trunc({0} / {1}) AS bigint)",
        "CAST(trunc(qserv_divide({0}, {1})) AS BIGINT)",
        "The whole part of y / x.",
    ),
    function(
        "WIDTH_BUCKET",
        "number, number, number, integer",
        DataType.INT,
        "qserv.width_bucket({0}, {1}, {2}, {3})",
        "qserv_width_bucket({0}, {1}, {2}, {3})",
        "Number of the bin, 1 to n, of n of one width from a to b that holds x; 0 below a, n + 1 from b on.",
        unit="",
    ),
    Function(
        name="NULLIF",
        parameters=(Kind.VALUE, Kind.VALUE),
        returns=None,
        postgres=("nullif({0}, {1})",),
        duckdb=("nullif({0}, {1})",),
        unit="{0}",
        doc="The first value, NULL when it equals the second.",
    ),
)
"""What users write beyond ADQL."""
