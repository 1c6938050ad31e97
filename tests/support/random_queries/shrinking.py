"""Shorter and simpler queries that differ as a long one does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_TRIES = 600

Numbers = Sequence[int]


def shrink(numbers: Numbers, still: Callable[[Numbers], Numbers | None]) -> Numbers:
    """Return fewer and smaller numbers that draw something of the same kind.

    Parameters
    ----------
    numbers
        What was drawn.
    still
        Draws by the numbers; returns those that were used if what it drew is of the kind, else None.
    """
    search = _Search(list(numbers), still)
    before: list[int] = []
    while before != search.best and search.left:
        before = search.best
        search.spans()
        search.values()
    return search.best


class _Search:
    """The simplest numbers so far."""

    def __init__(self, numbers: list[int], still: Callable[[Numbers], Numbers | None]) -> None:
        self.best = numbers
        self.left = _TRIES
        self._still = still

    def spans(self) -> None:
        """Leave out spans, or make them one zero or as many as there were, long ones first."""
        size = len(self.best)
        while size:
            start = 0
            while start < len(self.best):
                before, after = self.best[:start], self.best[start + size :]
                if not any(self._better(before + middle + after) for middle in ([], [0], [0] * size)):
                    start += 1 if size < 4 else size
            size //= 2

    def values(self) -> None:
        """Make one number after the other smaller."""
        for place in range(len(self.best)):
            for smaller in (0, 1):
                if place < len(self.best) and self.best[place] > smaller:
                    self._better([*self.best[:place], smaller, *self.best[place + 1 :]])

    def _better(self, numbers: Numbers) -> bool:
        if not self.left:
            return False
        self.left -= 1
        found = self._still(numbers)
        if found is None or _size(found) >= _size(self.best):
            return False
        self.best = list(found)
        return True


def _size(numbers: Numbers) -> tuple[int, int]:
    return len(numbers), sum(numbers)
