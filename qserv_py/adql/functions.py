"""The function table: adding a function is one entry here.

An entry has the signature, the type of the answer, the SQL for both engines and a line of documentation. An argument
stands once in the SQL, or nested calls would grow as 2**depth. Both engines answer alike, errors included: where DuckDB
is more lenient than PostgreSQL (roots of negative numbers), a macro of sql/czar/merge_functions.sql raises the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from qserv_py.catalog.types import DataType


class Kind(StrEnum):
    """What a parameter accepts."""

    NUMBER = "number"
    """Any number; passed as DOUBLE PRECISION."""

    ANY_NUMBER = "any number"
    """Any number; passed with its own type."""

    INTEGER = "integer"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A scalar function."""

    name: str
    """Upper case, as ADQL writes it."""

    parameters: tuple[Kind, ...]
    optional: int = 0
    """How many of the last parameters may be left out."""

    returns: DataType | None
    """Type of the answer; None for the type of the first argument."""

    postgres: tuple[str, ...]
    """SQL with {0}, {1}, ... for each number of arguments, fewest first."""

    duckdb: tuple[str, ...]
    doc: str
    volatile: bool = False
    """Whether two calls with the same arguments may differ."""

    @property
    def signature(self) -> str:
        """How the function is written, for messages and documents."""
        needed = len(self.parameters) - self.optional
        shown = [kind.value if index < needed else f"[{kind.value}]" for index, kind in enumerate(self.parameters)]
        return f"{self.name}({', '.join(shown)})"

    def accepts(self, count: int) -> bool:
        """Whether this many arguments are right."""
        return len(self.parameters) - self.optional <= count <= len(self.parameters)

    def sql(self, arguments: Sequence[str], *, duckdb: bool) -> str:
        """Return the call with the arguments' SQL filled in."""
        texts = self.duckdb if duckdb else self.postgres
        return texts[len(arguments) - (len(self.parameters) - self.optional)].format(*arguments)


def _math(name: str, sql: str, doc: str, *, duckdb: str = "", arity: int = 1) -> Function:
    return Function(
        name=name,
        parameters=(Kind.NUMBER,) * arity,
        returns=DataType.DOUBLE,
        postgres=(sql,),
        duckdb=(duckdb or sql,),
        doc=doc,
    )


_ALL = (
    Function(
        name="ABS",
        parameters=(Kind.ANY_NUMBER,),
        returns=None,
        postgres=("abs({0})",),
        duckdb=("abs({0})",),
        doc="Absolute value.",
    ),
    _math("CEILING", "ceil({0})", "Smallest whole number not below x."),
    _math("FLOOR", "floor({0})", "Largest whole number not above x."),
    _math("DEGREES", "degrees({0})", "Radians to degrees."),
    _math("RADIANS", "radians({0})", "Degrees to radians."),
    _math("EXP", "exp({0})", "e to the power of x.", duckdb="qserv_exp({0})"),
    _math("LOG", "ln({0})", "Natural logarithm.", duckdb="qserv_ln({0})"),
    _math("LOG10", "log({0})", "Logarithm to base 10.", duckdb="qserv_log10({0})"),
    _math("SQRT", "sqrt({0})", "Square root.", duckdb="qserv_sqrt({0})"),
    _math("POWER", "power({0}, {1})", "x to the power of y.", duckdb="qserv_power({0}, {1})", arity=2),
    _math("MOD", "qserv.mod({0}, {1})", "Remainder of x / y, sign of x.", duckdb="qserv_mod({0}, {1})", arity=2),
    _math("PI", "pi()", "The number pi.", arity=0),
    Function(
        name="RAND",
        parameters=(Kind.ANY_NUMBER,),
        optional=1,
        returns=DataType.DOUBLE,
        postgres=("random()", "random()"),
        duckdb=("random()", "random()"),
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
        doc="x rounded to n decimals (0 without n), halves to the even digit.",
    ),
    Function(
        name="TRUNCATE",
        parameters=(Kind.NUMBER, Kind.INTEGER),
        optional=1,
        returns=DataType.DOUBLE,
        postgres=("trunc({0})", "qserv.truncate_to({0}, {1})"),
        duckdb=("trunc({0})", "qserv_truncate_to({0}, {1})"),
        doc="x cut to n decimals (0 without n).",
    ),
    _math("ACOS", "acos({0})", "Arc cosine, radians.", duckdb="qserv_acos({0})"),
    _math("ASIN", "asin({0})", "Arc sine, radians.", duckdb="qserv_asin({0})"),
    _math("ATAN", "atan({0})", "Arc tangent, radians."),
    _math("ATAN2", "atan2({0}, {1})", "Angle of (y, x), radians.", arity=2),
    _math("COS", "cos({0})", "Cosine of radians."),
    _math("COT", "cot({0})", "Cotangent of radians."),
    _math("SIN", "sin({0})", "Sine of radians."),
    _math("TAN", "tan({0})", "Tangent of radians."),
    Function(
        name="LOWER",
        parameters=(Kind.TEXT,),
        returns=DataType.TEXT,
        postgres=("lower({0})",),
        duckdb=("qserv_lower({0})",),
        doc="Text with the letters A to Z in lower case.",
    ),
    Function(
        name="UPPER",
        parameters=(Kind.TEXT,),
        returns=DataType.TEXT,
        postgres=("upper({0})",),
        duckdb=("qserv_upper({0})",),
        doc="Text with the letters a to z in upper case.",
    ),
)

FUNCTIONS: dict[str, Function] = {function.name: function for function in _ALL}
"""The functions by name."""

DISTANCE = Function(
    name="DISTANCE",
    parameters=(Kind.NUMBER,) * 4,
    returns=DataType.DOUBLE,
    postgres=("qserv.distance({0}, {1}, {2}, {3})",),
    duckdb=("qserv_distance({0}, {1}, {2}, {3})",),
    doc="Angle between two positions, degrees.",
)
"""Not in ``FUNCTIONS``: it takes two points or four numbers, so the resolver reads it with the shapes."""

AGGREGATES = ("COUNT", "SUM", "AVG", "MIN", "MAX")
"""Names of the aggregates."""

SHAPE_NAMES = ("POINT", "CIRCLE", "BOX", "POLYGON", "CONTAINS", "DISTANCE")
"""Names of the geometric functions, which the resolver treats by themselves."""
