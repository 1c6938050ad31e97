"""Bringing the rows of one source to the czar: the columns that are read, the rows that conditions leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qserv_py.adql.tree import ColumnRef, Expr, Item, Select, Source, TableSource
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError
from qserv_py.planner.plan.nodes import SqlTemplate, StageSource
from qserv_py.planner.sky.chunks import ChunkSet
from qserv_py.planner.stages.planning import Gathered, Local, Planning


def fetch(
    source: Source,
    planning: Planning,
    *,
    refs: Mapping[str, ColumnRef],
    conditions: Sequence[Expr] = (),
    chunks: ChunkSet | None = None,
) -> StageSource:
    """Return a source as the result of a stage that brings its rows.

    Parameters
    ----------
    source
        The source.
    planning
        Gets the stage.
    refs
        The columns that are read, by label.
    conditions
        Conditions on this source alone.
    chunks
        Where a sub-query has rows; those of a table are found.
    """
    items = tuple(Item(expr=ref, name=label, label=label) for label, ref in sorted(refs.items()))
    if not items:
        items = (Item(expr=SqlTemplate(type=DataType.INT, text="1"), name="one", label="one"),)
    block = Select(items=items, sources=(source,), where=tuple(conditions))
    name = source.table.qualified if isinstance(source, TableSource) else source.alias
    if isinstance(source, TableSource):
        planned = planning.query(block)
        if isinstance(planned, Gathered):
            raise InternalError("one table cannot be read by its chunks")
    else:
        planned = Local(block, chunks or ChunkSet.anywhere(), {})
    stage = planning.shard_stage(planned.select, planned.chunks, moves=name)
    return StageSource(id=source.id, alias=source.alias, stage=stage.name, columns=stage.columns)
