"""Every token of a text that is accepted has left its mark in sqlglot's tree: nothing is read over.

The tree is searched for names and literals by their places, for words and signs by how many nodes of their kind there
are. What neither accounts for stands in ``SILENT``, with the reason why nothing is lost with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from sqlglot import exp
from sqlglot.tokens import Token, TokenType
from support.mutations import draw, statements

from qserv_py.adql.parse import parse
from qserv_py.adql.text.grammar import Grammar
from qserv_py.adql.text.tokens import tokenize
from qserv_py.errors import QservError

SEED, DRAWN = 11, 1500

SILENT = {
    "CAST": "counted with ::",
    "INNER": "JOIN alone means it",
    "OUTER": "LEFT, RIGHT and FULL alone mean it",
    "ALL": "the usual quantifier of SELECT and of aggregates",
    "ROW": "OFFSET n ROWS, and CURRENT ROW of a frame",
    "ROWS": "the same",
    "NULLS": "the resolver looks at the order of NULL in every key",
    "SYMMETRIC": "the resolver looks at it in every BETWEEN",
    "ASYMMETRIC": "the usual BETWEEN",
    "PRECEDING": "a frame keeps its borders as words",
    "FOLLOWING": "the same",
    "UNBOUNDED": "the same",
    "CURRENT": "the same",
    "WITHIN": "WITHIN GROUP is a node, which the resolver refuses",
    "GROUP": "the same",
}
"""Names that leave no node of their own."""

Counts = Counter[type]


def _of(*kinds: type) -> Callable[[Counts], int]:
    return lambda counts: sum(counts[kind] for kind in kinds)


NODES: dict[str, Callable[[Counts], int]] = {
    "SELECT": _of(exp.Select),
    "FROM": _of(exp.From, exp.NullSafeNEQ, exp.NullSafeEQ),  # IS DISTINCT FROM
    "WHERE": _of(exp.Where),
    "GROUP BY": _of(exp.Group),
    "HAVING": _of(exp.Having),
    "WITH": _of(exp.With),
    "UNION": _of(exp.Union),
    "EXCEPT": _of(exp.Except),
    "INTERSECT": _of(exp.Intersect),
    "CASE": _of(exp.Case),
    "WHEN": _of(exp.If),
    "THEN": _of(exp.If),
    "EXISTS": _of(exp.Exists),
    "IN": _of(exp.In),
    "LIKE": _of(exp.Like),
    "ILIKE": _of(exp.ILike),
    "OR": _of(exp.Or),
    "=": _of(exp.EQ),
    "<>": _of(exp.NEQ),
    "<=": _of(exp.LTE),
    ">=": _of(exp.GTE),
    "/": _of(exp.Div),
    "%": _of(exp.Mod),
    "DIV": _of(exp.IntDiv),
    "||": _of(exp.DPipe),
    "::": _of(exp.Cast),
    "~": _of(exp.BitwiseNot, exp.RegexpLike),
    "BETWEEN": lambda counts: counts[exp.Between] + counts[exp.WindowSpec],
    "AND": lambda counts: counts[exp.And] + counts[exp.Between] + counts[exp.WindowSpec],
}
"""How many nodes a tree has for each word; a frame is taken to be written with BETWEEN."""

_LEAVES = {TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING}
_BEFORE_NAMES = {TokenType.DOT, TokenType.ALIAS, TokenType.DCOLON}


def unaccounted(text: str) -> Iterator[str]:
    """Yield what an accepted text says and its tree does not, or the other way round."""
    nodes = list(parse(text).tree.walk())
    places = {part.meta["start"] for part in nodes if "start" in part.meta}
    tokens = tokenize(text)
    words: Counter[str] = Counter()
    for before, token in zip([tokens[0], *tokens], tokens, strict=False):
        if token.text.upper() in {"DIV", "MOD"} and token.start not in places:
            words[token.text.upper()] += 1
        elif token.token_type in _LEAVES or before.token_type in _BEFORE_NAMES:
            if not _is_leaf(token, before, places):
                yield f"{token.text} at {token.start}"
            words["::"] += token.text.upper() == "CAST" and token.start not in places
        else:
            words[token.text.upper()] += 1
    words["<>"] += words["!="]
    words["FROM"] += words["<=>"]
    words["AND"] += words["&&"]
    words["%"] += words["MOD"]
    counts: Counts = Counter(type(part) for part in nodes)
    for word, count in NODES.items():
        if count(counts) != words[word]:
            yield f"{word}: {words[word]} in the text, {count(counts)} in the tree"


def _is_leaf(token: Token, before: Token, places: set[int]) -> bool:
    """Return whether a name or a literal has a node in its place, or needs none."""
    if token.start in places or token.text.upper() in SILENT:
        return True
    if token.token_type is TokenType.NUMBER and before.token_type is TokenType.DOT:
        return before.start in places
    if token.token_type is TokenType.STRING and before.token_type is TokenType.STRING:
        return True  # it goes on in a further line
    # types are no names: one follows AS in CAST and "::"; of WITH t AS ( nothing is lost
    return before.token_type in _BEFORE_NAMES and token.token_type not in _LEAVES


def _accepted(text: str) -> bool:
    try:
        parse(text)
    except QservError:
        return False
    return True


def test_no_token_is_read_over() -> None:
    texts = [*statements(), *(draw(SEED, number) for number in range(DRAWN))]
    accepted = [text for text in texts if _accepted(text)]
    assert len(accepted) > 500
    lost = {text: found for text in accepted if (found := list(unaccounted(text)))}
    assert not lost


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a FROM FROM t",
        "SELECT a FROM t WHERE a BETWEEN 1 2",
        "SELECT CASE WHEN a = 1 2 END FROM t",
        "SELECT a FROM t WHERE a IN (.1) AND IN = 2",
    ],
)
def test_a_token_that_is_read_over_would_be_found(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grammar, "read", lambda self: None)
    assert list(unaccounted(text))
