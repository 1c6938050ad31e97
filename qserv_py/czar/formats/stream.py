"""An answer as the writers of formats take it: columns, a stream of batches, and what is said beside the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from qserv_py.adql.tree import OutputColumn
from qserv_py.executor.budget import Account

BLOCK_BYTES = 4 << 20
"""Bytes of Arrow data that are written at a time: enough to keep numpy busy, little beside a batch."""


MORE_ROWS = "there are more rows than these"
NOT_RUN = "the query was not run, as MAXREC is 0"


def why_cut(*, is_cut: bool, maxrec: int | None) -> str:
    """Return why rows of an answer were left out; empty when none were."""
    if not is_cut:
        return ""
    return NOT_RUN if maxrec == 0 else MORE_ROWS


def never_cut() -> str:
    """Say that no rows were left out."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultStream:
    """The rows of an answer, to be read once."""

    columns: Sequence[OutputColumn]
    """Columns of the answer; their names differ even when case is ignored."""

    schema: pa.Schema
    """Arrow types of the columns, in their order."""

    batches: Iterable[pa.RecordBatch]
    infos: tuple[tuple[str, str], ...] = ()
    """Names and values that a format writes before the rows if it has room for them, such as the query and the job."""

    why_cut: Callable[[], str] = never_cut
    """Asked after the last batch: why rows were left out; empty when none were."""

    spool_dir: Path | None = None
    """Directory for formats that must read all rows before they write the first; None takes the system's."""

    spilled: Account | None = None
    """What the bytes that are kept there are counted in."""

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in blocks of about ``BLOCK_BYTES`` at the most, none of them empty."""
        for batch in self.batches:
            if not batch.num_rows:
                continue
            rows = max(1, int(BLOCK_BYTES / (batch.nbytes / batch.num_rows + 1)))
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)
