"""What an entry of the function table says: signature, SQL for both engines, documentation."""

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
    TIME = "time"
    """A TIMESTAMP, or a text constant that is one."""

    VALUE = "value"
    """A number, a text or a time; all such arguments of a call are brought to their common type."""

    SHAPE = "shape"
    CONDITION = "condition"
    """Something that is true or false; aggregates only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A scalar function."""

    name: str
    """As documents write it; ADQL takes any case."""

    parameters: tuple[Kind, ...]
    optional: int = 0
    """How many of the last parameters may be left out."""

    repeats: bool = False
    """Whether the last parameter may be repeated."""

    returns: DataType | None
    """Type of the answer; None for the type of the first argument."""

    postgres: tuple[str, ...]
    """SQL with {0}, {1}, ... for each number of arguments, fewest first; one text with {all} when one repeats."""

    duckdb: tuple[str, ...]
    doc: str
    unit: str | None = None
    """Unit of the answer: None when it is not known, empty for a pure number, ``{0}`` for that of the first argument,
    ``{0}**{1}`` or ``{0}**0.5`` for a power of it, ``{all}`` for the one that all arguments share."""

    volatile: bool = False
    """Whether two calls with the same arguments may differ."""

    answers_truth: bool = False
    """Whether the answer is 1 or 0, as something is so or not."""

    max_order: int | None = None
    """Largest HEALPix order that the first argument may be, where it is one."""

    needed: tuple[int, ...] = ()
    """Places of the arguments that may not be NULL."""

    @property
    def signature(self) -> str:
        """How the function is written, for messages and documents."""
        needed = len(self.parameters) - self.optional
        shown = [kind.value if index < needed else f"[{kind.value}]" for index, kind in enumerate(self.parameters)]
        return f"{self.name}({', '.join(shown)}{', ...' if self.repeats else ''})"

    def accepts(self, count: int) -> bool:
        """Whether this many arguments are right."""
        most = count if self.repeats else len(self.parameters)
        return len(self.parameters) - self.optional <= count <= most

    def kind_of(self, index: int) -> Kind:
        """Return what an argument must be."""
        return self.parameters[min(index, len(self.parameters) - 1)]

    def sql(self, arguments: Sequence[str], *, duckdb: bool) -> str:
        """Return the call with the arguments' SQL filled in."""
        texts = self.duckdb if duckdb else self.postgres
        if self.repeats:
            return texts[0].format(all=", ".join(arguments))
        return texts[len(arguments) - (len(self.parameters) - self.optional)].format(*arguments)


def function(
    name: str,
    parameters: str,
    returns: DataType | None,
    postgres: str,
    duckdb: str,
    doc: str,
    *,
    unit: str | None = None,
    volatile: bool = False,
    answers_truth: bool = False,
    max_order: int | None = None,
    needed: tuple[int, ...] = (),
) -> Function:
    """Return a function with one form; ``parameters`` are the kinds, separated by commas."""
    kinds = tuple(Kind(part.strip()) for part in parameters.split(",") if part.strip())
    return Function(
        name=name,
        parameters=kinds,
        returns=returns,
        postgres=(postgres,),
        duckdb=(duckdb,),
        doc=doc,
        unit=unit,
        volatile=volatile,
        answers_truth=answers_truth,
        max_order=max_order,
        needed=needed,
    )


def math(name: str, sql: str, doc: str, *, duckdb: str = "", arity: int = 1, unit: str | None = None) -> Function:
    """Return a function of numbers."""
    kinds = ", ".join(["number"] * arity)
    return function(name, kinds, DataType.DOUBLE, sql, duckdb or sql, doc, unit=unit)
