"""Shorter and simpler queries that differ as a long one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

_TRIES = 400

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
    left, improved = _TRIES, True
    while improved and left:
        improved = False
        for candidate in _simpler(numbers):
            left -= 1
            found = still(candidate)
            if found is not None and _size(found) < _size(numbers):
                numbers, improved = found, True
                break
            if not left:
                break
    return numbers


def _size(numbers: Numbers) -> tuple[int, int]:
    return len(numbers), sum(numbers)


def _simpler(numbers: Numbers) -> Iterator[Numbers]:
    """Yield simpler ones: with spans left out or zero, then with one number made smaller."""
    size = len(numbers)
    while size:
        for start in range(0, len(numbers), size):
            before, after = list(numbers[:start]), list(numbers[start + size :])
            yield before + after
            if any(numbers[start : start + size]):
                yield before + [0] * min(size, len(numbers) - start) + after
        size //= 2
    for place, number in enumerate(numbers):
        if number > 1:
            yield [*numbers[:place], number // 2, *numbers[place + 1 :]]
