"""What an ingest says while it runs and at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qserv_py.cli.options import say
from qserv_py.cli.progress import stage_progress
from qserv_py.counts import counted

if TYPE_CHECKING:
    from qserv_py.ingest.requests import IngestProgress, IngestSummary


def print_summary(summary: IngestSummary) -> None:
    """Say what came of an ingest: the files with rejects, then all together."""
    for file in summary.files:
        if file.rows_rejected:
            rejected = f"{file.rows_rejected:,} of {counted(file.rows_read, 'row')} rejected"
            say(f"{file.label}: {rejected}, see {file.reject_file}")
        for note in file.notes:
            say(f"{file.label}: {note}")
    orphans = f" ({summary.orphans} without a director)" if summary.orphans else ""
    chunks = f"{counted(summary.chunks, 'chunk')} ({summary.new_chunks} new), " if summary.chunks else ""
    say(
        f"{summary.database}.{summary.table}: {counted(summary.rows_read, 'row')} read, "
        f"{summary.rows_loaded:,} loaded{orphans}, {summary.rows_rejected:,} rejected; "
        f"{chunks}{counted(summary.parts, 'part')}, {summary.seconds:.1f} s, {summary.rows_per_second:,.0f} rows/s"
    )


@contextmanager
def ingest_progress() -> Iterator[Callable[[IngestProgress], None]]:
    """Show how far an ingest is: a bar for each stage on a terminal, else a line from time to time."""
    with stage_progress("rows") as show:
        yield lambda progress: show(progress.stage, progress.done, progress.total)
