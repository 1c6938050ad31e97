"""What every part of the strict reader does: look at a token, take it, or say why it is wrong there."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from qserv_py.adql.strict.tokens import TokenKind, Tokens
from qserv_py.adql.text.misspelt import COMMA_BEFORE, TOP_HINT, keyword_meant
from qserv_py.adql.words import FOREIGN_WORDS, RESERVED
from qserv_py.errors import AdqlError, AdqlSyntaxError


class Form(Enum):
    """What the grammar knows of an expression."""

    COLUMN = "a column"
    UDF = "a function of the service"
    POINT = "a point"
    SHAPE = "a shape"
    NUMBER = "a number"
    TEXT = "text"
    STRING = "a string"
    """A literal, which the grammar takes anywhere; some functions want one."""

    ANY = "a value"
    """Literals, aggregates, CAST, COALESCE and anything in parentheses."""

    NULL = "NULL"
    CONDITION = "a condition"


NO_NUMBER = {Form.POINT, Form.SHAPE, Form.TEXT, Form.NULL, Form.CONDITION}
"""Forms that stand where no number can be."""

NO_TEXT = {Form.POINT, Form.SHAPE, Form.NUMBER, Form.NULL, Form.CONDITION}
"""Forms that stand where no text can be."""

NO_SHAPE = {Form.NUMBER, Form.TEXT, Form.NULL, Form.CONDITION}
"""Forms that stand where no shape can be."""

POINTS = {Form.COLUMN, Form.UDF, Form.POINT}
"""Forms that may be a position."""

NAMES = {TokenKind.NAME, TokenKind.DELIMITED}
"""Kinds of tokens that may be names."""

STRUCTURE = {"SELECT", "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "JOIN", "ON", "USING", "AND", "OR", "NOT", "AS"}
STRUCTURE |= {"UNION", "EXCEPT", "INTERSECT", "IN", "IS", "LIKE", "BETWEEN", "BY", "OFFSET", "WITH", "INNER", "LEFT"}
STRUCTURE |= {"RIGHT", "FULL", "NATURAL", "THEN", "ELSE", "WHEN", "END", "EXISTS"}
"""Reserved words that nobody means as a name: one of them where a name should be says that the name is missing."""


def shown_word(word: str) -> str:
    """Return a word or a symbol as a message shows it."""
    return word if word.isalpha() else f'"{word}"'


class Steps:
    """The tokens of a query and how far they have been read."""

    def __init__(self, tokens: Tokens, functions: Collection[str]) -> None:
        self.tokens = tokens
        self.kinds = tokens.kinds
        self.words = tokens.words
        self.at = 0
        self.names: list[int] = []
        self.functions = functions
        self._prefixes = tuple(name[:-1] for name in functions if name.endswith("*"))

    def knows(self, function: str) -> bool:
        """Return whether a function that is not ADQL's may be called."""
        return function in self.functions or function.startswith(self._prefixes)

    def need(self, form: Form, refused: set[Form], message: str, place: int) -> None:
        """Raise if a form is one of those that cannot stand here."""
        if form in refused:
            raise self.error(f"{message}, found {form.value}", at=place)

    def whole_number(self, clause: str) -> None:
        """Read the number of TOP, OFFSET or a length."""
        if self.kinds[self.at] is not TokenKind.INTEGER:
            raise self.error(f"{clause} needs a whole number, found {self.tokens.shown(self.at)}")
        self.at += 1

    def starts_name(self) -> bool:
        """Return whether the token at hand can be a name."""
        kind = self.kinds[self.at]
        return kind is TokenKind.DELIMITED or (kind is TokenKind.NAME and self.words[self.at] not in RESERVED)

    def name(self, what: str) -> None:
        """Read a name; ``what`` is what messages call it."""
        kind, word = self.kinds[self.at], self.words[self.at]
        if kind is TokenKind.NAME and word in RESERVED:
            after_as = self.at > 0 and self.words[self.at - 1] in {"AS", "."}
            if word in STRUCTURE or (word in FOREIGN_WORDS and not after_as):
                raise self.unexpected(what)
            raise self._reserved()
        if kind not in NAMES:
            raise self.unexpected(what)
        self.names.append(self.at)
        self.at += 1

    def _reserved(self) -> AdqlError:
        """Return the error about a reserved word that was meant as a name."""
        written = self.tokens.shown(self.at).strip('"')
        return self.error(
            f'"{written}" is a reserved word, it is no name',
            hint=f'Write it between double quotes, as the schema spells it: "{written}".',
        )

    def string(self) -> Form:
        """Read a string; as in SQL-92 it may go on in a further line."""
        tokens = self.tokens
        self.at += 1
        while self.kinds[self.at] is TokenKind.STRING and tokens.continues(self.at):
            self.at += 1
        return Form.STRING

    def accept(self, word: str) -> bool:
        """Read a word if it comes next; return whether it did."""
        if self.words[self.at] == word:
            self.at += 1
            return True
        return False

    def expect(self, word: str) -> None:
        """Read a word that must come next."""
        if self.words[self.at] != word:
            raise self.unexpected(shown_word(word))
        self.at += 1

    def unexpected(self, expected: str) -> AdqlError:
        """Return the error about the token at hand; or about the one before, if that was read as a name by mistake."""
        for place in (self.at - 1, self.at):
            word = self.words[place] if place >= 0 else ""
            if word in FOREIGN_WORDS and (place == self.at or word not in RESERVED):
                return self.error(f"{word} is not ADQL 2.1", at=place, hint=FOREIGN_WORDS[word])
        found = keyword_meant(self.words, self.names, self.at)
        if found is not None and found[1] not in FOREIGN_WORDS:
            place, meant = found
            message = f"expected {expected}, found {self.tokens.shown(place)}"
            return self.error(message, at=place, hint=f"Did you mean {meant}?")
        hints = {"MOD": "Write MOD(x, y); lenient mode takes x MOD y.", "TOP": TOP_HINT}
        hint = hints.get(self.words[self.at], "")
        listed = self.at > 0 and self.words[self.at - 1] == ","
        if listed and self.words[self.at] in STRUCTURE and self.words[self.at + 1] != ",":
            hint = COMMA_BEFORE
        return self.error(f"expected {expected}, found {self.tokens.shown(self.at)}", hint=hint)

    def error(
        self, message: str, *, at: int | None = None, kind: type[AdqlError] = AdqlSyntaxError, hint: str = ""
    ) -> AdqlError:
        """Return an error about a token, by default the one at hand."""
        offset = self.tokens.starts[self.at if at is None else at]
        return kind(message, text=self.tokens.text, offset=offset, hint=hint)
