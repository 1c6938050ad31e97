"""Blocks whose windows look across chunks: chunks join the rows, the merge engine does the rest."""

from __future__ import annotations

from dataclasses import replace

from qserv_py.adql import walks
from qserv_py.adql.tree import ColumnRef, Select
from qserv_py.planner.blocks.parts import Carried, looks_around, map_expressions
from qserv_py.planner.stages.planning import Block, Planned


def rows_first(block: Block) -> Planned | None:
    """Plan a block whose joins and conditions chunks can answer, and nothing more."""
    select, planning = block.select, block.planning
    if block.in_chunks is None or looks_around(select):
        return None
    rest = replace(select, sources=(), joined=None, where=())
    carried = Carried.of(part for part in walks.parts(rest) if isinstance(part, ColumnRef))
    joined = Select(items=carried.items, sources=select.sources, joined=select.joined, where=select.where)
    rows = planning.source_of(planning.query(joined))
    return planning.query(map_expressions(replace(rest, sources=(rows,)), carried.read_from(rows.id)))
