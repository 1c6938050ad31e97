"""Blocks that no chunk can answer: the columns that they read are brought to the merge engine, which does the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qserv_py.adql import tree, walks
from qserv_py.adql.tree import ColumnRef, Expr, InQuery, Item, Query, Select, SetQuery, Source, TableSource
from qserv_py.adql.walks import rewrite
from qserv_py.catalog.types import DataType
from qserv_py.planner.blocks.pairs import check_pairs, rows_read
from qserv_py.planner.blocks.parts import is_about_any, map_expressions, refs_by_source
from qserv_py.planner.blocks.sources import conditions_without, own_conditions
from qserv_py.planner.plan.nodes import InStage, StageSource
from qserv_py.planner.stages.fetching import fetch
from qserv_py.planner.stages.planning import Block, Gathered, Planning, find_sources
from qserv_py.planner.stages.subqueries import SubqueryExpr, read_from_stages

SEMI_JOIN_ROWS = 100_000
"""Rows of a table, at the most, whose values are sent to the chunks of another before its rows are moved."""


def merge_engine(block: Block) -> Gathered:
    """Plan a block as one statement of the merge engine."""
    select, sources, planning = block.select, block.sources, block.planning
    check_pairs(select, sources, planning.pruning)
    refs = refs_by_source(select)
    brought: dict[int, StageSource] = {}
    small: dict[int, Select] = {}
    kept = list(select.where)
    # The smallest first: the values that it has to offer cut down what is brought of the others.
    for rows, source in _by_rows(select, planning):
        if isinstance(source, StageSource):
            brought[source.id] = source
            continue
        own = own_conditions(select, source.id)
        lists = _semi_joins(source.id, select.where, small, planning) if isinstance(source, TableSource) else []
        brought[source.id] = fetch(
            source,
            planning,
            refs=refs.get(source.id, {}),
            conditions=[*own, *lists],
            chunks=sources.chunks.get(source.id),
        )
        kept = conditions_without(kept, own)
        if rows <= SEMI_JOIN_ROWS and select.joined is None:
            small[source.id] = Select(items=(), sources=(source,), where=tuple(own), distinct=True)
    moved = replace(select, sources=tuple(brought[s.id] for s in select.sources), where=tuple(kept))
    return planning.merge_stage(_plan_subqueries(moved, planning))


def _by_rows(select: Select, planning: Planning) -> list[tuple[int, Source]]:
    counted = ((rows_read(source, select, planning.pruning), source) for source in select.sources)
    return sorted(counted, key=lambda pair: pair[0])


def _semi_joins(source: int, conditions: Sequence[Expr], small: Mapping[int, Select], planning: Planning) -> list[Expr]:
    """Return the conditions that a row of a source has a partner in one of the small tables, by their values."""
    found: list[Expr] = []
    for condition in conditions:
        if not isinstance(condition, tree.Comparison) or condition.operator != "=":
            continue
        for mine, other in ((condition.left, condition.right), (condition.right, condition.left)):
            if isinstance(other, ColumnRef) and other.source in small and is_about_any(mine, {source}):
                item = Item(expr=other, name=other.label, label=other.label)
                values = planning.gathered(planning.query(replace(small[other.source], items=(item,))))
                column = values.columns[0]
                found.append(InStage(type=DataType.BOOLEAN, operand=mine, stage=values.stage, column=column))
    return found


def _plan_subqueries(select: Select, planning: Planning) -> Select:
    """Return a block with the sub-queries in its expressions planned: stages, or queries of the merge engine, too."""

    planned: dict[Expr, Expr] = {}

    def change(expr: Expr) -> Expr | None:
        if not isinstance(expr, SubqueryExpr):
            return None
        if expr not in planned:
            planned[expr] = in_stages(expr)
        return planned[expr]

    def in_stages(expr: SubqueryExpr) -> Expr:
        if isinstance(expr, InQuery):
            expr = replace(expr, operand=rewrite(expr.operand, change))
        if walks.free_refs(expr.query):
            return replace(expr, query=_moved(expr.query, planning))
        return read_from_stages(expr, planning)

    return map_expressions(select, lambda expr: rewrite(expr, change))


def _moved(query: Query, planning: Planning) -> Query:
    """Return a correlated sub-query with its tables brought to the merge engine."""
    if isinstance(query, SetQuery):
        return replace(query, left=_moved(query.left, planning), right=_moved(query.right, planning))
    sources = find_sources(query, planning)
    refs = refs_by_source(query)
    brought = [
        source
        if isinstance(source, StageSource)
        else fetch(source, planning, refs=refs.get(source.id, {}), chunks=sources.chunks.get(source.id))
        for source in sources.all
    ]
    return _plan_subqueries(replace(query, sources=tuple(brought)), planning)
