"""The dialects of SQL, a class each: all that one engine writes otherwise than the other, and what both write alike.

A dialect makes text of text and knows no statement: which sources one has, and what it leaves open, is the matter of
``statement``. For example the constant 0.5 is ``0.5::float8`` in PostgreSQL and ``0.5::DOUBLE`` in DuckDB.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from qserv_py.adql.functions.aggregates import AggregateFunction
from qserv_py.adql.functions.signature import Function
from qserv_py.adql.tree import Arithmetic, Cast, Expr, Literal, Negate
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError
from qserv_py.planner.plan.slots import StageColumn

MARK = "\0"
"""Stands around the number of a slot in a text that is being written: no ADQL text can hold it."""

Value = bool | int | float | str | Sequence[float] | None
"""A constant, or what a row of a stage may hold; a sequence is a histogram or a shape."""


def quoted(name: str) -> str:
    """Return an identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


class Dialect(ABC):
    """How one engine writes names, constants, types, casts, operators and rows."""

    prefix: ClassVar[str]
    """What stands before the names of our own functions."""

    double: ClassVar[str]
    """The short name of the type DOUBLE PRECISION, for constants."""

    @abstractmethod
    def type_name(self, kind: DataType) -> str:
        """Return the name of a type."""

    @abstractmethod
    def numbers(self, values: Sequence[float], kind: str) -> str:
        """Return a constant list of numbers, of a type by its name."""

    @abstractmethod
    def array(self, texts: Sequence[str]) -> str:
        """Return a list of values given by their SQL."""

    @abstractmethod
    def converted(self, operand: str, given: DataType | None, wanted: DataType) -> str:
        """Return a value in another type; in both engines the same value, or an error in both."""

    @abstractmethod
    def arithmetic(self, expr: Arithmetic, left: str, right: str) -> str:
        """Return an operator between two values given by their SQL, in brackets or as a call."""

    @abstractmethod
    def like(self, operand: str, pattern: str, *, fold: bool) -> str:
        """Return LIKE without an escape character, as in ADQL; ``fold`` for one that takes any case."""

    @abstractmethod
    def call(self, function: Function, arguments: Sequence[str]) -> str:
        """Return the call of a function of the table of functions."""

    @abstractmethod
    def aggregate(self, function: AggregateFunction, operand: str, parameters: Sequence[str], *, distinct: bool) -> str:
        """Return an aggregate of the table of aggregates."""

    def finite(self, total: str, largest: str) -> str:
        """Return a sum or a mean of doubles that fails where it overflows.

        ``largest`` is the largest magnitude among them: an infinity or NaN that a row holds is no overflow.
        """
        return total

    def literal(self, value: Value, kind: DataType | None) -> str:
        """Return a constant, with its type where the text alone would not say it."""
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, int):
            return self._integer(value, kind)
        if isinstance(value, float):
            return f"{value!r}::{self.double}" if math.isfinite(value) else f"'{value!r}'::{self.double}"
        if isinstance(value, str):
            if MARK in value:
                raise InternalError("a text constant holds a NUL character")
            return "'" + value.replace("'", "''") + "'"
        if kind is None:
            raise InternalError("a list of numbers without a type")
        return self.numbers(value, self.type_name(kind))

    def _integer(self, value: int, kind: DataType | None) -> str:
        text = str(value) if value >= 0 else f"({value})"
        if kind is DataType.LONG and -(2**31) <= value < 2**31:
            return self.as_long(text)
        return "(-9223372036854775807 - 1)" if value == -(2**63) else text

    def as_long(self, text: str) -> str:
        """Return a whole number as one of 64 bits."""
        return f"{text}::bigint"

    def floor(self, text: str) -> str:
        """Return the whole number that is not above a number, of 64 bits."""
        return self.as_long(f"floor({text})")

    def as_type(self, text: str, given: DataType | None, wanted: DataType | None) -> str:
        """Return a value, cast where it has another type than the one that is wanted."""
        return text if wanted is None or given is wanted else f"CAST({text} AS {self.type_name(wanted)})"

    def cast(self, expr: Cast, operand: str) -> str:
        """Return a cast that the query asks for; text to numbers and times is read as ADQL's documents say."""
        if expr.type is None:
            raise InternalError("a cast without a type")
        given = expr.operand.type
        if given is not None and given.is_text:
            if expr.type is DataType.TIMESTAMP and not isinstance(expr.operand, Literal):
                return f"{self.prefix}to_time({operand})"
            if expr.type.is_numeric:
                reader = "whole_number" if expr.type.is_integer else "number"
                operand = f"{self.prefix}{reader}({operand})"
        text = self.converted(operand, given, expr.type)
        if expr.length is None:
            return text
        return f"rpad({text}, {expr.length}, ' ')" if expr.type is DataType.CHAR else f"left({text}, {expr.length})"

    def relation(self, schema: str, name: str) -> str:
        """Return the name of a relation."""
        return f"{quoted(schema)}.{quoted(name)}"

    def typed(self, value: Value, column: StageColumn) -> str:
        """Return a value of a column, with the column's type."""
        return f"CAST({self.literal(value, column.type)} AS {self.type_name(column.type)})"

    def null_column(self, column: StageColumn) -> str:
        """Return a column that is NULL."""
        return f"{self.typed(None, column)} AS {quoted(column.label)}"

    def empty_relation(self, columns: Sequence[StageColumn]) -> str:
        """Return a relation without rows that has these columns."""
        items = ", ".join(self.null_column(column) for column in columns)
        return f"(SELECT {items or '1'} WHERE FALSE)"

    def rows(self, columns: Sequence[StageColumn], rows: Iterable[Sequence[Value]]) -> str:
        """Return one row or more as a relation; the casts of the first row give the others their types."""
        names = ", ".join(quoted(column.label) for column in columns)
        first, *others = rows
        typed = ", ".join(self.typed(value, column) for value, column in zip(first, columns, strict=True))
        kinds = [column.type for column in columns]
        plain = (
            "(" + ", ".join(self.literal(value, kind) for value, kind in zip(row, kinds, strict=True)) + ")"
            for row in others
        )
        return f"(SELECT * FROM (VALUES {', '.join((f'({typed})', *plain))}) AS v ({names}))"

    def in_values(self, column: StageColumn, values: Iterable[Value]) -> str:
        """Return the right side of IN, each value once; without values one that holds for nothing."""
        texts = [self.typed(value, column) for value in dict.fromkeys(values)]
        return f"IN ({', '.join(texts)})" if texts else f"IN (SELECT {self.typed(None, column)} WHERE FALSE)"


class Postgres(Dialect):
    """PostgreSQL, of the workers: what it answers, and where it fails, is what ADQL means here."""

    prefix = "qserv."
    double = "float8"

    def type_name(self, kind: DataType) -> str:
        """Return the name of a type."""
        return kind.names.postgres

    def numbers(self, values: Sequence[float], kind: str) -> str:
        """Return a constant list of numbers, of a type by its name."""
        return f"'{{{', '.join(map(repr, values))}}}'::{kind}"

    def array(self, texts: Sequence[str]) -> str:
        """Return a list of values given by their SQL."""
        return f"ARRAY[{', '.join(texts)}]"

    def converted(self, operand: str, given: DataType | None, wanted: DataType) -> str:
        """Return a value in another type."""
        return f"CAST({operand} AS {self.type_name(wanted)})"

    def arithmetic(self, expr: Arithmetic, left: str, right: str) -> str:
        """Return an operator between two values given by their SQL, in brackets."""
        return f"({left} {expr.operator} {right})"

    def like(self, operand: str, pattern: str, *, fold: bool) -> str:
        """Return LIKE without an escape character: without being told, PostgreSQL takes a backslash as one."""
        return f"({operand} {'ILIKE' if fold else 'LIKE'} {pattern} ESCAPE '')"

    def call(self, function: Function, arguments: Sequence[str]) -> str:
        """Return the call of a function of the table of functions."""
        return function.sql(arguments, duckdb=False)

    def aggregate(self, function: AggregateFunction, operand: str, parameters: Sequence[str], *, distinct: bool) -> str:
        """Return an aggregate of the table of aggregates."""
        return function.sql(operand, parameters, distinct=distinct, duckdb=False)


class DuckDb(Dialect):
    """DuckDB, of the czar's merge engine: made to answer what PostgreSQL does, and to fail where it fails.

    PostgreSQL calls an overflow of doubles an error, DuckDB answers an infinity; their divisions differ, too. What can
    neither overflow nor underflow stays an operator: a macro costs time in every row.
    """

    prefix = "qserv_"
    double = "DOUBLE"

    def type_name(self, kind: DataType) -> str:
        """Return the name of a type."""
        return kind.names.duckdb

    def numbers(self, values: Sequence[float], kind: str) -> str:
        """Return a constant list of numbers, of a type by its name."""
        return f"[{', '.join(map(repr, values))}]::{kind}"

    def array(self, texts: Sequence[str]) -> str:
        """Return a list of values given by their SQL."""
        return f"[{', '.join(texts)}]"

    def converted(self, operand: str, given: DataType | None, wanted: DataType) -> str:
        """Return a value in another type; where DuckDB's own cast rounds or writes otherwise, by a macro."""
        real = given in {DataType.FLOAT, DataType.DOUBLE}
        text = f"CAST({operand} AS {self.type_name(wanted)})"
        if wanted.is_integer and real:
            return f"CAST(round_even({operand}, 0) AS {self.type_name(wanted)})"
        if wanted.is_text and real:
            return f"qserv_{'real' if given is DataType.FLOAT else 'double'}_text({operand})"
        if wanted is DataType.FLOAT and given is DataType.DOUBLE:
            return f"qserv_real({operand})"
        if wanted in {DataType.FLOAT, DataType.DOUBLE} and given is not None and given.is_text:
            return f"qserv_bounded({operand}, {text})"
        return text

    def arithmetic(self, expr: Arithmetic, left: str, right: str) -> str:
        """Return an operator between two values given by their SQL, in brackets or as a call of a macro."""
        if expr.operator == "||" or expr.type is None:
            return f"({left} {expr.operator} {right})"
        if expr.operator in _SHIFTS:
            bits = 8 * expr.type.names.width
            return f"CAST({_SHIFTS[expr.operator]}({left}, {right}, {bits}) AS {self.type_name(expr.type)})"
        left = self.as_type(left, expr.left.type, expr.type)
        right = self.as_type(right, expr.right.type, expr.type)
        if expr.operator == "#":
            return f"xor({left}, {right})"
        if expr.type.is_integer:
            macro = _OF_INTEGERS.get(expr.operator)
        else:
            macro = None if _stays_finite(expr) else _OF_REALS[expr.operator]
        return f"{macro}({left}, {right})" if macro else f"({left} {expr.operator} {right})"

    def like(self, operand: str, pattern: str, *, fold: bool) -> str:
        """Return LIKE; DuckDB's ILIKE folds every letter of Unicode, PostgreSQL's in the "C" locale those of ASCII."""
        return f"(qserv_lower({operand}) LIKE qserv_lower({pattern}))" if fold else f"({operand} LIKE {pattern})"

    def call(self, function: Function, arguments: Sequence[str]) -> str:
        """Return the call of a function of the table of functions."""
        return function.sql(arguments, duckdb=True)

    def aggregate(self, function: AggregateFunction, operand: str, parameters: Sequence[str], *, distinct: bool) -> str:
        """Return an aggregate of the table of aggregates."""
        return function.sql(operand, parameters, distinct=distinct, duckdb=True)

    def finite(self, total: str, largest: str) -> str:
        """Return a sum or a mean of doubles that fails where it overflows, as PostgreSQL's does by itself."""
        return f"qserv_finite({total}, {largest})"


POSTGRES = Postgres()
DUCKDB = DuckDb()

_OF_REALS = {"+": "qserv_plus", "-": "qserv_minus", "*": "qserv_times", "/": "qserv_divide"}
_OF_INTEGERS = {"/": "qserv_divide_whole", "%": "qserv_remainder"}
_SHIFTS = {"<<": "qserv_shift_left", ">>": "qserv_shift_right"}


def may_overflow(operand: Expr) -> bool:
    """Whether a sum in double precision may: no number of rows of REALs or whole numbers gets there."""
    return operand.type is DataType.DOUBLE


def _stays_finite(expr: Arithmetic) -> bool:
    """Whether a sum, a difference or a product of doubles can neither overflow nor underflow."""
    return expr.operator in {"+", "-", "*"} and expr.type is DataType.DOUBLE and _digits(expr) < 300


def _digits(expr: Expr) -> float:
    """Return how many digits a finite value that is not zero can have before or after its point."""
    match expr:
        case Literal(value=int() | float() as value):
            return abs(math.log10(abs(value))) + 17 if value and math.isfinite(value) else 0.0
        case Cast(operand=operand, type=DataType.DOUBLE):
            return _digits(operand)
        case Negate(operand=operand):
            return _digits(operand)
        case Arithmetic(operator="*", left=left, right=right):
            return _digits(left) + _digits(right)
        case Arithmetic(operator="+" | "-", left=left, right=right):
            return max(_digits(left), _digits(right)) + 17
    if expr.type is not None and expr.type.is_integer:
        return 19.0
    return 45.0 if expr.type is DataType.FLOAT else math.inf
