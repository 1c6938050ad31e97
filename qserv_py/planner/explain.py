"""A plan as text: what pruned the chunks, the chunk query, the merge query."""

from __future__ import annotations

from qserv_py.counts import counted
from qserv_py.planner.estimate import reads_of, warnings_of
from qserv_py.planner.plan.query_plan import CzarStage, MergeStage, QueryPlan, ShardStage, Stage, values_slots
from qserv_py.planner.plan.slots import ByKey, ByPosition, ValuesSlot
from qserv_py.planner.writing.fill import chunk_queries

_SHOWN_RANGES = 6


def explain(plan: QueryPlan) -> str:
    """Return the plan as text for people, several lines."""
    lines = []
    for stage in plan.stages:
        lines += _stage(stage, plan)
        lines.append("")
    lines += [f"warning    {text}" for text in warnings_of(plan)]
    lines.append(f"result     {plan.result.name}, {counted(len(plan.columns), 'column')}")
    for column in plan.columns:
        details = [column.datatype.names.adql, column.unit and f"[{column.unit}]", column.ucd]
        lines.append(f"           {column.name}: {' '.join(part for part in details if part)}")
    return "\n".join(lines)


def _stage(stage: Stage, plan: QueryPlan) -> list[str]:
    match stage:
        case CzarStage():
            return [f"stage {stage.name:<4} rows of {stage.table.qualified}, which the czar holds: {stage.rows:,}"]
        case ShardStage():
            return _shard(stage, plan)
        case MergeStage():
            return _merge(stage)


def _shard(stage: ShardStage, plan: QueryPlan) -> list[str]:
    lines = [f"stage {stage.name:<4} chunk queries"]
    if stage.family is None:
        lines.append("chunks     none: only ref tables are read, any one worker answers")
    else:
        lines.append(f"chunks     {len(stage.chunks)} of {stage.chunks_known} kept, family {stage.family}")
        lines += [f"region     {note}" for note in stage.notes]
        lines.append(f"workers    {_workers(stage, plan) or 'none'}")
    lines += [f"estimate   {counted(read.rows, 'row')} of {read.table} at the most" for read in reads_of(stage, plan)]
    if stage.exchange is not None:
        lines.append(
            f"exchange   about {counted(stage.exchange.rows, 'row')} of {stage.moves} that may have neighbours within "
            f"{stage.exchange.radius:.3g} deg in other chunks go there"
        )
    elif stage.moves:
        onward = any(isinstance(user, ShardStage) and stage.name in user.reads for user in plan.stages)
        where = "to the czar, which brings them to the chunks of the other tables" if onward else "to the czar"
        lines.append(f"moves      rows of {stage.moves} {where}: no chunk alone can answer")
    if stage.row_limit is not None:
        lines.append(f"limit      stops after {counted(stage.row_limit, 'row')}")
    if stage.reads:
        lines.append(f"reads      {', '.join(dict.fromkeys(stage.reads))}; the rows are brought to the workers")
    lines += [f"placed     {_placing(slot)}" for slot in values_slots(stage) if slot.placing is not None]
    for query in chunk_queries(_first_chunk(stage), plan.catalog):
        where = f"chunk {query.chunk} on {query.worker}" if query.chunk else "any worker"
        lines += [f"statement  {where}:", _indented(query.sql)]
    return lines


def _placing(slot: ValuesSlot) -> str:
    match slot.placing:
        case ByPosition(radius=float() as radius, database=database, director=director):
            return f"each chunk reads the rows of {slot.stage} within {radius:.4g} deg of {database}.{director}"
        case ByPosition(radius=column, database=database, director=director):
            return f"each chunk reads the rows of {slot.stage} within {column} deg of {database}.{director}"
        case ByKey(database=database, director=director):
            return f"each chunk reads the rows of {slot.stage} whose ids of {database}.{director} it holds"
    return ""


def _first_chunk(stage: ShardStage) -> ShardStage:
    from dataclasses import replace

    return replace(stage, chunks=stage.chunks[:1])


def _workers(stage: ShardStage, plan: QueryPlan) -> str:
    if stage.family is None:
        return ""
    found = plan.catalog.families[stage.family].by_worker(stage.chunks)
    return ", ".join(f"{worker}: {len(chunks)}" for worker, chunks in found.items())


def _merge(stage: MergeStage) -> list[str]:
    reads = ", ".join(dict.fromkeys(stage.reads))
    what = f"merge of {reads}" if reads else "answered from the registry"
    return [f"stage {stage.name:<4} {what}", "statement  czar:", _indented(stage.sql)]


def _indented(text: str) -> str:
    """Return a statement, its long lists of ranges cut, indented."""
    parts = text.split(" OR ")
    if len(parts) > _SHOWN_RANGES * 2:
        hidden = len(parts) - 2 * _SHOWN_RANGES
        parts = [*parts[:_SHOWN_RANGES], f"... {hidden} more ...", *parts[-_SHOWN_RANGES:]]
    return "    " + " OR ".join(parts)
