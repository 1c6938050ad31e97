"""What is refused before a text is parsed: too much of it, several statements, commas and tokens out of place.

sqlglot recurses as deep as a text nests, reads over some faults and keeps no place of others.
"""

from __future__ import annotations

from sqlglot.tokens import Token, TokenType

from qserv_py.adql.tokens import BEFORE_NAMES
from qserv_py.errors import AdqlSyntaxError, LimitError, QueryNotSupportedError

MAX_DEPTH = 100
"""Nesting of parentheses; sqlglot recurses."""

MAX_CHAIN = 5_000
"""Operators of one text; sqlglot nests a chain of ANDs as deep as it is long."""

MAX_TOKENS = 250_000
"""Words, numbers and symbols of one text; sqlglot makes about 80,000 columns a second."""


def check_tokens(text: str, tokens: list[Token]) -> None:
    """Refuse a comma with nothing beside it, tokens that no query has, and shifts torn apart."""
    _check_commas(text, tokens)
    _check_each(text, tokens)


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


def check_start(text: str, tokens: list[Token]) -> None:
    """Refuse what is no query, by its first word."""
    first = next((token for token in tokens if token.token_type is not TokenType.L_PAREN), tokens[0])
    word = first.text.upper()
    if word in _STATEMENTS:
        raise QueryNotSupportedError(f"{word} statements are not answered, only SELECT", text=text, offset=first.start)
    if word not in {"SELECT", "WITH"}:
        raise AdqlSyntaxError(f'expected SELECT, found "{first.text}"', text=text, offset=first.start)


_ENDS_A_LIST = {TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.ORDER_BY}
_ENDS_A_LIST |= {TokenType.R_PAREN, TokenType.COMMA, TokenType.OFFSET, TokenType.LIMIT, TokenType.UNION}


_BEGINS_A_LIST = {TokenType.SELECT, TokenType.FROM, TokenType.GROUP_BY, TokenType.ORDER_BY, TokenType.L_PAREN}
_BEGINS_A_LIST |= {TokenType.WHERE, TokenType.HAVING, TokenType.DISTINCT}


def _check_commas(text: str, tokens: list[Token]) -> None:
    """Refuse a comma with nothing before or after it; sqlglot reads over some of them."""
    for index, token in enumerate(tokens):
        if token.token_type is not TokenType.COMMA:
            continue
        if index and tokens[index - 1].token_type in _BEGINS_A_LIST:
            raise AdqlSyntaxError('expected an expression, found ","', text=text, offset=token.start)
        follows = tokens[index + 1] if index + 1 < len(tokens) else None
        if follows is not None and follows.token_type is TokenType.LIMIT and not _is_number(tokens, index + 2):
            continue  # a column may be called so
        if follows is None or follows.token_type in _ENDS_A_LIST:
            found = f'"{follows.text}"' if follows else "the end"
            place = follows.start if follows else len(text.rstrip())
            raise AdqlSyntaxError(f'expected an expression after ",", found {found}', text=text, offset=place)


def _is_number(tokens: list[Token], index: int) -> bool:
    return index < len(tokens) and tokens[index].token_type is TokenType.NUMBER


_REFUSED = {
    TokenType.PLACEHOLDER: ("a parameter", "Write the value."),
    TokenType.PARAMETER: ("a parameter", "Write the value."),
    TokenType.COLON: ('":"', "A parameter cannot be bound: write the value."),
    TokenType.CURRENT_USER: ("CURRENT_USER", ""),
    TokenType.SESSION_USER: ("SESSION_USER", ""),
    TokenType.LOCALTIME: ("LOCALTIME", ""),
    TokenType.LOCALTIMESTAMP: ("LOCALTIMESTAMP", ""),
    TokenType.CURRENT_DATE: ("CURRENT_DATE", "Write the time as text: '2026-01-31T12:00:00'."),
    TokenType.CURRENT_TIME: ("CURRENT_TIME", "Write the time as text: '2026-01-31T12:00:00'."),
    TokenType.CURRENT_TIMESTAMP: ("CURRENT_TIMESTAMP", "Write the time as text: '2026-01-31T12:00:00'."),
    TokenType.FETCH: ("FETCH FIRST", "Write TOP n after SELECT, or LIMIT n at the end."),
}
"""Tokens that no query may have, and what to write instead; sqlglot keeps no place of some of them."""


def _check_each(text: str, tokens: list[Token]) -> None:
    for index, token in enumerate(tokens):
        if token.token_type in _REFUSED and (not index or tokens[index - 1].token_type not in BEFORE_NAMES):
            what, hint = _REFUSED[token.token_type]
            raise QueryNotSupportedError(f"{what} is not answered", text=text, offset=token.start, hint=hint)
        before = tokens[index - 1] if index and token.token_type in _SHIFTS else token
        if before.token_type is token.token_type and before.end + 1 < token.start:
            # sqlglot reads "< <" as "<<"
            raise AdqlSyntaxError(f'unexpected "{token.text}"', text=text, offset=token.start)


_SHIFTS = {TokenType.LT, TokenType.GT}
