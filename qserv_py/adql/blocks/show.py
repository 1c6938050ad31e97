"""SHOW and DESCRIBE of MySQL and of Qserv: what there is, answered from TAP_SCHEMA.

The statement becomes a query of TAP_SCHEMA when its names are resolved, so every way in answers it, and nobody is shown
what TAP_SCHEMA does not show.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from sqlglot.tokens import Token, TokenType

from qserv_py.adql.blocks.scope import find_database, find_table
from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.text.tokens import BACKTICK, tokenize
from qserv_py.adql.words import written_name, written_table
from qserv_py.catalog.model import UPLOAD_DATABASE, CzarTable, Table
from qserv_py.catalog.snapshot import Catalog
from qserv_py.errors import AdqlSyntaxError, QueryNotSupportedError

_ANSWERED = "SHOW DATABASES, SHOW TABLES [FROM database], SHOW COLUMNS FROM table and DESCRIBE table are answered."
_FROM = {"FROM", "IN"}


class Listed(StrEnum):
    """What a statement lists, by TAP_SCHEMA's names."""

    DATABASES = "schemas"
    TABLES = "tables"
    COLUMNS = "columns"


_WORDS = {
    "DATABASES": Listed.DATABASES,
    "SCHEMAS": Listed.DATABASES,
    "TABLES": Listed.TABLES,
    "COLUMNS": Listed.COLUMNS,
    "FIELDS": Listed.COLUMNS,
}

_COLUMNS = {
    Listed.DATABASES: ("schema_name, description", "schema_name, utype, description, schema_index"),
    Listed.TABLES: (
        "table_name, description",
        "schema_name, table_name, table_type, utype, description, table_index",
    ),
    Listed.COLUMNS: (
        "column_name, datatype, arraysize, unit, ucd, description",
        'column_name, datatype, arraysize, xtype, "size", description, utype, unit, ucd, indexed, principal, std,'
        " column_index",
    ),
}
"""What is selected without FULL, and with it."""

_ORDER = {
    Listed.DATABASES: "schema_index",
    Listed.TABLES: "schema_name, table_index",
    Listed.COLUMNS: "column_index",
}


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a statement writes."""

    text: str
    exact: bool
    """Whether it stands between double quotes."""

    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """A statement that lists databases, tables or columns."""

    listed: Listed
    full: bool = False
    database: Name | None = None
    table: Name | None = None
    pattern: str | None = None
    """Of LIKE."""

    def query(self, catalog: Catalog, failures: ErrorFactory) -> str:
        """Return the query of TAP_SCHEMA that answers the statement.

        Raises
        ------
        UnknownTableError
            If it names a database or a table that is not there; with the place.
        QueryNotSupportedError
            If that is an upload, of which TAP_SCHEMA knows nothing.
        """
        conditions = self._named(catalog, failures)
        if self.pattern is not None:
            conditions.append(_like(self.listed, self.pattern))
        clauses = [f"SELECT {_COLUMNS[self.listed][self.full]}", f"FROM tap_schema.{self.listed}"]
        if conditions:
            clauses.append(f"WHERE {' AND '.join(conditions)}")
        return " ".join([*clauses, f"ORDER BY {_ORDER[self.listed]}"])

    def _named(self, catalog: Catalog, failures: ErrorFactory) -> list[str]:
        written = None if self.database is None else (self.database.text, self.database.exact)
        if self.table is not None:
            name = (self.table.text, self.table.exact)
            _, table = find_table(catalog, failures, database=written, name=name, node=self.table.offset)
            _check_described(table, failures, self.table.offset)
            return [f"table_name = {_literal(written_table(table))}"]
        if written is None or self.database is None:
            return []
        databases = find_database(catalog, failures, written, self.database.offset)
        for table in (table for database in databases for table in database.tables):
            _check_described(table, failures, self.database.offset)
        names = ", ".join(_literal(written_name(database.name)) for database in databases)
        return [f"schema_name IN ({names})"]


def _check_described(table: Table, failures: ErrorFactory, place: int) -> None:
    """Refuse an upload."""
    if isinstance(table, CzarTable) and table.database == UPLOAD_DATABASE:
        raise failures.unsupported(
            "TAP_SCHEMA does not describe uploads",
            place,
            hint="A query that selects TOP 0 * of it answers its columns.",
        )


def _like(listed: Listed, pattern: str) -> str:
    """Return the condition that a name is like a pattern; names may stand between double quotes in TAP_SCHEMA."""
    column = {"schemas": "schema_name", "tables": "table_name", "columns": "column_name"}[listed]
    # a table's name is written after that of its database
    before = "%." if listed is Listed.TABLES and "." not in pattern else ""
    forms = (before + pattern, f'{before}"{pattern}"')
    return "(" + " OR ".join(f"{column} ILIKE {_literal(form)}" for form in forms) + ")"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# reading


def read_show(text: str, tokens: list[Token]) -> Show:
    """Return what a text that begins with SHOW or DESCRIBE asks for.

    Raises
    ------
    AdqlSyntaxError
        If it is not one of the forms; with the place.
    QueryNotSupportedError
        If it asks for something else than databases, tables and columns.
    """
    first = tokens[0]
    reader = _Reader(text, _words_after(text, first))
    return reader.show() if first.text.upper() == "SHOW" else reader.describe()


def _words_after(text: str, first: Token) -> list[Token]:
    """Return the tokens after the first one: sqlglot reads what follows SHOW as one text."""
    rest = text[first.end + 1 :].rstrip("; \t\n\r")
    try:
        # behind blanks, for the places of the tokens
        return tokenize(" " * (first.end + 1) + rest) if rest.strip() else []
    except AdqlSyntaxError as error:
        raise AdqlSyntaxError(error.message, text=text, offset=error.offset, hint=error.hint) from None


class _Reader:
    """Reads the words after SHOW or DESCRIBE one by one."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.place = 0

    def show(self) -> Show:
        """Return what SHOW asks for."""
        start = self._offset()
        full = self._take({"FULL"}) is not None
        word = self._take(_WORDS)
        if word is None:
            found = " ".join(token.text for token in self.tokens[:2]).upper()
            raise QueryNotSupportedError(
                f"SHOW {found} is not answered" if found else "SHOW is not answered alone",
                text=self.text,
                offset=start,
                hint=_ANSWERED,
            )
        listed = _WORDS[word]
        database = table = None
        if listed is Listed.COLUMNS:
            self._need(_FROM, "FROM and a table")
            database, table = self._table()
        if listed is not Listed.DATABASES and database is None and self._take(_FROM):
            database = self._name("a database")
        pattern = self._text() if self._take({"LIKE"}) else None
        self._end()
        return Show(listed=listed, full=full, database=database, table=table, pattern=pattern)

    def describe(self) -> Show:
        """Return what DESCRIBE asks for: a table's columns, or those that are like a name."""
        start = self._offset()
        if self._take({"SELECT", "WITH"}):
            raise QueryNotSupportedError(
                "DESCRIBE takes a table, not a query",
                text=self.text,
                offset=start,
                hint="qserv explain shows how a query is answered.",
            )
        self._take({"TABLE"})
        database, table = self._table()
        pattern = None
        if self.place < len(self.tokens):
            is_text = self.tokens[self.place].token_type is TokenType.STRING
            pattern = self._text() if is_text else self._name("a column").text
        self._end()
        return Show(listed=Listed.COLUMNS, database=database, table=table, pattern=pattern)

    def _table(self) -> tuple[Name | None, Name]:
        name = self._name("a table")
        if not self._take({"."}):
            return None, name
        return name, self._name("a table")

    def _take(self, words: Container[str]) -> str | None:
        """Return the next word and go on, if it is one of these; they are upper case."""
        if self.place < len(self.tokens):
            token = self.tokens[self.place]
            word = str(token.text).upper()
            if token.token_type not in {TokenType.IDENTIFIER, TokenType.STRING} and word in words:
                self.place += 1
                return word
        return None

    def _need(self, words: Container[str], what: str) -> None:
        if self._take(words) is None:
            raise self._expected(what)

    def _name(self, what: str) -> Name:
        if self.place >= len(self.tokens):
            raise self._expected(what)
        token = self.tokens[self.place]
        delimited = token.token_type is TokenType.IDENTIFIER
        if not delimited and (token.token_type is TokenType.STRING or not token.text.replace("_", "a").isalnum()):
            raise self._expected(what)
        self.place += 1
        return Name(token.text, delimited and self.text[token.start] != BACKTICK, token.start)

    def _text(self) -> str:
        token = self.tokens[self.place] if self.place < len(self.tokens) else None
        if token is None or token.token_type is not TokenType.STRING:
            raise self._expected("a pattern, such as 'Obj%'")
        if "\\" in token.text:
            raise QueryNotSupportedError(
                "a pattern has no escapes", text=self.text, offset=token.start, hint="_ stands for any character."
            )
        self.place += 1
        return str(token.text)

    def _end(self) -> None:
        if self.place < len(self.tokens):
            where = self.tokens[self.place].text.upper() == "WHERE"
            hint = "Query TAP_SCHEMA itself: SELECT table_name FROM tap_schema.tables WHERE ..." if where else _ANSWERED
            raise self._expected("the end", hint)

    def _offset(self) -> int:
        return self.tokens[self.place].start if self.place < len(self.tokens) else len(self.text.rstrip())

    def _expected(self, what: str, hint: str = _ANSWERED) -> AdqlSyntaxError:
        found = f'"{self.tokens[self.place].text}"' if self.place < len(self.tokens) else "the end"
        return AdqlSyntaxError(f"expected {what}, found {found}", text=self.text, offset=self._offset(), hint=hint)
