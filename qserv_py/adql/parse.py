"""ADQL text to sqlglot's tree.

ADQL is read as sqlglot's PostgreSQL dialect with one more token, TOP. Function names are marked before parsing, so that
sqlglot keeps every call as written (name, argument order, place) instead of giving it PostgreSQL's meaning: LOG is the
natural logarithm here. The size and the nesting of a text are bounded before any parsing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokens import Token, TokenType

from qserv_py.adql.strict import check_strict
from qserv_py.errors import AdqlSyntaxError, LimitError, QueryNotSupportedError

MAX_TEXT = 1_000_000
"""Characters of a query."""

MAX_DEPTH = 100
"""Nesting of parentheses; sqlglot recurses."""

MAX_CHAIN = 5_000
"""Operators of one text; sqlglot nests a chain of ANDs as deep as it is long."""

MAX_TOKENS = 250_000
"""Words, numbers and symbols of one text; sqlglot makes about 80,000 columns a second."""

MARK = "adql__"
"""Put before function names."""


_ORDINARY_WORDS = {"GLOB", "NOTNULL", "PARTITIONED_BY", "REGEXP", "RETURNING", "RLIKE", "UNCACHE", "XOR"}
"""Keywords of other dialects that ADQL does not reserve: columns may be called so."""


class Adql(Postgres):  # type: ignore[misc]
    """PostgreSQL's dialect with TOP. Only the tokenizer differs: the compiled sqlglot allows no other subclass."""

    class Tokenizer(Postgres.Tokenizer):  # type: ignore[misc]
        """PostgreSQL's tokenizer with TOP."""

        KEYWORDS: ClassVar = {
            **{word: kind for word, kind in Postgres.Tokenizer.KEYWORDS.items() if word not in _ORDINARY_WORDS},
            "TOP": TokenType.TOP,
        }


_DIALECT = Adql()
_KEEP = {"COUNT", "SUM", "AVG", "MIN", "MAX", "CAST", "COALESCE", "EXISTS", "IN", "VALUES", "AS", "ON", "USING", "AND"}
_KEEP |= {"OR", "NOT", "WHERE", "FROM", "JOIN", "SELECT", "BY", "HAVING", "THEN", "ELSE", "WHEN", "CASE", "BETWEEN"}
_KEEP |= {"LIKE", "ILIKE", "UNION", "EXCEPT", "INTERSECT", "ALL", "ANY", "SOME", "DISTINCT", "TOP", "IS", "OVER"}
_KEEP |= {"FILTER", "WITHIN", "EXTRACT", "INTERVAL", "LATERAL", "TABLESAMPLE", "LIMIT", "OFFSET", "WITH"}
_BEFORE_NAMES = {TokenType.DOT, TokenType.ALIAS}


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
    """``sqlglot.exp.Query``."""


def parse(text: str, *, mode: Mode = Mode.LENIENT) -> ParsedQuery:
    """Parse one ADQL query.

    Parameters
    ----------
    text
        The query.
    mode
        What is taken for ADQL.

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
    tokens = _tokenize(text)
    _check_bounds(tokens)
    tokens = _strip_semicolon(text, tokens)
    _check_start(text, tokens)
    if mode is Mode.STRICT:
        check_strict(text)
    _check_commas(text, tokens)
    _check_tokens(text, tokens)
    tokens = _mark_functions(_exclusive_or(_join_strings(tokens)))
    try:
        trees = _DIALECT.parser().parse(tokens, text)
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
    return ParsedQuery(text, tree)


def _tokenize(text: str) -> list[Token]:
    if "\0" in text:
        raise AdqlSyntaxError("the text holds a NUL character", text=text, offset=text.index("\0"))
    try:
        tokens: list[Token] = list(_DIALECT.tokenize(text))
    except TokenError as error:
        raise AdqlSyntaxError(
            "a quoted string, a delimited name or a comment does not end", text=text, offset=_open_quote(text)
        ) from error
    if not tokens:
        raise AdqlSyntaxError("the query is empty", text=text, offset=0, hint="Write SELECT ... FROM ...")
    return tokens


def _open_quote(text: str) -> int:
    """Return where the quote starts that never ends; 0 when it cannot be told."""
    for quote in ("'", '"'):
        if text.count(quote) % 2:
            return text.rfind(quote)
    return max(0, text.rfind("/*"))


def _check_bounds(tokens: list[Token]) -> None:
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


def _strip_semicolon(text: str, tokens: list[Token]) -> list[Token]:
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


def _check_start(text: str, tokens: list[Token]) -> None:
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


def _check_tokens(text: str, tokens: list[Token]) -> None:
    for index, token in enumerate(tokens):
        if token.token_type in _REFUSED and (not index or tokens[index - 1].token_type not in _BEFORE_NAMES):
            what, hint = _REFUSED[token.token_type]
            raise QueryNotSupportedError(f"{what} is not answered", text=text, offset=token.start, hint=hint)
        before = tokens[index - 1] if index and token.token_type in _SHIFTS else token
        if before.token_type is token.token_type and before.end + 1 < token.start:
            # sqlglot reads "< <" as "<<"
            raise AdqlSyntaxError(f'unexpected "{token.text}"', text=text, offset=token.start)


_SHIFTS = {TokenType.LT, TokenType.GT}


def _exclusive_or(tokens: list[Token]) -> list[Token]:
    """Return the tokens with "^" made PostgreSQL's "#": in ADQL's drafts and in Qserv it is no power."""
    return [
        Token(TokenType.HASH, token.text, line=token.line, col=token.col, start=token.start, end=token.end)
        if token.token_type is TokenType.CARET
        else token
        for token in tokens
    ]


def _join_strings(tokens: list[Token]) -> list[Token]:
    """Return the tokens with strings that follow each other made one, as in SQL-92."""
    joined: list[Token] = []
    parts: list[str] = []
    for token in tokens:
        if token.token_type is not TokenType.STRING or not joined or joined[-1].token_type is not TokenType.STRING:
            _finish_string(joined, parts)
            parts = [token.text]
            joined.append(token)
        else:
            parts.append(token.text)
    _finish_string(joined, parts)
    return joined


def _finish_string(joined: list[Token], parts: list[str]) -> None:
    """Give the last token the text of all its parts."""
    if len(parts) > 1:
        first = joined[-1]
        joined[-1] = Token(
            TokenType.STRING, "".join(parts), line=first.line, col=first.col, start=first.start, end=first.end
        )


def _mark_functions(tokens: list[Token]) -> list[Token]:
    """Return the tokens with ``MARK`` before each name that opens a call."""
    marked = []
    for index, token in enumerate(tokens):
        follows = tokens[index + 1].token_type if index + 1 < len(tokens) else None
        before = tokens[index - 1].token_type if index else None
        if follows is TokenType.L_PAREN and before not in _BEFORE_NAMES and _is_function_name(token):
            token = Token(
                TokenType.VAR, MARK + token.text, line=token.line, col=token.col, start=token.start, end=token.end
            )
        marked.append(token)
    return marked


def _is_function_name(token: Token) -> bool:
    return (
        token.token_type is not TokenType.IDENTIFIER
        and token.text.upper() not in _KEEP
        and token.text.replace("_", "a").isalnum()
        and not token.text[0].isdigit()
        and token.token_type is not TokenType.STRING
    )


def _syntax_error(text: str, error: ParseError) -> AdqlSyntaxError:
    """Turn sqlglot's message into one with our words and the place."""
    details = error.errors[0] if error.errors else {}
    highlight = str(details.get("highlight") or "").removeprefix(MARK)
    description = str(details.get("description") or "the query cannot be read").rstrip(". ")
    offset = _offset(text, details)
    if "SENTINEL" in description:
        description = "the query ends too early"
        offset = len(text.rstrip())
    elif "Invalid expression / Unexpected token" in description or not description:
        description = f'unexpected "{highlight}"' if highlight else "the query ends too early"
    elif description.startswith("Required keyword"):
        description = f'something is missing near "{highlight}"'
    elif description.startswith("Expecting )"):
        description = 'expected ")"'
    else:
        description = description[0].lower() + description[1:]
    return AdqlSyntaxError(description.replace(MARK, ""), text=text, offset=offset)


def _offset(text: str, details: dict[str, Any]) -> int:
    line, column = int(details.get("line") or 0), int(details.get("col") or 0)
    highlight = str(details.get("highlight") or "").removeprefix(MARK)
    if not line or not column:
        return len(text.rstrip())
    starts = [0]
    for part in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(part))
    # sqlglot gives the column of a token's last character
    return max(0, min(starts[line - 1] + column - len(highlight), len(text)))
