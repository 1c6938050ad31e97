"""What is refused before a text is read: too much of it, several statements, and tokens that no query has.

sqlglot recurses as deep as a text nests, and keeps no place of some tokens.
"""

from __future__ import annotations

import re

from sqlglot.tokens import Token, TokenType

from qserv_py.adql.text.grammar_words import NO_ALIASES
from qserv_py.adql.text.tokens import BEFORE_NAMES, DIGIT_FIRST
from qserv_py.adql.words import DEGREES
from qserv_py.errors import AdqlSyntaxError, LimitError, QueryNotSupportedError

MAX_DEPTH = 100
"""Nesting of parentheses; sqlglot recurses."""

MAX_CHAIN = 5_000
"""Operators of one text; sqlglot nests a chain of ANDs as deep as it is long."""

MAX_TOKENS = 250_000
"""Words, numbers and symbols of one text; sqlglot makes about 80,000 columns a second."""


def check_tokens(text: str, tokens: list[Token], names: frozenset[int]) -> None:
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


def check_bounds(tokens: list[Token]) -> None:
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


def one_statement(text: str, tokens: list[Token]) -> list[Token]:
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


def check_start(text: str, tokens: list[Token]) -> None:
    """Refuse what is no query, by its first word."""
    first = next((token for token in tokens if token.token_type is not TokenType.L_PAREN), tokens[0])
    word = first.text.upper()
    if word in _STATEMENTS:
        raise QueryNotSupportedError(
            f"{word} statements are not answered, only SELECT", text=text, offset=first.start, hint=_READ_ONLY
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
