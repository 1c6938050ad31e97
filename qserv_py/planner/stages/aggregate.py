"""Aggregates over many chunks: what each chunk computes, and how the merge puts it together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from qserv_py.adql.functions import AGGREGATE_FUNCTIONS
from qserv_py.adql.tree import Aggregate, ColumnRef, Expr, Item, Select
from qserv_py.adql.walks import parts, rewrite
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError
from qserv_py.planner.plan.nodes import SqlTemplate
from qserv_py.planner.writing.dialects import DUCKDB, may_overflow


@dataclass(slots=True)
class PartialItems:
    """The columns that chunk queries send, and what stands for each expression in the merge."""

    source: int
    """Id of the merge's source."""

    items: list[Item] = field(default_factory=list)

    def add(self, prefix: str, expr: Expr) -> ColumnRef:
        """Send an expression; return its column in the merge. The same expression is sent once."""
        for item in self.items:
            if item.expr == expr:
                return ColumnRef(type=expr.type, source=self.source, label=item.label)
        label = f"{prefix}{len(self.items) + 1}"
        self.items.append(Item(expr=expr, name=label, label=label))
        return ColumnRef(type=expr.type, source=self.source, label=label)


@dataclass(frozen=True, slots=True)
class Split:
    """An aggregated block in two: the chunk queries' columns and the merge's expressions."""

    items: tuple[Item, ...]
    group_by: tuple[Expr, ...]
    """Of the chunk queries; empty when they send rows."""

    distinct: bool
    merged: Mapping[Expr, Expr]
    """What stands in the merge for a grouping expression or an aggregate."""

    merge_groups: tuple[Expr, ...]

    def to_merge(self, expr: Expr) -> Expr:
        """Return an expression of the block as the merge computes it."""
        return rewrite(expr, self.merged.get)


def split(select: Select, *, source: int) -> Split:
    """Split an aggregated block.

    Aggregates that can be put together are computed in each chunk. A block with another one sends its rows instead; one
    with a DISTINCT aggregate its distinct values, or its rows: the same value may stand in several chunks.
    """
    partial = PartialItems(source)
    merged: dict[Expr, Expr] = {}
    groups = tuple(partial.add("g", expr) for expr in select.group_by)
    merged.update(zip(select.group_by, groups, strict=True))
    aggregates = list(dict.fromkeys(part for part in parts(select) if isinstance(part, Aggregate)))
    rows = any(aggregate.distinct or not _has_partials(aggregate) for aggregate in aggregates)
    for aggregate in aggregates:
        merged[aggregate] = _send_rows(aggregate, partial) if rows else _send_partial(aggregate, partial)
    unrepeated = rows and all(aggregate.distinct or _ignores_repeats(aggregate) for aggregate in aggregates)
    if not partial.items:
        partial.add("g", SqlTemplate(type=DataType.INT, text="1"))
    return Split(
        items=tuple(partial.items),
        group_by=() if rows else select.group_by,
        distinct=unrepeated,
        merged=merged,
        merge_groups=groups,
    )


def _has_partials(aggregate: Aggregate) -> bool:
    further = AGGREGATE_FUNCTIONS.get(aggregate.name)
    return further is None or bool(further.partials)


def _ignores_repeats(aggregate: Aggregate) -> bool:
    """Whether the same rows without repeated ones have the same answer."""
    further = AGGREGATE_FUNCTIONS.get(aggregate.name)
    return not further.repeats_matter if further is not None else aggregate.name in {"MIN", "MAX"}


def _send_rows(aggregate: Aggregate, partial: PartialItems) -> Expr:
    if aggregate.operand is None:
        return aggregate
    operand = partial.add("v", aggregate.operand)
    return replace(aggregate, operand=operand)


def _send_partial(aggregate: Aggregate, partial: PartialItems) -> Expr:
    operand = aggregate.operand
    further = AGGREGATE_FUNCTIONS.get(aggregate.name)
    if further is not None and operand is not None:
        sent = [
            partial.add(
                "a",
                SqlTemplate(type=kind or aggregate.type, text=text, arguments=(operand, *aggregate.parameters)),
            )
            for text, kind in further.partials
        ]
        return SqlTemplate(type=aggregate.type, text=further.merged, arguments=tuple(sent))
    match aggregate.name:
        case "COUNT":
            count = partial.add("a", aggregate)
            return SqlTemplate(type=DataType.LONG, text="CAST(COALESCE(SUM({0}), 0) AS BIGINT)", arguments=(count,))
        case "MIN" | "MAX":
            extreme = partial.add("a", aggregate)
            return Aggregate(type=aggregate.type, name=aggregate.name, operand=extreme)
        case "SUM" if operand is not None and operand.type is DataType.LONG:
            # Sums of BIGINT may pass 64 bits in one chunk and come back in another: they travel as text.
            text = partial.add(
                "a", SqlTemplate(type=DataType.TEXT, text="CAST(SUM({0}) AS text)", arguments=(operand,))
            )
            whole = "CAST(SUM(CAST({0} AS HUGEINT)) AS BIGINT)"
            return SqlTemplate(type=DataType.LONG, text=whole, arguments=(text,))
        case "SUM":
            total = partial.add("a", aggregate)
            outer = "CAST(SUM({0}) AS BIGINT)" if aggregate.type is DataType.LONG else _sum_of_doubles(operand)
            return SqlTemplate(type=aggregate.type, text=outer, arguments=(total,))
        case "AVG" if operand is not None:
            total = partial.add("a", Aggregate(type=DataType.DOUBLE, name="SUM", operand=operand))
            count = partial.add("a", Aggregate(type=DataType.LONG, name="COUNT", operand=operand))
            # NULLIF: DuckDB would answer NaN for no rows
            mean = f"{_sum_of_doubles(operand)} / CAST(NULLIF(SUM({{1}}), 0) AS DOUBLE)"
            return SqlTemplate(type=DataType.DOUBLE, text=mean, arguments=(total, count))
    raise InternalError(f"aggregate {aggregate.name} cannot be split")


def _sum_of_doubles(operand: Expr | None) -> str:
    """Return the merge of partial sums {0} of an operand."""
    return DUCKDB.finite("SUM({0})", "MAX(ABS({0}))") if operand is not None and may_overflow(operand) else "SUM({0})"
