"""ADQL text to tokens: PostgreSQL's of sqlglot with TOP, and a few of them changed before they are parsed.

Function names are marked, so that sqlglot keeps every call as written (name, argument order, place) instead of giving
it PostgreSQL's meaning: LOG is the natural logarithm here.
"""

from __future__ import annotations

from typing import ClassVar

from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError
from sqlglot.parser import Parser
from sqlglot.tokens import Token, TokenType

from qserv_py.errors import AdqlSyntaxError

MARK = "adql__"
"""Put before function names."""

BACKTICK = "`"

_ORDINARY_WORDS = {"GLOB", "NOTNULL", "PARTITIONED_BY", "REGEXP", "RETURNING", "RLIKE", "UNCACHE", "XOR"}
"""Keywords of other dialects that ADQL does not reserve: columns may be called so."""


class Adql(Postgres):  # type: ignore[misc]
    """PostgreSQL's dialect with TOP. Only the tokenizer differs: the compiled sqlglot allows no other subclass."""

    class Tokenizer(Postgres.Tokenizer):  # type: ignore[misc]
        """PostgreSQL's tokenizer with TOP, and with MySQL's names between backticks."""

        IDENTIFIERS: ClassVar = ['"', BACKTICK]

        KEYWORDS: ClassVar = {
            **{word: kind for word, kind in Postgres.Tokenizer.KEYWORDS.items() if word not in _ORDINARY_WORDS},
            "TOP": TokenType.TOP,
        }


DIALECT = Adql()
_KEEP = {"COUNT", "SUM", "AVG", "MIN", "MAX", "CAST", "COALESCE", "EXISTS", "IN", "VALUES", "AS", "ON", "USING", "AND"}
_KEEP |= {"OR", "NOT", "WHERE", "FROM", "JOIN", "SELECT", "BY", "HAVING", "THEN", "ELSE", "WHEN", "CASE", "BETWEEN"}
_KEEP |= {"LIKE", "ILIKE", "UNION", "EXCEPT", "INTERSECT", "ALL", "ANY", "SOME", "DISTINCT", "TOP", "IS", "OVER"}
_KEEP |= {"FILTER", "WITHIN", "EXTRACT", "INTERVAL", "LATERAL", "TABLESAMPLE", "LIMIT", "OFFSET", "WITH"}

BEFORE_NAMES = {TokenType.DOT, TokenType.ALIAS}
"""After these, a word is a name whatever it is elsewhere."""


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a text.

    Raises
    ------
    AdqlSyntaxError
        If a quoted string, a delimited name or a comment does not end, or nothing stands in the text.
    """
    if "\0" in text:
        raise AdqlSyntaxError(
            "the text holds a NUL character", text=text, offset=text.index("\0"), hint="Leave it out."
        )
    try:
        tokens: list[Token] = list(DIALECT.tokenize(text))
    except TokenError as error:
        raise AdqlSyntaxError(
            "a quoted string, a delimited name or a comment does not end",
            text=text,
            offset=_open_quote(text),
            hint="Close it; a quote inside a text is written twice.",
        ) from error
    if not tokens:
        raise AdqlSyntaxError("the query is empty", text=text, offset=0, hint="Write SELECT ... FROM ...")
    return tokens


def _open_quote(text: str) -> int:
    """Return where the quote starts that never ends; 0 when it cannot be told."""
    for quote in ("'", '"', BACKTICK):
        if text.count(quote) % 2:
            return text.rfind(quote)
    return max(0, text.rfind("/*"))


def for_parser(tokens: list[Token]) -> list[Token]:
    """Return the tokens as sqlglot is to read them."""
    return _mark_functions(_other_operators(_join_strings(tokens)))


_OTHER_KINDS = {TokenType.CARET: TokenType.HASH, TokenType.DAMP: TokenType.AND}
"""What MySQL's symbols mean: "^" is no power, as in ADQL's drafts and in Qserv, and "&&" is AND."""

_WORDS_BETWEEN = {"DIV": TokenType.DIV, "MOD": TokenType.MOD}
"""Words that are operators between two operands, and names or functions anywhere else."""


def _other_operators(tokens: list[Token]) -> list[Token]:
    """Return the tokens with operators of other dialects made those that sqlglot reads with our meaning."""
    changed = []
    for index, token in enumerate(tokens):
        kind = _OTHER_KINDS.get(token.token_type)
        if token.token_type is TokenType.VAR and token.text.upper() in _WORDS_BETWEEN and _is_between(tokens, index):
            kind = _WORDS_BETWEEN[token.text.upper()]
        changed.append(token if kind is None else _as_kind(token, kind))
    return changed


def _as_kind(token: Token, kind: TokenType) -> Token:
    return Token(kind, token.text, line=token.line, col=token.col, start=token.start, end=token.end)


_ENDS_AN_OPERAND = {TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING, TokenType.R_PAREN}
_ENDS_AN_OPERAND |= {TokenType.END, TokenType.HEX_STRING, TokenType.NULL, TokenType.TRUE, TokenType.FALSE}
_ENDS_AN_OPERAND |= Parser.TYPE_TOKENS - {TokenType.UNION}  # columns may be called "number", "text" and so on
_BEGINS_AN_OPERAND = (_ENDS_AN_OPERAND - {TokenType.R_PAREN, TokenType.END}) | {TokenType.L_PAREN, TokenType.CASE}
_BEGINS_AN_OPERAND |= {TokenType.DASH, TokenType.PLUS, TokenType.TILDE}


def _is_between(tokens: list[Token], index: int) -> bool:
    """Whether a word stands between two operands: ``a MOD b``, not ``MOD(a, b)`` nor ``t.mod``."""
    if not 0 < index < len(tokens) - 1 or (index > 1 and tokens[index - 2].token_type is TokenType.TOP):
        return False
    after_dot = index > 1 and tokens[index - 2].token_type is TokenType.DOT
    before, after = tokens[index - 1].token_type, tokens[index + 1].token_type
    return (after_dot or before in _ENDS_AN_OPERAND) and after in _BEGINS_AN_OPERAND


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
        if follows is TokenType.L_PAREN and before not in BEFORE_NAMES and _is_function_name(token):
            token = Token(
                TokenType.VAR, MARK + token.text, line=token.line, col=token.col, start=token.start, end=token.end
            )
        marked.append(token)
    return marked


def _is_function_name(token: Token) -> bool:
    return (
        token.token_type not in {TokenType.IDENTIFIER, TokenType.STRING, *_WORDS_BETWEEN.values()}
        and token.text.upper() not in _KEEP
        and token.text.replace("_", "a").isalnum()
        and not token.text[0].isdigit()
    )
