"""What the builders of single kinds of expressions ask of the builder of the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qserv_py.adql.blocks.scope import Scope
from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.tree import Expr, Query


class Builder(Protocol):
    """Builds the expressions of one block."""

    @property
    def scope(self) -> Scope:
        """What names mean."""

    @property
    def failures(self) -> ErrorFactory:
        """Makes the errors."""

    @property
    def strict(self) -> bool:
        """Whether only ADQL 2.1 is taken."""

    def build(self, node: Any) -> Expr:
        """Return our expression for one of sqlglot's."""

    def value(self, node: Any) -> Expr:
        """Return an expression that is a value."""

    def condition(self, node: Any, clause: str) -> Expr:
        """Return an expression that is true or false."""

    def subquery(self, node: Any) -> Query:
        """Return a query inside an expression."""


Handler = Callable[[Any, Builder], Expr]
"""Builds the expression for one kind of sqlglot's nodes."""
