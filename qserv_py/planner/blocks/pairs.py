"""How many rows a block may read, and the refusal to compare too many pairs of them one by one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from qserv_py.adql import walks
from qserv_py.adql.tree import Comparison, Expr, SameOrNull, Select, Source, TableSource
from qserv_py.adql.walks import all_conditions
from qserv_py.errors import QueryNotSupportedError
from qserv_py.planner.blocks import joins
from qserv_py.planner.blocks.neighbours import near_pairs
from qserv_py.planner.blocks.sources import BlockSources, correlated_queries, own_conditions
from qserv_py.planner.sky.chunks import Pruning
from qserv_py.planner.sky.keys import Director

MAX_PAIRS = 200_000_000
"""Pairs of rows that the merge engine compares one by one at the most."""


def rows_read(source: Source, select: Select, pruning: Pruning) -> int:
    """Return how many rows of a source a block may read; of anything but a table that is not known."""
    if not isinstance(source, TableSource):
        return sys.maxsize
    if not source.table.is_partitioned:
        return pruning.rows_of_ref(source)
    return pruning.rows_of(source, replace(select, where=tuple(own_conditions(select, source.id))))


def check_pairs(select: Select, sources: BlockSources, pruning: Pruning) -> None:
    """Refuse to compare every row of one large table with every row of another."""
    conditions = all_conditions(select)
    large = [source for source in sources.partitioned if isinstance(source, TableSource)]
    _check_product(large, conditions, select, sources, pruning)
    for query in correlated_queries(select):
        if isinstance(query, Select):
            around = {ref.source for ref in walks.free_refs(query)}
            inner = [s for s in query.sources if isinstance(s, TableSource) and s.table.is_partitioned]
            pairs = [*(source for source in large if source.id in around), *inner]
            _check_product(pairs, [*conditions, *query.where], select, sources, pruning)


def _check_product(
    large: Sequence[TableSource], conditions: Sequence[Expr], select: Select, sources: BlockSources, pruning: Pruning
) -> None:
    """Refuse too many pairs of rows of tables that no equality connects."""
    pairs = 1
    for group in joins.unconnected(large, [_as_equality(condition) for condition in conditions]):
        pairs *= max(rows_read(source, select, pruning) for source in group)
    if len(large) < 2 or pairs <= MAX_PAIRS:
        return
    names = ", ".join(f'"{source.alias}"' for source in large)
    near = near_pairs(large, conditions)
    if near:
        radius = max(pair.radius for pair in near)
        raise QueryNotSupportedError(
            f"too many rows of {names} are within {radius:.3g} deg of each other: {pairs:.1e} pairs to look at",
            hint="Take a smaller radius, or restrict one side by place or by id.",
        )
    raise QueryNotSupportedError(
        f"{names} are not joined by an equality, so {pairs:.1e} pairs of rows would have to be compared",
        hint=_join_hint(sources) or "Join them by an equality, or restrict each of them by place or by id.",
    )


def _as_equality(condition: Expr) -> Expr:
    """Return ``a = b`` for ``a <=> b``: the merge engine finds the partners of both alike."""
    if not isinstance(condition, SameOrNull):
        return condition
    return Comparison(type=condition.type, operator="=", left=condition.left, right=condition.right)


def _join_hint(sources: BlockSources) -> str:
    keys: dict[Director, list[str]] = {}
    for source in sources.partitioned:
        for label, key in sources.keys.get(source.id, {}).items():
            if not key.repeated:
                keys.setdefault(key.director, []).append(f"{source.alias}.{label}")
    pair = next((shared[:2] for shared in keys.values() if len(shared) > 1), None)
    return f"Join them by the director's key: {' = '.join(pair)}." if pair else ""
