"""One query while it is resolved: the catalogue, the ids of its sources, and how many blocks and tables it has."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from qserv_py.adql.blocks.scope import CommonTable, Scope
from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.expressions.build import ExpressionBuilder
from qserv_py.adql.tree import Query
from qserv_py.catalog.snapshot import Catalog
from qserv_py.errors import LimitError

MAX_SUBQUERIES = 30
"""Nested blocks of one query."""

MAX_TABLES = 50
"""Tables in FROM, of all blocks together."""

CommonTables = Mapping[str, CommonTable]
"""The tables that WITH has named around a query, by folded name."""


@dataclass
class Resolving(ABC):
    """The state of one resolution; a sub-query is resolved by the class built on it."""

    failures: ErrorFactory
    catalog: Catalog
    strict: bool = False
    """Whether only ADQL 2.1 is taken."""

    ids: Iterator[int] = field(default_factory=itertools.count)
    _blocks: int = 0
    _tables: int = 0

    @abstractmethod
    def query(self, node: Any, outer: Scope | None, tables: CommonTables) -> Query:
        """Resolve anything that answers rows, inside the scope of the query around it."""

    def expressions(self, scope: Scope) -> ExpressionBuilder:
        """Return what builds the expressions of a block."""
        return ExpressionBuilder(
            scope, lambda node, around: self.query(node, around, around.tables), strict=self.strict
        )

    def count_block(self, node: Any) -> None:
        """Count one more block, and refuse too many."""
        self._blocks += 1
        if self._blocks > MAX_SUBQUERIES:
            raise self.failures.unsupported(
                f"a query has at most {MAX_SUBQUERIES} sub-queries",
                node,
                hint="Keep the answer of a part as a table, and go on from there.",
            )

    def count_table(self) -> None:
        """Count one more table, and refuse too many."""
        self._tables += 1
        if self._tables > MAX_TABLES:
            raise LimitError(
                f"the query has more than {MAX_TABLES} tables in FROM",
                hint="Keep the answer of a part as a table, and go on from there.",
            )
