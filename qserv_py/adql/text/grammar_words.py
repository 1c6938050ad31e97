"""The tokens of a query as the grammar of lenient mode looks at them, and what it says of those that stand wrongly."""

from __future__ import annotations

from enum import IntEnum

from sqlglot.tokens import Token, TokenType

from qserv_py.adql.text.misspelt import COMMA_BEFORE, TOP_HINT, keyword_meant
from qserv_py.adql.words import FOREIGN_SYMBOLS, FOREIGN_WORDS, NO_NAMES
from qserv_py.errors import AdqlError, AdqlSyntaxError, line_and_column


class Kind(IntEnum):
    """What a token is."""

    WORD = 1
    """A word of the language or a name without quotes."""

    NAME = 2
    """A word that is a name whatever it is elsewhere."""

    DELIMITED = 3
    NUMBER = 4
    TEXT = 5
    SYMBOL = 6
    END = 7


_KINDS = {
    TokenType.IDENTIFIER: Kind.DELIMITED,
    **dict.fromkeys((TokenType.NUMBER, TokenType.HEX_STRING), Kind.NUMBER),
    **dict.fromkeys(
        (
            TokenType.STRING,
            TokenType.NATIONAL_STRING,
            TokenType.RAW_STRING,
            TokenType.HEREDOC_STRING,
            TokenType.UNICODE_STRING,
            TokenType.BYTE_STRING,
            TokenType.BIT_STRING,
        ),
        Kind.TEXT,
    ),
}

NAMES = {Kind.NAME, Kind.DELIMITED}

QUERY_STARTS = {"SELECT", "WITH"}
SET_OPERATORS = {"UNION", "EXCEPT", "INTERSECT"}
CONNECTIVES = {"AND", "OR", "&&"}
COMPARISONS = {"=", "<>", "!=", "<", ">", "<=", ">=", "<=>"}
OPERATORS = {"+", "-", "*", "/", "%", "||", "&", "|", "^", "#", "~", "~*", "->", "->>", "@>", "<@"}
"""Signs that stand between two operands and make no comparison; the resolver says which are answered."""

NO_ALIASES = NO_NAMES | {"LIMIT", "OFFSET", "FETCH", "FOR", "WINDOW", "QUALIFY", "INTO", "TABLESAMPLE", "ESCAPE"}
NO_ALIASES |= {"SEMI", "ANTI", "ASOF", "STRAIGHT_JOIN", "OVER", "FILTER", "ISNULL"}
"""Words that give no name when AS is left out before them."""


END_OF_QUERY = "the end of the query"
"""What messages expect where a query is complete."""

_CLAUSES = {"FROM", "WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT", "OFFSET", *SET_OPERATORS}
_ORDER = "The order is SELECT, FROM, WHERE, GROUP BY, HAVING, then UNION and its like, ORDER BY, LIMIT."
_SYMBOL_HINTS = {symbol: hint for symbol, hint in FOREIGN_SYMBOLS.items() if "lenient" not in hint.lower()}
_WORD_HINTS = {word: hint for word, hint in FOREIGN_WORDS.items() if "lenient" not in hint.lower()}
_SYMBOL_HINTS |= {"!": "Write NOT, or <> for unequal.", "~~": "Write LIKE.", "~~*": "Write ILIKE."}

_FOUND_HINTS = {
    (END_OF_QUERY, ")"): 'One ")" is too many, or its "(" is missing.',
    ("an expression", "*"): "Write the columns, t.* as an item of SELECT, or COUNT(*).",
}
_NAME = "A name that is no plain word stands between double quotes."
_CASE = "Write CASE WHEN condition THEN value ELSE value END."
_EXPECTED_HINTS = {
    "an expression": "A column, a number, a text, a function or a parenthesis can stand here.",
    END_OF_QUERY: "Leave it out, or put a comma or an operator before it.",
    '")"': "Close the parenthesis, or put a comma or an operator before what follows.",
    '"("': "Put it between parentheses.",
    "FROM": "Put a comma between two columns; FROM follows the last.",
    "SELECT": "A query begins with SELECT, also inside parentheses.",
    "AND": "Write BETWEEN low AND high.",
    "AS": "Write CAST(x AS type), and WITH name AS (SELECT ...).",
    "JOIN": "Write JOIN table ON condition.",
    "NULL": "Write IS NULL, IS TRUE, IS FALSE or IS DISTINCT FROM x, each with or without NOT.",
    "BETWEEN, IN, LIKE or ILIKE after NOT": "NOT stands before a condition: NOT (x IS NULL).",
    "PRECEDING or FOLLOWING": "Write n PRECEDING, CURRENT ROW or n FOLLOWING.",
    "FIRST or LAST": "Leave NULLS out: NULL counts as the largest value.",
    "a type": "Write INTEGER, DOUBLE PRECISION, VARCHAR or another type of ADQL.",
    "a whole number": "The length of a text is a number: VARCHAR(10).",
    "a table": "Write the name of a table, or (SELECT ...) AS t.",
    "a text": "Texts stand between single quotes.",
    **dict.fromkeys(("THEN", "WHEN", "END"), _CASE),
    **dict.fromkeys(
        ("a column's name", "a table's name", "a name for the column", "a name for the table", "a name for a query"),
        _NAME,
    ),
}
"""What to write where something is missing."""


class Reading:
    """The tokens of a query, how far they have been read, and the errors about the one at hand.

    Parameters
    ----------
    names
        Offsets of words that are known to be names of columns, tables or functions.
    """

    def __init__(self, text: str, tokens: list[Token], names: frozenset[int]) -> None:
        self.text = text
        self.tokens = tokens
        self.kinds: list[Kind] = []
        self.words: list[str] = []
        for token in tokens:
            kind, word = _kind_and_word(token, names)
            self.kinds.append(kind)
            self.words.append(word)
        self.kinds += [Kind.END, Kind.END]
        self.words += ["", ""]
        self.at = 0
        self.names: list[int] = []
        """Places of the tokens that were read as names, whatever words they are."""

        self.calls: list[int] = []
        """Places of the names of functions."""

        self.divisions: list[int] = []
        """Places of DIV and MOD between two operands."""

        self.fractions: list[int] = []
        """Places of the points with which numbers begin."""

        self.bracketed: list[int] = []
        """Places of EXISTS before a query that begins with a parenthesis of its own."""

    def follows_operand(self, place: int) -> bool:
        """Return whether what stands at a place can only follow an operand."""
        word = self.words[place]
        return word in {",", ")", "FROM", "AS", "IS", "IN", "LIKE", "BETWEEN", *CONNECTIVES} or word in COMPARISONS

    def shown(self) -> str:
        """Return the token at hand as a message shows it."""
        if self.kinds[self.at] is Kind.END:
            return "the end"
        token = self.tokens[self.at]
        written = self.text[token.start : token.end + 1]
        written = written if len(written) <= 40 else f"{written[:40]}..."
        return written if self.kinds[self.at] is Kind.TEXT else f'"{written}"'

    def unexpected(self, expected: str) -> AdqlError:
        """Return the error about the token at hand, or about a misspelt keyword before it that was taken for a name."""
        return self._misplaced(expected) or self._unexpected_here(expected)

    def _misplaced(self, expected: str) -> AdqlError | None:
        """Return the error about a keyword that is misspelt, lacks its BY, or is TOP in another place."""
        if self.words[self.at] in {"ORDER", "GROUP"} and not self.follows_operand(self.at + 1):
            word = self.words[self.at]
            return self.error(f"BY is missing after {word}", hint=f"Write {word} BY.")
        for place in (self.at - 1, self.at):
            if self.words[place] == "TOP" and self.kinds[place + 1] is Kind.NUMBER:
                return self.error("TOP follows SELECT", at=place, hint=TOP_HINT)
        found = keyword_meant(self.words, self.names, self.at)
        if found is None:
            return None
        place, meant = found
        message = f'expected {expected}, found "{self.tokens[place].text}"'
        return self.error(message, at=place, hint=f"Did you mean {meant}?")

    def _unexpected_here(self, expected: str) -> AdqlError:
        word = self.words[self.at]
        if expected == '")"' and (word in _CLAUSES or self.kinds[self.at] is Kind.END):
            return self.error(f"expected {expected}, found {self.shown()}", hint=self._closing_hint())
        hint = _ORDER if word in _CLAUSES and expected == END_OF_QUERY else ""
        hint = _FOUND_HINTS.get((expected, word), hint)
        if expected == "an expression" and self.words[self.at - 1] == "," and self._ends_a_list():
            hint = COMMA_BEFORE
        elif self.kinds[self.at] is Kind.SYMBOL and not (word == "*" and expected != "an expression"):
            hint = _SYMBOL_HINTS.get(self.words[self.at - 1] + word) or _SYMBOL_HINTS.get(word, hint)
        elif self.kinds[self.at] is Kind.WORD and not hint:
            hint = _WORD_HINTS.get(word, "")
        if word in NO_NAMES and self.kinds[self.at] is Kind.WORD and self.follows_operand(self.at + 1):
            hint = f"If that is a name, write it between double quotes: {self.shown()}."
        return self.error(f"expected {expected}, found {self.shown()}", hint=hint or _EXPECTED_HINTS.get(expected, ""))

    def _closing_hint(self) -> str:
        """Return a hint that says which parenthesis is open at the token at hand."""
        opened: list[int] = []
        for place, word in enumerate(self.words[: self.at]):
            if word == "(":
                opened.append(place)
            elif word == ")" and opened:
                opened.pop()
        line, column = line_and_column(self.text, self.tokens[opened[-1]].start)
        return f'The parenthesis that opens at line {line}, column {column} is not closed: put ")" before this.'

    def _ends_a_list(self) -> bool:
        """Return whether the token at hand can follow a list of expressions, and no expression begins with it."""
        return self.kinds[self.at] is Kind.END or self.words[self.at] in {")", *_CLAUSES}

    def error(
        self, message: str, *, at: int | None = None, kind: type[AdqlError] = AdqlSyntaxError, hint: str = ""
    ) -> AdqlError:
        """Return an error about a token, by default the one at hand."""
        place = self.at if at is None else at
        offset = self.tokens[place].start if place < len(self.tokens) else len(self.text.rstrip())
        return kind(message, text=self.text, offset=offset, hint=hint)


def _kind_and_word(token: Token, names: frozenset[int]) -> tuple[Kind, str]:
    """Return what a token is, and the upper-case word or the symbol; an empty text for anything else."""
    kind = _KINDS.get(token.token_type)
    if kind is not None:
        return kind, ""
    if token.start in names:
        return Kind.NAME, ""
    written = token.text
    first = written[0]
    return Kind.WORD if first.isalpha() or first == "_" else Kind.SYMBOL, written.upper()
