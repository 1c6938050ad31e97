"""ADQL text to sqlglot's tree.

ADQL is read as sqlglot's PostgreSQL dialect with one more token, TOP. The size and the nesting of a text are bounded
before any parsing: sqlglot recurses as deep as a text nests. Several statements, and tokens that no query has, are
refused before, too: sqlglot keeps no place of some of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlglot import exp
from sqlglot.errors import ParseError
from sqlglot.tokens import Token, TokenType

from qserv_py.adql.blocks.show import Show, read_show
from qserv_py.adql.strict.check import SERVICE_FUNCTIONS, check_strict
from qserv_py.adql.text.grammar import Grammar
from qserv_py.adql.text.grammar_words import NO_ALIASES
from qserv_py.adql.text.tokens import (
    BACKTICK,
    BEFORE_NAMES,
    DIALECT,
    DIGIT_FIRST,
    KEPT_APART,
    MARK,
    for_parser,
    restore,
    tokenize,
)
from qserv_py.adql.words import DEGREES
from qserv_py.errors import AdqlError, AdqlSyntaxError, LimitError, QueryNotSupportedError

MAX_TEXT = 1_000_000
"""Characters of a query."""

MAX_DEPTH = 100
"""Nesting of parentheses; sqlglot recurses."""

MAX_CHAIN = 5_000
"""Operators of one text; sqlglot nests a chain of ANDs as deep as it is long."""

MAX_TOKENS = 250_000
"""Words, numbers and symbols of one text; sqlglot makes about 80,000 columns a second."""


class Mode(StrEnum):
    """What is taken for ADQL."""

    STRICT = "strict"
    """ADQL 2.1 and nothing else."""

    LENIENT = "lenient"
    """ADQL 2.1 with what users write besides: LIMIT, CASE, ``%``, TRUE, sub-queries as values, ..."""


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query that is grammatical; nothing is known of its names."""

    text: str
    tree: Any
    """``sqlglot.exp.Query``; None for SHOW and DESCRIBE."""

    mode: Mode = Mode.LENIENT
    """What was taken for ADQL; some of what only types and keys can tell is lenient, too."""

    show: Show | None = None
    """What SHOW or DESCRIBE asks for."""

    def may_name(self, database: str) -> bool:
        """Whether the query may name a database, of a lower-case name, that is never left out of a table's name."""
        return database in self.text.lower() or (self.show is not None and database == "tap_schema")


def parse(text: str, *, mode: Mode = Mode.LENIENT, functions: Collection[str] = ()) -> ParsedQuery:
    """Parse one ADQL query.

    Parameters
    ----------
    text
        The query.
    mode
        What is taken for ADQL.
    functions
        Names, in upper case, of further functions that strict mode takes; ``IVO_*`` stands for all that begin so.

    Raises
    ------
    AdqlSyntaxError
        If the text is not one query, or is not ADQL 2.1 in strict mode; with the place.
    UnknownFunctionError
        In strict mode, if a function is neither ADQL's nor one of the service.
    LimitError
        If the text is longer, deeper or has more operators than the bounds of this module.
    QueryNotSupportedError
        If the text is SQL, but not a query.
    """
    if len(text) > MAX_TEXT:
        raise LimitError(
            f"the query has {len(text)} characters, the most is {MAX_TEXT}",
            hint="Upload a long list of values as a table and join it.",
        )
    tokens = tokenize(text)
    _check_bounds(tokens)
    tokens = _one_statement(text, tokens)
    if _is_show(tokens[0]):
        return _shown(text, tokens, mode)
    _check_start(text, tokens)
    tokens = for_parser(_grammar_of(text, tokens, mode, functions))
    try:
        trees = DIALECT.parser().parse(tokens, text)
    except ParseError as error:
        raise _syntax_error(text, error) from None
    except RecursionError:
        raise LimitError("the query is nested too deeply") from None
    except (TypeError, AttributeError, LookupError, ValueError, AssertionError) as error:
        # sqlglot trips over some ungrammatical texts instead of refusing them: "x IN ?" is a TypeError.
        raise AdqlSyntaxError("the query cannot be read", text=text) from error
    if len(trees) != 1 or trees[0] is None:
        raise AdqlSyntaxError("one query was expected", text=text, offset=0)
    tree = trees[0]
    if not isinstance(tree, exp.Query):
        raise AdqlSyntaxError("expected a query", text=text, offset=tokens[0].start)
    if any(KEPT_APART in token.text for token in tokens):
        restore(tree)
    if BACKTICK in text:
        _free_case(tree, text)
    return ParsedQuery(text, tree, mode)


def _check_tokens(text: str, tokens: list[Token], names: frozenset[int]) -> None:
    """Refuse tokens that no query has, numbers that are none, and names that begin with a digit.

    Words at the offsets ``names`` are names whatever they are elsewhere.
    """
    for index, token in enumerate(tokens):
        if token.token_type is TokenType.NUMBER and not token.text.isdecimal() and not _NUMBER.fullmatch(token.text):
            raise AdqlSyntaxError(f'"{token.text}" is not a number', text=text, offset=token.start, hint=_NUMBERS_HINT)
        named = token.start in names or (index and tokens[index - 1].token_type in BEFORE_NAMES)
        if token.token_type in _REFUSED and not named:
            what, hint = _REFUSED[token.token_type]
            if token.token_type is TokenType.COLON and index and tokens[index - 1].token_type is TokenType.NUMBER:
                hint = DEGREES
            raise QueryNotSupportedError(f"{what} is not answered", text=text, offset=token.start, hint=hint)
        before = tokens[index - 1] if index else token
        if before.token_type in _NUMBERS and before.end + 1 == token.start and _gives_a_name(token):
            # sqlglot reads "2mass" as 2 with the name "mass"
            raise AdqlSyntaxError(
                f'a number is followed by "{text[token.start]}"',
                text=text,
                offset=before.start,
                hint=DIGIT_FIRST,
            )


_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_NUMBERS_HINT = "Write it as 12, 1.5 or 1.5e-3."
_NUMBERS = {TokenType.NUMBER, TokenType.HEX_STRING}


def _gives_a_name(token: Token) -> bool:
    return token.text[:1].isidentifier() and token.text.upper() not in NO_ALIASES


def _check_bounds(tokens: list[Token]) -> None:
    """Refuse a text that has too many words, nests too deep, or has too many operators."""
    if len(tokens) > MAX_TOKENS:
        raise LimitError(
            f"the query has {len(tokens)} words and symbols, the most is {MAX_TOKENS}",
            hint="Upload a long list of values as a table and join it.",
        )
    depth = operators = 0
    for token in tokens:
        kind = token.token_type
        if kind is TokenType.L_PAREN:
            depth += 1
            if depth > MAX_DEPTH:
                raise LimitError(f"the query nests parentheses more than {MAX_DEPTH} deep")
        elif kind is TokenType.R_PAREN:
            depth -= 1
        elif kind not in _PLAIN:
            operators += 1
    if operators > MAX_CHAIN:
        raise LimitError(
            f"the query has {operators} operators and keywords, the most is {MAX_CHAIN}",
            hint="Write a list of values with IN, or upload it as a table and join it.",
        )


_PLAIN = {TokenType.VAR, TokenType.NUMBER, TokenType.STRING, TokenType.IDENTIFIER, TokenType.COMMA, TokenType.DOT}
_PLAIN |= {TokenType.HEX_STRING}


def _one_statement(text: str, tokens: list[Token]) -> list[Token]:
    """Return the tokens without a semicolon at the end; refuse several statements."""
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens = tokens[:-1]
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            raise AdqlSyntaxError(
                "one query was expected, found several", text=text, offset=token.start, hint="Send them one by one."
            )
    if not tokens:
        raise AdqlSyntaxError("the query is empty", text=text, offset=0, hint="Write SELECT ... FROM ...")
    return tokens


_STATEMENTS = {"INSERT", "UPDATE", "DELETE", "DROP", "CREATE", "ALTER", "TRUNCATE", "GRANT", "COPY", "SET", "EXPLAIN"}
_STATEMENTS |= {"SHOW", "MERGE", "CALL", "DO", "BEGIN", "COMMIT", "ROLLBACK", "VACUUM", "ANALYZE", "DESCRIBE", "USE"}

_READ_ONLY = "A query reads and changes nothing: write SELECT ... FROM table."
_EXPLAIN = 'Send SELECT ... alone to `qserv explain "SELECT ..."`, explain() in Python, or /api/explain of a service.'


def _check_start(text: str, tokens: list[Token]) -> None:
    """Refuse what is no query, by its first word."""
    first = next((token for token in tokens if token.token_type is not TokenType.L_PAREN), tokens[0])
    word = first.text.upper()
    if word in _STATEMENTS:
        hint = _EXPLAIN if word == "EXPLAIN" else _READ_ONLY
        raise QueryNotSupportedError(
            f"{word} statements are not answered, only SELECT", text=text, offset=first.start, hint=hint
        )
    if word not in {"SELECT", "WITH"}:
        raise AdqlSyntaxError(
            f'expected SELECT, found "{first.text}"', text=text, offset=first.start, hint="A query begins with SELECT."
        )


_TIME = "Write the time as text: '2026-01-31T12:00:00'."
_REFUSED = {
    TokenType.PLACEHOLDER: ("a parameter", "Write the value."),
    TokenType.PARAMETER: ("a parameter", "Write the value."),
    TokenType.COLON: ('":"', "A parameter cannot be bound: write the value."),
    TokenType.CURRENT_USER: ("CURRENT_USER", "Write the value."),
    TokenType.SESSION_USER: ("SESSION_USER", "Write the value."),
    TokenType.LOCALTIME: ("LOCALTIME", _TIME),
    TokenType.LOCALTIMESTAMP: ("LOCALTIMESTAMP", _TIME),
    TokenType.CURRENT_DATE: ("CURRENT_DATE", _TIME),
    TokenType.CURRENT_TIME: ("CURRENT_TIME", _TIME),
    TokenType.CURRENT_TIMESTAMP: ("CURRENT_TIMESTAMP", _TIME),
    TokenType.FETCH: ("FETCH FIRST", "Write TOP n after SELECT, or LIMIT n at the end."),
}
"""Tokens that no query may have, and what to write instead; sqlglot keeps no place of some of them."""


def _grammar_of(text: str, tokens: list[Token], mode: Mode, functions: Collection[str]) -> Grammar:
    """Return the grammar that has read a text and knows what its tokens are.

    Which words are names is known for certain in a text that is ADQL 2.1. Lenient mode need ask only where its own
    grammar, in which more words have a meaning, refuses one: ``SELECT ra limit FROM t``.
    """
    if mode is Mode.STRICT:
        return _read(text, tokens, check_strict(text, functions=SERVICE_FUNCTIONS.union(functions)))
    try:
        return _read(text, tokens, frozenset())
    except AdqlError:
        with suppress(AdqlError, LimitError):
            return _read(text, tokens, check_strict(text[: tokens[-1].end + 1], functions=("*",)))
        raise


def _read(text: str, tokens: list[Token], names: frozenset[int]) -> Grammar:
    _check_tokens(text, tokens, names)
    grammar = Grammar(text, tokens, names)
    grammar.read()
    return grammar


def _free_case(tree: Any, text: str) -> None:
    """Let names between backticks be found whatever their case, as MySQL finds columns."""
    for name in tree.find_all(exp.Identifier):
        start = name.meta.get("start")
        if start is not None and text[start] == BACKTICK:
            name.set("quoted", False)


def _is_show(first: Token) -> bool:
    return first.text.upper() in {"SHOW", "DESCRIBE", "DESC"} and first.token_type is not TokenType.IDENTIFIER


def _shown(text: str, tokens: list[Token], mode: Mode) -> ParsedQuery:
    """Return SHOW or DESCRIBE, which ADQL does not have."""
    if mode is Mode.STRICT:
        raise AdqlSyntaxError(
            f"{tokens[0].text.upper()} is not ADQL",
            text=text,
            offset=tokens[0].start,
            hint="Query TAP_SCHEMA: SELECT table_name FROM tap_schema.tables. Lenient mode takes SHOW and DESCRIBE.",
        )
    return ParsedQuery(text, None, show=read_show(text, tokens))


def _syntax_error(text: str, error: ParseError) -> AdqlSyntaxError:
    """Turn sqlglot's message into one with our words and the place."""
    details = error.errors[0] if error.errors else {}
    highlight = _highlight(details)
    description = str(details.get("description") or "the query cannot be read").rstrip(". ")
    offset = _offset(text, details)
    if "SENTINEL" in description:
        description, offset = "the query ends too early", len(text.rstrip())
    elif re.match("expect(ed|ing) type", description, re.IGNORECASE):
        description = "expected a type"
    elif description.startswith("Expecting )"):
        description = 'expected ")"'
    else:  # its other words are about its own tokens and dialects
        description = f'unexpected "{highlight}"' if highlight else "the query cannot be read"
    return AdqlSyntaxError(description, text=text, offset=offset)


def _highlight(details: dict[str, Any]) -> str:
    """Return what stands where sqlglot stopped, as it was written."""
    return str(details.get("highlight") or "").removeprefix(MARK).removesuffix(KEPT_APART)


def _offset(text: str, details: dict[str, Any]) -> int:
    line, column = int(details.get("line") or 0), int(details.get("col") or 0)
    highlight = _highlight(details)
    if not line or not column:
        return len(text.rstrip())
    starts = [0]
    for part in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(part))
    # sqlglot gives the column of a token's last character
    return max(0, min(starts[line - 1] + column - len(highlight), len(text)))
