"""Keywords that a query misspells: where the grammar stops, or in the word before, which it took for a name.

``FROM Object WEHRE ra > 80`` gives the table the name WEHRE and is refused at ``ra``. Which keywords can stand at a
place follows from the clause that it is in.
"""

from __future__ import annotations

from collections.abc import Sequence

from qserv_py.adql.words import NO_NAMES
from qserv_py.hints import is_one_slip

TOP_HINT = "Write TOP n after SELECT."
COMMA_AFTER_TOP = "Leave the comma out: SELECT TOP n column, column, ..."
COMMA_BEFORE = "Leave the comma before it out, or write what is missing between them."

_SET_OPERATORS = ("UNION", "EXCEPT", "INTERSECT")
_ENDS = (*_SET_OPERATORS, "ORDER BY", "LIMIT", "OFFSET")
_GROUPS = ("GROUP BY", "HAVING", *_ENDS)
_JOINS = ("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL")
_CONDITIONS = ("AND", "BETWEEN", "LIKE", "ILIKE")
_FOLLOWERS = {
    "SELECT": ("FROM",),
    "FROM": (*_JOINS, "USING", "WHERE", *_GROUPS),
    "ON": (*_CONDITIONS, *_JOINS, "WHERE", *_GROUPS),
    "WHERE": (*_CONDITIONS, *_GROUPS),
    "GROUP": ("HAVING", *_ENDS),
    "HAVING": (*_CONDITIONS, *_ENDS),
    "ORDER": ("DESC", "ASC", "LIMIT", "OFFSET"),
    "(": _CONDITIONS,
}
"""The keywords that can follow in a clause, by its first word."""

_ONCE = {"FROM", "WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT", "OFFSET"}
"""A query has each of them once: one that still follows is not misspelt before."""

_ONLY_SWAPPED = {"AND", "ASC", "DESC"}
"""Columns are called nearly so (``band``, ``dec``): only letters that changed places tell."""


_BEFORE = {
    "INNER": {"JOIN"},
    "CROSS": {"JOIN"},
    "LEFT": {"JOIN", "OUTER"},
    "RIGHT": {"JOIN", "OUTER"},
    "FULL": {"JOIN", "OUTER"},
    "NATURAL": {"JOIN", "LEFT", "RIGHT", "FULL", "INNER"},
    "USING": {"("},
    "LIKE": {""},
    "ILIKE": {""},
}
"""What follows a keyword that is close to ordinary names (``night``, ``bike``); a text has no word."""


def keyword_meant(words: Sequence[str], names: Sequence[int], at: int) -> tuple[int, str] | None:
    """Return the place of a misspelt keyword, and the keyword that was meant; None where there is none.

    Parameters
    ----------
    words
        The words and symbols of a query, in capitals; empty for names in quotes, numbers and texts.
    names
        The places of those that were read as names.
    at
        Where the grammar stops.
    """
    for place in [at - 1] * follows_alias(words, names, at) + [at]:
        word, following = words[place], "".join(words[place + 1 : place + 2])
        if not word[:1].isalpha() or word in NO_NAMES:
            continue
        for keyword in _FOLLOWERS.get(_clause(words, place), ()):
            if _is_meant(word, following, keyword) and not (keyword in _ONCE and _follows(words, place, keyword)):
                return place, keyword
    return None


def follows_alias(words: Sequence[str], names: Sequence[int], at: int) -> bool:
    """Return whether the word before a place was taken for the new name of what stands before it, AS left out."""
    if at < 2 or list(names[-1:]) != [at - 1]:
        return False
    before = words[at - 2]
    return at - 2 in names or before in {"", ")", "END", "NULL", "TRUE", "FALSE"}


def _is_meant(word: str, following: str, keyword: str) -> bool:
    if keyword.endswith(" BY"):
        joined = keyword.replace(" ", "")
        return word == joined or is_one_slip(word, joined) or (following == "BY" and is_one_slip(word, keyword[:-3]))
    if keyword in _ONLY_SWAPPED and sorted(word) != sorted(keyword):
        return False
    return following in _BEFORE.get(keyword, {following}) and is_one_slip(word, keyword)


def _clause(words: Sequence[str], place: int) -> str:
    """Return the word that the clause around a place begins with; a bracket inside an expression."""
    depth = 0
    for word in reversed(words[:place]):
        if word == ")":
            depth += 1
        elif word == "(":
            if not depth:
                return word
            depth -= 1
        elif (begin := word.removesuffix(" BY")) in _FOLLOWERS and not depth:
            return begin
    return ""


def _follows(words: Sequence[str], place: int, keyword: str) -> bool:
    """Return whether a keyword stands further on in the same query."""
    depth = 0
    for word in words[place + 1 :]:
        depth += (word == "(") - (word == ")")
        if depth < 0 or (not depth and word in _SET_OPERATORS):
            return False
        if not depth and word.removesuffix(" BY") == keyword.removesuffix(" BY"):
            return True
    return False
