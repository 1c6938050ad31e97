"""What stands where in an expression of lenient mode: operands and operators by turns.

How tightly operators bind is left to sqlglot, but for one thing: a second comparison in a row (``a = b = c``) is no
SQL, and readers differ in what they make of it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from qserv_py.adql.functions import AGGREGATES
from qserv_py.adql.text.grammar_words import (
    COMPARISONS,
    CONNECTIVES,
    NAMES,
    NO_ALIASES,
    OPERATORS,
    QUERY_STARTS,
    SET_OPERATORS,
    Kind,
    Reading,
)
from qserv_py.adql.words import FOREIGN_FUNCTIONS, NO_NAMES
from qserv_py.errors import AdqlError, QueryNotSupportedError

_QUANTIFIERS = {"ANY", "ALL", "SOME"}
_AFTER_NOT = {"IN", "LIKE", "ILIKE", "BETWEEN", "SIMILAR TO"}
_PREDICATES = {"IS", "ISNULL", *_AFTER_NOT}
_TRUTHS = {"NULL", "TRUE", "FALSE", "UNKNOWN"}
_CONSTANTS = {"NULL", "TRUE", "FALSE"}
_DIVISIONS = {"DIV", "MOD"}
"""Names that are operators between two operands, and functions and columns elsewhere."""

_SIGNS = {"+", "-", "~"}
_OPENING = {"CASE", "CAST", "EXISTS", ".", *_SIGNS, *_CONSTANTS}
"""Reserved words and signs that an operand begins with."""

_SHIFTS = {"<", ">"}
_TIMES = {"DATE", "TIME", "TIMESTAMP", "DATETIME", "INTERVAL"}
"""Types that may stand before a text to say what it is."""

_CALLS_WITH_FROM = {"EXTRACT", "OVERLAY", "SUBSTRING", "TRIM"}
"""Functions of SQL-92 whose arguments have words between them."""

_STAR_WORDS = {"EXCEPT", "EXCLUDE", "REPLACE"}
_LITERALS = {Kind.NUMBER, Kind.TEXT}
_CONTINUES = re.compile(r"(?:\s|--[^\r\n]*+)*+")


class ExpressionGrammar(Reading, ABC):
    """Steps over the tokens, and reads expressions; queries are read by the class built on it."""

    @abstractmethod
    def query(self, *, begun: bool = False) -> None:
        """Read a query; its first operand has been read when ``begun``."""

    # steps

    def accept(self, word: str) -> bool:
        """Read a word if it comes next; return whether it did."""
        if self.words[self.at] == word:
            self.at += 1
            return True
        return False

    def accept_pair(self, first: str, second: str) -> bool:
        """Read two words if both come next; return whether they did."""
        if self.words[self.at] == first and self.words[self.at + 1] == second:
            self.at += 2
            return True
        return False

    def expect(self, word: str) -> None:
        """Read a word that must come next."""
        if self.words[self.at] != word:
            raise self.unexpected(word if word.isalpha() else f'"{word}"')
        self.at += 1

    def name(self, what: str, *, any_word: bool = False) -> None:
        """Read a name; ``what`` is what messages call it, ``any_word`` takes the reserved words too."""
        kind = self.kinds[self.at]
        if kind not in NAMES and not (
            kind is Kind.WORD and " " not in self.words[self.at] and (any_word or self.words[self.at] not in NO_NAMES)
        ):
            raise self.unexpected(what)
        self.take_name()

    def take_name(self) -> None:
        """Read the token at hand as a name."""
        self.names.append(self.at)
        self.at += 1

    def starts_name(self) -> bool:
        """Return whether the token at hand can be the name of a column or a table."""
        kind = self.kinds[self.at]
        return kind in NAMES or (kind is Kind.WORD and self.words[self.at] not in NO_NAMES)

    def starts_alias(self) -> bool:
        """Return whether the token at hand can be the new name of what stands before it."""
        kind, word = self.kinds[self.at], self.words[self.at]
        return kind in NAMES or (kind is Kind.WORD and word not in NO_ALIASES and " " not in word)

    def starts_operand(self, place: int) -> bool:
        """Return whether a name, a literal or a parenthesis stands at a place."""
        kind, word = self.kinds[place], self.words[place]
        return kind in {*NAMES, Kind.NUMBER, Kind.TEXT} or word == "(" or (kind is Kind.WORD and word not in NO_ALIASES)

    def is_shift(self) -> bool:
        """Return whether ``<<`` or ``>>`` comes next, which are two tokens of sqlglot."""
        here, word = self.at, self.words[self.at]
        return self.words[here + 1] == word and self.tokens[here].end + 1 == self.tokens[here + 1].start

    def is_number(self) -> bool:
        """Return whether the token at hand is a whole number."""
        return self.kinds[self.at] is Kind.NUMBER and self.tokens[self.at].text.isdecimal()

    # expressions

    def values(self) -> None:
        """Read expressions between commas."""
        while True:
            while self.words[self.at + 1] == "," and self.kinds[self.at] in _LITERALS:
                self.at += 2  # a long list of literals, quickly
            self.expression()
            if not self.accept(","):
                return

    def select_list(self) -> None:
        """Read the items of SELECT with the names that they are given."""
        empty = self.words[self.at] == "FROM" and not self.follows_operand(self.at + 1)
        if empty or self.kinds[self.at] is Kind.END:
            raise self.error("the select list is empty", hint="Write columns, or *, after SELECT.")
        while True:
            if self.accept("*"):
                if self.words[self.at] in _STAR_WORDS and self.words[self.at + 1] == "(":
                    raise self.error(
                        "EXCEPT and REPLACE after * are not ADQL",
                        kind=QueryNotSupportedError,
                        hint="Write the columns that you want.",
                    )
            else:
                self.expression()
                if self.accept("AS"):
                    self.name("a name for the column", any_word=True)
                elif self.starts_alias():
                    self.take_name()
            if not self.accept(","):
                return

    def expression(self, *, begun: bool = False) -> None:
        """Read an expression or a condition; its first operand has been read when ``begun``."""
        self._predicate(begun=begun)
        while self.words[self.at] in CONNECTIVES:
            self.at += 1
            self._predicate()
        if self.words[self.at] == "XOR" and self.starts_operand(self.at + 1):
            raise self._unanswered_here("XOR", "Write (a) <> (b) for one condition of two.")

    def _predicate(self, *, begun: bool = False) -> None:
        """Read a value, or a comparison of values."""
        while not begun and self.accept("NOT"):
            pass
        self._sum(begun=begun)
        compared = 0
        while True:
            place, word = self.at, self.words[self.at]
            if word == "NOT":
                self.at += 1
                word = self.words[self.at]
                if word not in _AFTER_NOT:
                    raise self.unexpected("BETWEEN, IN, LIKE or ILIKE after NOT")
            if word not in COMPARISONS and word not in _PREDICATES:
                return
            if compared:
                raise self._compared_twice(compared, place)
            compared = place
            self.at += 1
            self._right_side(word)

    def _compared_twice(self, first: int, second: int) -> AdqlError:
        """Return the error about a comparison that follows another one."""
        word = self.words[second]
        hint = "Put one of the two in parentheses."
        if "||" in self.words[first:second]:
            hint = f'"||" joins texts, between conditions write OR. {hint}'
        shown = word if word[0].isalpha() else f'"{word}"'
        return self.error(f"{shown} follows a comparison", at=second, hint=hint)

    def _unanswered_here(self, what: str, hint: str) -> AdqlError:
        return self.error(f"{what} is not answered", kind=QueryNotSupportedError, hint=hint)

    def _right_side(self, word: str) -> None:
        """Read what follows the word of a comparison."""
        if word in COMPARISONS:
            if self.words[self.at] in _QUANTIFIERS and self.words[self.at + 1] == "(":
                self.at += 1
            self._sum()
        elif word == "IN":
            if self.words[self.at] != "(":
                raise self.unexpected('"("')
            if self.words[self.at + 1] == ")":
                raise self.error(
                    "IN needs at least one value",
                    at=self.at + 1,
                    hint="Write IN (value, ...) or IN (SELECT ...).",
                )
            self._parenthesis()
        elif word == "BETWEEN":
            if not self.accept("SYMMETRIC"):
                self.accept("ASYMMETRIC")
            self._sum()
            self.expect("AND")
            self._sum()
        elif word == "IS":
            self._is()
        elif word != "ISNULL":
            self._sum()
            if self.accept("ESCAPE"):
                if self.kinds[self.at] is not Kind.TEXT:
                    raise self.unexpected("a text")
                self.at += 1

    def _is(self) -> None:
        self.accept("NOT")
        if self.accept("DISTINCT"):
            self.expect("FROM")
            self._sum()
        elif self.words[self.at] in _TRUTHS:
            self.at += 1
        else:
            raise self.unexpected("NULL")

    def _sum(self, *, begun: bool = False) -> None:
        """Read operands and the operators between them that give no condition."""
        if not begun:
            self._signed()
        self._suffixes()
        while self._accept_operator():
            self._signed()
            self._suffixes()

    def _accept_operator(self) -> bool:
        word = self.words[self.at]
        if self.kinds[self.at] is Kind.SYMBOL:
            if word == "==":
                raise self.unexpected("an operator")
            if word in _SHIFTS and self.is_shift():
                self.at += 1
                found = True
            else:
                found = word in OPERATORS
        elif word == "AT" and self.words[self.at + 1] == "TIME":
            self.at += 2
            found = True
        elif word == "COLLATE":
            raise self._unanswered_here("COLLATE", "Texts compare by the codes of their characters: leave it out.")
        else:
            found = word in _DIVISIONS and self._begins_operand(self.at + 1)
            if found:
                self.divisions.append(self.at)
        self.at += found
        return found

    def _begins_operand(self, place: int) -> bool:
        """Return whether an operand begins at a place, so that a word before it stands between two."""
        word = self.words[place]
        function = word in {"LEFT", "RIGHT"} and self.words[place + 1] == "("
        return function or word in _OPENING or self.starts_operand(place)

    def _suffixes(self) -> None:
        while self.accept("::"):
            self._type()
        if self.words[self.at] == "[":
            raise self._unanswered_here("an index in brackets", "A name with brackets stands between double quotes.")

    def _signed(self) -> None:
        """Read one operand with the signs before it."""
        while self.words[self.at] in _SIGNS:
            self.at += 1
        kind, word = self.kinds[self.at], self.words[self.at]
        if kind is Kind.TEXT:
            self._text()
        elif kind is Kind.NUMBER or word in _CONSTANTS:
            self.at += 1
        elif word == ".":
            self._fraction()
        elif word == "(":
            self._parenthesis()
        elif word == "CASE":
            self._case()
        elif word in {"CAST", "TRY_CAST"} and self.words[self.at + 1] == "(":
            self._cast()
        elif word == "EXISTS":
            self._exists()
        elif word == "ARRAY" and self.words[self.at + 1] == "[":
            self._array()
        elif word in {"LEFT", "RIGHT"} and self.words[self.at + 1] == "(":
            self._call()
        elif self.starts_name():
            self._name_or_call()
        else:
            raise self.unexpected("an expression")

    # operands

    def _text(self) -> None:
        """Read a text; as in SQL-92 it may go on in a further line."""
        self.at += 1
        while self.kinds[self.at] is Kind.TEXT:
            gap = self.text[self.tokens[self.at - 1].end + 1 : self.tokens[self.at].start]
            if not ("\n" in gap or "\r" in gap) or not _CONTINUES.fullmatch(gap):
                raise self.error(
                    "a text follows a text",
                    hint="Put a comma or || between them; a text goes on only in a further line.",
                )
            self.at += 1

    def _fraction(self) -> None:
        """Read a number that begins with its point."""
        point = self.tokens[self.at]
        after = self.at + 1
        number = self.kinds[after] is Kind.NUMBER and "." not in self.tokens[after].text
        if not number or self.tokens[after].start != point.end + 1:
            raise self.unexpected("an expression")
        self.fractions.append(self.at)
        self.at += 2

    def _parenthesis(self) -> bool:
        """Read a query, a value or values in parentheses; return whether it was a query."""
        self.expect("(")
        begun = False
        if self.words[self.at] in QUERY_STARTS:
            self.query()
            self.expect(")")
            return True
        if self.words[self.at] == "(":
            begun = True
            if self._parenthesis() and (self.words[self.at] in {*SET_OPERATORS, "ORDER BY", "LIMIT", "OFFSET", ")"}):
                self.query(begun=True)
                self.expect(")")
                return True
        self.expression(begun=begun)
        if self.accept(","):
            self.values()
        self.expect(")")
        return False

    def _case(self) -> None:
        self.at += 1
        if self.words[self.at] != "WHEN":
            self.expression()
        self.expect("WHEN")
        while True:
            self.expression()
            self.expect("THEN")
            self.expression()
            if not self.accept("WHEN"):
                break
        if self.accept("ELSE"):
            self.expression()
        self.expect("END")

    def _cast(self) -> None:
        self.at += 2
        self.expression()
        self.expect("AS")
        self._type()
        self.expect(")")

    def _type(self) -> None:
        """Read the name of a type with its length."""
        if self.kinds[self.at] not in {Kind.WORD, Kind.DELIMITED} or self.words[self.at] in NO_NAMES:
            raise self.unexpected("a type")
        self.at += 1
        if self.accept("("):
            self._lengths()
        if self.words[self.at] in {"WITH", "WITHOUT"} and self.words[self.at + 1] == "TIME":
            self.at += 3

    def _lengths(self) -> None:
        """Read what stands in the brackets after a type; the resolver judges whether it is a length."""
        while True:
            self.accept("-")
            if self.kinds[self.at] not in {Kind.NUMBER, Kind.TEXT, Kind.WORD}:
                raise self.unexpected("a whole number")
            self.at += 1
            if not self.accept(","):
                break
        self.expect(")")

    def _exists(self) -> None:
        place = self.at
        self.at += 1
        if self.words[self.at] != "(" or not self._parenthesis():
            raise self.error("EXISTS needs a query in parentheses", at=place, hint="Write EXISTS (SELECT ...).")
        if self.words[place + 2] == "(":
            self.bracketed.append(place)

    def _array(self) -> None:
        self.at += 2
        if not self.accept("]"):
            self.values()
            self.expect("]")

    def _name_or_call(self) -> None:
        delimited = self.kinds[self.at] is Kind.DELIMITED
        if self.words[self.at + 1] == "(" and not delimited:
            self._call()
            return
        if self.words[self.at] in _TIMES and self.kinds[self.at + 1] is Kind.TEXT:
            if self.words[self.at] == "INTERVAL":
                raise self._unanswered_here("INTERVAL", "Compare ivo_to_mjd(x) with a number of days.")
            self.at += 1
            self._text()
            return
        self.take_name()
        while self.accept("."):
            if self.accept("*"):
                if self.words[self.at] not in {",", ")", "FROM"} and self.kinds[self.at] is not Kind.END:
                    raise self.unexpected('"," or FROM')
                return
            self.name("a column's name", any_word=True)
        if self.words[self.at] == "(":
            raise self.error(
                "a function's name is one word without quotes", at=self.at - 1, hint="Write it alone, as SQRT(x)."
            )

    def _call(self) -> None:
        name = self.words[self.at]
        self.calls.append(self.at)
        self.at += 2
        if not self.accept(")"):
            if not self.accept("*"):
                if self.words[self.at] in {"ALL", "DISTINCT"}:
                    if name not in AGGREGATES:
                        hint = FOREIGN_FUNCTIONS.get(name, "Leave it out.")
                        raise self.error(f"{self.words[self.at]} stands only in an aggregate", hint=hint)
                    self.at += 1
                self.values()
            if self.accept("ORDER BY"):
                self.order_terms()
            if self.words[self.at] == "FROM" and name in _CALLS_WITH_FROM:
                raise self._unanswered_here(f"{name} with FROM inside", "Write the arguments between commas.")
            self.expect(")")
        self._after_call()

    def _after_call(self) -> None:
        if self.words[self.at] == "WITHIN" and self.accept_pair("WITHIN", "GROUP"):
            self.expect("(")
            self.expect("ORDER BY")
            self.order_terms()
            self.expect(")")
        if self.words[self.at] == "FILTER" and self.accept_pair("FILTER", "("):
            self.expect("WHERE")
            self.expression()
            self.expect(")")
        if not self.accept_pair("IGNORE", "NULLS"):
            self.accept_pair("RESPECT", "NULLS")
        if self.accept("OVER"):
            if self.starts_name():
                self.take_name()
            else:
                self.expect("(")
                self._window()
                self.expect(")")

    # windows and orders

    def order_terms(self) -> None:
        """Read the keys of ORDER BY."""
        while True:
            self.expression()
            if self.words[self.at] in {"ASC", "DESC"}:
                self.at += 1
            if self.accept("NULLS"):
                if self.words[self.at] not in {"FIRST", "LAST"}:
                    raise self.unexpected("FIRST or LAST")
                self.at += 1
            if not self.accept(","):
                return

    def _window(self) -> None:
        if self.accept("PARTITION BY"):
            self.values()
        if self.accept("ORDER BY"):
            self.order_terms()
        if self.words[self.at] in {"ROWS", "RANGE", "GROUPS"}:
            self.at += 1
            if self.accept("BETWEEN"):
                self._bound()
                self.expect("AND")
            self._bound()
            if self.words[self.at] == "EXCLUDE":
                raise self._unanswered_here("EXCLUDE", "Leave it out: the frame holds all its rows.")

    def _bound(self) -> None:
        if self.accept_pair("CURRENT", "ROW"):
            return
        if not self.accept("UNBOUNDED"):
            self._sum()
        if self.words[self.at] not in {"PRECEDING", "FOLLOWING"}:
            raise self.unexpected("PRECEDING or FOLLOWING")
        self.at += 1
