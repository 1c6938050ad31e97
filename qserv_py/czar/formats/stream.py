"""An answer as the writers of formats take it: columns, batches on their way, and what is to be said about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from qserv_py.adql.tree import OutputColumn

BLOCK_BYTES = 4 << 20
"""Bytes of Arrow data that are written at a time: enough to keep numpy busy, little beside a batch."""


def never_cut() -> bool:
    """Say that no rows were left out."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultStream:
    """The rows of an answer, to be read once."""

    columns: Sequence[OutputColumn]
    schema: pa.Schema
    """Arrow types of the columns, in their order."""

    batches: Iterable[pa.RecordBatch]
    infos: tuple[tuple[str, str], ...] = ()
    """What stands before the rows where a format has room for it: names and values, such as the query and the job."""

    is_cut: Callable[[], bool] = never_cut
    """Asked after the last batch: whether rows beyond a limit were left out."""

    spool_dir: Path | None = None
    """Where a format that must know all rows before it writes the first one keeps them; the system's place if None."""

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in blocks of about ``BLOCK_BYTES`` at the most, none of them empty."""
        for batch in self.batches:
            if not batch.num_rows:
                continue
            rows = max(1, int(BLOCK_BYTES / (batch.nbytes / batch.num_rows + 1)))
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)


def unique_names(names: Iterable[str], *, fold: bool = False) -> list[str]:
    """Return names of which none is there twice: a repeated one has a number, ``flux``, ``flux_2``.

    Parameters
    ----------
    names
        Names, some of them repeated.
    fold
        Whether names that differ by case alone are the same.
    """
    given = list(names)
    known = {name.lower() if fold else name for name in given}
    taken: set[str] = set()
    chosen = []
    for name in given:
        unique, number = name, 2
        while (key := unique.lower() if fold else unique) in taken or (unique != name and key in known):
            unique, number = f"{name}_{number}", number + 1
        taken.add(key)
        chosen.append(unique)
    return chosen
