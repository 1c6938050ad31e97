"""ADQL text to sqlglot's tree.

ADQL is read as sqlglot's PostgreSQL dialect with one more token, TOP. The size and the nesting of a text are bounded
before any parsing.
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
from sqlglot.tokens import Token

from qserv_py.adql.blocks.show import Show, is_show, read_show
from qserv_py.adql.strict.check import SERVICE_FUNCTIONS, check_strict
from qserv_py.adql.text.grammar import Grammar
from qserv_py.adql.text.token_checks import check_bounds, check_start, check_tokens, one_statement
from qserv_py.adql.text.tokens import BACKTICK, DIALECT, KEPT_APART, MARK, for_parser, restore, tokenize
from qserv_py.errors import AdqlError, AdqlSyntaxError, LimitError

MAX_TEXT = 1_000_000
"""Characters of a query."""


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
    check_bounds(tokens)
    tokens = one_statement(text, tokens)
    if is_show(tokens):
        return _shown(text, tokens, mode)
    check_start(text, tokens)
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
    check_tokens(text, tokens, names)
    grammar = Grammar(text, tokens, names)
    grammar.read()
    return grammar


def _free_case(tree: Any, text: str) -> None:
    """Let names between backticks be found whatever their case, as MySQL finds columns."""
    for name in tree.find_all(exp.Identifier):
        start = name.meta.get("start")
        if start is not None and text[start] == BACKTICK:
            name.set("quoted", False)


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
