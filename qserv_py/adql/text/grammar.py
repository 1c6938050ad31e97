"""What stands where in a query of lenient mode: the order of the clauses, tables and how they are joined.

sqlglot is a generous reader of many dialects: it takes clauses in any order, reads over words that are doubled
or missing, and takes any word for a name. What it passes over would be answered as if it had not been written. So every
text is first held against this grammar, which builds nothing: it accounts for each token, and stops at the first one
that cannot stand where it does. Types, names and what is answered are the resolver's business; strict mode has a
narrower reader of its own (the folder ``strict``).
"""

from __future__ import annotations

import re

from qserv_py.adql.text.grammar_expressions import ExpressionGrammar
from qserv_py.adql.text.grammar_words import END_OF_QUERY, QUERY_STARTS, SET_OPERATORS, Kind
from qserv_py.adql.text.misspelt import COMMA_AFTER_TOP
from qserv_py.errors import AdqlError, LimitError, QueryNotSupportedError

_NO_TABLES = {"VALUES", "ONLY", "LATERAL", "UNNEST", "TABLE"}
"""Words of SQL that begin something in FROM that is not answered."""

_TABLES = "FROM takes tables, sub-queries with a name, and joins."
_FOREIGN_JOINS = {"SEMI", "ANTI", "ASOF", "STRAIGHT_JOIN"}
_JOIN_STARTS = {"JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL"}
_JOINS = "Write JOIN, LEFT JOIN, RIGHT JOIN or FULL JOIN, or WHERE [NOT] EXISTS (SELECT ...)."
_ONE_EACH = "Each JOIN takes one ON or USING behind its table; NATURAL and CROSS take none."
_UNANSWERED_CLAUSES = {
    "QUALIFY": "Put the window function into a sub-query in FROM, and write WHERE around it.",
    "WINDOW": "Write the window after each OVER.",
    "INTO": "qserv query --output keeps the answer in a file.",
    "FOR": "Leave it out.",
    "TABLESAMPLE": "Leave it out.",
    "FETCH": "Write TOP n after SELECT, or LIMIT n at the end.",
}
"""Clauses of SQL that are not answered, and what to write instead."""

_SIGNS_IN_NAMES = {"/", "-", "+"}
_SIGNED_NAME = re.compile(r"[\w/+-]+")
_LONGEST_SHOWN = 40
"""Characters of a name that a hint shows."""

_AFTER_A_LIST = {"WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT", "OFFSET", ")", *SET_OPERATORS}


class Grammar(ExpressionGrammar):
    """One method for each clause; each reads its tokens or raises."""

    def read(self) -> None:
        """Read the whole text.

        Raises
        ------
        AdqlSyntaxError
            At the first token that cannot stand where it does.
        QueryNotSupportedError
            At a clause of SQL that is not answered.
        LimitError
            If it nests too deeply to be read.
        """
        try:
            self.query()
        except RecursionError:
            raise LimitError("the query is nested too deeply") from None
        if self.kinds[self.at] is not Kind.END:
            raise self.unexpected(END_OF_QUERY)

    # queries

    def query(self, *, begun: bool = False) -> None:
        """Read a query with its ORDER BY and LIMIT; its first operand has been read when ``begun``."""
        if not begun and self.accept("WITH"):
            self._with()
        limited = False if begun else self._set_operand()
        while self.words[self.at] in SET_OPERATORS:
            self.at += 1
            if not self.accept("ALL"):
                self.accept("DISTINCT")
            self._set_operand()
            limited = False
        if self.accept("ORDER BY"):
            self.order_terms()
        self._limits(limited=limited)

    def _with(self) -> None:
        self.accept("RECURSIVE")
        while True:
            self.name("a name for a query")
            if self.words[self.at] == "(":
                self._names()
            self.expect("AS")
            self.expect("(")
            self.query()
            self.expect(")")
            if not self.accept(","):
                return

    def _set_operand(self) -> bool:
        """Read one side of a set operation; return whether it has TOP."""
        if self.accept("("):
            self.query()
            self.expect(")")
            return False
        return self._select()

    def _select(self) -> bool:
        self.expect("SELECT")
        if self.accept("DISTINCT"):
            if self.accept("ON"):
                self.expect("(")
                self.values()
                self.expect(")")
        else:
            self.accept("ALL")
        limited = self._top()
        self.select_list()
        if self.kinds[self.at] is Kind.END or self.words[self.at] in _AFTER_A_LIST:
            raise self.error("FROM is missing", hint="Write SELECT ... FROM table.")
        if self.words[self.at] in _UNANSWERED_CLAUSES:
            raise self._unanswered()
        self.expect("FROM")
        self._tables()
        if self.accept("WHERE"):
            self.expression()
        if self.accept("GROUP BY"):
            self.accept("ALL")
            self.values()
        if self.accept("HAVING"):
            self.expression()
        if self.words[self.at] in _UNANSWERED_CLAUSES:
            raise self._unanswered()
        return limited

    def _unanswered(self) -> AdqlError:
        word = self.words[self.at]
        shown = "FOR UPDATE" if word == "FOR" else word
        return self.error(f"{shown} is not answered", kind=QueryNotSupportedError, hint=_UNANSWERED_CLAUSES[word])

    def _top(self) -> bool:
        if not self.accept("TOP"):
            return False
        self._count("TOP")
        if self.words[self.at] == ",":
            raise self.error("a comma follows TOP", hint=COMMA_AFTER_TOP)
        if self.words[self.at] in {"ALL", "DISTINCT"}:
            word = self.words[self.at]
            raise self.error(f"{word} stands before TOP", hint=f"Write SELECT {word} TOP n.")
        if self.words[self.at] == "PERCENT" and self.starts_operand(self.at + 1):
            raise self.error("TOP takes a number of rows", kind=QueryNotSupportedError, hint="Leave PERCENT out.")
        return True

    def _count(self, clause: str) -> None:
        """Read the number of rows of TOP, LIMIT or OFFSET, which may stand in brackets."""
        bracket = self.accept("(")
        if not self.is_number():
            hint = (
                "Leave it out for all rows." if self.words[self.at] in {"ALL", "NULL"} else "Write the number itself."
            )
            if self.follows_operand(self.at):
                hint = f"If {clause} is a name, write it between double quotes."
            raise self.error(f"{clause} needs a whole number, 0 or more, found {self.shown()}", hint=hint)
        self.at += 1
        if bracket:
            self.expect(")")

    def _limits(self, *, limited: bool) -> None:
        seen: set[str] = {"TOP"} if limited else set()
        while (word := self.words[self.at]) in {"LIMIT", "OFFSET"}:
            if word == "LIMIT" and "TOP" in seen:
                raise self.error("TOP stands already", hint="Leave one of TOP and LIMIT out.")
            if word in seen:
                raise self.error(f"{word} stands already", hint="Leave one of them out.")
            seen.add(word)
            self.at += 1
            self._count(word)
            if word == "LIMIT" and self.accept(","):
                seen.add("OFFSET")
                self._count("LIMIT")
            elif word == "OFFSET" and not self.accept("ROW"):
                self.accept("ROWS")
        if self.words[self.at] in _UNANSWERED_CLAUSES:
            raise self._unanswered()

    # FROM

    def _tables(self) -> None:
        while True:
            self._table()
            self._joins()
            if not self.accept(","):
                return

    def _table(self) -> None:
        """Read a table, or a sub-query or joins in parentheses, with the name it is given."""
        if self.words[self.at] == "(":
            self._parenthesis_of_tables()
        elif self.words[self.at] in _NO_TABLES:
            raise self._no_table(self.words[self.at], self.at)
        else:
            self.name("a table")
            while self.accept("."):
                self.name("a table's name", any_word=True)
            if self.words[self.at] == "(":
                raise self._no_table("a function", self.at - 1)
            if self.words[self.at] in _SIGNS_IN_NAMES and self._touches_both():
                raise self._name_with_signs(self.at - 1)
        self._correlation()

    def _touches_both(self) -> bool:
        """Return whether no space stands beside the token at hand."""
        here = self.tokens[self.at]
        return bool(self.text[here.start - 1].strip() and self.text[here.end + 1 : here.end + 2].strip())

    def _name_with_signs(self, place: int) -> AdqlError:
        name = _SIGNED_NAME.match(self.text, self.tokens[place].start)
        shown = f': "{name[0]}"' if name is not None and len(name[0]) <= _LONGEST_SHOWN else ""
        return self.error(
            f"expected the end of the table's name, found {self.shown()}",
            hint=f"A name with signs stands between double quotes{shown}.",
        )

    def _no_table(self, what: str, place: int) -> AdqlError:
        hint = "Write a join, or a correlated sub-query as a value." if what == "LATERAL" else _TABLES
        return self.error(f"{what} cannot stand in FROM", at=place, kind=QueryNotSupportedError, hint=hint)

    def _parenthesis_of_tables(self) -> bool:
        """Read a parenthesis in FROM; return whether it holds a query."""
        self.expect("(")
        if self.words[self.at] in QUERY_STARTS:
            self.query()
            self.expect(")")
            return True
        if self.words[self.at] == "(":
            if self._parenthesis_of_tables() and self.words[self.at] in _AFTER_A_LIST:
                self.query(begun=True)
                self.expect(")")
                return True
            self._correlation()
        else:
            self._table()
        self._joins()
        self.expect(")")
        return False

    def _correlation(self) -> None:
        if self.accept("AS"):
            self.name("a name for the table")
        elif not self.starts_alias():
            return
        else:
            self.take_name()
        if self.words[self.at] == "(":
            self._names()

    def _joins(self) -> None:
        waiting = 0
        while True:
            word = self.words[self.at]
            if word in {"ON", "USING"}:
                if not waiting:
                    raise self.error(f"{word} belongs to no JOIN, or to one that is NATURAL or CROSS", hint=_ONE_EACH)
                waiting -= 1
                self._join_specification()
                continue
            if word in _FOREIGN_JOINS:
                raise self.error(f"{word} JOIN is not ADQL", kind=QueryNotSupportedError, hint=_JOINS)
            if word not in _JOIN_STARTS:
                return
            waiting += self._kind_of_join()
            self.expect("JOIN")
            self._table()

    def _kind_of_join(self) -> bool:
        """Read the words before JOIN; return whether ON or USING may follow the table."""
        if self.accept("CROSS"):
            return False
        natural = self.accept("NATURAL")
        if self.words[self.at] in {"LEFT", "RIGHT", "FULL"}:
            self.at += 1
            self.accept("OUTER")
        else:
            self.accept("INNER")
        return not natural

    def _join_specification(self) -> None:
        if self.accept("ON"):
            self.expression()
        else:
            self.at += 1
            self._names()

    def _names(self) -> None:
        """Read names in parentheses."""
        self.expect("(")
        while True:
            self.name("a column's name")
            if not self.accept(","):
                break
        self.expect(")")
