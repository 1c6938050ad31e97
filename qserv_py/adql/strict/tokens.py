"""The tokens of ADQL 2.1 and no others: what the strict checker reads.

sqlglot's tokenizer knows comments, numbers and quotes of many dialects; a text that only it understands would pass
unseen. Here every character is accounted for by the standard's lexical rules, in one pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum

from qserv_py.adql.words import FOREIGN_SYMBOLS
from qserv_py.errors import AdqlSyntaxError


class TokenKind(IntEnum):
    """What a token is."""

    NAME = 1
    """A regular identifier or a word of the language."""

    DELIMITED = 2
    INTEGER = 3
    REAL = 4
    STRING = 5
    SYMBOL = 6
    END = 7


@dataclass(slots=True)
class Tokens:
    """The tokens of a text, a list for each of their properties; the last one is the end."""

    text: str
    kinds: list[TokenKind] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    """Upper-case word of a name, the symbol of a symbol, empty for anything else."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def continues(self, index: int) -> bool:
        """Return whether a string goes on from the string before it: a line ends between them."""
        return "\n" in self.text[self.ends[index - 1] : self.starts[index]]

    def shown(self, index: int) -> str:
        """Return a token as a message shows it."""
        if self.kinds[index] is TokenKind.END:
            return "the end"
        written = self.text[self.starts[index] : self.ends[index]]
        written = written if len(written) <= 40 else f"{written[:40]}..."
        return written if self.kinds[index] is TokenKind.STRING else f'"{written}"'


_LONG_FOREIGN = "|".join(re.escape(symbol) for symbol in sorted(FOREIGN_SYMBOLS, key=len, reverse=True) if symbol[1:])
_TOKEN = re.compile(
    rf"""
      (?P<space>     (?: [ \t\r\n\f\v]+ | --[^\n]* )++ )
    | (?P<name>      [A-Za-z][A-Za-z0-9_]* )
    | (?P<real>      (?: [0-9]++\.[0-9]*+ | \.[0-9]++ ) (?: [eE][+-]?[0-9]++ )? | [0-9]++[eE][+-]?[0-9]++ )
    | (?P<integer>   [0-9]++ )
    | (?P<string>    '[^']*+(?:''[^']*+)*+' )
    | (?P<delimited> "(?:[^"]|"")++" )
    | (?P<foreign>   {_LONG_FOREIGN} )
    | (?P<symbol>    <> | != | <= | >= | \|\| | [=<>+\-*/(),.] )
    """,
    re.VERBOSE,
)
_KINDS = {
    "name": TokenKind.NAME,
    "real": TokenKind.REAL,
    "integer": TokenKind.INTEGER,
    "string": TokenKind.STRING,
    "delimited": TokenKind.DELIMITED,
    "symbol": TokenKind.SYMBOL,
}
_NO_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]|[0-9]*+\.?+[0-9]*+(?:[eE](?![0-9+-])|[eE][+-](?![0-9])|_|[^\x00-\x7f])")
"""What begins as a number and is none. Other letters may follow at once: ``ORDER BY 2desc`` is in IVOA's collection."""

_NUMBERS = {TokenKind.REAL, TokenKind.INTEGER}


def tokenize(text: str) -> Tokens:
    """Return the tokens of a text.

    Raises
    ------
    AdqlSyntaxError
        At the first character that no token of ADQL 2.1 begins with.
    """
    tokens = Tokens(text)
    place, end = 0, len(text)
    match_at = _TOKEN.match
    while place < end:
        match = match_at(text, place)
        if match is None or match.lastgroup == "foreign":
            raise _strange(text, place, match[0] if match else text[place])
        group, start, place = match.lastgroup or "", place, match.end()
        if group == "space":
            continue
        kind = _KINDS[group]
        if kind in _NUMBERS and _NO_NUMBER.match(text, start):
            raise _bad_number(text, start, place)
        tokens.kinds.append(kind)
        tokens.words.append(match[0].upper() if kind is TokenKind.NAME else match[0] if group == "symbol" else "")
        tokens.starts.append(start)
        tokens.ends.append(place)
    tokens.kinds.append(TokenKind.END)
    tokens.words.append("")
    tokens.starts.append(len(text.rstrip()))
    tokens.ends.append(end)
    return tokens


def _strange(text: str, place: int, symbol: str) -> AdqlSyntaxError:
    character = text[place]
    if symbol in FOREIGN_SYMBOLS:
        return AdqlSyntaxError(f'"{symbol}" is not ADQL 2.1', text=text, offset=place, hint=FOREIGN_SYMBOLS[symbol])
    if character in "'\"":
        empty = text.startswith('""', place)
        what = "a delimited name is empty" if empty else "a quoted string or a delimited name does not end"
        return AdqlSyntaxError(what, text=text, offset=place)
    if character == "_":
        return AdqlSyntaxError(
            "a name begins with a letter, found an underscore",
            text=text,
            offset=place,
            hint="Write the name between double quotes, as the schema spells it.",
        )
    return AdqlSyntaxError(
        f"character {character!r} stands outside of quotes",
        text=text,
        offset=place,
        hint="Write names with such characters between double quotes, as the schema spells them.",
    )


def _bad_number(text: str, start: int, place: int) -> AdqlSyntaxError:
    if text[start:place] == "0" and text[place] in "xX":
        return AdqlSyntaxError(
            "hexadecimal numbers are not ADQL 2.1",
            text=text,
            offset=start,
            hint="Write the number with decimal digits; lenient mode takes it.",
        )
    return AdqlSyntaxError(
        f'a number is followed by "{text[place]}"',
        text=text,
        offset=start,
        hint="A name begins with a letter, or stands between double quotes.",
    )
