"""Values of sub-queries over the neighbours of a row, such as the distance to the nearest one, to joined sub-queries.

PostgreSQL would look through all candidates of a chunk for each row. Grouped by the row's id, the neighbours of all
rows are found by one join; its result is then joined to the rows by their id, which is unique.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from qserv_py.adql import walks
from qserv_py.adql.tree import (
    Aggregate,
    Coalesce,
    ColumnRef,
    Comparison,
    ExistsQuery,
    Expr,
    Item,
    Joined,
    JoinKind,
    Literal,
    Not,
    Query,
    QuerySource,
    ScalarQuery,
    Select,
    Source,
    TableSource,
)
from qserv_py.adql.walks import column_refs, is_aggregated, rewrite
from qserv_py.catalog.model import DirectorTable
from qserv_py.catalog.types import DataType
from qserv_py.planner.blocks.neighbours import near_pairs
from qserv_py.planner.blocks.parts import is_about_any
from qserv_py.planner.stages.planning import Block, Planned

_KEY, _VALUE = "k", "v"


def neighbour_values(block: Block) -> Planned | None:
    """Plan a block with such values by its joins."""
    joined = _with_values_joined(block.written, block.planning.ids)
    return None if joined is block.written else block.planning.query(joined)


def _with_values_joined(select: Select, ids: Iterator[int]) -> Select:
    """Return a block whose sub-queries that aggregate the neighbours of a row are joined to the row by its id.

    Parameters
    ----------
    select
        The block.
    ids
        Ids for new sources.
    """
    if not walks.inner_queries(select):
        return select
    tables = {
        source.id: source
        for source in select.sources
        if isinstance(source, TableSource) and isinstance(source.table, DirectorTable) and source.table.unique
    }
    added: list[tuple[QuerySource, Comparison]] = []

    def change(expr: Expr) -> Expr | None:
        if isinstance(expr, ExistsQuery):
            counted = _count_of(expr.query)
            anchor = None if counted is None else _anchor_of(counted, tables)
            if counted is None or anchor is None:
                return None
            zero = Literal(type=DataType.LONG, value=0)
            count = _joined(counted, anchor, select, ids, added)
            return Comparison(type=DataType.BOOLEAN, operator=">", left=count, right=zero)
        if not isinstance(expr, ScalarQuery) or not isinstance(expr.query, Select):
            return None
        anchor = _anchor_of(expr.query, tables)
        return None if anchor is None else _joined(expr.query, anchor, select, ids, added)

    # EXISTS that must hold is a join already. In a block of groups a value is not a group's.
    where = tuple(one if _is_exists(one) else rewrite(one, change) for one in select.where)
    items = select.items
    if not is_aggregated(select) and not select.order_by:
        items = tuple(replace(item, expr=rewrite(item.expr, change)) for item in items)
    if not added:
        return select
    select = replace(select, items=items, where=where)
    if select.joined is None:
        select = _with_tree(select)
    for source, on in added:
        left = select.joined if select.joined is not None else select.sources[0].id
        joined = Joined(kind=JoinKind.LEFT, left=left, right=source.id, on=(on,))
        select = replace(select, sources=(*select.sources, source), joined=joined)
    return select


def _is_exists(condition: Expr) -> bool:
    return isinstance(condition.operand if isinstance(condition, Not) else condition, ExistsQuery)


def _count_of(query: Query) -> Select | None:
    """Return a query that counts the rows of another."""
    if not isinstance(query, Select) or is_aggregated(query) or query.top is not None or query.offset:
        return None
    count = Item(expr=Aggregate(type=DataType.LONG, name="COUNT", operand=None), name="count", label="count")
    return replace(query, items=(count,), distinct=False, order_by=())


def _anchor_of(query: Select, tables: Mapping[int, TableSource]) -> TableSource | None:
    """Return the director around whose rows a query aggregates its own; None when it is no query of that kind."""
    [source, *others] = query.sources or (None,)
    plain = not (query.joined or query.group_by or query.having or query.distinct or query.offset)
    if others or not isinstance(source, TableSource) or not plain or query.top is not None:
        return None
    if not isinstance(query.items[0].expr, Aggregate) or walks.inner_queries(query):
        return None
    around = {ref.source for ref in walks.free_refs(query)}
    anchor = tables.get(around.pop()) if len(around) == 1 else None
    return anchor if anchor is not None and near_pairs([anchor, source], query.where) else None


def _joined(
    query: Select,
    anchor: TableSource,
    around: Select,
    ids: Iterator[int],
    added: list[tuple[QuerySource, Comparison]],
) -> Expr:
    """Add the sub-query grouped by its anchor's id, and how it is joined; return what stands for its value."""
    again = replace(anchor, id=next(ids))
    assert isinstance(anchor.table, DirectorTable)
    key = anchor.table.column(anchor.table.id)
    [item] = query.items

    def moved(expr: Expr) -> Expr:
        def change(part: Expr) -> Expr | None:
            is_its = isinstance(part, ColumnRef) and part.source == anchor.id
            return replace(part, source=again.id) if isinstance(part, ColumnRef) and is_its else None

        return rewrite(expr, change)

    own = [moved(condition) for condition in around.where if is_about_any(condition, {anchor.id})]
    inner_key = ColumnRef(type=key.datatype, source=again.id, label=key.physical)
    grouped = Select(
        items=(Item(expr=inner_key, name=_KEY, label=_KEY), Item(expr=moved(item.expr), name=_VALUE, label=_VALUE)),
        sources=(again, *query.sources),
        where=(*(moved(condition) for condition in query.where), *own),
        group_by=(inner_key,),
    )
    source = QuerySource(id=next(ids), alias=f"{anchor.alias}_near", query=grouped)
    mine = ColumnRef(type=key.datatype, source=anchor.id, label=key.physical)
    its = ColumnRef(type=key.datatype, source=source.id, label=_KEY)
    added.append((source, Comparison(type=DataType.BOOLEAN, operator="=", left=mine, right=its)))
    value = ColumnRef(type=item.expr.type, source=source.id, label=_VALUE)
    if isinstance(item.expr, Aggregate) and item.expr.name == "COUNT":
        return Coalesce(type=item.expr.type, operands=(value, Literal(type=item.expr.type, value=0)))
    return value


def _with_tree(select: Select) -> Select:
    """Return a block whose sources are joined by a tree of inner joins; conditions between them move into it."""
    sources: list[Source] = list(select.sources)
    kept = list(select.where)
    first = sources.pop(0)
    joined: Joined | int = first.id
    placed = {first.id}
    while sources:
        ties = {source.id: _ties(kept, placed, source.id) for source in sources}
        source = next((source for source in sources if ties[source.id]), sources[0])
        joined = Joined(kind=JoinKind.INNER, left=joined, right=source.id, on=tuple(ties[source.id]))
        kept = [condition for condition in kept if all(condition is not tie for tie in ties[source.id])]
        placed.add(source.id)
        sources.remove(source)
    return replace(select, where=tuple(kept), joined=joined if isinstance(joined, Joined) else None)


def _ties(conditions: Sequence[Expr], placed: set[int], source: int) -> list[Expr]:
    found = []
    for condition in conditions:
        refs = {ref.source for ref in column_refs(condition)}
        if source in refs and len(refs) > 1 and refs <= placed | {source} and not walks.subqueries(condition):
            found.append(condition)
    return found
