"""How a random query is drawn: from numbers below a bound, which hypothesis, a seed or a shrinker gives.

The drawing code knows one primitive, ``below(n)``. Zero is mostly the simplest choice, so that smaller numbers mean a
simpler query, for hypothesis as for our own shrinking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from support.random_queries.constants import Constants, constants_of

T = TypeVar("T")


@dataclass(frozen=True)
class Text:
    """The same thing in both languages."""

    adql: str
    sql: str
    column: str = ""
    """Name of a column whose values are of this size, for constants to compare with; empty when none is."""


@dataclass(frozen=True)
class RandomQuery:
    """A query, and how its answers are compared."""

    adql: str
    sql: str
    ordered: bool = False
    """Whether the order of the rows is fixed."""

    any_of: str = ""
    """SQL of all rows, when any TOP n of them are right."""

    top: int = 0


def text_of(form: str, *parts: Text) -> Text:
    """Return a form with its places filled, in both languages."""
    return Text(form.format(*(part.adql for part in parts)), form.format(*(part.sql for part in parts)))


def near(first: tuple[str, str], second: tuple[str, str], bound: str) -> str:
    """Return, for the plain server, that two places are nearer than a bound, such as ``< 0.1``.

    Places are no nearer than their declinations: said first, it spares most of the arithmetic.
    """
    (ra1, dec1), (ra2, dec2) = first, second
    radius = bound.split(" ", 1)[1]
    return f"(abs({dec1} - {dec2}) <= {radius} + 1e-9 AND oracle.separation({ra1}, {dec1}, {ra2}, {dec2}) {bound})"


class Numbers:
    """Numbers below a bound, by a seed; ``drawn`` keeps what was given."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed).random
        self.drawn: list[int] = []

    def __call__(self, bound: int) -> int:
        number = int(self._random() * bound)
        self.drawn.append(number)
        return number


class Replayed:
    """Numbers that were drawn before, zero after their end; one that is too large becomes the largest."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._left = iter(numbers)
        self.drawn: list[int] = []

    def __call__(self, bound: int) -> int:
        number = min(next(self._left, 0), bound - 1)
        self.drawn.append(number)
        return number


@dataclass(frozen=True)
class Drawing:
    """One query being drawn."""

    below: Callable[[int], int]
    database: str

    @property
    def constants(self) -> Constants:
        """What conditions are drawn from."""
        return constants_of(self.database)

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices; the first is the simplest."""
        return choices[self.below(len(choices))]

    def flag(self) -> bool:
        """Return True in one of two cases."""
        return self.below(2) == 1

    def seldom(self, cases: int) -> bool:
        """Return True in one of so many cases."""
        return self.below(cases) == cases - 1

    def whole(self, low: int, high: int) -> int:
        """Return a whole number between both, which may be drawn, too; ``low`` is the simplest."""
        return low + self.below(high - low + 1)

    def some(self, choices: Sequence[T], low: int, high: int) -> list[T]:
        """Return some of the choices, each once at the most."""
        left = list(choices)
        return [left.pop(self.below(len(left))) for _ in range(min(self.whole(low, high), len(left)))]

    def small(self) -> int:
        """Return a small whole number, sometimes below zero."""
        return self.whole(0, 31) - 6

    def constant(self, like: Text, *, whole: bool = False) -> Text:
        """Return a constant of the size of a value, mostly one that its column has; no fraction where asked."""
        own = self.constants.values.get(like.column, ())
        if own and own[0].startswith("'"):
            return Text(*[self.pick(own)] * 2)
        if not own or self.seldom(5):
            return _whole(self.small()) if whole or self.flag() else _real(self.pick(_REALS))
        text = self.pick(own)
        return _whole(int(text)) if text.lstrip("-").isdigit() else _real(text)


_REALS = ("0.5", "1.25", "3.0", "40.5", "1e2", "150.75")


def _real(text: str) -> Text:
    return Text(text, f"({text})::float8")


def _whole(value: int) -> Text:
    return Text(str(value), f"({value})")
