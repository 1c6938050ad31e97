"""The grammar of ADQL 2.1, read from the text of the standard's appendix A (``tests/data/adql``).

A production that is in ``amendments.bnf`` too is read from there; docs/reference/adql.md says of each why. ``...`` is
zero or more times, as the standard says in section 2, but in the productions of single tokens, where it can only be
one or more: a number has digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "data" / "adql"
START = "query_specification"

TOKENS = (
    "regular_identifier",
    "delimited_identifier",
    "character_string_literal",
    "unsigned_decimal",
    "exact_numeric_literal",
    "approximate_numeric_literal",
)
"""Productions that make one token out of characters."""


@dataclass(frozen=True)
class Name:
    """A production by its name."""

    name: str


@dataclass(frozen=True)
class Terminal:
    """A word of the language, or a symbol."""

    text: str


@dataclass(frozen=True)
class Repeated:
    """What may stand several times; it stands once at least when ``once``."""

    what: Node
    once: bool = False


@dataclass(frozen=True)
class Alternatives:
    """One of several things; an empty sequence among them makes it optional."""

    options: tuple[Sequence, ...]


@dataclass(frozen=True)
class Sequence:
    """Things one after the other."""

    parts: tuple[Node, ...]


Node = Name | Terminal | Repeated | Alternatives | Sequence
_HEAD = re.compile(r"^\s*<([^<>\n]+)>\s*::?=", re.MULTILINE)
_PIECE = re.compile(r'<\s*[A-Za-z][A-Za-z0-9_ ]*>|"""|"[^"]+"|\.\.\.|[A-Za-z_0-9]+(?:-[A-Z]+)?|\S')


def _productions(file: str) -> dict[str, str]:
    text = (FOLDER / file).read_text(encoding="utf-8")
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {_spelled(head[1]): text[head.end() : end].strip() for head, end in zip(heads, ends, strict=True)}


def _spelled(name: str) -> str:
    """Return a name in its one spelling: the standard writes some with spaces."""
    return name.strip().replace(" ", "_")


@cache
def standard() -> dict[str, str]:
    """Return the right sides of the standard's productions."""
    return _productions("adql-2.1.bnf")


@cache
def amendments() -> dict[str, str]:
    """Return the right sides of the productions that are read otherwise."""
    return _productions("amendments.bnf")


def reserved_words() -> frozenset[str]:
    """Return the words that are no regular identifiers."""
    return frozenset(
        word for name in ("SQL_reserved_word", "ADQL_reserved_word") for word in standard()[name].split() if word != "|"
    )


class _Reader:
    """Reads the right side of one production."""

    def __init__(self, text: str, *, once: bool) -> None:
        self._pieces = [*_PIECE.findall(text), ""]
        self._at = 0
        self._once = once

    def read(self) -> Alternatives:
        found = self._alternatives()
        assert not self._pieces[self._at], self._pieces
        return found

    def _alternatives(self) -> Alternatives:
        options = [self._sequence()]
        while self._pieces[self._at] == "|":
            self._at += 1
            options.append(self._sequence())
        return Alternatives(tuple(options))

    def _sequence(self) -> Sequence:
        parts: list[Node] = []
        while self._pieces[self._at] not in {"", "|", "]", "}"}:
            parts.append(self._part())
            if self._pieces[self._at] == "...":
                self._at += 1
                parts[-1] = Repeated(parts[-1], once=self._once)
        return Sequence(tuple(parts))

    def _part(self) -> Node:
        piece = self._pieces[self._at]
        self._at += 1
        if piece in {"[", "{"}:
            inside = self._alternatives()
            assert self._pieces[self._at] == {"[": "]", "{": "}"}[piece]
            self._at += 1
            return inside if piece == "{" else Alternatives((*inside.options, Sequence(())))
        if piece.startswith("<") and piece.endswith(">") and len(piece) > 2:
            return Name(_spelled(piece[1:-1]))
        return Terminal(piece[1:-1] if len(piece) > 2 and piece[0] == '"' else piece)


@cache
def production(name: str) -> Alternatives:
    """Return what a name stands for."""
    text = {**standard(), **amendments()}[name]
    if re.fullmatch(r'\S|"[^"]+"|"""', text):
        return Alternatives((Sequence((Terminal(text[1:-1] if len(text) > 2 else text),)),))
    return _Reader(text, once=name in LEXICAL).read()


LEXICAL = {
    *TOKENS,
    "delimited_identifier_body",
    "delimited_identifier_part",
    "double_quote_symbol",
    "character_representation",
    "quote_symbol",
    "mantissa",
    "exponent",
}


@cache
def reachable() -> frozenset[str]:
    """Return the productions above tokens that a query is made of."""
    found, open_names = set[str](), [START]
    while open_names:
        name = open_names.pop()
        if name not in found and name not in TOKENS:
            found.add(name)
            open_names += names_in(production(name))
    return frozenset(found)


def names_in(node: Node) -> list[str]:
    """Return the names that stand in a right side."""
    if isinstance(node, Name):
        return [node.name]
    if isinstance(node, Terminal):
        return []
    parts = (node.what,) if isinstance(node, Repeated) else getattr(node, "options", None) or getattr(node, "parts", ())
    return [name for part in parts for name in names_in(part)]


@cache
def plain_rules() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the grammar above tokens without brackets and without empty rules.

    Names of productions are written ``<name>``; a token or a word of the language stands for itself.
    """
    rules: dict[str, tuple[tuple[str, ...], ...]] = {}
    for name in reachable():
        rules[f"<{name}>"] = tuple(dict.fromkeys(_flat(production(name), rules)))
    assert all(option for options in rules.values() for option in options)
    return rules


def _flat(node: Node, rules: dict[str, tuple[tuple[str, ...], ...]]) -> list[tuple[str, ...]]:
    """Return the sequences of names and terminals that a right side stands for; helpers are added to the rules."""
    if isinstance(node, Name):
        return [(node.name if node.name in TOKENS else f"<{node.name}>",)]
    if isinstance(node, Terminal):
        return [(node.text,)]
    if isinstance(node, Alternatives):
        return [flat for option in node.options for flat in _flat(option, rules)]
    if isinstance(node, Sequence):
        parts = [_flat(part, rules) for part in node.parts]
        return [tuple(symbol for piece in chosen for symbol in piece) for chosen in product(*parts)]
    helper = f"<{node.what}>"
    once = [flat for flat in _flat(node.what, rules) if flat]
    rules[helper] = tuple(dict.fromkeys([*once, *((helper, *flat) for flat in once)]))
    return [(helper,), *(() if node.once else ((),))]
