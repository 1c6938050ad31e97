"""``qserv ingest`` and ``qserv publish``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qserv_py.cli.data.butler_commands import butler
from qserv_py.cli.data.ingest_output import ingest_progress, print_summary
from qserv_py.cli.options import cluster_option, file_options, input_options, reject_options, say
from qserv_py.cli.plain_arrow import leave_pandas_out

if TYPE_CHECKING:
    from qserv_py.ingest.requests import IngestProgress


@click.group()
def ingest() -> None:
    """Load files, or datasets of a Butler, into tables."""


ingest.add_command(butler)


@ingest.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--database", metavar="DB", required=True, help="Database, as `qserv schema load` made it.")
@click.option("--table", metavar="T", required=True, help="Table of the rows.")
@file_options
@click.option("--keep-nan", is_flag=True, help="Keep NaN as a number; otherwise it is NULL.")
@click.option("--exact-times", is_flag=True, help="Reject times finer than a microsecond instead of rounding them.")
@click.option("--wrap-ra", is_flag=True, help="Wrap right ascensions into [0, 360) instead of rejecting them.")
@click.option("--again", is_flag=True, help="Load files whose rows a table without unique keys has already.")
@reject_options("Rows of a file that may be turned away before the ingest fails.")
@cluster_option
def run(
    files: tuple[Path, ...],
    database: str,
    table: str,
    reading: dict[str, Any],
    keep_nan: bool,
    exact_times: bool,
    wrap_ra: bool,
    again: bool,
    max_rejects: int,
    rejects_dir: Path | None,
    ignore_extra: bool,
    cluster_dir: Path,
) -> None:
    """Load files into one table, all or nothing.

    Queries see the rows after `qserv publish DB`. Rows that do not fit are written to FILE.rejects.csv with the reason.

    Example: qserv ingest run --database dr1 --table Object object-*.parquet
    """
    leave_pandas_out()
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.ingest_destination import open_destination
    from qserv_py.ingest.run import run_ingest

    options = input_options(
        reading,
        keep_nan=keep_nan,
        exact_times=exact_times,
        wrap_ra=wrap_ra,
        ignore_extra=ignore_extra,
        again=again,
    )
    with (
        open_destination(open_cluster(cluster_dir)) as destination,
        ingest_progress() as listener,
        _interruptible(listener) as progress,
    ):
        summary = run_ingest(
            destination,
            database=database,
            table=table,
            files=files,
            options=options,
            max_rejects=max_rejects,
            rejects_dir=rejects_dir,
            progress=progress,
        )
    print_summary(summary)


@click.command()
@click.argument("database", metavar="DB")
@cluster_option
def publish(database: str, cluster_dir: Path) -> None:
    """Make everything that is ingested into a database visible to queries."""
    leave_pandas_out()
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.ingest_destination import open_destination
    from qserv_py.ingest.publishing import publish_database

    with open_destination(open_cluster(cluster_dir)) as destination:
        summary = publish_database(destination, database)
    say(
        f"Published {summary.database}, snapshot {summary.snapshot}: {summary.chunk_tables} chunk tables, "
        f"{summary.seconds:.1f} s."
    )
    if summary.upkeep.behind:
        say(f"psql sees it later on {', '.join(summary.upkeep.behind)}, where somebody reads the tables.")


@click.command()
@click.argument("database", metavar="DB")
@cluster_option
def compact(database: str, cluster_dir: Path) -> None:
    """Write the small segments that appends have left in DB as one; queries see no difference.

    A service does so by itself, every half minute.
    """
    leave_pandas_out()
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.ingest_destination import open_destination
    from qserv_py.ingest.storage.compaction import compact_database
    from qserv_py.ingest.storage.upkeep import keep_up

    with open_destination(open_cluster(cluster_dir)) as destination:
        found = destination.registry.database(database)
        summary = compact_database(destination, found.name)
        kept = keep_up(destination, found)
    if summary.is_busy:
        say(f"Another process compacts {summary.database}.")
    else:
        say(
            f"Compacted {summary.database}: {summary.replaced} segments are {summary.segments} now, "
            f"{summary.rows} rows written."
        )
    if kept.behind:
        say(f"What they replace is dropped later on {', '.join(kept.behind)}, where somebody reads it.")


@contextmanager
def _interruptible(listener: Callable[[IngestProgress], None]) -> Iterator[Callable[[IngestProgress], None]]:
    """Say what Ctrl-C left: nothing before the commit, rows still to be loaded after it."""
    stage = ""

    def listen(progress: IngestProgress) -> None:
        nonlocal stage
        stage = progress.stage
        listener(progress)

    try:
        yield listen
    except KeyboardInterrupt:
        if stage == "loading":
            say("The rows are committed; the next ingest, publish or cluster start loads what is left.")
        else:
            say("Nothing was loaded.")
        raise
