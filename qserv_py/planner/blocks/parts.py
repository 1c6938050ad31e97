"""Blocks taken apart: the columns that they read, carried by a stage to where the rest of the block is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace

from qserv_py.adql import walks
from qserv_py.adql.tree import ColumnRef, Expr, Item, Select
from qserv_py.adql.walks import column_refs, rewrite
from qserv_py.catalog.types import DataType
from qserv_py.planner.blocks import joins
from qserv_py.planner.plan.nodes import SqlTemplate


def refs_by_source(select: Select) -> dict[int, dict[str, ColumnRef]]:
    """Return the columns that a block, and the sub-queries in it, read of each source."""
    found: dict[int, dict[str, ColumnRef]] = {}
    for ref in walks.all_refs(select):
        found.setdefault(ref.source, {})[ref.label] = ref
    return found


def map_expressions(select: Select, change: Callable[[Expr], Expr]) -> Select:
    """Return a block with every expression of its own clauses changed."""
    return replace(
        select,
        items=tuple(replace(item, expr=change(item.expr)) for item in select.items),
        joined=None if select.joined is None else joins.map_conditions(select.joined, change),
        where=tuple(change(expr) for expr in select.where),
        group_by=tuple(change(expr) for expr in select.group_by),
        having=tuple(change(expr) for expr in select.having),
        order_by=tuple(replace(item, expr=change(item.expr)) for item in select.order_by),
    )


def looks_around(select: Select) -> bool:
    """Whether a sub-query in a block's expressions reads columns of the block: they cannot be renamed."""
    return any(walks.free_refs(query) for query in walks.inner_queries(select))


def looks_inside(select: Select) -> bool:
    """Whether a block's expressions hold sub-queries."""
    return bool(walks.inner_queries(select))


def is_about_any(condition: Expr, sources: Set[int]) -> bool:
    """Whether a condition reads some sources and nothing else."""
    refs = {ref.source for ref in column_refs(condition)}
    return bool(refs) and refs <= sources and not walks.subqueries(condition)


@dataclass(frozen=True, slots=True)
class Carried:
    """Columns of several sources under labels that differ from each other."""

    labels: Mapping[tuple[int, str], str]
    refs: tuple[ColumnRef, ...]

    @classmethod
    def of(cls, refs: Iterable[ColumnRef]) -> Carried:
        """Return columns, each once, under their own labels where those differ."""
        labels: dict[tuple[int, str], str] = {}
        kept = []
        taken: set[str] = set()
        for ref in refs:
            if (ref.source, ref.label) in labels:
                continue
            label, number = ref.label, 2
            while label in taken:
                label, number = f"{ref.label}_{number}", number + 1
            taken.add(label)
            labels[ref.source, ref.label] = label
            kept.append(ref)
        return cls(labels, tuple(kept))

    @property
    def items(self) -> tuple[Item, ...]:
        """What the stage answers; one constant where no column is read."""
        items = tuple(
            Item(expr=ref, name=self.labels[ref.source, ref.label], label=self.labels[ref.source, ref.label])
            for ref in self.refs
        )
        return items or (Item(expr=SqlTemplate(type=DataType.INT, text="1"), name="one", label="one"),)

    def read_from(self, source: int) -> Callable[[Expr], Expr]:
        """Return what turns an expression over the columns into one over the stage's."""

        def change(expr: Expr) -> Expr | None:
            if not isinstance(expr, ColumnRef) or (expr.source, expr.label) not in self.labels:
                return None
            return replace(expr, source=source, label=self.labels[expr.source, expr.label])

        return lambda expr: rewrite(expr, change)
