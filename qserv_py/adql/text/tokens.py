"""ADQL text to tokens: PostgreSQL's of sqlglot with TOP, and a few of them changed before they are parsed.

Function names are marked, so that sqlglot keeps every call as written (name, argument order, place) instead of giving
it PostgreSQL's meaning: LOG is the natural logarithm here.
"""

from __future__ import annotations

import unicodedata
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError
from sqlglot.tokens import Token, TokenType

from qserv_py.adql.text.grammar_words import Reading
from qserv_py.adql.words import PLAIN_SIGNS
from qserv_py.errors import AdqlSyntaxError

MARK = "adql__"
"""Put before function names."""

BACKTICK = "`"

_ORDINARY_WORDS = {
    "GLOB",
    "NOTNULL",
    "GROUPING SETS",
    "PARTITIONED_BY",
    "REGEXP",
    "RETURNING",
    "RLIKE",
    "UNCACHE",
    "XOR",
}
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
_KNOWN_CALLS = {"COUNT", "SUM", "AVG", "MIN", "MAX", "COALESCE"}
"""Functions that sqlglot reads as we do."""

_CLOSE = "Close it; a quote inside a text is written twice."
DIGIT_FIRST = "A name that begins with a digit stands between double quotes."
BEFORE_NAMES = {TokenType.DOT, TokenType.ALIAS}
"""After these, a word is a name whatever it is elsewhere."""


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a text.

    Raises
    ------
    AdqlSyntaxError
        If a quoted string, a delimited name or a comment does not end, nothing stands in the text, or a character
        outside of quotes belongs to no name.
    """
    if "\0" in text:
        raise AdqlSyntaxError(
            "the text holds a NUL character", text=text, offset=text.index("\0"), hint="Leave it out."
        )
    if not is_unicode(text):
        place = next(index for index, character in enumerate(text) if "\ud800" <= character <= "\udfff")
        raise AdqlSyntaxError(
            f"the text holds half a character, the surrogate U+{ord(text[place]):04X}",
            text=text,
            offset=place,
            hint="Leave it out.",
        )
    try:
        tokens: list[Token] = list(DIALECT.tokenize(text))
    except TokenError as error:
        raise AdqlSyntaxError(
            "a quoted string, a delimited name or a comment does not end",
            text=text,
            offset=_open_quote(text),
            hint=next((PLAIN_SIGNS[sign] for sign in text if sign in PLAIN_SIGNS), _CLOSE),
        ) from error
    if not tokens:
        raise AdqlSyntaxError("the query is empty", text=text, offset=0, hint="Write SELECT ... FROM ...")
    for token in tokens:
        if token.token_type is TokenType.VAR and not token.text.isidentifier():
            _check_characters(text, token)
        elif token.token_type is TokenType.IDENTIFIER and text[token.start].isdigit():
            # sqlglot takes "0x1Fg" for a delimited name
            raise _begins_with_digit(text, token)
        elif token.token_type is TokenType.IDENTIFIER and not token.text:
            raise AdqlSyntaxError(
                "a delimited name is empty", text=text, offset=token.start, hint="Write the name between the quotes."
            )
    return _join_words(tokens)


_PAIRS = {word for word in Adql.Tokenizer.KEYWORDS if " " in word}
_SECOND_WORDS = {pair.split()[1] for pair in _PAIRS}


def _join_words(tokens: list[Token]) -> list[Token]:
    """Return the tokens with pairs like GROUP BY made one where a comment stands between the words."""
    if all(token.text.upper() not in _SECOND_WORDS for token in tokens):
        return tokens
    joined: list[Token] = []
    for token in tokens:
        pair = f"{joined[-1].text} {token.text}".upper() if joined and token.token_type is TokenType.VAR else ""
        if pair in _PAIRS and joined[-1].end - joined[-1].start < len(joined[-1].text):  # without quotes
            start, kind = joined.pop().start, Adql.Tokenizer.KEYWORDS[pair]
            token = Token(kind, pair, line=token.line, col=token.col, start=start, end=token.end)
        joined.append(token)
    return joined


def is_unicode(text: str) -> bool:
    """Return whether a text can be written in UTF-8: no half of a surrogate pair stands in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_characters(text: str, token: Token) -> None:
    """Refuse a name with characters that are neither letters, digits, underscores nor dollars: sqlglot takes any."""
    if token.text[0].isdigit():
        raise _begins_with_digit(text, token)
    for offset, character in enumerate(token.text, token.start):
        if not (character.isalnum() or character in "_$" or unicodedata.combining(character)):
            what = f" ({unicodedata.name(character, f'U+{ord(character):04X}')})"
            raise AdqlSyntaxError(
                f"character {character!r}{what} stands outside of quotes",
                text=text,
                offset=offset,
                hint=PLAIN_SIGNS.get(character, "A name with such characters stands between double quotes."),
            )


def _begins_with_digit(text: str, token: Token) -> AdqlSyntaxError:
    return AdqlSyntaxError(
        f'a name begins with a letter, found "{text[token.start]}"', text=text, offset=token.start, hint=DIGIT_FIRST
    )


def _open_quote(text: str) -> int:
    """Return where the quote starts that never ends; 0 when it cannot be told."""
    for quote in ("'", '"', BACKTICK):
        if text.count(quote) % 2:
            return text.rfind(quote)
    return max(0, text.rfind("/*"))


_OTHER_KINDS = {TokenType.CARET: TokenType.HASH, TokenType.DAMP: TokenType.AND}
"""What MySQL's symbols mean: "^" is no power, as in ADQL's drafts and in Qserv, and "&&" is AND."""

_DIVISIONS = {"DIV": TokenType.DIV, "MOD": TokenType.MOD}


_READ_BY_TEXT = {"ASYMMETRIC", "CONNECT_BY_ROOT", "IF", "ROW", "SYMMETRIC", "VARIADIC"}
"""Names that sqlglot's parser looks for by their text, whatever their token is."""

KEPT_APART = "\0"
"""Put after such a name until it has been parsed; no text of a query has it."""


def for_parser(grammar: Reading) -> list[Token]:
    """Return the tokens of a text as sqlglot is to read them; ``restore`` is due for the tree that is made of them.

    Parameters
    ----------
    grammar
        The grammar that has read the text. It knows which tokens are names, where sqlglot has keywords of many dialects
        that ADQL does not know, which are calls, and which words are operators.
    """
    tokens = list(grammar.tokens)
    for place in grammar.names:
        token = tokens[place]
        kind = token.token_type if token.token_type is TokenType.IDENTIFIER else TokenType.VAR
        if token.text.upper() in _READ_BY_TEXT:
            tokens[place] = _changed(token, kind, token.text + KEPT_APART)
        elif token.token_type is not kind:
            tokens[place] = _changed(token, kind)
    for place in grammar.calls:
        if tokens[place].text.upper() not in _KNOWN_CALLS:
            tokens[place] = _changed(tokens[place], TokenType.VAR, MARK + tokens[place].text)
    for place in grammar.divisions:
        tokens[place] = _changed(tokens[place], _DIVISIONS[tokens[place].text.upper()])
    return _join_strings(_other_symbols(_with_other_lengths(tokens, grammar)))


def _with_other_lengths(tokens: list[Token], grammar: Reading) -> list[Token]:
    """Return the tokens with those made one that sqlglot reads as two, and the other way round."""
    made: dict[int, tuple[Token, ...]] = {place: _as_in(tokens[place]) for place in grammar.bracketed}
    for place in grammar.fractions:
        # sqlglot takes the word before a point for a name: DISTINCT .5
        made[place], made[place + 1] = (), (_changed(tokens[place], TokenType.NUMBER, f"0.{tokens[place + 1].text}"),)
    if not made:
        return tokens
    return [one for place, token in enumerate(tokens) for one in made.get(place, (token,))]


def restore(tree: Any) -> None:
    """Undo in a tree what was changed in the tokens: names that were kept apart, EXISTS that was written with IN."""
    for name in list(tree.find_all(exp.Identifier)):
        if name.name == KEPT_APART:
            membership = name.parent.parent
            membership.replace(exp.Exists(this=membership.args["query"].this))
        elif name.name.endswith(KEPT_APART):
            name.set("this", name.name.removesuffix(KEPT_APART))


def _as_in(token: Token) -> tuple[Token, Token]:
    """Return EXISTS as a membership: sqlglot does not read ``EXISTS ((...) OFFSET 1)``."""
    return _changed(token, TokenType.IDENTIFIER, KEPT_APART), _changed(token, TokenType.IN, "IN")


def _changed(token: Token, kind: TokenType, text: str | None = None) -> Token:
    """Return a token as another one in its place."""
    written = token.text if text is None else text
    return Token(kind, written, line=token.line, col=token.col, start=token.start, end=token.end)


def _other_symbols(tokens: list[Token]) -> list[Token]:
    """Return the tokens with symbols of other dialects made those that sqlglot reads with our meaning."""
    return [
        _changed(token, _OTHER_KINDS[token.token_type]) if token.token_type in _OTHER_KINDS else token
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
        joined[-1] = _changed(joined[-1], TokenType.STRING, "".join(parts))
