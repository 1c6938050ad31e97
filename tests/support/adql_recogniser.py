"""Whether the grammar of ADQL 2.1 derives a sequence of tokens: Earley's algorithm over the standard's productions.

It shares nothing with the product: what a test asks it, the standard answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache

from support.adql_bnf import START, plain_rules


class _Tables:
    """The rules as numbers: a dotted rule is a number, the one after the next symbol is the number that follows."""

    def __init__(self) -> None:
        rules = plain_rules()
        self.heads: list[str] = []
        self.nexts: list[str] = []
        self.starts: dict[str, list[int]] = {}
        for head, options in rules.items():
            self.starts[head] = []
            for option in options:
                self.starts[head].append(len(self.heads))
                self.heads += [head] * (len(option) + 1)
                self.nexts += [*option, ""]
        self.firsts = self._first_symbols()

    def _first_symbols(self) -> dict[str, set[str]]:
        """Return the tokens that each name may begin with."""
        firsts: dict[str, set[str]] = {head: set() for head in self.starts}
        grown = True
        while grown:
            grown = False
            for head, starts in self.starts.items():
                before = len(firsts[head])
                for start in starts:
                    firsts[head] |= firsts.get(self.nexts[start], {self.nexts[start]})
                grown |= len(firsts[head]) > before
        return firsts

    @cache  # noqa: B019 - there is one object for the whole process
    def predicted(self, name: str, kinds: frozenset[str]) -> list[int]:
        """Return the rules of a name that a token of these kinds may begin."""
        return [
            start
            for start in self.starts[name]
            if not kinds.isdisjoint(self.firsts.get(self.nexts[start], {self.nexts[start]}))
        ]


@cache
def _tables() -> _Tables:
    return _Tables()


def derivable(tokens: Sequence[frozenset[str]]) -> bool:
    """Return whether a sequence is a query; a token is given by all the terminals that it may be."""
    tables = _tables()
    waiting: list[dict[str, list[tuple[int, int]]]] = []
    begun = {(start, 0) for start in tables.predicted(f"<{START}>", tokens[0] if tokens else frozenset())}
    for place in range(len(tokens) + 1):
        kinds = tokens[place] if place < len(tokens) else frozenset[str]()
        waiting.append(defaultdict(list))
        done, begun = _closed(begun, place, kinds, waiting), set()
        if place == len(tokens):
            return (f"<{START}>", 0) in done
        for kind in kinds:
            begun.update((dotted + 1, origin) for dotted, origin in waiting[place].get(kind, ()))
        if not begun:
            return False
    raise AssertionError


def _closed(
    begun: set[tuple[int, int]], place: int, kinds: frozenset[str], waiting: list[dict[str, list[tuple[int, int]]]]
) -> set[tuple[str, int]]:
    """Follow rules that have come to a place until nothing new is found; return the names that are complete there."""
    tables = _tables()
    complete: set[tuple[str, int]] = set()
    seen, todo = set(begun), list(begun)
    while todo:
        dotted, origin = todo.pop()
        symbol = tables.nexts[dotted]
        found: list[tuple[int, int]] = []
        if not symbol:
            head = tables.heads[dotted]
            if (head, origin) not in complete:
                complete.add((head, origin))
                found = [(before + 1, start) for before, start in waiting[origin].get(head, ())]
        else:
            waiting[place][symbol].append((dotted, origin))
            if symbol in tables.starts and len(waiting[place][symbol]) == 1:
                found = [(start, place) for start in tables.predicted(symbol, kinds)]
        for item in found:
            if item not in seen:
                seen.add(item)
                todo.append(item)
    return complete
