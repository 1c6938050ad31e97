"""Whole sources of a block read by place: each chunk gets only those of their rows that can meet its own.

``placing`` says what ties a whole source to the chunks; here its rows are brought to the czar where they are not there
yet, with what the tie needs of them as columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qserv_py.adql.tree import ColumnRef, Expr, Item, Select, Source, TableSource
from qserv_py.adql.walks import is_stable
from qserv_py.planner.blocks.parts import refs_by_source
from qserv_py.planner.blocks.placing import KeyRows, NearRows, Tie, column_of, tie_of
from qserv_py.planner.blocks.sources import BlockSources, own_conditions
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.stages.fetching import fetch
from qserv_py.planner.stages.planning import Planning


def with_placed(select: Select, sources: BlockSources, planning: Planning, *, narrows: bool = True) -> Select:
    """Return a block whose chunks read only those rows of whole sources that can meet their own.

    ``narrows`` tells whether a chunk without rows of theirs can be left out; not where the block is a sub-query.
    """
    for source in select.sources:
        is_ref = isinstance(source, TableSource) and not source.table.is_partitioned
        if not isinstance(source, StageSource) and not is_ref:
            continue
        tie = tie_of(source.id, select, sources.partitioned, sources.keys)
        if tie is not None and not (is_ref and isinstance(tie.rows, KeyRows)):
            select = _placed(select, source, replace(tie, narrows=narrows and tie.narrows), planning)
    return select


def _placed(select: Select, source: Source, tie: Tie, planning: Planning) -> Select:
    """Return a block with one whole source placed: a ref table is brought to the czar before."""
    refs = refs_by_source(select).get(source.id, {})
    stage = source if isinstance(source, StageSource) else fetch(source, planning, refs=refs)
    own = [condition for condition in own_conditions(select, source.id) if is_stable(condition)]
    stage, labels = _with_columns(stage, refs, tie.rows.expressions, own, planning)
    placed = replace(stage, placing=tie.rows.placing(labels), narrows=tie.narrows)
    select = replace(select, sources=tuple(placed if one.id == source.id else one for one in select.sources))
    if isinstance(tie.rows, NearRows):
        return tie.added_to(select, tie.rows.same_cell(source.id))
    return select


def _with_columns(
    source: StageSource,
    refs: Mapping[str, ColumnRef],
    wanted: Mapping[str, Expr],
    conditions: Sequence[Expr],
    planning: Planning,
) -> tuple[StageSource, dict[str, str]]:
    """Return a stage that has expressions over its columns as columns, and the label of each.

    They are computed for the rows that fulfil the block's own conditions on the source: 1 / x where x > 0.
    """
    labels = {name: label for name, expr in wanted.items() if (label := column_of(expr)) is not None}
    computed = {name: expr for name, expr in wanted.items() if name not in labels}
    if not computed:
        return source, labels
    items = [Item(expr=ref, name=label, label=label) for label, ref in refs.items()]
    items += [Item(expr=expr, name=name, label=name) for name, expr in computed.items()]
    stage = planning.merge_stage(Select(items=tuple(items), sources=(source,), where=tuple(conditions)))
    made = replace(source, stage=stage.stage, columns=stage.columns)
    return made, {**labels, **{name: name for name in computed}}
