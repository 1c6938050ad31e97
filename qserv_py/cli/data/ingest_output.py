"""What an ingest says while it runs and at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qserv_py.cli.options import say
from qserv_py.cli.progress import stage_progress

if TYPE_CHECKING:
    from qserv_py.ingest.requests import IngestProgress, IngestSummary


def print_summary(summary: IngestSummary) -> None:
    """Say what came of an ingest: the files with rejects, then all together."""
    for file in summary.files:
        if file.rows_rejected:
            say(f"{file.label}: {file.rows_rejected} of {file.rows_read} rows rejected, see {file.reject_file}")
        for note in file.notes:
            say(f"{file.label}: {note}")
    orphans = f" ({summary.orphans} without a director)" if summary.orphans else ""
    chunks = f"{summary.chunks} chunks ({summary.new_chunks} new), " if summary.chunks else ""
    say(
        f"{summary.database}.{summary.table}: {summary.rows_read} rows read, {summary.rows_loaded} loaded{orphans}, "
        f"{summary.rows_rejected} rejected; {chunks}{summary.parts} parts, {summary.seconds:.1f} s, "
        f"{summary.rows_per_second:,.0f} rows/s"
    )


@contextmanager
def ingest_progress() -> Iterator[Callable[[IngestProgress], None]]:
    """Show how far an ingest is: a bar for each stage on a terminal, else a line from time to time."""
    with stage_progress("rows") as show:
        yield lambda progress: show(progress.stage, progress.done, progress.total)
