"""Ingests of datasets that are killed at a chosen moment, each in a process of its own; run as a program by the tests.

Commands come on standard input: ``CLUSTER DATABASE REPOSITORY COLLECTION POINT DELAY_MS``, answers are those of
``killed_ingest``, whose moments are watched, too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from support.butler_repository import Butler
from support.killed_ingest import MOMENTS, serve, watch_all

from qserv_py.czar.cluster import open_cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.butler import run
from qserv_py.ingest.butler.repository import open_repository
from qserv_py.ingest.butler.requests import ButlerRequest
from qserv_py.registry import transactions

assert Butler, "imported before the forks, as it takes a second"

FURTHER: tuple[tuple[Any, str], ...] = (
    (run, "take_numbers"),
    (run, "make_inputs"),
    (run, "images_of"),
    (run, "loaded_ids"),
    (run, "publish_database"),
    (transactions, "add_datasets"),
    (transactions, "add_images"),
)
"""Moments of the ingest of datasets."""


def ingest(cluster: str, database: str, repository: str, collection: str, *, point: int, passed: int) -> None:
    """Ingest what is in a collection, two datasets at a time, and publish it; watched."""
    watch_all((*MOMENTS, *FURTHER), point=point, passed=passed)
    run.DATASETS_AT_ONCE = 2
    request = ButlerRequest(
        collection=collection,
        dataset_type="source",
        database=database,
        rejects_dir=Path(repository).parent,
        publish=True,
    )
    with open_destination(open_cluster(cluster), sync=False) as destination, open_repository(repository) as opened:
        run.DatasetIngest(destination, opened, request).run()
    sys.stdout.flush()


if __name__ == "__main__":
    serve(ingest)
