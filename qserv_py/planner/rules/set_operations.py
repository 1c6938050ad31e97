"""UNION, EXCEPT and INTERSECT: both sides are gathered, the merge engine puts them together."""

from __future__ import annotations

from dataclasses import replace

from qserv_py.adql.tree import Select
from qserv_py.planner.stages.planning import Block, Planned


def set_operations(block: Block) -> Planned | None:
    """Plan a set operation."""
    query, planning = block.query, block.planning
    if isinstance(query, Select):
        return None
    sides = [planning.gathered(planning.query(side)) for side in (query.left, query.right)]
    left, right = (planning.all_of(side, query.items) for side in sides)
    return planning.merge_stage(replace(query, left=left, right=right))
