"""Director keys in a query: which sources follow the same chunk, and which ids it asks for.

The key of a director is its id; a child's and a match table's is the column that holds the director's id. Two
partitioned sources can be joined inside a chunk when the query says that their keys of one director are equal. Rows
that have NULL for a key stand wherever else their place is known from: they have no partner by it, but the group of
NULL, or NULL in a list, is no single chunk's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from qserv_py.adql.expressions.constants import constant_key
from qserv_py.adql.tree import (
    Between,
    ColumnRef,
    Comparison,
    Expr,
    InList,
    InQuery,
    IsNull,
    Not,
    ResolvedQuery,
    Select,
    Source,
    TableSource,
)
from qserv_py.adql.walks import all_conditions, blocks, conditions_that_hold, nullable
from qserv_py.catalog.model import ChildTable, DirectorTable, MatchTable, Table
from qserv_py.catalog.snapshot import Catalog
from qserv_py.planner.plan.query_plan import KeyLookup

Director = tuple[str, str]
"""Database and name of a director table."""


@dataclass(frozen=True, slots=True)
class Key:
    """A column that holds ids of a director."""

    director: Director
    nullable: bool = False
    """Whether it may be NULL: such rows may stand in any chunk."""

    repeated: bool = False
    """Whether several rows of the director may have one id: they may stand in several chunks."""

    @property
    def tells_chunk(self) -> bool:
        """Whether all rows of equal values, NULL included, stand in one chunk."""
        return not self.nullable and not self.repeated


Keys = Mapping[str, Key]
"""The key columns of a source, by label."""


def keys_of_table(source: TableSource) -> Keys:
    """Return the key column of a table's source; a ref table has none."""
    table, database = source.table, source.database
    match table:
        case DirectorTable():
            return _key(table, table.id, (database.name, table.name), repeated=not table.unique)
        case ChildTable():
            return _key(table, table.key, (database.name, table.director))
        case MatchTable():
            return _key(table, table.keys[0], (database.name, table.directors[0]))
    return {}


def _key(table: Table, name: str, director: Director, *, repeated: bool = False) -> Keys:
    column = table.column(name)
    return {column.physical: Key(director, nullable=column.nullable, repeated=repeated)}


def second_key_of(source: TableSource) -> Keys:
    """Return the key column of a match table that holds the id of its second director; nothing of another table."""
    table, database = source.table, source.database
    return _key(table, table.keys[1], (database.name, table.directors[1])) if isinstance(table, MatchTable) else {}


def farthest_pair(match: TableSource, catalog: Catalog) -> float | None:
    """Return how far apart the pairs of a match table are at the most, degrees; None when that is not known."""
    table = catalog.snapshot_of(match.database.name, match.table.name)
    return None if table is None else table.farthest_pair_deg


def are_joined(sources: Sequence[Source], keys: Mapping[int, Keys], conditions: Iterable[Expr]) -> bool:
    """Whether equalities of keys connect all these sources."""
    if len(sources) < 2:
        return True
    group = {source.id: source.id for source in sources}

    def root(node: int) -> int:
        while group[node] != node:
            node = group[node]
        return node

    for condition in conditions:
        pair = equal_keys(condition, keys)
        if pair is not None and pair[0] in group and pair[1] in group:
            group[root(pair[0])] = root(pair[1])
    return len({root(source.id) for source in sources}) == 1


def equal_keys(condition: Expr, keys: Mapping[int, Keys]) -> tuple[int, int] | None:
    """Return the two sources whose keys of one director a condition says are equal."""
    if not isinstance(condition, Comparison) or condition.operator != "=":
        return None
    left, right = condition.left, condition.right
    first, second = director_of(left, keys), director_of(right, keys)
    if first is None or first != second:
        return None
    assert isinstance(left, ColumnRef)
    assert isinstance(right, ColumnRef)
    return left.source, right.source


def director_of(expr: Expr, keys: Mapping[int, Keys]) -> Director | None:
    """Return the director whose id an expression is; None for anything but a bare key column whose ids are unique."""
    key = key_of(expr, keys)
    return None if key is None or key.repeated else key.director


def key_of(expr: Expr, keys: Mapping[int, Keys]) -> Key | None:
    """Return the key column that an expression is."""
    return keys.get(expr.source, {}).get(expr.label) if isinstance(expr, ColumnRef) else None


def tells_chunk(expr: Expr, keys: Mapping[int, Keys]) -> bool:
    """Whether all rows of an equal value of an expression, NULL included, stand in one chunk."""
    key = key_of(expr, keys)
    return key is not None and key.tells_chunk


def keys_of_rows(select: Select, keys: Mapping[int, Keys]) -> dict[int, Keys]:
    """Return the keys that tell the chunk of a block's rows: not those of sources that an outer join may make NULL.

    A key that may be NULL is none for a block whose conditions fail for NULL.
    """
    padded = nullable(select.joined)
    conditions = (*select.where, *conditions_that_hold(select.joined))
    present = {ref for condition in conditions for ref in _not_null(condition)}

    def known(source: int, label: str, key: Key) -> Key:
        return replace(key, nullable=key.nullable and (source, label) not in present)

    return {
        source: {label: known(source, label, key) for label, key in columns.items()}
        for source, columns in keys.items()
        if source not in padded
    }


def _not_null(condition: Expr) -> Iterator[tuple[int, str]]:
    """Yield the columns, by source and label, that are not NULL where a condition holds."""
    operands: tuple[Expr, ...] = ()
    match condition:
        case Comparison():
            operands = (condition.left, condition.right)
        case Between() | InList() | InQuery():
            operands = (condition.operand,)
        case Not(operand=IsNull() as absent):
            operands = (absent.operand,)
    yield from ((operand.source, operand.label) for operand in operands if isinstance(operand, ColumnRef))


def item_keys(select: Select, keys: Mapping[int, Keys]) -> dict[str, Key]:
    """Return the items of a block that are keys, by label."""
    found = {item.label: key_of(item.expr, keys) for item in select.items}
    return {label: key for label, key in found.items() if key is not None}


def wanted(conditions: Sequence[Expr], keys: Mapping[int, Keys]) -> list[KeyLookup]:
    """Return the look-ups that conditions such as ``id = 7``, ``id IN (7, 8)`` and ``id BETWEEN 7 AND 9`` ask for."""
    found = []
    items: tuple[Expr, ...]
    for condition in conditions:
        if isinstance(condition, Comparison) and condition.operator == "=":
            key, items = key_of(condition.left, keys), (condition.right,)
        elif isinstance(condition, InList):
            key, items = key_of(condition.operand, keys), condition.items
        else:
            continue
        if key is None:
            continue
        known = tuple(value for item in items if (value := constant_key(item)) is not None)
        if len(known) == len(items):
            found.append(KeyLookup(database=key.director[0], director=key.director[1], values=known))
    return found + _wanted_ranges(conditions, keys)


def _wanted_ranges(conditions: Iterable[Expr], keys: Mapping[int, Keys]) -> list[KeyLookup]:
    """Return one look-up for all the bounds that conditions set on the ids of a director."""
    bounds: dict[Director, tuple[int | None, int | None]] = {}
    for condition in conditions:
        found = _bounds(condition, keys)
        if found is not None:
            director, low, high = found
            known_low, known_high = bounds.get(director, (None, None))
            lows = [bound for bound in (low, known_low) if bound is not None]
            highs = [bound for bound in (high, known_high) if bound is not None]
            bounds[director] = (max(lows, default=None), min(highs, default=None))
    return [
        KeyLookup(database=director[0], director=director[1], low=low, high=high)
        for director, (low, high) in bounds.items()
    ]


def _bounds(condition: Expr, keys: Mapping[int, Keys]) -> tuple[Director, int | None, int | None] | None:
    if isinstance(condition, Between):
        key = key_of(condition.operand, keys)
        if key is None:
            return None
        low, high = constant_key(condition.low), constant_key(condition.high)
        return (key.director, low, high) if isinstance(low, int) and isinstance(high, int) else None
    if not isinstance(condition, Comparison) or condition.operator not in {">", ">=", "<", "<="}:
        return None
    key = key_of(condition.left, keys)
    value = None if key is None else constant_key(condition.right)
    if key is None or not isinstance(value, int):
        return None
    match condition.operator:
        case ">" | ">=":
            return key.director, value + (condition.operator == ">"), None
        case "<" | "<=":
            return key.director, None, value - (condition.operator == "<")
    return None


def wanted_keys(resolved: ResolvedQuery) -> list[KeyLookup]:
    """Return every look-up of a query; the caller asks the director index before it plans."""
    found: list[KeyLookup] = []
    for block in blocks(resolved.query):
        if isinstance(block, Select):
            tables = [source for source in block.sources if isinstance(source, TableSource)]
            conditions = all_conditions(block)
            found += wanted(conditions, {source.id: keys_of_table(source) for source in tables})
            found += wanted(conditions, {source.id: second_key_of(source) for source in tables})
    return list(dict.fromkeys(found))
