"""Which of the pieces that appends have left are to be merged into one: a rule about their sizes alone.

Every append leaves a small piece (a segment of a chunk, a run of an index) beside the large first one, and a query
reads them all. Merging each append with everything would write a table of a million rows for ten; never merging would
have queries read a thousand pieces. So pieces are merged when some of about a size have come together. With ``FEW``
of 4, appends of 10 rows to a chunk of 1000 leave

    1000 10 10 10           nothing is done
    1000 10 10 10 10        the four are merged: 1000 40
    1000 40 10 10 10 10     40 is no more than twice what follows it, so it is merged, too: 1000 80

A row is so written again some log(n) times while a chunk grows by n appends, and a chunk has some log(n) pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

FEW = 4
"""Pieces that are left as they are; a query hardly sees them."""

GROWTH = 2
"""Times the rows of those behind it that a piece may have to be merged with them."""


def merged_tail(sizes: Sequence[int], *, most: int | None = None) -> int:
    """Return how many of the last pieces are to be merged into one; 0 for none.

    Parameters
    ----------
    sizes
        Rows of each piece, the oldest first.
    most
        Rows that a merged piece may have; None for any number.
    """
    total = count = 0
    for size in reversed(sizes):
        size = max(1, size)
        if (count and size > GROWTH * total) or (most is not None and total + size > most):
            break
        total, count = total + size, count + 1
    return count if count >= FEW else 0
