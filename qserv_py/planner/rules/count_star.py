"""``SELECT COUNT(*) FROM table``: the registry knows the answer."""

from __future__ import annotations

from dataclasses import replace

from qserv_py.adql import walks
from qserv_py.adql.tree import Aggregate, ColumnRef, Expr, Literal, Select, TableSource
from qserv_py.adql.walks import rewrite
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.planner.stages.planning import Block, Planned


def count_star(block: Block) -> Planned | None:
    """Plan a block that counts the rows of one table, and does nothing else."""
    counted = _counted(block.written, block.planning.catalog)
    return None if counted is None else block.planning.merge_stage(counted)


def _counted(select: Select, catalog: Catalog) -> Select | None:
    """Return a block that needs no table, when it only counts all rows of one; else None."""
    if len(select.sources) != 1 or select.where or select.group_by:
        return None
    source = select.sources[0]
    if not isinstance(source, TableSource) or source.table.database not in catalog.snapshots:
        return None
    parts = walks.parts(select)
    counts = [part for part in parts if isinstance(part, Aggregate)]
    if not counts or any(count.operand is not None for count in counts):
        return None
    if any(isinstance(part, ColumnRef) for part in parts) or walks.inner_queries(select):
        return None
    snapshot = catalog.snapshot_of(source.table.database, source.table.name)
    rows = Literal(type=DataType.LONG, value=snapshot.total_rows if snapshot is not None else 0)

    def change(expr: Expr) -> Expr | None:
        return rows if isinstance(expr, Aggregate) else None

    # without the aggregate the block answers its one row from no source at all; HAVING becomes WHERE
    return replace(
        select,
        items=tuple(replace(item, expr=rewrite(item.expr, change)) for item in select.items),
        sources=(),
        where=tuple(rewrite(condition, change) for condition in select.having),
        having=(),
        order_by=(),
    )
