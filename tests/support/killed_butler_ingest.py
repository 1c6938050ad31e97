"""Ingests of datasets that are killed at a chosen moment, each in a process of its own; run as a program by the tests.

Commands come on standard input: ``CLUSTER DATABASE REPOSITORY COLLECTION POINT``. The answer is one line, as that of
``killed_ingest``, whose moments are watched, too.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.butler_repository import FakeRepository  # imported before the forks: the Butler takes a second
from support.killed_ingest import MOMENTS, forked, watch

from qserv_py.czar.cluster import open_cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.butler import run
from qserv_py.ingest.butler.repository import open_repository
from qserv_py.ingest.butler.requests import ButlerRequest
from qserv_py.registry import datasets, transactions

assert FakeRepository

FURTHER: tuple[tuple[Any, str], ...] = (
    (run, "take_numbers"),
    (run, "make_inputs"),
    (run, "images_of"),
    (run, "loaded_ids"),
    (run, "publish_database"),
    (transactions, "add_datasets"),
    (transactions, "add_images"),
    (datasets, "run"),
)
"""Moments of the ingest of datasets."""


def ingest(cluster: str, database: str, repository: str, collection: str, reached: Callable[[], None]) -> None:
    """Ingest what is in a collection, two datasets at a time, and publish it."""
    for place, name in (*MOMENTS, *FURTHER):
        watch(place, name, reached)
    run.DATASETS_AT_ONCE = 2
    request = ButlerRequest(collection=collection, dataset_type="source", database=database, publish=True)
    with open_destination(open_cluster(cluster), sync=False) as destination, open_repository(repository) as opened:
        os.chdir(Path(repository).parent)
        run.DatasetIngest(destination, opened, request).run()


def main() -> None:
    """Serve commands."""
    for line in sys.stdin:
        *arguments, point = line.split()

        def work(passed: int, arguments: list[str] = arguments, point: int = int(point)) -> None:
            counter = itertools.count(1)

            def reached() -> None:
                number = next(counter)
                os.pwrite(passed, f"{number:8}".encode(), 0)
                if number == point:
                    os.kill(os.getpid(), signal.SIGKILL)

            ingest(*arguments, reached)  # type: ignore[call-arg]

        print(*forked(work), flush=True)


if __name__ == "__main__":
    main()
