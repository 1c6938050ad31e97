"""The sources of a block found and sorted: sub-queries in FROM are planned, tables of the czar become stages."""

from __future__ import annotations

from dataclasses import replace

from qserv_py.adql.tree import QuerySource, Select, TableSource
from qserv_py.catalog.model import CzarTable
from qserv_py.errors import InternalError
from qserv_py.planner.blocks.sources import BlockSources
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.sky.keys import keys_of_table
from qserv_py.planner.stages.planned import Gathered
from qserv_py.planner.stages.planning import Planning


def find_sources(select: Select, planning: Planning) -> BlockSources:
    """Return the sources of a block, sorted by what answers them."""
    found = BlockSources()
    for source in select.sources:
        if isinstance(source, TableSource) and isinstance(source.table, CzarTable):
            found.add_stage(planning.czar_source(source))
        elif isinstance(source, TableSource):
            _add_table(source, found, planning)
        elif isinstance(source, StageSource):
            found.add_stage(source)
        elif isinstance(source, QuerySource):
            _add_query(source, found, planning, alone=len(select.sources) == 1)
        else:
            raise InternalError(f"source {source!r} is not planned")
    return found


def _add_table(source: TableSource, found: BlockSources, planning: Planning) -> None:
    found.all.append(source)
    if source.table.is_partitioned:
        found.partitioned.append(source)
        found.keys[source.id] = keys_of_table(source)
        found.chunks[source.id] = planning.pruning.chunks_of_table(source)


def _add_query(source: QuerySource, found: BlockSources, planning: Planning, *, alone: bool) -> None:
    """Add a sub-query: as a part of the chunk queries where they can hold it, else as the result of a stage."""
    planned = planning.sources.get(source.id) or planning.query(source.query)
    if isinstance(planned, Gathered) or (planned.whole and not alone):
        stage = planning.gathered(planned)
        found.add_stage(StageSource(id=source.id, alias=source.alias, stage=stage.stage, columns=stage.columns))
        return
    planning.sources[source.id] = planned
    inner = replace(source, query=planned.select)
    found.all.append(inner)
    if planned.chunks.is_partitioned:
        found.partitioned.append(inner)
        found.keys[source.id] = planned.keys
        found.chunks[source.id] = planned.chunks
