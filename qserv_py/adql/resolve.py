"""The second hop of a query: every name and type known, everything else refused.

``resolve`` turns sqlglot's tree into ours, block by block. What sqlglot can parse and this module does not name is
refused, so that nothing reaches a server that was not understood.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sized
from dataclasses import replace
from typing import Any

from sqlglot import exp

from qserv_py.adql.expressions import ExpressionBuilder
from qserv_py.adql.metadata import meaning_of, output_column
from qserv_py.adql.parse import MARK, ParsedQuery
from qserv_py.adql.places import Failures, offset_of
from qserv_py.adql.scope import CommonTable, Merged, Scope, find_table, item_ref, refs, table_ref
from qserv_py.adql.tree import (
    Aggregate,
    Cast,
    Coalesce,
    ColumnRef,
    Comparison,
    ExistsQuery,
    Expr,
    InQuery,
    Item,
    Joined,
    JoinKind,
    Logic,
    OrderItem,
    Query,
    QuerySource,
    ResolvedQuery,
    ScalarQuery,
    Select,
    SetOperator,
    SetQuery,
    Source,
    TableSource,
    children,
    contains_aggregate,
    contains_window,
    free_refs,
    leaves,
)
from qserv_py.adql.typing_rules import common_type, comparable
from qserv_py.adql.wording import describe
from qserv_py.catalog.model import physical_name
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.errors import AdqlSyntaxError, LimitError, TypeMismatchError, UnknownColumnError

_SELECT_PARTS = {
    "expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct", "kind",
    "with_",
}  # fmt: skip
_SIDES = {"": JoinKind.INNER, "LEFT": JoinKind.LEFT, "RIGHT": JoinKind.RIGHT, "FULL": JoinKind.FULL}
_SET_OPERATORS = {
    exp.Union: SetOperator.UNION,
    exp.Except: SetOperator.EXCEPT,
    exp.Intersect: SetOperator.INTERSECT,
}
_CLAUSE_NAMES = {"windows": "WINDOW", "laterals": "LATERAL", "into": "INTO", "locks": "FOR UPDATE"}
MAX_SUBQUERIES = 30
"""Nested blocks of one query."""

MAX_TABLES = 50
"""Tables in FROM, of all blocks together."""

MAX_COLUMNS = 1600
"""Expressions of a select list, of GROUP BY and of ORDER BY; PostgreSQL's rows have no more columns."""


def resolve(parsed: ParsedQuery, catalog: Catalog) -> ResolvedQuery:
    """Bind every name of a query against the catalogue and give every expression its type.

    Raises
    ------
    UnknownTableError, UnknownColumnError, UnknownFunctionError
        With the place and the closest known names.
    TypeMismatchError
        If an operator or a function does not fit its arguments.
    QueryNotSupportedError
        If the text asks for something that is not answered; the message names it.
    LimitError
        If it has too many tables, columns or sub-queries, or nests too deeply.
    """
    resolver = _Resolver(parsed.text, catalog)
    try:
        query = resolver.query(parsed.tree, None, {})
    except RecursionError:
        raise LimitError("the query is nested too deeply") from None
    return ResolvedQuery(text=parsed.text, query=query, columns=tuple(output_column(item) for item in query.items))


class _Resolver:
    def __init__(self, text: str, catalog: Catalog) -> None:
        self.failures = Failures(text)
        self.catalog = catalog
        self._ids = itertools.count()
        self._blocks = 0
        self._tables = 0

    def query(self, node: Any, outer: Scope | None, tables: Mapping[str, CommonTable]) -> Query:
        """Resolve anything that answers rows; ``tables`` are those that WITH has named around it."""
        while isinstance(node, (exp.Subquery, exp.Paren)) and not _extras(node, {"this", "alias"}):
            node = node.this
        self._blocks += 1
        if self._blocks > MAX_SUBQUERIES:
            raise self.failures.unsupported(f"a query has at most {MAX_SUBQUERIES} sub-queries", node)
        if node.args.get("with_") is not None:
            tables = self._common_tables(node.args["with_"], tables)
        if isinstance(node, tuple(_SET_OPERATORS)):
            return self._set_query(node, outer, tables)
        if not isinstance(node, exp.Select):
            raise self.failures.unsupported(f"{describe(node)} in place of a query is not answered", node)
        return self._block(node, Scope(self.failures, outer, tables=tables))

    def _subquery(self, node: Any, scope: Scope) -> Query:
        return self.query(node, scope, scope.tables)

    def _common_tables(self, node: Any, tables: Mapping[str, CommonTable]) -> Mapping[str, CommonTable]:
        if node.args.get("recursive"):
            raise self.failures.unsupported("WITH RECURSIVE is not ADQL", node)
        known = dict(tables)
        for part in node.expressions:
            alias = part.args["alias"]
            if alias.args.get("columns"):
                raise self.failures.unsupported("names for columns after a name in WITH are not ADQL", part)
            if _extras(part, {"this", "alias"}):
                raise self.failures.unsupported("MATERIALIZED is not ADQL", part)
            known[alias.name.lower()] = CommonTable(part.this, dict(known))
        return known

    def _set_query(self, node: Any, outer: Scope | None, tables: Mapping[str, CommonTable]) -> SetQuery:
        operator = _SET_OPERATORS[type(node)]
        extras = _extras(node, {"this", "expression", "distinct", "order", "limit", "offset", "with_"})
        if extras:
            raise self.failures.unsupported(f"{operator} with {extras[0]} is not answered", node)
        left, right = self.query(node.this, outer, tables), self.query(node.expression, outer, tables)
        if len(left.items) != len(right.items):
            raise self.failures.error(
                TypeMismatchError,
                f"{operator} joins queries of {len(left.items)} and {len(right.items)} columns",
                node.expression,
            )
        kinds = [self._common_type(a, b, operator) for a, b in zip(left.items, right.items, strict=True)]
        left, right = _with_types(left, kinds), _with_types(right, kinds)
        number = next(self._ids)
        items = tuple(
            _set_item(number, kind, one, other) for kind, one, other in zip(kinds, left.items, right.items, strict=True)
        )
        order = node.args.get("order")
        return SetQuery(
            operator=operator,
            keep_all=not node.args.get("distinct"),
            left=left,
            right=right,
            items=items,
            id=number,
            order_by=tuple(self._set_order(part, items) for part in (order.expressions if order else ())),
            top=self._count(node.args.get("limit"), "TOP"),
            offset=self._count(node.args.get("offset"), "OFFSET") or 0,
        )

    def _common_type(self, left: Item, right: Item, operator: SetOperator) -> DataType | None:
        kind = common_type(left.expr.type, right.expr.type)
        if kind is None and not (left.expr.type is None and right.expr.type is None):
            raise self.failures.error(
                TypeMismatchError,
                f'{operator} joins column "{left.name}" with one of another type',
                right.expr.offset,
            )
        return kind

    def _set_order(self, part: Any, items: tuple[Item, ...]) -> OrderItem:
        descending = self._direction(part)
        position = _ordinal(part.this)
        if position is not None:
            return OrderItem(expr=self._item_at(position, items, part, "ORDER BY").expr, descending=descending)
        item = self._aliased(part.this, items, None)
        if item is None:
            raise self.failures.error(
                UnknownColumnError, "ORDER BY of a set operation takes columns of its result", part
            )
        return OrderItem(expr=item.expr, descending=descending)

    def _block(self, node: Any, scope: Scope) -> Select:
        self._check_clauses(node)
        joined, conditions = self._from(node, scope)
        builder = ExpressionBuilder(scope, self._subquery)
        if node.args.get("where") is not None:
            where = builder.condition(node.args["where"].this, "WHERE")
            self._forbid_aggregates(where, "WHERE")
            conditions += conjuncts(where)
        items = self._items(node, scope, builder)
        group_by = tuple(self._group_key(part, items, scope, builder) for part in self._group_parts(node))
        having = node.args.get("having")
        order = node.args.get("order")
        _check_count(order.expressions if order else (), "ORDER BY")
        select = Select(
            items=items,
            sources=tuple(scope.sources),
            joined=joined,
            where=tuple(conditions),
            group_by=group_by,
            having=tuple(conjuncts(builder.condition(having.this, "HAVING"))) if having is not None else (),
            order_by=tuple(self._order_item(part, items, builder) for part in (order.expressions if order else ())),
            distinct=node.args.get("distinct") is not None,
            top=self._count(node.args.get("limit"), "TOP"),
            offset=self._count(node.args.get("offset"), "OFFSET") or 0,
        )
        for condition in select.having:
            self._forbid_windows(condition, "HAVING")
        self._check_groups(select)
        return select

    def _check_clauses(self, node: Any) -> None:
        extras = _extras(node, _SELECT_PARTS)
        if extras:
            name = _CLAUSE_NAMES.get(extras[0], extras[0].strip("_").upper())
            raise self.failures.unsupported(f"{name} is not answered", node)
        if not node.expressions:
            place = offset_of(node)
            place = len(self.failures.text.rstrip()) if place is None else place
            raise self.failures.error(AdqlSyntaxError, "the select list is empty", place)
        if node.args.get("from_") is None:
            raise self.failures.error(
                AdqlSyntaxError,
                "FROM is missing",
                len(self.failures.text.rstrip()),
                hint="Write SELECT ... FROM table.",
            )
        distinct = node.args.get("distinct")
        if distinct is not None and distinct.args.get("on") is not None:
            raise self.failures.unsupported("DISTINCT ON is not ADQL", node)

    # FROM

    def _from(self, node: Any, scope: Scope) -> tuple[Joined | None, list[Expr]]:
        """Add the sources to the scope; return how they are joined, or the conditions when all are inner joins."""
        tree = self._source(node.args["from_"].this, scope)
        for join in node.args.get("joins") or ():
            tree = self._join(join, tree, scope)
        if _has_outer(tree):
            assert isinstance(tree, Joined)
            return tree, []
        return None, _conditions_of(tree)

    def _join(self, join: Any, left: Joined | int, scope: Scope) -> Joined:
        side, method, word = (str(join.args.get(part) or "") for part in ("side", "method", "kind"))
        if side not in _SIDES or method not in {"", "NATURAL"} or word not in {"", "INNER", "OUTER", "CROSS"}:
            raise self.failures.unsupported(f"{' '.join((method, side, word)).strip()} JOIN is not ADQL", join)
        kind = _SIDES[side]
        right = self._source(join.this, scope)
        on: list[Expr] = []
        if join.args.get("on") is not None:
            condition = ExpressionBuilder(scope, self._subquery).condition(join.args["on"], "ON")
            self._forbid_aggregates(condition, "ON")
            on = conjuncts(condition)
        names = [(part.name, bool(part.args.get("quoted")), part) for part in join.args.get("using") or ()]
        if method == "NATURAL":
            names = [(name, True, join) for name in _shared_names(scope, left, right)]
        on += [self._using(name, exact, part, scope, (left, right), kind) for name, exact, part in names]
        if kind is not JoinKind.INNER and not on:
            raise self.failures.error(AdqlSyntaxError, f"{kind} JOIN needs ON, USING or NATURAL", join)
        return Joined(kind=kind, left=left, right=right, on=tuple(on))

    def _using(
        self,
        name: str,
        exact: bool,
        node: Any,
        scope: Scope,
        trees: tuple[Joined | int, Joined | int],
        kind: JoinKind,
    ) -> Expr:
        """Make one column of the two that a name means on both sides; return their equality."""
        ids = [leaves(tree) for tree in trees]
        sides = []
        for part_ids in ids:
            sources = [source for source in scope.sources if source.id in part_ids]
            merged = {folded: known for folded, known in scope.merged.items() if known.sources <= part_ids}
            part = Scope(self.failures, None, sources, merged)
            sides.append(part.column(name, exact=exact, qualifier=None, node=node, offset=offset_of(node)))
        left, right = sides
        if not comparable(left.type, right.type):
            raise self.failures.error(TypeMismatchError, f'USING("{name}") compares different types', node)
        one = {JoinKind.RIGHT: right, JoinKind.FULL: Coalesce(type=left.type, operands=(left, right))}.get(kind, left)
        shown = next((side.name for side in sides if isinstance(side, ColumnRef)), name)
        scope.merged[name.lower()] = Merged(one, shown, frozenset(ids[0] | ids[1]))
        return Comparison(type=DataType.BOOLEAN, operator="=", left=left, right=right, offset=left.offset)

    def _source(self, node: Any, scope: Scope) -> Joined | int:
        tree: Joined | int
        if isinstance(node, exp.Table):
            tree = self._table(node, scope)
        elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
            if node.alias:
                raise self.failures.unsupported("an alias for a join in parentheses is not answered", node)
            tree = self._source(node.this, scope)
        elif isinstance(node, exp.Subquery):
            tree = self._derived(node, scope)
        else:
            raise self.failures.unsupported(f"{describe(node)} cannot stand in FROM", node)
        for join in node.args.get("joins") or ():
            tree = self._join(join, tree, scope)
        return tree

    def _table(self, node: Any, scope: Scope) -> int:
        extras = _extras(node, {"this", "db", "alias", "joins"})
        if extras or not isinstance(node.this, exp.Identifier):
            what = "a function" if isinstance(node.this, exp.Anonymous) else (extras or ["this"])[0]
            raise self.failures.unsupported(f"{what} cannot stand in FROM", node)
        self._tables += 1
        if self._tables > MAX_TABLES:
            raise LimitError(f"the query has more than {MAX_TABLES} tables in FROM")
        db = node.args.get("db")
        common = scope.tables.get(node.this.name.lower()) if db is None else None
        self._no_column_aliases(node)
        if common is not None:
            inner = self.query(common.node, None, common.tables)
            source: Source = QuerySource(id=next(self._ids), alias=node.alias or node.this.name, query=inner)
            scope.add(source, node)
            return source.id
        database, table = find_table(
            self.catalog,
            self.failures,
            database=(db.name, bool(db.args.get("quoted"))) if db is not None else None,
            name=(node.this.name, bool(node.this.args.get("quoted"))),
            node=node,
        )
        alias = node.alias or table.name
        source = TableSource(id=next(self._ids), alias=alias, database=database, table=table)
        scope.add(source, node)
        return source.id

    def _derived(self, node: Any, scope: Scope) -> int:
        if not node.alias:
            raise self.failures.error(
                AdqlSyntaxError, "a sub-query in FROM needs a name", node, hint="Write (SELECT ...) AS t."
            )
        self._no_column_aliases(node)
        source = QuerySource(
            id=next(self._ids), alias=node.alias, query=self.query(node.this, scope.outer, scope.tables)
        )
        scope.add(source, node)
        return source.id

    def _no_column_aliases(self, node: Any) -> None:
        alias = node.args.get("alias")
        if alias is not None and alias.args.get("columns"):
            raise self.failures.unsupported("names for columns in a table's alias are not ADQL", node)

    # select list

    def _items(self, node: Any, scope: Scope, builder: ExpressionBuilder) -> tuple[Item, ...]:
        found: list[tuple[str, Expr]] = []
        for position, part in enumerate(node.expressions, start=1):
            if isinstance(part, exp.Star) or (isinstance(part, exp.Column) and isinstance(part.this, exp.Star)):
                found += self._star(part, scope)
            elif isinstance(part, exp.Alias):
                found.append((part.alias, builder.value(part.this)))
            else:
                expr = builder.value(part)
                found.append((_item_name(expr, part, position), expr))
            _check_count(found, "the select list")
        labels = _labels([name for name, _ in found])
        return tuple(
            Item(expr=expr, name=name, label=label, about=meaning_of(expr))
            for (name, expr), label in zip(found, labels, strict=True)
        )

    def _star(self, node: Any, scope: Scope) -> Iterator[tuple[str, Expr]]:
        star = node if isinstance(node, exp.Star) else node.this
        if _extras(star, set()):
            raise self.failures.unsupported("EXCEPT and REPLACE after * are not ADQL", node)
        place = offset_of(node)
        sources: list[Source] = scope.sources
        if isinstance(node, exp.Column):
            table = node.args["table"]
            sources = [scope.source(table.name, exact=bool(table.args.get("quoted")), node=node)]
            merged: dict[str, Merged] = {}
        else:
            merged = scope.merged
        for one in merged.values():
            yield one.name, one.expr
        for source in sources:
            for name, expr in _all_columns(source, place):
                if name.lower() not in merged:
                    yield name, expr

    # GROUP BY, ORDER BY, TOP

    def _group_parts(self, node: Any) -> list[Any]:
        group = node.args.get("group")
        if group is None:
            return []
        if _extras(group, {"expressions"}):
            raise self.failures.unsupported("ROLLUP, CUBE and GROUPING SETS are not ADQL", group)
        _check_count(group.expressions, "GROUP BY")
        return list(group.expressions)

    def _group_key(self, part: Any, items: tuple[Item, ...], scope: Scope, builder: ExpressionBuilder) -> Expr:
        position = _ordinal(part)
        if position is not None:
            expr = self._item_at(position, items, part, "GROUP BY").expr
        elif (item := self._aliased(part, items, scope)) is not None:
            expr = item.expr
        else:
            expr = builder.value(part)
        self._forbid_aggregates(expr, "GROUP BY")
        return expr

    def _order_item(self, part: Any, items: tuple[Item, ...], builder: ExpressionBuilder) -> OrderItem:
        descending = self._direction(part)
        position = _ordinal(part.this)
        if position is not None:
            expr = self._item_at(position, items, part, "ORDER BY").expr
        elif (item := self._aliased(part.this, items, None)) is not None:
            expr = item.expr
        else:
            expr = builder.value(part.this)
        return OrderItem(expr=expr, descending=descending)

    def _direction(self, part: Any) -> bool:
        """Return whether an ORDER BY key descends."""
        # sqlglot fills nulls_first by itself with PostgreSQL's rule; only a written one that differs matters
        descending = bool(part.args.get("desc"))
        if _extras(part, {"this", "desc", "nulls_first"}) or bool(part.args.get("nulls_first")) != descending:
            raise self.failures.unsupported("NULLS FIRST and NULLS LAST are not ADQL", part)
        return descending

    def _item_at(self, position: int, items: tuple[Item, ...], node: Any, clause: str) -> Item:
        if not 1 <= position <= len(items):
            raise self.failures.error(
                UnknownColumnError, f"{clause} {position} is not a column of the result, it has {len(items)}", node
            )
        return items[position - 1]

    def _aliased(self, part: Any, items: tuple[Item, ...], scope: Scope | None) -> Item | None:
        """Return the output column that a bare name means; a column of the sources wins when a scope is given."""
        if not isinstance(part, exp.Column) or part.args.get("table") is not None:
            return None
        name, exact = part.this.name, bool(part.this.args.get("quoted"))
        if scope is not None and any(refs(source, name, exact=exact, offset=None) for source in scope.sources):
            return None
        found = [item for item in items if item.name == name or (not exact and item.name.lower() == name.lower())]
        if len({item.expr for item in found}) > 1:
            raise self.failures.error(UnknownColumnError, f'column "{name}" of the result is ambiguous', part)
        return found[0] if found else None

    def _count(self, node: Any, clause: str) -> int | None:
        if node is None:
            return None
        value = node.args.get("expression")
        text = str(value.this) if isinstance(value, exp.Literal) and not value.is_string else ""
        if not _is_short_number(text) or int(text) >= 2**63:
            raise self.failures.error(AdqlSyntaxError, f"{clause} needs a whole number, 0 or more", node)
        return int(text)

    # checks

    def _forbid_windows(self, expr: Expr, clause: str) -> None:
        if contains_window(expr):
            raise self.failures.error(
                TypeMismatchError,
                f"window functions cannot stand in {clause}",
                expr.offset,
                hint="Put them into a sub-query in FROM.",
            )

    def _forbid_aggregates(self, expr: Expr, clause: str) -> None:
        self._forbid_windows(expr, clause)
        if contains_aggregate(expr):
            hint = "Conditions on aggregates stand in HAVING." if clause == "WHERE" else ""
            raise self.failures.error(TypeMismatchError, f"aggregates cannot stand in {clause}", expr.offset, hint=hint)

    def _check_groups(self, select: Select) -> None:
        keys = set(select.group_by)
        if select.is_aggregated:
            exprs = [item.expr for item in select.items] + [item.expr for item in select.order_by]
            for expr in (*exprs, *select.having):
                self._check_grouped(expr, keys, select)
        if select.distinct:
            shown = {item.expr for item in select.items}
            for order in select.order_by:
                if order.expr not in shown:
                    raise self.failures.error(
                        AdqlSyntaxError, "with DISTINCT, ORDER BY takes columns of the select list", order.expr.offset
                    )

    def _check_grouped(self, expr: Expr, keys: set[Expr], select: Select) -> None:
        if expr in keys or isinstance(expr, Aggregate):
            return
        if isinstance(expr, ColumnRef):
            if all(source.id != expr.source for source in select.sources):
                return  # of the query around this one: one value for the whole block
            raise self.failures.error(
                TypeMismatchError,
                f'column "{expr.name}" must stand in GROUP BY or inside an aggregate',
                expr.offset,
                hint=f"Add it to GROUP BY, or write MIN({expr.name}).",
            )
        for child in children(expr):
            self._check_grouped(child, keys, select)
        if isinstance(expr, (InQuery, ExistsQuery, ScalarQuery)):
            for ref in free_refs(expr.query):
                self._check_grouped(ref, keys, select)


def _has_outer(tree: Joined | int) -> bool:
    if isinstance(tree, int):
        return False
    return tree.kind is not JoinKind.INNER or _has_outer(tree.left) or _has_outer(tree.right)


def _conditions_of(tree: Joined | int) -> list[Expr]:
    if isinstance(tree, int):
        return []
    return [*_conditions_of(tree.left), *_conditions_of(tree.right), *tree.on]


def _shared_names(scope: Scope, left: Joined | int, right: Joined | int) -> list[str]:
    """Return the columns that NATURAL JOIN compares: those whose name both sides have, hidden ones left out."""
    sides: list[dict[str, str]] = []
    for ids in (leaves(left), leaves(right)):
        merged = {one.name.lower(): one.name for one in scope.merged.values() if one.sources <= ids}
        own = [name for source in scope.sources if source.id in ids for name, _ in _all_columns(source, None)]
        sides.append(merged | {name.lower(): name for name in own})
    return [sides[0][folded] for folded in sides[0] if folded in sides[1]]


def _set_item(source: int, kind: DataType | None, left: Item, right: Item) -> Item:
    """Return a column of a set operation: all that is said of it is the left side's, as ADQL has it."""
    lengths = [item.about.length for item in (left, right)]
    longest = None if None in lengths else max(length for length in lengths if length is not None)
    about = replace(left.about, length=longest)
    return replace(
        left, expr=ColumnRef(type=kind, source=source, label=left.label, name=left.name, about=about), about=about
    )


def _with_types(query: Query, kinds: list[DataType | None]) -> Query:
    """Return a query whose columns have these types."""
    if [item.expr.type for item in query.items] == kinds:
        return query
    if isinstance(query, SetQuery):
        left, right = _with_types(query.left, kinds), _with_types(query.right, kinds)
        items = tuple(
            replace(item, expr=replace(item.expr, type=kind)) for item, kind in zip(query.items, kinds, strict=True)
        )
        return replace(query, left=left, right=right, items=items)
    items = tuple(
        item if item.expr.type is kind or kind is None else replace(item, expr=Cast(type=kind, operand=item.expr))
        for item, kind in zip(query.items, kinds, strict=True)
    )
    # an ORDER BY of the block goes on naming the expression as it was
    return replace(query, items=items)


def conjuncts(expr: Expr) -> list[Expr]:
    """Return the conditions that an AND joins, however nested."""
    if isinstance(expr, Logic) and expr.operator == "AND":
        return [part for operand in expr.operands for part in conjuncts(operand)]
    return [expr]


def _extras(node: Any, known: set[str]) -> list[str]:
    """Return the names of the parts that a node of sqlglot has beyond the known ones."""
    return [key for key, value in node.args.items() if value not in (None, [], False) and key not in known]


def _all_columns(source: Source, place: int | None) -> Iterator[tuple[str, Expr]]:
    if isinstance(source, TableSource):
        for column in source.table.columns:
            if not column.hidden:
                yield column.name, table_ref(source, column, place)
    elif isinstance(source, QuerySource):
        for item in source.query.items:
            yield item.name, item_ref(source, item, place)


def _ordinal(node: Any) -> int | None:
    if isinstance(node, exp.Literal) and not node.is_string and _is_short_number(str(node.this)):
        return int(str(node.this))
    return None


def _is_short_number(text: str) -> bool:
    """Whether a text is a whole number that is worth reading: Python refuses more than 4300 digits."""
    return text.isascii() and text.isdecimal() and len(text) < 20


def _check_count(expressions: Sized, what: str) -> None:
    if len(expressions) > MAX_COLUMNS:
        raise LimitError(f"{what} has more than {MAX_COLUMNS} expressions")


def _item_name(expr: Expr, node: Any, position: int) -> str:
    """Return the name of an unnamed column: the column's own, the function's, else ``col`` and its place."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(expr, ColumnRef) and isinstance(node, exp.Column):
        return expr.name
    if isinstance(node, exp.Anonymous):
        return str(node.this).removeprefix(MARK).lower()
    if isinstance(expr, Aggregate):
        return expr.name.lower()
    return f"col{position}"


def _labels(names: list[str]) -> list[str]:
    """Return names for generated SQL: lower case, short, different from each other."""
    taken: set[str] = set()
    labels = []
    for name in names:
        base = physical_name(name) or "col"
        label, number = base, 2
        while label in taken:
            label, number = f"{base}_{number}", number + 1
        taken.add(label)
        labels.append(label)
    return labels
