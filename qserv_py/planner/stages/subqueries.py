"""Sub-queries in the expressions of a block: inside the chunk query, where the chunk holds their rows, or before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from qserv_py.adql import walks
from qserv_py.adql.tree import ExistsQuery, Expr, InQuery, Query, ScalarQuery, Select, TableSource
from qserv_py.adql.walks import nullable, rewrite
from qserv_py.catalog.model import CzarTable
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError
from qserv_py.planner.blocks.near_sources import plan_correlated
from qserv_py.planner.blocks.parts import map_expressions
from qserv_py.planner.blocks.sources import BlockSources, with_tables_of
from qserv_py.planner.plan.nodes import InStage, StageExists, StageValue
from qserv_py.planner.sky.keys import Keys, key_of, keys_of_rows
from qserv_py.planner.stages.fetching import with_placed, with_received
from qserv_py.planner.stages.planning import Gathered, Local, Planning, depends_on_all_rows

SubqueryExpr = InQuery | ExistsQuery | ScalarQuery
"""An expression with a sub-query in it."""


def plan_subqueries(select: Select, sources: BlockSources, planning: Planning) -> Select:
    """Return a block of chunk queries with the sub-queries in its expressions planned."""
    keys = None
    if sources.partitioned:
        known = keys_of_rows(select, sources.keys)
        keys = {source: columns for source, columns in known.items() if source not in sources.nullable}
    needed = tuple(condition for condition in select.where if isinstance(condition, InQuery))
    inside = _InChunks(select, sources, keys, needed, planning)
    return map_expressions(select, lambda expr: rewrite(expr, inside.change))


@dataclass(frozen=True, slots=True)
class _InChunks:
    """Sub-queries of a block that chunks answer."""

    around: Select
    sources: BlockSources
    keys: Mapping[int, Keys] | None
    """Of its sources, where each row has one; None for a block without chunks."""

    needed: tuple[InQuery, ...]
    """Those that must be true: whether they are false or NULL is the same."""

    planning: Planning
    planned: dict[tuple[Expr, bool], Expr] = field(default_factory=dict)
    """What stands for sub-queries that were met: one that is written by its name, in GROUP BY say, is met again."""

    def change(self, expr: Expr) -> Expr | None:
        """Return what stands for an expression; None when it is no sub-query."""
        if not isinstance(expr, SubqueryExpr):
            return None
        nulls_matter = all(expr is not one for one in self.needed)
        if (expr, nulls_matter) not in self.planned:
            self.planned[expr, nulls_matter] = self._planned(expr, nulls_matter=nulls_matter)
        return self.planned[expr, nulls_matter]

    def _planned(self, expr: SubqueryExpr, *, nulls_matter: bool) -> Expr:
        if isinstance(expr, InQuery):
            expr = replace(expr, operand=rewrite(expr.operand, self.change))
        if walks.free_refs(expr.query):
            return replace(expr, query=self._correlated(expr.query))
        planned = _plan_alone(expr, self.planning)
        if isinstance(planned, Local) and not planned.whole:
            aligned = (
                isinstance(expr, InQuery)
                and self.keys is not None
                and _is_aligned(expr.operand, planned, self.keys, nulls_matter=nulls_matter)
            )
            if aligned or not planned.chunks.is_partitioned:
                return replace(expr, query=planned.select)
        return _read_from_stage(expr, planned, self.planning)

    def _correlated(self, query: Query) -> Select:
        """Plan what stands inside a correlated sub-query; it stays where it is."""
        if not isinstance(query, Select):
            raise InternalError("a correlated set operation in a chunk query")
        anchors, pruning = self.sources.anchors, self.planning.pruning
        near = plan_correlated(query, self.around, anchors, self.sources.keys, pruning)
        if near is None:
            raise InternalError("a correlated sub-query whose rows stand in other chunks")
        placed = [
            self.planning.czar_source(source)
            if isinstance(source, TableSource) and isinstance(source.table, CzarTable)
            else source
            for source in query.sources
        ]
        inner = BlockSources(all=placed, nullable=self.sources.nullable | nullable(self.around.joined))
        inner.partitioned, inner.keys = with_tables_of(query, anchors, self.sources.keys, near)
        query = replace(query, sources=with_received(query, inner, near, self.planning))
        query = pruning.prune_near(query, self.around)
        buckets = tuple(bucket for one in near.values() for bucket in one.link.bucket)
        query = replace(query, where=(*query.where, *buckets))
        query = with_placed(query, inner, self.planning, narrows=False)
        return plan_subqueries(query, inner, self.planning)


def read_from_stages(expr: SubqueryExpr, planning: Planning) -> Expr:
    """Plan a sub-query that does not look around itself before the block that asks for it."""
    return _read_from_stage(expr, _plan_alone(expr, planning), planning)


def _plan_alone(expr: SubqueryExpr, planning: Planning) -> Local | Gathered:
    query = expr.query
    if isinstance(expr, ExistsQuery) and isinstance(query, Select) and not depends_on_all_rows(query):
        query = replace(query, top=1, order_by=())
    return planning.query(query)


def _read_from_stage(expr: SubqueryExpr, planned: Local | Gathered, planning: Planning) -> Expr:
    """Return the expression over the rows of a stage."""
    if isinstance(planned, Local) and isinstance(expr, InQuery):
        # IN asks whether a value is there, not how often.
        planned = replace(planned, select=_set_of(planned))
    stage = planning.gathered(planned)
    if isinstance(expr, ExistsQuery):
        return StageExists(type=DataType.BOOLEAN, stage=stage.stage, columns=stage.columns)
    if isinstance(expr, ScalarQuery):
        return StageValue(type=expr.type, stage=stage.stage, column=stage.columns[0])
    return InStage(
        type=DataType.BOOLEAN,
        operand=expr.operand,
        stage=stage.stage,
        column=stage.columns[0],
        offset=expr.offset,
    )


def _is_aligned(operand: Expr, planned: Local, keys: Mapping[int, Keys], *, nulls_matter: bool) -> bool:
    """Whether ``operand IN (planned)`` compares keys of one director, so that a chunk has all it needs."""
    mine, theirs = key_of(operand, keys), planned.keys.get(planned.select.items[0].label)
    if mine is None or theirs is None or mine.director != theirs.director or mine.repeated:
        return False
    # NULL NOT IN () is true, NULL NOT IN (7) and 7 NOT IN (NULL) are not: a chunk cannot tell for NULLs.
    return not nulls_matter or (mine.tells_chunk and theirs.tells_chunk)


def _set_of(planned: Local) -> Select:
    """Return a block with each of its values once; an order that cuts nothing off is dropped, DISTINCT forbids it."""
    if planned.whole:
        return planned.select
    return replace(planned.select, distinct=True, order_by=())
