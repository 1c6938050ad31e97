"""Statements of the tests and of the documentation made wrong in many ways, and whether each is answered or refused."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from support.catalogs import catalog

from qserv_py.adql.functions import AGGREGATES, FUNCTIONS, SHAPE_NAMES
from qserv_py.adql.parse import Mode
from qserv_py.adql.validate import find_problem
from qserv_py.errors import InternalError, QservError

_TESTS = Path(__file__).resolve().parent.parent
MOST_CPU_S = 2.0

WORDS = re.split(
    r"\s+",
    """
    SELECT FROM WHERE AND OR NOT IN IS NULL LIKE ILIKE BETWEEN GROUP BY ORDER HAVING TOP DISTINCT AS ASC DESC OFFSET
    JOIN INNER LEFT FULL OUTER CROSS NATURAL ON USING UNION ALL EXCEPT INTERSECT WITH CASE WHEN THEN ELSE END CAST
    COALESCE EXISTS OVER FILTER LIMIT ROLLUP LATERAL VALUES INTERVAL EXTRACT TRUE FALSE ARRAY ROW TABLE WINDOW FETCH
    FIRST NEXT ROWS ONLY FOR UPDATE INTO INSERT DROP RETURNING TABLESAMPLE COLLATE ESCAPE SIMILAR TO ANY SOME
    PARTITION PRECEDING FOLLOWING CURRENT UNBOUNDED NULLS LAST DIV MOD XOR REGEXP RECURSIVE GROUPING SETS DOUBLE
    PRECISION TIMESTAMP DATE POINT CIRCLE SHOW TABLES EXPLAIN ISNULL STRUCT MAP LIST JSON PIVOT SEMI QUALIFY
    Object Source Visit Mixed Shared Draft dr1 dr2 o s t objectId ra dec nObs gFlux label extended obsTime band stamp
    visit healpix29 * ( ) ( ) , . ; + - / % || = <> != < > <= >= :: : ? $1 @ # & | ^ ~ [ ] { } ' " -- /* */ \\
    == <=> && => := -> ->> #> @> <@ ?| ?& !~ ~* ~~ ` ``x`` $$ $a$ |> {{ }} {% %} .. ... ** // !
    0 1 2 -1 1.5 1e3 1e999 .5 0x1F 99999999999999999999 'a' '' 'it''s' '2020-01-01' "objectId" "" "a""b" é λ \U0001f52d
    1e 0x 1_000 1.2.3 2mass e'\\n' x'1F' b'101' n'a' u&'a' 5. 0x1FFFFFFFFFFFFFFFFFFFF 9223372036854775808 1e-400
    \u2018g\u2019 \u201cra\u201d \u00a0 \u2212 \ufeff \u200b \u0301 \ud800 \x00 \x01 \x1a \x7f
    """.strip(),
)
"""Words of the language and of others, names of the catalogue, signs and numbers of odd kinds."""

VOCABULARY = (*WORDS, *FUNCTIONS, *SHAPE_NAMES, *AGGREGATES)
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|0x\w+|--[^\n]*|\s+|\w+|<>|!=|<=|>=|\|\||::|<<|>>|.""", re.DOTALL)
_CLAUSES = {"SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "ON", "JOIN", "UNION", "WITH"}

Tokens = list[str]


@cache
def statements() -> tuple[str, ...]:
    """Return the statements of the plans and of the documentation."""
    found = set()
    for path in sorted((_TESTS / "plans").glob("*.txt")):
        for case in path.read_text(encoding="utf-8").split("=" * 100):
            lines = [line for line in case.split("-" * 100)[0].splitlines() if not line.startswith("--")]
            found.add("\n".join(lines).strip())
    for path in sorted((_TESTS.parent / "docs").rglob("*.md")):
        found.update(re.findall(r"`((?:SELECT|WITH) [^`]+ FROM [^`]+)`", path.read_text(encoding="utf-8")))
    return tuple(sorted(text for text in found if 6 < len(text) < 2_000))


def split(statement: str) -> Tokens:
    """Return the tokens of a statement, the blanks between them among them."""
    return _TOKEN.findall(statement)


def mutated(
    rng: random.Random, statement: str, *, vocabulary: Sequence[str] = VOCABULARY, harmless: bool = False
) -> str:
    """Return a statement with one to four changes.

    Parameters
    ----------
    vocabulary
        What is put in.
    harmless
        Leave out huge numbers, deep nests and odd characters.
    """
    tokens = split(statement)
    changes = _TOKEN_CHANGES if harmless else _CHANGES
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        if tokens:
            tokens = rng.choice(changes)(rng, tokens, vocabulary)
    text = "".join(tokens)
    return _damaged(rng, text) if not harmless and rng.random() < 0.1 else text


def _place(rng: random.Random, tokens: Tokens) -> int:
    """Return the place of a token that is no blank, if there is one."""
    places = [place for place, token in enumerate(tokens) if not token.isspace()]
    return rng.choice(places) if places else 0


def _delete(rng: random.Random, tokens: Tokens, _: Sequence[str]) -> Tokens:
    place = _place(rng, tokens)
    return tokens[:place] + tokens[place + rng.choice((1, 1, 1, 3)) :]


def _double(rng: random.Random, tokens: Tokens, _: Sequence[str]) -> Tokens:
    place = _place(rng, tokens)
    return [*tokens[: place + 1], " ", *tokens[place:]]


def _swap(rng: random.Random, tokens: Tokens, _: Sequence[str]) -> Tokens:
    one, other = _place(rng, tokens), _place(rng, tokens)
    tokens[one], tokens[other] = tokens[other], tokens[one]
    return tokens


def _insert(rng: random.Random, tokens: Tokens, vocabulary: Sequence[str]) -> Tokens:
    place = _place(rng, tokens)
    return [*tokens[:place], " ", rng.choice(vocabulary), " ", *tokens[place:]]


def _replace(rng: random.Random, tokens: Tokens, vocabulary: Sequence[str]) -> Tokens:
    tokens[_place(rng, tokens)] = rng.choice(vocabulary)
    return tokens


def _swap_clauses(rng: random.Random, tokens: Tokens, _: Sequence[str]) -> Tokens:
    starts = [place for place, token in enumerate(tokens) if token.upper() in _CLAUSES]
    if len(starts) < 3:
        return _swap(rng, tokens, ())
    first, second, third = sorted(rng.sample(starts, 3))
    return [*tokens[:first], *tokens[second:third], *tokens[first:second], *tokens[third:]]


def _huge_number(rng: random.Random, tokens: Tokens, _: Sequence[str]) -> Tokens:
    digits = "7" * rng.choice((20, 40, 400, 5_000))
    number = rng.choice((digits, f"{digits}.5", f"0.{digits}", f"1e{digits[:30]}", f"0x{digits}", f"-{digits}"))
    places = [place for place, token in enumerate(tokens) if token.isdecimal()]
    tokens[rng.choice(places) if places else _place(rng, tokens)] = number
    return tokens


def _nest(rng: random.Random, tokens: Tokens, _: Sequence[str]) -> Tokens:
    """Put a token deep into brackets, calls, CASEs, signs or sub-queries."""
    place = _place(rng, tokens)
    before, after = rng.choice(
        (
            ("(", ")"),
            ("ABS(", ")"),
            ("CASE WHEN 1=1 THEN ", " END"),
            ("CAST(", " AS REAL)"),
            ("(SELECT ", " FROM Object)"),
            ("- ", ""),
            ("NOT ", ""),
            ("COALESCE(1, ", ")"),
            ("", " || 'x'"),
            ("", " OR 1=1"),
            ("1+", ""),
        )
    )
    depth = rng.choice((3, 30, 99, 300))
    return [*tokens[:place], before * depth, tokens[place], after * depth, *tokens[place + 1 :]]


Change = Callable[[random.Random, Tokens, Sequence[str]], Tokens]

_TOKEN_CHANGES: tuple[Change, ...] = (
    *(_delete, _delete, _double, _double, _swap, _swap),
    *(_insert, _insert, _replace, _replace, _replace, _swap_clauses, _swap_clauses),
)
_CHANGES: tuple[Change, ...] = (*_TOKEN_CHANGES, _huge_number, _nest)


def _damaged(rng: random.Random, text: str) -> str:
    """Return a text with a few characters changed, of any kind that Python can hold."""
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(text) + 1)
        sign = chr(rng.choice((rng.randrange(32), rng.randrange(128), rng.randrange(0x3000), rng.randrange(0x110000))))
        text = text[:place] + sign + text[place + rng.randint(0, 1) :]
    return text


def draw(seed: int, number: int) -> str:
    """Return one mutated statement, the same for the same numbers."""
    rng = random.Random(f"{seed}:{number}")
    return mutated(rng, rng.choice(statements()))


def fault(text: str) -> str:
    """Return what is wrong with how a text is taken in both modes; nothing when it is answered or refused in order."""
    for mode in Mode:
        started = time.process_time()
        try:
            error = find_problem(text, mode=mode, catalog=catalog())
            if error is not None:
                _check_readable(error)
        except Exception as wrong:
            return f"{mode}: {type(wrong).__name__}: {str(wrong)[:500]}"
        if (spent := time.process_time() - started) > MOST_CPU_S:
            return f"{mode}: {spent:.1f} s of CPU"
    return ""


def _check_readable(error: QservError) -> None:
    assert not isinstance(error, InternalError), error
    assert error.message, "a message without words"
    shown = error.render()
    assert len(shown) < 5_000, f"a message of {len(shown)} characters"
