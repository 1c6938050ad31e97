"""The demo from end to end: a cluster, a survey in it, five queries. It tells a listener, and prints nothing itself."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from qserv_py.counts import counted
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.demo import place
from qserv_py.demo.fresh_cluster import fresh_cluster
from qserv_py.demo.queries import DemoQuery, demo_queries
from qserv_py.demo.steps import DemoListener, answered, timed
from qserv_py.demo.survey import Survey, SurveyFiles, write_survey
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.schema_files.felis_schema import read_schema

BYTES_PER_OBJECT = 3500
"""Disk that an object takes with its sources: survey files, parts, chunk tables and the servers' logs."""

BYTES_PER_WORKER = 150_000_000
"""Disk that an empty server takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the user of the demo chose."""

    directory: Path
    workers: int = 3
    objects: int = 1_000_000
    seed: int = 1
    keep: bool = False
    """Leave the cluster running."""


def run_demo(options: DemoOptions, listener: DemoListener) -> Cluster | None:
    """Make a cluster with a simulated survey and query it; return the cluster if it is kept.

    Whatever breaks the demo off, Ctrl-C too, the cluster is stopped and removed.

    Raises
    ------
    ConfigError
        If the directory holds something that is not a demo's, or the disk is too small.
    """
    made = fresh_cluster(
        options.directory,
        workers=options.workers,
        keep=options.keep,
        check_disk=lambda: _check_disk(options),
        listener=listener,
    )
    with made as cluster:
        place.mark(options.directory, objects=options.objects, seed=options.seed)
        survey = Survey(objects=options.objects, seed=options.seed)
        _fill(cluster, survey, listener)
        _ask(cluster, survey, listener)
    return cluster if options.keep else None


def _fill(cluster: Cluster, survey: Survey, listener: DemoListener) -> None:
    """Simulate the survey, ingest its tables and publish them."""
    directory = cluster.config.directory / "survey"
    directory.mkdir()
    files = timed(listener, "survey", lambda: write_survey(survey, directory), _describe)
    with open_destination(cluster) as destination:
        folder = resources.files(__package__)
        with (
            resources.as_file(folder / "survey.yaml") as felis,
            resources.as_file(folder / "survey-partition.yaml") as partition,
        ):
            destination.registry.add_database(read_schema(felis, partition))
        for table, paths in (("Object", files.objects), ("Source", files.sources), ("Visit", files.visits)):
            _ingest(destination, table, paths, listener)
        timed(
            listener,
            "publish",
            lambda: publish_database(destination, place.DATABASE),
            lambda published: f"snapshot {published.snapshot}, {counted(published.chunk_tables, 'chunk table')}",
        )
    shutil.rmtree(directory)


def _describe(files: SurveyFiles) -> str:
    return (
        f"{counted(files.object_rows, 'object')}, {counted(files.source_rows, 'source')}, "
        f"{counted(files.visit_rows, 'visit')}; {files.bytes / 1e6:,.0f} MB"
    )


def _ingest(destination: Destination, table: str, paths: tuple[Path, ...], listener: DemoListener) -> None:
    with listener.progress(table) as progress:
        done = run_ingest(destination, database=place.DATABASE, table=table, files=paths, progress=progress)
    workers = counted(len(destination.workers), "worker")
    where = f"in {counted(done.chunks, 'chunk')}" if done.chunks else f"on each of {workers}"
    outcome = f"{counted(done.rows_loaded, 'row')} {where}, {done.rows_per_second:,.0f} rows/s"
    listener.step(f"ingest {table}", outcome, done.seconds)


def _ask(cluster: Cluster, survey: Survey, listener: DemoListener) -> None:
    with Session(cluster) as session:
        # The first query opens the connections; the times of the five are those of a session that is in use.
        first = DemoQuery(title="all objects", adql="SELECT COUNT(*) AS n FROM dr1.Object")
        timed(
            listener,
            "connect",
            lambda: answered(session, first),
            lambda counted: f"the czar counts {counted.table[0][0].as_py():,} objects",
        )
        for query in demo_queries(survey):
            listener.answer(answered(session, query))


def _check_disk(options: DemoOptions) -> None:
    needed = options.objects * BYTES_PER_OBJECT + options.workers * BYTES_PER_WORKER
    place.check_room(options.directory, needed, "fewer objects with --objects N")
