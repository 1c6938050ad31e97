"""Outer joins that keep a whole side, which no chunk can answer: the lowest becomes a join of two stages."""

from __future__ import annotations

from qserv_py.planner.blocks.parts import looks_inside
from qserv_py.planner.blocks.whole_sides import find_whole_side
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.stages.planning import Block, Planned


def whole_sides(block: Block) -> Planned | None:
    """Plan an outer join of a block before the rest of it."""
    if block.in_chunks is not None:
        return None
    planning = block.planning
    side = find_whole_side(block.select, block.sources.chunks, block.sources.keys)
    if side is None:
        return None
    rows = side.rows()
    if not all(isinstance(source, StageSource) for source in rows.sources) or looks_inside(rows):
        rows = planning.all_of(planning.query(rows), rows.items)
    numbered = planning.source_of(planning.merge_stage(side.numbered(rows)))
    pairs = planning.source_of(planning.query(side.pairs(numbered)))
    return planning.query(side.outer(numbered, pairs))
