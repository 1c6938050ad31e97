"""Rows per second of ``qserv ingest butler`` beside ``qserv ingest run`` of the same Parquet files, in one run.

    python benchmarks/ingest_butler.py [--visits 20] [--rows 50000] [--columns 60] [--rounds 2]

A repository with one table of sources a visit is made first. Each round loads all of it into an empty database twice:
through the Butler, and the files that the Butler holds as files. Both flush to the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
from astropy.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.butler_repository import FakeRepository, make_repository

from qserv_py.catalog.types import DataType
from qserv_py.czar.cluster_init import init_cluster
from qserv_py.czar.cluster_servers import stop_cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.butler.prompt_schema import prompt_database
from qserv_py.ingest.butler.repository import open_repository
from qserv_py.ingest.butler.requests import ButlerRequest
from qserv_py.ingest.butler.run import DatasetIngest
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.run import run_ingest

RUN = "bench/run"


def sources(visit: int, *, rows: int, columns: int) -> Table:
    """Return sources of a visit with the first columns of the shipped schema, over 3.5 degrees."""
    random = np.random.default_rng(visit)
    made = Table()
    table = prompt_database("prompt").table("Source")
    made["sourceId"] = np.arange(rows) + visit * 10_000_000
    made["visit"] = np.full(rows, visit)
    made["detector"] = random.integers(0, 189, rows).astype(np.int32)
    made["ra"], made["dec"] = random.uniform(30, 33.5, rows), random.uniform(-3.5, 0, rows)
    for column in table.columns:
        if len(made.colnames) >= columns:
            break
        if column.datatype is DataType.DOUBLE and column.name not in made.colnames:
            made[column.name] = random.normal(size=rows)
        elif column.datatype is DataType.BOOLEAN:
            made[column.name] = random.random(rows) < 0.1
    return made


def fill(repository: FakeRepository, arguments: argparse.Namespace) -> list[Path]:
    """Write the datasets; return their files."""
    visits = range(1, arguments.visits + 1)
    repository.add_visits(visits)
    files = []
    for visit in visits:
        ref = repository.put(sources(visit, rows=arguments.rows, columns=arguments.columns), "source", RUN, visit=visit)
        files.append(Path(repository.butler.getURI(ref).ospath))
    return files


def through_the_butler(destination: Destination, repository: Path, database: str) -> int:
    """Load the datasets; return the rows."""
    with open_repository(str(repository)) as opened:
        request = ButlerRequest(collection=RUN, dataset_type="source", database=database)
        ingest = DatasetIngest(destination, opened, request)
        ingest.run()
    return ingest.tally.rows


@contextmanager
def timed(times: list[tuple[float, float]]) -> Iterator[None]:
    """Note how long a block takes: by the clock, and of this process's CPU time, which a busy machine changes less."""
    started = time.perf_counter(), time.process_time()
    yield
    times.append((time.perf_counter() - started[0], time.process_time() - started[1]))


def main() -> None:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("visits", 20), ("rows", 50_000), ("columns", 60), ("rounds", 2), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="qserv-bench-"))
    scratch.chmod(0o755)
    times: dict[str, list[tuple[float, float]]] = {"butler": [], "files": []}
    try:
        repository = make_repository(scratch / "repo")
        paths = fill(repository, arguments)
        repository.close()
        cluster = init_cluster(scratch / "cluster", workers=arguments.workers)
        try:
            with open_destination(cluster) as destination:
                for number in range(arguments.rounds):
                    for name in (f"b{number}", f"f{number}"):
                        destination.registry.add_database(prompt_database(name))
                    with timed(times["butler"]):
                        rows = through_the_butler(destination, scratch / "repo", f"b{number}")
                    with timed(times["files"]):
                        run_ingest(destination, database=f"f{number}", table="Source", files=paths)
        finally:
            stop_cluster(cluster.config.directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(
        json.dumps(
            {
                "rows": rows,
                "columns": arguments.columns,
                "datasets": arguments.visits,
                **{f"{name}_rows_per_s": round(rows / median(s for s, _ in found)) for name, found in times.items()},
                **{f"{name}_s": [round(s, 2) for s, _ in found] for name, found in times.items()},
                **{f"{name}_cpu_s": [round(cpu, 2) for _, cpu in found] for name, found in times.items()},
                "load": os.getloadavg()[0],
            }
        )
    )


if __name__ == "__main__":
    main()
