"""A resolved query to its plan.

A block is *local* when the union of its answers over the chunks is its answer: rows of one table, joins by the
director's key, groups that hold the key. Local blocks nest in one another inside the chunk query. Every other block is
*gathered*: chunks send rows or partial aggregates, a merge statement makes the answer, and the block around it reads
that answer: in the merge engine, or written into its own chunk queries.
"""

from __future__ import annotations

from dataclasses import replace

from qserv_py.adql.tree import ResolvedQuery
from qserv_py.catalog.snapshot import Catalog
from qserv_py.errors import LimitError, QueryNotSupportedError
from qserv_py.planner.plan.query_plan import KeyCells, QueryPlan, ShardStage, Stage
from qserv_py.planner.rules.broadcast import broadcast
from qserv_py.planner.rules.chunk_queries import chunk_queries
from qserv_py.planner.rules.count_star import count_star
from qserv_py.planner.rules.merge_engine import merge_engine
from qserv_py.planner.rules.neighbour_values import neighbour_values
from qserv_py.planner.rules.rows_first import rows_first
from qserv_py.planner.rules.set_operations import set_operations
from qserv_py.planner.rules.whole_sides import whole_sides
from qserv_py.planner.sky.chunks import Pruning
from qserv_py.planner.stages.planning import Local, Planning, Rule
from qserv_py.planner.writing.statement import row_store

RULES: tuple[Rule, ...] = (
    set_operations,
    count_star,
    neighbour_values,
    chunk_queries,
    rows_first,
    broadcast,
    whole_sides,
    merge_engine,
)
"""How a block can be answered, in the order in which the rules are asked; the last one answers any."""


def plan_query(resolved: ResolvedQuery, catalog: Catalog, key_cells: KeyCells | None = None) -> QueryPlan:
    """Return the plan of a query.

    Parameters
    ----------
    resolved
        The query.
    catalog
        The catalogue that it was resolved against.
    key_cells
        What the director index answered for ``keys.wanted_keys(resolved)``; without it ids do not prune.

    Raises
    ------
    QueryNotSupportedError
        If the shards cannot answer the query; says why and what would help.
    LimitError
        If a chunk query would have more columns than PostgreSQL answers.
    """
    planning = Planning(Pruning(catalog, key_cells or {}), RULES)
    try:
        planned = planning.query(resolved.query)
        if isinstance(planned, Local):
            planning.shard_stage(planned.select, planned.chunks, limit=planned.select.top)
        stages = tuple(with_access(stage) for stage in planning.stages)
    except QueryNotSupportedError as error:
        error.text = resolved.text
        raise
    except RecursionError:
        raise LimitError("the query is nested too deeply") from None
    return QueryPlan(text=resolved.text, stages=stages, columns=resolved.columns, catalog=catalog)


def with_access(stage: Stage) -> Stage:
    """Return a stage with the access path by which its chunks' rows are read; the row store is the one there is."""
    if not isinstance(stage, ShardStage):
        return stage
    return replace(stage, access=row_store(stage.select, stage.narrowing))
