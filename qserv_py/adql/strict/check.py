"""A reader of ADQL 2.1 as the standard's grammar has it, and of nothing else.

sqlglot reads much more than ADQL, so a text that it reads need not be ADQL. ``check_strict`` walks over the tokens by
the productions of the standard's appendix A and stops at the first token that none of them allows. It builds nothing
but a list of what is a name: the tree comes from sqlglot, in strict mode as in lenient mode. What the grammar tells
apart of a value (a number, a text, a shape, a bare column) is its ``Form``; types of columns are the resolver's
business.

Where the grammar contradicts itself, the prose beside it or IVOA's collection of queries (lyonetia), the section "Where
the grammar is read otherwise" of docs/reference/adql.md says how it is read.
"""

from __future__ import annotations

from collections.abc import Collection

from qserv_py.adql.functions import AGGREGATE_FUNCTIONS, FUNCTIONS, SHAPE_NAMES
from qserv_py.adql.strict.expressions import ExpressionReader
from qserv_py.adql.strict.steps import NAMES
from qserv_py.adql.strict.tokens import TokenKind, tokenize
from qserv_py.adql.text.misspelt import COMMA_AFTER_TOP
from qserv_py.adql.words import FOREIGN_WORDS, UDF_PREFIXES
from qserv_py.errors import AdqlError, LimitError

_SET_OPERATORS = {"UNION", "EXCEPT", "INTERSECT"}


SERVICE_FUNCTIONS = frozenset(
    name for name in (*FUNCTIONS, *AGGREGATE_FUNCTIONS, *SHAPE_NAMES) if name.startswith(UDF_PREFIXES)
)
"""Names, in upper case, of the functions that the service adds under a prefix, as ADQL wants it."""


def check_strict(text: str, *, functions: Collection[str] = SERVICE_FUNCTIONS) -> frozenset[int]:
    """Read a text that is one query of ADQL 2.1; refuse any other.

    Parameters
    ----------
    text
        The query.
    functions
        Names, in upper case, of the functions that the service adds to those of ADQL; ``IVO_*`` stands for all that
        begin so.

    Returns
    -------
    names
        Offsets of the names of columns, tables and functions of the service, whatever these words are elsewhere.

    Raises
    ------
    AdqlSyntaxError
        At the first token that the grammar does not allow there; the hint says what ADQL has instead.
    UnknownFunctionError
        If a function is neither ADQL's nor one of ``functions``, or has arguments that ADQL does not give it.
    LimitError
        If it nests too deeply to be read.
    """
    reader = _Reader(tokenize(text), functions)
    try:
        reader.read()
    except RecursionError:
        raise LimitError("the query is nested too deeply") from None
    return frozenset(reader.tokens.starts[index] for index in reader.names)


class _Reader(ExpressionReader):
    """One method for each production; each reads its tokens or raises."""

    def read(self) -> None:
        if self.words[self.at] == "WITH":
            self._with()
        self.select_expression()
        if self.kinds[self.at] is not TokenKind.END:
            raise self.unexpected("the end of the query")

    # queries

    def _with(self) -> None:
        self.at += 1
        while True:
            self.name("a name for a query")
            if self.words[self.at] == "(":
                raise self.error("names for columns after a name in WITH are not ADQL 2.1", hint="Use AS in the query.")
            self.expect("AS")
            self.expect("(")
            self.select_expression()
            self.expect(")")
            if not self.accept(","):
                return

    def select_expression(self, *, begun: bool = False) -> None:
        """Read queries and set operators, ORDER BY and OFFSET; the first query has been read when ``begun``."""
        if not begun:
            self._set_primary()
        while self.words[self.at] in _SET_OPERATORS:
            self.at += 1
            if self.words[self.at] == "DISTINCT":
                raise self.error("DISTINCT after a set operator is not ADQL 2.1", hint="Leave it out: it is the rule.")
            self.accept("ALL")
            self._set_primary()
        if self.accept("ORDER"):
            self.expect("BY")
            self._order_terms()
            if self.words[self.at] in _SET_OPERATORS:
                raise self.error(
                    "ORDER BY stands at the end of a set operation", hint="Put an ordered operand in parentheses."
                )
        if self.accept("OFFSET"):
            self.whole_number("OFFSET")
            if self.words[self.at] in {"ORDER", *_SET_OPERATORS}:
                raise self.error("OFFSET stands at the end of a query")

    def _set_primary(self) -> None:
        if self.accept("("):
            if self.words[self.at] == "WITH":
                raise self._with_inside()
            self.select_expression()
            self.expect(")")
        else:
            self._select()

    def _with_inside(self) -> AdqlError:
        return self.error(
            "WITH stands only at the start of the query", hint="Name the query there; lenient mode takes it here."
        )

    def _select(self) -> None:
        if self.words[self.at] == "WITH":
            raise self._with_inside()
        self.expect("SELECT")
        if self.words[self.at] in {"ALL", "DISTINCT"}:
            self.at += 1
        if self.accept("TOP"):
            self.whole_number("TOP")
            if self.words[self.at] == ",":
                raise self.error("a comma follows TOP", hint=COMMA_AFTER_TOP)
            if self.words[self.at] in {"ALL", "DISTINCT"}:
                raise self.error(f"{self.words[self.at]} stands before TOP")
        self._select_list()
        if self.words[self.at] != "FROM":
            missing = self.kinds[self.at] is TokenKind.END or self.words[self.at] in {"WHERE", "GROUP", "ORDER", ")"}
            raise self.error("FROM is missing") if missing else self.unexpected('"," or FROM')
        self.at += 1
        self._table_reference()
        while self.accept(","):
            self._table_reference()
        if self.accept("WHERE"):
            self.condition("WHERE")
        if self.accept("GROUP"):
            self.expect("BY")
            self.value()
            while self.accept(","):
                self.value()
        if self.accept("HAVING"):
            self.condition("HAVING")

    def _select_list(self) -> None:
        if self.accept("*"):
            if self.words[self.at] == ",":
                raise self.error(
                    '"*" stands alone in a select list', hint="Write t.* for a table; lenient mode takes this."
                )
            return
        if self.words[self.at] == "FROM":
            raise self.error("the select list is empty")
        self._select_item()
        while self.accept(","):
            if self.words[self.at] == "*":
                raise self.error(
                    '"*" stands alone in a select list', hint="Write t.* for a table; lenient mode takes this."
                )
            self._select_item()

    def _select_item(self) -> None:
        parts = 0
        while self.kinds[self.at + 2 * parts] in NAMES and self.words[self.at + 2 * parts + 1] == ".":
            parts += 1
        if parts and self.words[self.at + 2 * parts] == "*":
            self._table_name()
            self.at += 2
            return
        self.value()
        if self.accept("AS") or self.starts_name():
            self.name("a name for the column")

    def _order_terms(self) -> None:
        while True:
            self.value()
            if self.words[self.at] in {"ASC", "DESC"}:
                self.at += 1
            if not self.accept(","):
                return

    # FROM

    def _table_reference(self) -> None:
        self._table()
        self._joins()

    def _parenthesis_of_tables(self) -> str:
        """Read a parenthesis in FROM; return whether it holds a query or a join."""
        opening = self.at
        self.at += 1
        alone = False
        if self.words[self.at] in {"SELECT", "WITH"}:
            self.sub_query(begun=True)
            return "query"
        if self.words[self.at] == "(":
            inner = self._parenthesis_of_tables()
            if inner == "query" and self.words[self.at] in {*_SET_OPERATORS, "ORDER", "OFFSET", ")"}:
                self.select_expression(begun=True)
                self.expect(")")
                return "query"
            after = self.at
            self._correlation(needed=inner == "query")
            alone = inner == "join" and self.at == after
        else:
            self._table_name()
            self._correlation(needed=False)
        joined = self._joins()
        if self.words[self.at] == ",":
            raise self.error("tables in parentheses are joined with JOIN, not with a comma")
        self.expect(")")
        if not (joined or alone):
            raise self.error("a parenthesis in FROM holds a join or a sub-query", at=opening, hint="Leave it out.")
        return "join"

    def _correlation(self, *, needed: bool) -> None:
        if self.accept("AS") or self.starts_name():
            self.name("a name for the table")
            if self.words[self.at] == "(" and self.words[self.at - 1] not in FOREIGN_WORDS:
                raise self.error("names for columns in a table's alias are not ADQL 2.1", hint="Use AS in the query.")
        elif needed:
            raise self.error("a sub-query in FROM needs a name", hint="Write (SELECT ...) AS t.")

    def _joins(self) -> bool:
        """Read the joins that follow a table; return whether there were any."""
        joined = False
        open_joins = 0
        while True:
            word = self.words[self.at]
            if word in {"ON", "USING"}:
                if not open_joins:
                    raise self.error(f"{word} belongs to no JOIN, or to a NATURAL one")
                open_joins -= 1
                self._join_specification()
                continue
            place = self.at
            natural = self.accept("NATURAL")
            if self.words[self.at] in {"LEFT", "RIGHT", "FULL"}:
                self.at += 1
                self.accept("OUTER")
            else:
                self.accept("INNER")
            if not self.accept("JOIN"):
                if self.at != place:
                    raise self.unexpected("JOIN")
                return joined
            joined = True
            open_joins += not natural
            self._table()

    def _table(self) -> None:
        """Read a table, or a sub-query or joins in parentheses, with the name it is given."""
        if self.words[self.at] == "(":
            self._correlation(needed=self._parenthesis_of_tables() == "query")
        else:
            self._table_name()
            self._correlation(needed=False)

    def _join_specification(self) -> None:
        if self.accept("ON"):
            self.condition("ON")
            return
        self.at += 1
        self.expect("(")
        self.name("a column's name")
        while self.accept(","):
            self.name("a column's name")
        self.expect(")")

    def _table_name(self) -> None:
        begin = self.at
        self.name("a table")
        parts = 1
        while self.words[self.at] == "." and self.words[self.at + 1] != "*":
            self.at += 1
            self.name("a table's name")
            parts += 1
        if parts > 3:
            raise self.error(f"a table's name has {parts} parts, the most is 3: catalog.schema.table", at=begin)
        if self.words[self.at] == "(":
            raise self.error("a function cannot stand in FROM", at=begin)

    def sub_query(self, *, begun: bool = False) -> None:
        """Read a query in parentheses; the opening one has been read when ``begun``."""
        if not begun:
            self.expect("(")
        if self.words[self.at] == "WITH":
            raise self._with_inside()
        self.select_expression()
        self.expect(")")
