"""``qserv ingest butler``: datasets of a Butler repository to rows of a table."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from qserv_py.cli.data.ingest_output import ingest_progress
from qserv_py.cli.errors import PARTIAL, report_error
from qserv_py.cli.options import cluster_option, reject_options, say
from qserv_py.counts import counted

if TYPE_CHECKING:
    from qserv_py.errors import QservError
    from qserv_py.ingest.butler.requests import Failure, Tally
    from qserv_py.ingest.requests import IngestSummary


@click.command()
@click.argument("repository", metavar="REPO")
@click.option("--collection", metavar="C", required=True, help="Collection of the datasets, such as a run or a chain.")
@click.option("--dataset-type", metavar="TYPE", required=True, help="Dataset type of the tables, such as visit_table.")
@click.option("--database", metavar="DB", required=True, help="Database, as `qserv schema prompt` made it.")
@click.option("--table", metavar="T", help="Table of the rows; default the one that is called like the dataset type.")
@click.option("--where", metavar="EXPR", default="", help="Condition on the datasets, in the Butler's language.")
@click.option(
    "--reprocessed",
    type=click.Choice(("refuse", "keep", "add")),
    default="refuse",
    show_default=True,
    help="What to do when the table has rows of an earlier run for the same visit (or other data id).",
)
@click.option("--image-type", "image_types", metavar="TYPE", multiple=True, help="Dataset type of the rows' images.")
@reject_options("Rows of a dataset that may be turned away before it fails.")
@click.option("--publish", is_flag=True, help="Publish the database whenever rows have come.")
@click.option("--watch/--once", default=False, help="Go on as runs finish, until SIGTERM or Ctrl-C; default once.")
@cluster_option
def butler(
    repository: str,
    collection: str,
    dataset_type: str,
    database: str,
    table: str | None,
    where: str,
    reprocessed: str,
    image_types: tuple[str, ...],
    ignore_extra: bool,
    max_rejects: int,
    rejects_dir: Path | None,
    publish: bool,
    watch: bool,
    cluster_dir: Path,
) -> int:
    """Load the datasets of a Butler collection into a table, each exactly once.

    What is loaded already is passed over, so the command can be repeated, also after it was killed. Datasets that
    cannot be loaded are named and left out; the exit code is 6 then.

    Example: qserv ingest butler REPO --collection u/me/drp --dataset-type visit_table --database prompt --publish
    """
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.ingest_destination import open_destination
    from qserv_py.czar.settings.settings_file import read_settings
    from qserv_py.ingest.butler.images import IMAGE_TYPES
    from qserv_py.ingest.butler.repository import open_repository
    from qserv_py.ingest.butler.requests import ButlerRequest, Reprocessed
    from qserv_py.ingest.butler.run import DatasetIngest
    from qserv_py.ingest.butler.watch import watch as watch_collection

    request = ButlerRequest(
        collection=collection,
        dataset_type=dataset_type,
        database=database,
        table=table,
        where=where,
        reprocessed=Reprocessed(reprocessed),
        image_types=image_types or IMAGE_TYPES,
        ignore_extra=ignore_extra,
        max_rejects=max_rejects,
        rejects_dir=rejects_dir,
        publish=publish,
    )
    cluster = open_cluster(cluster_dir)
    other_obscore = read_settings(cluster_dir).images.obscore
    with (
        open_destination(cluster) as destination,
        open_repository(repository) as opened,
        ingest_progress() as progress,
        _stopped_by_signal() as stop,
    ):
        ingest = DatasetIngest(
            destination, opened, request, loaded=_say_loaded, failed=_say_failed, stopped=stop.is_set, progress=progress
        )
        if watch:
            watch_collection(ingest, stop, waiting=_Waiting(collection))
        else:
            ingest.run()
    _say_all(ingest.tally, database)
    if ingest.tally.images:
        _say_where_images_are_not(other_obscore)
    return PARTIAL if ingest.tally.failed else 0


@contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """Yield what SIGTERM sets; a second one ends the process at once, which loses nothing either."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGTERM, before)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_loaded(summary: IngestSummary, tally: Tally) -> None:
    datasets = len(summary.files)
    say(
        f"{summary.database}.{summary.table}: {counted(datasets, 'dataset')}, {counted(summary.rows_loaded, 'row')}, "
        f"{summary.seconds:.1f} s, {summary.rows_per_second:,.0f} rows/s; so far {counted(tally.datasets, 'dataset')}, "
        f"{counted(tally.rows, 'row')}"
    )


def _say_failed(failure: Failure) -> None:
    report_error(failure.error)


class _Waiting:
    """Says once what keeps a watch waiting, until that changes."""

    def __init__(self, collection: str) -> None:
        self._collection = collection
        self._said = ""

    def __call__(self, seconds: float, error: QservError | None) -> None:
        text = error.render() if error is not None else f"collection {self._collection}"
        if text != self._said:
            say(f"Waiting for datasets: {text}")
        self._said = text


def _say_all(tally: Tally, database: str) -> None:
    parts = [
        f"{counted(tally.datasets, 'dataset')} loaded, {counted(tally.rows, 'row')}, {counted(tally.images, 'image')}"
    ]
    if tally.there_before:
        parts.append(f"{tally.there_before} there before")
    if tally.passed_over:
        parts.append(f"{tally.passed_over} processed again and passed over")
    if tally.rows_passed_over:
        parts.append(f"{counted(tally.rows_passed_over, 'row')} passed over")
    if tally.failed:
        parts.append(f"{tally.failed} failed")
    if tally.snapshot is not None:
        parts.append(f"published as snapshot {tally.snapshot}")
    elif tally.datasets:
        parts.append(f"qserv publish {database} makes them visible")
    say("; ".join(parts) + ".")


def _say_where_images_are_not(other_obscore: str) -> None:
    """Say that the settings make another table ivoa.ObsCore, where they do."""
    if other_obscore:
        say(f"ivoa.ObsCore is {other_obscore}, as settings.yaml says: images of a Butler are not in it.")
