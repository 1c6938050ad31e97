"""Names in one query block: which source and which column a written name means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from qserv_py.adql.blocks.column_hints import column_hint, covering_name, quoting_hint
from qserv_py.adql.error_places import ErrorFactory, name_offset, offset_of
from qserv_py.adql.tree import ColumnRef, Expr, Item, QuerySource, Source, TableSource
from qserv_py.adql.words import written_name, written_table
from qserv_py.catalog.model import Column, CzarTable, Database, DatabaseState, Table
from qserv_py.catalog.snapshot import Catalog
from qserv_py.errors import QueryNotSupportedError, UnknownColumnError, UnknownTableError
from qserv_py.hints import did_you_mean


@dataclass(frozen=True, slots=True)
class Merged:
    """A column that USING or NATURAL made of two."""

    expr: Expr
    name: str
    sources: frozenset[int]
    """Ids of the sources that it was made from."""


@dataclass(frozen=True, slots=True)
class CommonTable:
    """A table that WITH names; its query is resolved anew wherever it is used."""

    node: Any
    tables: Mapping[str, CommonTable]
    """Those named before it."""


@dataclass(slots=True)
class Scope:
    """The sources of one block and of the blocks around it."""

    failures: ErrorFactory
    outer: Scope | None = None
    sources: list[Source] = field(default_factory=list)
    merged: dict[str, Merged] = field(default_factory=dict)
    """Columns that USING and NATURAL made one, by folded name."""

    tables: Mapping[str, CommonTable] = field(default_factory=dict)
    """Tables that WITH names, by folded name."""

    aliases: frozenset[str] = frozenset()
    """Names that the select list gives, folded; most clauses do not know them."""

    items: tuple[Item, ...] = ()
    """The select list, where its names are known: in GROUP BY, HAVING and ORDER BY, to the block itself."""

    optional: frozenset[int] = frozenset()
    """Ids of the sources that an outer join may fill with NULL, once FROM is read."""

    inner: tuple[Expr, ...] = ()
    """Conditions of FROM that hold for every row, once it is read."""

    where: Any = None
    """sqlglot's condition of WHERE."""

    def add(self, source: Source, node: Any) -> None:
        """Add a source; its alias must be new in the block."""
        if any(known.alias.lower() == source.alias.lower() for known in self.sources):
            raise self.failures.error(
                UnknownTableError, f'two tables of the query are called "{source.alias}"', node, hint="Give an alias."
            )
        self.sources.append(source)

    def column_of(self, node: Any) -> Expr:
        """Return the column that a node of sqlglot's names, with the name of its table before it or without."""
        qualifier, table = None, node.args.get("table")
        if table is not None:
            qualifier = self.source(table.name, exact=bool(table.args.get("quoted")), node=node)
        exact = bool(node.this.args.get("quoted"))
        return self.column(node.this.name, exact=exact, qualifier=qualifier, node=node, offset=offset_of(node))

    def source(self, name: str, *, exact: bool, node: Any) -> Source:
        """Return the source that a qualifier names."""
        found = [s for s in self.sources if s.alias == name or (not exact and s.alias.lower() == name.lower())]
        if found:
            return found[0]
        if self.outer is not None and self.outer.knows_source(name, exact=exact):
            return self.outer.source(name, exact=exact, node=node)
        columns = [column for source in self.sources for column in column_names(source)]
        unquoted = covering_name(columns, self.failures.text, offset_of(node))
        raise self.failures.error(
            UnknownTableError,
            f'"{name}" is not a table of this query',
            node,
            hint=quoting_hint(unquoted)
            if unquoted
            else did_you_mean(name, (s.alias for s in self.sources)) or _tables_of(self.sources),
        )

    def knows_source(self, name: str, *, exact: bool) -> bool:
        """Whether a qualifier names a source here or further out."""
        here = any(s.alias == name or (not exact and s.alias.lower() == name.lower()) for s in self.sources)
        return here or (self.outer is not None and self.outer.knows_source(name, exact=exact))

    def column(self, name: str, *, exact: bool, qualifier: Source | None, node: Any, offset: int | None) -> Expr:
        """Return the one column that a written name means; of the query around this one if none here has the name."""
        if qualifier is None and name.lower() in self.merged:
            return self.merged[name.lower()].expr
        places = [qualifier] if qualifier else self.sources
        found = [ref for source in places for ref in refs(source, name, exact=exact, offset=offset)]
        if len(found) == 1:
            return found[0]
        if found:
            raise self._ambiguous(name, found, node)
        if qualifier is None and self.outer is not None and self.outer.knows_column(name, exact=exact):
            return self.outer.column(name, exact=exact, qualifier=None, node=node, offset=offset)
        item = self.item(name, exact=exact, node=node) if qualifier is None else None
        if item is not None:
            return item.expr
        raise self._unknown(name, exact=exact, places=places, node=node)

    def item(self, name: str, *, exact: bool, node: Any) -> Item | None:
        """Return the item of the select list that a name means, where its names are known; None without one."""
        return item_named(self.items, name, exact=exact, node=node, failures=self.failures)

    def knows_column(self, name: str, *, exact: bool) -> bool:
        """Whether a column here or further out has a name."""
        here = any(refs(source, name, exact=exact, offset=None) for source in self.sources)
        return here or (self.outer is not None and self.outer.knows_column(name, exact=exact))

    def _ambiguous(self, name: str, found: list[ColumnRef], node: Any) -> Exception:
        owners = {source.id: source.alias for source in self.sources}
        shown = ", ".join(f"{owners[ref.source]}.{ref.name}" for ref in found)
        if len({ref.source for ref in found}) > 1:
            hint = "Write it with its table."
        elif len({ref.name for ref in found}) == 1:
            hint = "Give the columns of the sub-query different names with AS."
        else:
            hint = "Write it between double quotes, as the schema spells it."
        return self.failures.error(UnknownColumnError, f'column "{name}" is ambiguous: {shown}', node, hint=hint)

    def _unknown(self, name: str, *, exact: bool, places: list[Source], node: Any) -> Exception:
        where = f'"{places[0].alias}"' if len(places) == 1 else "the tables of this query"
        text = self.failures.text
        if name.lower() in self.aliases and not exact:
            hint = "The select list's names are not known here: write the expression, or put the query in FROM (...)."
        else:
            hint = column_hint(name, places, exact=exact, text=text, place=name_offset(node))
        return self.failures.error(UnknownColumnError, f'{where} has no column "{name}"', node, hint=hint)


def _tables_of(sources: Iterable[Source]) -> str:
    names = ", ".join(f'"{source.alias}"' for source in sources)
    return f"Its tables are called {names}."


def item_named(items: Iterable[Item], name: str, *, exact: bool, node: Any, failures: ErrorFactory) -> Item | None:
    """Return the item that a name means; None without one."""
    found = [item for item in items if item.name == name or (not exact and item.name.lower() == name.lower())]
    if len({item.expr for item in found}) > 1:
        raise failures.error(
            UnknownColumnError,
            f'column "{name}" of the result is ambiguous',
            node,
            hint="Give the columns different names with AS.",
        )
    return found[0] if found else None


def refs(source: Source, name: str, *, exact: bool, offset: int | None) -> list[ColumnRef]:
    """Return references to the columns of a source that a name may mean."""
    if isinstance(source, TableSource):
        return [table_ref(source, column, offset) for column in source.table.find_columns(name, exact=exact)]
    if isinstance(source, QuerySource):
        return [
            item_ref(source, item, offset)
            for item in source.query.items
            if item.name == name or (not exact and item.name.lower() == name.lower())
        ]
    return []


def shown_columns(source: Source, place: int | None) -> Iterator[tuple[str, Expr]]:
    """Yield the columns that ``*`` shows of a source, with their names."""
    if isinstance(source, TableSource):
        for column in source.table.columns:
            if not column.hidden:
                yield column.name, table_ref(source, column, place)
    elif isinstance(source, QuerySource):
        for item in source.query.items:
            yield item.name, item_ref(source, item, place)


def table_ref(source: Source, column: Column, offset: int | None) -> ColumnRef:
    """Return a reference to a table's column."""
    return ColumnRef(
        type=column.datatype,
        source=source.id,
        label=column.physical,
        name=column.name,
        about=column,
        offset=offset,
    )


def item_ref(source: Source, item: Item, offset: int | None) -> ColumnRef:
    """Return a reference to a sub-query's item."""
    return ColumnRef(
        type=item.expr.type, source=source.id, label=item.label, name=item.name, about=item.about, offset=offset
    )


def column_names(source: Source) -> Iterator[str]:
    """Yield the names of a source's columns."""
    if isinstance(source, TableSource):
        yield from (column.name for column in source.table.columns)
    elif isinstance(source, QuerySource):
        yield from (item.name for item in source.query.items)


def find_database(catalog: Catalog, failures: ErrorFactory, name: tuple[str, bool], node: Any) -> tuple[Database, ...]:
    """Return the databases that a written name, with whether it was delimited, may mean: one at the least."""
    databases = catalog.find_databases(name[0], exact=name[1])
    if not databases:
        known = [d.name for d in catalog.databases]
        raise failures.error(
            UnknownTableError,
            f'database "{name[0]}" is not known',
            node,
            hint=did_you_mean(name[0], known) or f"Known: {', '.join(known) or 'none'}.",
        )
    return databases


def find_table(
    catalog: Catalog, failures: ErrorFactory, *, database: tuple[str, bool] | None, name: tuple[str, bool], node: Any
) -> tuple[Database, Table]:
    """Return the published table that a written name means.

    Parameters
    ----------
    catalog
        What is known.
    failures
        Makes the errors.
    database, name
        The written names with whether they were delimited; ``database`` is None when it was left out.
    node
        Where it stands.
    """
    text, exact = name
    databases = catalog.databases if database is None else find_database(catalog, failures, database, node)
    found = [(d, table) for d in databases for table in d.find_tables(text, exact=exact)]
    if database is None:
        # TAP_SCHEMA.columns must not make a survey's table "columns" ambiguous, nor ivoa.ObsCore the table it shows.
        found = [(d, table) for d, table in found if not isinstance(table, CzarTable) and not d.shown_from]
    published = [(d, table) for d, table in found if d.state is DatabaseState.PUBLISHED]
    if len(published) == 1:
        return published[0]
    written = f"{database[0]}.{text}" if database else text
    if published:
        shown = ", ".join(table.qualified for _, table in published)
        raise failures.error(
            UnknownTableError, f'table "{written}" is ambiguous: {shown}', node, hint="Write it with its database."
        )
    if found:
        raise failures.error(
            QueryNotSupportedError,
            f'database "{found[0][0].name}" is not published',
            node,
            hint=f"qserv publish {found[0][0].name} makes it visible to queries.",
        )
    hint = "" if database else _qualifying_hint(catalog, name, node)
    candidates = [table.qualified if database else table.name for d in databases for table in d.tables]
    hint = hint or did_you_mean(written, candidates) or "qserv list tables shows what is there."
    raise failures.error(UnknownTableError, f'table "{written}" is not known', node, hint=hint)


def _qualifying_hint(catalog: Catalog, name: tuple[str, bool], node: Any) -> str:
    """Return how a table is written that needs its database, or one whose database was taken for the table."""
    text, exact = name
    for database in catalog.databases:
        for table in database.find_tables(text, exact=exact):
            return f"Write {written_table(table)}."
    for database in catalog.find_databases(text, exact=exact):
        alias = node.args.get("alias") and node.args["alias"].this
        meant = database.find_tables(alias.name, exact=bool(alias.args.get("quoted"))) if alias else ()
        if meant:
            return f"A dot is missing: {written_table(meant[0])}."
        return f'"{text}" is a database: write {written_name(database.name)}.table.'
    return ""
