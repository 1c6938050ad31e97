"""Expressions and conditions of ADQL 2.1: operators by how tightly they bind, and what they may stand between."""

from __future__ import annotations

from qserv_py.adql.strict.calls import CallReader
from qserv_py.adql.strict.steps import NAMES, NO_NUMBER, NO_TEXT, Form, shown_word
from qserv_py.adql.strict.tokens import TokenKind
from qserv_py.adql.words import FOREIGN_WORDS
from qserv_py.errors import AdqlError

_OR, _AND, _NOT, _PREDICATE, _SUM, _TERM = 1, 2, 3, 4, 5, 6
_PRECEDENCE = {
    "OR": _OR,
    "AND": _AND,
    **dict.fromkeys(("=", "<>", "!=", "<", ">", "<=", ">=", "NOT", "IN", "IS", "BETWEEN", "LIKE", "ILIKE"), _PREDICATE),
    **dict.fromkeys(("+", "-", "||"), _SUM),
    **dict.fromkeys(("*", "/"), _TERM),
}
_COMPARISONS = {"=", "<>", "!=", "<", ">", "<=", ">="}


class ExpressionReader(CallReader):
    """Reads expressions; sub-queries are read by the class built on it."""

    def condition(self, clause: str) -> None:
        """Read a condition; ``clause`` is what messages call its place."""
        place = self.at
        if self.expression() is not Form.CONDITION:
            raise self._no_condition(clause, place)

    def _no_condition(self, clause: str, place: int) -> AdqlError:
        if self.words[self.at] in FOREIGN_WORDS:
            return self.unexpected("a comparison")
        hint = (
            "Compare it: = 1; lenient mode takes it alone."
            if self.words[place] in {"CONTAINS", "INTERSECTS"}
            else "Compare it with something."
        )
        return self.error(f"{clause} needs a condition, found a value", at=place, hint=hint)

    def value(self) -> Form:
        """Read an expression that is no condition; return its form."""
        place = self.at
        form = self.expression()
        if form is Form.CONDITION:
            raise self.error("a condition is not a value", at=place)
        return form

    def expression(self, lowest: int = _OR) -> Form:
        """Read operands and the operators between them that bind at least as tightly as ``lowest``."""
        place = self.at
        word = self.words[place]
        if word == "NOT" and lowest <= _NOT:
            self.at += 1
            if self.words[self.at] == "NOT":
                raise self.error("NOT stands once before a condition", hint="Lenient mode takes several.")
            if self.expression(_PREDICATE) is not Form.CONDITION:
                raise self._no_condition("NOT", place + 1)
            form = Form.CONDITION
        elif word in {"+", "-"}:
            self.at += 1
            if self.words[self.at] in {"+", "-"}:
                raise self.error("a sign stands once before a value", hint="Put the signed value in parentheses.")
            operand = self.at
            self.need(self.primary(), NO_NUMBER, "a sign needs a number", operand)
            form = Form.NUMBER
        else:
            form = self.primary()
        while (binds := _PRECEDENCE.get(self.words[self.at], 0)) >= lowest:
            form = self._operator(form, place, binds)
        return form

    def _operator(self, left: Form, place: int, binds: int) -> Form:
        """Read an operator and what follows it; ``left`` stands before it, from ``place`` on."""
        word, here = self.words[self.at], self.at
        if binds == _PREDICATE:
            if left is Form.CONDITION:
                raise self.error(f"{shown_word(word)} follows a condition, it needs a value")
            self._predicate(left, place)
            return Form.CONDITION
        self.at += 1
        if binds in {_OR, _AND}:
            if left is not Form.CONDITION:
                raise self._no_condition(word, place)
            if self.expression(binds + 1) is not Form.CONDITION:
                raise self._no_condition(word, here + 1)
            return Form.CONDITION
        refused, needs = (NO_TEXT, "text") if word == "||" else (NO_NUMBER, "numbers")
        self.need(left, refused, f'"{word}" needs {needs}', place)
        self.need(self.expression(binds + 1), refused, f'"{word}" needs {needs}', here + 1)
        return Form.TEXT if word == "||" else Form.NUMBER

    def _predicate(self, left: Form, place: int) -> None:
        word = self.words[self.at]
        self.at += 1
        if word in _COMPARISONS:
            if self.words[self.at] in {"ANY", "ALL", "SOME"}:
                raise self.error(
                    f"{self.words[self.at]} before a sub-query is not ADQL 2.1", hint="Write IN or EXISTS."
                )
            self._operand()
            return
        if word == "IS":
            self._is_null(left, place)
            return
        if word == "NOT":
            word = self.words[self.at]
            if word not in {"BETWEEN", "IN", "LIKE", "ILIKE"}:
                raise self.unexpected("BETWEEN, IN, LIKE or ILIKE after NOT")
            self.at += 1
        if word == "BETWEEN":
            self._operand()
            self.expect("AND")
            self._operand()
        elif word == "IN":
            self._in()
        else:
            self.need(left, NO_TEXT, f"{word} needs text", place)
            pattern = self.at
            self.need(self._operand(), NO_TEXT, f"{word} needs text", pattern)

    def _operand(self) -> Form:
        place = self.at
        form = self.expression(_SUM)
        if form is Form.CONDITION:
            raise self.error("a condition is not a value", at=place)
        return form

    def _is_null(self, left: Form, place: int) -> None:
        self.accept("NOT")
        if self.words[self.at] in {"DISTINCT", "TRUE", "FALSE", "UNKNOWN"}:
            raise self.error(
                f"IS {self.words[self.at]} is not ADQL 2.1", hint="IS is followed by [NOT] NULL; lenient mode takes it."
            )
        self.expect("NULL")
        if left is not Form.COLUMN:
            raise self.error(
                "IS NULL is asked of a column, not of an expression", at=place, hint="Lenient mode takes expressions."
            )

    def _in(self) -> None:
        inner = self.at
        while self.words[inner] == "(":
            inner += 1
        if inner > self.at and self.words[inner] in {"SELECT", "WITH"}:
            self.sub_query()
            return
        self.expect("(")
        if self.words[self.at] == ")":
            raise self.error("IN needs at least one value")
        self.value()
        while self.accept(","):
            self.value()
        self.expect(")")

    def primary(self) -> Form:
        """Read one operand."""
        place, kind, word = self.at, self.kinds[self.at], self.words[self.at]
        if kind is TokenKind.NAME and self.words[place + 1] == "(":
            return self.call(word)
        if kind in NAMES:
            if word == "NULL":
                self.at += 1
                return Form.NULL
            return self.column()
        if word == "(":
            return self._parenthesis()
        if kind is TokenKind.STRING:
            return self.string()
        if kind in {TokenKind.INTEGER, TokenKind.REAL}:
            self.at += 1
            return Form.ANY
        raise self.unexpected("an expression")

    def column(self) -> Form:
        """Read a column's name, as long as it may be."""
        begin = self.at
        self.name("an expression")
        parts = 1
        while self.accept("."):
            if self.words[self.at] == "*":
                raise self.error('"*" cannot stand in an expression')
            self.name("a column's name")
            parts += 1
        if parts > 4:
            raise self.error(f"a column's name has {parts} parts, the most is 4: catalog.schema.table.column", at=begin)
        if self.words[self.at] == "(":
            raise self.error("a function's name is one word without quotes", at=begin)
        return Form.COLUMN

    def _parenthesis(self) -> Form:
        self.at += 1
        if self.words[self.at] in {"SELECT", "WITH"}:
            raise self.error("a sub-query stands only in FROM, IN and EXISTS", hint="Lenient mode takes it as a value.")
        form = self.expression()
        if self.words[self.at] == ",":
            raise self.error("lists of values stand only after IN")
        self.expect(")")
        return form if form is Form.CONDITION else Form.ANY
